//! Presence of a session: which use case it is, and changes of availability (§7.7).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::stanza::PresenceType;
use waxwing_xmpp::{Element, Jid, Stanza, StanzaError};

use super::leave::Exit;
use super::limits::{too_busy, too_fast};
use super::occupants::Seat;
use super::reflect::stanza;
use super::told::{NOTHING, Told, push_attribute};
use super::{Room, State};
use crate::xep_0045_muc::affiliation::Role;
use crate::xep_0045_muc::effect::Effect;
use crate::xep_0045_muc::{MUC, USER};

impl Room {
    /// A session, by full JID, sent presence to the room JID of a nickname: it enters, changes its
    /// nickname or its availability, or leaves.
    ///
    /// # Errors
    /// Those of §7.2.15, and `policy-violation` or `resource-constraint` of type wait where too much
    /// is sent. Nothing has changed then.
    pub fn presence(
        &mut self,
        from: &Jid,
        nick: Option<&str>,
        presence: &Stanza,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        match presence.presence_type() {
            PresenceType::Available => {}
            PresenceType::Unavailable => return self.exit(from, presence),
            PresenceType::Error => return Ok(self.presence_error(from, presence, now)),
            // §15.3: none of the others asks to enter or leave. Probes and subscriptions are none
            // of a room's business, and their sender waits for nothing.
            _ => return Ok(Vec::new()),
        }
        let wish = presence.to_element();
        let wish = wish.get_child("x", MUC);
        let Some(index) = self.occupants.of_session(from) else {
            return match wish {
                Some(wish) => self.enter(from, nick, presence, wish, now),
                None => self.not_inside(from, nick),
            };
        };
        if let State::Destroyed(_) = self.state {
            return Err(self.gone());
        }
        let nick = nick.ok_or_else(StanzaError::jid_malformed)?;
        let is_renamed = *self.occupants.get(index).nick != *nick;
        let payload = self.payload(presence)?;
        let mut effects = if is_renamed {
            self.rename(index, from, nick, &payload, now)?
        } else {
            // Who is to be told everything is told of itself last.
            self.update(index, from, &payload, wish.is_some(), now)?
        };
        if let Some(wish) = wish {
            effects.extend(self.synchronize(from, presence.id().as_deref(), wish)?);
        }
        Ok(effects)
    }

    /// §7.7.
    fn update(
        &mut self,
        index: usize,
        from: &Jid,
        payload: &str,
        but_itself: bool,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let occupant = self.occupants.get(index);
        let is_same = occupant.main.jid == *from && **occupant.main.payload == *payload;
        if is_same {
            return Ok(Vec::new());
        }
        self.stir_by(index, now)?;
        self.seat(index, from, payload);
        Ok(self.announce_but(index, but_itself.then_some(from)))
    }

    /// Counts a presence that everybody is to see.
    pub(super) fn stir(&mut self, now: Timestamp) -> Result<(), StanzaError> {
        let rate = self.limits.presence_per_room;
        if !self.stir.has_room(rate, now) {
            return Err(too_busy());
        }
        self.stir.take(rate, now);
        Ok(())
    }

    /// Counts a presence of an occupant that everybody is to see.
    pub(super) fn stir_by(&mut self, index: usize, now: Timestamp) -> Result<(), StanzaError> {
        let rate = self.limits.presence_per_occupant;
        if !self.occupants.get(index).moves.has_room(rate, now) {
            return Err(too_fast());
        }
        self.stir(now)?;
        self.occupants.get_mut(index).moves.take(rate, now);
        Ok(())
    }

    /// Makes a client the one that is shown for its occupant.
    pub(super) fn seat(&mut self, index: usize, from: &Jid, payload: &str) {
        let payload = self.occupants.share(payload);
        self.occupants.get_mut(index).show(Seat {
            jid: from.clone(),
            payload,
        });
    }

    /// Tells everybody how an occupant is now.
    pub(super) fn announce(&self, index: usize) -> Vec<Effect> {
        self.announce_but(index, None)
    }

