//! Framing: where a stanza ends in a stream of bytes, and whether it may be accepted.
//!
//! One pass finds the end of each element at depth 1 and checks it as RFC 6120 §11 wants: UTF-8,
//! well-formed, namespace-well-formed, no comment, processing instruction, document type or entity
//! of its own, and within [`Limits`]. What comes out is the bytes as they were received, with an
//! envelope of what routing needs to know; nothing is allocated for a stanza that is complete in
//! the read buffer. The rest of an incomplete one is kept in the [`Framer`], and the scan goes on
//! where it stopped, so that a stanza costs the same in one piece and byte by byte.
//!
//! The same bytes give the same units and the same error however they are cut.

use crate::ns;
use crate::stanza::{Envelope, Frame};

pub mod characters;
mod error;
pub mod header;
mod item;
mod limits;
mod scan;
mod scope;
mod state;
mod tag;
mod text;
pub mod value;

pub use error::{FramingError, Reason};
pub use header::StreamHeader;
pub use limits::Limits;

use characters::skip_space;
use header::{HeaderPrefix, USUAL_PREFIXES, UnusualRoot};
use scan::{Finish, Rules, Scanner};
use scope::Surroundings;

/// How much of the input is appended to a partial unit at a time: what lies after its end is
/// copied in vain.
const CHUNK: usize = 4096;

/// Elements within each other in what the server writes.
pub(crate) const MAX_DEPTH: u16 = 80;

/// What a stream consists of.
#[derive(Debug, PartialEq)]
pub enum Unit<'a> {
    /// `<stream:stream …>`
    Header(StreamHeader),
    /// An element at depth 1.
    Stanza(Frame<'a>),
    /// `</stream:stream>`
    End,
}

/// Cuts one direction of one stream into units.
pub struct Framer {
    limits: Limits,
    content: &'static str,
    phase: Phase,
    /// Whether `partial` holds the unit that was handed out last, and not the start of another.
    is_complete: bool,
    failure: Option<Reason>,
    partial: Option<Box<Partial>>,
    unusual_root: Option<Box<UnusualRoot>>,
}

/// What the next unit has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The start of a stream: an XML declaration or the header.
    Prolog,
    Header,
    Stanzas,
    Ended,
}

/// The start of a unit whose end has not come.
struct Partial {
    bytes: Vec<u8>,
    scanner: Scanner,
}

/// A unit, and where its bytes are.
enum Found<'i> {
    Header(StreamHeader),
    InInput(&'i [u8], Envelope),
    InPartial(Envelope),
    End,
}

