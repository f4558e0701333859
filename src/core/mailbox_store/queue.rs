//! What is owed to the devices of an account.

use bytes::Bytes;

use crate::db::{DbError, Statement};

use super::read::ids;
use super::rows::{StoredRow, Usage};
use super::tail::{Kind, Span};
use super::{Mailbox, sql, unsigned};

impl Mailbox {
    /// What is owed to an account with ids above `after`. Costs as much as there are such messages.
    pub async fn usage(&self, account: i64, after: i64) -> Result<Usage, DbError> {
        let parts = {
            let state = self.0.state.lock();
            Kind::QUEUE.map(|kind| (kind, state.usage(account, kind, after)))
        };
        let mut sum = Usage::default();
        for (kind, (bound, tail)) in parts {
            let params = [account, kind as i64, after, bound].map(Into::into);
            let rows = self.0.database.query(sql::USAGE, params.to_vec()).await?;
            let row = rows
                .first()
                .ok_or(DbError::unexpected("sum of a mailbox"))?;
            sum.count += unsigned(row, 0)? + tail.count;
            sum.bytes += unsigned(row, 1)? + tail.bytes;
        }
        Ok(sum)
    }

    /// The next messages that are owed to an account, with ids above `after`, oldest first: at most
    /// `limit`, and at most `max_bytes` of stanzas unless the first is larger by itself. Only what
    /// is committed. Empty: there is nothing more.
    pub async fn page(
        &self,
        account: i64,
        after: i64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredRow>, DbError> {
        let mut after = after;
        loop {
            let span = Span::after(after, limit);
            let mut chosen = self.choose(account, &Kind::QUEUE, &span).await?;
            chosen.truncate(fitting(chosen.iter(), max_bytes));
            let Some((last, _)) = chosen.last().copied() else {
                return Ok(Vec::new());
            };
            let rows = self.bodies(&ids(&chosen)).await?;
            let rows: Vec<_> = rows
                .into_iter()
                .filter(|found| found.is_queued_for(account))
                .map(|found| found.row)
                .collect();
            if !rows.is_empty() {
                return Ok(rows);
            }
            // All of these were removed between the two looks.
            after = last;
        }
    }

    /// Ids and bytes of the last messages that are owed to an account, oldest first, at most `limit`.
    /// Only what is committed.
    pub async fn latest(&self, account: i64, limit: usize) -> Result<Vec<(i64, u64)>, DbError> {
        let span = Span {
            backwards: true,
            ..Span::after(0, limit)
        };
        self.choose(account, &Kind::QUEUE, &span).await
    }

    /// Puts another stanza in the place of one: of a message that was retracted nothing else stays.
    /// Its size counts as before.
    #[must_use]
    pub fn replacement(account: i64, id: i64, body: Bytes) -> Statement {
        Statement::new(sql::REPLACE, [id.into(), account.into(), body.into()])
    }

    /// Those of these rows that are owed to an account, in the order of their ids. Only what is
    /// committed.
    pub async fn queued(&self, account: i64, ids: &[i64]) -> Result<Vec<StoredRow>, DbError> {
        let rows = self.bodies(ids).await?.into_iter();
        let rows = rows.filter(|found| found.is_queued_for(account));
        Ok(rows.map(|found| found.row).collect())
    }
}

/// How many of these go within the bytes: the first always.
pub(super) fn fitting<'a>(rows: impl Iterator<Item = &'a (i64, u64)>, max_bytes: usize) -> usize {
    let mut bytes = 0;
    let fits = |(position, (_, size)): &(usize, &(i64, u64))| {
        bytes += size;
        *position == 0 || bytes <= max_bytes as u64
    };
    rows.enumerate().take_while(fits).count()
}
