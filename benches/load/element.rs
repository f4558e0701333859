//! A view of an element in the bytes of a stream, and the few pieces of XML that are written.

use memchr::{memchr, memmem};

/// A whole element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a>(pub(crate) &'a [u8]);

impl<'a> Element<'a> {
    /// The name as written, with its prefix.
    pub(crate) fn name(&self) -> &'a [u8] {
        let rest = &self.0[1..];
        let end = rest.iter().position(|b| b" \t\r\n/>".contains(b));
        &rest[..end.unwrap_or(rest.len())]
    }

    /// The value of an attribute of the start tag as written, entities and all.
    pub(crate) fn attr(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = &self.0[1 + self.name().len()..];
        loop {
            let begin = rest.iter().position(|b| !b" \t\r\n".contains(b))?;
            rest = &rest[begin..];
            if matches!(rest[0], b'>' | b'/') {
                return None;
            }
            let equals = memchr(b'=', rest)?;
            let found = rest[..equals].trim_ascii_end();
            let value = rest[equals + 1..].trim_ascii_start();
            let (quote, value) = value.split_first()?;
            let end = memchr(*quote, value)?;
            if found == name.as_bytes() {
                return Some(&value[..end]);
            }
            rest = &value[end + 1..];
        }
    }

    /// Whether an attribute has a value.
    pub(crate) fn attr_is(&self, name: &str, value: &str) -> bool {
        self.attr(name) == Some(value.as_bytes())
    }

    /// Whether the bytes occur anywhere inside.
    pub(crate) fn contains(&self, bytes: &str) -> bool {
        memmem::find(self.0, bytes.as_bytes()).is_some()
    }

    /// The text between the first start tag with `name` (or this element's own) and the next tag.
    pub(crate) fn text_of(&self, name: &str) -> Option<&'a [u8]> {
        let mut at = 0;
        loop {
            at += memchr(b'<', &self.0[at..])?;
            let inner = Element(&self.0[at..]);
            if inner.name() == name.as_bytes() {
                let open = memchr(b'>', inner.0)?;
                let text = &inner.0[open + 1..];
                return Some(&text[..memchr(b'<', text)?]);
            }
            at += 1;
        }
    }

    /// The start tags with this name, at any depth. Each goes on to the end of the whole.
    pub(crate) fn tags(&self, name: &'static str) -> impl Iterator<Item = Element<'a>> {
        let bytes = self.0;
        memmem::find_iter(bytes, b"<")
            .map(|at| Element(&bytes[at..]))
            .filter(|tag| tag.name() == name.as_bytes())
    }

    /// Whether it is a message, presence or iq: what XEP-0198 counts.
    pub(crate) fn is_stanza(&self) -> bool {
        matches!(self.name(), b"message" | b"presence" | b"iq")
    }

    /// For a report.
    pub(crate) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.0[..self.0.len().min(300)]);
        text.into_owned()
    }
}

/// The number in an id of the form `PREFIX-NUMBER`.
pub(crate) fn number(id: &[u8], prefix: u8) -> Option<u64> {
    let [first, b'-', digits @ ..] = id else {
        return None;
    };
    if *first != prefix || digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |sum: u64, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

/// The answer to a request of the server's, such as its ping (XEP-0199).
pub(crate) fn empty_result(iq: Element<'_>) -> Vec<u8> {
    let mut answer = b"<iq type='result'".to_vec();
    for (from, to) in [("id", "id"), ("from", "to")] {
        if let Some(value) = iq.attr(from) {
            let quote = if value.contains(&b'\'') { b'"' } else { b'\'' };
            answer.extend_from_slice(format!(" {to}=").as_bytes());
            answer.push(quote);
            answer.extend_from_slice(value);
            answer.push(quote);
        }
    }
    answer.extend_from_slice(b"/>");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read() {
        let element = Element(b"<iq  type='get' from=\"it's\" id = 'x'><ping a='b'/></iq>");
        assert_eq!(element.name(), b"iq");
        assert_eq!(element.attr("type"), Some(&b"get"[..]));
        assert_eq!(element.attr("id"), Some(&b"x"[..]));
        assert_eq!(element.attr("a"), None);
        let answer = empty_result(element);
        assert_eq!(answer, b"<iq type='result' id='x' to=\"it's\"/>");
    }

    #[test]
    fn text_is_found() {
        let element = Element(b"<iq><bind xmlns='b'><jid>a@b/c</jid></bind></iq>");
        assert_eq!(element.text_of("jid"), Some(&b"a@b/c"[..]));
        assert_eq!(element.text_of("none"), None);
        assert_eq!(
            Element(b"<challenge xmlns='s'>YQ==</challenge>").text_of("challenge"),
            Some(&b"YQ=="[..])
        );
    }

    #[test]
    fn tags_are_found_at_any_depth() {
        let roster = Element(
            b"<iq><query><item jid='a'><group>items</group></item><item jid='b'/></query></iq>",
        );
        let jids: Vec<_> = roster
            .tags("item")
            .filter_map(|item| item.attr("jid"))
            .collect();
        assert_eq!(jids, [b"a", b"b"]);
    }

    #[test]
    fn numbers_are_read() {
        assert_eq!(number(b"m-00017", b'm'), Some(17));
        for id in [&b"m-"[..], b"p-1", b"m-1x", b"m-1234567890123456789", b"17"] {
            assert_eq!(number(id, b'm'), None);
        }
    }
}
