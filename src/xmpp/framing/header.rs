//! What stands in front of the first stanza: a byte order mark, an XML declaration, the stream
//! header (RFC 6120 §4.7, §4.8, §11.5, §11.6).

use std::borrow::Cow;

use super::Reason;
use super::characters::{is_space, skip_space};
use super::scan::Scanner;
use super::value;
use crate::ns;
use crate::stanza::{Namespace, Span};

/// Prefixes that a stream header may declare.
const MAX_PREFIXES: usize = 16;
/// The longest XML declaration, in bytes.
const MAX_DECLARATION: usize = 256;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const DECLARATION: &[u8] = b"<?xml";

/// The stream header of a peer (RFC 6120 §4.7). All values are unescaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamHeader {
    /// The domain that is addressed.
    pub to: Option<String>,
    /// Who speaks.
    pub from: Option<String>,
    /// The version of XMPP; none stands for 0.9.
    pub version: Option<String>,
    /// The language of what follows.
    pub lang: Option<String>,
    /// The identifier of the stream; clients send none.
    pub id: Option<String>,
}

/// A prefix that the stream header declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPrefix {
    /// The prefix.
    pub prefix: Cow<'static, str>,
    /// The namespace it stands for, unescaped.
    pub namespace: Cow<'static, str>,
}

/// The prefixes of nearly every stream.
pub(crate) const USUAL_PREFIXES: &[HeaderPrefix] = &[HeaderPrefix {
    prefix: Cow::Borrowed("stream"),
    namespace: Cow::Borrowed(ns::STREAM),
}];

/// The stream element, where it is not written as nearly everybody writes it.
#[derive(Clone, Debug)]
pub(super) struct UnusualRoot {
    pub(super) name: String,
    pub(super) prefixes: Vec<HeaderPrefix>,
}

/// Looks at the start of a stream. Returns the length of a byte order mark and an XML declaration,
/// or nothing if more bytes are needed.
pub(super) fn skip_prolog(bytes: &[u8]) -> Result<Option<usize>, Reason> {
    if bytes.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(bytes) {
        return Ok(None);
    }
    let mark = match bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(_) => BYTE_ORDER_MARK.len(),
        None => 0,
    };
    let rest = &bytes[mark..];
    if rest.len() <= DECLARATION.len() && DECLARATION.starts_with(rest) {
        return Ok(None);
    }
    match rest.strip_prefix(DECLARATION) {
        Some(inner) if is_space(inner[0]) => {
            let window = &inner[..inner.len().min(MAX_DECLARATION)];
            let Some(end) = window.windows(2).position(|pair| pair == b"?>") else {
                if inner.len() >= MAX_DECLARATION {
                    return Err(Reason::MalformedDeclaration);
                }
                return Ok(None);
            };
            check_declaration(&inner[..end])?;
            Ok(Some(mark + DECLARATION.len() + end + 2))
        }
        _ => Ok(Some(mark)),
    }
}

/// The inside of `<?xml … ?>` (XML 1.0, production `XMLDecl`).
fn check_declaration(inner: &[u8]) -> Result<(), Reason> {
    let mut rest = inner;
    let version = pseudo_attribute(&mut rest, b"version")?;
    if version != Some(b"1.0") {
        return Err(Reason::MalformedDeclaration);
    }
    let encoding = pseudo_attribute(&mut rest, b"encoding")?;
    if encoding.is_some_and(|name| !name.eq_ignore_ascii_case(b"utf-8")) {
        return Err(Reason::Encoding);
    }
    let standalone = pseudo_attribute(&mut rest, b"standalone")?;
    if !matches!(standalone, None | Some(b"yes" | b"no")) {
        return Err(Reason::MalformedDeclaration);
    }
    if skip_space(rest, 0) < rest.len() {
        return Err(Reason::MalformedDeclaration);
    }
    Ok(())
}

/// Takes ` name = 'value'` from the front, if that is what stands there.
fn pseudo_attribute<'a>(rest: &mut &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, Reason> {
    let start = skip_space(rest, 0);
    let Some(after) = rest[start..].strip_prefix(name) else {
        return Ok(None);
    };
    if start == 0 {
        return Err(Reason::MalformedDeclaration);
    }
    let value = after[skip_space(after, 0)..]
        .strip_prefix(b"=")
        .map(|after| &after[skip_space(after, 0)..])
        .ok_or(Reason::MalformedDeclaration)?;
    let (&quote, value) = value.split_first().ok_or(Reason::MalformedDeclaration)?;
    if !matches!(quote, b'\'' | b'"') {
        return Err(Reason::MalformedDeclaration);
    }
    let end = value
        .iter()
        .position(|&b| b == quote)
        .ok_or(Reason::MalformedDeclaration)?;
    *rest = &value[end + 1..];
    Ok(Some(&value[..end]))
}

