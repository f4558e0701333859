//! XEP-0425: Moderated Message Retraction (version 0.3.0)
//!
//! Supported: moderators of a room retract messages of occupants; what was kept of them becomes a
//! tombstone (XEP-0424 §5, XEP-0425 §5). The request of the versions before 0.3 is taken too, and
//! what a room says is understood by clients of both.

use minidom::Element;
use waxwing_core::clock::Timestamp;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Stanza, StanzaError, ns};

use crate::xep_0421_occupant_ids as occupant_ids;

/// The namespace of `<moderate/>` and `<moderated/>`, and the feature.
pub const NS: &str = "urn:xmpp:message-moderate:1";
/// The namespace of `<retract/>` and `<retracted/>` (XEP-0424).
pub const RETRACT: &str = "urn:xmpp:message-retract:1";

/// The namespaces of the versions before 0.3, which fasten the request to a message (XEP-0422).
pub const NS_BEFORE: &str = "urn:xmpp:message-moderate:0";
/// The namespace of `<apply-to/>`.
pub const FASTEN: &str = "urn:xmpp:fasten:0";
const RETRACT_BEFORE: &str = "urn:xmpp:message-retract:0";

/// What a moderator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The archive id of the message.
    pub id: String,
    /// Why, as it was written; empty: not said.
    pub reason: String,
}

/// Reads `<moderate/>` (§4), or `<apply-to/>` around one as the versions before 0.3 have it.
///
/// # Errors
/// `bad-request` if it does not say that a message is to be retracted, and which.
pub fn parse(payload: &Element) -> Result<Request, StanzaError> {
    let (moderate, namespace, retract) = match payload.is("apply-to", FASTEN) {
        true => (
            payload.get_child("moderate", NS_BEFORE),
            NS_BEFORE,
            RETRACT_BEFORE,
        ),
        false => (Some(payload), NS, RETRACT),
    };
    let moderate = moderate.filter(|moderate| moderate.has_child("retract", retract));
    let moderate = moderate.ok_or_else(StanzaError::bad_request)?;
    let id = payload.attr("id").filter(|id| !id.is_empty());
    let reason = moderate.get_child("reason", namespace).map(Element::text);
    Ok(Request {
        id: id.ok_or_else(StanzaError::bad_request)?.to_owned(),
        reason: reason.unwrap_or_default(),
    })
}

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

/// The message by which a room says that one with that archive id is retracted (§4.1), to clients
/// of this version and to those of the versions before 0.3; `own` is its own id.
#[must_use]
pub fn notice(room: &str, own: &str, id: &str, by: Moderated<'_>) -> Element {
    let retract = Element::builder("retract", RETRACT).with("id", id);
    let fastened = Element::builder("apply-to", FASTEN).with("id", id);
    Element::builder("message", ns::CLIENT)
        .with("from", room)
        .with("id", own)
        .with("type", "groupchat")
        .append(by.append_to(retract).build())
        .append(fastened.append(by.before()).build())
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

    /// As the versions before 0.3 say it.
    fn before(self) -> Element {
        let moderated = Element::builder("moderated", NS_BEFORE)
            .with("by", self.by)
            .append(Element::bare("retract", RETRACT_BEFORE));
        if self.reason.is_empty() {
            return moderated.build();
        }
        let reason = Element::builder("reason", NS_BEFORE).append(self.reason);
        moderated.append(reason.build()).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_both_versions_are_read() {
        let before = |inner: &str| {
            format!(
                "<apply-to xmlns='{FASTEN}' id='1'>\
                 <moderate xmlns='{NS_BEFORE}'>{inner}</moderate></apply-to>"
            )
        };
        let now = |id: &str, inner: &str| format!("<moderate xmlns='{NS}'{id}>{inner}</moderate>");
        let (id, reason) = (" id='1'", "<reason>Spam</reason>");
        let asks = |reason: &str| {
            Some(Request {
                id: "1".into(),
                reason: reason.into(),
            })
        };
        let retract = "<retract xmlns='urn:xmpp:message-retract:1'/>";
        let retract_before = "<retract xmlns='urn:xmpp:message-retract:0'/>";
        for (xml, expected) in [
            (now(id, retract), asks("")),
            (now(id, &format!("{retract}{reason}")), asks("Spam")),
            (before(retract_before), asks("")),
            (before(&format!("{retract_before}{reason}")), asks("Spam")),
            (now(id, ""), None),
            (now("", retract), None),
            (before(""), None),
            (before(retract), None),
            (format!("<apply-to xmlns='{FASTEN}' id='1'/>"), None),
        ] {
            let payload: Element = xml.parse().expect("well-formed");
            assert_eq!(parse(&payload).ok(), expected, "{xml}");
        }
    }
}
