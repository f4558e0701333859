//! Stanza errors (RFC 6120 §8.3).

use std::borrow::Cow;
use std::fmt;

use minidom::Element;
use minidom::rxml::{Namespace, NcName};

use super::{Condition, legal, push_description};
use crate::dom::escape_text;
use crate::ns;

/// The answer to a stanza that failed: the content of its `<error/>` (RFC 6120 §8.3.2).
#[derive(Debug, Clone, PartialEq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub kind: ErrorType,
    /// What is wrong.
    pub condition: Condition,
    /// A description for people, in English.
    pub text: Option<Cow<'static, str>>,
    /// An application-specific condition, in a namespace of its own (§8.3.4).
    pub application: Option<Box<Element>>,
}

impl StanzaError {
    /// An error of the type that RFC 6120 §8.3.3 usually gives the condition, without a text.
    pub fn new(condition: Condition) -> Self {
        Self {
            kind: condition.usual_type(),
            condition,
            text: None,
            application: None,
        }
    }

    /// The same error with a description. Characters that XML cannot carry become U+FFFD.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(legal(text.into()));
        self
    }

    /// The same error with another type than the usual one.
    #[must_use]
    pub fn with_type(mut self, kind: ErrorType) -> Self {
        self.kind = kind;
        self
    }

    /// The same error with an application-specific condition (§8.3.4).
    #[must_use]
    pub fn with_application(mut self, element: Element) -> Self {
        self.application = Some(Box::new(element));
        self
    }

    /// The `<error/>` element, in `jabber:client`.
    pub fn to_element(&self) -> Element {
        let mut condition = Element::builder(self.condition.name(), ns::STANZA_ERRORS);
        if let Some(address) = self.condition.address() {
            condition = condition.append(address);
        }
        let mut error = Element::builder("error", ns::CLIENT)
            .attr(name("type"), self.kind.as_str())
            .append(condition.build());
        if let Some(text) = &self.text {
            let text = Element::builder("text", ns::STANZA_ERRORS)
                .attr_ns(Namespace::XML, name("lang"), "en")
                .append(text.as_ref());
            error = error.append(text.build());
        }
        if let Some(application) = &self.application {
            error = error.append(Element::clone(application));
        }
        error.build()
    }

    /// Appends the `<error/>` as XML. It takes its namespace from the stanza around it.
    pub fn write_xml(&self, out: &mut String) {
        let name = self.condition.name();
        for part in ["<error type='", self.kind.as_str(), "'><", name, " xmlns='"] {
            out.push_str(part);
        }
        out.push_str(ns::STANZA_ERRORS);
        match self.condition.address() {
            None => out.push_str("'/>"),
            Some(address) => {
                out.push_str("'>");
                out.push_str(&escape_text(address));
                out.push_str("</");
                out.push_str(name);
                out.push('>');
            }
        }
        if let Some(text) = &self.text {
            push_description(out, ns::STANZA_ERRORS, text);
        }
        if let Some(application) = &self.application {
            out.push_str(&String::from(application.as_ref()));
        }
        out.push_str("</error>");
    }

    /// Reads an `<error/>` of any content namespace. `None` if it is not one, or names no
    /// condition. An unknown condition reads as `undefined-condition` and an unknown type as the
    /// usual one, as RFC 6120 §8.3.2 would have a receiver treat what is newer than itself.
    pub fn parse(element: &Element) -> Option<Self> {
        if element.name() != "error" {
            return None;
        }
        let mut condition = None;
        let mut text = None;
        let mut application = None;
        for child in element.children() {
            if !child.has_ns(ns::STANZA_ERRORS) {
                application.get_or_insert_with(|| Box::new(child.clone()));
            } else if child.name() == "text" {
                text.get_or_insert_with(|| Cow::Owned(child.text()));
            } else {
                condition.get_or_insert_with(|| Condition::read(child));
            }
        }
        let condition = condition?;
        let kind = element
            .attr("type")
            .and_then(ErrorType::from_name)
            .unwrap_or_else(|| condition.usual_type());
        Some(Self {
            kind,
            condition,
            text,
            application,
        })
    }
}

/// An attribute's name. Only called with literals.
fn name(literal: &'static str) -> NcName {
    NcName::try_from(literal).expect("a name without a colon")
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.condition.name(), self.kind.as_str())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StanzaError {}

/// What the sender of a stanza may do about its error (RFC 6120 §8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry: the error cannot be remedied.
    Cancel,
    /// Proceed: it was only a warning.
    Continue,
    /// Retry after changing the data sent.
    Modify,
    /// Retry after waiting: the error is temporary.
    Wait,
}

