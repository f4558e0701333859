//! Telling senders that what they sent was refused.

use std::borrow::Cow;

use waxwing_xmpp::stanza::{self, Kind};
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use crate::exchange::Exchange;
use crate::outbox::{Origin, Push};
use crate::session::Session;

impl Exchange {
    /// Sends the error that a client is owed for its stanza (RFC 6120 §8.3). An error is never
    /// answered with an error.
    pub fn answer_error(&self, session: &Session, stanza: &Stanza, error: &StanzaError) {
        if stanza.is_error() {
            return;
        }
        let from = stanza
            .to()
            .map_or(Cow::Borrowed(session.account.jid.as_str()), |to| to);
        let reply = stanza::error_reply(stanza, Some(&from), Some(session.jid.as_str()), error);
        if stanza.kind() == Kind::Message {
            session.refuse(&reply);
        } else {
            session.outbox.push(&reply);
        }
    }

    /// Tells whoever sent a message that it could not be kept. False: nobody was told.
    pub(crate) fn refuse(
        &self,
        origin: Option<&Origin>,
        stanza: &Stanza,
        error: &StanzaError,
    ) -> bool {
        let Some(origin) = origin else {
            return self.bounce(stanza, error);
        };
        if origin.session.outbox.is_detached() {
            return self.bounce(origin.wrote(stanza), error);
        }
        self.answer_error(&origin.session, origin.wrote(stanza), error);
        true
    }

    /// Sends an error to the sender of a message that the server had accepted and cannot deliver.
    /// Like any error it reaches the sender's session if that is still there. False: it is not, and
    /// nobody was told.
    pub(crate) fn bounce(&self, stanza: &Stanza, error: &StanzaError) -> bool {
        if stanza.is_error() {
            return true;
        }
        let sender = stanza.from().map(|from| Jid::parse_tolerant(&from));
        let Some(Ok(sender)) = sender else {
            return false;
        };
        let Some(account) = self.registry.get(sender.bare()) else {
            return false;
        };
        let state = account.lock();
        let Some(bound) = sender.resource().and_then(|name| state.resource(name)) else {
            return false;
        };
        let reply =
            stanza::error_reply(stanza, stanza.to().as_deref(), Some(sender.as_str()), error);
        bound.session.refuse(&reply) == Push::Queued
    }
}