/// Reads the header out of the start tag that `scanner` has approved. The root comes with it if it
/// is not `stream:stream` with no prefix but `stream`.
pub(super) fn read(
    bytes: &[u8],
    scanner: &Scanner,
    content: &str,
) -> Result<(StreamHeader, Option<Box<UnusualRoot>>), Reason> {
    let envelope = scanner.envelope();
    let is_stream = match envelope.namespace {
        Namespace::Declared(span) => value::same(span.of(bytes), ns::STREAM.as_bytes()),
        _ => false,
    };
    if !is_stream || envelope.name.of(bytes) != b"stream" || envelope.self_closing {
        return Err(Reason::NotAStream);
    }
    let default = scanner.declarations().find(|(prefix, _)| prefix.len() == 0);
    if !default.is_some_and(|(_, namespace)| value::same(namespace.of(bytes), content.as_bytes())) {
        return Err(Reason::ContentNamespace);
    }
    let owned =
        |span: Span| (!span.is_none()).then(|| value::unescape(span.of(bytes)).into_owned());
    let header = StreamHeader {
        to: owned(envelope.to),
        from: owned(envelope.from),
        version: owned(envelope.kind_of),
        lang: owned(envelope.lang),
        id: owned(envelope.id),
    };
    Ok((header, unusual_root(bytes, scanner)?))
}

fn unusual_root(bytes: &[u8], scanner: &Scanner) -> Result<Option<Box<UnusualRoot>>, Reason> {
    let prefixes: Vec<_> = scanner
        .declarations()
        .filter(|(prefix, _)| prefix.len() > 0 && prefix.of(bytes) != b"xml")
        .map(|(prefix, namespace)| HeaderPrefix {
            prefix: Cow::Owned(value::text(prefix.of(bytes)).to_owned()),
            namespace: Cow::Owned(value::unescape(namespace.of(bytes)).into_owned()),
        })
        .collect();
    if prefixes.len() > MAX_PREFIXES {
        return Err(Reason::TooManyNamespaces);
    }
    let name = &bytes[1..scanner.envelope().name.end()];
    if name == b"stream:stream" && prefixes == USUAL_PREFIXES {
        return Ok(None);
    }
    let name = value::text(name).to_owned();
    Ok(Some(Box::new(UnusualRoot { name, prefixes })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prolog_is_measured() {
        for (bytes, length) in [
            ("<?xml version='1.0'?><", Ok(Some(21))),
            ("<?xml version=\"1.0\" encoding='utf-8' ?><", Ok(Some(39))),
            (
                "\u{FEFF}<?xml version = '1.0' standalone='yes'?>",
                Ok(Some(43)),
            ),
            ("\u{FEFF}<stream", Ok(Some(3))),
            ("<stream", Ok(Some(0))),
            (" <?xml version='1.0'?>", Ok(Some(0))),
            ("", Ok(None)),
            ("<?xml", Ok(None)),
            ("<?xml version='1.0'?", Ok(None)),
            ("<?xmlish ?>", Ok(Some(0))),
            ("<?xml version='1.1'?>", Err(Reason::MalformedDeclaration)),
            (
                "<?xml encoding='utf-8'?>",
                Err(Reason::MalformedDeclaration),
            ),
            (
                "<?xml version='1.0'encoding='utf-8'?>",
                Err(Reason::MalformedDeclaration),
            ),
            (
                "<?xml version='1.0' encoding='latin1'?>",
                Err(Reason::Encoding),
            ),
            (
                "<?xml version='1.0' more='1'?>",
                Err(Reason::MalformedDeclaration),
            ),
        ] {
            assert_eq!(skip_prolog(bytes.as_bytes()), length, "{bytes}");
        }
    }

    #[test]
    fn an_endless_declaration_is_refused() {
        let bytes = format!("<?xml {}", " ".repeat(MAX_DECLARATION));
        assert_eq!(
            skip_prolog(bytes.as_bytes()),
            Err(Reason::MalformedDeclaration)
        );
    }
}
