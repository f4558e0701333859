//! Messages that moderators retract (XEP-0425), and those that their authors do (XEP-0424).

use minidom::Element;
use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Kept;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use super::{Answer, Room};
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::effect::{Change, Effect, Published};
use crate::xep_0421_occupant_ids as occupant_ids;
use crate::xep_0425_moderation::{self as moderation, Moderated, RETRACT};

impl Room {
    /// A request as `moderation::parse` reads it, from a session in the room; `target` is the message of that
    /// archive id as it is kept, without its stanza-id; `None`: there is none.
    ///
    /// # Errors
    /// `forbidden` but for moderators and admins, `item-not-found`, `bad-request`.
    pub fn moderate(
        &mut self,
        from: &Jid,
        payload: &Element,
        target: Option<&Stanza>,
        now: Timestamp,
    ) -> Answer {
        let affiliation = self.members.affiliation(from.bare());
        self.check_open(affiliation)?;
        let role = self.role_of(from);
        if role != Role::Moderator && affiliation < Affiliation::Admin {
            let text = "Only moderators may retract the messages of others";
            return Err(StanzaError::forbidden().with_text(text));
        }
        let request = moderation::parse(payload)?;
        let id = &request.id;
        let target = target.ok_or_else(StanzaError::item_not_found)?;
        if is_retracted(&target.to_element()) {
            return Ok((None, Vec::new()));
        }
        let reason = self.reason(&request.reason)?;
        let nick = self.nick_of(from).unwrap_or_default();
        let by = Moderated {
            // An admin need not be in the room.
            by: &match nick {
                "" => self.jid.to_string(),
                nick => self.occupant_jid(nick),
            },
            occupant_id: &self.occupant_id(from),
            reason: &reason,
        };
        let own = format!("moderation-{id}");
        let notice = moderation::notice(self.jid.as_str(), &own, id, by);
        let tombstone = moderation::tombstone(target, &own, now, Some(by));
        let published = Effect::Publish(Published {
            stanza: Stanza::from_element(&notice),
            sender: self.jid.clone(),
            kept: Kept::BOTH,
        });
        let saved = Effect::Save(Change::Tombstone {
            id: id.clone(),
            stanza: Stanza::from_element(&tombstone),
        });
        Ok((None, vec![published, saved]))
    }

    /// What is to be written down when an occupant published `retraction`, which names `target`, the
    /// message of that archive id as it is kept: a tombstone if both are of one author. `None`: the
    /// retraction is kept as any message, and changes nothing.
    #[must_use]
    pub fn retracted(
        &self,
        retraction: &Stanza,
        id: &str,
        target: &Stanza,
        now: Timestamp,
    ) -> Option<Effect> {
        let (asked, kept) = (retraction.to_element(), target.to_element());
        let names_it = asked
            .children()
            .any(|child| child.is("retract", RETRACT) && child.attr("id") == Some(id));
        let is_own = author(&asked).is_some() && author(&asked) == author(&kept);
        if !names_it || !is_own || is_retracted(&kept) {
            return None;
        }
        let by_message = retraction.id().unwrap_or_default();
        let tombstone = moderation::tombstone(target, &by_message, now, None);
        Some(Effect::Save(Change::Tombstone {
            id: id.to_owned(),
            stanza: Stanza::from_element(&tombstone),
        }))
    }
}

fn is_retracted(message: &Element) -> bool {
    message.has_child("retracted", RETRACT)
}

/// Who wrote a message, by its identifier in the room.
fn author(message: &Element) -> Option<&str> {
    message
        .get_child("occupant-id", occupant_ids::NS)
        .and_then(|id| id.attr("id"))
}