impl Framer {
    /// For a stream of `jabber:client` that has not begun.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::for_namespace(limits, ns::CLIENT)
    }

    /// For a stream with another content namespace (RFC 6120 §4.8.2), such as `jabber:server`. Its
    /// stanzas come out as if they were in `jabber:client`.
    #[must_use]
    pub fn for_namespace(limits: Limits, content: &'static str) -> Self {
        Self {
            limits,
            content,
            phase: Phase::Prolog,
            is_complete: false,
            failure: None,
            partial: None,
            unusual_root: None,
        }
    }

    /// Changes the limits, from the next unit on at the latest.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Expects a new stream header (RFC 6120 §5.4.3.3, §6.4.6). Returns how many bytes of the old
    /// stream were discarded: after STARTTLS there must be none, what was sent in clear ahead of
    /// the handshake must not count as sent under it.
    pub fn restart(&mut self) -> usize {
        let discarded = self.buffered();
        *self = Self::for_namespace(self.limits, self.content);
        discarded
    }

    /// Bytes held of a unit that is not complete.
    #[must_use]
    pub fn buffered(&self) -> usize {
        match &self.partial {
            Some(partial) if !self.is_complete => partial.bytes.len(),
            _ => 0,
        }
    }

    /// The next unit. What belongs to it is taken off the front of `input`; nothing means that all
    /// of `input` was taken and more is needed. After an error the stream is to be closed: every
    /// further call gives the same error.
    pub fn next<'f, 'i: 'f>(
        &'f mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Unit<'f>>, FramingError> {
        if let Some(reason) = self.failure {
            return Err(reason.into());
        }
        match self.advance(input) {
            Ok(found) => Ok(found.map(|found| self.unit(found))),
            Err(reason) => {
                self.failure = Some(reason);
                self.partial = None;
                Err(reason.into())
            }
        }
    }

    fn unit<'f, 'i: 'f>(&'f self, found: Found<'i>) -> Unit<'f> {
        let (bytes, envelope) = match found {
            Found::Header(header) => return Unit::Header(header),
            Found::End => return Unit::End,
            Found::InInput(bytes, envelope) => (bytes, envelope),
            Found::InPartial(envelope) => {
                let bytes = self.partial.as_ref().map_or(&[][..], |p| &p.bytes);
                (bytes, envelope)
            }
        };
        Unit::Stanza(Frame::new(bytes, self.header_prefixes(), envelope))
    }

    fn header_prefixes(&self) -> &[HeaderPrefix] {
        match &self.unusual_root {
            Some(root) => &root.prefixes,
            None if self.phase == Phase::Stanzas => USUAL_PREFIXES,
            None => &[],
        }
    }

    fn advance<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, Reason> {
        if self.is_complete {
            self.partial = None;
            self.is_complete = false;
        }
        if self.phase == Phase::Prolog && !self.prolog(input)? {
            return Ok(None);
        }
        if self.partial.is_some() {
            return self.go_on(input);
        }
        *input = &input[skip_space(input, 0)..];
        match input.first() {
            None => Ok(None),
            Some(_) if self.phase == Phase::Ended => Err(Reason::AfterEnd),
            Some(b'<') => self.begin(input),
            Some(_) => Err(Reason::TextOutsideStanza),
        }
    }

    /// Passes what may stand in front of a stream header. False if that needs more bytes.
    fn prolog(&mut self, input: &mut &[u8]) -> Result<bool, Reason> {
        if self.partial.is_none()
            && let Some(length) = header::skip_prolog(input)?
        {
            *input = &input[length..];
            self.phase = Phase::Header;
            return Ok(true);
        }
        let mut bytes = self.partial.take().map(|p| p.bytes).unwrap_or_default();
        while let Some((&byte, rest)) = input.split_first() {
            bytes.push(byte);
            *input = rest;
            if let Some(length) = header::skip_prolog(&bytes)? {
                self.phase = Phase::Header;
                bytes.drain(..length);
                bytes.drain(..skip_space(&bytes, 0));
                break;
            }
        }
        match bytes.first() {
            None => return Ok(self.phase == Phase::Header),
            Some(b'<') => {}
            Some(_) if self.phase == Phase::Prolog => {}
            Some(_) => return Err(Reason::TextOutsideStanza),
        }
        self.partial = Some(Box::new(Partial {
            bytes,
            scanner: Scanner::header(),
        }));
        Ok(self.phase == Phase::Header)
    }

    /// Scans a unit that begins in the input.
    fn begin<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, Reason> {
        let mut scanner = match self.phase {
            Phase::Header => Scanner::header(),
            _ => Scanner::element(),
        };
        let bytes = *input;
        let window = &bytes[..bytes.len().min(self.limits.max_bytes)];
        match scanner.run(window, &self.rules())? {
            Some(Finish::Element) => {
                let (unit, rest) = bytes.split_at(scanner.position());
                *input = rest;
                Ok(Some(Found::InInput(unit, scanner.into_envelope())))
            }
            Some(finish) => {
                *input = &bytes[scanner.position()..];
                self.turn(finish, window, &scanner).map(Some)
            }
            None if bytes.len() > self.limits.max_bytes => Err(Reason::TooLong),
            None => {
                *input = &[];
                self.partial = Some(Box::new(Partial {
                    bytes: bytes.to_vec(),
                    scanner,
                }));
                Ok(None)
            }
        }
    }

    /// Scans on in a unit that began in an earlier input.
    fn go_on<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, Reason> {
        let Some(mut partial) = self.partial.take() else {
            return Ok(None);
        };
        let Partial { bytes, scanner } = &mut *partial;
        let max_bytes = self.limits.max_bytes;
        loop {
            let taken = input.len().min(CHUNK);
            bytes.extend_from_slice(&input[..taken]);
            let window = &bytes[..bytes.len().min(max_bytes)];
            if let Some(finish) = scanner.run(window, &self.rules())? {
                let excess = bytes.len() - scanner.position();
                *input = &input[taken - excess..];
                bytes.truncate(scanner.position());
                if finish != Finish::Element {
                    return self.turn(finish, bytes, scanner).map(Some);
                }
                let envelope = scanner.envelope().clone();
                self.is_complete = true;
                self.partial = Some(partial);
                return Ok(Some(Found::InPartial(envelope)));
            }
            if bytes.len() > max_bytes {
                return Err(Reason::TooLong);
            }
            *input = &input[taken..];
            if input.is_empty() {
                self.partial = Some(partial);
                return Ok(None);
            }
        }
    }

    /// Takes the start or the end of the stream.
    fn turn<'i>(
        &mut self,
        finish: Finish,
        bytes: &[u8],
        scanner: &Scanner,
    ) -> Result<Found<'i>, Reason> {
        if finish == Finish::End {
            self.phase = Phase::Ended;
            return Ok(Found::End);
        }
        let (header, unusual_root) = header::read(bytes, scanner, self.content)?;
        self.unusual_root = unusual_root;
        self.phase = Phase::Stanzas;
        Ok(Found::Header(header))
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            limits: &self.limits,
            around: Surroundings {
                content: self.content,
                prefixes: self.header_prefixes(),
            },
            root: match (&self.unusual_root, self.phase) {
                (Some(root), _) => root.name.as_bytes(),
                (None, Phase::Stanzas) => b"stream:stream",
                (None, _) => b"",
            },
        }
    }
}

/// Scans one element that stands alone in `bytes`, as it would stand in a `jabber:client` stream.
pub(crate) fn scan_one(bytes: &[u8]) -> Result<Envelope, Reason> {
    let (envelope, length) = scan_first(bytes)?;
    if length < bytes.len() {
        return Err(Reason::TextOutsideStanza);
    }
    Ok(envelope)
}

/// Scans the first element of `bytes`. Returns its envelope and its length.
pub(crate) fn scan_first(bytes: &[u8]) -> Result<(Envelope, usize), Reason> {
    if bytes.first() != Some(&b'<') {
        return Err(Reason::TextOutsideStanza);
    }
    if bytes.len() > Limits::STORED.max_bytes {
        return Err(Reason::TooLong);
    }
    let rules = Rules {
        limits: &Limits::STORED,
        around: Surroundings {
            content: ns::CLIENT,
            prefixes: USUAL_PREFIXES,
        },
        root: b"",
    };
    let mut scanner = Scanner::element();
    match scanner.run(bytes, &rules)? {
        Some(Finish::Element) => {
            let length = scanner.position();
            Ok((scanner.into_envelope(), length))
        }
        _ => Err(Reason::MalformedTag),
    }
}
