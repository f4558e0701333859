//! The error tables of RFC 6120: what may be wrong with a stanza (§8.3) and with a stream (§4.9).
//!
//! Each table is written once, in the macro call that makes its enum; names, usual types and
//! constructors follow from it.

use std::borrow::Cow;

use crate::dom::escape_text;
use crate::framing::characters::is_char;

mod condition;
mod stanza;
mod stream;

pub use condition::Condition;
pub use stanza::{ErrorType, StanzaError};
pub use stream::{StreamCondition, StreamError};

/// Appends the `<text/>` that describes an error, in the namespace of its condition.
fn push_description(out: &mut String, namespace: &str, text: &str) {
    out.push_str("<text xmlns='");
    out.push_str(namespace);
    out.push_str("' xml:lang='en'>");
    out.push_str(&escape_text(text));
    out.push_str("</text>");
}

/// Replaces what XML 1.0 §2.2 cannot carry: an error text may quote anything, and an element is not
/// always written by us.
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
