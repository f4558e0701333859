//! The mechanisms and channel bindings that the server knows, by their registered names.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::password::ScramHash;

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 5802.
    ScramSha1,
    /// RFC 5802, with channel binding.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677, with channel binding.
    ScramSha256Plus,
    /// draft-melnikov-scram-sha-512.
    ScramSha512,
    /// draft-melnikov-scram-sha-512, with channel binding.
    ScramSha512Plus,
    /// RFC 4616: the password itself. Only under TLS.
    Plain,
    /// RFC 4505: no account.
    Anonymous,
}

/// A text is not the name of a [`Mechanism`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a mechanism that this server knows")]
pub struct UnknownMechanism;

/// A kind of channel binding (RFC 5056).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelBinding {
    /// RFC 9266: 32 bytes of keying material exported from the TLS connection.
    TlsExporter,
    /// RFC 5929 §4: the hash of the server's certificate.
    TlsServerEndPoint,
}

impl Mechanism {
    /// All mechanisms, the strongest first.
    pub const ALL: [Mechanism; 8] = [
        Mechanism::ScramSha512Plus,
        Mechanism::ScramSha512,
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha1,
        Mechanism::Plain,
        Mechanism::Anonymous,
    ];

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
            Mechanism::ScramSha512Plus => "SCRAM-SHA-512-PLUS",
            Mechanism::Plain => "PLAIN",
            Mechanism::Anonymous => "ANONYMOUS",
        }
    }

    /// The hash of a SCRAM mechanism.
    #[must_use]
    pub fn hash(self) -> Option<ScramHash> {
        match self {
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Some(ScramHash::Sha1),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => Some(ScramHash::Sha256),
            Mechanism::ScramSha512 | Mechanism::ScramSha512Plus => Some(ScramHash::Sha512),
            Mechanism::Plain | Mechanism::Anonymous => None,
        }
    }

    /// Whether it includes channel binding.
    #[must_use]
    pub fn is_plus(self) -> bool {
        matches!(
            self,
            Mechanism::ScramSha1Plus | Mechanism::ScramSha256Plus | Mechanism::ScramSha512Plus
        )
    }
}

impl ChannelBinding {
    /// The registered unique prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChannelBinding::TlsExporter => "tls-exporter",
            ChannelBinding::TlsServerEndPoint => "tls-server-end-point",
        }
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Mechanism, UnknownMechanism> {
        let found = Mechanism::ALL
            .into_iter()
            .find(|mechanism| mechanism.name() == name);
        found.ok_or(UnknownMechanism)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
