//! Which namespace declarations hold at a place in a stanza.

use super::header::HeaderPrefix;
use super::{Reason, value};
use crate::ns;
use crate::stanza::{Namespace, Span};

/// Declarations that may be in scope at one place.
pub(super) const MAX_DECLARATIONS: usize = 64;
/// The longest namespace name, in bytes.
const MAX_NAMESPACE: usize = 1024;

#[derive(Clone, Copy, Default)]
struct Declaration {
    prefix_start: u32,
    namespace_start: u32,
    /// Nothing for the default namespace.
    prefix_len: u16,
    namespace_len: u16,
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
    declarations: [Declaration; MAX_DECLARATIONS],
    len: u8,
}

impl Scope {
    pub(super) fn new() -> Self {
        Self {
            declarations: [Declaration::default(); MAX_DECLARATIONS],
            len: 0,
        }
    }

    /// How many declarations are in scope: to be given to [`Self::leave`].
    pub(super) fn len(&self) -> u8 {
        self.len
    }

    /// Forgets the declarations of an element that has ended.
    pub(super) fn leave(&mut self, len: u8) {
        self.len = len;
    }

    /// The declarations in scope as (prefix, namespace), outermost first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Span, Span)> {
        self.declarations[..usize::from(self.len)]
            .iter()
            .map(|d| (d.prefix(), d.namespace()))
    }

    /// Takes `xmlns='…'` (an empty prefix) or `xmlns:prefix='…'`.
    pub(super) fn declare(
        &mut self,
        bytes: &[u8],
        prefix: Span,
        namespace: Span,
    ) -> Result<(), Reason> {
        let (prefix_len, namespace_len) = (prefix.len() as u16, namespace.len() as u16);
        if namespace.len() > MAX_NAMESPACE {
            return Err(Reason::NameTooLong);
        }
        check(prefix.of(bytes), namespace.of(bytes))?;
        let slot = self
            .declarations
            .get_mut(usize::from(self.len))
            .ok_or(Reason::TooManyNamespaces)?;
        *slot = Declaration {
            prefix_start: prefix.start() as u32,
            namespace_start: namespace.start() as u32,
            prefix_len,
            namespace_len,
        };
        self.len += 1;
        Ok(())
    }

    /// The namespace of a name with this prefix; of an empty one, the default namespace.
    pub(super) fn resolve(
        &self,
        bytes: &[u8],
        prefix: &[u8],
        around: Surroundings<'_>,
    ) -> Result<Namespace, Reason> {
        if let Some(span) = self.find(bytes, prefix) {
            let raw = span.of(bytes);
            if raw.is_empty() {
                return Ok(Namespace::None);
            }
            if value::same(raw, around.content.as_bytes()) {
                return Ok(Namespace::Content);
            }
            return Ok(Namespace::Declared(span));
        }
        if prefix.is_empty() {
            return Ok(Namespace::Content);
        }
        if prefix == b"xml" {
            return Ok(Namespace::Xml);
        }
        let index = around
            .prefixes
            .iter()
            .position(|declared| declared.prefix.as_bytes() == prefix)
            .ok_or(Reason::UndeclaredPrefix)?;
        if around.prefixes[index].namespace == around.content {
            return Ok(Namespace::Content);
        }
        Ok(Namespace::Header(index as u8))
    }

    /// The declaration inside of the stanza for a prefix.
    fn find(&self, bytes: &[u8], prefix: &[u8]) -> Option<Span> {
        self.declarations[..usize::from(self.len)]
            .iter()
            .rev()
            .find(|d| usize::from(d.prefix_len) == prefix.len() && d.prefix().of(bytes) == prefix)
            .map(|d| d.namespace())
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

/// The constraints on declarations (Namespaces in XML 1.0 §2.2, §3).
fn check(prefix: &[u8], namespace: &[u8]) -> Result<(), Reason> {
    let is_xml = value::same(namespace, ns::XML.as_bytes());
    if prefix == b"xmlns" || value::same(namespace, ns::XMLNS.as_bytes()) {
        return Err(Reason::ReservedNamespace);
    }
    if is_xml != (prefix == b"xml") {
        return Err(Reason::ReservedNamespace);
    }
    if namespace.is_empty() && !prefix.is_empty() {
        return Err(Reason::EmptyNamespace);
    }
    Ok(())
}
