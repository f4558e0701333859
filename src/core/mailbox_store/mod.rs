//! The mailbox: messages of all accounts that wait for their recipients, in the database.
//!
//! Rows are appended to one table under an id that this module gives out in the order of the calls,
//! which is the order of the commits too. Nothing else is written before the sender is
//! acknowledged: the index by account is filled behind the commits, sorted, in larger pieces
//! ([`index`]). What is not indexed yet is known in memory, and found again at start by its id.
//! A message that is taken before its turn comes is never indexed at all.

mod index;
mod sql;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::db::{Database, DbError, Migrations, Pending, Row, Statement, Value};

use index::State;

pub use sweep::Stats;

/// The tables of the mailbox.
pub const MIGRATIONS: Migrations = Migrations {
    extension: "mailbox",
    steps: &[include_str!("../migrations/mailbox_1.sql")],
};

/// A message to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// The account it waits for.
    pub account: i64,
    /// The JID it came from.
    pub sender: String,
    /// When the server received it, in milliseconds since 1970.
    pub received_at_ms: i64,
    /// The stanza.
    pub body: Bytes,
}

/// A message that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Grows with every message; never given twice.
    pub id: i64,
    /// The JID it came from.
    pub sender: String,
    /// When the server received it, in milliseconds since 1970.
    pub received_at_ms: i64,
    /// The stanza.
    pub body: Bytes,
}

/// What an account keeps waiting, rows under way to the disk included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages.
    pub count: u64,
    /// Bytes of their stanzas.
    pub bytes: u64,
}

/// The mailbox of all accounts. Clones are the same mailbox; there must be one per database.
#[derive(Clone)]
pub struct Mailbox(Arc<Inner>);

struct Inner {
    database: Database,
    state: Mutex<State>,
    move_at: usize,
}

impl Mailbox {
    /// Takes up the mailbox of a database whose [`MIGRATIONS`] have run.
    pub async fn open(database: Database) -> Result<Mailbox, DbError> {
        Mailbox::open_with(database, index::MOVE_AT).await
    }

    /// As [`open`](Self::open); rows are indexed when `move_at` of them are not.
    async fn open_with(database: Database, move_at: usize) -> Result<Mailbox, DbError> {
        let state = Mutex::new(State::load(&database).await?);
        Ok(Mailbox(Arc::new(Inner {
            database,
            state,
            move_at,
        })))
    }

    /// Puts a message into the queue of the writer, without waiting, and returns its id. `done` is
    /// called on the writer's thread after the fsync, or with the failure, and so must be short; it
    /// is not called where this returns an error, such as [`DbError::Busy`] at the bound of the
    /// queue. Rows are committed in the order of the calls.
    pub fn append(
        &self,
        row: NewRow,
        done: impl FnOnce(Result<(), DbError>) + Send + 'static,
    ) -> Result<i64, DbError> {
        let account = row.account;
        let size = u32::try_from(row.body.len()).unwrap_or(u32::MAX);
        // The lock makes the order of the ids the order of the queue.
        let mut state = self.0.state.lock();
        self.reserve(&mut state);
        let id = state.next_id()?;
        let params = vec![
            id.into(),
            account.into(),
            size.into(),
            row.received_at_ms.into(),
            row.sender.into(),
            row.body.into(),
        ];
        let mailbox = self.clone();
        let settle = move |result: Result<(), DbError>| {
            mailbox.settled(account, id, result.is_ok());
            done(result);
        };
        self.0
            .database
            .submit_one_with(Statement::new(sql::APPEND, params), settle)?;
        state.appended(account, id, size);
        Ok(id)
    }

    /// Removes messages of an account; ids that are not there are passed over. It is queued at
    /// once, behind every earlier [`append`](Self::append), and need not be awaited: after a
    /// failure the messages are still there.
    pub fn remove(&self, account: i64, ids: Vec<i64>) -> Pending<()> {
        let (reply, pending) = oneshot::channel();
        let mailbox = self.clone();
        let state = self.0.state.lock();
        let statements = sql::removal(account, &ids, state.touched());
        let done = move |result: Result<(), DbError>| {
            if result.is_ok() {
                mailbox.0.state.lock().removed(account, &ids);
            }
            forward(reply, result);
        };
        // Under the lock still: a move must come wholly before this or wholly after it.
        let queued = self.0.database.submit_with(statements, done);
        drop(state);
        Pending::queued(queued, pending)
    }

