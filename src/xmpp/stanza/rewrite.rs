//! Stanzas made from other stanzas without a DOM: the start tag is rewritten, the rest copied.

use std::borrow::Cow;

use bytes::Bytes;
use minidom::Element;

use super::{Children, Envelope, Framed, Kind, Namespace, Source, Span, Stanza};
use crate::dom;
use crate::framing::{self, Reason};
use crate::jid::Jid;

/// Bytes that are not one element that could stand in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stanza: {0}")]
pub struct ParseError(pub Reason);

/// A child that a stanza may not bring along: what only the server itself may say.
#[derive(Clone, Copy, Debug)]
pub struct Strip<'a> {
    /// The namespace of the child.
    pub namespace: &'a str,
    /// Its local name.
    pub name: &'a str,
    /// The attribute in which it says whose it is, and the address there in its prepared form;
    /// `None`: whosever it is.
    pub by: Option<(&'a str, &'a str)>,
}

impl Strip<'_> {
    fn is_met_by(&self, child: &Element) -> bool {
        // Another spelling of the address is still that address to whoever reads it.
        let same = |own: &str, by: &str| {
            by == own || Jid::parse_tolerant(by).is_ok_and(|jid| jid.as_str() == own)
        };
        let is_by = |(attribute, own)| child.attr(attribute).is_some_and(|by| same(own, by));
        child.is(self.name, self.namespace) && self.by.is_none_or(is_by)
    }
}

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
        Self::from_xml(dom::serialize(element))
    }

    /// The stanza in XML that the server has written.
    pub(crate) fn from_xml(xml: String) -> Self {
        let bytes = Bytes::from(xml);
        let envelope = framing::scan_one(&bytes);
        debug_assert!(envelope.is_ok(), "{envelope:?}");
        Self::from_parts(bytes, envelope.unwrap_or_default())
    }
}

impl<B: Source> Framed<B> {
    /// The stanza as the server passes it on: `from` is what the server says, and the language of
    /// the stream is written down where the stanza gives none (RFC 6120 §8.1.2.1, §8.1.5). One
    /// allocation.
    #[must_use]
    pub fn stamp(&self, from: &str, default_lang: Option<&str>) -> Stanza {
        self.rewrite(&Edits {
            from: Some(dom::escape_attr(from)),
            to: None,
            lang: default_lang
                .filter(|_| self.envelope.lang.is_none())
                .map(dom::escape_attr),
        })
    }

