//! XEP-0359: Unique and Stable Stanza IDs (version 0.7.0)
//!
//! Supported: a message that is kept for an account is delivered with the account's `<stanza-id/>`,
//! the same at every delivery; one that claims to be by the account or by this server is removed
//! from what clients send. `<origin-id/>` passes.

use waxwing_core::Exchange;
use waxwing_core::account::Account;
use waxwing_core::powers::{Extension, Place, Specification, Stamp};
use waxwing_xmpp::stanza::{Children, Strip};
use waxwing_xmpp::{Jid, Stanza};

const NS: &str = "urn:xmpp:sid:0";

/// See the [module](self).
pub struct StanzaIds;

impl Extension for StanzaIds {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0359",
            title: "Unique and Stable Stanza IDs",
            version: "0.7.0",
            features: &[(Place::Server, NS), (Place::Account, NS)],
        }
    }
}

impl Stamp for StanzaIds {
    fn stored(&self, stanza: Stanza, account: &Account, row: i64) -> Stanza {
        let by = account.jid.as_str();
        stanza.with_child(&format!(
            "<stanza-id xmlns='{NS}' by='{}' id='{row:016x}'/>",
            waxwing_xmpp::dom::escape_attr(by)
        ))
    }

    /// §4, business rules: nobody but the entity itself says what id it gave.
    fn received(&self, exchange: &Exchange, stanza: Stanza, to: &Jid) -> Stanza {
        if !stanza.children().intersects(Children::STANZA_ID) {
            return stanza;
        }
        let strip = |by| Strip {
            name: "stanza-id",
            namespace: NS,
            by,
        };
        let from = stanza.from().unwrap_or_default().into_owned();
        stanza.stamp_without(
            &from,
            None,
            &[strip(to.bare()), strip(exchange.domain.as_str())],
        )
    }
}
