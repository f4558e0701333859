//! The values of attributes that the scanner has approved: references and white space resolved.

use std::borrow::Cow;

/// The five entities of XML 1.0 §4.6 and character references; nothing for anything else.
#[must_use]
pub fn resolve_reference(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => {
            let digits = name.strip_prefix('#')?;
            let (digits, radix) = match digits.strip_prefix('x') {
                Some(digits) => (digits, 16),
                None => (digits, 10),
            };
            // `from_str_radix` would also take a sign.
            if !digits.chars().all(|c| c.is_digit(radix)) {
                return None;
            }
            char::from_u32(u32::from_str_radix(digits, radix).ok()?)
        }
    }
}

/// Approved bytes as text. The scanner has checked that they are UTF-8, so nothing is lost.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The value of an attribute as XML 1.0 §3.3.3 normalises it. Borrowed unless it holds a
/// reference, a tab or a line end.
pub(crate) fn unescape(bytes: &[u8]) -> Cow<'_, str> {
    let raw = text(bytes);
    if is_plain(bytes) {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(characters(raw).collect())
}

/// Whether two attribute values are the same once normalised.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    if is_plain(a) && is_plain(b) {
        return false;
    }
    characters(text(a)).eq(characters(text(b)))
}

/// Whether an approved value stands for itself: of what is below space, only tab and line ends have
/// been approved. Without an early exit this becomes vector instructions.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    !bytes
        .iter()
        .fold(false, |any, &b| any | (b == b'&') | (b < b' '))
}

/// The characters of a value, one after the other.
fn characters(raw: &str) -> impl Iterator<Item = char> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let c = rest.chars().next()?;
        if c == '&'
            && let Some((name, after)) = rest[1..].split_once(';')
        {
            rest = after;
            return resolve_reference(name);
        }
        rest = rest.strip_prefix("\r\n").unwrap_or(&rest[c.len_utf8()..]);
        Some(if matches!(c, '\t' | '\n' | '\r') {
            ' '
        } else {
            c
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_normalised() {
        for (raw, value) in [
            ("", ""),
            ("juliet@example.org", "juliet@example.org"),
            ("a&amp;b&lt;&gt;&apos;&quot;", "a&b<>'\""),
            ("&#x263A;&#65;&#10;", "\u{263A}A\n"),
            ("a\tb\nc\r\nd\re", "a b c d e"),
            ("é&amp;é", "é&é"),
        ] {
            assert_eq!(unescape(raw.as_bytes()), value);
        }
    }

    #[test]
    fn a_plain_value_is_borrowed() {
        assert!(matches!(unescape(b"plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn values_are_compared_as_normalised() {
        assert!(same(b"a&#98;c", b"abc"));
        assert!(same(b"a b", b"a\nb"));
        assert!(!same(b"a&#10;b", b"a\nb"));
        assert!(!same(b"a", b"b"));
    }

    #[test]
    fn references_are_strict() {
        for name in [
            "", "#", "#x", "#+65", "#-1", "#xG", "#1114112", "#xD800", "nbsp", "LT",
        ] {
            assert_eq!(resolve_reference(name), None, "{name}");
        }
    }
}