    /// The stanza without the children in `strip`; `None` if it has none of them. One that may have
    /// some is made into a DOM, any other costs a look at the set of its children.
    #[must_use]
    pub fn without(&self, strip: &[Strip<'_>]) -> Option<Stanza> {
        let is_suspect = strip.iter().any(|strip| {
            let bit = super::Children::classify(strip.name.as_bytes(), strip.namespace.as_bytes());
            self.children().intersects(bit)
        });
        if !is_suspect {
            return None;
        }
        let mut element = self.to_element();
        let nodes = element.take_nodes();
        let before = nodes.len();
        let is_kept = |node: &minidom::Node| {
            !node
                .as_element()
                .is_some_and(|child| strip.iter().any(|strip| strip.is_met_by(child)))
        };
        let kept: Vec<_> = nodes.into_iter().filter(is_kept).collect();
        if kept.len() == before {
            return None;
        }
        kept.into_iter().for_each(|node| {
            element.append_node(node);
        });
        Some(Stanza::from_element(&element))
    }

    /// The stanza addressed to somebody else.
    #[must_use]
    pub fn with_to(&self, to: &str) -> Stanza {
        self.rewrite(&Edits {
            from: None,
            to: Some(dom::escape_attr(to)),
            lang: None,
        })
    }

    /// A copy that stands on its own.
    #[must_use]
    pub fn to_stanza(&self) -> Stanza {
        if let Some(bytes) = self.source.shared().filter(|_| self.stands_alone()) {
            return Stanza::from_parts(bytes, self.envelope.clone());
        }
        self.rewrite(&Edits::default())
    }

    /// The stanza with further children at its end: well-formed elements that the server has
    /// written. What is none is left out.
    #[must_use]
    pub fn with_child(&self, xml: &str) -> Stanza {
        self.with_children(xml, |envelope, offset| {
            add_children(envelope, xml.as_bytes(), offset)
        })
    }

    /// As [`with_child`](Self::with_child) for one element of which is known what it is, so that it
    /// need not be read.
    #[must_use]
    pub fn with_known_child(&self, xml: &str, kind: Children) -> Stanza {
        if self.envelope.first_child.is_none() {
            return self.with_child(xml);
        }
        self.with_children(xml, |envelope, _| {
            envelope.children |= kind;
            envelope.child_count = envelope.child_count.saturating_add(1);
            true
        })
    }

    fn with_children(&self, xml: &str, note: impl FnOnce(&mut Envelope, usize) -> bool) -> Stanza {
        let stanza = self.to_stanza();
        let mut envelope = stanza.envelope.clone();
        let old = &stanza.source;
        let mut out = Vec::with_capacity(old.len() + xml.len() + envelope.name.end() + 2);
        let end_tag = if envelope.self_closing {
            let start = envelope.start_tag_end as usize;
            out.extend_from_slice(&old[..start.saturating_sub(2)]);
            out.push(b'>');
            envelope.self_closing = false;
            envelope.start_tag_end = out.len() as u32;
            [b"</", &old[1..envelope.name.end()], b">"].concat()
        } else {
            let start = memchr::memrchr(b'<', old).unwrap_or(old.len());
            out.extend_from_slice(&old[..start]);
            old[start..].to_vec()
        };
        let is_added = note(&mut envelope, out.len());
        debug_assert!(is_added, "not well-formed: {xml}");
        if !is_added {
            return stanza;
        }
        out.extend_from_slice(xml.as_bytes());
        out.extend_from_slice(&end_tag);
        Stanza::from_parts(Bytes::from(out), envelope)
    }

    /// Whether nothing outside of it is needed to read it in a `jabber:client` stream.
    fn stands_alone(&self) -> bool {
        self.envelope.header_prefixes == 0 && !self.envelope.is_prefixed()
    }

    fn rewrite(&self, edits: &Edits<'_>) -> Stanza {
        if self.envelope.is_prefixed() && self.envelope.kind != Kind::Other {
            return Stanza::from_element(&self.to_element()).rewrite(edits);
        }
        let old = self.source.bytes();
        let removed = [
            edits
                .from
                .as_ref()
                .map_or(Span::NONE, |_| self.envelope.from),
            edits.to.as_ref().map_or(Span::NONE, |_| self.envelope.to),
        ]
        .map(|value| whole_attribute(old, value));
        let declarations = self.header_declarations();
        let inserted = declarations.len() + edits.len();
        let gone = removed[0].len() + removed[1].len();
        let mut out = Vec::with_capacity(old.len() + inserted - gone);
        let name_end = self.envelope.name.end().min(old.len());
        out.extend_from_slice(&old[..name_end]);
        out.extend_from_slice(declarations.as_bytes());
        let written = edits.push(&mut out);
        copy_without(&mut out, old, name_end, removed);
        let bytes = Bytes::from(out);
        if self.envelope.header_prefixes != 0 {
            // Namespaces are now declared in the stanza: look again where.
            let envelope = framing::scan_one(&bytes).unwrap_or_default();
            return Stanza::from_parts(bytes, envelope);
        }
        let mut envelope = self.envelope.clone();
        shift(&mut envelope, inserted, removed);
        written.enter(&mut envelope);
        Stanza::from_parts(bytes, envelope)
    }

    /// Declarations for the prefixes that are declared on the stream header only.
    fn header_declarations(&self) -> String {
        let mut out = String::new();
        if self.envelope.header_prefixes == 0 {
            return out;
        }
        for (index, declared) in self.source.header_prefixes().iter().enumerate() {
            if self.envelope.header_prefixes & (1 << index) != 0 {
                out.push_str(" xmlns:");
                out.push_str(&declared.prefix);
                out.push_str("='");
                out.push_str(&dom::escape_attr(&declared.namespace));
                out.push('\'');
            }
        }
        out
    }
}

/// What to say in a start tag, escaped.
#[derive(Default)]
struct Edits<'a> {
    from: Option<Cow<'a, str>>,
    to: Option<Cow<'a, str>>,
    lang: Option<Cow<'a, str>>,
}