    /// What waits for an account. Costs as much as it has messages.
    pub async fn usage(&self, account: i64) -> Result<Usage, DbError> {
        let (indexed, tail) = {
            let state = self.0.state.lock();
            (state.indexed_to(account), state.usage(account))
        };
        let rows = self
            .0
            .database
            .query(sql::USAGE, vec![account.into(), indexed.into()])
            .await?;
        let row = rows
            .first()
            .ok_or(DbError::unexpected("sum of a mailbox"))?;
        Ok(Usage {
            count: unsigned(row, 0)? + tail.count,
            bytes: unsigned(row, 1)? + tail.bytes,
        })
    }

    /// The next messages of an account with ids above `after`, oldest first: at most `limit`, and
    /// at most `max_bytes` of stanzas unless the first is larger by itself. Only what is committed.
    /// Empty: there is nothing more.
    pub async fn page(
        &self,
        account: i64,
        after: i64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredRow>, DbError> {
        let mut after = after;
        loop {
            let chosen = self.choose(account, after, limit, max_bytes).await?;
            let Some(last) = chosen.last().copied() else {
                return Ok(Vec::new());
            };
            let rows = self.bodies(&chosen).await?;
            if !rows.is_empty() {
                return Ok(rows.into_iter().map(|(_, row)| row).collect());
            }
            // All of these were removed between the two looks.
            after = last;
        }
    }

    /// The ids of a page.
    async fn choose(
        &self,
        account: i64,
        after: i64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<i64>, DbError> {
        let (indexed, tail) = {
            let state = self.0.state.lock();
            (
                state.indexed_to(account),
                state.committed_after(account, after, limit),
            )
        };
        let mut found = Vec::new();
        if after < indexed {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let params = vec![account.into(), after.into(), indexed.into(), limit.into()];
            for row in self.0.database.query(sql::INDEXED, params).await? {
                found.push((row.int(0)?, unsigned(&row, 1)?));
            }
        }
        found.extend(tail);
        let mut bytes = 0;
        let fits = |&(position, (_, size)): &(usize, (i64, u64))| {
            bytes += size;
            position == 0 || bytes <= max_bytes as u64
        };
        let page = found.into_iter().take(limit).enumerate().take_while(fits);
        Ok(page.map(|(_, (id, _))| id).collect())
    }

    /// The rows with these ids, with their accounts, in the order of the ids. Those that are gone
    /// are left out.
    async fn bodies(&self, ids: &[i64]) -> Result<Vec<(i64, StoredRow)>, DbError> {
        let mut found = BTreeMap::new();
        for chunk in sql::chunks(ids) {
            for row in self.0.database.query(sql::BODIES, chunk).await? {
                let (account, row) = stored(row)?;
                found.insert(row.id, (account, row));
            }
        }
        Ok(found.into_values().collect())
    }
}

/// Hands a result to whoever waits; a failure that nobody awaits goes to the log.
fn forward(reply: oneshot::Sender<Result<(), DbError>>, result: Result<(), DbError>) {
    if let Err(Err(error)) = reply.send(result) {
        tracing::error!(%error, "messages could not be removed and will be delivered again");
    }
}

fn unsigned(row: &Row, column: usize) -> Result<u64, DbError> {
    u64::try_from(row.int(column)?).map_err(|_| DbError::unexpected("size in a mailbox"))
}

/// The columns of [`sql::BODIES`]: account, id, sender, time, stanza.
fn stored(row: Row) -> Result<(i64, StoredRow), DbError> {
    let values = <[Value; 5]>::try_from(row.into_values());
    match values {
        Ok(
            [
                Value::Int(account),
                Value::Int(id),
                Value::Text(sender),
                Value::Int(received_at_ms),
                Value::Blob(body),
            ],
        ) => Ok((
            account,
            StoredRow {
                id,
                sender,
                received_at_ms,
                body,
            },
        )),
        _ => Err(DbError::unexpected("row of a mailbox")),
    }
}
