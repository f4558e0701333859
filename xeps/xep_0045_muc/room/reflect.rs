//! What a client sent, as the room passes it on: without what only the room may say (§15.3), and
//! otherwise unchanged.

use waxwing_xmpp::dom::{escape_attr, serialize};
use waxwing_xmpp::stanza::Children;
use waxwing_xmpp::{Element, Jid, Stanza, StanzaError};

use super::Room;
use super::told::push_attribute;
use crate::xep_0045_muc::{MUC, USER};
use crate::{xep_0317_hats as hats, xep_0421_occupant_ids as occupant_ids};

const DELAY: &str = "urn:xmpp:delay";
const LEGACY_DELAY: &str = "jabber:x:delay";
const STANZA_IDS: &str = "urn:xmpp:sid:0";
const ADDRESSES: &str = "http://jabber.org/protocol/address";

/// What of a message needs a closer look.
const SUSPECT: Children = Children::MUC_USER
    .union(Children::MUC)
    .union(Children::OCCUPANT_ID)
    .union(Children::STANZA_ID)
    .union(Children::DELAY)
    .union(Children::LEGACY_DELAY)
    .union(Children::ADDRESSES)
    .union(Children::RETRACT);

/// What of a presence needs a closer look; hats are none of the known elements.
const SUSPECT_IN_PRESENCE: Children = SUSPECT.union(Children::OTHER);

impl Room {
    /// What an occupant's presence says, for its seat: attributes of the start tag, `>`, children.
    ///
    /// # Errors
    /// `policy-violation` if it is too much.
    pub(super) fn payload(&self, presence: &Stanza) -> Result<String, StanzaError> {
        let mut out = String::new();
        if let Some(lang) = presence.lang() {
            push_attribute(&mut out, "xml:lang", &lang);
        }
        out.push('>');
        let is_forged = |child: &Element| {
            child.is("x", MUC)
                || child.is("x", USER)
                || child.has_ns(occupant_ids::NS)
                || child.has_ns(hats::NS)
                || child.has_ns(DELAY)
                || child.has_ns(LEGACY_DELAY)
        };
        push_content(&mut out, presence, SUSPECT_IN_PRESENCE, is_forged);
        if out.len() > self.limits.presence_bytes {
            return Err(StanzaError::policy_violation().with_text("That presence is too long"));
        }
        Ok(out)
    }

    /// A message as the room passes it on, from an occupant of that nickname, without `to`; `extra`
    /// are children as XML. An owner may bring messages of an older conversation along with the
    /// moment of each (§7.9), the room alone says when it had one itself.
    pub(super) fn reflect(
        &self,
        message: &Stanza,
        nick: &str,
        may_date: bool,
        extra: &str,
    ) -> Result<Stanza, StanzaError> {
        let of_room = |child: &Element, attribute: &str| {
            let by = child.attr(attribute);
            by.and_then(|by| Jid::parse_tolerant(by).ok())
                .is_some_and(|by| by.bare() == self.jid.as_str())
        };
        let is_dated_by_another = |child: &Element| {
            child.attr("from").is_some_and(|from| {
                Jid::parse_tolerant(from).is_ok_and(|from| from.domain() != self.jid.domain())
            })
        };
        let is_forged = |child: &Element| {
            child.is("x", MUC)
                || child.is("x", USER)
                || child.has_ns(occupant_ids::NS)
                || child.has_ns(ADDRESSES)
                || (child.is("stanza-id", STANZA_IDS) && of_room(child, "by"))
                || (child.has_ns(DELAY) && !(may_date && is_dated_by_another(child)))
                || child.has_ns(LEGACY_DELAY)
                // XEP-0425 §6: only the room says that a moderator retracted something.
                || child.children().any(|inner| inner.name() == "moderated")
        };
        let mut content = String::new();
        push_content(&mut content, message, SUSPECT, is_forged);
        content.push_str(extra);
        let from = self.occupant_jid(nick);
        compose("message", message, &from, message.id().as_deref(), &content)
    }
}

/// A stanza of that name from `from`, without `to`, with type and language of another.
pub(super) fn compose(
    name: &str,
    like: &Stanza,
    from: &str,
    id: Option<&str>,
    content: &str,
) -> Result<Stanza, StanzaError> {
    let mut out = String::with_capacity(content.len() + from.len() + 128);
    out.push('<');
    out.push_str(name);
    let (kind, lang) = (like.type_attribute(), like.lang());
    for (attribute, value) in [
        ("from", Some(from)),
        ("id", id),
        ("type", kind.as_deref()),
        ("xml:lang", lang.as_deref()),
    ] {
        if let Some(value) = value {
            push_attribute(&mut out, attribute, value);
        }
    }
    out.push('>');
    out.push_str(content);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
    stanza(out)
}

/// A stanza of the room's own, without `to`; `attributes` and `content` as XML.
pub(super) fn own_message(
    room: &Jid,
    attributes: &str,
    content: &str,
) -> Result<Stanza, StanzaError> {
    let from = escape_attr(room.as_str());
    stanza(format!(
        "<message from='{from}'{attributes}>{content}</message>"
    ))
}

/// The stanza in what was written here.
pub(super) fn stanza(xml: String) -> Result<Stanza, StanzaError> {
    Stanza::parse(xml.into()).map_err(|_| StanzaError::internal_server_error())
}

/// Appends the children of a stanza but those that are forged.
fn push_content(
    out: &mut String,
    stanza: &Stanza,
    suspect: Children,
    is_forged: impl Fn(&Element) -> bool,
) {
    let is_plain = !stanza.children().intersects(suspect) && !declares(stanza.as_xml());
    if is_plain {
        out.push_str(&String::from_utf8_lossy(stanza.content()));
        return;
    }
    for child in stanza.to_element().children() {
        if !is_forged(child) {
            out.push_str(&serialize(child));
        }
    }
}

/// The content of a stanza as it stands, wherever it is put.
pub(super) fn content(stanza: &Stanza) -> String {
    let mut out = String::new();
    push_content(&mut out, stanza, Children::NONE, |_| false);
    out
}

/// Whether the start tag declares namespaces, on which the children may rest.
fn declares(xml: &str) -> bool {
    let mut quote = None;
    let end = xml.bytes().position(|byte| match (quote, byte) {
        (None, b'\'' | b'"') => {
            quote = Some(byte);
            false
        }
        (Some(open), byte) if open == byte => {
            quote = None;
            false
        }
        (None, b'>') => true,
        _ => false,
    });
    xml[..end.unwrap_or(xml.len())].contains("xmlns")
}
