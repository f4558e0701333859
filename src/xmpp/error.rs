//! The error tables of RFC 6120: what may be wrong with a stanza (§8.3) and with a stream (§4.9).
//!
//! Each table is written once, in the macro call that makes its enum; names, usual types and
//! constructors follow from it.

use std::borrow::Cow;

mod condition;
mod stanza;
mod stream;

pub use condition::Condition;
pub use stanza::{ErrorType, StanzaError};
pub use stream::{StreamCondition, StreamError};

/// Appends `text` as XML character data.
fn push_text(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
}

/// Appends the `<text/>` that describes an error, in the namespace of its condition.
fn push_description(out: &mut String, namespace: &str, text: &str) {
    out.push_str("<text xmlns='");
    out.push_str(namespace);
    out.push_str("' xml:lang='en'>");
    push_text(out, text);
    out.push_str("</text>");
}

/// Replaces what XML 1.0 §2.2 cannot carry: an error text may quote anything.
fn legal(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.chars().all(is_char) {
        return text;
    }
    Cow::Owned(
        text.chars()
            .map(|c| if is_char(c) { c } else { '\u{FFFD}' })
            .collect(),
    )
}

/// The production `Char` of XML 1.0 §2.2.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
