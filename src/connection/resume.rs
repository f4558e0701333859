//! Resumption of a session: instead of binding (XEP-0198 §5), or within SASL2 (§9.2).

use waxwing_core::streams::{NotResumed, Unserved};
use waxwing_xmpp::sm::{self, Request};
use waxwing_xmpp::{Element, Jid, StanzaError};

use super::End;
use super::negotiate::Negotiation;

impl Negotiation {
    /// Takes the session that `request`, a `<resume/>`, names, for a client that is authenticated.
    /// The session with its `<resumed/>`, or the `<failed/>` after which the client may bind.
    pub(super) async fn resume(
        &mut self,
        account: &Jid,
        request: &Element,
    ) -> Result<Result<(Unserved, String), String>, End> {
        let exchange = &self.shared.exchange;
        let Request::Resume { previous, h } = Request::of(request) else {
            return Ok(Err(sm::failed(None, &StanzaError::bad_request())));
        };
        match exchange.resume(account, &previous, h).await {
            Ok(resumed) => Ok(Ok(resumed)),
            Err(NotResumed::Failed(h, error)) => Ok(Err(sm::failed(h, &error))),
            Err(NotResumed::TooHigh(error)) => Err(End::Error(error.to_stream_error())),
        }
    }
}
