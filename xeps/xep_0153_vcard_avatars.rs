//! XEP-0153: vCard-Based Avatars (version 1.1.1)
//!
//! Supported: the hash of a picture, in the presence of a room. That of users passes through.

use sha1::{Digest, Sha1};

/// The namespace of what presence says of an avatar.
pub const NS: &str = "vcard-temp:x:update";

/// The hash by which a picture is known: SHA-1 in lower-case hexadecimal digits (§3.1).
#[must_use]
pub fn hash(picture: &[u8]) -> String {
    let digest = Sha1::digest(picture);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What presence says (§3.1), as XML; `None`: there is no avatar.
#[must_use]
pub fn update(hash: Option<&str>) -> String {
    match hash {
        // Only digits: there is nothing to escape.
        Some(hash) => format!("<x xmlns='{NS}'><photo>{hash}</photo></x>"),
        None => format!("<x xmlns='{NS}'><photo/></x>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_hexadecimal() {
        // RFC 3174 §7.3, the first test.
        assert_eq!(hash(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn presence_says_which_picture_or_that_there_is_none() {
        assert_eq!(
            update(Some("a999")),
            "<x xmlns='vcard-temp:x:update'><photo>a999</photo></x>"
        );
        assert_eq!(update(None), "<x xmlns='vcard-temp:x:update'><photo/></x>");
    }
}
