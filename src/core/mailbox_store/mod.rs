//! The mailbox: what waits for the recipients and what is in the archives, of all accounts, in the
//! database. They are the same rows.
//!
//! A message is one row with one body. Up to two local accounts own it: the recipient, to whose
//! devices it is owed or in whose archive it shows, and the sender, in whose archive it shows. It
//! goes when neither does, or when it has expired.
//!
//! Rows are appended to one table under an id that this module gives out in the order of the calls,
//! which is the order of the commits too, and that carries the time. Nothing else is written before
//! the sender is acknowledged: the index by account is filled behind the commits, sorted, in larger
//! pieces ([`index`]). What is not indexed yet is known in memory ([`tail`]), and found again at
//! start by its id. A message that is removed before its turn comes is never indexed at all.
//!
//! How far each device has acknowledged is a cursor of its own ([`devices`]), written a little later
//! than it moves ([`cursors`]).

mod append;
mod archive;
mod cursors;
mod devices;
mod index;
mod queue;
mod read;
mod remove;
mod rows;
mod search;
mod sql;
mod stats;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Acquire;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::db::{Database, DbError, Migrations, Pending, Statement};

use cursors::Cursors;
use index::State;
use rows::unsigned;

pub use archive::{Filter, Piece};
pub use devices::{Device, MAX_DEVICES};
pub use rows::{Flags, NewRow, OwnedRow, Sent, StoredRow, Usage, id_at, peer_hash, time_of};
pub use stats::Stats;

/// The tables of the mailbox.
pub const MIGRATIONS: Migrations = Migrations {
    extension: "mailbox",
    steps: &[
        include_str!("../migrations/mailbox_1.sql"),
        include_str!("../migrations/mailbox_2.sql"),
    ],
};

/// The mailbox of all accounts. Clones are the same mailbox; there must be one per database.
#[derive(Clone)]
pub struct Mailbox(Arc<Inner>);

struct Inner {
    database: Database,
    state: Mutex<State>,
    cursors: Mutex<Cursors>,
    /// [`State`]'s, to be read without its lock.
    committed: AtomicI64,
    move_at: usize,
}

impl Mailbox {
    /// Takes up the mailbox of a database whose [`MIGRATIONS`] have run.
    pub async fn open(database: Database) -> Result<Mailbox, DbError> {
        Mailbox::open_with(database, index::MOVE_AT).await
    }

    /// As [`open`](Self::open); rows are indexed when `move_at` of them are not.
    async fn open_with(database: Database, move_at: usize) -> Result<Mailbox, DbError> {
        let state = State::load(&database).await?;
        Ok(Mailbox(Arc::new(Inner {
            database,
            committed: AtomicI64::new(state.committed()),
            state: Mutex::new(state),
            cursors: Mutex::default(),
            move_at,
        })))
    }

    /// Every row up to this id is committed, has failed or was removed. Takes no lock.
    #[must_use]
    pub fn committed(&self) -> i64 {
        self.0.committed.load(Acquire)
    }

    /// Queues statements that the tail need not know of.
    fn write(&self, statements: Vec<Statement>) -> Pending<()> {
        let (reply, pending) = oneshot::channel();
        let done = move |result| forward(reply, result);
        let queued = self.0.database.submit_with(statements, done);
        Pending::queued(queued, pending)
    }
}

/// Hands a result to whoever waits; a failure that nobody awaits goes to the log.
fn forward(reply: oneshot::Sender<Result<(), DbError>>, result: Result<(), DbError>) {
    if let Err(Err(error)) = reply.send(result) {
        tracing::error!(%error, "rows of the mailbox could not be changed and are as they were");
    }
}
