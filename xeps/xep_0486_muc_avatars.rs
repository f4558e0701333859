//! XEP-0486: MUC Avatars (version 0.1.0)
//!
//! Supported: an avatar that owners set as the vCard of a room, with several pictures of it; its
//! hashes in the room's information; the notice that it changed.

use crate::{xep_0054_vcard_temp as vcard, xep_0153_vcard_avatars as avatars};

/// The hashes of the pictures in a room's vCard as it is kept, for `muc#roominfo_avatarhash`; none
/// where there is no avatar.
#[must_use]
pub fn hashes(vcard: &str) -> Vec<String> {
    if vcard.is_empty() {
        return Vec::new();
    }
    // Nothing else than a vCard with sound pictures is kept.
    let vcard = waxwing_xmpp::dom::parse(vcard.as_bytes());
    let photos = vcard.ok().and_then(|vcard| vcard::photos(&vcard).ok());
    let photos = photos.unwrap_or_default();
    photos.iter().map(|photo| avatars::hash(photo)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_a_hash() {
        // §5.1, the pictures of the example.
        let svg = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSIzMiIgaGVpZ2h0PS\
                   IzMiI+CiA8cmVjdCB4PSIwIiB5PSIwIiB3aWR0aD0iMzIiIGhlaWdodD0iMzIiIGZpbGw9InJlZCIv\
                   Pgo8L3N2Zz4K";
        let photo = |data: &str| format!("<PHOTO><BINVAL>{data}</BINVAL></PHOTO>");
        let vcard = |photos: &str| format!("<vCard xmlns='vcard-temp'>{photos}</vCard>");
        let both = photo(svg) + &photo("YWJj");
        assert_eq!(
            hashes(&vcard(&both)),
            [
                "a31c4bd04de69663cfd7f424a8453f4674da37ff",
                "a9993e364706816aba3e25717850c26c9cd0d89d"
            ]
        );
        for none in ["", &vcard(""), &vcard("<FN>A room</FN>"), "no XML"] {
            assert_eq!(hashes(none), [""; 0]);
        }
    }
}
