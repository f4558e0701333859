//! Registering with a room (§7.10).

use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;
use waxwing_xmpp::jid::prepare_resource_tolerant;
use waxwing_xmpp::{Element, Jid, StanzaError};

use super::affiliation::Wish;
use super::{Answer, Room};
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::effect::{Change, Effect};
use crate::xep_0045_muc::register_form::{self, Wish as Registration};

impl Room {
    /// A request with a `<query/>` of jabber:iq:register, from a full JID in the room or not: a user
    /// reserves a nickname and becomes a member, or ends that. Nobody becomes a member of a
    /// members-only room so: nobody would have agreed to it.
    ///
    /// # Errors
    /// Those of §7.10.
    pub fn register(&mut self, from: &Jid, verb: Verb, query: &Element, now: Timestamp) -> Answer {
        let affiliation = self.members.affiliation(from.bare());
        self.check_open(affiliation)?;
        let is_closed = self.config.is_members_only && !affiliation.is_member();
        if affiliation == Affiliation::Outcast || is_closed || !self.config.may_register {
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
        Ok(self.change_affiliations(from, &[wish], now))
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
