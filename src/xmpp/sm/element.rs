//! The elements of stream management, read and written.

use super::NS;
use crate::error::StanzaError;
use crate::stanza::{Framed, Source};

/// What a peer asks for or says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `<enable/>` (§3): whether the stream is to be resumable, and for how many seconds at most.
    Enable {
        /// Whether resumption is wanted.
        resume: bool,
        /// The client's wish in seconds.
        max: Option<u64>,
    },
    /// `<r/>` (§4): how much was handled?
    Ask,
    /// `<a/>` (§4): so many were handled.
    Acknowledge(u32),
    /// `<resume/>` (§5).
    Resume {
        /// The former stream.
        previous: String,
        /// What the client handled of it.
        h: u32,
    },
    /// An element of the namespace that is not known, or lacks what it must have.
    Malformed,
}

impl Request {
    /// Reads an element at depth 1. `None`: not of stream management.
    #[must_use]
    pub fn read<B: Source>(element: &Framed<B>) -> Option<Request> {
        if element.namespace() != NS {
            return None;
        }
        match element.name() {
            // By far the most frequent; it has nothing to read.
            "r" => return Some(Request::Ask),
            // Nearly as frequent, and written in one way by nearly everybody.
            "a" => {
                if let Some(h) = plain_count(element.as_xml()) {
                    return Some(Request::Acknowledge(h));
                }
            }
            "enable" | "resume" => {}
            _ => return Some(Request::Malformed),
        }
        Some(Self::of(&element.to_element()))
    }

    /// The same for an element in a DOM that is in the namespace.
    #[must_use]
    pub fn of(element: &minidom::Element) -> Request {
        let h = element.attr("h").and_then(|h| h.parse().ok());
        match (element.name(), h) {
            ("r", _) => Request::Ask,
            ("a", Some(h)) => Request::Acknowledge(h),
            ("enable", _) => Request::Enable {
                resume: matches!(element.attr("resume"), Some("true" | "1")),
                max: element.attr("max").and_then(|max| max.parse().ok()),
            },
            ("resume", Some(h)) => match element.attr("previd") {
                Some(previous) => Request::Resume {
                    previous: previous.to_owned(),
                    h,
                },
                None => Request::Malformed,
            },
            _ => Request::Malformed,
        }
    }
}

/// The `h` of an `<a/>` with two attributes; `None`: it is to be read with more care.
fn plain_count(xml: &str) -> Option<u32> {
    let mut quoted = xml.split(['\'', '"']);
    let (first, one, second, other) = (
        quoted.next()?,
        quoted.next()?,
        quoted.next()?,
        quoted.next()?,
    );
    if quoted.next()?.trim() != "/>" {
        return None;
    }
    let h = match (first.trim(), second.trim()) {
        ("<a xmlns=", "h=") => other,
        ("<a h=", "xmlns=") => one,
        _ => return None,
    };
    h.parse().ok()
}

/// `<r/>`
#[must_use]
pub fn request() -> &'static str {
    "<r xmlns='urn:xmpp:sm:3'/>"
}

/// `<a/>`
#[must_use]
pub fn ack(h: u32) -> String {
    format!("<a xmlns='{NS}' h='{h}'/>")
}

/// `<enabled/>`: the id and how many seconds a broken stream is kept, if it can be resumed.
#[must_use]
pub fn enabled(resumable: Option<(&str, u64)>) -> String {
    match resumable {
        Some((id, max)) => format!("<enabled xmlns='{NS}' id='{id}' resume='true' max='{max}'/>"),
        None => format!("<enabled xmlns='{NS}'/>"),
    }
}

/// `<resumed/>`
#[must_use]
pub fn resumed(previous: &str, h: u32) -> String {
    let previous = crate::dom::escape_attr(previous);
    format!("<resumed xmlns='{NS}' previd='{previous}' h='{h}'/>")
}

/// `<failed/>`, with what was handled of the former stream where that is known.
#[must_use]
pub fn failed(h: Option<u32>, error: &StanzaError) -> String {
    let h = h.map(|h| format!(" h='{h}'")).unwrap_or_default();
    let condition = error.condition.name();
    let ns = crate::ns::STANZA_ERRORS;
    format!("<failed xmlns='{NS}'{h}><{condition} xmlns='{ns}'/></failed>")
}
