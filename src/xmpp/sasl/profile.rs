//! The two ways in which an exchange is written on a stream: RFC 6120 §6, and XEP-0388 (SASL2).
//! The messages of the mechanisms are the same in both.

use minidom::Element;

use super::{Failure, decode_payload, encode_payload, payload};
use crate::ns;

/// A profile of SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// RFC 6120 §6.
    Sasl,
    /// XEP-0388.
    Sasl2,
}

impl Profile {
    /// The namespace of its elements.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Profile::Sasl => ns::SASL,
            Profile::Sasl2 => ns::SASL2,
        }
    }

    /// The initial response in `<auth/>` or `<authenticate/>`; `None` if there is none.
    pub fn initial(self, request: &Element) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Profile::Sasl => decode_payload(&request.text()),
            Profile::Sasl2 => {
                let initial = request.get_child("initial-response", ns::SASL2);
                initial.map(|initial| decode(&initial.text())).transpose()
            }
        }
    }

    /// The message in `<response/>`.
    pub fn response(self, response: &Element) -> Result<Vec<u8>, Failure> {
        match self {
            Profile::Sasl => decode_payload(&response.text()).map(Option::unwrap_or_default),
            Profile::Sasl2 => decode(&response.text()),
        }
    }

    /// `<challenge/>`.
    #[must_use]
    pub fn challenge_xml(self, data: &[u8]) -> String {
        let (ns, data) = (self.namespace(), encode_payload(data));
        format!("<challenge xmlns='{ns}'>{data}</challenge>")
    }

    /// `<success/>` with the mechanism's last message, if it has one. `more` is XML that only
    /// XEP-0388 has: the identity and what was done on the way.
    #[must_use]
    pub fn success_xml(self, data: Option<&[u8]>, more: &str) -> String {
        let ns = self.namespace();
        let data = data.map(encode_payload);
        match self {
            Profile::Sasl => {
                let data = data.unwrap_or_default();
                format!("<success xmlns='{ns}'>{data}</success>")
            }
            Profile::Sasl2 => {
                let data = data.map(|data| format!("<additional-data>{data}</additional-data>"));
                let data = data.unwrap_or_default();
                format!("<success xmlns='{ns}'>{data}{more}</success>")
            }
        }
    }

    /// `<failure/>`. The condition has RFC 6120's namespace in both.
    #[must_use]
    pub fn failure_xml(self, failure: Failure) -> String {
        let condition = failure.condition();
        match self {
            Profile::Sasl => format!("<failure xmlns='{}'><{condition}/></failure>", ns::SASL),
            Profile::Sasl2 => format!(
                "<failure xmlns='{}'><{condition} xmlns='{}'/></failure>",
                ns::SASL2,
                ns::SASL
            ),
        }
    }
}

/// XEP-0388 §2.2: an empty element is an empty message, and `=` nothing special. The examples there
/// have white space around the data, which it discourages and does not forbid.
fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    payload::decode(text.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::MAX_PAYLOAD_BYTES;

    fn element(xml: &str) -> Element {
        crate::dom::parse(xml.as_bytes()).unwrap()
    }

    #[test]
    fn initial_responses() {
        let sasl = |text: &str| {
            let xml = format!("<auth xmlns='{}' mechanism='PLAIN'>{text}</auth>", ns::SASL);
            Profile::Sasl.initial(&element(&xml))
        };
        assert_eq!(sasl(""), Ok(None));
        assert_eq!(sasl("="), Ok(Some(Vec::new())));
        assert_eq!(sasl("AGE="), Ok(Some(b"\0a".to_vec())));
        let sasl2 = |child: &str| {
            let ns = ns::SASL2;
            let xml =
                format!("<authenticate xmlns='{ns}' mechanism='PLAIN'>{child}</authenticate>");
            Profile::Sasl2.initial(&element(&xml))
        };
        let with = |text: &str| sasl2(&format!("<initial-response>{text}</initial-response>"));
        assert_eq!(sasl2(""), Ok(None));
        assert_eq!(
            sasl2("<initial-response xmlns='other'>AGE=</initial-response>"),
            Ok(None)
        );
        assert_eq!(with(""), Ok(Some(Vec::new())));
        assert_eq!(with("\n  AGE=\n"), Ok(Some(b"\0a".to_vec())));
        assert_eq!(with("="), Err(Failure::IncorrectEncoding));
        assert_eq!(with("A GE="), Err(Failure::IncorrectEncoding));
        let long = encode_payload(&[0; MAX_PAYLOAD_BYTES + 3]);
        assert_eq!(with(&long), Err(Failure::MalformedRequest));
    }

    #[test]
    fn what_the_server_says() {
        let (sasl, sasl2) = (Profile::Sasl, Profile::Sasl2);
        let old = "urn:ietf:params:xml:ns:xmpp-sasl";
        for (written, expected) in [
            (
                sasl.challenge_xml(b"\0a"),
                format!("<challenge xmlns='{old}'>AGE=</challenge>"),
            ),
            (
                sasl2.challenge_xml(b"\0a"),
                "<challenge xmlns='urn:xmpp:sasl:2'>AGE=</challenge>".to_owned(),
            ),
            (
                sasl.success_xml(None, ""),
                format!("<success xmlns='{old}'></success>"),
            ),
            (
                sasl2.success_xml(Some(b"\0a"), "<more/>"),
                "<success xmlns='urn:xmpp:sasl:2'><additional-data>AGE=</additional-data><more/>\
                 </success>"
                    .to_owned(),
            ),
            (
                sasl2.success_xml(None, "<more/>"),
                "<success xmlns='urn:xmpp:sasl:2'><more/></success>".to_owned(),
            ),
            (
                sasl.failure_xml(Failure::NotAuthorized),
                format!("<failure xmlns='{old}'><not-authorized/></failure>"),
            ),
            (
                sasl2.failure_xml(Failure::AccountDisabled),
                format!(
                    "<failure xmlns='urn:xmpp:sasl:2'><account-disabled xmlns='{old}'/></failure>"
                ),
            ),
        ] {
            assert_eq!(written, expected);
        }
    }
}