impl ErrorType {
    const ALL: [Self; 5] = [
        Self::Auth,
        Self::Cancel,
        Self::Continue,
        Self::Modify,
        Self::Wait,
    ];

    /// The value of the `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    /// The type of that name, if the RFC defines it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 6120 §8.3.3, in its order, with the types it allows.
    const TABLE: [(&str, &[&str]); 22] = [
        ("bad-request", &["modify"]),
        ("conflict", &["cancel"]),
        ("feature-not-implemented", &["cancel", "modify"]),
        ("forbidden", &["auth"]),
        ("gone", &["cancel"]),
        ("internal-server-error", &["cancel"]),
        ("item-not-found", &["cancel"]),
        ("jid-malformed", &["modify"]),
        ("not-acceptable", &["modify"]),
        ("not-allowed", &["cancel"]),
        ("not-authorized", &["auth"]),
        ("policy-violation", &["modify", "wait"]),
        ("recipient-unavailable", &["wait"]),
        ("redirect", &["modify"]),
        ("registration-required", &["auth"]),
        ("remote-server-not-found", &["cancel"]),
        ("remote-server-timeout", &["wait"]),
        ("resource-constraint", &["wait"]),
        ("service-unavailable", &["cancel"]),
        ("subscription-required", &["auth"]),
        (
            "undefined-condition",
            &["auth", "cancel", "continue", "modify", "wait"],
        ),
        ("unexpected-request", &["wait", "modify"]),
    ];

    fn condition(name: &str) -> Condition {
        Condition::read(&Element::bare(name, ns::STANZA_ERRORS))
    }

    /// The element that a reader of `write_xml` sees inside a stanza.
    fn reread(error: &StanzaError) -> Element {
        let mut xml = String::from("<message xmlns='jabber:client'>");
        error.write_xml(&mut xml);
        xml.push_str("</message>");
        let stanza: Element = xml.parse().expect("well-formed");
        stanza.children().next().expect("an error").clone()
    }

    #[test]
    fn conditions_are_those_of_the_rfc() {
        for (name, types) in TABLE {
            let condition = condition(name);
            assert_eq!(condition.name(), name);
            assert!(types.contains(&condition.usual_type().as_str()), "{name}");
        }
    }

    #[test]
    fn small_enough_to_be_returned() {
        assert!(size_of::<StanzaError>() <= 72);
    }

    #[test]
    fn written_as_the_rfc_shows() {
        let mut out = String::new();
        StanzaError::service_unavailable().write_xml(&mut out);
        assert_eq!(
            out,
            "<error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        );
    }

    #[test]
    fn address_and_application_condition_survive() {
        let error = StanzaError::gone(Some("xmpp:romeo@example.net?a=1&b=2".into()))
            .with_application(Element::bare("too-many-parameters", "urn:example"));
        assert_eq!(StanzaError::parse(&error.to_element()), Some(error.clone()));
        assert_eq!(StanzaError::parse(&reread(&error)), Some(error));
    }

    #[test]
    fn unknown_condition_is_undefined_and_unknown_type_is_usual() {
        let xml = "<error xmlns='jabber:server' type='later'>\
                   <payment-required xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        let parsed = StanzaError::parse(&xml.parse().expect("well-formed"));
        assert_eq!(parsed, Some(StanzaError::undefined_condition()));
    }

    #[test]
    fn neither_another_element_nor_an_empty_error_is_one() {
        assert_eq!(
            StanzaError::parse(&Element::bare("error", ns::CLIENT)),
            None
        );
        assert_eq!(StanzaError::parse(&Element::bare("body", ns::CLIENT)), None);
    }

    #[test]
    fn shown_to_an_admin_with_its_cause() {
        let error = StanzaError::policy_violation()
            .with_text("too fast")
            .with_type(ErrorType::Wait);
        assert_eq!(error.to_string(), "policy-violation (wait): too fast");
    }

    proptest! {
        #[test]
        fn both_ways_of_writing_read_the_same(
            row in 0..TABLE.len(),
            kind in 0..5_usize,
            text in proptest::option::of("(?s).*"),
        ) {
            let mut error = StanzaError::new(condition(TABLE[row].0)).with_type(ErrorType::ALL[kind]);
            if let Some(text) = text {
                error = error.with_text(text);
            }
            prop_assert_eq!(StanzaError::parse(&error.to_element()), Some(error.clone()));
            prop_assert_eq!(StanzaError::parse(&reread(&error)), Some(error));
        }
    }
}
