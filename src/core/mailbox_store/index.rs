//! What is known of the mailbox in memory, and the move of rows into the index by account.
//!
//! For each account the index is complete up to an id, and this module knows all rows above it (the
//! *tail*). A move takes the tail as it stands, in the order of account and id, and enters it in
//! pieces that other writes can pass between; it ends by writing down the id up to which the index
//! is now complete. A crash in the middle leaves entries above that id, which are ignored, and
//! entered again without harm.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::db::{Database, DbError, Statement};

use super::{Mailbox, Usage, sql, unsigned};

/// Rows in the tail at which a move begins.
pub(super) const MOVE_AT: usize = 65_536;

/// A piece is this part of the tail: large enough to be cheap, small enough to let others pass. It
/// grows with the tail, so that a move gains on any flood of new rows: a commit takes 4 096 at most,
/// and a tail 128 times as long gives as many back.
const PIECES: usize = 128;

/// Rows read at once when the tail is rebuilt.
const LOAD: i64 = 8192;

/// Ids that are reserved ahead, so that none is given twice even if its row is gone by the next
/// start: a client may still acknowledge the old one.
const BLOCK: i64 = 1 << 20;

pub(super) struct State {
    /// The last id given out.
    last: i64,
    /// Ids up to here are never given out by a later start.
    reserved: i64,
    reserving: bool,
    /// Every row up to here is committed, failed or removed.
    committed: i64,
    /// The index is complete up to here for every account.
    indexed: i64,
    /// Above this id there is no entry in the index.
    touched: i64,
    moving: Option<Move>,
    /// (account, id) → bytes of the rows the index need not have.
    tail: BTreeMap<(i64, i64), u32>,
}

impl Usage {
    fn and(self, size: &u32) -> Usage {
        Usage {
            count: self.count + 1,
            bytes: self.bytes + u64::from(*size),
        }
    }
}

struct Move {
    /// The id up to which rows are entered.
    up_to: i64,
    /// All rows of the tail up to this account and id are entered.
    done: (i64, i64),
    /// Whether a piece is under way.
    running: bool,
}

impl State {
    pub(super) async fn load(database: &Database) -> Result<State, DbError> {
        let indexed = number(database, sql::STATE, Some("indexed")).await?;
        let newest = number(database, sql::NEWEST, None).await?.max(indexed);
        let last = number(database, sql::STATE, Some("reserved"))
            .await?
            .max(newest);
        let reserved = last + BLOCK;
        let reserve = Statement::new(sql::SET_STATE, ["reserved".into(), reserved.into()]);
        database.batch(vec![reserve]).await?;

        let mut tail = BTreeMap::new();
        let mut after = indexed;
        loop {
            let rows = database
                .query(sql::BEYOND, vec![after.into(), LOAD.into()])
                .await?;
            let Some(newest) = rows.last() else { break };
            after = newest.int(1)?;
            for row in &rows {
                let size = u32::try_from(row.int(2)?).unwrap_or(u32::MAX);
                tail.insert((row.int(0)?, row.int(1)?), size);
            }
        }
        Ok(State {
            last,
            reserved,
            reserving: false,
            committed: newest,
            indexed,
            // A move that was cut short may have entered any of them.
            touched: newest,
            moving: None,
            tail,
        })
    }

    /// The id of the next row. [`DbError::Busy`] where the ids that are safe to give out are used
    /// up, which is the case only if none could be reserved for half a million rows.
    pub(super) fn next_id(&self) -> Result<i64, DbError> {
        if self.last < self.reserved {
            Ok(self.last + 1)
        } else {
            Err(DbError::Busy)
        }
    }

    pub(super) fn appended(&mut self, account: i64, id: i64, size: u32) {
        self.last = id;
        self.tail.insert((account, id), size);
    }

    pub(super) fn removed(&mut self, account: i64, ids: &[i64]) {
        for id in ids {
            self.tail.remove(&(account, *id));
        }
    }

