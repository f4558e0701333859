//! What can be wrong with the bytes of a stream, and the stream error that answers it.

use crate::error::StreamCondition;

/// Why a stream was refused: the condition to answer with (RFC 6120 §4.9.3) and the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FramingError {
    /// The stream error to send.
    pub condition: StreamCondition,
    /// What was found.
    pub reason: Reason,
}

/// What was found in a stream that cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A sequence of bytes that is not UTF-8.
    #[error("the bytes are not UTF-8")]
    NotUtf8,
    /// An XML declaration that names an encoding other than UTF-8.
    #[error("an encoding other than UTF-8 is declared")]
    Encoding,
    /// A character outside of the production `Char` of XML 1.0, also by reference.
    #[error("a character that XML does not allow")]
    IllegalCharacter,
    /// A name that is no `NCName`, or a qualified name with an empty part or two colons.
    #[error("a malformed name")]
    MalformedName,
    /// A tag with something out of place.
    #[error("a malformed tag")]
    MalformedTag,
    /// Two attributes without white space between them.
    #[error("no white space between two attributes")]
    NoSpaceBetweenAttributes,
    /// `<` in the value of an attribute.
    #[error("'<' in the value of an attribute")]
    LessThanInAttribute,
    /// Two attributes of one name, also by prefixes of one namespace.
    #[error("an attribute occurs twice")]
    DuplicateAttribute,
    /// An end tag that does not match its start tag.
    #[error("an end tag does not match its start tag")]
    MismatchedEndTag,
    /// `]]>` outside of a CDATA section.
    #[error("']]>' in text")]
    CdataEndInText,
    /// A `&` that starts no reference.
    #[error("a malformed reference")]
    MalformedReference,
    /// A reference to an entity other than the five of XML.
    #[error("an entity that is not predefined")]
    Entity,
    /// A comment.
    #[error("a comment")]
    Comment,
    /// A document type declaration or another `<!`.
    #[error("a document type declaration")]
    DocumentType,
    /// A processing instruction, or an XML declaration that is not at the start.
    #[error("a processing instruction")]
    ProcessingInstruction,
    /// An XML declaration that XML 1.0 does not allow.
    #[error("a malformed XML declaration")]
    MalformedDeclaration,
    /// A prefix that is not declared.
    #[error("a namespace prefix that is not declared")]
    UndeclaredPrefix,
    /// `xmlns:p=''`.
    #[error("a namespace prefix is undeclared")]
    EmptyNamespace,
    /// The prefixes or namespace names of XML itself bound to something else.
    #[error("a reserved namespace prefix or name is bound")]
    ReservedNamespace,
    /// Text between stanzas, or in front of the stream header.
    #[error("text outside of a stanza")]
    TextOutsideStanza,
    /// The stream header is not `stream` in the streams namespace.
    #[error("the root is not a stream in the streams namespace")]
    NotAStream,
    /// The default namespace of the stream is not the one that is spoken here.
    #[error("the default namespace of the stream is not the content namespace")]
    ContentNamespace,
    /// Something after `</stream:stream>`.
    #[error("text after the end of the stream")]
    AfterEnd,
    /// [`Limits::max_bytes`](super::Limits::max_bytes).
    #[error("a stanza is too long")]
    TooLong,
    /// [`Limits::max_depth`](super::Limits::max_depth).
    #[error("elements are nested too deeply")]
    TooDeep,
    /// [`Limits::max_attributes`](super::Limits::max_attributes).
    #[error("an element has too many attributes")]
    TooManyAttributes,
    /// [`Limits::max_elements`](super::Limits::max_elements).
    #[error("a stanza has too many elements")]
    TooManyElements,
    /// [`Limits::max_name`](super::Limits::max_name).
    #[error("a name is too long")]
    NameTooLong,
    /// More namespace declarations in scope than are kept.
    #[error("too many namespace declarations")]
    TooManyNamespaces,
}

impl Reason {
    /// The stream error for this cause. XML that is not namespace-well-formed is
    /// `not-well-formed` as well (RFC 6120 §11.3).
    #[must_use]
    pub fn condition(self) -> StreamCondition {
        match self {
            Self::NotUtf8 | Self::Encoding => StreamCondition::UnsupportedEncoding,
            Self::IllegalCharacter
            | Self::MalformedName
            | Self::MalformedTag
            | Self::NoSpaceBetweenAttributes
            | Self::LessThanInAttribute
            | Self::DuplicateAttribute
            | Self::MismatchedEndTag
            | Self::CdataEndInText
            | Self::MalformedReference
            | Self::MalformedDeclaration
            | Self::UndeclaredPrefix
            | Self::EmptyNamespace
            | Self::ReservedNamespace
            | Self::AfterEnd => StreamCondition::NotWellFormed,
            Self::Entity | Self::Comment | Self::DocumentType | Self::ProcessingInstruction => {
                StreamCondition::RestrictedXml
            }
            Self::TextOutsideStanza => StreamCondition::BadFormat,
            Self::NotAStream | Self::ContentNamespace => StreamCondition::InvalidNamespace,
            Self::TooLong
            | Self::TooDeep
            | Self::TooManyAttributes
            | Self::TooManyElements
            | Self::NameTooLong
            | Self::TooManyNamespaces => StreamCondition::PolicyViolation,
        }
    }
}

impl From<Reason> for FramingError {
    fn from(reason: Reason) -> Self {
        Self {
            condition: reason.condition(),
            reason,
        }
    }
}
