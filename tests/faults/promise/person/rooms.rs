//! A person in rooms: it enters those that it is a member of whenever it has a new session, and
//! asks for nothing of the past. A session that was resumed is in them still.

use std::collections::{BTreeSet, HashMap};
use std::mem;

use minidom::Element;

use super::{Person, STANZA_ID, What};
use crate::faults::promise::circles::service;
use crate::harness::xml::{CLIENT, show};

const MUC: &str = "http://jabber.org/protocol/muc";
const USER: &str = "http://jabber.org/protocol/muc#user";

/// What it knows of rooms.
#[derive(Default)]
pub(super) struct Rooms {
    /// Those that it is a member of.
    all: Vec<String>,
    /// Those that it is in.
    inside: BTreeSet<String>,
    /// By room and nickname the mark of who is there.
    marks: HashMap<(String, String), String>,
    /// Sessions that it has had.
    sessions: usize,
}

impl Person {
    /// A member of these rooms.
    pub fn member_of(mut self, rooms: Vec<String>) -> Person {
        self.rooms.all = rooms;
        self
    }

    /// The rooms that it is in.
    pub fn inside(&self) -> Vec<String> {
        self.rooms.inside.iter().cloned().collect()
    }

    /// Whether messages of a lost session can go to that address at once.
    pub(super) fn can_write_to(&self, to: &str) -> bool {
        !self.rooms.all.iter().any(|room| room == to)
    }

    /// Leaves no trace of a session that is lost.
    pub(super) fn forget_rooms(&mut self) {
        self.rooms.inside.clear();
        self.rooms.marks.clear();
    }

    /// Enters all of its rooms. Its presence bears the mark of the session.
    pub(super) fn enter_rooms(&mut self) {
        self.forget_rooms();
        self.rooms.sessions += 1;
        for room in self.rooms.all.clone() {
            let (service, nick) = (service(&self.domain), &self.user);
            let mark = format!("{}#{}", self.who, self.rooms.sessions);
            self.send_other(&format!(
                "<presence to='{room}@{service}/{nick}'><status>{mark}</status>\
                 <x xmlns='{MUC}'><history maxstanzas='0'/></x></presence>"
            ));
        }
    }

    /// The address of an account, or of one of its rooms.
    pub(super) fn address(&self, to: &str) -> (String, &'static str) {
        if self.can_write_to(to) {
            (format!("{to}@{}", self.domain), "chat")
        } else {
            (format!("{to}@{}", service(&self.domain)), "groupchat")
        }
    }

    /// The room and the nickname that a stanza is from; `None`: it is from no room.
    fn place(&self, stanza: &Element) -> Option<(String, String)> {
        let (room, rest) = stanza.attr("from")?.split_once('@')?;
        let (domain, nick) = rest.split_once('/').unwrap_or((rest, ""));
        (domain == service(&self.domain)).then(|| (room.to_owned(), nick.to_owned()))
    }

    pub(super) fn presence(&mut self, presence: &Element) {
        let Some((room, nick)) = self.place(presence) else {
            return;
        };
        let place = (room.clone(), nick);
        match presence.attr("type") {
            None => {
                let mark = presence.get_child("status", CLIENT).map(Element::text);
                self.rooms.marks.insert(place, mark.unwrap_or_default());
                if is_own(presence) {
                    self.entered(&room);
                }
            }
            Some("unavailable") => {
                if is_own(presence) {
                    self.rooms.inside.remove(&room);
                }
                if let Some(mark) = self.rooms.marks.remove(&place) {
                    self.log(What::Went { room, mark });
                }
            }
            Some(_) => self.misbehaved(show(presence)),
        }
    }

    /// It is in a room: what is to be said there again goes now.
    fn entered(&mut self, room: &str) {
        if !self.rooms.inside.insert(room.to_owned()) {
            return;
        }
        self.log(What::Entered(room.to_owned()));
        for (id, to, text) in mem::take(&mut self.again) {
            if to == room {
                self.send_message(id, to, text);
            } else {
                self.again.push_back((id, to, text));
            }
        }
        self.ask();
    }

    /// What comes from a room. False: the message is from somewhere else, or is an error.
    pub(super) fn heard(&mut self, message: &Element) -> bool {
        let Some((room, nick)) = self.place(message) else {
            return false;
        };
        match (message.attr("type"), message.attr("id")) {
            (Some("error"), _) => return false,
            (Some("groupchat"), Some(id)) if message.has_child("body", CLIENT) => {
                let by = format!("{room}@{}", service(&self.domain));
                self.took_one = true;
                self.log(What::Received {
                    id: id.to_owned(),
                    from: nick,
                    room: Some(room),
                    stanza_id: stanza_id(message, &by),
                    delayed: message.has_child("delay", super::DELAY),
                });
            }
            // The subject, a chat state, an invitation.
            _ => {}
        }
        true
    }
}

fn is_own(presence: &Element) -> bool {
    let user = presence.get_child("x", USER);
    user.is_some_and(|user| {
        let mut codes = user.children().filter(|child| child.name() == "status");
        codes.any(|status| status.attr("code") == Some("110"))
    })
}

/// The id of a message by that address.
pub(super) fn stanza_id(message: &Element, by: &str) -> Option<String> {
    let mut ids = message.children();
    let id = ids.find(|child| child.is("stanza-id", STANZA_ID) && child.attr("by") == Some(by));
    id.and_then(|id| id.attr("id").map(str::to_owned))
}