    /// The same, but for one of its sessions.
    fn announce_but(&self, index: usize, session: Option<&Jid>) -> Vec<Effect> {
        let occupant = self.occupants.get(index);
        let own = occupant.sessions().filter(|own| Some(*own) != session);
        let own: Vec<Jid> = own.cloned().collect();
        let is_shown = self.is_shown(occupant.role);
        let told = Told::of(self, occupant);
        self.tell(&told, Some(index), &own, is_shown)
            .into_iter()
            .collect()
    }

    /// Tells everybody how an occupant is now, after its role changed from `before`: those that do
    /// not see it any more are told that it is gone.
    pub(super) fn announce_change(
        &self,
        index: usize,
        before: Role,
        told: &Told<'_>,
    ) -> Vec<Effect> {
        let occupant = self.occupants.get(index);
        let own: Vec<Jid> = occupant.sessions().cloned().collect();
        let is_shown = self.is_shown(occupant.role);
        let mut effects = Vec::new();
        if self.is_shown(before) && !is_shown {
            effects.extend(self.tell(&Told::gone(self, occupant), Some(index), &[], true));
        }
        effects.extend(self.tell(told, Some(index), &own, is_shown));
        // §8: a moderator finds real JIDs in the presence of the others.
        if self.sees_jids(occupant.role) && !self.sees_jids(before) {
            for session in &own {
                effects.extend(self.show_all(session, occupant.role, index));
            }
        }
        effects
    }

    /// Presence without a wish to enter from who is not in the room: it lost track, and is told so
    /// (§7.2.16).
    fn not_inside(&self, from: &Jid, nick: Option<&str>) -> Result<Vec<Effect>, StanzaError> {
        if let State::Destroyed(_) = self.state {
            return Err(self.gone());
        }
        let nick = nick.ok_or_else(StanzaError::jid_malformed)?;
        let mut out = String::from("<presence");
        push_attribute(&mut out, "from", &self.occupant_jid(nick));
        push_attribute(&mut out, "type", "unavailable");
        out.push_str(NOTHING);
        out.push_str(&format!(
            "<x xmlns='{USER}'><item affiliation='none' role='none'>\
             <reason>You are not in the room.</reason></item><status code='110'/>\
             <status code='307'/><status code='333'/></x></presence>"
        ));
        let kick = Effect::Send {
            to: from.clone(),
            stanza: stanza(out)?,
        };
        Ok(vec![kick])
    }

    /// §7.14, with a message of farewell.
    fn exit(&mut self, from: &Jid, presence: &Stanza) -> Result<Vec<Effect>, StanzaError> {
        if !self.is_inside(from) {
            // §15.3: silently.
            return Ok(Vec::new());
        }
        // What is too long is not said; to leave cannot fail.
        let farewell = self.payload(presence);
        let farewell = farewell.unwrap_or_else(|_| NOTHING.to_owned());
        Ok(self.depart(from, &farewell, &[], true))
    }

    /// A presence that the room sent could not be delivered (§17.1.2).
    fn presence_error(&mut self, from: &Jid, presence: &Stanza, now: Timestamp) -> Vec<Effect> {
        if is_undelivered(&presence.to_element()) {
            return self.leave(from, Exit::Fault, now);
        }
        Vec::new()
    }
}

/// Whether a stanza of type error says that its recipient is not reached (§17.1.2).
pub(super) fn is_undelivered(stanza: &Element) -> bool {
    use waxwing_xmpp::error::Condition;
    let error = stanza.children().find_map(StanzaError::parse);
    error.is_some_and(|error| {
        matches!(
            error.condition,
            Condition::Gone(_)
                | Condition::ItemNotFound
                | Condition::JidMalformed
                | Condition::RecipientUnavailable
                | Condition::Redirect(_)
                | Condition::RemoteServerNotFound
                | Condition::RemoteServerTimeout
                | Condition::ServiceUnavailable
        )
    })
}
