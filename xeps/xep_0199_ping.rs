//! XEP-0199: XMPP Ping (version 2.0.1)
//!
//! Supported: the server answers for itself and for the sender's own account, and pings clients
//! that are silent (in `src/core/iq.rs`, because the answer also shows what a client has taken).

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Extension, Place, Query, Specification, Verb,
};
use waxwing_xmpp::StanzaError;

const NS: &str = "urn:xmpp:ping";

/// See the [module](self).
pub struct Ping;

impl Extension for Ping {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0199",
            title: "XMPP Ping",
            version: "2.0.1",
            features: &[],
        }
    }
}

impl Answer for Ping {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Get, Place::Server, NS, "ping"),
            (Verb::Get, Place::Account, NS, "ping"),
            (Verb::Get, Place::Groups, NS, "ping"),
            (Verb::Get, Place::Room, NS, "ping"),
        ]
    }

    fn answer<'a>(&'a self, _: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        let own = query.place != Place::Account || query.is_own();
        // Whether another account exists is not told this way.
        Box::pin(async move {
            if own {
                Ok(None)
            } else {
                Err(StanzaError::service_unavailable())
            }
        })
    }
}
