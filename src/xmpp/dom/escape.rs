//! Text as XML: what would be taken for markup is written as a reference, and what XML cannot
//! carry at all (XML 1.0 §2.2) becomes U+FFFD.

use std::borrow::Cow;

use crate::framing::characters::is_char;

/// `text` as character data.
#[must_use]
pub fn escape_text(text: &str) -> Cow<'_, str> {
    escape(text, text_escape)
}

/// `text` as the value of an attribute, in quotes of either kind.
#[must_use]
pub fn escape_attr(text: &str) -> Cow<'_, str> {
    escape(text, attr_escape)
}

fn escape(text: &str, escaped: fn(char) -> Option<&'static str>) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match escaped(c) {
            Some(escape) => out.push_str(escape),
            None => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Whether no character needs a look, in text or an attribute. Without an early exit this becomes
/// vector instructions.
fn is_plain(text: &str) -> bool {
    !text.bytes().fold(false, |any, b| {
        any | (b.wrapping_sub(0x20) >= 0x60)
            | (b == b'&')
            | (b == b'<')
            | (b == b'>')
            | (b == b'\'')
            | (b == b'"')
    })
}

fn text_escape(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '\r' => Some("&#13;"),
        c if !is_char(c) => Some("\u{FFFD}"),
        _ => None,
    }
}

fn attr_escape(c: char) -> Option<&'static str> {
    match c {
        '\'' => Some("&apos;"),
        '"' => Some("&quot;"),
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        c => text_escape(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        assert_eq!(
            escape_text("a<b>&'\"\r\n\u{1}"),
            "a&lt;b&gt;&amp;'\"&#13;\n\u{FFFD}"
        );
        assert_eq!(escape_attr("'\"\t\n\r"), "&apos;&quot;&#9;&#10;&#13;");
        assert!(matches!(escape_attr("plain"), Cow::Borrowed(_)));
    }
}
