//! How much there is, for people and for metrics.

use crate::db::DbError;

use super::rows::TIME_SHIFT;
use super::{Mailbox, sql, unsigned};

/// What is owed to all accounts and acknowledged by none of their devices.
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
    /// Counts over all accounts what is committed. Costs as much as there are accounts with rows,
    /// undelivered messages, and rows that are not indexed yet: for once in a while.
    pub async fn stats(&self) -> Result<Stats, DbError> {
        self.settle_cursors(None).await?;
        let rows = self.0.database.query(sql::TOTAL, Vec::new()).await?;
        let row = rows
            .first()
            .ok_or(DbError::unexpected("sum of the mailboxes"))?;
        Ok(Stats {
            count: unsigned(row, 0)?,
            bytes: unsigned(row, 1)?,
            oldest_ms: row.opt_int(2)?.map(|id| id >> TIME_SHIFT),
        })
    }
}
