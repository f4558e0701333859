//! Registering with a room (§7.10), and approving that (§9.9).

use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;
use waxwing_xmpp::dom::serialize;
use waxwing_xmpp::jid::prepare_resource_tolerant;
use waxwing_xmpp::{Element, Jid, StanzaError};

use super::affiliation::Wish;
use super::limits::too_busy;
use super::occupants::Occupant;
use super::reflect::own_message;
use super::{Answer, Room};
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::effect::{Change, Effect};
use crate::xep_0045_muc::register_form::{self, Wish as Registration};

impl Room {
    /// A request with a `<query/>` of jabber:iq:register, from a full JID in the room or not: a user
    /// reserves a nickname and becomes a member, or ends that. In a members-only room, and in a
    /// moderated one without voice, a stranger is told that the request was received, and an admin
    /// decides.
    ///
    /// # Errors
    /// Those of §7.10.
    pub fn register(&mut self, from: &Jid, verb: Verb, query: &Element, now: Timestamp) -> Answer {
        let affiliation = self.members.affiliation(from.bare());
        self.check_open(affiliation)?;
        if affiliation == Affiliation::Outcast || !self.config.may_register {
            return Err(StanzaError::not_allowed());
        }
        if verb == Verb::Get {
            let form = match self.members.reserved_nick(from.bare()) {
                Some(nick) => register_form::registered(nick),
                None => register_form::form(),
            };
            return Ok((Some(form), Vec::new()));
        }
        let effects = match register_form::parse(query)? {
            Registration::Register(nick) => self.reserve(from, &nick, now)?,
            Registration::Remove => self.unregister(from, now)?,
        };
        Ok((None, effects))
    }

    fn reserve(
        &mut self,
        from: &Jid,
        nick: &str,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let nick = prepare_resource_tolerant(nick).map_err(|_| StanzaError::not_acceptable())?;
        self.check_nick(from.bare(), &nick)?;
        let affiliation = self.members.affiliation(from.bare());
        let mut wish = Wish::new(from.to_bare(), affiliation.max(Affiliation::Member));
        wish.nick = Some(nick.into_owned());
        self.check_members(&self.after(std::slice::from_ref(&wish)))?;
        let role = self.role_of_user(from.bare());
        let is_silent = role.max(self.usual_role(from.bare())) < Role::Participant;
        let is_closed = self.config.is_members_only || (self.config.is_moderated && is_silent);
        if is_closed && !affiliation.is_member() {
            return self.ask_admins(&wish, now);
        }
        Ok(self.change_affiliations(from, &[wish], now))
    }

    /// §9.9: the admins and owners in the room are asked, or all of them if none is there: then the
    /// question waits for them like any message. Nothing of it is held here. The form says all, and
    /// who answers it could do the same without having been asked.
    fn ask_admins(&mut self, wish: &Wish, now: Timestamp) -> Result<Vec<Effect>, StanzaError> {
        let rate = self.limits.registrations_per_room;
        if !self.requests.has_room(rate, now) {
            return Err(too_busy());
        }
        self.requests.take(rate, now);
        let nick = wish.nick.as_deref().unwrap_or_default();
        let form = register_form::request(&wish.user, nick);
        let stanza = own_message(&self.jid, "", &serialize(&form))?;
        let is_admin = |affiliation| affiliation >= Affiliation::Admin;
        let here = self
            .occupants
            .iter()
            .filter(|occupant| is_admin(self.members.affiliation(occupant.bare())));
        let asked: Vec<Effect> = here
            .flat_map(Occupant::sessions)
            .map(|session| Effect::Private {
                to: session.clone(),
                stanza: stanza.clone(),
            })
            .collect();
        if !asked.is_empty() {
            return Ok(asked);
        }
        let all = self.members.with(is_admin).map(|(jid, _)| Effect::Send {
            to: jid.clone(),
            stanza: stanza.clone(),
        });
        Ok(all.collect())
    }

    /// The answer to such a question in a message to the room, by whoever got it, in the room or
    /// not. `None`: there is none.
    pub(super) fn approval(
        &mut self,
        from: &Jid,
        message: &Element,
        now: Timestamp,
    ) -> Result<Option<Vec<Effect>>, StanzaError> {
        let Some(said) = register_form::parse_approval(message)? else {
            return Ok(None);
        };
        if self.members.affiliation(from.bare()) < Affiliation::Admin {
            let text = "Only admins decide who is a member";
            return Err(StanzaError::forbidden().with_text(text));
        }
        match self.members.affiliation(said.jid.as_str()) {
            Affiliation::Outcast if said.is_allowed => {
                let text = "That user is banned from the room";
                return Err(StanzaError::not_allowed().with_text(text));
            }
            Affiliation::None if said.is_allowed => {}
            // Another admin was faster, or it is refused.
            _ => return Ok(Some(Vec::new())),
        }
        let nick = prepare_resource_tolerant(&said.nick);
        let nick = nick.map_err(|_| StanzaError::not_acceptable())?;
        let mut wish = Wish::new(said.jid, Affiliation::Member);
        wish.nick = Some(nick.into_owned());
        let wishes = [wish];
        self.check_wishes(from, &wishes)?;
        Ok(Some(self.change_affiliations(from, &wishes, now)))
    }

    /// A member is none any more; an admin or owner only gives its nickname back.
    fn unregister(&mut self, from: &Jid, now: Timestamp) -> Result<Vec<Effect>, StanzaError> {
        let bare = from.to_bare();
        let mut member = self.members.member(bare.as_str());
        match member.affiliation {
            Affiliation::Member => {
                let wish = Wish::new(bare, Affiliation::None);
                Ok(self.change_affiliations(from, &[wish], now))
            }
            Affiliation::Admin | Affiliation::Owner => {
                member.nick = String::new();
                let member = self.members.set(&bare, member);
                Ok(vec![Effect::Save(Change::Member { jid: bare, member })])
            }
            Affiliation::None | Affiliation::Outcast => Err(StanzaError::registration_required()),
        }
    }
}