    pub(super) fn account_removed(&mut self, account: i64, up_to: i64) {
        let gone: Vec<_> = self
            .tail
            .range((account, 0)..=(account, up_to))
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            self.tail.remove(&key);
        }
    }

    /// The last id given out.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    pub(super) fn touched(&self) -> i64 {
        self.touched
    }

    /// The id up to which the index is complete for an account; the tail has its rows above.
    pub(super) fn indexed_to(&self, account: i64) -> i64 {
        match &self.moving {
            Some(Move { up_to, done, .. }) if account < done.0 => *up_to,
            Some(Move { done, .. }) if account == done.0 => done.1.max(self.indexed),
            _ => self.indexed,
        }
    }

    /// Rows of the account that are in the tail, those under way to the disk included.
    pub(super) fn usage(&self, account: i64) -> Usage {
        let rows = self.tail.range((account, 0)..=(account, i64::MAX));
        rows.map(|(_, size)| size)
            .fold(Usage::default(), Usage::and)
    }

    /// The parameters of [`sql::TOTAL`], which pick the rows that the index holds for the tail,
    /// and what is in the tail.
    pub(super) fn total(&self) -> ([i64; 4], Usage) {
        let (up_to, done) = match &self.moving {
            Some(Move { up_to, done, .. }) => (*up_to, *done),
            None => (0, (0, 0)),
        };
        let tail = self.tail.values().fold(Usage::default(), Usage::and);
        ([self.indexed, up_to, done.0, done.1], tail)
    }

    /// Up to `limit` committed rows of the tail, with their bytes, in the order of the ids. No row
    /// that is still under way: a later one might be read without it.
    pub(super) fn committed_after(
        &self,
        account: i64,
        after: i64,
        limit: usize,
    ) -> Vec<(i64, u64)> {
        let from = Bound::Excluded((account, after.max(0)));
        let rows = self
            .tail
            .range((from, Bound::Included((account, i64::MAX))));
        rows.map(|((_, id), size)| (*id, u64::from(*size)))
            .take_while(|(id, _)| *id <= self.committed)
            .take(limit)
            .collect()
    }

    /// The next piece of a move: the keys to enter, oldest account first, and whether it is the
    /// last. Begins a move where the tail is `move_at` rows long.
    fn next_piece(&mut self, move_at: usize) -> Option<Piece> {
        if self.moving.is_none() && self.tail.len() >= move_at {
            self.touched = self.touched.max(self.committed);
            let (up_to, done) = (self.committed, (i64::MIN, 0));
            self.moving = Some(Move {
                up_to,
                done,
                running: false,
            });
        }
        let rows = (self.tail.len().max(move_at) / PIECES).max(1);
        let moving = self.moving.as_mut().filter(|moving| !moving.running)?;
        moving.running = true;
        let up_to = moving.up_to;
        let keys: Vec<_> = self
            .tail
            .range((Bound::Excluded(moving.done), Bound::Unbounded))
            .map(|(key, _)| *key)
            .filter(|(_, id)| *id <= up_to)
            .take(rows)
            .collect();
        Some(Piece {
            last: keys.len() < rows,
            keys,
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
        for key in &piece.keys {
            self.tail.remove(key);
        }
        if piece.last {
            self.indexed = piece.up_to;
            self.moving = None;
        } else if let Some(key) = piece.keys.last() {
            moving.done = *key;
        }
    }
}

struct Piece {
    keys: Vec<(i64, i64)>,
    up_to: i64,
    last: bool,
}

impl Mailbox {
    /// An appended row is committed, or could not be.
    pub(super) fn settled(&self, account: i64, id: i64, ok: bool) {
        let mut state = self.0.state.lock();
        if ok {
            state.committed = id;
            self.advance(&mut state);
        } else {
            state.removed(account, &[id]);
        }
    }

    /// Reserves ids before they run out.
    pub(super) fn reserve(&self, state: &mut State) {
        if state.reserving || state.last + BLOCK / 2 < state.reserved {
            return;
        }
        let reserved = state.last + BLOCK;
        let statement = Statement::new(sql::SET_STATE, ["reserved".into(), reserved.into()]);
        let mailbox = self.clone();
        let done = move |result: Result<(), DbError>| {
            let mut state = mailbox.0.state.lock();
            state.reserving = false;
            if result.is_ok() {
                state.reserved = reserved;
            }
        };
        // Where the queue is full the next row tries again.
        state.reserving = self.0.database.submit_one_with(statement, done).is_ok();
    }

    /// Puts the next piece of a move into the queue, if there is one and none is under way.
    fn advance(&self, state: &mut State) {
        let Some(piece) = state.next_piece(self.0.move_at) else {
            return;
        };
        let ids: Vec<i64> = piece.keys.iter().map(|(_, id)| *id).collect();
        let mut statements = sql::indexing(&ids);
        if piece.last {
            let up_to = piece.up_to.into();
            statements.push(Statement::new(sql::SET_STATE, ["indexed".into(), up_to]));
        }
        let mailbox = self.clone();
        let done = move |result: Result<(), DbError>| {
            let mut state = mailbox.0.state.lock();
            state.moved(&piece, result.is_ok());
            if result.is_ok() {
                mailbox.advance(&mut state);
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
