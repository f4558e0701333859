//! Reading of a stream, unit by unit.

use waxwing_xmpp::framing::{Framer, FramingError, Limits, StreamHeader, Unit};
use waxwing_xmpp::{Element, StreamError};

use super::End;
use super::io::{Chunk, Io};

/// A stream under negotiation: its socket, where its framing stands, and what was read and not
/// yet looked at.
pub(crate) struct Reader {
    pub(crate) io: Io,
    pub(crate) framer: Framer,
    pub(crate) rest: Option<Rest>,
}

/// What of a chunk is still to be framed.
pub(crate) struct Rest {
    pub(crate) chunk: Chunk,
    pub(crate) at: usize,
}

/// What comes in during negotiation, owned: it is rare and small.
pub(crate) enum Incoming {
    Header(StreamHeader),
    Element(Element),
    End,
}

impl Reader {
    pub(crate) fn new(io: Io, limits: Limits) -> Self {
        Reader {
            io,
            framer: Framer::new(limits),
            rest: None,
        }
    }

    /// The next unit.
    pub(crate) async fn next(&mut self) -> Result<Incoming, End> {
        loop {
            if let Some(incoming) = self.framed()? {
                return Ok(incoming);
            }
            let chunk = self.io.read().await?.ok_or(End::Gone)?;
            self.rest = Some(Rest { chunk, at: 0 });
        }
    }

    fn framed(&mut self) -> Result<Option<Incoming>, End> {
        let Some(rest) = &mut self.rest else {
            return Ok(None);
        };
        let mut input = &rest.chunk[rest.at..];
        let unit = self
            .framer
            .next(&mut input)
            .map_err(|error| End::Error(stream_error(&error)))?;
        let incoming = match unit {
            None => None,
            Some(Unit::Header(header)) => Some(Incoming::Header(header)),
            Some(Unit::Stanza(frame)) => Some(Incoming::Element(frame.to_element())),
            Some(Unit::End) => Some(Incoming::End),
        };
        rest.at = rest.chunk.len() - input.len();
        if rest.at == rest.chunk.len() {
            self.rest = None;
        }
        Ok(incoming)
    }

    /// Expects a new stream header. Whitespace behind the last element belongs to the old stream:
    /// go-xmpp ends its elements with a line feed, against RFC 6120 §5.3.3 and §6.3.5, and in
    /// front of an XML declaration that would be an error.
    pub(crate) fn restart(&mut self) {
        self.framer.restart();
        if let Some(rest) = &mut self.rest {
            rest.at = rest.chunk.len() - rest.chunk[rest.at..].trim_ascii_start().len();
            if rest.at == rest.chunk.len() {
                self.rest = None;
            }
        }
    }

    /// Whether the peer sent more than the units that were taken, whitespace apart.
    pub(crate) fn has_more(&self) -> bool {
        let ahead = |rest: &Rest| !rest.chunk[rest.at..].trim_ascii().is_empty();
        self.rest.as_ref().is_some_and(ahead) || self.framer.buffered() > 0
    }
}

/// The stream error for input that cannot be framed.
pub(crate) fn stream_error(error: &FramingError) -> StreamError {
    StreamError::new(error.condition.clone()).with_text(error.to_string())
}
