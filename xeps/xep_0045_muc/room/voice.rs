//! Asking for voice (§7.13), and granting it to somebody who asked (§8.6).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::dom::serialize;
use waxwing_xmpp::{Element, Jid, StanzaError};

use super::Room;
use super::occupants::Occupant;
use super::reflect::own_message;
use crate::xep_0045_muc::affiliation::Role;
use crate::xep_0045_muc::effect::Effect;
use crate::xep_0045_muc::voice_form::{self, Voice};

impl Room {
    /// A form about voice in a message to the room. `None`: there is none.
    pub(super) fn voice(
        &mut self,
        from: &Jid,
        message: &Element,
        now: Timestamp,
    ) -> Result<Option<Vec<Effect>>, StanzaError> {
        let Some(said) = voice_form::parse(message)? else {
            return Ok(None);
        };
        let index = self.inside(from)?;
        match said {
            Voice::Wanted => self.ask_for_voice(index, from, now),
            Voice::Answered {
                jid,
                nick,
                is_granted,
            } => self.answer_for_voice(from, jid.as_ref(), &nick, is_granted),
        }
        .map(Some)
    }

    fn ask_for_voice(
        &mut self,
        index: usize,
        from: &Jid,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        if self.occupants.get(index).role >= Role::Participant {
            return Ok(Vec::new());
        }
        if !self.config.may_request_voice {
            return Err(StanzaError::forbidden());
        }
        self.whisper(index, now)?;
        let form = voice_form::approval(from, &self.occupants.get(index).nick);
        let stanza = own_message(&self.jid, "", &serialize(&form))?;
        let moderators = self.occupants.iter().filter(|o| o.role == Role::Moderator);
        let effects: Vec<Effect> = moderators
            .flat_map(Occupant::sessions)
            .map(|session| Effect::Send {
                to: session.clone(),
                stanza: stanza.clone(),
            })
            .collect();
        if effects.is_empty() {
            let text = "No moderator is in the room";
            return Err(StanzaError::recipient_unavailable().with_text(text));
        }
        Ok(effects)
    }

    fn answer_for_voice(
        &mut self,
        from: &Jid,
        jid: Option<&Jid>,
        nick: &str,
        is_granted: bool,
    ) -> Result<Vec<Effect>, StanzaError> {
        let index = self.inside(from)?;
        let moderator = self.occupants.get(index);
        if moderator.role != Role::Moderator {
            return Err(StanzaError::forbidden());
        }
        let actor = moderator.nick.to_string();
        let asked = self.occupants.of_nick(nick).filter(|index| {
            // The nickname may be somebody else's by now.
            jid.is_none_or(|jid| jid.bare() == self.occupants.get(*index).bare())
        });
        let asked = asked.ok_or_else(StanzaError::item_not_found)?;
        if !is_granted || self.occupants.get(asked).role != Role::Visitor {
            return Ok(Vec::new());
        }
        Ok(self.change_role(asked, Role::Participant, &actor, ""))
    }
}
