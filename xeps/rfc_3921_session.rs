//! RFC 3921: The legacy session request
//!
//! Supported: the request is answered and means nothing, as RFC 6121 §1.4 leaves it. Clients of
//! old send it after binding.

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Extension, Place, Query, Specification, Stream, StreamFacts,
    Verb,
};
use waxwing_xmpp::ns;

/// See the [module](self).
pub struct LegacySession;

impl Extension for LegacySession {
    fn specification(&self) -> Specification {
        Specification {
            number: "RFC 3921",
            title: "Session request",
            version: "",
            features: &[],
        }
    }
}

impl Stream for LegacySession {
    fn feature(&self, _: &Exchange, facts: StreamFacts) -> Option<String> {
        // Who is bound by Bind 2 needs no more.
        (facts.authenticated && !facts.bound)
            .then(|| format!("<session xmlns='{}'><optional/></session>", ns::SESSION))
    }
}

impl Answer for LegacySession {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Set, Place::Server, ns::SESSION, "session"),
            (Verb::Set, Place::Account, ns::SESSION, "session"),
        ]
    }

    fn answer<'a>(&'a self, _: &'a Arc<Exchange>, _: Query) -> Boxed<'a, Answered> {
        Box::pin(async { Ok(None) })
    }
}
