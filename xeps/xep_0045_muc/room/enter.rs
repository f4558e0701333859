//! Entering a room (§7.2).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Element, Jid, Stanza, StanzaError};

use super::occupants::{Occupant, Seat};
use super::told::Told;
use super::{Room, State, look};
use crate::xep_0045_muc::MUC;
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::config::Whois;
use crate::xep_0045_muc::effect::{Effect, Entered};
use crate::xep_0045_muc::history;

impl Room {
    /// A session that is not in the room wants to enter; `wish` is its `<x/>`.
    pub(super) fn enter(
        &mut self,
        from: &Jid,
        nick: Option<&str>,
        presence: &Stanza,
        wish: &Element,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        if let State::Destroyed(_) = self.state {
            return Err(self.gone());
        }
        let nick = nick.ok_or_else(StanzaError::jid_malformed)?;
        self.check_admission(from, wish)?;
        self.check_nick(from.bare(), nick)?;
        self.check_place(from.bare())?;
        self.check_sessions(from.bare())?;
        let payload = self.payload(presence)?;
        self.stir(now)?;
        let index = self.take_seat(from, nick, &payload, None);
        let id = presence.id();
        let told = self.synchronize(from, id.as_deref(), wish)?;
        // Everybody else, and its user's other clients, see it first (§7.2.2).
        let occupant = self.occupants.get(index);
        let others: Vec<Jid> = occupant
            .sessions()
            .filter(|s| *s != from)
            .cloned()
            .collect();
        let is_shown = self.is_shown(occupant.role);
        let told_others = self.tell(&Told::of(self, occupant), Some(index), &others, is_shown);
        Ok(told_others.into_iter().chain(told).collect())
    }

    /// §7.2.5 to §7.2.7, §7.2.10.
    fn check_admission(&self, from: &Jid, wish: &Element) -> Result<(), StanzaError> {
        let affiliation = self.members.affiliation(from.bare());
        self.check_open(affiliation)?;
        if affiliation == Affiliation::Outcast {
            return Err(StanzaError::forbidden());
        }
        if self.config.is_members_only && !affiliation.is_member() {
            return Err(StanzaError::registration_required());
        }
        let password = wish.get_child("password", MUC).map(Element::text);
        if !self.config.password.is_empty()
            && password.as_deref() != Some(self.config.password.as_str())
        {
            return Err(StanzaError::not_authorized());
        }
        Ok(())
    }

    /// Whether a user may have a nickname (§7.2.8): nobody else has it or has it reserved, nor one
    /// that looks like it.
    pub(super) fn check_nick(&self, bare: &str, nick: &str) -> Result<(), StanzaError> {
        let look = look::check(nick, self.limits.nick_bytes)?;
        let is_taken = self
            .occupants
            .looking(&look)
            .any(|other| other.bare() != bare);
        let is_reserved = self
            .members
            .holder_of(&look)
            .is_some_and(|holder| holder.as_str() != bare);
        if is_taken || is_reserved {
            return Err(StanzaError::conflict());
        }
        Ok(())
    }

    fn check_sessions(&self, bare: &str) -> Result<(), StanzaError> {
        let own = self.occupants.of_user(bare);
        let sessions: usize = own.map(|i| self.occupants.get(i).session_count()).sum();
        if sessions >= usize::from(self.limits.sessions_per_user) {
            let text = "You are in the room with too many clients";
            return Err(StanzaError::resource_constraint().with_text(text));
        }
        Ok(())
    }

    /// Lets a session in, to its user's occupant of that nickname if there is one.
    pub(super) fn take_seat(
        &mut self,
        from: &Jid,
        nick: &str,
        payload: &str,
        role: Option<Role>,
    ) -> usize {
        if let Some(index) = self.occupants.of_nick(nick) {
            self.seat(index, from, payload);
            return index;
        }
        let seat = Seat {
            jid: from.clone(),
            payload: self.occupants.share(payload),
        };
        let role = role.unwrap_or_else(|| self.usual_role(from.bare()));
        self.occupants.push(Occupant::new(nick, seat, role));
        self.occupants.len() - 1
    }

    /// §7.2.3, §7.2.12, §10.1.1.
    fn codes_of_entry(&self) -> Vec<u16> {
        let mut codes = Vec::new();
        if self.config.whois == Whois::Anyone {
            codes.push(100);
        }
        if self.config.is_archived {
            codes.push(170);
        }
        if self.is_locked() {
            codes.push(201);
        }
        codes
    }

    fn entered(&self, session: &Jid, nick: &str, wish: &Element) -> Effect {
        Effect::Entered(Entered {
            session: session.clone(),
            nick: nick.to_owned(),
            history: history::parse(wish),
        })
    }

    /// A session that is in the room asked to enter: it is told everything as if it had just entered
    /// (§7.2.1, §15.3).
    pub(super) fn synchronize(
        &self,
        from: &Jid,
        id: Option<&str>,
        wish: &Element,
    ) -> Result<Vec<Effect>, StanzaError> {
        let Some(index) = self.occupants.of_session(from) else {
            return Ok(Vec::new());
        };
        let occupant = self.occupants.get(index);
        let mut effects = self.affiliations_for(from, wish)?;
        effects.extend(self.show_all(from, occupant.role, index));
        let codes = self.codes_of_entry();
        let told = Told {
            own_codes: &codes,
            versions: Some((None, self.members.version())),
            id,
            ..Told::of(self, occupant)
        };
        effects.extend(self.tell(&told, Some(index), std::slice::from_ref(from), false));
        effects.push(self.entered(from, &occupant.nick, wish));
        Ok(effects)
    }

    /// Puts a session back after a restart, as [`Room::occupancy`] said it was, without a word to
    /// anybody. Of more sessions with one nickname the first is shown. False: it may not be in the
    /// room any more.
    pub fn restore(&mut self, session: &Jid, nick: &str, role: Role, payload: &[u8]) -> bool {
        let affiliation = self.members.affiliation(session.bare());
        let is_welcome = self.state == State::Open
            && affiliation != Affiliation::Outcast
            && (affiliation.is_member() || !self.config.is_members_only);
        // Who was inside has a place: more than the cap are so by what was allowed then.
        let has_nick = self.check_nick(session.bare(), nick).is_ok();
        let payload = std::str::from_utf8(payload).unwrap_or_default();
        if !is_welcome || !has_nick || !payload.contains('>') || self.is_inside(session) {
            return false;
        }
        let role = self.restored_role(session.bare(), role);
        if let Some(index) = self.occupants.of_nick(nick) {
            let payload = self.occupants.share(payload);
            self.occupants.get_mut(index).add(Seat {
                jid: session.clone(),
                payload,
            });
        } else {
            self.take_seat(session, nick, payload, Some(role));
        }
        true
    }

    /// The role that somebody had, if that can be, or the usual one.
    fn restored_role(&mut self, bare: &str, role: Role) -> Role {
        let usual = self.usual_role(bare);
        if self.members.affiliation(bare) >= Affiliation::Admin || role == Role::None {
            return usual;
        }
        if role != usual {
            self.remember_voice(bare, role);
        }
        role
    }
}
