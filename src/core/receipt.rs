//! Who sent a message, and what became of it.

use std::sync::Arc;

use waxwing_xmpp::{Stanza, StanzaError};

use crate::outbox::Origin;
use crate::session::Session;

/// The session that sent a message.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// The session, which waits for the message's fate.
    pub session: &'a Arc<Session>,
    /// Whether messages to that recipient show in the archive of its account.
    pub archives: bool,
    /// The message as it was sent, where a service passes on another one in its stead.
    pub original: Option<&'a Stanza>,
}

impl Sender<'_> {
    /// Leaves open what becomes of the message.
    pub(crate) fn hold(self) -> Origin {
        Origin {
            session: Arc::clone(self.session),
            ticket: self.session.hold(),
            archives: self.archives,
            original: self.original.cloned().map(Box::new),
        }
    }
}

/// What became of a message: its receipt. A session's acknowledgements rest on it.
#[derive(Debug)]
pub enum Receipt {
    /// It was handed to every entitled session, which answer for it from here on, or it is of a
    /// kind that needs no custody.
    Settled,
    /// It is on its way to stable storage as that row; [`Session::settled`] waits for it.
    Storing {
        /// The row.
        row: i64,
        /// Whether it shows in the archive of its sender.
        sent: bool,
    },
    /// It was refused; the sender is owed this error.
    Bounced(StanzaError),
}
