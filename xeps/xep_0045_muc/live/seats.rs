//! The sessions in a room, and how far each has got with its log.

use std::sync::Arc;

use bytes::Bytes;
use waxwing_core::outbox::{Push, Shared};
use waxwing_core::position::{Handing, Position};
use waxwing_core::session::Session;
use waxwing_xmpp::Jid;

use crate::xep_0045_muc::room::grow;

/// A session in the room.
pub(super) struct Seat {
    pub(super) session: Arc<Session>,
    /// How far it has got with the log.
    pub(super) position: Position,
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
        let session = &self.session;
        session.outbox.push_shared(&session.jid, tail, shared)
    }
}

/// Ascending by the serial numbers of the sessions: nearly always who enters comes last.
#[derive(Default)]
pub(super) struct Seats(Vec<Seat>);

impl Seats {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Seat> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Seat> {
        self.0.iter_mut()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The seat of the session with that serial number.
    pub(super) fn get(&self, id: u64) -> Option<&Seat> {
        self.0.get(self.place(id).ok()?)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Seat> {
        let place = self.place(id).ok()?;
        self.0.get_mut(place)
    }

    /// Gives a session its seat, and returns the one that it had.
    pub(super) fn insert(&mut self, seat: Seat) -> Option<Seat> {
        match self.place(seat.session.reference.id) {
            Ok(place) => Some(std::mem::replace(&mut self.0[place], seat)),
            Err(place) => {
                grow(&mut self.0);
                self.0.insert(place, seat);
                None
            }
        }
    }

    /// Takes the seat of a session with that full JID: of a second one another is there, if an older
    /// session with it ends at this moment.
    pub(super) fn remove(&mut self, session: &Jid) -> Option<Seat> {
        let mut seats = self.0.iter();
        let place = seats.position(|seat| seat.session.jid == *session)?;
        Some(self.0.remove(place))
    }

    /// Whether another session in the room has the full JID of this one.
    pub(super) fn has_double(&self, session: &Session) -> bool {
        let mut seats = self.0.iter();
        seats.any(|seat| {
            seat.session.jid == session.jid && seat.session.reference != session.reference
        })
    }

    /// Takes the seat of the session with that serial number.
    pub(super) fn remove_one(&mut self, id: u64) -> Option<Seat> {
        let place = self.place(id).ok()?;
        Some(self.0.remove(place))
    }

    fn place(&self, id: u64) -> Result<usize, usize> {
        self.0
            .binary_search_by_key(&id, |seat| seat.session.reference.id)
    }
}
