//! XEP-0421: Occupant identifiers for semi-anonymous MUCs (version 1.0.1)
//!
//! Supported: every presence and every message of an occupant carries an identifier that stays the
//! same for a user in a room. What a client claims to be one is removed.

use std::fmt;
use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The namespace of `<occupant-id/>`, and the feature.
pub const NS: &str = "urn:xmpp:occupant-id:0";

/// The secret of the service by which identifiers are made (§4.1). Who has it can try out whose
/// identifier one is.
#[derive(Clone)]
pub struct OccupantKey([u8; 32]);

impl OccupantKey {
    /// A key of random bytes. It has to stay the same as long as there are rooms.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> OccupantKey {
        OccupantKey(bytes)
    }

    /// The identifier of a user in a room, both by bare JID: 64 hexadecimal digits.
    #[must_use]
    pub fn id(&self, room: &str, user: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key");
        for part in [room.as_bytes(), &[0], user.as_bytes()] {
            mac.update(part);
        }
        let digest = mac.finalize().into_bytes();
        let mut out = String::with_capacity(2 * digest.len());
        for byte in digest {
            // Writing to a string cannot fail.
            let _ = write!(out, "{byte:02x}");
        }
        out
    }
}

impl fmt::Debug for OccupantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OccupantKey")
    }
}

/// The `<occupant-id/>` that says `id`.
#[must_use]
pub fn element(id: &str) -> String {
    format!("<occupant-id xmlns='{NS}' id='{id}'/>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_stable_and_differs_by_room_user_and_key() {
        let key = OccupantKey::new([1; 32]);
        let id = key.id("room@conf.x", "me@x");
        assert_eq!(id, key.id("room@conf.x", "me@x"));
        assert_eq!(id.len(), 64);
        assert_ne!(id, key.id("room2@conf.x", "me@x"));
        assert_ne!(id, key.id("room@conf.x", "you@x"));
        assert_ne!(id, OccupantKey::new([2; 32]).id("room@conf.x", "me@x"));
        // The border between the two is part of it.
        assert_ne!(key.id("a", "bc"), key.id("ab", "c"));
    }
}
