//! The move of rows into the index by account, and the numbers that say how far things are.
//!
//! For each account and kind the index is complete up to an id, and the *tail* has all entries above
//! it. A move takes the tail as it stands, in the order of the index, and enters it in pieces that
//! other writes can pass between; it ends by writing down the id up to which the index is now
//! complete. A crash in the middle leaves entries above that id, which are ignored, and entered
//! again without harm.

use std::sync::atomic::Ordering::Release;

use crate::db::{Database, DbError, Statement};

use super::rows::{Flags, id_at};
use super::tail::{Entry, Kind, Owners, Span, Tail, TailRow, Told};
use super::{Mailbox, Usage, sql, unsigned};

/// Rows in the tail at which a move begins.
pub(super) const MOVE_AT: usize = 65_536;

/// A piece is this part of the tail: large enough to be cheap, small enough to let others pass. It
/// grows with the tail, so that a move gains on any flood of new rows.
const PIECES: usize = 32;

/// Rows read at once when the tail is rebuilt.
const LOAD: i64 = 8192;

pub(super) struct State {
    /// The last id given out.
    last: i64,
    /// Every row up to here is committed, failed or removed.
    committed: i64,
    /// The index is complete up to here for every account.
    indexed: i64,
    /// Above this id there is no entry in the index.
    touched: i64,
    moving: Option<Move>,
    pub(super) tail: Tail,
}

struct Move {
    /// The id up to which rows are entered.
    up_to: i64,
    /// All entries of the tail up to this one are entered.
    done: Entry,
    /// Whether a piece is under way.
    running: bool,
}

struct Piece {
    entries: Vec<(Entry, Told)>,
    up_to: i64,
    last: bool,
}

/// The entries of one kind, as they stood at one moment.
pub(super) struct Part {
    pub(super) kind: Kind,
    /// The index is complete up to here.
    pub(super) bound: i64,
    /// Ids and bytes of the committed entries above.
    pub(super) tail: Vec<(i64, u64)>,
}

impl State {
    pub(super) async fn load(database: &Database) -> Result<State, DbError> {
        let indexed = number(database, sql::STATE, Some("indexed")).await?;
        let newest = number(database, sql::NEWEST, None).await?.max(indexed);
        // A row below a cursor would count as delivered, so no id is given out below one.
        let last = number(database, sql::NEWEST_CURSOR, None)
            .await?
            .max(newest);
        let mut tail = Tail::default();
        let mut after = indexed;
        loop {
            let rows = database
                .query(sql::BEYOND, vec![after.into(), LOAD.into()])
                .await?;
            let Some(newest) = rows.last() else { break };
            after = newest.int(0)?;
            for row in &rows {
                tail.push(&TailRow {
                    owners: Owners {
                        id: row.int(0)?,
                        recipient: row.int(1)?,
                        sender_account: row.int(2)?,
                        flags: Flags::stored(row.int(3)?)?,
                    },
                    peer_in: row.int(4)?,
                    peer_out: row.int(5)?,
                    size: u32::try_from(row.int(6)?).unwrap_or(u32::MAX),
                });
            }
        }
        Ok(State {
            last,
            committed: last,
            indexed,
            // A move that was cut short may have entered any of them.
            touched: newest,
            moving: None,
            tail,
        })
    }

    /// The id of a row that was accepted at that time: never below one that was given out.
    pub(super) fn next_id(&self, received_at_ms: i64) -> i64 {
        id_at(received_at_ms).max(self.last + 1)
    }

    pub(super) fn appended(&mut self, row: &TailRow) {
        self.last = row.owners.id;
        self.tail.push(row);
    }

    pub(super) fn touched(&self) -> i64 {
        self.touched
    }

    pub(super) fn committed(&self) -> i64 {
        self.committed
    }

    /// The id up to which the index is complete for an account and kind; the tail has what is above.
    fn bound(&self, account: i64, kind: Kind) -> i64 {
        match &self.moving {
            Some(Move { up_to, done, .. }) if (account, kind) < (done.0, done.1) => *up_to,
            Some(Move { done, .. }) if (account, kind) == (done.0, done.1) => {
                done.2.max(self.indexed)
            }
            _ => self.indexed,
        }
    }

