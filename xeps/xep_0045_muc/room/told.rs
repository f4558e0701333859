//! What a room tells of an occupant: presence, written once for each kind of recipient.

use bytes::Bytes;
use waxwing_xmpp::Jid;
use waxwing_xmpp::dom::{escape_attr, escape_text};

use super::Room;
use super::occupants::Occupant;
use crate::xep_0045_muc::USER;
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::config::Whois;
use crate::xep_0045_muc::effect::{Effect, Spread};
use crate::xep_0463_affiliation_versions as versions;
use crate::{xep_0317_hats as hats, xep_0421_occupant_ids as occupant_ids};

/// The variants of one [`Spread`] at most: an index is one byte.
const MOST_VARIANTS: usize = 256;

/// What there is to say of an occupant.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) nick: &'a str,
    /// The full JID of the client that is shown.
    pub(super) jid: &'a Jid,
    pub(super) affiliation: Affiliation,
    pub(super) role: Role,
    pub(super) is_unavailable: bool,
    /// See [`super::occupants::Seat::payload`].
    pub(super) payload: &'a str,
    /// The nickname that it changes to.
    pub(super) new_nick: Option<&'a str>,
    /// Who did it, by nickname, and why; empty: not said.
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
    /// Status codes for everybody, and those that only its own clients see, besides 110.
    pub(super) codes: &'a [u16],
    pub(super) own_codes: &'a [u16],
    /// The versions before and after the change of an affiliation (XEP-0463).
    pub(super) versions: Option<(Option<i64>, i64)>,
    /// The `id` for its own clients.
    pub(super) id: Option<&'a str>,
    /// `<destroy/>` as XML, for its own clients.
    pub(super) destroy: &'a str,
}

/// A payload that says nothing.
pub(super) const NOTHING: &str = ">";

/// Who a variant is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// May not see the JID.
    Nick,
    /// May see the JID.
    Jid,
    /// Is it.
    Own,
}

impl<'a> Told<'a> {
    /// An occupant as it is now.
    pub(super) fn of(room: &Room, occupant: &'a Occupant) -> Told<'a> {
        Told {
            nick: &occupant.nick,
            jid: &occupant.main.jid,
            affiliation: room.members.affiliation(occupant.bare()),
            role: occupant.role,
            is_unavailable: false,
            payload: &occupant.main.payload,
            new_nick: None,
            actor: "",
            reason: "",
            codes: &[],
            own_codes: &[],
            versions: None,
            id: None,
            destroy: "",
        }
    }

    /// An occupant that has left.
    pub(super) fn gone(room: &Room, occupant: &'a Occupant) -> Told<'a> {
        Told {
            role: Role::None,
            is_unavailable: true,
            payload: NOTHING,
            ..Told::of(room, occupant)
        }
    }

    fn write(&self, room: &Room, view: View) -> Bytes {
        let mut out = String::with_capacity(512 + self.payload.len());
        out.push_str("<presence from='");
        out.push_str(&escape_attr(room.jid.as_str()));
        out.push('/');
        out.push_str(&escape_attr(self.nick));
        out.push('\'');
        if let Some(id) = self.id.filter(|_| view == View::Own) {
            push_attribute(&mut out, "id", id);
        }
        if self.is_unavailable {
            out.push_str(" type='unavailable'");
        }
        out.push_str(self.payload);
        out.push_str("<x xmlns='");
        out.push_str(USER);
        out.push_str("'>");
        if let Some((since, until)) = self.versions {
            out.push_str(&versions::element(room.id, since, until));
        }
        self.write_item(&mut out, view != View::Nick);
        if view == View::Own {
            out.push_str(self.destroy);
        }
        self.write_codes(&mut out, view == View::Own);
        out.push_str("</x>");
        if !self.is_unavailable {
            hats::push(&mut out, room.members.hats(self.jid.bare()));
        }
        let id = room.key.id(room.jid.as_str(), self.jid.bare());
        out.push_str(&occupant_ids::element(&id));
        out.push_str("</presence>");
        Bytes::from(out)
    }

    fn write_item(&self, out: &mut String, shows_jid: bool) {
        out.push_str("<item affiliation='");
        out.push_str(self.affiliation.as_str());
        out.push_str("' role='");
        out.push_str(self.role.as_str());
        out.push('\'');
        if shows_jid {
            push_attribute(out, "jid", self.jid.as_str());
        }
        if let Some(nick) = self.new_nick {
            push_attribute(out, "nick", nick);
        }
        push_why(out, self.actor, self.reason, "item");
    }

    fn write_codes(&self, out: &mut String, is_own: bool) {
        let mut codes = self.codes.to_vec();
        if is_own {
            codes.push(110);
            codes.extend_from_slice(self.own_codes);
        }
        codes.sort_unstable();
        for code in codes {
            out.push_str(&format!("<status code='{code}'/>"));
        }
    }
}

pub(super) fn push_attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    out.push_str(&escape_attr(value));
    out.push('\'');
}

/// Ends the start tag of `name`, says who did it and why, and ends the element.
pub(super) fn push_why(out: &mut String, actor: &str, reason: &str, name: &str) {
    if actor.is_empty() && reason.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    if !actor.is_empty() {
        out.push_str("<actor");
        push_attribute(out, "nick", actor);
        out.push_str("/>");
    }
    push_text(out, "reason", reason);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// An element with a text; nothing if there is none.
pub(super) fn push_text(out: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        for part in ["<", name, ">", &escape_text(text), "</", name, ">"] {
            out.push_str(part);
        }
    }
}

impl Room {
    /// Whether the presence of such an occupant is shown to others
    /// (`muc#roomconfig_presencebroadcast`).
    pub(super) fn is_shown(&self, role: Role) -> bool {
        role >= self.config.presence_from
    }

