//! XEP-0352: Client State Indication (version 1.0.0)
//!
//! Supported: while a client is inactive, presence and chat states wait in its outbox. They go, in
//! order and without presence that was replaced, before the next stanza that may not wait. The
//! outbox is in `src/core/outbox.rs`.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::powers::{Extension, Inline, Specification, Stream, StreamFacts};
use waxwing_core::{Exchange, Session};

const NS: &str = "urn:xmpp:csi:0";

/// See the [module](self).
pub struct ClientState;

impl Extension for ClientState {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0352",
            title: "Client State Indication",
            version: "1.0.0",
            features: &[],
        }
    }
}

impl Stream for ClientState {
    fn feature(&self, _: &Exchange, facts: StreamFacts) -> Option<String> {
        facts.authenticated.then(|| format!("<csi xmlns='{NS}'/>"))
    }
}

impl Inline for ClientState {
    fn bind_feature(&self) -> &'static str {
        NS
    }

    /// A client that is in the background says so while it binds (XEP-0386 §4).
    fn bound(&self, _: &Exchange, session: &Arc<Session>, request: &Element) -> Option<String> {
        if request.has_child("inactive", NS) {
            session.outbox.set_inactive(true);
        }
        None
    }
}
