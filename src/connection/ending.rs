//! How a session ends.

use std::io;
use std::sync::Arc;

use waxwing_core::outbox::Close;
use waxwing_core::session::Session;
use waxwing_xmpp::StreamError;

use super::Shared;

/// How a session ended.
pub(super) enum Ending {
    /// The peer closed its stream.
    Closed,
    /// The socket is gone.
    Gone,
    /// Another connection has taken the session over.
    Replaced,
    /// The server closes, with an error or without.
    Close(Close),
}

impl From<io::Error> for Ending {
    fn from(_: io::Error) -> Self {
        Ending::Gone
    }
}

impl From<StreamError> for Ending {
    fn from(error: StreamError) -> Self {
        Ending::Close(Close::Error(error))
    }
}

/// Ends the session whatever becomes of its task: a panic must not leave it bound for ever, taking
/// messages that nobody writes.
pub(super) struct Ended(Option<(Arc<Shared>, Arc<Session>)>);

impl Ended {
    pub(super) fn guard(shared: Arc<Shared>, session: Arc<Session>) -> Self {
        Ended(Some((shared, session)))
    }

    /// The session was ended, or left to its next connection.
    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some((shared, session)) = &self.0 {
            session.outbox.drain_queue();
            shared.exchange.unbind(session);
        }
    }
}
