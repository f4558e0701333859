//! Members that are not in the room: who is told that there is something for them.
//!
//! Clients take a message of a room only while they are in it. What every client honours is an
//! invitation, so a member that is online and not in a members-only room where something was said
//! is invited: once, until it has been in the room again.

use std::collections::BTreeSet;

use waxwing_xmpp::Jid;

use super::Inner;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Absent {
    /// Members that were told.
    invited: BTreeSet<Jid>,
    /// Members that are not here and were not told.
    waiting: Vec<Jid>,
    /// Whether `waiting` is to be made anew.
    pub(super) is_stale: bool,
}

impl Absent {
    pub(super) fn new(invited: Vec<Jid>) -> Self {
        Absent {
            invited: invited.into_iter().collect(),
            waiting: Vec::new(),
            is_stale: true,
        }
    }
}

impl Inner {
    /// Members that are not in the room, have something to read there, and `are_online`; they count
    /// as told from here on.
    pub fn to_invite(&mut self, is_online: impl Fn(&Jid) -> bool) -> Vec<Jid> {
        if !self.room.config().is_members_only || self.room.is_locked() {
            return Vec::new();
        }
        if std::mem::take(&mut self.absent.is_stale) {
            self.list_absent();
        }
        if self.absent.waiting.is_empty() {
            return Vec::new();
        }
        let (cursors, newest) = (&self.cursors, self.newest);
        let misses = |jid: &Jid| cursors.own(jid).is_some_and(|cursor| cursor < newest);
        let (told, waiting) = std::mem::take(&mut self.absent.waiting)
            .into_iter()
            .partition(|jid| misses(jid) && is_online(jid));
        self.absent.waiting = waiting;
        self.absent.invited.extend(Vec::clone(&told));
        told
    }

    /// A user is in the room: should it leave, it may be told again. True: it had been told.
    pub fn has_come(&mut self, user: &Jid) -> bool {
        self.absent.invited.remove(user.bare())
    }

    fn list_absent(&mut self) {
        let here: BTreeSet<&str> = (self.seats.iter())
            .map(|seat| seat.session.jid.bare())
            .collect();
        let absent = self
            .room
            .member_jids()
            .filter(|jid| !here.contains(jid.bare()) && !self.absent.invited.contains(*jid));
        let waiting = absent.cloned().collect();
        self.absent.waiting = waiting;
    }
}
