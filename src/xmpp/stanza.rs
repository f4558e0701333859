//! The stanza: the raw bytes that framing has approved, and an envelope of what routing needs.
//!
//! A [`Frame`] borrows its bytes from a read buffer and lives until the next unit is read; a
//! [`Stanza`] owns them, and its clone is a reference count. Both are [`Framed`], so both answer
//! the same questions. No question that is asked of every stanza allocates; [`Framed::to_element`]
//! makes a DOM for the places where the server itself is the addressee.
//!
//! Inside the server every stanza is in `jabber:client`, which its bytes do not repeat: they are
//! written as they stand into any stream whose default namespace that is.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use minidom::Element;

use crate::dom;
use crate::framing::header::{HeaderPrefix, USUAL_PREFIXES};
use crate::framing::value;
use crate::ns;

mod children;
mod envelope;
mod forward;
mod reply;
mod rewrite;

pub use children::Children;
pub use envelope::Envelope;
pub(crate) use envelope::{Namespace, Span};
pub use forward::Forward;
pub use reply::{empty_result, error_reply, error_reply_with};
pub use rewrite::{ParseError, Strip};

/// What kind of element stands at depth 1 of a stream (RFC 6120 §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`
    Message,
    /// `<presence/>`
    Presence,
    /// `<iq/>`
    Iq,
    /// Anything that is no stanza: stream negotiation, acknowledgements.
    #[default]
    Other,
}

/// The `type` of a message (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// `normal`, no type at all, or one that the RFC does not name.
    Normal,
    /// `chat`
    Chat,
    /// `groupchat`
    Groupchat,
    /// `headline`
    Headline,
    /// `error`
    Error,
}

/// The `type` of a presence (RFC 6121 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceType {
    /// No type: available.
    Available,
    /// `unavailable`
    Unavailable,
    /// `subscribe`
    Subscribe,
    /// `subscribed`
    Subscribed,
    /// `unsubscribe`
    Unsubscribe,
    /// `unsubscribed`
    Unsubscribed,
    /// `probe`
    Probe,
    /// `error`
    Error,
    /// A type that the RFC does not name.
    Unknown,
}

/// The `type` of an IQ (RFC 6120 §8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IqType {
    /// `get`
    Get,
    /// `set`
    Set,
    /// `result`
    Result,
    /// `error`
    Error,
    /// No type, or one that the RFC does not name.
    Unknown,
}

/// Where the bytes of a [`Framed`] are.
pub trait Source {
    /// The element, from its `<` to its last `>`.
    fn bytes(&self) -> &[u8];

    /// Prefixes declared on the stream header that the element may use.
    fn header_prefixes(&self) -> &[HeaderPrefix] {
        &[]
    }

    /// The same bytes, owned, if that takes no copy.
    fn shared(&self) -> Option<Bytes> {
        None
    }
}

/// An element at depth 1 of a stream: approved bytes and their envelope.
#[derive(Clone)]
pub struct Framed<B> {
    source: B,
    envelope: Envelope,
}

/// An element still in the read buffer.
pub type Frame<'a> = Framed<Borrowed<'a>>;

/// An element that owns its bytes and stands on its own in a `jabber:client` stream.
pub type Stanza = Framed<Bytes>;

/// The bytes of a [`Frame`].
#[derive(Clone, Copy, Debug)]
pub struct Borrowed<'a> {
    bytes: &'a [u8],
    header_prefixes: &'a [HeaderPrefix],
}

impl Source for Borrowed<'_> {
    fn bytes(&self) -> &[u8] {
        self.bytes
    }

    fn header_prefixes(&self) -> &[HeaderPrefix] {
        self.header_prefixes
    }
}

impl Source for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn header_prefixes(&self) -> &[HeaderPrefix] {
        USUAL_PREFIXES
    }

    fn shared(&self) -> Option<Bytes> {
        Some(self.clone())
    }
}

impl<'a> Frame<'a> {
    pub(crate) fn new(
        bytes: &'a [u8],
        header_prefixes: &'a [HeaderPrefix],
        envelope: Envelope,
    ) -> Self {
        let source = Borrowed {
            bytes,
            header_prefixes,
        };
        Self { source, envelope }
    }
}

impl Stanza {
    /// The bytes as they are written to a stream.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.source
    }

    pub(crate) fn from_parts(bytes: Bytes, envelope: Envelope) -> Self {
        Self {
            source: bytes,
            envelope,
        }
    }
}

