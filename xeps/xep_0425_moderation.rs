//! XEP-0425: Moderated Message Retraction (version 0.3.0)
//!
//! Supported: moderators of a room retract messages of occupants; what was kept of them becomes a
//! tombstone (XEP-0424 §5, XEP-0425 §5). Not: the request of the versions before 0.3.

use minidom::Element;
use waxwing_core::clock::Timestamp;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Stanza, ns};

use crate::xep_0421_occupant_ids as occupant_ids;

/// The namespace of `<moderate/>` and `<moderated/>`, and the feature.
pub const NS: &str = "urn:xmpp:message-moderate:1";
/// The namespace of `<retract/>` and `<retracted/>` (XEP-0424).
pub const RETRACT: &str = "urn:xmpp:message-retract:1";

/// Who retracted a message of somebody else, and why.
#[derive(Clone, Copy, Debug)]
pub struct Moderated<'a> {
    /// Its room JID.
    pub by: &'a str,
    /// Its identifier in the room.
    pub occupant_id: &'a str,
    /// Empty: not said.
    pub reason: &'a str,
}

/// The message by which a room says that one with that archive id is retracted (§4.1); `own` is its
/// own id.
#[must_use]
pub fn notice(room: &str, own: &str, id: &str, by: Moderated<'_>) -> Element {
    let retract = Element::builder("retract", RETRACT).with("id", id);
    Element::builder("message", ns::CLIENT)
        .with("from", room)
        .with("id", own)
        .with("type", "groupchat")
        .append(by.append_to(retract).build())
        .build()
}

/// What stays of a message in the archive (§5, XEP-0424 §5): who sent it, its id and type, that it
/// was retracted by the message with the id `by_message`, and when.
#[must_use]
pub fn tombstone(
    of: &Stanza,
    by_message: &str,
    at: Timestamp,
    by: Option<Moderated<'_>>,
) -> Element {
    let of = of.to_element();
    let mut message = Element::bare("message", ns::CLIENT);
    for ((namespace, name), value) in of.attrs() {
        if ["from", "id", "type"].contains(&name.as_str()) {
            message
                .attrs_mut()
                .insert(namespace.clone(), name.clone(), value.clone());
        }
    }
    let author = of
        .children()
        .find(|child| child.is("occupant-id", occupant_ids::NS));
    if let Some(author) = author {
        message.append_child(author.clone());
    }
    let mut retracted = Element::builder("retracted", RETRACT)
        .with("id", by_message)
        .with("stamp", at.to_xep_0082());
    if let Some(by) = by {
        retracted = by.append_to(retracted);
    }
    message.append_child(retracted.build());
    message
}

impl Moderated<'_> {
    fn append_to(
        self,
        element: minidom::element::ElementBuilder,
    ) -> minidom::element::ElementBuilder {
        let id = Element::builder("occupant-id", occupant_ids::NS).with("id", self.occupant_id);
        let moderated = Element::builder("moderated", NS)
            .with("by", self.by)
            .append(id.build());
        let element = element.append(moderated.build());
        if self.reason.is_empty() {
            return element;
        }
        let reason = Element::builder("reason", RETRACT).append(self.reason);
        element.append(reason.build())
    }
}
