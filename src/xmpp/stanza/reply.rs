//! What an IQ request asks, and answers to a stanza.

use minidom::Element;

use super::{Framed, Source, Stanza};
use crate::dom;
use crate::error::StanzaError;

impl<B: Source> Framed<B> {
    /// The first child as a DOM, for which no other is made of the stanza where that can be avoided.
    #[must_use]
    pub fn payload_element(&self) -> Option<Element> {
        let bytes = self.source.bytes();
        let start_tag = &bytes[..(self.envelope.start_tag_end as usize).min(bytes.len())];
        let content = self.content();
        let child = &content[memchr::memchr(b'<', content)?..];
        // What the stanza declares its child may use.
        let declares = memchr::memmem::find(start_tag, b"xmlns").is_some();
        if declares || child.starts_with(b"<!") {
            return self.to_element().children().next().cloned();
        }
        dom::parse_with(child, self.source.header_prefixes()).ok()
    }
}

/// An error reply to a stanza (RFC 6120 §8.3): kind and id are those of the stanza, the type is
/// error, and there is no child but the error. `from` and `to` are those of the reply; the caller
/// swaps them.
#[must_use]
pub fn error_reply<B: Source>(
    of: &Framed<B>,
    from: Option<&str>,
    to: Option<&str>,
    error: &StanzaError,
) -> Stanza {
    error_reply_with(of, from, to, "", error)
}

/// An [`error_reply`] with a further child before the error, as XML: something of what was asked.
#[must_use]
pub fn error_reply_with<B: Source>(
    of: &Framed<B>,
    from: Option<&str>,
    to: Option<&str>,
    child: &str,
    error: &StanzaError,
) -> Stanza {
    let mut out = opened(of, from, to, "error");
    out.push('>');
    out.push_str(child);
    error.write_xml(&mut out);
    out.push_str("</");
    out.push_str(of.name());
    out.push('>');
    Stanza::from_xml(out)
}

/// The empty result of an IQ request (RFC 6120 §8.2.3): most that a server gives are. `from` and `to`
/// are those of the result.
#[must_use]
pub fn empty_result<B: Source>(of: &Framed<B>, from: Option<&str>, to: Option<&str>) -> Stanza {
    let mut out = opened(of, from, to, "result");
    out.push_str("/>");
    Stanza::from_xml(out)
}

/// The start tag of an answer, but for its end.
fn opened<B: Source>(of: &Framed<B>, from: Option<&str>, to: Option<&str>, kind: &str) -> String {
    let mut out = String::with_capacity(256);
    out.push('<');
    out.push_str(of.name());
    for (name, value) in [
        (" from='", from),
        (" to='", to),
        (" id='", of.id().as_deref()),
        (" type='", Some(kind)),
    ] {
        if let Some(value) = value {
            out.push_str(name);
            out.push_str(&dom::escape_attr(value));
            out.push('\'');
        }
    }
    out
}
