//! Resumption of a session within SASL2 (XEP-0198 §9.2).

use waxwing_xmpp::{Element, Jid, ns};

use super::bind::Fresh;
use super::negotiate::Negotiation;

/// The namespace of XEP-0198.
pub(super) const SM: &str = "urn:xmpp:sm:3";

impl Negotiation {
    /// Takes the session that `request`, a `<resume/>`, names, for a client that is authenticated.
    /// The session with its `<resumed/>`, or the `<failed/>` that goes into `<success/>` before the
    /// client is bound anew (XEP-0386 §3.2).
    pub(super) async fn resume(
        &mut self,
        account: &Jid,
        request: &Element,
    ) -> Result<(Fresh, String), String> {
        let _ = (account, request);
        Err(format!(
            "<failed xmlns='{SM}'><item-not-found xmlns='{}'/></failed>",
            ns::STANZA_ERRORS
        ))
    }
}
