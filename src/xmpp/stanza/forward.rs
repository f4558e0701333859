//! A message of the server's own that carries another stanza (XEP-0297), written as bytes.

use bytes::Bytes;

use super::{Children, Envelope, Kind, Namespace, Span, Stanza};
use crate::dom::escape_attr;
use crate::ns;

/// What is said around a stanza that is passed on inside a message:
/// `<message from to type><NAME xmlns><forwarded>BEFORE STANZA</forwarded></NAME></message>`.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// Who says it.
    pub from: &'a str,
    /// Whom it is for.
    pub to: &'a str,
    /// The `type` of the message, if any.
    pub kind: Option<&'a str>,
    /// The name of the element that says why it is passed on.
    pub name: &'static str,
    /// The namespace of that element.
    pub namespace: &'static str,
    /// Further attributes of it, escaped, each with a space in front.
    pub attributes: &'a str,
    /// Elements in front of the stanza, as XML.
    pub before: &'a str,
}

impl Forward<'_> {
    /// The message around `inner`: a stanza as the server keeps it, which is not looked into. It
    /// is given the namespace that it has by itself only in a stream.
    #[must_use]
    pub fn message(&self, inner: &[u8]) -> Stanza {
        let mut out =
            Vec::with_capacity(384 + self.attributes.len() + self.before.len() + inner.len());
        let mut envelope = self.head(&mut out);
        for part in [" xmlns='", self.namespace, "'", self.attributes] {
            out.extend_from_slice(part.as_bytes());
        }
        let declared = out.len() - self.attributes.len() - 1;
        let namespace = Span::new(declared - self.namespace.len(), declared);
        envelope.first_child_namespace = Namespace::Declared(namespace);
        out.extend_from_slice(b"><forwarded xmlns='urn:xmpp:forward:0'>");
        out.extend_from_slice(self.before.as_bytes());
        push_standing_alone(&mut out, inner);
        for part in ["</forwarded></", self.name, "></message>"] {
            out.extend_from_slice(part.as_bytes());
        }
        Stanza::from_parts(Bytes::from(out), envelope)
    }

    /// Writes the start tag of the message and the name of its child.
    fn head(&self, out: &mut Vec<u8>) -> Envelope {
        let mut attribute = |name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            let start = out.len();
            out.extend_from_slice(escape_attr(value).as_bytes());
            let span = Span::new(start, out.len());
            out.push(b'\'');
            span
        };
        let from = attribute("<message from='", self.from);
        let to = attribute(" to='", self.to);
        let kind_of = self
            .kind
            .map_or(Span::NONE, |kind| attribute(" type='", kind));
        out.extend_from_slice(b"><");
        let start = out.len();
        out.extend_from_slice(self.name.as_bytes());
        Envelope {
            to,
            from,
            kind_of,
            name: Span::new(1, 8),
            namespace: Namespace::Content,
            first_child: Span::new(start, out.len()),
            children: Children::classify(self.name.as_bytes(), self.namespace.as_bytes()),
            start_tag_end: (start - 1) as u32,
            child_count: 1,
            kind: Kind::Message,
            ..Envelope::default()
        }
    }
}

/// Appends a stanza with its namespace declared.
fn push_standing_alone(out: &mut Vec<u8>, stanza: &[u8]) {
    let name_end = stanza
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'))
        .unwrap_or(stanza.len());
    out.extend_from_slice(&stanza[..name_end]);
    if !declares_default(&stanza[name_end..]) {
        for part in [" xmlns='", ns::CLIENT, "'"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(&stanza[name_end..]);
}

/// Whether there is an attribute `xmlns` in the rest of a well-formed start tag.
fn declares_default(mut tag: &[u8]) -> bool {
    loop {
        tag = tag.trim_ascii_start();
        let Some(equals) = memchr::memchr3(b'=', b'>', b'/', tag) else {
            return false;
        };
        if tag[equals] != b'=' {
            return false;
        }
        if tag[..equals].trim_ascii_end() == b"xmlns" {
            return true;
        }
        let value = tag[equals + 1..].trim_ascii_start();
        let end = value
            .split_first()
            .and_then(|(quote, rest)| memchr::memchr(*quote, rest));
        let Some(end) = end else {
            return false;
        };
        tag = &value[end + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORWARD: Forward<'static> = Forward {
        from: "me@x",
        to: "me@x/a&b",
        kind: Some("chat"),
        name: "result",
        namespace: "urn:xmpp:mam:2",
        attributes: " id='1'",
        before: "<delay xmlns='urn:xmpp:delay' stamp='s'/>",
    };

    #[test]
    fn it_is_what_a_reader_of_the_bytes_sees() {
        for kind in [Some("chat"), None] {
            let forward = Forward { kind, ..FORWARD };
            let made = forward.message(b"<message from='a'><body>b</body></message>");
            let read = Stanza::parse(made.bytes().clone()).expect("well-formed");
            assert_eq!(
                format!("{:?}", made.envelope()),
                format!("{:?}", read.envelope())
            );
            assert!(made.children().contains(Children::ARCHIVE_RESULT));
        }
    }

    #[test]
    fn the_stanza_inside_has_its_namespace_once() {
        for (inner, expected) in [
            ("<message/>", "<message xmlns='jabber:client'/>"),
            (
                "<message a='xmlns=' to = \"x>\">t</message>",
                "<message xmlns='jabber:client' a='xmlns=' to = \"x>\">t</message>",
            ),
            (
                "<message a='/' xmlns = 'jabber:client' b='c'><x/></message>",
                "<message a='/' xmlns = 'jabber:client' b='c'><x/></message>",
            ),
            (
                "<message xmlns:a='urn:a'/>",
                "<message xmlns='jabber:client' xmlns:a='urn:a'/>",
            ),
        ] {
            let made = FORWARD.message(inner.as_bytes());
            assert_eq!(
                made.as_xml(),
                format!(
                    "<message from='me@x' to='me@x/a&amp;b' type='chat'><result xmlns='urn:xmpp:mam:2' id='1'>\
                     <forwarded xmlns='urn:xmpp:forward:0'>{}{expected}</forwarded></result></message>",
                    FORWARD.before
                )
            );
        }
    }
}
