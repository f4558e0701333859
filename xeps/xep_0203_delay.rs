//! XEP-0203: Delayed Delivery (version 2.0)
//!
//! Supported: the stamp of messages from the mailbox and of presence that answers a probe. What a
//! message says in the name of the server that receives it is removed.

use waxwing_core::Exchange;
use waxwing_core::clock::Timestamp;
use waxwing_core::powers::{Extension, Specification, Stamp};
use waxwing_xmpp::stanza::{Children, Strip};
use waxwing_xmpp::{Jid, Stanza};

/// See the [module](self).
pub struct Delay;

impl Extension for Delay {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0203",
            title: "Delayed Delivery",
            version: "2.0",
            features: &[],
        }
    }
}

impl Stamp for Delay {
    /// §5: clients believe what their own server says of the time, which nobody else may say.
    fn accepted(&self, message: &Stanza, to: &Jid) -> Option<Stanza> {
        let forged = |from| Strip {
            namespace: "urn:xmpp:delay",
            name: "delay",
            by: Some(("from", from)),
        };
        if message.children().contains(Children::DELAY) {
            message.without(&[forged(to.domain()), forged(to.bare())])
        } else {
            None
        }
    }

    fn delayed(&self, exchange: &Exchange, stanza: Stanza, received: Timestamp) -> Stanza {
        let (domain, stamp) = (exchange.domain.as_str(), received.to_xep_0082());
        stanza.with_child(&format!(
            "<delay xmlns='urn:xmpp:delay' from='{domain}' stamp='{stamp}'/>"
        ))
    }
}
