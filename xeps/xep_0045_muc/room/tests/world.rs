//! A room with users, and what each of their clients believes.

use std::collections::{BTreeMap, BTreeSet};

use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;
use waxwing_xmpp::{Element, Jid, Stanza, StanzaError};

use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::config::Config;
use crate::xep_0045_muc::effect::{Change, Effect, Stored};
use crate::xep_0045_muc::room::{Answer, Limits, Room};
use crate::xep_0045_muc::{ADMIN, MUC, OWNER, ROOM_CONFIG, USER};
use crate::xep_0421_occupant_ids::OccupantKey;

pub(super) const ROOM: &str = "coven@chat.x";

pub(super) fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("an address")
}

pub(super) fn element(xml: &str) -> Element {
    waxwing_xmpp::dom::parse(xml.as_bytes()).expect("well-formed")
}

pub(super) fn stanza(xml: &str) -> Stanza {
    Stanza::parse(xml.to_owned().into()).expect("a stanza")
}

/// What a client believes of an occupant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) affiliation: String,
    pub(super) role: String,
    pub(super) jid: Option<String>,
}

/// What a client got.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) to: String,
    pub(super) element: Element,
}

impl Got {
    /// Its status codes.
    pub(super) fn codes(&self) -> Vec<String> {
        let x = self.element.get_child("x", USER);
        x.into_iter()
            .flat_map(Element::children)
            .filter(|child| child.is("status", USER))
            .filter_map(|child| child.attr("code").map(str::to_owned))
            .collect()
    }

    pub(super) fn nick(&self) -> String {
        let from = jid(self.element.attr("from").expect("a sender"));
        from.resource().unwrap_or_default().to_owned()
    }

    pub(super) fn item(&self) -> Option<&Element> {
        self.element.get_child("x", USER)?.get_child("item", USER)
    }

    /// As `to nick type role affiliation codes`, for presence.
    pub(super) fn short(&self) -> String {
        let item = |name| self.item().and_then(|item| item.attr(name)).unwrap_or("-");
        format!(
            "{} {} {} {} {} {}",
            self.to,
            self.nick(),
            self.element.attr("type").unwrap_or("available"),
            item("role"),
            item("affiliation"),
            self.codes().join(",")
        )
        .trim_end()
        .to_owned()
    }
}

/// A room, its clients, and its rows in the database.
pub(super) struct World {
    pub(super) room: Room,
    pub(super) limits: Limits,
    pub(super) now: i64,
    /// The newest row of the log.
    pub(super) newest: i64,
    pub(super) stored: Stored,
    /// What each session in the room believes.
    pub(super) views: BTreeMap<Jid, BTreeMap<String, Seen>>,
    pub(super) got: Vec<Got>,
    pub(super) effects: Vec<Effect>,
    /// Real JIDs that were shown: to whom, whose.
    pub(super) shown: Vec<(Jid, Jid)>,
}

pub(super) type Done = Result<(), StanzaError>;

/// The name of the condition.
pub(super) fn condition<T>(result: Result<T, StanzaError>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(error) => error.condition.name(),
    }
}

