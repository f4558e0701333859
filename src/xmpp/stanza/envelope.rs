//! Where the parts of a stanza stand in its bytes.

use super::{Children, Kind};

/// A range of bytes, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// What is not there.
    pub(crate) const NONE: Self = Self {
        start: u32::MAX,
        len: 0,
    };

    /// From `start` up to but without `end`. Stanzas are bounded well below 4 GiB.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            len: (end - start) as u32,
        }
    }

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.start == u32::MAX
    }

    #[inline]
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    #[inline]
    pub(crate) fn end(self) -> usize {
        self.start as usize + self.len as usize
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }

    /// The bytes of the range; nothing if it is not there: no stanza reaches to where [`Self::NONE`]
    /// starts.
    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start()..self.end()).unwrap_or_default()
    }
}

/// How the namespace of an element is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// It has none.
    None,
    /// The content namespace of the stream, said or unsaid.
    Content,
    /// The namespace of the `xml` prefix.
    Xml,
    /// Declared inside the stanza: the value of the declaration.
    Declared(Span),
    /// Declared by a prefix of the stream header: its index.
    Header(u8),
}

/// What routing needs to know of a stanza, found while it was checked.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub(crate) to: Span,
    pub(crate) from: Span,
    pub(crate) id: Span,
    pub(crate) lang: Span,
    /// The `type` attribute; in a stream header, the `version`.
    pub(crate) kind_of: Span,
    /// The local name of the root.
    pub(crate) name: Span,
    pub(crate) namespace: Namespace,
    pub(crate) first_child: Span,
    pub(crate) first_child_namespace: Namespace,
    pub(crate) children: Children,
    /// Just after the `>` of the start tag.
    pub(crate) start_tag_end: u32,
    pub(crate) child_count: u16,
    /// One bit for each prefix of the stream header that is used.
    pub(crate) header_prefixes: u16,
    pub(crate) kind: Kind,
    pub(crate) self_closing: bool,
}

impl Default for Envelope {
    fn default() -> Self {
        Self {
            to: Span::NONE,
            from: Span::NONE,
            id: Span::NONE,
            lang: Span::NONE,
            kind_of: Span::NONE,
            name: Span::NONE,
            namespace: Namespace::None,
            first_child: Span::NONE,
            first_child_namespace: Namespace::None,
            children: Children::NONE,
            start_tag_end: 0,
            child_count: 0,
            header_prefixes: 0,
            kind: Kind::Other,
            self_closing: false,
        }
    }
}

impl Envelope {
    /// Whether the root is written with a prefix: it does not stand on its own then.
    pub(crate) fn is_prefixed(&self) -> bool {
        self.name.start() > 1
    }
}
