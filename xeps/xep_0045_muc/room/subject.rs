//! Changing the subject (§8.1, §7.3).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Jid, Stanza, StanzaError, ns};

use super::Room;
use crate::xep_0045_muc::affiliation::Role;
use crate::xep_0045_muc::effect::{Change, Effect, Subject};

impl Room {
    /// A subject without a text, from the occupant at `index`.
    pub(super) fn change_subject(
        &mut self,
        index: usize,
        from: &Jid,
        message: &Stanza,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let occupant = self.occupants.get(index);
        let may = match occupant.role {
            Role::Moderator => true,
            Role::Participant => self.config.may_change_subject,
            Role::Visitor | Role::None => false,
        };
        if !may {
            return Err(StanzaError::forbidden().with_text("You may not change the subject"));
        }
        let element = message.to_element();
        let text = element
            .get_child("subject", ns::CLIENT)
            .map(minidom::Element::text)
            .unwrap_or_default();
        if text.len() > self.limits.subject_bytes {
            return Err(StanzaError::not_acceptable().with_text("That subject is too long"));
        }
        let nick = occupant.nick.to_string();
        let published = self.publish(index, from, message)?;
        self.say(index, now)?;
        self.subject = Subject {
            text,
            nick,
            at: now.0,
        };
        Ok(vec![
            Effect::Publish(published),
            Effect::Save(Change::Subject(self.subject.clone())),
        ])
    }
}
