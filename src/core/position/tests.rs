use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn what_comes_by_name_does_not_cover_what_waits() {
    let mut position = Position::at(10);
    // 11 waits in the mailbox; 12 is for this resource.
    assert_eq!(position.hand(12, false), Handing::Now { in_order: false });
    position.begin([], true);
    assert_eq!(position.next(), Some(Next::Page(10)));
    assert!(position.reached(11));
    assert!(!position.reached(12), "it has that");
    position.finish(12);
    assert!(!position.is_draining());
    assert_eq!(position.hand(13, true), Handing::Now { in_order: true });
    position.acknowledged(11);
    assert_eq!((position.cursor(), position.handed()), (11, 13));
}

#[test]
fn a_session_without_pages_gets_what_is_its_own() {
    let mut position = Position::at(1);
    assert_eq!(position.hand(2, true), Handing::Now { in_order: true });
    position.rewind([], false);
    // It sleeps: what was given may come to be given again, before what comes now.
    assert_eq!(position.hand(3, true), Handing::Later);
    position.pause();
    position.begin([2], false);
    assert_eq!(position.next(), Some(Next::Named(vec![2, 3])));
    position.gave_named(&[2, 3]);
    assert_eq!(position.next(), None);
    assert!(!position.is_draining());
    position.rewind([], false);
    position.pause();
    assert!(!position.is_draining(), "there is nothing to give by name");
}

#[test]
fn what_the_pages_come_to_is_not_given_before_older_rows() {
    let mut position = Position::at(10);
    // 12 was for this resource and not sent when the connection broke; 11 is older.
    assert_eq!(position.hand(12, false), Handing::Now { in_order: false });
    position.rewind([12, 9], true);
    assert_eq!(position.next(), Some(Next::Named(vec![9])));
    position.gave_named(&[9]);
    assert_eq!(position.next(), Some(Next::Page(10)));
    assert!(position.reached(11));
    assert!(position.reached(12), "it was not sent");
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut position = Position::at(0);
    let rows: Vec<i64> = (1..=3000).collect();
    for row in &rows {
        position.hand(*row, false);
    }
    assert_eq!(
        position.ahead.as_ref().map_or(0, |ahead| ahead.rows.len()),
        MAX_AHEAD
    );
    position.begin(rows, false);
    assert_eq!(position.named().len(), MAX_AHEAD);
}

#[derive(Clone, Debug)]
enum Step {
    /// A row is stored; whether it is for this resource by name.
    Arrive(bool),
    Take,
    Pause,
    Drain,
    Acknowledge(usize),
    /// The connection breaks, and the client resumes and acknowledges so many then. What is stored
    /// meanwhile, each row with whether it is for this resource by name.
    Break(usize, Vec<bool>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<bool>().prop_map(Step::Arrive),
        2 => Just(Step::Take),
        1 => Just(Step::Pause),
        5 => Just(Step::Drain),
        4 => (0usize..4).prop_map(Step::Acknowledge),
        1 => (0usize..4, prop::collection::vec(any::<bool>(), 0..3))
            .prop_map(|(count, meanwhile)| Step::Break(count, meanwhile)),
    ]
}

/// A session, its client, and the mailbox of its account.
#[derive(Default)]
struct World {
    position: Position,
    takes: bool,
    newest: i64,
    /// Given and not acknowledged, in order; whether in the order of the rows.
    given: Vec<(i64, bool)>,
    acknowledged: BTreeSet<i64>,
}

impl World {
    fn give(&mut self, row: i64, in_order: bool) {
        let given = self.given.iter().any(|(known, _)| *known == row);
        assert!(!given, "{row} comes twice");
        assert!(!self.acknowledged.contains(&row), "{row} comes again");
        self.given.push((row, in_order));
    }

    fn arrive(&mut self, by_name: bool) {
        let is_gapless = self.takes || self.position.handed() == self.newest;
        self.newest += 1;
        if !(self.takes || by_name) {
            return;
        }
        if let Handing::Now { in_order } = self.position.hand(self.newest, is_gapless) {
            self.give(self.newest, in_order);
        }
    }

    fn drain(&mut self) {
        match self.position.next() {
            Some(Next::Named(rows)) => {
                self.position.gave_named(&rows);
                rows.into_iter().for_each(|row| self.give(row, false));
            }
            Some(Next::Page(after)) if after >= self.newest => self.position.finish(self.newest),
            Some(Next::Page(after)) => {
                for row in after + 1..=self.newest.min(after + 2) {
                    if self.position.reached(row) {
                        self.give(row, true);
                    }
                }
            }
            None => {}
        }
    }

    fn acknowledge(&mut self, count: usize) {
        let taken: Vec<_> = self.given.drain(..count.min(self.given.len())).collect();
        for (row, _) in taken.iter().filter(|(_, in_order)| !in_order) {
            self.position.took(*row);
        }
        let in_order = taken.iter().filter(|(_, in_order)| *in_order);
        if let Some(last) = in_order.map(|(row, _)| *row).max() {
            self.position.acknowledged(last);
        }
        self.acknowledged.extend(taken.iter().map(|(row, _)| row));
    }

    /// The connection breaks and the client resumes.
    fn break_and_resume(&mut self, count: usize, meanwhile: &[bool]) {
        self.position.rewind([], self.takes);
        meanwhile.iter().for_each(|by_name| self.arrive(*by_name));
        self.acknowledge(count);
        let cursor = self.position.cursor();
        let takes = self.takes;
        let again: Vec<_> = self.given.drain(..).collect();
        let all: Vec<i64> = again.iter().map(|(row, _)| *row).collect();
        self.position.pause();
        self.position.forget(&all);
        let by_name = |(row, in_order): &&(i64, bool)| !(takes && (*in_order || *row > cursor));
        let named = again.iter().filter(by_name).map(|(row, _)| *row);
        self.position.begin(named, takes);
    }
}

proptest! {
    /// Whatever comes in whatever way: nothing comes twice on a connection, the cursor covers only
    /// what was acknowledged, and in the end the client has everything.
    #[test]
    fn every_row_comes_once(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Arrive(by_name) => world.arrive(by_name),
                Step::Take if !world.takes => {
                    world.takes = true;
                    world.position.begin([], true);
                }
                Step::Pause => {
                    world.takes = false;
                    world.position.pause();
                }
                Step::Drain => world.drain(),
                Step::Acknowledge(count) => world.acknowledge(count),
                Step::Break(count, meanwhile) => world.break_and_resume(count, &meanwhile),
                Step::Take => {}
            }
            let covered = 1..=world.position.cursor();
            for row in covered {
                prop_assert!(world.acknowledged.contains(&row), "{} is not acknowledged", row);
            }
        }
        world.position.begin([], true);
        while world.position.is_draining() {
            world.drain();
        }
        world.acknowledge(usize::MAX);
        prop_assert_eq!(world.acknowledged.len() as i64, world.newest);
        prop_assert_eq!(world.position.cursor(), world.newest);
    }
}
