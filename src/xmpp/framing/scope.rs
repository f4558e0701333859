//! Which namespace declarations hold at a place in a stanza.

use smallvec::SmallVec;

use super::header::HeaderPrefix;
use super::scan::{INLINE, Rules};
use super::{Reason, value};
use crate::ns;
use crate::stanza::{Namespace, Span};

/// A number that two namespaces share if, and only if, they are the same. It holds as long as both
/// are in scope, and spares comparing their names again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity(u16);

impl Identity {
    const NONE: Self = Self(u16::MAX);
    const CONTENT: Self = Self(u16::MAX - 1);
    const XML: Self = Self(u16::MAX - 2);
    /// Not yet looked for.
    pub(super) const UNRESOLVED: Self = Self(u16::MAX - 3);

    /// A namespace of the stream header: the first prefix that stands for it.
    fn header(index: usize) -> Self {
        Self(0x8000 | index as u16)
    }
}

#[derive(Clone, Copy, Default)]
struct Declaration {
    prefix_start: u32,
    namespace_start: u32,
    /// Nothing for the default namespace.
    prefix_len: u16,
    namespace_len: u16,
    identity: Identity,
    /// Whether the name stands as it is, without references.
    is_plain: bool,
}

impl Declaration {
    fn prefix(self) -> Span {
        let start = self.prefix_start as usize;
        Span::new(start, start + usize::from(self.prefix_len))
    }

    /// The value as it stands, references and all.
    fn namespace(self) -> Span {
        let start = self.namespace_start as usize;
        Span::new(start, start + usize::from(self.namespace_len))
    }
}

/// What the stream gives to every stanza on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    /// The default namespace of the stream, with the stanzas in it.
    pub(super) content: &'a str,
    /// The prefixes declared on the stream header.
    pub(super) prefixes: &'a [HeaderPrefix],
}

/// The declarations in scope, innermost last.
pub(super) struct Scope {
    declarations: SmallVec<[Declaration; INLINE]>,
}

impl Scope {
    pub(super) fn new() -> Self {
        Self {
            declarations: SmallVec::new(),
        }
    }

    /// How many declarations are in scope: to be given to [`Self::leave`].
    pub(super) fn len(&self) -> u16 {
        self.declarations.len() as u16
    }

    /// Forgets the declarations of an element that has ended.
    pub(super) fn leave(&mut self, len: u16) {
        self.declarations.truncate(usize::from(len));
    }

    /// The declarations in scope as (prefix, namespace), outermost first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Span, Span)> {
        self.declarations
            .iter()
            .map(|d| (d.prefix(), d.namespace()))
    }

    /// Takes `xmlns='…'` (an empty prefix) or `xmlns:prefix='…'`. `is_plain`: the value stands for
    /// itself.
    pub(super) fn declare(
        &mut self,
        bytes: &[u8],
        prefix: Span,
        namespace: Span,
        is_plain: bool,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        let (limits, around) = (rules.limits, rules.around);
        if namespace.len() > usize::from(limits.max_name) {
            return Err(Reason::NameTooLong);
        }
        if self.declarations.len() >= usize::from(limits.max_namespaces) {
            return Err(Reason::TooManyNamespaces);
        }
        let name = namespace.of(bytes);
        let is = |other: &[u8]| name == other || (!is_plain && value::same(name, other));
        check(prefix.of(bytes), is)?;
        let identity = if name.is_empty() {
            Identity::NONE
        } else if is(ns::XML.as_bytes()) {
            Identity::XML
        } else if is(around.content.as_bytes()) {
            Identity::CONTENT
        } else if let Some(index) = header_index(around, is) {
            Identity::header(index)
        } else {
            let same = |d: &&Declaration| {
                let other = d.namespace().of(bytes);
                name == other || (!(is_plain && d.is_plain) && value::same(name, other))
            };
            let new = Identity(self.len());
            self.declarations
                .iter()
                .find(same)
                .map_or(new, |d| d.identity)
        };
        self.declarations.push(Declaration {
            prefix_start: prefix.start() as u32,
            namespace_start: namespace.start() as u32,
            prefix_len: prefix.len() as u16,
            namespace_len: namespace.len() as u16,
            identity,
            is_plain,
        });
        Ok(())
    }

    /// The namespace of a name with this prefix; of an empty one, the default namespace.
    pub(super) fn resolve(
        &self,
        bytes: &[u8],
        prefix: &[u8],
        around: Surroundings<'_>,
    ) -> Result<(Namespace, Identity), Reason> {
        let has_prefix = |d: &&Declaration| {
            usize::from(d.prefix_len) == prefix.len() && d.prefix().of(bytes) == prefix
        };
        if let Some(found) = self.declarations.iter().rev().find(has_prefix) {
            let namespace = match found.identity {
                Identity::NONE => Namespace::None,
                Identity::CONTENT => Namespace::Content,
                _ => Namespace::Declared(found.namespace()),
            };
            return Ok((namespace, found.identity));
        }
        if prefix.is_empty() {
            return Ok((Namespace::Content, Identity::CONTENT));
        }
        if prefix == b"xml" {
            return Ok((Namespace::Xml, Identity::XML));
        }
        let index = around
            .prefixes
            .iter()
            .position(|declared| declared.prefix.as_bytes() == prefix)
            .ok_or(Reason::UndeclaredPrefix)?;
        let name = &around.prefixes[index].namespace;
        if name == around.content {
            return Ok((Namespace::Content, Identity::CONTENT));
        }
        let first = header_index(around, |other| name.as_bytes() == other).unwrap_or(index);
        Ok((Namespace::Header(index as u8), Identity::header(first)))
    }
}

/// The characters of a namespace name, as they stand in the stanza.
pub(super) fn name_of<'a>(
    namespace: Namespace,
    bytes: &'a [u8],
    around: Surroundings<'a>,
) -> &'a [u8] {
    match namespace {
        Namespace::None => b"",
        Namespace::Content => around.content.as_bytes(),
        Namespace::Xml => ns::XML.as_bytes(),
        Namespace::Declared(span) => span.of(bytes),
        Namespace::Header(index) => around
            .prefixes
            .get(usize::from(index))
            .map_or(b"", |prefix| prefix.namespace.as_bytes()),
    }
}

/// The first prefix of the stream header whose namespace is the one looked for.
fn header_index(around: Surroundings<'_>, is: impl Fn(&[u8]) -> bool) -> Option<usize> {
    around
        .prefixes
        .iter()
        .position(|declared| is(declared.namespace.as_bytes()))
}

/// The constraints on a declaration (Namespaces in XML 1.0 §2.2, §3), where `is` compares with the
/// name that is declared.
fn check(prefix: &[u8], is: impl Fn(&[u8]) -> bool) -> Result<(), Reason> {
    if prefix == b"xmlns" || is(ns::XMLNS.as_bytes()) {
        return Err(Reason::ReservedNamespace);
    }
    if is(ns::XML.as_bytes()) != (prefix == b"xml") {
        return Err(Reason::ReservedNamespace);
    }
    if !prefix.is_empty() && is(b"") {
        return Err(Reason::EmptyNamespace);
    }
    Ok(())
}
