//! XEP-0054: vcard-temp (version 1.3.0)
//!
//! Supported: the vCard of a room, which is kept as it is sent. There are none of accounts yet.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use waxwing_xmpp::StanzaError;
use waxwing_xmpp::dom::serialize;

/// The namespace of the vCard, and the feature.
pub const NS: &str = "vcard-temp";

/// Pictures of a vCard; more is `not-acceptable`.
const MAX_PHOTOS: usize = 8;

/// What is kept of a vCard that is sent: it as XML; nothing for an empty one.
///
/// # Errors
/// `bad-request` if it is none, or a picture in it is not written in Base64; `not-acceptable` if
/// it is longer than `max` bytes or has too many pictures.
pub fn accept(vcard: &Element, max: usize) -> Result<String, StanzaError> {
    if !vcard.is("vCard", NS) {
        return Err(StanzaError::bad_request());
    }
    if vcard.children().next().is_none() {
        return Ok(String::new());
    }
    let xml = serialize(vcard);
    if xml.len() > max {
        let text = format!("the vCard is longer than {max} bytes");
        return Err(StanzaError::not_acceptable().with_text(text));
    }
    if photos(vcard)?.len() > MAX_PHOTOS {
        return Err(StanzaError::not_acceptable().with_text("the vCard has too many pictures"));
    }
    Ok(xml)
}

/// The pictures that a vCard holds; those that it only names are not among them.
///
/// # Errors
/// `bad-request` if one is not written in Base64.
pub fn photos(vcard: &Element) -> Result<Vec<Vec<u8>>, StanzaError> {
    let photos = vcard.children().filter(|child| child.is("PHOTO", NS));
    let data = photos.filter_map(|photo| photo.get_child("BINVAL", NS));
    let mut found = Vec::new();
    for data in data {
        // XEP-0153 §4: white space is no part of it.
        let text: String = data.text().split_ascii_whitespace().collect();
        let photo = STANDARD.decode(text);
        let wrong = "a picture is not written in Base64";
        found.push(photo.map_err(|_| StanzaError::bad_request().with_text(wrong))?);
    }
    found.retain(|photo| !photo.is_empty());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(children: &str, max: usize) -> Result<String, &'static str> {
        let xml = format!("<vCard xmlns='vcard-temp'>{children}</vCard>");
        let vcard: Element = xml.parse().expect("well-formed");
        accept(&vcard, max).map_err(|error| error.condition.name())
    }

    fn photo(data: &str) -> String {
        format!("<PHOTO><TYPE>image/png</TYPE><BINVAL>{data}</BINVAL></PHOTO>")
    }

    #[test]
    fn a_vcard_is_kept_or_refused() {
        let one = photo("aGFs\n bG8=");
        let whole = accepted(&one, 1000).expect("a vCard");
        let parsed: Element = whole.parse().expect("well-formed");
        assert_eq!(photos(&parsed), Ok(vec![b"hallo".to_vec()]));
        for (children, max, expected) in [
            (String::new(), 0, Ok(String::new())),
            (one.clone(), whole.len(), Ok(whole.clone())),
            (one.clone(), whole.len() - 1, Err("not-acceptable")),
            (photo("?"), 1000, Err("bad-request")),
            (one.repeat(MAX_PHOTOS + 1), 10_000, Err("not-acceptable")),
        ] {
            assert_eq!(accepted(&children, max), expected, "{children}");
        }
        let other = Element::bare("vcard", "urn:ietf:params:xml:ns:vcard-4.0");
        assert!(accept(&other, 1000).is_err());
    }

    #[test]
    fn pictures_that_are_empty_or_elsewhere_are_none() {
        let elsewhere = "<PHOTO><EXTVAL>https://x/y.png</EXTVAL></PHOTO>";
        let xml = format!("<vCard xmlns='{NS}'>{elsewhere}{}</vCard>", photo(""));
        let vcard: Element = xml.parse().expect("well-formed");
        assert_eq!(photos(&vcard), Ok(Vec::new()));
    }
}
