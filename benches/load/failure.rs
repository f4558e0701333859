//! Why a run breaks off.

use std::io;

use crate::login::LoginError;
use crate::scanner::ScanError;

/// Why a run broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A socket or a file.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The negotiation.
    #[error("session {0}: {1}")]
    Login(usize, LoginError),
    /// No login for a long time.
    #[error("logins stalled: {0} of {1} sessions are online")]
    LoginsStalled(usize, usize),
    /// No subscription for a long time.
    #[error("subscriptions stalled: {0} of {1} are mutual")]
    SubscriptionsStalled(usize, usize),
    /// A service that makes no room or lets nobody in, with what it said.
    #[error("no room (XEP-0045) at {0}: {1}")]
    NoRoom(String, String),
    /// Bytes that are no stream.
    #[error("session {0}: {1}")]
    Scan(usize, ScanError),
    /// The server ended a stream, with what it said.
    #[error("session {0}: the server closed the stream: {1}")]
    Closed(usize, String),
    /// A stanza that should not have come.
    #[error("session {0}: unexpected: {1}")]
    Unexpected(usize, String),
    /// The user ended it.
    #[error("interrupted")]
    Interrupted,
    /// TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}
