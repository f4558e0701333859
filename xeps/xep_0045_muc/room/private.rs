//! Private messages (§7.5).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use super::Room;
use crate::xep_0045_muc::USER;
use crate::xep_0045_muc::affiliation::Role;
use crate::xep_0045_muc::config::PrivateMessages;
use crate::xep_0045_muc::effect::Effect;
use crate::xep_0421_occupant_ids as occupant_ids;

impl Room {
    /// A message for an occupant: every session of it gets it.
    pub(super) fn private(
        &mut self,
        from: &Jid,
        nick: &str,
        message: &Stanza,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let index = self.inside(from)?;
        let least = match self.config.private_messages {
            PrivateMessages::Anyone => Some(Role::Visitor),
            PrivateMessages::Participants => Some(Role::Participant),
            PrivateMessages::Moderators => Some(Role::Moderator),
            PrivateMessages::Nobody => None,
        };
        let sender = self.occupants.get(index);
        if least.is_none_or(|least| sender.role < least) {
            let text = "You may not send private messages in this room";
            return Err(StanzaError::forbidden().with_text(text));
        }
        let recipient = self.occupants.of_nick(nick);
        let recipient = recipient.ok_or_else(StanzaError::item_not_found)?;
        let mark = occupant_ids::element(&self.occupant_id(from));
        let marks = format!("<x xmlns='{USER}'/>{mark}");
        let stanza = self.reflect(message, &sender.nick, false, &marks)?;
        self.whisper(index, now)?;
        let sessions = self.occupants.get(recipient).sessions();
        let deliver = |session: &Jid| Effect::Private {
            to: session.clone(),
            stanza: stanza.clone(),
        };
        Ok(sessions.map(deliver).collect())
    }
}
