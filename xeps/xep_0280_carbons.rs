//! XEP-0280: Message Carbons (version 1.0.1)
//!
//! Supported: copies of what other clients of the account receive and send, by the rules of §6.1.
//! An error is copied if it brings along what makes it part of a conversation; the feature that
//! promises every rule is not shown therefore. What a client sends as if it were such a copy loses
//! that part on its way, so that no client can take it for one.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Copy, Direction, Extension, Inline, Place, Query,
    Specification, Stamp, Verb,
};
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::stanza::{Children, Forward, MessageType, Strip};
use waxwing_xmpp::{Jid, Stanza, StanzaError};

const NS: &str = "urn:xmpp:carbons:2";

/// See the [module](self).
pub struct Carbons;

impl Extension for Carbons {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0280",
            title: "Message Carbons",
            version: "1.0.1",
            features: &[(Place::Server, NS)],
        }
    }
}

impl Answer for Carbons {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Set, Place::Account, NS, "enable"),
            (Verb::Set, Place::Account, NS, "disable"),
        ]
    }

    fn answer<'a>(&'a self, _: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        Box::pin(async move {
            if !query.is_own() {
                // §4.1 and §5.1.
                return Err(StanzaError::not_allowed());
            }
            // §10.1: asking twice is no error.
            query.session.set_copied(query.payload.name() == "enable");
            Ok(None)
        })
    }
}

impl Inline for Carbons {
    fn bind_feature(&self) -> &'static str {
        NS
    }

    fn bound(&self, _: &Exchange, session: &Arc<Session>, request: &Element) -> Option<String> {
        if request.has_child("enable", NS) {
            session.set_copied(true);
        }
        None
    }
}

impl Copy for Carbons {
    fn copy(
        &self,
        exchange: &Exchange,
        message: &Stanza,
        direction: Direction,
        to: &Session,
    ) -> Option<Stanza> {
        if !to.is_copied() || !is_eligible(message, direction) {
            return None;
        }
        // Who sleeps gets it later: XEP-0297 §3.2 says where the time stands.
        let later = to.outbox.asleep_until().map(|_| {
            let stamp = exchange.now().to_xep_0082();
            format!("<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>")
        });
        let before = later.as_deref().unwrap_or_default();
        let (from, to) = (to.account.jid.as_str(), to.jid.as_str());
        Some(wrap(message, direction, (from, to), before))
    }
}

impl Stamp for Carbons {
    /// §7 and §11: clients tell a copy by its `from`, which a sender cannot forge, and some forget
    /// to look. Nobody but a server has a reason to say this, so it is not passed on.
    fn accepted(&self, message: &Stanza, _: &Jid) -> Option<Stanza> {
        let forged = |name| Strip {
            namespace: NS,
            name,
            by: None,
        };
        if message.children().intersects(COPIES) {
            message.without(&[forged("received"), forged("sent")])
        } else {
            None
        }
    }
}

const COPIES: Children = Children::CARBON_RECEIVED.union(Children::CARBON_SENT);

/// What a message of any type is copied for.
const CONVERSATION: Children = Children::RECEIPT
    .union(Children::RECEIPT_REQUEST)
    .union(Children::CHAT_STATE)
    .union(Children::MARKABLE)
    .union(Children::DISPLAYED)
    .union(Children::MARKER)
    .union(Children::ENCRYPTED)
    .union(Children::RETRACT)
    .union(Children::REACTIONS)
    .union(Children::JINGLE_MESSAGE)
    .union(Children::CONFERENCE);

/// §6.1, and XEP-0334 §4.3.
#[must_use]
pub fn is_eligible(message: &Stanza, direction: Direction) -> bool {
    let children = message.children();
    let excluded = Children::PRIVATE | Children::NO_COPY | COPIES;
    if children.intersects(excluded) {
        return false;
    }
    if children.intersects(Children::MUC_USER) && direction == Direction::Received {
        // From an occupant the room has sent it to every client that is in it; from the room
        // itself it is an invitation.
        let from_room = message
            .from()
            .is_some_and(|from| Jid::parse_tolerant(&from).is_ok_and(|from| from.is_bare()));
        return from_room && message.message_type() == MessageType::Normal;
    }
    match message.message_type() {
        MessageType::Groupchat => false,
        MessageType::Chat => true,
        MessageType::Normal | MessageType::Error => {
            children.intersects(Children::BODY | Children::MUC_USER | CONVERSATION)
        }
        MessageType::Headline => children.intersects(CONVERSATION),
    }
}

