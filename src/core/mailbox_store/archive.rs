//! What the archive of an account shows: what it received, and what it sent.

use crate::db::DbError;

use super::queue::fitting;
use super::read::ids;
use super::rows::{Flags, Sent, StoredRow, id_at};
use super::tail::{Kind, Span};
use super::{Mailbox, sql, unsigned};

/// Which rows of an archive are wanted. The default is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only those with this peer ([`peer_hash`](super::peer_hash)).
    pub with: Option<i64>,
    /// Only ids above this; 0: all.
    pub after: i64,
    /// Only ids below this; [`i64::MAX`]: all. [`id_at`] makes ids of times.
    pub before: i64,
}

impl Default for Filter {
    fn default() -> Self {
        Filter {
            with: None,
            after: 0,
            before: i64::MAX,
        }
    }
}

impl Filter {
    fn span(&self, backwards: bool, limit: usize) -> Span {
        Span {
            after: self.after,
            before: self.before,
            peer: self.with,
            backwards,
            limit,
        }
    }
}

/// A piece of an archive.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// Oldest first.
    pub rows: Vec<StoredRow>,
    /// Whether there are no more.
    pub is_last: bool,
}

impl Default for Piece {
    /// There is nothing.
    fn default() -> Self {
        Piece {
            rows: Vec::new(),
            is_last: true,
        }
    }
}

impl Mailbox {
    /// The first rows of an archive that pass the filter, or the last if `backwards`, at most
    /// `limit`; oldest first in both cases. Only what is committed. Fewer than `limit`: there are no
    /// more. The cost does not depend on the size of the archive.
    pub async fn archive_page(
        &self,
        account: i64,
        filter: &Filter,
        backwards: bool,
        limit: usize,
    ) -> Result<Vec<StoredRow>, DbError> {
        let mut rest = *filter;
        let mut page = Vec::new();
        loop {
            let missing = limit - page.len();
            let piece = self.archive_piece(account, &rest, backwards, missing, usize::MAX);
            let Piece { mut rows, is_last } = piece.await?;
            if backwards {
                rest.before = rows.first().map_or(rest.before, |row| row.id);
                rows.append(&mut page);
                page = rows;
            } else {
                rest.after = rows.last().map_or(rest.after, |row| row.id);
                page.append(&mut rows);
            }
            // Some may have been removed between the two looks.
            if is_last || page.len() == limit {
                return Ok(page);
            }
        }
    }

