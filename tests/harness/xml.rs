//! Reads what a server says with a parser that the server does not use: rxml into minidom.

use minidom::Element;
use minidom::tree_builder::TreeBuilder;
use rxml::error::EndOrError;
use rxml::{Parse, RawEvent, RawParser};

/// `jabber:client`, the namespace of stanzas.
pub const CLIENT: &str = "jabber:client";
/// The namespace of the stream's own elements.
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// The namespace of SASL negotiation, RFC 6120 §6.
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// The namespace of STARTTLS, RFC 6120 §5.
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// The namespace of resource binding, RFC 6120 §7.
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// The namespace of pings, XEP-0199.
pub const PING: &str = "urn:xmpp:ping";
/// The namespace of stream management.
pub const SM: &str = "urn:xmpp:sm:3";

/// What a stream brings.
#[derive(Clone, Debug)]
pub enum Event {
    /// The stream header: its element without children.
    Header(Element),
    /// A child of the stream: a stanza, a stream error, features, a step of a negotiation.
    Element(Element),
    /// `</stream:stream>`.
    End,
    /// The connection was closed.
    Closed,
}

impl Event {
    /// The event as text, for reports.
    pub fn show(&self) -> String {
        match self {
            Event::Header(header) => format!("header: {}", show(header)),
            Event::Element(element) => show(element),
            Event::End => "</stream:stream>".to_owned(),
            Event::Closed => "the end of the connection".to_owned(),
        }
    }
}

/// An element as text.
pub fn show(element: &Element) -> String {
    String::from(element)
}

/// Parses one document.
pub fn parse(text: &str) -> Result<Element, String> {
    text.parse::<Element>()
        .map_err(|error| format!("{error}: {text}"))
}

/// Turns the bytes of one stream into events, whatever the pieces in which they come.
pub struct StreamReader {
    parser: RawParser,
    tree: TreeBuilder,
    rest: Vec<u8>,
}

impl StreamReader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        StreamReader {
            parser: RawParser::new(),
            tree: TreeBuilder::new(),
            rest: Vec::new(),
        }
    }

    /// Takes more bytes; `take` yields what they complete.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next complete event, if there is one.
    pub fn take(&mut self) -> Result<Option<Event>, String> {
        loop {
            let mut rest = self.rest.as_slice();
            let parsed = self.parser.parse(&mut rest, false);
            let used = self.rest.len() - rest.len();
            self.rest.drain(..used);
            let event = match parsed {
                Ok(Some(event)) => event,
                Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(None),
                Err(EndOrError::Error(error)) => {
                    return Err(format!("bad XML from the server: {error}"));
                }
            };
            if let Some(event) = self.build(event)? {
                return Ok(Some(event));
            }
        }
    }

    fn build(&mut self, event: RawEvent) -> Result<Option<Event>, String> {
        let opens = matches!(event, RawEvent::ElementHeadClose(..));
        let closes = matches!(event, RawEvent::ElementFoot(..));
        self.tree
            .process_event(event)
            .map_err(|error| format!("bad XML from the server: {error}"))?;
        let depth = self.tree.depth();
        if opens && depth == 1 {
            return Ok(self.tree.top().cloned().map(Event::Header));
        }
        if closes && depth == 1 {
            return Ok(self.tree.unshift_child().map(Event::Element));
        }
        if closes && depth == 0 {
            return Ok(Some(Event::End));
        }
        Ok(None)
    }
}
