//! XEP-0198: Stream Management (version 1.6.3)
//!
//! Supported: acknowledgements both ways, resumption, both within SASL2 and Bind 2 (§9). `<a/>`
//! covers a stanza only when the server answers for it: a message is stored, or its sender was sent
//! an error. There is one node, and so no `location`. The counts are in `src/xmpp/sm.rs`, the
//! sessions in `src/core/streams.rs`.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::powers::{Extension, Inline, Specification, Stream, StreamFacts};
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::sm::{self, Request};

/// See the [module](self).
pub struct StreamManagement;

impl Extension for StreamManagement {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0198",
            title: "Stream Management",
            version: "1.6.3",
            features: &[],
        }
    }
}

impl Stream for StreamManagement {
    fn feature(&self, _: &Exchange, facts: StreamFacts) -> Option<String> {
        // A client that enabled it in Bind 2 is not to do so again.
        (facts.authenticated && !facts.managed).then(|| sm::FEATURE.to_owned())
    }
}

impl Inline for StreamManagement {
    fn bind_feature(&self) -> &'static str {
        sm::NS
    }

    fn sasl2_feature(&self) -> Option<&'static str> {
        Some(sm::FEATURE)
    }

    fn bound(
        &self,
        exchange: &Exchange,
        session: &Arc<Session>,
        request: &Element,
    ) -> Option<String> {
        let request = request.get_child("enable", sm::NS).map(Request::of);
        match request {
            Some(Request::Enable { resume, max }) => {
                exchange.enable_management(session, resume, max)
            }
            _ => None,
        }
    }
}
