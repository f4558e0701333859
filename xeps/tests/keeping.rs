//! What is kept of a message, by the extensions in the order in which they are asked.

use waxwing_core::powers::{Kept, Place};
use waxwing_xeps::{OF_THE_ARCHIVE, powers};
use waxwing_xmpp::Stanza;

const BOTH: Kept = Kept::BOTH;
const NEITHER: Kept = Kept::NEITHER;
const QUEUE: Kept = Kept {
    queue: true,
    archive: false,
};

const BODY: &str = "<body>b</body>";
const STATE: &str = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
const STORE: &str = "<store xmlns='urn:xmpp:hints'/>";
const NO_STORE: &str = "<no-store xmlns='urn:xmpp:hints'/>";
const OFF_THE_RECORD: &str = "<no-permanent-store xmlns='urn:xmpp:hints'/>";
const RETRACT: &str = "<retract xmlns='urn:xmpp:message-retract:1' id='x'/>";
const EVENT: &str = "<event xmlns='http://jabber.org/protocol/pubsub#event'/>";

/// Types, children, and what is kept of each such message.
const TABLE: &[(&[&str], &[&str], Kept)] = &[
    (&["chat", "normal"], &[BODY], BOTH),
    (&["chat", "normal"], &[BODY, STATE], BOTH),
    (&["chat", "normal"], &[STATE], NEITHER),
    (&["chat"], &["<thread>t</thread>", STATE], NEITHER),
    (&["chat", "normal"], &["<subject>s</subject>"], BOTH),
    // XEP-0184, XEP-0333, XEP-0308, XEP-0444, XEP-0353, XEP-0384, XEP-0249.
    (
        &["chat", "normal"],
        &["<received xmlns='urn:xmpp:receipts' id='x'/>"],
        BOTH,
    ),
    (
        &["chat", "normal"],
        &["<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>"],
        BOTH,
    ),
    (
        &["chat"],
        &[BODY, "<replace xmlns='urn:xmpp:message-correct:0' id='x'/>"],
        BOTH,
    ),
    (
        &["chat"],
        &["<reactions xmlns='urn:xmpp:reactions:0' id='x'/>", STORE],
        BOTH,
    ),
    (
        &["chat"],
        &["<propose xmlns='urn:xmpp:jingle-message:0' id='x'/>"],
        BOTH,
    ),
    (
        &["chat", "normal"],
        &["<encrypted xmlns='urn:xmpp:omemo:2'/>"],
        BOTH,
    ),
    (
        &["normal"],
        &["<x xmlns='jabber:x:conference' jid='r@x'/>"],
        BOTH,
    ),
    // XEP-0334.
    (&["chat", "normal"], &[BODY, NO_STORE], NEITHER),
    (&["chat", "normal"], &[BODY, OFF_THE_RECORD], QUEUE),
    (&["chat"], &[STATE, OFF_THE_RECORD], NEITHER),
    (&["chat", "normal"], &[STATE, STORE], BOTH),
    (&["chat"], &[BODY, STORE, OFF_THE_RECORD], QUEUE),
    (&["chat"], &[BODY, STORE, NO_STORE], NEITHER),
    (&["headline"], &[BODY, STORE], NEITHER),
    (&["headline"], &[BODY, STORE, OFF_THE_RECORD], NEITHER),
    (&["groupchat", "error"], &[BODY, STORE], NEITHER),
    (&["groupchat", "error"], &[BODY, OFF_THE_RECORD], NEITHER),
    // XEP-0424 §5.
    (&["chat", "normal"], &[RETRACT], BOTH),
    (&["chat"], &[RETRACT, NO_STORE], BOTH),
    (&["groupchat", "error", "headline"], &[RETRACT], NEITHER),
    (&["groupchat", "error", "headline"], &[BODY], NEITHER),
    // XEP-0060.
    (&["normal"], &[EVENT], QUEUE),
    (&["normal"], &[EVENT, BODY], BOTH),
    (&["headline"], &[EVENT], NEITHER),
];

#[test]
fn every_kind_of_message_is_kept_as_its_specification_says() {
    let powers = powers();
    for (kinds, children, expected) in TABLE {
        for kind in *kinds {
            let xml = format!("<message type='{kind}'>{}</message>", children.concat());
            let message = Stanza::parse(xml.clone().into()).expect("a stanza");
            let kept = powers.keep.iter().find_map(|keep| keep.keep(&message));
            assert_eq!(kept.unwrap_or(BOTH), *expected, "{xml}");
        }
    }
}

#[test]
fn without_an_archive_nobody_is_told_of_one() {
    let powers = powers().without(OF_THE_ARCHIVE);
    for place in [Place::Server, Place::Account] {
        for feature in powers.features(place) {
            assert!(
                !feature.contains("mam") && !feature.contains("rsm"),
                "{feature}"
            );
        }
    }
    assert!(powers.archive.is_none());
    assert!(powers.features(Place::Account).contains(&"urn:xmpp:sid:0"));
}
