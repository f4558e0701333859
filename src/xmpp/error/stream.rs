//! Stream errors (RFC 6120 §4.9). They cannot be recovered from: the stream closes after one.

use std::borrow::Cow;
use std::fmt;

use super::{legal, push_description};
use crate::dom::escape_text;
use crate::ns;

/// Why a stream ends: the content of its `<stream:error/>` (RFC 6120 §4.9.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// What is wrong.
    pub condition: StreamCondition,
    /// A description for people, in English.
    pub text: Option<Cow<'static, str>>,
    /// An element that says it more exactly (§4.9.4), well-formed.
    pub application: Option<Box<str>>,
}

impl StreamError {
    /// An error without a text.
    pub fn new(condition: StreamCondition) -> Self {
        Self {
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

    /// The same error with an application's element (§4.9.4), which this program has written.
    #[must_use]
    pub fn with_application(mut self, xml: impl Into<Box<str>>) -> Self {
        self.application = Some(xml.into());
        self
    }

    /// `<stream:error>…</stream:error>`, for a stream whose header has bound the prefix `stream`.
    pub fn to_xml(&self) -> String {
        let name = self.condition.name();
        let mut out = String::from("<stream:error><");
        for part in [name, " xmlns='", ns::STREAM_ERRORS] {
            out.push_str(part);
        }
        if let StreamCondition::SeeOtherHost(host) = &self.condition {
            out.push_str("'>");
            out.push_str(&escape_text(host));
            out.push_str("</");
            out.push_str(name);
            out.push('>');
        } else {
            out.push_str("'/>");
        }
        if let Some(text) = &self.text {
            push_description(&mut out, ns::STREAM_ERRORS, text);
        }
        out.push_str(self.application.as_deref().unwrap_or_default());
        out.push_str("</stream:error>");
        out
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self::new(condition)
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.name())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StreamError {}

/// Makes [`StreamCondition`] and its names from rows of: meaning, variant, name on the wire.
macro_rules! conditions {
    ($($(#[$doc:meta])+ $variant:ident $(($payload:ty))? $name:literal;)+) => {
        /// What is wrong with a stream: the defined conditions of RFC 6120 §4.9.3.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum StreamCondition {
            $($(#[$doc])+ $variant $(($payload))?,)+
        }

        impl StreamCondition {
            /// The name of the condition's element.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                }
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$($name),+];
    };
}

conditions! {
    /// XML that cannot be processed, where none of the narrower conditions says why.
    BadFormat "bad-format";
    /// A namespace prefix that is not supported, or missing where one is needed.
    BadNamespacePrefix "bad-namespace-prefix";
    /// A newer stream has taken the place of this one.
    Conflict "conflict";
    /// The peer was silent for too long, or did not finish in time.
    ConnectionTimeout "connection-timeout";
    /// The domain is no longer served here.
    HostGone "host-gone";
    /// The domain is not served here.
    HostUnknown "host-unknown";
    /// A stanza between servers lacks `to` or `from`, or one of them is not an address.
    ImproperAddressing "improper-addressing";
    /// The server failed in a way that is its own fault.
    InternalServerError "internal-server-error";
    /// `from` is not the address that the stream was authenticated for.
    InvalidFrom "invalid-from";
    /// The stream's namespace or its default namespace is not the right one.
    InvalidNamespace "invalid-namespace";
    /// The XML is not valid against a schema.
    InvalidXml "invalid-xml";
    /// Something was sent that has to wait for authentication.
    NotAuthorized "not-authorized";
    /// The XML is not well-formed, or not namespace-well-formed.
    NotWellFormed "not-well-formed";
    /// A local rule is violated, such as the size of a stanza.
    PolicyViolation "policy-violation";
    /// Another server that is needed to go on cannot be reached.
    RemoteConnectionFailed "remote-connection-failed";
    /// The stream must be set up anew, because what it was set up with has changed.
    Reset "reset";
    /// The server lacks the resources to serve the stream.
    ResourceConstraint "resource-constraint";
    /// A comment, processing instruction, DTD or entity reference, which XMPP forbids (§11.1).
    RestrictedXml "restricted-xml";
    /// The service is at another host (`host`, `host:port`, `[IPv6]:port`), for now.
    SeeOtherHost(String) "see-other-host";
    /// The server is going down.
    SystemShutdown "system-shutdown";
    /// None of the others; the text says what.
    UndefinedCondition "undefined-condition";
    /// The stream is not in UTF-8.
    UnsupportedEncoding "unsupported-encoding";
    /// A stream feature is required that the other side does not have.
    UnsupportedFeature "unsupported-feature";
    /// A first-level element that is no stanza and nothing else that is known.
    UnsupportedStanzaType "unsupported-stanza-type";
    /// The `version` of the stream is not supported.
    UnsupportedVersion "unsupported-version";
}

#[cfg(test)]
mod tests {
    use minidom::Element;

    use super::*;

    fn reread(error: &StreamError) -> Element {
        let xml = format!(
            "<stream:stream xmlns:stream='{}'>{}</stream:stream>",
            ns::STREAM,
            error.to_xml()
        );
        let stream: Element = xml.parse().expect("well-formed");
        stream
            .get_child("error", ns::STREAM)
            .expect("an error")
            .clone()
    }

    #[test]
    fn conditions_are_those_of_the_rfc() {
        let rfc = "bad-format bad-namespace-prefix conflict connection-timeout host-gone host-unknown \
                   improper-addressing internal-server-error invalid-from invalid-namespace invalid-xml \
                   not-authorized not-well-formed policy-violation remote-connection-failed reset \
                   resource-constraint restricted-xml see-other-host system-shutdown \
                   undefined-condition unsupported-encoding unsupported-feature \
                   unsupported-stanza-type unsupported-version";
        assert_eq!(NAMES, rfc.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn written_as_the_rfc_shows() {
        assert_eq!(
            StreamError::new(StreamCondition::HostUnknown).to_xml(),
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        );
    }

    #[test]
    fn text_and_host_are_escaped() {
        let host = StreamCondition::SeeOtherHost("[2001:db8::1]:5222<".into());
        let error = reread(&StreamError::new(host).with_text("a <b> & \u{0}"));
        let child = |name| error.get_child(name, ns::STREAM_ERRORS).expect(name).text();
        assert_eq!(child("see-other-host"), "[2001:db8::1]:5222<");
        assert_eq!(child("text"), "a <b> & \u{FFFD}");
    }

    #[test]
    fn shown_to_an_admin_with_its_cause() {
        let error = StreamError::from(StreamCondition::PolicyViolation).with_text("stanza too big");
        assert_eq!(error.to_string(), "policy-violation: stanza too big");
    }
}
