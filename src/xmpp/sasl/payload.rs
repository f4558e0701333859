//! The base64 text in which SASL data travels (RFC 6120 §6.4).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Failure;

/// The longest message of a mechanism that is read, in bytes before base64. The longest that a
/// client has reason to send, with names and passwords of 1023 bytes, is within it.
pub const MAX_PAYLOAD_BYTES: usize = 4096;

/// Reads the text of `<auth/>`, `<response/>` and the like: `None` when there is none, empty data
/// when it is a single `=`.
pub fn decode_payload(text: &str) -> Result<Option<Vec<u8>>, Failure> {
    match text {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        text => decode(text).map(Some),
    }
}

/// Reads base64 in which nothing is special, and an empty text is empty data.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    if text.len() > MAX_PAYLOAD_BYTES.div_ceil(3) * 4 {
        return Err(Failure::MalformedRequest);
    }
    STANDARD
        .decode(text)
        .map_err(|_| Failure::IncorrectEncoding)
}

/// Writes a challenge or additional data. An empty challenge is an empty text.
#[must_use]
pub fn encode_payload(data: &[u8]) -> String {
    STANDARD.encode(data)
}
