//! From the rows of an archive to a page, as a value: it says what to read next, and is given it.

use std::collections::VecDeque;

use waxwing_core::mailbox_store::{Filter, Piece, StoredRow};
use waxwing_xmpp::dom::escape_attr;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use super::query::Wish;

/// Rows that are read at a time.
const CHUNK: usize = 64;
/// Bytes of them, but for one that is larger.
pub(super) const PIECE_BYTES: usize = 256 * 1024;
/// Rows that one query may look at where not all of them match.
const LOOKED_AT: usize = 16_384;
/// Their bytes.
const LOOKED_AT_BYTES: usize = 16 * 1024 * 1024;
/// What a result takes besides the message in it, its addresses and its `queryid`.
const AROUND: usize = 512;

/// A search on its way.
pub(super) struct Walk {
    /// What to read next.
    pub(super) filter: Filter,
    /// Whether from its end.
    pub(super) is_backwards: bool,
    test: Option<Test>,
    size: usize,
    room: usize,
    around: usize,
    found: VecDeque<StoredRow>,
    bytes: usize,
    looked_at: usize,
    looked_at_bytes: usize,
    end: Option<End>,
}

/// Why a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There is nothing more.
    Exhausted,
    /// The page is full, and there is more.
    Full,
    /// More rows were looked at than one query may.
    Tired,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Page {
    /// Oldest first.
    pub(super) rows: Vec<StoredRow>,
    /// Whether there is nothing beyond, in the direction of the paging.
    pub(super) is_complete: bool,
}

impl Walk {
    /// A search in the archive of `owner`, a bare JID, for results to the session `reader` of at most
    /// `room` bytes; one result is always allowed.
    pub(super) fn new(wish: &Wish, owner: &Jid, reader: &Jid, room: usize) -> Walk {
        // The archive knows who is bare; what it does not know is looked for in the messages.
        let is_looked_for = |with: &&Jid| with.is_full() || !wish.ids.is_empty();
        Walk {
            filter: wish.page_filter(),
            is_backwards: wish.page.start.is_backwards(),
            test: wish.with.as_ref().filter(is_looked_for).map(|with| Test {
                with: with.clone(),
                owner: owner.to_string(),
            }),
            size: wish.size(),
            room,
            around: AROUND
                + escape_attr(owner.as_str()).len()
                + escape_attr(reader.as_str()).len()
                + wish
                    .queryid
                    .as_deref()
                    .map_or(0, |id| escape_attr(id).len()),
            found: VecDeque::new(),
            bytes: 0,
            looked_at: 0,
            looked_at_bytes: 0,
            end: None,
        }
    }

    /// How many rows are to be read next by the filter; `None`: it is over.
    pub(super) fn asks_for(&self) -> Option<usize> {
        if self.end.is_some() {
            return None;
        }
        // One more than is missing shows whether there is more.
        let missing = self.size - self.found.len() + 1;
        Some(if self.test.is_some() {
            CHUNK
        } else {
            missing.min(CHUNK)
        })
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, Piece { rows, is_last }: Piece) {
        if self.is_backwards {
            rows.into_iter().rev().for_each(|row| self.look_at(row));
        } else {
            rows.into_iter().for_each(|row| self.look_at(row));
        }
        if self.end.is_none() {
            if is_last {
                self.end = Some(End::Exhausted);
            } else if self.is_tired() {
                self.end = Some(End::Tired);
            }
        }
    }

    fn is_tired(&self) -> bool {
        let has_bound = self.test.is_some();
        has_bound && (self.looked_at >= LOOKED_AT || self.looked_at_bytes >= LOOKED_AT_BYTES)
    }

    fn look_at(&mut self, row: StoredRow) {
        if self.end.is_some() {
            return;
        }
        if self.is_backwards {
            self.filter.before = row.id;
        } else {
            self.filter.after = row.id;
        }
        self.looked_at += 1;
        self.looked_at_bytes += row.body.len();
        if self.test.as_ref().is_some_and(|test| !test.passes(&row)) {
            return;
        }
        let bytes = self.bytes + row.body.len() + self.around;
        let is_full = self.found.len() >= self.size || bytes > self.room;
        if is_full && !self.found.is_empty() {
            self.end = Some(End::Full);
            return;
        }
        self.bytes = bytes;
        if self.is_backwards {
            self.found.push_front(row);
        } else {
            self.found.push_back(row);
        }
    }

    /// The page, once it is over.
    ///
    /// # Errors
    /// `resource-constraint` if it gave up without a result: the client could not go on from an
    /// empty page.
    pub(super) fn page(self) -> Result<Page, StanzaError> {
        if self.found.is_empty() && self.end == Some(End::Tired) {
            return Err(StanzaError::resource_constraint()
                .with_text("nothing was found for long; ask for the bare address"));
        }
        Ok(Page {
            rows: self.found.into(),
            is_complete: self.end == Some(End::Exhausted),
        })
    }
}

/// Takes the ids of the rows to be read next off those that are wanted, which are given with their
/// bytes, oldest first.
pub(super) fn piece(wanted: &mut VecDeque<(i64, u64)>, is_backwards: bool) -> Vec<i64> {
    let (mut ids, mut bytes) = (Vec::new(), 0);
    while let Some((id, size)) = if is_backwards {
        wanted.back().copied()
    } else {
        wanted.front().copied()
    } {
        bytes += size;
        if !ids.is_empty() && bytes > PIECE_BYTES as u64 {
            break;
        }
        ids.push(id);
        if is_backwards {
            wanted.pop_back();
        } else {
            wanted.pop_front();
        }
    }
    ids
}

/// §4.1.1, for an address that the index does not tell apart.
struct Test {
    with: Jid,
    owner: String,
}

impl Test {
    fn passes(&self, row: &StoredRow) -> bool {
        let from = Jid::parse_tolerant(&row.from).ok();
        let to = Stanza::parse(row.body.clone())
            .ok()
            .and_then(|stanza| Jid::parse_tolerant(&stanza.to()?).ok());
        let is = |jid: &Option<Jid>| {
            jid.as_ref().is_some_and(|jid| {
                *jid == self.with || (self.with.is_bare() && jid.bare() == self.with.as_str())
            })
        };
        // Everything is from or to the owner: its own address means what it wrote to itself.
        let own = |jid: &Option<Jid>| jid.as_ref().is_none_or(|jid| jid.bare() == self.owner);
        (is(&from) || is(&to)) && (self.with.bare() != self.owner || (own(&from) && own(&to)))
    }
}

#[cfg(test)]
mod tests;
