//! A room in memory: the value, the sessions that are in it, and how far the devices of its members
//! have got with what was said. Everything that happens in a room happens under its one lock, which
//! is held for moments and never across an await: that is where the order of its messages is kept.
//!
//! The room's log is a feed: rows of the mailbox that the room owns. A message becomes a row first,
//! is queued for every session under the same lock, and leaves when the row is committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use waxwing_core::Exchange;
use waxwing_core::clock::Timestamp;
use waxwing_core::feed::Feed;
use waxwing_core::outbox::{Push, Shared};
use waxwing_core::position::{Handing, Position};
use waxwing_core::session::Session;
use waxwing_xmpp::Jid;
use waxwing_xmpp::dom::escape_attr;

use super::room::Room;
use super::store;

pub use self::perform::{Act, Outcome};

mod absent;
mod cursors;
mod feed;
mod history;
mod perform;
mod publish;

use self::absent::Absent;
use self::cursors::Cursors;

/// See the [module](self).
pub struct Live {
    id: i64,
    jid: Jid,
    todo: Arc<Todo>,
    inner: Mutex<Inner>,
}

/// What the lock of a room protects.
pub struct Inner {
    /// The room.
    pub room: Room,
    /// The sessions in it, by their serial numbers.
    seats: BTreeMap<u64, Seat>,
    cursors: Cursors,
    absent: Absent,
    /// The newest row of the log.
    newest: i64,
    /// Whether it is in [`Todo`].
    is_noted: bool,
}

/// The rooms of which something is to be written down or cleared away, by their bare JIDs.
#[derive(Default)]
pub struct Todo(Mutex<Vec<Jid>>);

impl Todo {
    /// Those that were noted since this was asked last.
    pub fn take(&self) -> Vec<Jid> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// A session in the room.
pub(super) struct Seat {
    pub(super) session: Arc<Session>,
    /// How far it has got with the log.
    pub(super) position: Position,
    /// Whether the subject follows when it has (§7.2.15).
    is_new: bool,
}

/// What is known of a room's log and its readers when it is loaded.
#[derive(Default)]
pub struct Log {
    /// The newest row; 0: there is none.
    pub newest: i64,
    /// How far the devices of its members have got.
    pub cursors: Vec<store::Cursor>,
    /// Members whom the room has told of itself.
    pub invited: Vec<Jid>,
}

impl Live {
    /// A room with nobody in it.
    #[must_use]
    pub fn new(room: Room, log: Log, todo: Arc<Todo>) -> Live {
        let mut inner = Inner {
            cursors: Cursors::new(log.cursors),
            absent: Absent::new(log.invited),
            seats: BTreeMap::new(),
            newest: log.newest,
            is_noted: false,
            room,
        };
        inner.follow_members();
        Live {
            id: inner.room.id(),
            jid: inner.room.jid().clone(),
            todo,
            inner: Mutex::new(inner),
        }
    }

    /// Its bare JID.
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// Its key in the database, and the owner of its log.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Takes the lock. Never hold it over an await, and never take it under an account's.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Something of it is to be written down, or cleared away.
    fn note(&self, inner: &mut Inner) {
        if !std::mem::replace(&mut inner.is_noted, true) {
            self.todo.0.lock().push(self.jid.clone());
        }
    }

    /// How far devices got since this was asked last.
    pub fn take_moved(&self, now: Timestamp) -> Vec<store::Cursor> {
        let mut inner = self.inner.lock();
        inner.is_noted = false;
        inner.cursors.take_moved(now)
    }

    /// That could not be written: it is to be tried again.
    pub fn not_written(&self, cursors: Vec<store::Cursor>) {
        let mut inner = self.inner.lock();
        inner.cursors.not_written(cursors);
        self.note(&mut inner);
    }

    /// A row of the log is committed, or could not be.
    fn decided(&self, row: i64, is_committed: bool) {
        for seat in self.inner.lock().seats.values() {
            if is_committed {
                seat.session.outbox.committed(row);
            } else {
                seat.session.outbox.withdraw(row);
            }
        }
    }