/// §7 and §8.
fn wrap(message: &Stanza, direction: Direction, (from, to): (&str, &str), before: &str) -> Stanza {
    let kind = message.type_attribute();
    let forward = Forward {
        from,
        to,
        kind: kind.as_deref(),
        name: match direction {
            Direction::Received => "received",
            Direction::Sent => "sent",
        },
        namespace: NS,
        attributes: "",
        before,
    };
    forward.message(message.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(head: &str, children: &str) -> Stanza {
        let xml = format!("<message to='a@x' {head}>{children}</message>");
        Stanza::parse(xml.into()).expect("a stanza")
    }

    const BODY: &str = "<body>b</body>";
    const RECEIPT: &str = "<received xmlns='urn:xmpp:receipts' id='1'/>";
    const STATE: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    const MARKER: &str = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>";
    const MUC_USER: &str = "<x xmlns='http://jabber.org/protocol/muc#user'/>";
    const INVITATION: &str =
        "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='b@x'/></x>";
    const DIRECT: &str = "<x xmlns='jabber:x:conference' jid='room@y'/>";

    /// §6.1, in its order: attributes, children, copied when received, when sent.
    #[test]
    fn the_rules() {
        let private = format!("{BODY}<private xmlns='{NS}'/>");
        let no_copy = format!("{BODY}<no-copy xmlns='urn:xmpp:hints'/>");
        let copy = format!("{BODY}<sent xmlns='{NS}'/>");
        let occupant = format!("{BODY}{MUC_USER}");
        let table = [
            ("type='chat'", private.as_str(), false, false),
            ("type='chat'", &no_copy, false, false),
            ("type='chat'", &copy, false, false),
            ("type='chat'", "", true, true),
            ("type='chat'", STATE, true, true),
            ("", BODY, true, true),
            ("type='normal'", "<subject>s</subject>", false, false),
            ("", RECEIPT, true, true),
            ("", STATE, true, true),
            ("", MARKER, true, true),
            ("type='headline'", BODY, false, false),
            ("type='headline'", RECEIPT, true, true),
            ("type='error'", "<error type='cancel'/>", false, false),
            ("type='error'", BODY, true, true),
            ("type='groupchat'", BODY, false, false),
            ("type='groupchat'", RECEIPT, false, false),
            ("", DIRECT, true, true),
            ("from='room@y'", INVITATION, true, true),
            ("type='chat' from='room@y/nick'", &occupant, false, true),
            ("type='groupchat' from='room@y'", INVITATION, false, false),
        ];
        for (head, children, received, sent) in table {
            let message = message(head, children);
            let found = (
                is_eligible(&message, Direction::Received),
                is_eligible(&message, Direction::Sent),
            );
            assert_eq!(found, (received, sent), "{head} {children}");
        }
    }

    #[test]
    fn a_copy_is_as_the_examples_show() {
        let message = message("type='chat' from='b@y/c'", BODY);
        assert_eq!(
            wrap(&message, Direction::Received, ("a@x", "a@x/home"), "").as_xml(),
            "<message from='a@x' to='a@x/home' type='chat'><received xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' to='a@x' \
             type='chat' from='b@y/c'><body>b</body></message></forwarded></received></message>"
        );
        let sent = wrap(&message, Direction::Sent, ("a@x", "a@x/home"), "");
        assert!(sent.children().contains(Children::CARBON_SENT));
        assert!(!is_eligible(&sent, Direction::Received));
    }

    #[test]
    fn a_forged_copy_is_none_any_more() {
        let to = Jid::parse("a@x").expect("an address");
        let inner =
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>";
        for name in ["received", "sent"] {
            let forged = format!("{BODY}<{name} xmlns='{NS}'>{inner}</{name}>{RECEIPT}");
            let forged = message("type='chat' from='a@x/home'", &forged);
            let passed = Carbons.accepted(&forged, &to).expect("it is changed");
            assert!(!passed.children().intersects(COPIES));
            assert!(
                passed
                    .children()
                    .contains(Children::BODY | Children::RECEIPT)
            );
        }
        assert_eq!(Carbons.accepted(&message("", RECEIPT), &to), None);
    }
}
