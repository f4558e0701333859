//! When the sessions in a room are woken for rows of its log that were committed.
//!
//! Whoever is woken writes all that it may, and most of what a message costs in a large room are
//! those writes. So where the next row is on its way to the disk already, the news of a commit waits
//! for that one: once, so that nothing waits for more than one commit.

use parking_lot::Mutex;

/// See the [module](self). Its lock is taken last, and nothing is done under it.
pub(super) struct News(Mutex<State>);

struct State {
    /// The first row that was committed since the sessions were woken.
    untold: Option<i64>,
    /// The newest row that is committed, or could not be.
    decided: i64,
    pause: Pause,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// Nothing has waited.
    Ahead,
    /// The news waits for the next row.
    Now,
    /// It has waited.
    Over,
}

impl News {
    /// `newest`: the newest row there is.
    pub(super) fn new(newest: i64) -> News {
        News(Mutex::new(State {
            untold: None,
            decided: newest,
            pause: Pause::Ahead,
        }))
    }

    /// A row is committed, or could not be. True: [`take`](Self::take) is to be called. Of several
    /// that are committed together that is asked for once.
    pub(super) fn decided(&self, row: i64, is_committed: bool) -> bool {
        let mut state = self.0.lock();
        let is_first = is_committed && state.untold.is_none();
        if is_first {
            state.untold = Some(row);
        }
        state.decided = row.max(state.decided);
        if state.pause == Pause::Now {
            state.pause = Pause::Over;
            return true;
        }
        is_first
    }

    /// The first of the rows for which the sessions are to be woken now; `None`: they are not.
    /// `newest`: the newest row that was handed to the mailbox.
    pub(super) fn take(&self, newest: i64) -> Option<i64> {
        let mut state = self.0.lock();
        if state.untold.is_some() && state.pause == Pause::Ahead && newest > state.decided {
            state.pause = Pause::Now;
            return None;
        }
        if state.pause != Pause::Now {
            state.pause = Pause::Ahead;
            return state.untold.take();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_of_one_commit_are_told_together() {
        let news = News::new(0);
        assert!(news.decided(1, true));
        assert!(!news.decided(2, true));
        assert_eq!(news.take(2), Some(1));
        assert_eq!(news.take(2), None);
    }

    #[test]
    fn the_news_waits_for_a_row_under_way_and_for_no_other() {
        let news = News::new(0);
        assert!(news.decided(1, true));
        assert_eq!(news.take(2), None);
        assert!(news.decided(2, true), "it has waited long enough");
        assert_eq!(news.take(3), Some(1));
        assert!(news.decided(3, true));
        assert_eq!(news.take(3), Some(3));
    }

    #[test]
    fn a_row_that_fails_ends_the_wait() {
        let news = News::new(0);
        assert!(!news.decided(1, false), "there is nothing to tell");
        assert!(news.decided(2, true));
        assert_eq!(news.take(3), None);
        assert!(news.decided(3, false));
        assert_eq!(news.take(3), Some(2));
    }

    proptest! {
        /// When all is decided and everybody who was asked for has come, all is told; and what is
        /// not told when somebody has come is told with the next decision.
        #[test]
        fn nothing_stays_untold(steps in prop::collection::vec((0..4_u8, any::<bool>()), 0..64)) {
            let news = News::new(0);
            let (mut newest, mut decided, mut asked) = (0, 0, 0);
            let mut untold: Vec<i64> = Vec::new();
            let mut waited = false;
            let come = |newest, untold: &mut Vec<i64>| {
                let first = news.take(newest);
                if let Some(first) = first {
                    assert_eq!(untold.first(), Some(&first));
                    untold.clear();
                }
                first.is_some()
            };
            for (step, is_committed) in steps {
                match step {
                    0 => newest += 1,
                    1 | 2 if decided < newest => {
                        decided += 1;
                        untold.extend(is_committed.then_some(decided));
                        let is_asked = news.decided(decided, is_committed);
                        prop_assert!(is_asked || !waited);
                        asked += usize::from(is_asked);
                        waited = false;
                    }
                    3 if asked > 0 => {
                        asked -= 1;
                        let told = come(newest, &mut untold);
                        waited = !told && !untold.is_empty();
                        prop_assert!(!waited || newest > decided);
                    }
                    _ => {}
                }
            }
            while decided < newest {
                decided += 1;
                untold.push(decided);
                asked += usize::from(news.decided(decided, true));
            }
            for _ in 0..asked {
                come(newest, &mut untold);
            }
            prop_assert!(untold.is_empty());
        }
    }
}
