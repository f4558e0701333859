//! Over all accounts: what waits too long, what goes with an account, and how much there is.

use tokio::sync::oneshot;

use crate::db::{DbError, Pending};

use super::{Mailbox, StoredRow, Usage, forward, sql, unsigned};

/// Rows that are looked at for those that wait too long.
const WINDOW: i64 = 4096;

/// How much waits in all mailboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages.
    pub count: u64,
    /// Bytes of their stanzas.
    pub bytes: u64,
    /// When the oldest was received, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

impl Mailbox {
    /// Up to `limit` messages that were received before `before_ms`, with their accounts, oldest
    /// first. They are sought among the few thousand lowest ids, for ids grow with time.
    pub async fn expired(
        &self,
        before_ms: i64,
        limit: usize,
    ) -> Result<Vec<(i64, StoredRow)>, DbError> {
        let mut ids = Vec::new();
        for row in self
            .0
            .database
            .query(sql::LOWEST, vec![WINDOW.into()])
            .await?
        {
            if row.int(1)? < before_ms && ids.len() < limit {
                ids.push(row.int(0)?);
            }
        }
        self.bodies(&ids).await
    }

    /// Removes all messages of an account that were appended before this call. Appending to it at
    /// the same time is the caller's to prevent.
    pub fn remove_account(&self, account: i64) -> Pending<()> {
        let (reply, pending) = oneshot::channel();
        let mailbox = self.clone();
        let state = self.0.state.lock();
        let up_to = state.last();
        let done = move |result: Result<(), DbError>| {
            if result.is_ok() {
                mailbox.0.state.lock().account_removed(account, up_to);
            }
            forward(reply, result);
        };
        let queued = self
            .0
            .database
            .submit_with(sql::account_removal(account), done);
        drop(state);
        Pending::queued(queued, pending)
    }

    /// Counts over all accounts. Reads the whole index (some 20 bytes a row): for people and for
    /// metrics once in a while.
    pub async fn stats(&self) -> Result<Stats, DbError> {
        let (indexed, tail) = self.0.state.lock().total();
        let params = indexed.map(Into::into).to_vec();
        let database = &self.0.database;
        let rows = database.query(sql::TOTAL, params).await?;
        let row = rows
            .first()
            .ok_or(DbError::unexpected("sum of the mailboxes"))?;
        let oldest = database.query(sql::OLDEST, Vec::new()).await?;
        let Usage { count, bytes } = tail;
        Ok(Stats {
            count: unsigned(row, 0)? + count,
            bytes: unsigned(row, 1)? + bytes,
            oldest_ms: oldest.first().map(|row| row.int(0)).transpose()?,
        })
    }
}
