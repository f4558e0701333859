//! The states of the scanner, and what it is told and says.

use super::Limits;
use super::scope::Surroundings;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Text, or the `<` or `&` that ends it.
    Content,
    /// What comes after `<`.
    Markup,
    /// The name in a start tag.
    StartName,
    /// A start tag, where white space must come before an attribute.
    InTag,
    /// A start tag, where an attribute may begin.
    InTagSpaced,
    /// The name of an attribute.
    AttributeName,
    /// White space and `=`.
    Equals,
    /// White space and a quote.
    Quote,
    /// The value of an attribute.
    Value,
    /// The `>` after `/`.
    EmptyTagEnd,
    /// The name in an end tag.
    EndName,
    /// White space and `>` in an end tag.
    EndTagEnd,
    /// The rest of `<![CDATA[`.
    Declaration,
    /// A CDATA section.
    Cdata,
    /// A reference, in text or a value.
    Reference,
}

/// What a state comes to.
pub(super) enum Step {
    /// The next byte belongs to another state.
    Go(State),
    /// The bytes are used up; it goes on in this state.
    Wait(State),
    /// The unit has ended.
    Done(Finish),
}

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// An element with all that is in it.
    Element,
    /// The start tag of the stream.
    Header,
    /// The end tag of the stream.
    End,
}

/// What does not change while an element is scanned.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) limits: &'a Limits,
    pub(super) around: Surroundings<'a>,
    /// The name in the end tag of the stream.
    pub(super) root: &'a [u8],
}