    /// Puts a session in the room again, after a restart, with what it has acknowledged. False: it
    /// may not be there any more.
    pub fn restore(self: &Arc<Self>, session: &Arc<Session>, seat: &store::Seat) -> bool {
        let mut inner = self.inner.lock();
        let (nick, payload) = (&seat.nick, &seat.payload);
        if !inner.room.restore(&session.jid, nick, seat.role, payload) {
            return false;
        }
        inner.seat(self, session, Position::at(seat.cursor), false)
    }
}

impl Inner {
    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Whether it may leave the memory: its rows say all that is known of it.
    pub fn may_be_forgotten(&self) -> bool {
        self.seats.is_empty() && !self.room.is_locked() && !self.is_noted
    }

    /// Who is a member changed.
    pub fn members_changed(&mut self) {
        self.follow_members();
    }

    /// The sessions in it.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.seats.values().map(|seat| &seat.session)
    }

    /// How far a session has acknowledged the log.
    pub fn cursor(&self, session: &Session) -> i64 {
        let seat = self.seats.get(&session.reference.id);
        seat.map_or(0, |seat| seat.position.cursor())
    }

    /// Seats a session, which is given the log from a position on. False: it follows too much.
    fn seat(
        &mut self,
        live: &Arc<Live>,
        session: &Arc<Session>,
        mut position: Position,
        is_new: bool,
    ) -> bool {
        if !session.follow(Arc::clone(live) as Arc<dyn Feed>) {
            return false;
        }
        position.begin([], true);
        session.set_feed_draining(true);
        let seat = Seat {
            session: Arc::clone(session),
            position,
            is_new,
        };
        let before = self.seats.insert(session.reference.id, seat);
        if before.is_some_and(|before| before.position.is_draining()) {
            // It counts once.
            session.set_feed_draining(false);
        }
        self.absent.is_stale = true;
        true
    }

    /// A session is not in the room any more.
    fn unseat(&mut self, session: &Jid) {
        let found = self
            .seats
            .iter()
            .find(|(_, seat)| seat.session.jid == *session);
        let Some(id) = found.map(|(id, _)| *id) else {
            return;
        };
        if let Some(seat) = self.seats.remove(&id) {
            if seat.position.is_draining() {
                seat.session.set_feed_draining(false);
            }
            seat.session.unfollow(self.room.id());
        }
        self.absent.is_stale = true;
    }

    /// Members of members-only rooms are owed what is said from the moment they are members.
    /// Returns the new ones.
    fn follow_members(&mut self) -> Vec<Jid> {
        let is_owed = self.room.config().is_members_only;
        let members = self.room.member_jids().filter(|_| is_owed);
        self.absent.is_stale = true;
        self.cursors.follow(members, self.newest)
    }
}

impl Seat {
    /// Changes how far it has got, and tells the session whether it is to be given pages.
    pub(super) fn reposition<T>(&mut self, change: impl FnOnce(&mut Position) -> T) -> T {
        let before = self.position.is_draining();
        let outcome = change(&mut self.position);
        let after = self.position.is_draining();
        if before != after {
            self.session.set_feed_draining(after);
        }
        outcome
    }

    /// Gives it a new row of the log, unless it is to be given that with the pages.
    pub(super) fn hand(&mut self, feed: i64, row: i64, tail: &Bytes) {
        if let Handing::Now { .. } = self.position.hand(row, true) {
            self.push(tail.clone(), Shared::Row { feed, id: row });
        }
    }

    /// Queues a message without its start, for this session.
    pub(super) fn push(&self, tail: Bytes, shared: Shared) -> Push {
        let head = head(MESSAGE, &self.session.jid);
        self.session.outbox.push_shared(head, tail, shared)
    }
}

/// The start of a message.
const MESSAGE: &str = "<message";
/// The start of a presence stanza.
const PRESENCE: &str = "<presence";

/// The beginning of a stanza, which is the recipient's own.
fn head(start: &'static str, to: &Jid) -> Bytes {
    let to = escape_attr(to.as_str());
    Bytes::from([start, " to='", &*to, "'"].concat())
}

/// A stanza that the room has made, after its start.
fn tail(stanza: &Bytes, start: &'static str) -> Bytes {
    debug_assert!(stanza.starts_with(start.as_bytes()), "{stanza:?}");
    stanza.slice(start.len().min(stanza.len())..)
}

/// A session by its full JID, if it is there.
fn find_session(exchange: &Exchange, jid: &Jid) -> Option<Arc<Session>> {
    let account = exchange.registry.get(jid.bare())?;
    let state = account.lock();
    let bound = state.resource(jid.resource()?)?;
    Some(Arc::clone(&bound.session))
}