impl Edits<'_> {
    const TO: &'static [u8] = b" to='";
    const FROM: &'static [u8] = b" from='";
    const LANG: &'static [u8] = b" xml:lang='";

    /// The bytes that [`Self::push`] appends.
    fn len(&self) -> usize {
        let one = |value: &Option<Cow<'_, str>>, name: &[u8]| {
            value
                .as_ref()
                .map_or(0, |value| name.len() + value.len() + 1)
        };
        one(&self.to, Self::TO) + one(&self.from, Self::FROM) + one(&self.lang, Self::LANG)
    }

    fn push(&self, out: &mut Vec<u8>) -> Written {
        let mut one = |value: &Option<Cow<'_, str>>, name: &[u8]| {
            let Some(value) = value else {
                return Span::NONE;
            };
            out.extend_from_slice(name);
            let start = out.len();
            out.extend_from_slice(value.as_bytes());
            let span = Span::new(start, out.len());
            out.push(b'\'');
            span
        };
        Written {
            to: one(&self.to, Self::TO),
            from: one(&self.from, Self::FROM),
            lang: one(&self.lang, Self::LANG),
        }
    }
}

/// Where the edits stand.
struct Written {
    to: Span,
    from: Span,
    lang: Span,
}

impl Written {
    fn enter(&self, envelope: &mut Envelope) {
        for (new, field) in [
            (self.to, &mut envelope.to),
            (self.from, &mut envelope.from),
            (self.lang, &mut envelope.lang),
        ] {
            if !new.is_none() {
                *field = new;
            }
        }
    }
}

/// The attribute around a value, from the white space before its name to the closing quote.
fn whole_attribute(bytes: &[u8], value: Span) -> Span {
    if value.is_none() {
        return Span::NONE;
    }
    // Names hold no white space and no `=`, so that the last `=` in front of the quote is its own.
    let head = &bytes[..value.start() - 1];
    let equals = memchr::memrchr(b'=', head).unwrap_or(0);
    let name = head[..equals].trim_ascii_end();
    let start = name
        .iter()
        .rposition(u8::is_ascii_whitespace)
        .map_or(0, |space| name[..space].trim_ascii_end().len());
    Span::new(start, value.end() + 1)
}

/// Appends `bytes` from `start` on but for the ranges in `removed`.
fn copy_without(out: &mut Vec<u8>, bytes: &[u8], start: usize, mut removed: [Span; 2]) {
    if removed[0].start() > removed[1].start() {
        removed.swap(0, 1);
    }
    let mut at = start;
    for span in removed.into_iter().filter(|span| !span.is_none()) {
        out.extend_from_slice(&bytes[at..span.start()]);
        at = span.end();
    }
    out.extend_from_slice(&bytes[at..]);
}

/// Moves what comes after the name of the root: `inserted` bytes came in there, `removed` went.
fn shift(envelope: &mut Envelope, inserted: usize, removed: [Span; 2]) {
    let nothing_gone = removed.iter().all(|span| span.is_none());
    let place = |at: usize| {
        if nothing_gone {
            return at + inserted;
        }
        let gone = removed.iter().filter(|span| span.end() <= at);
        at + inserted - gone.map(|span| span.len()).sum::<usize>()
    };
    let moved = |span: &mut Span| {
        if !span.is_none() {
            let start = place(span.start());
            *span = Span::new(start, start + span.len());
        }
    };
    for span in [
        &mut envelope.to,
        &mut envelope.from,
        &mut envelope.id,
        &mut envelope.lang,
        &mut envelope.kind_of,
        &mut envelope.first_child,
    ] {
        moved(span);
    }
    for namespace in [&mut envelope.namespace, &mut envelope.first_child_namespace] {
        if let Namespace::Declared(span) = namespace {
            moved(span);
        }
    }
    envelope.start_tag_end = place(envelope.start_tag_end as usize) as u32;
}

/// Counts the elements in `xml` as children that will stand at `offset`. False if they are not
/// well-formed.
fn add_children(envelope: &mut Envelope, xml: &[u8], offset: usize) -> bool {
    let mut at = 0;
    while at < xml.len() {
        let Ok((child, length)) = framing::scan_first(&xml[at..]) else {
            return false;
        };
        let moved = |span: Span| Span::new(span.start() + offset + at, span.end() + offset + at);
        let child_xml = &xml[at..at + length];
        let namespace = match child.namespace {
            Namespace::Declared(span) => span.of(child_xml),
            Namespace::Content => crate::ns::CLIENT.as_bytes(),
            _ => b"",
        };
        envelope.children |= Children::classify(child.name.of(child_xml), namespace);
        envelope.child_count = envelope.child_count.saturating_add(1);
        if envelope.first_child.is_none() {
            envelope.first_child = moved(child.name);
            envelope.first_child_namespace = match child.namespace {
                Namespace::Declared(span) => Namespace::Declared(moved(span)),
                other => other,
            };
        }
        at += length;
    }
    true
}