    /// Whether an occupant of that role sees real JIDs (§7.2.3, §7.2.4).
    pub(super) fn sees_jids(&self, role: Role) -> bool {
        role == Role::Moderator || self.config.whois == Whois::Anyone
    }

    /// Tells `own` and, if it is shown, everybody but the occupant at `index`. Its own clients come
    /// last when it enters (§7.2.2), and first when it leaves (§7.14, §8.2).
    pub(super) fn tell(
        &self,
        told: &Told<'_>,
        index: Option<usize>,
        own: &[Jid],
        is_shown: bool,
    ) -> Option<Effect> {
        let mut spread = Views::new(self, told);
        let others = |spread: &mut Views<'_>| {
            for (place, other) in self.occupants.iter().enumerate() {
                if is_shown && index != Some(place) {
                    let view = self.view(other.role);
                    other
                        .sessions()
                        .for_each(|jid| spread.add(jid.clone(), view));
                }
            }
        };
        if !told.is_unavailable {
            others(&mut spread);
        }
        for jid in own {
            spread.add(jid.clone(), View::Own);
        }
        if told.is_unavailable {
            others(&mut spread);
        }
        (!spread.made.to.is_empty()).then_some(Effect::Spread(spread.made))
    }

    fn view(&self, role: Role) -> View {
        if self.sees_jids(role) {
            View::Jid
        } else {
            View::Nick
        }
    }

    /// Tells a client, which is of that role, of the occupant at `index`.
    pub(super) fn show(&self, to: &Jid, role: Role, index: usize) -> Option<Effect> {
        let shown = self.occupants.get(index);
        let variant = || Told::of(self, shown).write(self, self.view(role));
        self.is_shown(shown.role).then(|| {
            Effect::Spread(Spread {
                variants: vec![variant()],
                to: vec![(to.clone(), 0)],
            })
        })
    }

    /// Tells a client, which is of that role, of everybody but the occupant at `except`.
    pub(super) fn show_all(&self, to: &Jid, role: Role, except: usize) -> Vec<Effect> {
        let view = self.view(role);
        let shown = self.occupants.iter().enumerate();
        let variants: Vec<Bytes> = shown
            .filter(|(place, other)| *place != except && self.is_shown(other.role))
            .map(|(_, other)| Told::of(self, other).write(self, view))
            .collect();
        variants
            .chunks(MOST_VARIANTS)
            .map(|part| {
                Effect::Spread(Spread {
                    variants: part.to_vec(),
                    to: (0..part.len())
                        .map(|index| (to.clone(), index as u8))
                        .collect(),
                })
            })
            .collect()
    }
}

/// A spread in the making: a view is written when the first needs it.
struct Views<'a> {
    room: &'a Room,
    told: &'a Told<'a>,
    written: [Option<u8>; 3],
    made: Spread,
}

impl<'a> Views<'a> {
    fn new(room: &'a Room, told: &'a Told<'a>) -> Views<'a> {
        Views {
            room,
            told,
            written: [None; 3],
            made: Spread {
                variants: Vec::new(),
                to: Vec::new(),
            },
        }
    }

    fn add(&mut self, to: Jid, view: View) {
        let variant = self.written[view as usize].unwrap_or_else(|| {
            self.made.variants.push(self.told.write(self.room, view));
            self.made.variants.len() as u8 - 1
        });
        self.written[view as usize] = Some(variant);
        self.made.to.push((to, variant));
    }
}
