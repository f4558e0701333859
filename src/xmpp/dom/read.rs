//! From approved bytes to a DOM.

use std::borrow::Cow;

use minidom::Element;
use minidom::rxml::{Namespace, NcName};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::framing::header::{HeaderPrefix, USUAL_PREFIXES};
use crate::framing::{self, value};
use crate::ns;

/// Bytes that make no DOM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an element of a stream")]
pub struct DomError;

/// The element in `bytes`. It is checked as a stanza of a `jabber:client` stream: that is its
/// default namespace where it declares none.
///
/// # Errors
/// If the bytes are not exactly one acceptable element.
pub fn parse(bytes: &[u8]) -> Result<Element, DomError> {
    framing::scan_one(bytes).map_err(|_| DomError)?;
    parse_with(bytes, USUAL_PREFIXES)
}

/// The element in `bytes`, which the scanner has approved, under the prefixes of a stream header.
pub(crate) fn parse_with(bytes: &[u8], prefixes: &[HeaderPrefix]) -> Result<Element, DomError> {
    let mut builder = Builder::new(prefixes);
    let mut reader = Reader::from_reader(bytes);
    loop {
        let ended = match reader.read_event().map_err(|_| DomError)? {
            Event::Start(start) => {
                builder.start(&start)?;
                None
            }
            Event::Empty(start) => {
                builder.start(&start)?;
                builder.end()?
            }
            Event::End(_) => builder.end()?,
            Event::Text(text) => {
                builder.text.push_str(&text.xml10_content());
                None
            }
            Event::CData(text) => {
                builder.text.push_str(&text.xml10_content());
                None
            }
            Event::GeneralRef(name) => {
                let character = value::resolve_reference(&name).ok_or(DomError)?;
                builder.text.push(character);
                None
            }
            _ => return Err(DomError),
        };
        if let Some(root) = ended {
            return Ok(root);
        }
    }
}

/// What has been read so far.
struct Builder<'a> {
    /// Open elements, and how many declarations were in scope outside of each.
    open: Vec<(Element, usize)>,
    /// Prefix (empty for the default) and namespace, innermost last.
    declarations: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Text since the last tag.
    text: String,
}

impl<'a> Builder<'a> {
    fn new(prefixes: &'a [HeaderPrefix]) -> Self {
        let mut declarations = vec![
            (Cow::Borrowed("xml"), Cow::Borrowed(ns::XML)),
            (Cow::Borrowed(""), Cow::Borrowed(ns::CLIENT)),
        ];
        declarations.extend(prefixes.iter().map(|declared| {
            (
                Cow::Borrowed(&*declared.prefix),
                Cow::Borrowed(&*declared.namespace),
            )
        }));
        Self {
            open: Vec::new(),
            declarations,
            text: String::new(),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), DomError> {
        if self.open.len() >= usize::from(framing::MAX_DEPTH) {
            return Err(DomError);
        }
        self.flush_text();
        let outside = self.declarations.len();
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| DomError)?;
            let key = attribute.key.0;
            if let Some(prefix) = declared_prefix(key) {
                let namespace = value::unescape(attribute.value.as_bytes()).into_owned();
                self.declarations
                    .push((Cow::Owned(prefix.to_owned()), Cow::Owned(namespace)));
            }
        }
        let (prefix, local) = split_name(start.name().0);
        let mut element = Element::bare(local, self.resolve(prefix)?);
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| DomError)?;
            let key = attribute.key.0;
            if declared_prefix(key).is_some() {
                continue;
            }
            let (prefix, local) = split_name(key);
            let namespace = match prefix {
                "" => Namespace::NONE,
                prefix => Namespace::from(self.resolve(prefix)?.to_owned()),
            };
            // The type lacks a range of characters that XML allows in names (U+FDF0 and on). Better
            // to lose such an attribute than the stanza.
            let Ok(name) = NcName::try_from(local) else {
                continue;
            };
            let value = value::unescape(attribute.value.as_bytes()).into_owned();
            element.attrs_mut().insert(namespace, name, value);
        }
        self.open.push((element, outside));
        Ok(())
    }

    /// Ends the innermost element. Returns the root when that has ended.
    fn end(&mut self) -> Result<Option<Element>, DomError> {
        self.flush_text();
        let (element, outside) = self.open.pop().ok_or(DomError)?;
        self.declarations.truncate(outside);
        match self.open.last_mut() {
            Some((parent, _)) => {
                parent.append_child(element);
                Ok(None)
            }
            None => Ok(Some(element)),
        }
    }

    fn flush_text(&mut self) {
        if let Some((element, _)) = self.open.last_mut()
            && !self.text.is_empty()
        {
            element.append_text_node(std::mem::take(&mut self.text));
        }
    }

    fn resolve(&self, prefix: &str) -> Result<&str, DomError> {
        self.declarations
            .iter()
            .rev()
            .find(|(declared, _)| declared == prefix)
            .map(|(_, namespace)| &**namespace)
            .ok_or(DomError)
    }
}

/// Prefix and local name.
fn split_name(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

/// The prefix that an attribute of this name declares; an empty one for `xmlns`.
fn declared_prefix(name: &str) -> Option<&str> {
    match name {
        "xmlns" => Some(""),
        _ => name.strip_prefix("xmlns:"),
    }
}