impl<B: Source> Framed<B> {
    /// Message, presence, IQ or something else. Something else also is a `message` that is not in
    /// the namespace of the stream.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.envelope.kind
    }

    /// The element's local name.
    #[must_use]
    pub fn name(&self) -> &str {
        value::text(self.slice(self.envelope.name))
    }

    /// The element's namespace.
    #[must_use]
    pub fn namespace(&self) -> Cow<'_, str> {
        self.resolve(self.envelope.namespace)
    }

    /// The `to` attribute, unescaped.
    #[must_use]
    pub fn to(&self) -> Option<Cow<'_, str>> {
        self.attribute(self.envelope.to)
    }

    /// The `from` attribute, unescaped.
    #[must_use]
    pub fn from(&self) -> Option<Cow<'_, str>> {
        self.attribute(self.envelope.from)
    }

    /// The `id` attribute, unescaped.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.attribute(self.envelope.id)
    }

    /// The `xml:lang` attribute, unescaped.
    #[must_use]
    pub fn lang(&self) -> Option<Cow<'_, str>> {
        self.attribute(self.envelope.lang)
    }

    /// The `type` attribute as it stands, unescaped.
    #[must_use]
    pub fn type_attribute(&self) -> Option<Cow<'_, str>> {
        self.attribute(self.envelope.kind_of)
    }

    /// The `type` of a message.
    #[must_use]
    pub fn message_type(&self) -> MessageType {
        // As nearly everybody writes it.
        match self.slice(self.envelope.kind_of) {
            b"chat" => return MessageType::Chat,
            b"" => return MessageType::Normal,
            _ => {}
        }
        match self.type_attribute().as_deref() {
            Some("chat") => MessageType::Chat,
            Some("groupchat") => MessageType::Groupchat,
            Some("headline") => MessageType::Headline,
            Some("error") => MessageType::Error,
            _ => MessageType::Normal,
        }
    }

    /// The `type` of a presence.
    #[must_use]
    pub fn presence_type(&self) -> PresenceType {
        match self.type_attribute().as_deref() {
            None => PresenceType::Available,
            Some("unavailable") => PresenceType::Unavailable,
            Some("subscribe") => PresenceType::Subscribe,
            Some("subscribed") => PresenceType::Subscribed,
            Some("unsubscribe") => PresenceType::Unsubscribe,
            Some("unsubscribed") => PresenceType::Unsubscribed,
            Some("probe") => PresenceType::Probe,
            Some("error") => PresenceType::Error,
            Some(_) => PresenceType::Unknown,
        }
    }

    /// The `type` of an IQ.
    #[must_use]
    pub fn iq_type(&self) -> IqType {
        match self.type_attribute().as_deref() {
            Some("get") => IqType::Get,
            Some("set") => IqType::Set,
            Some("result") => IqType::Result,
            Some("error") => IqType::Error,
            _ => IqType::Unknown,
        }
    }

    /// Whether the stanza is an error, of any kind.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.type_attribute().as_deref() == Some("error")
    }

    /// Namespace and local name of the first child element: of an IQ, what it asks.
    #[must_use]
    pub fn payload(&self) -> Option<(Cow<'_, str>, &str)> {
        if self.envelope.first_child.is_none() {
            return None;
        }
        let name = value::text(self.slice(self.envelope.first_child));
        Some((self.resolve(self.envelope.first_child_namespace), name))
    }

    /// Which of the known elements are among its children.
    #[must_use]
    pub fn children(&self) -> Children {
        self.envelope.children
    }

    /// The number of child elements. Counting stops at 65 535.
    #[must_use]
    pub fn child_count(&self) -> usize {
        usize::from(self.envelope.child_count)
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.source.bytes().len()
    }

    /// Never: there is at least a tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source.bytes().is_empty()
    }

    /// The element as XML text.
    #[must_use]
    pub fn as_xml(&self) -> &str {
        value::text(self.source.bytes())
    }

    /// What stands between the start tag and the end tag, as it is written.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        if self.envelope.self_closing {
            return &[];
        }
        let bytes = self.source.bytes();
        let end = memchr::memrchr(b'<', bytes).unwrap_or(bytes.len());
        let start = (self.envelope.start_tag_end as usize).min(end);
        &bytes[start..end]
    }

    /// Where things stand in the bytes.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The element as a DOM. It costs some 10 µs and 100 allocations.
    #[must_use]
    pub fn to_element(&self) -> Element {
        dom::parse_with(self.source.bytes(), self.source.header_prefixes())
            .unwrap_or_else(|_| Element::bare(self.name(), self.namespace()))
    }

    fn slice(&self, span: Span) -> &[u8] {
        span.of(self.source.bytes())
    }

    fn attribute(&self, span: Span) -> Option<Cow<'_, str>> {
        if span.is_none() {
            return None;
        }
        Some(value::unescape(self.slice(span)))
    }

    fn resolve(&self, namespace: Namespace) -> Cow<'_, str> {
        match namespace {
            Namespace::None => Cow::Borrowed(""),
            Namespace::Content => Cow::Borrowed(ns::CLIENT),
            Namespace::Xml => Cow::Borrowed(ns::XML),
            Namespace::Declared(span) => value::unescape(self.slice(span)),
            Namespace::Header(index) => {
                let prefix = self.source.header_prefixes().get(usize::from(index));
                Cow::Borrowed(prefix.map_or("", |prefix| &prefix.namespace))
            }
        }
    }
}

impl<B: Source> fmt::Debug for Framed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.envelope.kind, self.as_xml())
    }
}

impl<A: Source, B: Source> PartialEq<Framed<B>> for Framed<A> {
    fn eq(&self, other: &Framed<B>) -> bool {
        self.source.bytes() == other.source.bytes()
    }
}

impl<B: Source> Eq for Framed<B> {}
