//! The vCard of a room, which holds its avatar (XEP-0486).

use minidom::Element;
use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;
use waxwing_xmpp::dom::serialize;
use waxwing_xmpp::{Jid, StanzaError};

use super::{Answer, Room};
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::effect::{Change, Effect};

const VCARD: &str = "vcard-temp";

impl Room {
    /// A request with a `<vCard/>`, from a full JID in the room or not.
    ///
    /// # Errors
    /// `forbidden` to change it but for owners, and to see that of a room that is hidden and for
    /// members only but for those; `not-acceptable` if it is too long.
    pub fn vcard(&mut self, from: &Jid, verb: Verb, payload: &Element, now: Timestamp) -> Answer {
        // Nothing that is said of it holds a time.
        let _ = now;
        let affiliation = self.members.affiliation(from.bare());
        self.check_open(affiliation)?;
        match verb {
            Verb::Get => {
                let is_hidden = self.config.is_members_only && !self.config.is_public;
                if is_hidden && !affiliation.is_member() {
                    return Err(StanzaError::forbidden());
                }
                let stored = waxwing_xmpp::dom::parse(self.avatar.as_bytes());
                let vcard = stored.unwrap_or_else(|_| Element::bare("vCard", VCARD));
                Ok((Some(vcard), Vec::new()))
            }
            Verb::Set if affiliation != Affiliation::Owner => {
                Err(StanzaError::forbidden().with_text("Only owners may set the avatar"))
            }
            Verb::Set => self.set_vcard(payload).map(|effects| (None, effects)),
        }
    }

    fn set_vcard(&mut self, payload: &Element) -> Result<Vec<Effect>, StanzaError> {
        // XEP-0486 §3.2: an empty one takes the avatar away.
        let avatar = match payload.children().next() {
            None => String::new(),
            Some(_) => serialize(payload),
        };
        if avatar.len() > self.limits.avatar_bytes {
            return Err(StanzaError::not_acceptable().with_text("That vCard is too long"));
        }
        if avatar == self.avatar {
            return Ok(Vec::new());
        }
        self.avatar.clone_from(&avatar);
        let saved = Effect::Save(Change::Avatar(avatar));
        Ok(std::iter::once(saved).chain(self.notice(104)).collect())
    }
}
