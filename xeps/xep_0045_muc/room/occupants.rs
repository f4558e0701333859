//! Who is in the room: nicknames, and the clients behind each.

use std::ops::Deref;
use std::sync::Arc;

use waxwing_xmpp::Jid;

use super::limits::Bucket;
use super::look::{look, look_hash};
use crate::xep_0045_muc::affiliation::Role;

/// A user in the room. Kept small: there is one for every occupant of every room.
#[derive(Clone, Debug)]
pub(super) struct Occupant {
    pub(super) nick: Box<str>,
    /// The client whose presence is shown: the one that sent presence last.
    pub(super) main: Seat,
    /// Further clients of the same user with the same nickname, which few have.
    others: Option<Box<Others>>,
    /// Messages, and presence.
    pub(super) talk: Bucket,
    pub(super) moves: Bucket,
    look: u32,
    pub(super) role: Role,
}

#[derive(Clone, Debug, Default)]
struct Others(Vec<Seat>);

/// A client in the room.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// Its full JID.
    pub(super) jid: Jid,
    /// What its presence says: attributes of the start tag, `>`, and children, as XML.
    pub(super) payload: Arc<Payload>,
}

/// Shared where it is the same, and behind a thin pointer.
#[derive(Debug)]
pub(super) struct Payload(Box<str>);

impl Deref for Payload {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Occupant {
    pub(super) fn new(nick: &str, main: Seat, role: Role) -> Occupant {
        Occupant {
            look: look_hash(&look(nick)),
            nick: nick.into(),
            main,
            others: None,
            talk: Bucket::default(),
            moves: Bucket::default(),
            role,
        }
    }

    /// The user, by bare JID.
    pub(super) fn bare(&self) -> &str {
        self.main.jid.bare()
    }

    fn seats(&self) -> impl Iterator<Item = &Seat> {
        let others = self.others.iter().flat_map(|others| &others.0);
        std::iter::once(&self.main).chain(others)
    }

    /// The full JIDs of its clients, the shown one first.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &Jid> {
        self.seats().map(|seat| &seat.jid)
    }

    pub(super) fn session_count(&self) -> usize {
        self.seats().count()
    }

    /// What the presence of a client says.
    pub(super) fn payload(&self, session: &Jid) -> Option<&str> {
        let mut seats = self.seats();
        let seat = seats.find(|seat| seat.jid == *session)?;
        Some(&seat.payload)
    }

    /// Makes a client the shown one, new or not.
    pub(super) fn show(&mut self, seat: Seat) {
        if self.main.jid != seat.jid {
            self.remove_other(&seat.jid);
            self.add(self.main.clone());
        }
        self.main = seat;
    }

    /// Adds a client that is not shown.
    pub(super) fn add(&mut self, seat: Seat) {
        self.others.get_or_insert_default().0.push(seat);
    }

    /// Removes a client; the only one stays, and its occupant is to be removed.
    pub(super) fn remove(&mut self, session: &Jid) -> Removed {
        if self.main.jid != *session {
            self.remove_other(session);
            return Removed::InTheBackground;
        }
        let next = self.others.as_mut().and_then(|others| others.0.pop());
        let Some(next) = next else {
            return Removed::Last;
        };
        self.main = next;
        self.drop_empty();
        Removed::Shown
    }

    fn remove_other(&mut self, session: &Jid) {
        if let Some(others) = &mut self.others {
            others.0.retain(|other| other.jid != *session);
        }
        self.drop_empty();
    }

    fn drop_empty(&mut self) {
        self.others.take_if(|others| others.0.is_empty());
    }

    pub(super) fn rename(&mut self, nick: &str) {
        self.nick = nick.into();
        self.look = look_hash(&look(nick));
    }
}

/// What the removal of a client meant for its occupant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// Another one is still shown.
    InTheBackground,
    /// Another one is shown in its place.
    Shown,
    /// It was the only one: the occupant goes.
    Last,
}

/// Everybody in the room, in the order of entering.
#[derive(Clone, Debug, Default)]
pub(super) struct Occupants(Vec<Occupant>);

impl Occupants {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Occupant> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, index: usize) -> &Occupant {
        &self.0[index]
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut Occupant {
        &mut self.0[index]
    }

    pub(super) fn push(&mut self, occupant: Occupant) {
        grow(&mut self.0);
        self.0.push(occupant);
    }

    pub(super) fn remove(&mut self, index: usize) -> Occupant {
        self.0.remove(index)
    }

    pub(super) fn take(&mut self) -> Vec<Occupant> {
        std::mem::take(&mut self.0)
    }

    /// Whose client that is.
    pub(super) fn of_session(&self, session: &Jid) -> Option<usize> {
        let bare = session.bare();
        self.0
            .iter()
            .position(|o| o.bare() == bare && o.sessions().any(|jid| jid == session))
    }

    /// The occupant with exactly that nickname.
    pub(super) fn of_nick(&self, nick: &str) -> Option<usize> {
        self.0.iter().position(|o| *o.nick == *nick)
    }

    /// The occupants that are this user.
    pub(super) fn of_user<'a>(&'a self, bare: &'a str) -> impl Iterator<Item = usize> + 'a {
        let places = self.0.iter().enumerate();
        places.filter_map(move |(index, o)| (o.bare() == bare).then_some(index))
    }

    /// The occupants whose nickname looks so.
    pub(super) fn looking(&self, wanted: &str) -> impl Iterator<Item = &Occupant> {
        let hash = look_hash(wanted);
        self.0
            .iter()
            .filter(move |o| o.look == hash && look(&o.nick) == wanted)
    }

    /// The payload as somebody else already has it, or a new one.
    pub(super) fn share(&self, payload: &str) -> Arc<Payload> {
        let same = self.0.iter().find(|o| **o.main.payload == *payload);
        same.map_or_else(
            || Arc::new(Payload(payload.into())),
            |o| Arc::clone(&o.main.payload),
        )
    }
}

/// Makes place for one more by less than what a vector takes of its own accord: most rooms grow
/// slowly, and there are many of them.
pub(in crate::xep_0045_muc) fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(4 + list.len() / 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(resource: &str) -> Seat {
        Seat {
            jid: Jid::parse(&format!("me@x/{resource}")).expect("an address"),
            payload: Arc::new(Payload("".into())),
        }
    }

    #[test]
    fn one_occupant_takes_little() {
        assert!(size_of::<Occupant>() <= 80, "{}", size_of::<Occupant>());
    }

    #[test]
    fn the_client_that_spoke_last_is_shown() {
        let mut me = Occupant::new("me", seat("a"), Role::Visitor);
        me.show(seat("b"));
        me.show(seat("c"));
        me.show(seat("a"));
        assert_eq!(me.session_count(), 3);
        assert_eq!(me.main.jid, seat("a").jid);
        assert_eq!(me.remove(&seat("b").jid), Removed::InTheBackground);
        assert_eq!(me.remove(&seat("a").jid), Removed::Shown);
        assert_eq!(me.main.jid, seat("c").jid);
        assert_eq!(me.remove(&seat("c").jid), Removed::Last);
    }
}
