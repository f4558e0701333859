//! Passwords: their preparation, and what is kept of them.
//!
//! Nothing here prints a password or a key: the `Debug` of these types leaves them out. Salts are
//! arguments; this crate has no source of randomness.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::jid;

pub use argon2id::{Argon2Memory, argon2id_hash, argon2id_verify};
pub use scram::{DEFAULT_ITERATIONS, ScramHash, ScramKeys, ScramKeysError, derive};

mod argon2id;
mod scram;

/// The longest password, in bytes of UTF-8 after preparation.
pub const MAX_PASSWORD_BYTES: usize = 1023;

/// How long the salts of accounts are, in bytes. Decoys for unknown accounts look the same.
pub const SALT_BYTES: usize = 16;

/// A prepared password. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a text cannot be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// It has no characters.
    #[error("the password is empty")]
    Empty,
    /// It is longer than [`MAX_PASSWORD_BYTES`].
    #[error("the password is longer than 1023 bytes")]
    TooLong,
    /// It has control characters or others that RFC 8265 does not allow.
    #[error("the password has characters that are not allowed")]
    Invalid,
}

/// Prepares a password by the OpaqueString profile (RFC 8265 §4.2).
///
/// SCRAM clients prepare by SASLprep (RFC 5802 §2.2) instead. The two give the same for ASCII and
/// for whatever NFKC leaves as NFC does, which is nearly every password that is typed.
pub fn prepare(raw: &str) -> Result<Password, PasswordError> {
    if raw.is_empty() {
        return Err(PasswordError::Empty);
    }
    // Composition shrinks a text to no less than a quarter.
    if raw.len() > 4 * MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong);
    }
    let prepared = Zeroizing::new(jid::opaque_string(raw).ok_or(PasswordError::Invalid)?);
    if prepared.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong);
    }
    Ok(Password(prepared))
}

impl Password {
    /// The prepared text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparation() {
        let text = |raw: &str| prepare(raw).map(|password| password.as_str().to_owned());
        assert_eq!(text("correct horse"), Ok("correct horse".into()));
        assert_eq!(text("Correct"), Ok("Correct".into()));
        assert_eq!(text("a\u{3000}b"), Ok("a b".into()));
        assert_eq!(text("e\u{301}"), Ok("\u{E9}".into()));
        assert_eq!(text("\u{1F973}"), Ok("\u{1F973}".into()));
        assert_eq!(text(""), Err(PasswordError::Empty));
        assert_eq!(text("a\tb"), Err(PasswordError::Invalid));
        assert_eq!(text("a\0"), Err(PasswordError::Invalid));
        assert!(prepare(&"a".repeat(1023)).is_ok());
        assert_eq!(text(&"a".repeat(1024)), Err(PasswordError::TooLong));
        assert_eq!(text(&"a".repeat(100_000)), Err(PasswordError::TooLong));
        assert!(prepare(&"e\u{301}".repeat(511)).is_ok());
    }

    #[test]
    fn debug_shows_no_secret() {
        let password = prepare("pencil").unwrap();
        assert!(!format!("{password:?}").contains("pencil"));
        let keys = derive(ScramHash::Sha1, &password, b"salt", 1);
        assert_eq!(
            format!("{keys:?}"),
            "ScramKeys { hash: Sha1, iterations: 1, .. }"
        );
    }
}
