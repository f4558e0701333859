//! A room in memory: the value, the sessions that are in it, and how far the devices of its members
//! have got with what was said. Everything that happens in a room happens under its one lock, which
//! is held for moments and never across an await: that is where the order of its messages is kept.
//!
//! The room's log is a feed: rows of the mailbox that the room owns. A message becomes a row first,
//! is queued for every session under the same lock, and leaves when the row is committed.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use waxwing_core::Exchange;
use waxwing_core::clock::Timestamp;
use waxwing_core::feed::Feed;
use waxwing_core::position::Position;
use waxwing_core::session::Session;
use waxwing_xmpp::Jid;

use super::room::Room;
use super::store;

pub use self::perform::{Act, Outcome};

mod absent;
mod cursors;
mod feed;
mod history;
mod news;
mod perform;
mod publish;
mod seats;

use self::absent::Absent;
use self::cursors::Cursors;
use self::news::News;
use self::seats::{Seat, Seats};

/// See the [module](self).
pub struct Live {
    id: i64,
    jid: Jid,
    todo: Arc<Todo>,
    news: News,
    inner: Mutex<Inner>,
}

/// What the lock of a room protects.
pub struct Inner {
    /// The room.
    pub room: Room,
    seats: Seats,
    /// Those in the seats, by serial number, whom the subject is told when they have got the log
    /// (§7.2.15).
    newcomers: Vec<u64>,
    /// Sessions that have left, and have not acknowledged all that they were given of the log.
    parted: Vec<Arc<Session>>,
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
            seats: Seats::default(),
            newcomers: Vec::new(),
            parted: Vec::new(),
            newest: log.newest,
            is_noted: false,
            room,
        };
        inner.follow_members();
        Live {
            id: inner.room.id(),
            jid: inner.room.jid().clone(),
            todo,
            news: News::new(inner.newest),
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
    pub fn not_written(&self, cursors: &[store::Cursor]) {
        let mut inner = self.inner.lock();
        inner.cursors.not_written(cursors);
        self.note(&mut inner);
    }

    /// A row of the log is committed, or could not be. True: the sessions are to be woken.
    fn decide(&self, row: i64, is_committed: bool) -> bool {
        if !is_committed {
            for session in self.inner.lock().readers() {
                session.outbox.withdraw(row);
            }
        }
        self.news.decided(row, is_committed)
    }

    /// Wakes the sessions that wait for what is committed.
    fn wake(&self) {
        let inner = self.inner.lock();
        // Before the sessions are looked at: what comes later wakes anew.
        let Some(first) = self.news.take(inner.newest) else {
            return;
        };
        for session in inner.readers() {
            session.outbox.committed(first);
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

    /// The newest row of the log; 0: there is none.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// The sessions in it.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.seats.iter().map(|seat| &seat.session)
    }

    /// The sessions that may hold rows of the log: who leaves does not wait for what was said just
    /// before to be committed, but gets it when it is.
    fn readers(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions().chain(&self.parted)
    }

    /// How far a session has acknowledged the log.
    pub fn cursor(&self, session: &Session) -> i64 {
        let seat = self.seats.get(session.reference.id);
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
        };
        let id = session.reference.id;
        if is_new && !self.newcomers.contains(&id) {
            self.newcomers.push(id);
        }
        let before = self.seats.insert(seat);
        if before.is_some_and(|before| before.position.is_draining()) {
            // It counts once.
            session.set_feed_draining(false);
        }
        let user = &session.account.jid;
        self.room.share_address(user);
        self.cursors.share_address(user);
        self.absent.is_stale = true;
        true
    }

    /// A session has been told the subject, or is not there any more.
    fn forget_newcomer(&mut self, serial: u64) {
        self.newcomers.retain(|newcomer| *newcomer != serial);
        if self.newcomers.is_empty() {
            self.newcomers = Vec::new();
        }
    }

    /// A session is not in the room any more.
    fn unseat(&mut self, session: &Jid) {
        while let Some(seat) = self.seats.remove(session) {
            self.vacate(seat);
        }
    }

    /// A session that is being replaced by one with the same full JID leaves no trace. False: it is
    /// not.
    fn unseat_double(&mut self, session: &Session) -> bool {
        if !self.seats.has_double(session) {
            return false;
        }
        match self.seats.remove_one(session.reference.id) {
            Some(seat) => self.vacate(seat),
            None => self.forget_parted(),
        }
        true
    }

    fn vacate(&mut self, seat: Seat) {
        if seat.position.is_draining() {
            seat.session.set_feed_draining(false);
        }
        self.forget_newcomer(seat.session.reference.id);
        self.parted.push(seat.session);
        self.forget_parted();
        self.absent.is_stale = true;
    }

    /// Who has left, and has nothing more to acknowledge, has done with the room.
    fn forget_parted(&mut self) {
        let (feed, seats) = (self.room.id(), &self.seats);
        self.parted.retain(|session| {
            if seats.get(session.reference.id).is_some() {
                return false;
            }
            let outbox = &session.outbox;
            let is_done = outbox.is_detached() || !outbox.holds_feed(feed);
            if is_done {
                session.unfollow(feed);
            }
            !is_done
        });
        if self.parted.is_empty() {
            self.parted = Vec::new();
        }
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

/// The start of a message.
const MESSAGE: &str = "<message";
/// The start of a presence stanza.
const PRESENCE: &str = "<presence";

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
