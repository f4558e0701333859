//! The powers over who gets a copy of a message, and which messages are archived.

use waxwing_xmpp::Stanza;

use super::{Boxed, Extension};
use crate::archiving::Preferences;
use crate::db::DbError;
use crate::exchange::Exchange;
use crate::session::Session;

/// Which way a message went, seen from the account whose session gets a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It was sent to the account.
    Received,
    /// Another session of the account sent it.
    Sent,
}

/// May give a session a copy of a message that went to, or came from, another one of its account.
pub trait Copy: Extension {
    /// The copy for `to`, which was not given the message itself; `None`: it gets none.
    fn copy(
        &self,
        exchange: &Exchange,
        message: &Stanza,
        direction: Direction,
        to: &Session,
    ) -> Option<Stanza>;
}

/// May say which messages show in an account's archive.
pub trait Archive: Extension {
    /// What an account has said, when it is brought into memory. It is held there from then on:
    /// [`Account::archives`](crate::account::Account::archives).
    fn load<'a>(
        &'a self,
        exchange: &'a Exchange,
        account: i64,
    ) -> Boxed<'a, Result<Option<Preferences>, DbError>>;
}
