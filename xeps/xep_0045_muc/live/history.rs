//! What somebody who enters is shown of the past (§7.2.13, §7.2.14).

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::clock::Timestamp;
use waxwing_core::db::DbError;
use waxwing_core::mailbox_store::id_at;
use waxwing_core::position::Position;
use waxwing_core::session::Session;

use super::Live;
use crate::xep_0045_muc::effect::History;

impl Live {
    /// Finds where the log begins for a session that has just entered, after which it is given it:
    /// at what it is owed, whatever it wishes, or earlier.
    pub async fn begin(
        &self,
        exchange: &Arc<Exchange>,
        session: &Arc<Session>,
        wish: History,
    ) -> Result<(), DbError> {
        let usual = {
            let inner = self.inner.lock();
            usize::from(inner.room.config().history)
        };
        let limit = limit(wish, usual);
        // What was said so far must be committed to be found.
        exchange.database.batch(Vec::new()).await?;
        let latest = match limit {
            0 => Vec::new(),
            limit => exchange.mailbox.latest(self.id, limit).await?,
        };
        let since = since(wish, exchange.now());
        let shown = fitting(&latest, wish.max_chars, since);
        let mut inner = self.inner.lock();
        let Some(seat) = inner.seats.get_mut(session.reference.id) else {
            return Ok(());
        };
        let before = |first: &i64| *first <= seat.position.handed();
        if let Some(first) = shown.filter(before) {
            seat.reposition(|position| {
                *position = Position::at(first - 1);
                position.begin([], true);
            });
        }
        Ok(())
    }
}

/// How many messages are looked at: as many as the room shows, or fewer.
fn limit(wish: History, usual: usize) -> usize {
    if wish.max_chars == Some(0) || wish.seconds == Some(0) {
        return 0;
    }
    let wanted = wish
        .max_stanzas
        .map(|max| usize::try_from(max).unwrap_or(usual));
    wanted.unwrap_or(usual).min(usual)
}

fn since(wish: History, now: Timestamp) -> i64 {
    let seconds = wish.seconds.map(|seconds| {
        let past = i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        now.0.saturating_sub(past)
    });
    let since = wish.since.map(|since| since.0);
    id_at(seconds.max(since).unwrap_or(0))
}

/// The oldest of the rows, given with their sizes oldest first, that is to be shown; `None`: none.
fn fitting(rows: &[(i64, u64)], max_chars: Option<u64>, since: i64) -> Option<i64> {
    let mut left = max_chars.unwrap_or(u64::MAX);
    let mut first = None;
    for (row, size) in rows.iter().rev() {
        if *row < since || *size > left {
            break;
        }
        left -= size;
        first = Some(*row);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_only_narrows_what_is_shown() {
        let wish = |max_stanzas, max_chars, seconds| History {
            max_stanzas,
            max_chars,
            seconds,
            since: None,
        };
        assert_eq!(limit(History::default(), 20), 20);
        assert_eq!(limit(wish(Some(0), None, None), 20), 0);
        assert_eq!(limit(wish(Some(5), None, None), 20), 5);
        assert_eq!(limit(wish(Some(u64::MAX), None, None), 20), 20);
        assert_eq!(limit(wish(None, Some(0), None), 20), 0);
        assert_eq!(limit(wish(None, Some(100), None), 20), 20);
        let rows = [(10, 50), (20, 50), (30, 50)];
        assert_eq!(fitting(&rows, None, 0), Some(10));
        assert_eq!(fitting(&rows, Some(100), 0), Some(20));
        assert_eq!(fitting(&rows, Some(49), 0), None);
        assert_eq!(fitting(&rows, None, 25), Some(30));
        assert_eq!(fitting(&[], None, 0), None);
    }
}