impl World {
    /// A room that `owner@x` made, as an instant room, and is in.
    pub(super) fn new() -> World {
        World::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> World {
        let mut world = World::locked(limits);
        world
            .owner("owner@x/1", "<x xmlns='jabber:x:data' type='submit'/>")
            .expect("an instant room");
        world.clear();
        world
    }

    /// A room that `owner@x` made and has not configured.
    pub(super) fn locked(limits: Limits) -> World {
        let key = OccupantKey::new([7; 32]);
        let owner = jid("owner@x/1");
        let (room, effects) = Room::create(jid(ROOM), 5, &owner, limits, key, Timestamp(0));
        let stored = Stored {
            id: 5,
            config: room.config().clone(),
            subject: room.subject().clone(),
            members: Vec::new(),
            version: 0,
            avatar: String::new(),
        };
        let mut world = World {
            room,
            limits,
            now: 1_000_000,
            newest: 0,
            stored,
            views: BTreeMap::new(),
            got: Vec::new(),
            effects: Vec::new(),
            shown: Vec::new(),
        };
        world.take(effects);
        world.join("owner@x/1", "owner").expect("the creator");
        world
    }

    pub(super) fn clear(&mut self) {
        self.got.clear();
        self.effects.clear();
        self.shown.clear();
    }

    fn at(&self) -> Timestamp {
        Timestamp(self.now)
    }

    // What users do.

    pub(super) fn presence(&mut self, from: &str, nick: Option<&str>, xml: &str) -> Done {
        let effects = self
            .room
            .presence(&jid(from), nick, &stanza(xml), self.at())?;
        self.take(effects);
        Ok(())
    }

    pub(super) fn join(&mut self, from: &str, nick: &str) -> Done {
        self.join_with(from, nick, "")
    }

    /// With children of `<x/>`.
    pub(super) fn join_with(&mut self, from: &str, nick: &str, inside: &str) -> Done {
        let xml = format!("<presence id='j1'><x xmlns='{MUC}'>{inside}</x></presence>");
        self.presence(from, Some(nick), &xml)
    }

    pub(super) fn exit(&mut self, from: &str) -> Done {
        self.presence(from, Some("any"), "<presence type='unavailable'/>")
    }

    pub(super) fn message(&mut self, from: &str, nick: Option<&str>, xml: &str) -> Done {
        let effects = self
            .room
            .message(&jid(from), nick, &stanza(xml), self.at())?;
        self.take(effects);
        Ok(())
    }

    pub(super) fn say(&mut self, from: &str, body: &str) -> Done {
        let xml = format!("<message type='groupchat' id='m1'><body>{body}</body></message>");
        self.message(from, None, &xml)
    }

    pub(super) fn answer(&mut self, answer: Answer) -> Result<Option<Element>, StanzaError> {
        let (answer, effects) = answer?;
        self.take(effects);
        Ok(answer)
    }

    /// Items of a muc#admin set.
    pub(super) fn admin(&mut self, from: &str, items: &str) -> Done {
        let query = element(&format!("<query xmlns='{ADMIN}'>{items}</query>"));
        let answer = self.room.admin(&jid(from), Verb::Set, &query, self.at());
        self.answer(answer).map(|answer| assert!(answer.is_none()))
    }

    pub(super) fn affiliate(&mut self, from: &str, user: &str, to: &str) -> Done {
        self.admin(from, &format!("<item affiliation='{to}' jid='{user}'/>"))
    }

    pub(super) fn role(&mut self, from: &str, nick: &str, to: &str) -> Done {
        self.admin(from, &format!("<item role='{to}' nick='{nick}'/>"))
    }

    /// A list, as `jid nick role affiliation` of each item.
    pub(super) fn list(&mut self, from: &str, item: &str) -> Result<Vec<String>, StanzaError> {
        let query = element(&format!("<query xmlns='{ADMIN}'><item {item}/></query>"));
        let answer = self.room.admin(&jid(from), Verb::Get, &query, self.at());
        let list = self.answer(answer)?.expect("a list");
        let short = |item: &Element| {
            let names = ["jid", "nick", "role", "affiliation"];
            let values = names.map(|name| item.attr(name).unwrap_or("-"));
            values.join(" ")
        };
        Ok(list.children().map(short).collect())
    }

    pub(super) fn owner(&mut self, from: &str, inside: &str) -> Done {
        let query = element(&format!("<query xmlns='{OWNER}'>{inside}</query>"));
        let (now, newest) = (self.at(), self.newest);
        let answer = self.room.owner(&jid(from), Verb::Set, &query, now, newest);
        self.answer(answer).map(|answer| assert!(answer.is_none()))
    }

    /// Submits fields of the configuration.
    pub(super) fn configure(&mut self, from: &str, fields: &[(&str, &str)]) -> Done {
        let fields: String = fields
            .iter()
            .map(|(name, values)| {
                let values: String = values
                    .split_whitespace()
                    .map(|value| format!("<value>{value}</value>"))
                    .collect();
                format!("<field var='muc#roomconfig_{name}'>{values}</field>")
            })
            .collect();
        self.owner(
            from,
            &format!(
                "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
                 <value>{ROOM_CONFIG}</value></field>{fields}</x>"
            ),
        )
    }

    /// The server stops and starts again; every session resumes.
    pub(super) fn restart(&mut self) {
        let sessions: Vec<Jid> = self.room.all_sessions().cloned().collect();
        let key = OccupantKey::new([7; 32]);
        let mut room = Room::new(jid(ROOM), self.stored.clone(), self.limits, key);
        for session in &sessions {
            let was = self.room.occupancy(session).expect("is inside");
            assert!(room.restore(session, &was.nick, was.role, &was.payload));
        }
        self.room = room;
    }

    // What comes of it.

    pub(super) fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match &effect {
                Effect::Spread(spread) => {
                    for (to, variant) in &spread.to {
                        let bytes = &spread.variants[usize::from(*variant)];
                        let xml = std::str::from_utf8(bytes).expect("text");
                        self.hand(to, element(xml));
                    }
                }
                Effect::Send { to, stanza } | Effect::Private { to, stanza } => {
                    assert!(stanza.to().is_none(), "{stanza:?}");
                    self.hand(to, stanza.to_element());
                }
                Effect::Publish(published) => {
                    assert!(published.stanza.to().is_none());
                    self.newest += 1;
                    let sessions: Vec<Jid> = self.room.all_sessions().cloned().collect();
                    for session in sessions {
                        self.hand(&session, published.stanza.to_element());
                    }
                }
                Effect::Entered(entered) => {
                    assert!(self.views.contains_key(&entered.session));
                }
                Effect::Left { session } => {
                    self.views.remove(session);
                }
                Effect::Save(change) => self.save(change),
            }
            self.effects.push(effect);
        }
    }

    fn save(&mut self, change: &Change) {
        match change {
            Change::Created(config) | Change::Configured(config) => {
                self.stored.config = Config::clone(config);
            }
            Change::Subject(subject) => self.stored.subject = subject.clone(),
            Change::Member { jid, member } => {
                self.stored.version = self.stored.version.max(member.version);
                self.stored.members.retain(|(known, _)| known != jid);
                self.stored.members.push((jid.clone(), member.clone()));
            }
            Change::Avatar(avatar) => self.stored.avatar.clone_from(avatar),
            Change::Tombstone { .. } | Change::Destroyed => {}
        }
    }

    fn hand(&mut self, to: &Jid, element: Element) {
        let got = Got {
            to: to.to_string(),
            element,
        };
        if got.element.name() == "presence" && got.element.attr("type") != Some("error") {
            self.believe(to, &got);
        }
        self.got.push(got);
    }

    fn believe(&mut self, to: &Jid, got: &Got) {
        let item = got.item().expect("an item");
        let is_own = got.codes().contains(&"110".to_owned());
        let is_gone = got.element.attr("type") == Some("unavailable");
        let text = |name| item.attr(name).unwrap_or_default().to_owned();
        let seen = Seen {
            affiliation: text("affiliation"),
            role: text("role"),
            jid: item.attr("jid").map(str::to_owned),
        };
        assert!(Affiliation::from_name(&seen.affiliation).is_some());
        assert!(Role::from_name(&seen.role).is_some());
        if let Some(shown) = &seen.jid {
            self.shown.push((to.clone(), jid(shown)));
        }
        let is_renamed = got.codes().contains(&"303".to_owned());
        if is_own && is_gone && !is_renamed {
            self.views.remove(to);
            return;
        }
        let view = self.views.entry(to.clone()).or_default();
        if is_gone {
            view.remove(&got.nick());
        } else {
            view.insert(got.nick(), seen);
        }
    }

    // What tests ask.

    /// What was got, in short, since the last time.
    pub(super) fn presences(&mut self) -> Vec<String> {
        let got = std::mem::take(&mut self.got);
        got.iter()
            .filter(|got| got.element.name() == "presence")
            .map(Got::short)
            .collect()
    }

    /// The messages that were got since the last time.
    pub(super) fn messages(&mut self) -> Vec<Got> {
        let got = std::mem::take(&mut self.got);
        got.into_iter()
            .filter(|got| got.element.name() == "message")
            .collect()
    }

    /// Whether every client believes what is so.
    pub(super) fn check_views(&self) {
        let inside: BTreeSet<&Jid> = self.room.all_sessions().collect();
        let believing: BTreeSet<&Jid> = self.views.keys().collect();
        assert_eq!(inside, believing);
        for (session, view) in &self.views {
            let own = self.room.nick_of(session).expect("is inside");
            let expected: BTreeMap<&str, (String, String)> = self
                .room
                .occupants()
                .filter(|(nick, role)| *nick == own || self.room.is_shown(*role))
                .map(|(nick, role)| {
                    let user = &self.room.sessions(nick)[0];
                    let affiliation = self.room.affiliation(user).as_str().to_owned();
                    (nick, (affiliation, role.as_str().to_owned()))
                })
                .collect();
            let believed: BTreeMap<&str, (String, String)> = view
                .iter()
                .map(|(nick, seen)| (&**nick, (seen.affiliation.clone(), seen.role.clone())))
                .collect();
            assert_eq!(believed, expected, "{session}");
            for (nick, seen) in view {
                // Who was told a real JID is told of another.
                let shown = &self.room.sessions(nick)[0];
                assert!(seen.jid.as_deref().is_none_or(|jid| jid == shown.as_str()));
            }
        }
    }
}
