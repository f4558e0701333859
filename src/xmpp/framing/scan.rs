//! The scanner: one pass over the bytes of one element, which may come in any number of pieces.
//!
//! It is a state machine whose state says what the next byte belongs to; it never looks at a byte
//! twice but for the few of an unfinished reference or `<![CDATA[`. All positions are counted from
//! the `<` of the root. [`super::text`] and [`super::tag`] hold the states; here is what they work
//! on.

use smallvec::SmallVec;

use super::item::{Attribute, Open};
use super::scope::{Identity, Scope, Surroundings, name_of};
pub(super) use super::state::{Finish, Rules, State, Step};
use super::{Reason, value};
use crate::stanza::{Children, Envelope, Kind, Namespace, Span};

/// Items of a list that need no heap: enough for what clients send.
pub(super) const INLINE: usize = 16;

/// The state of a scan.
pub(super) struct Scanner {
    /// Where the next call goes on.
    state: State,
    /// Where a reference returns to.
    pub(super) outer: State,
    /// The quote that ends the value at hand.
    pub(super) quote: u8,
    /// Whether the value at hand stands for itself so far: no reference, no tab or line end.
    pub(super) is_plain: bool,
    /// Whether the start tag of a stream is scanned, and not a whole element.
    is_header: bool,
    has_prefixed_attributes: bool,
    /// The prefix of the start tag at hand, without the colon.
    tag_prefix_len: u16,
    elements: u32,
    /// All before it is approved.
    pub(super) at: usize,
    /// Where the name, value or markup at hand starts.
    pub(super) mark: usize,
    /// The colon in the name at hand; 0 if there is none.
    pub(super) colon: usize,
    /// The `&` of the reference at hand.
    pub(super) reference: usize,
    scope: Scope,
    open: SmallVec<[Open; INLINE]>,
    attributes: SmallVec<[Attribute; INLINE]>,
    envelope: Envelope,
}

impl Scanner {
    /// A scanner for one element.
    pub(super) fn element() -> Self {
        Self {
            state: State::Content,
            outer: State::Content,
            quote: 0,
            is_plain: true,
            is_header: false,
            has_prefixed_attributes: false,
            tag_prefix_len: 0,
            elements: 0,
            at: 0,
            mark: 0,
            colon: 0,
            reference: 0,
            scope: Scope::new(),
            open: SmallVec::new(),
            attributes: SmallVec::new(),
            envelope: Envelope::default(),
        }
    }

    /// A scanner for the start tag of a stream.
    pub(super) fn header() -> Self {
        Self {
            is_header: true,
            ..Self::element()
        }
    }

    /// Goes on at the byte where the last call stopped. `bytes` starts with the `<` of the element
    /// and holds what the last call was given, or more. Returns nothing if they are used up.
    pub(super) fn run(
        &mut self,
        bytes: &[u8],
        rules: &Rules<'_>,
    ) -> Result<Option<Finish>, Reason> {
        let mut state = self.state;
        loop {
            let step = match state {
                State::Content => self.content(bytes, rules)?,
                State::Markup => self.markup(bytes, rules)?,
                State::StartName => self.start_name(bytes, rules)?,
                State::InTag => self.in_tag(bytes, rules, false)?,
                State::InTagSpaced => self.in_tag(bytes, rules, true)?,
                State::AttributeName => self.attribute_name(bytes, rules)?,
                State::Equals => self.equals(bytes)?,
                State::Quote => self.open_quote(bytes)?,
                State::Value => self.value(bytes, rules)?,
                State::EmptyTagEnd => self.empty_tag_end(bytes, rules)?,
                State::EndName => self.end_name(bytes, rules)?,
                State::EndTagEnd => self.end_tag_end(bytes)?,
                State::Declaration => self.declaration(bytes)?,
                State::Cdata => self.cdata(bytes)?,
                State::Reference => self.reference(bytes)?,
            };
            match step {
                Step::Go(next) => state = next,
                Step::Wait(here) => {
                    self.state = here;
                    return Ok(None);
                }
                Step::Done(finish) => return Ok(Some(finish)),
            }
        }
    }

