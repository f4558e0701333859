//! XEP-0478: Stream Limits Advertisement (version 0.2.0)
//!
//! Supported: the size of a stanza and the silence after which a client is asked for a sign of
//! life, before and after login.

use waxwing_core::Exchange;
use waxwing_core::powers::{Extension, Specification, Stream, StreamFacts};

/// See the [module](self).
pub struct Limits;

impl Extension for Limits {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0478",
            title: "Stream Limits Advertisement",
            version: "0.2.0",
            features: &[],
        }
    }
}

impl Stream for Limits {
    fn feature(&self, exchange: &Exchange, facts: StreamFacts) -> Option<String> {
        let settings = exchange.settings.load();
        let (bytes, idle) = if facts.authenticated {
            (settings.stanza_bytes, settings.idle_seconds)
        } else {
            (
                settings.stanza_bytes_before_login,
                settings.negotiation_seconds,
            )
        };
        Some(format!(
            "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{bytes}</max-bytes>\
             <idle-seconds>{idle}</idle-seconds></limits>"
        ))
    }
}
