//! Cursors that moved and are not written yet.
//!
//! A client that acknowledges each message moves its cursors each time, and only where they stand in
//! the end matters. They are gathered here and written together within [`WRITE_AFTER`], at
//! [`MAX_MOVED`], when a session ends, and before anybody reads them. What a crash takes of them
//! means messages that come twice, with the same id.

use std::collections::BTreeMap;
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
                    key: key.into(),
                    cursor,
                    seen_at_ms,
                });
                self.count += 1;
            }
        }
    }

    /// What is to be written for one account; nothing of it waits any more.
    fn take_of(&mut self, account: i64) -> Vec<Statement> {
        let moved = self.moved.remove(&account).unwrap_or_default();
        self.count -= moved.len();
        moved.iter().map(|moved| moved.write(account)).collect()
    }

    /// What is to be written, in the order of the table.
    fn take(&mut self) -> Vec<Statement> {
        self.count = 0;
        let accounts = std::mem::take(&mut self.moved).into_iter();
        accounts
            .flat_map(|(account, moved)| moved.into_iter().map(move |moved| moved.write(account)))
            .collect()
    }

    /// Whether the table may be behind, of this account or, with `None`, of any.
    fn is_ahead(&self, account: Option<i64>) -> bool {
        self.writing > 0
            || account.map_or(self.count > 0, |account| self.moved.contains_key(&account))
    }
}

impl Moved {
    fn write(&self, account: i64) -> Statement {
        let key = (&*self.key).into();
        let params = [
            account.into(),
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
            let statements = cursors.take();
            self.submit_cursors(&mut cursors, statements);
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
        let statements = cursors.take();
        self.submit_cursors(&mut cursors, statements);
    }

    /// Puts those of one account into the queue of the writer.
    pub fn write_cursors_of(&self, account: i64) {
        let mut cursors = self.0.cursors.lock();
        let statements = cursors.take_of(account);
        self.submit_cursors(&mut cursors, statements);
    }

    /// Hands out what is to be written for one account, to be written by the caller or, if that
    /// account is removed, by nobody.
    pub(super) fn take_cursors_of(&self, account: i64) -> Vec<Statement> {
        self.0.cursors.lock().take_of(account)
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

    fn submit_cursors(&self, cursors: &mut Cursors, statements: Vec<Statement>) {
        if statements.is_empty() {
            return;
        }
        let mailbox = self.clone();
        let done = move |result: Result<(), DbError>| {
            mailbox.0.cursors.lock().writing -= 1;
            report(result);
        };
        match self.0.database.submit_with(statements, done) {
            Ok(()) => cursors.writing += 1,
            Err(error) => report(Err(error)),
        }
    }
}

fn report(result: Result<(), DbError>) {
    if let Err(error) = result {
        tracing::error!(%error, "cursors could not be written: messages may come twice");
    }
}