    /// The length of what has been scanned: of the element, once it has ended.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    pub(super) fn into_envelope(self) -> Envelope {
        self.envelope
    }

    /// The namespace declarations in scope, as (prefix, namespace).
    pub(super) fn declarations(&self) -> impl Iterator<Item = (Span, Span)> {
        self.scope.iter()
    }

    /// Whether no element is open.
    pub(super) fn is_outside(&self) -> bool {
        self.open.is_empty()
    }

    /// The innermost open element.
    pub(super) fn innermost(&self) -> Option<Open> {
        self.open.last().copied()
    }

    /// Opens an element whose name has been read.
    pub(super) fn open(
        &mut self,
        name: Span,
        prefix_len: u16,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        if self.open.len() >= usize::from(rules.limits.max_depth) {
            return Err(Reason::TooDeep);
        }
        self.elements += 1;
        if self.elements > rules.limits.max_elements {
            return Err(Reason::TooManyElements);
        }
        self.open.push(Open {
            name: name.start() as u32,
            name_len: name.len() as u16,
            scope: self.scope.len(),
        });
        self.tag_prefix_len = prefix_len;
        self.attributes.clear();
        self.has_prefixed_attributes = false;
        Ok(())
    }

    /// Takes an attribute whose name has been read.
    pub(super) fn push_attribute(
        &mut self,
        bytes: &[u8],
        name: Span,
        prefix_len: u16,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        if self.attributes.len() >= usize::from(rules.limits.max_attributes) {
            return Err(Reason::TooManyAttributes);
        }
        let earlier = self
            .attributes
            .iter()
            .any(|a| usize::from(a.name_len) == name.len() && a.name().of(bytes) == name.of(bytes));
        if earlier {
            return Err(Reason::DuplicateAttribute);
        }
        self.attributes.push(Attribute {
            name: name.start() as u32,
            name_len: name.len() as u16,
            prefix_len,
            namespace: Identity::UNRESOLVED,
        });
        self.has_prefixed_attributes |= prefix_len > 0;
        Ok(())
    }

    /// Takes the value of the attribute that was pushed last.
    pub(super) fn end_attribute(
        &mut self,
        bytes: &[u8],
        value: Span,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        let Some(attribute) = self.attributes.last() else {
            return Ok(());
        };
        let name = attribute.name().of(bytes);
        if name == b"xmlns" {
            let none = Span::new(value.start(), value.start());
            return self.scope.declare(bytes, none, value, self.is_plain, rules);
        }
        if attribute.prefix_len > 0 && attribute.prefix().of(bytes) == b"xmlns" {
            return self
                .scope
                .declare(bytes, attribute.local(), value, self.is_plain, rules);
        }
        if self.open.len() == 1 {
            match name {
                b"to" => self.envelope.to = value,
                b"from" => self.envelope.from = value,
                b"id" => self.envelope.id = value,
                b"type" if !self.is_header => self.envelope.kind_of = value,
                b"version" if self.is_header => self.envelope.kind_of = value,
                b"xml:lang" => self.envelope.lang = value,
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends a start tag: its prefixes are resolved now that all declarations are known.
    pub(super) fn end_start_tag(
        &mut self,
        bytes: &[u8],
        rules: &Rules<'_>,
        is_empty: bool,
    ) -> Result<Step, Reason> {
        let has_prefixes = self.tag_prefix_len > 0 || self.has_prefixed_attributes;
        // Nobody asks for the names further inside.
        if has_prefixes || self.open.len() <= 2 {
            self.name_element(bytes, rules, is_empty)?;
        }
        if self.is_header {
            return Ok(Step::Done(Finish::Header));
        }
        if is_empty {
            return Ok(self.close());
        }
        Ok(Step::Go(State::Content))
    }

    /// Resolves the prefixes of the start tag at hand, and notes the root or its child.
    fn name_element(
        &mut self,
        bytes: &[u8],
        rules: &Rules<'_>,
        is_empty: bool,
    ) -> Result<(), Reason> {
        let Some(name) = self.innermost().map(Open::name) else {
            return Err(Reason::MalformedTag);
        };
        let prefix_len = usize::from(self.tag_prefix_len);
        let prefix = Span::new(name.start(), name.start() + prefix_len);
        let resolved = self.resolve(bytes, prefix.of(bytes), rules.around);
        let (namespace, _) = match resolved {
            Err(_) if self.is_header => return Err(Reason::NotAStream),
            other => other?,
        };
        if self.has_prefixed_attributes {
            self.check_attributes(bytes, rules.around)?;
        }
        let local = match prefix_len {
            0 => name,
            _ => Span::new(prefix.end() + 1, name.end()),
        };
        match self.open.len() {
            1 => self.enter_root(bytes, local, namespace, is_empty),
            2 => self.enter_child(bytes, local, namespace, rules.around),
            _ => {}
        }
        Ok(())
    }

    /// Ends the innermost element.
    pub(super) fn close(&mut self) -> Step {
        if let Some(open) = self.open.pop() {
            self.scope.leave(open.scope);
        }
        if self.is_outside() {
            return Step::Done(Finish::Element);
        }
        Step::Go(State::Content)
    }

    fn enter_root(&mut self, bytes: &[u8], name: Span, namespace: Namespace, is_empty: bool) {
        self.envelope.name = name;
        self.envelope.namespace = namespace;
        self.envelope.start_tag_end = self.at as u32;
        self.envelope.self_closing = is_empty;
        self.envelope.kind = match (namespace, name.of(bytes)) {
            (Namespace::Content, b"message") => Kind::Message,
            (Namespace::Content, b"presence") => Kind::Presence,
            (Namespace::Content, b"iq") => Kind::Iq,
            _ => Kind::Other,
        };
    }

    fn enter_child(
        &mut self,
        bytes: &[u8],
        name: Span,
        namespace: Namespace,
        around: Surroundings<'_>,
    ) {
        if self.envelope.first_child.is_none() {
            self.envelope.first_child = name;
            self.envelope.first_child_namespace = namespace;
        }
        self.envelope.child_count = self.envelope.child_count.saturating_add(1);
        // Whatever the content namespace of the stream is, inside it stands for jabber:client.
        let namespace = match namespace {
            Namespace::Content => crate::ns::CLIENT.as_bytes(),
            other => name_of(other, bytes, around),
        };
        let name = name.of(bytes);
        let mut child = Children::classify(name, namespace);
        if child == Children::OTHER && !value::is_plain(namespace) {
            child = Children::classify(name, value::unescape(namespace).as_bytes());
        }
        self.envelope.children |= child;
    }

    /// The namespace of a prefix, noting it if it comes from the stream header.
    fn resolve(
        &mut self,
        bytes: &[u8],
        prefix: &[u8],
        around: Surroundings<'_>,
    ) -> Result<(Namespace, Identity), Reason> {
        let resolved = self.scope.resolve(bytes, prefix, around)?;
        if let (Namespace::Header(index), _) = resolved {
            self.envelope.header_prefixes |= 1 << index;
        }
        Ok(resolved)
    }

    /// Every prefix is declared, and no two attributes have one expanded name.
    fn check_attributes(&mut self, bytes: &[u8], around: Surroundings<'_>) -> Result<(), Reason> {
        for index in 0..self.attributes.len() {
            let mut attribute = self.attributes[index];
            let prefix = attribute.prefix().of(bytes);
            if matches!(prefix, b"" | b"xmlns") {
                continue;
            }
            attribute.namespace = self.resolve(bytes, prefix, around)?.1;
            let same = |earlier: &Attribute| {
                earlier.namespace == attribute.namespace
                    && earlier.prefix_len > 0
                    && earlier.local().of(bytes) == attribute.local().of(bytes)
            };
            if self.attributes.iter().take(index).any(same) {
                return Err(Reason::DuplicateAttribute);
            }
            self.attributes[index] = attribute;
        }
        Ok(())
    }
}