    /// What is wanted of an account. No row that is still under way: a later one might be read
    /// without it.
    pub(super) fn parts(&self, account: i64, kinds: &[Kind], span: &Span) -> Vec<Part> {
        let part = |kind: &Kind| Part {
            kind: *kind,
            bound: self.bound(account, *kind),
            tail: self.tail.slice(account, *kind, span, self.committed),
        };
        kinds.iter().map(part).collect()
    }

    /// The id up to which the index is complete, and what the tail has above `after`, rows under way
    /// to the disk included.
    pub(super) fn usage(&self, account: i64, kind: Kind, after: i64) -> (i64, Usage) {
        let span = Span {
            after,
            before: i64::MAX,
            peer: None,
            backwards: false,
            limit: usize::MAX,
        };
        let rows = self.tail.slice(account, kind, &span, i64::MAX);
        let usage = Usage {
            count: rows.len() as u64,
            bytes: rows.iter().map(|(_, size)| size).sum(),
        };
        (self.bound(account, kind), usage)
    }

    /// The next piece of a move: the entries to make, oldest account first, and whether it is the
    /// last. Begins a move where the tail is `move_at` rows long.
    fn next_piece(&mut self, move_at: usize) -> Option<Piece> {
        if self.moving.is_none() && self.tail.len() >= move_at {
            self.touched = self.touched.max(self.committed);
            self.moving = Some(Move {
                up_to: self.committed,
                done: (i64::MIN, Kind::Received, 0),
                running: false,
            });
        }
        let limit = (self.tail.entry_count().max(move_at) / PIECES).max(1);
        let moving = self.moving.as_mut().filter(|moving| !moving.running)?;
        moving.running = true;
        let up_to = moving.up_to;
        let entries = self.tail.next(moving.done, up_to, limit);
        Some(Piece {
            last: entries.len() < limit,
            entries,
            up_to,
        })
    }

    /// A piece was committed or failed. After a failure it is tried again with the next commit.
    fn moved(&mut self, piece: &Piece, ok: bool) {
        let Some(moving) = &mut self.moving else {
            return;
        };
        moving.running = false;
        if !ok {
            return;
        }
        self.tail.entered(&piece.entries);
        if piece.last {
            self.indexed = piece.up_to;
            self.moving = None;
            self.tail.forget_up_to(piece.up_to);
        } else if let Some((entry, _)) = piece.entries.last() {
            moving.done = *entry;
        }
    }
}

impl Mailbox {
    /// An appended row is committed, or could not be.
    pub(super) fn settled(&self, id: i64, ok: bool) {
        let mut state = self.0.state.lock();
        if !ok {
            state.tail.remove(id);
        }
        state.committed = id;
        self.0.committed.store(id, Release);
        if ok {
            self.advance_move(&mut state);
        }
    }

    /// Puts the next piece of a move into the queue, if there is one and none is under way.
    fn advance_move(&self, state: &mut State) {
        let Some(piece) = state.next_piece(self.0.move_at) else {
            return;
        };
        // A removal that comes later finds the entries. One that is under way may have come before:
        // the table knows.
        let (doubtful, certain): (Vec<_>, Vec<_>) = piece
            .entries
            .iter()
            .partition(|((_, _, id), _)| state.tail.is_leaving(*id));
        let mut statements = sql::indexing(&certain, &doubtful);
        if piece.last {
            let up_to = piece.up_to.into();
            statements.push(Statement::new(sql::SET_STATE, ["indexed".into(), up_to]));
        }
        let mailbox = self.clone();
        let done = move |result: Result<(), DbError>| {
            let mut state = mailbox.0.state.lock();
            state.moved(&piece, result.is_ok());
            if result.is_ok() {
                mailbox.advance_move(&mut state);
            }
        };
        if self.0.database.submit_with(statements, done).is_err()
            && let Some(moving) = &mut state.moving
        {
            moving.running = false;
        }
    }
}

async fn number(
    database: &Database,
    sql: &'static str,
    name: Option<&str>,
) -> Result<i64, DbError> {
    let params = name.map(Into::into).into_iter().collect();
    let rows = database.query(sql, params).await?;
    let row = rows
        .first()
        .ok_or(DbError::unexpected("state of the mailbox"))?;
    unsigned(row, 0)?;
    row.int(0)
}
