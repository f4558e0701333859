//! Mediated invitations (§7.8.2), and those of new members (§9.5).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Element, Jid, StanzaError};

use super::Room;
use super::affiliation::Wish;
use super::limits::too_busy;
use super::reflect::own_message;
use super::told::{push_attribute, push_text};
use crate::xep_0045_muc::USER;
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::effect::Effect;

impl Room {
    /// Invitations in a message to the room, or the refusal of one. `None`: it is neither.
    pub(super) fn invitation(
        &mut self,
        from: &Jid,
        message: &Element,
        id: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Vec<Effect>>, StanzaError> {
        let Some(x) = message.get_child("x", USER) else {
            return Ok(None);
        };
        if let Some(decline) = x.get_child("decline", USER) {
            return self.decline(from, decline, id, now).map(Some);
        }
        let invites: Vec<&Element> = x.children().filter(|c| c.is("invite", USER)).collect();
        if invites.is_empty() {
            return Ok(None);
        }
        self.invite(from, &invites, id, now).map(Some)
    }

    fn invite(
        &mut self,
        from: &Jid,
        invites: &[&Element],
        id: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let index = self.inside(from)?;
        let is_admin = self.members.affiliation(from.bare()) >= Affiliation::Admin;
        if !is_admin && !self.config.may_invite {
            let text = "Only admins may invite to this room";
            return Err(StanzaError::forbidden().with_text(text));
        }
        let mut wishes = Vec::new();
        let mut stanzas = Vec::new();
        for invite in invites {
            let to = address(invite.attr("to"))?;
            if to.local().is_none() || to == self.jid {
                return Err(StanzaError::item_not_found());
            }
            let own = self.members.affiliation(to.as_str());
            if own == Affiliation::Outcast {
                let text = "That user is banned from the room";
                return Err(StanzaError::forbidden().with_text(text));
            }
            let reason = self.reason(&child_text(invite, "reason"))?;
            let stanza =
                self.invitation_of(from, &reason, invite.get_child("continue", USER), id)?;
            if self.config.is_members_only && !own.is_member() {
                wishes.push(Wish::new(to.clone(), Affiliation::Member).unsaid());
            }
            // §7.9: whose client is known is invited there.
            let client = invite
                .attr("to")
                .and_then(|to| Jid::parse_tolerant(to).ok());
            stanzas.push(match client.filter(Jid::is_full) {
                Some(to) => Effect::Private { to, stanza },
                None => Effect::Send { to, stanza },
            });
        }
        self.check_members(&self.after(&wishes))?;
        self.whisper(index, now)?;
        self.reach_out(stanzas.len(), now)?;
        // §9.5: who is invited to a members-only room becomes a member.
        let mut effects = self.change_affiliations(from, &wishes, now);
        effects.extend(stanzas);
        Ok(effects)
    }

    /// The invitation as the room sends it, in the name of a user.
    fn invitation_of(
        &self,
        inviter: &Jid,
        reason: &str,
        continued: Option<&Element>,
        id: Option<&str>,
    ) -> Result<waxwing_xmpp::Stanza, StanzaError> {
        let mut x = format!("<x xmlns='{USER}'><invite");
        push_attribute(&mut x, "from", inviter.bare());
        x.push('>');
        push_text(&mut x, "reason", reason);
        if let Some(continued) = continued {
            x.push_str("<continue");
            if let Some(thread) = continued.attr("thread") {
                push_attribute(&mut x, "thread", &self.reason(thread)?);
            }
            x.push_str("/>");
        }
        x.push_str("</invite>");
        push_text(&mut x, "password", &self.config.password);
        x.push_str("</x>");
        own_message(&self.jid, &id_attribute(id), &x)
    }

    /// §9.5: an invitation for a new member of a members-only room.
    pub(super) fn invitation_for_member(
        &self,
        inviter: &Jid,
        reason: &str,
    ) -> Result<waxwing_xmpp::Stanza, StanzaError> {
        self.invitation_of(inviter, reason, None, None)
    }

    /// What tells a member that is not in the room that something was said there: an invitation, in
    /// the name of an owner.
    ///
    /// # Errors
    /// None that a room can come to.
    pub fn call(&self) -> Result<waxwing_xmpp::Stanza, StanzaError> {
        let owner = self.owners().next().unwrap_or(&self.jid);
        self.invitation_of(owner, "There are messages for you", None, None)
    }

    /// Somebody does not come. It is told only to users that the room knows, or it would carry
    /// messages from anybody to anybody.
    fn decline(
        &mut self,
        from: &Jid,
        decline: &Element,
        id: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        if self.members.affiliation(from.bare()) == Affiliation::Outcast {
            return Err(StanzaError::forbidden());
        }
        let to = Jid::parse_tolerant(decline.attr("to").unwrap_or_default())
            .map_err(|_| StanzaError::jid_malformed())?;
        let reason = self.reason(&child_text(decline, "reason"))?;
        let Some(to) = self.inviter(&to) else {
            // To a stranger an error would tell who is known here.
            let is_known = self.occupants.of_user(from.bare()).next().is_some()
                || self.members.affiliation(from.bare()).is_member();
            return match is_known {
                true => Err(StanzaError::item_not_found()),
                false => Ok(Vec::new()),
            };
        };
        self.reach_out(1, now)?;
        let mut x = format!("<x xmlns='{USER}'><decline");
        push_attribute(&mut x, "from", from.bare());
        x.push('>');
        push_text(&mut x, "reason", &reason);
        x.push_str("</decline></x>");
        let stanza = own_message(&self.jid, &id_attribute(id), &x)?;
        Ok(vec![Effect::Send { to, stanza }])
    }

    /// The user that an address means which an invitation may have named, by bare JID.
    fn inviter(&self, named: &Jid) -> Option<Jid> {
        if named.bare() == self.jid.as_str() {
            let index = self.occupants.of_nick(named.resource()?)?;
            return Some(self.occupants.get(index).main.jid.to_bare());
        }
        let is_known = self.members.affiliation(named.bare()).is_member()
            || self.occupants.of_user(named.bare()).next().is_some();
        is_known.then(|| named.to_bare())
    }

    /// Counts messages to users that need not be in the room.
    pub(super) fn reach_out(&mut self, count: usize, now: Timestamp) -> Result<(), StanzaError> {
        let rate = self.limits.invitations_per_room;
        let mut outward = self.outward;
        for _ in 0..count {
            if !outward.has_room(rate, now) {
                return Err(too_busy());
            }
            outward.take(rate, now);
        }
        self.outward = outward;
        Ok(())
    }
}

/// The bare JID of who is meant.
pub(super) fn address(text: Option<&str>) -> Result<Jid, StanzaError> {
    let text = text.ok_or_else(StanzaError::bad_request)?;
    let jid = Jid::parse_tolerant(text).map_err(|_| StanzaError::jid_malformed())?;
    Ok(jid.to_bare())
}

fn child_text(of: &Element, name: &str) -> String {
    of.get_child(name, USER)
        .map(Element::text)
        .unwrap_or_default()
}

fn id_attribute(id: Option<&str>) -> String {
    let mut out = String::new();
    if let Some(id) = id {
        push_attribute(&mut out, "id", id);
    }
    out
}