    /// As many of these rows as have `max_bytes` of stanzas together, and one at least.
    pub async fn archive_piece(
        &self,
        account: i64,
        filter: &Filter,
        backwards: bool,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Piece, DbError> {
        let mut span = filter.span(backwards, limit);
        loop {
            let mut chosen = self.choose(account, &Kind::ARCHIVE, &span).await?;
            let (Some(oldest), Some(newest)) = (chosen.first().copied(), chosen.last().copied())
            else {
                return Ok(Piece::default());
            };
            let mut is_last = chosen.len() < limit;
            if span.peer.is_some() {
                // The index of peers does not know them.
                chosen = self.archive_sizes(account, &ids(&chosen)).await?;
            }
            let found = chosen.len();
            if backwards {
                chosen.drain(..found - fitting(chosen.iter().rev(), max_bytes));
            } else {
                chosen.truncate(fitting(chosen.iter(), max_bytes));
            }
            is_last &= chosen.len() == found;
            let rows = self.shown(account, &ids(&chosen)).await?;
            if is_last || !rows.is_empty() {
                return Ok(Piece { rows, is_last });
            }
            // All of these were removed between the looks.
            if backwards {
                span.before = chosen.first().map_or(oldest.0, |row| row.0);
            } else {
                span.after = chosen.last().map_or(newest.0, |row| row.0);
            }
        }
    }

    /// How many rows of an archive pass the filter. Counting stops at `at_most` and costs as much as
    /// it comes to.
    pub async fn archive_count(
        &self,
        account: i64,
        filter: &Filter,
        at_most: u64,
    ) -> Result<u64, DbError> {
        let span = filter.span(false, usize::try_from(at_most).unwrap_or(usize::MAX));
        let parts = self.0.state.lock().parts(account, &Kind::ARCHIVE, &span);
        let mut count: u64 = parts.iter().map(|part| part.tail.len() as u64).sum();
        let queries = match span.peer {
            Some(peer) => vec![(sql::WITH_COUNT, span.params_with(account, peer, &parts))],
            None => parts
                .iter()
                .filter_map(|part| Some((sql::COUNT, span.params(account, part)?)))
                .collect(),
        };
        for (sql, params) in queries {
            if count >= at_most {
                break;
            }
            let rows = self.0.database.query(sql, params).await?;
            let row = rows
                .first()
                .ok_or(DbError::unexpected("count of an archive"))?;
            count += unsigned(row, 0)?;
        }
        Ok(count.min(at_most))
    }

    /// Those of the rows with these ids that the archive of the account shows, oldest first.
    pub async fn archive_rows(&self, account: i64, ids: &[i64]) -> Result<Vec<StoredRow>, DbError> {
        self.shown(account, ids).await
    }

    /// Ids and bytes of those of the rows with these ids that the archive of the account shows,
    /// oldest first. Their stanzas are not read.
    pub async fn archive_sizes(
        &self,
        account: i64,
        ids: &[i64],
    ) -> Result<Vec<(i64, u64)>, DbError> {
        let mut sizes = Vec::new();
        for chunk in sql::chunks(ids) {
            for row in self.0.database.query(sql::SIZES, chunk).await? {
                let (recipient, sender) = (row.int(1)?, row.int(2)?);
                if Flags::stored(row.int(3)?)?.shows(account, recipient, sender) {
                    sizes.push((row.int(0)?, unsigned(&row, 4)?));
                }
            }
        }
        sizes.sort_unstable();
        sizes.dedup();
        Ok(sizes)
    }

    /// The ids of the oldest and the newest row of an archive; `None`: it is empty.
    pub async fn archive_ends(&self, account: i64) -> Result<Option<(i64, i64)>, DbError> {
        let mut ends = [None; 2];
        for (end, backwards) in ends.iter_mut().zip([false, true]) {
            let span = Filter::default().span(backwards, 1);
            let chosen = self.choose(account, &Kind::ARCHIVE, &span).await?;
            *end = chosen.first().map(|row| row.0);
        }
        let [first, last] = ends;
        Ok(first.zip(last))
    }

    /// What the account has sent since a moment (milliseconds since 1970), newest first, at most
    /// `limit`: by this a resend is recognised. Only what is committed.
    pub async fn recent_sent(
        &self,
        account: i64,
        since_ms: i64,
        limit: usize,
    ) -> Result<Vec<Sent>, DbError> {
        let span = Span {
            backwards: true,
            ..Span::after(id_at(since_ms) - 1, limit)
        };
        let chosen = self.choose(account, &Kind::OUTGOING, &span).await?;
        let mut sent = Vec::new();
        for chunk in sql::chunks(&ids(&chosen)) {
            for row in self.0.database.query(sql::SENT, chunk).await? {
                if row.int(1)? != account {
                    continue;
                }
                sent.push(Sent {
                    id: row.int(0)?,
                    key: row.int(2)?,
                    stream: row.int(3)?,
                    number: u32::try_from(row.int(4)?)
                        .map_err(|_| DbError::unexpected("number of a stanza"))?,
                });
            }
        }
        sent.sort_unstable_by_key(|sent| std::cmp::Reverse(sent.id));
        Ok(sent)
    }

    async fn shown(&self, account: i64, ids: &[i64]) -> Result<Vec<StoredRow>, DbError> {
        let found = self.bodies(ids).await?.into_iter();
        let shown = found.filter(|found| found.is_shown_to(account));
        Ok(shown.map(|found| found.row).collect())
    }
}
