//! Destroying a room (§10.9).

use waxwing_xmpp::{Element, Jid, StanzaError};

use super::told::{Told, push_attribute, push_text};
use super::{Room, State};
use crate::xep_0045_muc::OWNER;
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::effect::{Change, Effect};

impl Room {
    /// An owner's `<destroy/>`.
    pub(super) fn destroy(&mut self, wish: &Element) -> Result<Vec<Effect>, StanzaError> {
        let venue = match wish.attr("jid") {
            None | Some("") => None,
            Some(venue) => {
                Some(Jid::parse_tolerant(venue).map_err(|_| StanzaError::jid_malformed())?)
            }
        };
        let text = |name| {
            wish.get_child(name, OWNER)
                .map(Element::text)
                .unwrap_or_default()
        };
        let (reason, password) = (
            self.reason(&text("reason"))?,
            self.reason(&text("password"))?,
        );
        let mut inner = String::new();
        push_text(&mut inner, "password", &password);
        push_text(&mut inner, "reason", &reason);
        Ok(self.destroyed(venue, &inner))
    }

    /// The room goes: each session is told so, and nothing of the others (§10.9).
    pub(super) fn destroyed(&mut self, venue: Option<Jid>, inner: &str) -> Vec<Effect> {
        let mut said = String::from("<destroy");
        if let Some(venue) = &venue {
            push_attribute(&mut said, "jid", venue.as_str());
        }
        said.push('>');
        said.push_str(inner);
        said.push_str("</destroy>");
        let mut effects = Vec::new();
        for occupant in self.occupants.take() {
            let own: Vec<Jid> = occupant.sessions().cloned().collect();
            let told = Told {
                affiliation: Affiliation::None,
                destroy: &said,
                ..Told::gone(self, &occupant)
            };
            effects.extend(self.tell(&told, None, &own, false));
            effects.extend(own.into_iter().map(|session| Effect::Left { session }));
        }
        self.state = State::Destroyed(venue);
        effects.push(Effect::Save(Change::Destroyed));
        effects
    }

    /// What somebody who wants to enter is told of a room that is no more.
    pub(super) fn gone(&self) -> StanzaError {
        let State::Destroyed(Some(venue)) = &self.state else {
            return StanzaError::gone(None);
        };
        StanzaError::gone(Some(format!("xmpp:{venue}?join")))
    }

    /// A reason as somebody gave it.
    ///
    /// # Errors
    /// `not-acceptable` if it is too long.
    pub(super) fn reason(&self, text: &str) -> Result<String, StanzaError> {
        let text = text.trim();
        if text.len() > self.limits.reason_bytes {
            return Err(StanzaError::not_acceptable().with_text("That reason is too long"));
        }
        Ok(text.to_owned())
    }
}
