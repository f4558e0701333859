//! Telling senders that what they sent was refused.

use std::borrow::Cow;

use waxwing_xmpp::stanza::{self, Children, IqType, Kind, MessageType};
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use crate::account::Bound;
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
        let queued = match stanza.kind() {
            Kind::Message => bound.session.refuse(&reply),
            _ => bound.session.outbox.push(&reply),
        };
        queued == Push::Queued
    }

    /// A stanza that is kept nowhere was for a session that nobody came back for. XEP-0198 §5: it is
    /// as if the session had not been there, for what its sender waits for or somebody wrote, unless
    /// another session was given it too.
    pub(crate) fn return_lost(&self, session: &Session, stanza: &Stanza) {
        let is_for_it_alone = || {
            let to = stanza.to().and_then(|to| Jid::parse_tolerant(&to).ok());
            let others = || {
                session
                    .account
                    .lock()
                    .sessions
                    .iter()
                    .any(Bound::takes_bare)
            };
            to.is_some_and(|to| to == session.jid || !others())
        };
        let is_missed = match stanza.kind() {
            Kind::Iq => matches!(stanza.iq_type(), IqType::Get | IqType::Set),
            Kind::Message => {
                let kind = stanza.message_type();
                stanza.children().contains(Children::BODY)
                    && matches!(kind, MessageType::Chat | MessageType::Normal)
                    && is_for_it_alone()
            }
            Kind::Presence | Kind::Other => false,
        };
        if is_missed && !self.bounce(stanza, &StanzaError::service_unavailable()) {
            tracing::debug!("the sender of what a session did not take is not there to be told");
        }
    }
}
