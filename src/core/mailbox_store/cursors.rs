//! Cursors that moved and are not written yet.
//!
//! A client that acknowledges each message moves its cursors each time, and only where they stand in
//! the end matters. They are gathered here and written together within [`WRITE_AFTER`], at
//! [`MAX_MOVED`], when a session ends, and before anybody reads them. What a crash takes of them
//! means messages that come twice, with the same id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::db::{DbError, Statement};

use super::{Mailbox, sql};

/// How long a cursor that moved may be unwritten.
const WRITE_AFTER: Duration = Duration::from_millis(100);

/// Cursors that wait; at the bound they are written at once.
const MAX_MOVED: usize = 1024;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Cursors {
    /// By account; few of one have more than two.
    moved: BTreeMap<i64, Vec<Moved>>,
    /// How many in all.
    count: usize,
    /// Whether a task is there that will write them.
    is_awaited: bool,
    /// Writes under way.
    writing: usize,
}

/// The cursor of a device, or with an empty key of its account.
struct Moved {
    account: i64,
    key: Box<str>,
    cursor: i64,
    seen_at_ms: i64,
}

impl Cursors {
    fn advance(&mut self, account: i64, key: &str, cursor: i64, seen_at_ms: i64) {
        let moved = self.moved.entry(account).or_default();
        match moved.iter_mut().find(|moved| *moved.key == *key) {
            Some(moved) if moved.cursor < cursor => {
                (moved.cursor, moved.seen_at_ms) = (cursor, seen_at_ms);
            }
            Some(_) => {}
            None => {
                moved.reserve_exact(1);
                moved.push(Moved {
                    account,
                    key: key.into(),
                    cursor,
                    seen_at_ms,
                });
                self.count += 1;
            }
        }
    }

    /// What is to be written for one account; nothing of it waits any more.
    fn take_of(&mut self, account: i64) -> Vec<Moved> {
        let moved = self.moved.remove(&account).unwrap_or_default();
        self.count -= moved.len();
        moved
    }

    /// What is to be written, in the order of the table.
    fn take(&mut self) -> Vec<Moved> {
        self.count = 0;
        let accounts = std::mem::take(&mut self.moved).into_values();
        accounts.flatten().collect()
    }

    /// How far a device has come by what waits; `None`: nothing of it does.
    pub(super) fn of(&self, account: i64, key: &str) -> Option<i64> {
        let mut moved = self.moved.get(&account)?.iter();
        let found = moved.find(|moved| *moved.key == *key);
        found.map(|moved| moved.cursor)
    }

    /// What could not be written, on a full disk perhaps, waits for the next time.
    fn put_back(&mut self, moved: &[Moved], error: &DbError) {
        tracing::warn!(%error, "cursors could not be written and wait");
        for one in moved {
            self.advance(one.account, &one.key, one.cursor, one.seen_at_ms);
        }
    }

    /// Whether the table may be behind, of this account or, with `None`, of any.
    fn is_ahead(&self, account: Option<i64>) -> bool {
        self.writing > 0
            || account.map_or(self.count > 0, |account| self.moved.contains_key(&account))
    }
}

impl Moved {
    fn write(&self) -> Statement {
        let key = (&*self.key).into();
        let params = [
            self.account.into(),
            key,
            self.cursor.into(),
            self.seen_at_ms.into(),
        ];
        Statement::new(sql::ACKNOWLEDGE, params)
    }
}

impl Mailbox {
    /// Moves the cursors of an account and of a device of it, where they are not that far yet.
    /// `None`: the client is no device that could be known again. A device that was forgotten is
    /// there again, and may be one too many until the next registers. Every id up to `cursor` must
    /// have been given out.
    ///
    /// It is written within [`WRITE_AFTER`], or at [`write_cursors`](Self::write_cursors). To be called
    /// within the runtime.
    pub fn acknowledge(&self, account: i64, key: Option<&str>, cursor: i64, seen_at_ms: i64) {
        let mut cursors = self.0.cursors.lock();
        cursors.advance(account, "", cursor, seen_at_ms);
        if let Some(key) = key {
            cursors.advance(account, key, cursor, seen_at_ms);
        }
        if cursors.count >= MAX_MOVED {
            let moved = cursors.take();
            self.submit_cursors(&mut cursors, moved);
        } else if !cursors.is_awaited {
            cursors.is_awaited = true;
            let mailbox = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(WRITE_AFTER).await;
                mailbox.0.cursors.lock().is_awaited = false;
                mailbox.write_cursors();
            });
        }
    }

    /// Puts all cursors that moved into the queue of the writer.
    pub fn write_cursors(&self) {
        let mut cursors = self.0.cursors.lock();
        let moved = cursors.take();
        self.submit_cursors(&mut cursors, moved);
    }

    /// Puts those of one account into the queue of the writer.
    pub fn write_cursors_of(&self, account: i64) {
        let mut cursors = self.0.cursors.lock();
        let moved = cursors.take_of(account);
        self.submit_cursors(&mut cursors, moved);
    }

    /// An account is removed: nothing of it is to be written.
    pub(super) fn forget_cursors_of(&self, account: i64) {
        self.0.cursors.lock().take_of(account);
    }

    /// Waits until the table has what moved so far: of an account, or with `None` of all.
    pub(super) async fn settle_cursors(&self, account: Option<i64>) -> Result<(), DbError> {
        let is_ahead = self.0.cursors.lock().is_ahead(account);
        if is_ahead {
            self.write_cursors();
            self.0.database.batch(Vec::new()).await?;
        }
        Ok(())
    }

    fn submit_cursors(&self, cursors: &mut Cursors, moved: Vec<Moved>) {
        if moved.is_empty() {
            return;
        }
        let statements = moved.iter().map(Moved::write).collect();
        let moved = Arc::new(moved);
        let (mailbox, own) = (self.clone(), Arc::clone(&moved));
        let done = move |result: Result<(), DbError>| {
            let mut cursors = mailbox.0.cursors.lock();
            cursors.writing -= 1;
            if let Err(error) = result {
                cursors.put_back(&own, &error);
            }
        };
        match self.0.database.submit_with(statements, done) {
            Ok(()) => cursors.writing += 1,
            Err(error) => cursors.put_back(&moved, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_waits_and_does_not_go_back() {
        let mut cursors = Cursors::default();
        cursors.advance(1, "", 10, 0);
        cursors.advance(1, "phone", 10, 0);
        let moved = cursors.take();
        assert_eq!((moved.len(), cursors.count), (2, 0));
        assert!(!cursors.is_ahead(None));
        cursors.advance(1, "phone", 20, 0);
        cursors.put_back(&moved, &DbError::Unexpected("a full disk"));
        assert!(cursors.is_ahead(Some(1)));
        assert_eq!(cursors.of(1, ""), Some(10));
        assert_eq!(cursors.of(1, "phone"), Some(20));
        assert_eq!(cursors.count, 2);
        assert_eq!(cursors.take_of(1).len(), 2);
        assert_eq!(cursors.of(1, ""), None);
    }
}
