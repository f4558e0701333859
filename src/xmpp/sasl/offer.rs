//! What a stream advertises: mechanisms, channel bindings (XEP-0440 1.0.0), and the hash that lets
//! a client see whether somebody has shortened the lists on their way (XEP-0474 0.5.0).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{ChannelBinding, Mechanism};
use crate::ns;
use crate::password::ScramHash;

/// The namespace of XEP-0440.
const CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";

/// The mechanisms and channel bindings of one stream.
///
/// Mechanisms with channel binding count as offered only when there is a binding.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    /// The mechanisms in the order in which they are listed.
    pub mechanisms: Vec<Mechanism>,
    /// The channel bindings of this TLS connection, each with its data. Empty without TLS.
    pub bindings: Vec<(ChannelBinding, Vec<u8>)>,
    /// Whether the bindings are listed by XEP-0440.
    pub advertise_bindings: bool,
}

impl Offer {
    /// Whether a client may choose this mechanism.
    #[must_use]
    pub fn has(&self, mechanism: Mechanism) -> bool {
        self.advertised().any(|offered| offered == mechanism)
    }

    /// Whether a client may use channel binding.
    #[must_use]
    pub fn has_plus(&self) -> bool {
        self.advertised().any(Mechanism::is_plus)
    }

    /// The stream features of RFC 6120 §6.4.1, XEP-0388 and XEP-0440: `<mechanisms/>`,
    /// `<authentication/>` with what `inline` holds (XML) unless that is `None`, and
    /// `<sasl-channel-binding/>` where it applies. Empty without mechanisms.
    #[must_use]
    pub fn features_xml(&self, inline: Option<&str>) -> String {
        if self.advertised().next().is_none() {
            return String::new();
        }
        let mechanisms = self.mechanism_list_xml();
        let authentication = inline.map(|inline| {
            let ns = ns::SASL2;
            format!(
                "<authentication xmlns='{ns}'>{mechanisms}<inline>{inline}</inline></authentication>"
            )
        });
        format!(
            "<mechanisms xmlns='{}'>{mechanisms}</mechanisms>{}{}",
            ns::SASL,
            authentication.unwrap_or_default(),
            self.channel_binding_xml()
        )
    }

    /// The data of a channel binding of this stream, if it has that and a client may use it.
    #[must_use]
    pub fn binding(&self, kind: ChannelBinding) -> Option<&[u8]> {
        let found = self.bindings.iter().find(|(offered, _)| *offered == kind);
        found.filter(|_| self.has_plus()).map(|(_, data)| &**data)
    }

    /// The `<mechanism/>` elements, the same in both profiles.
    #[must_use]
    pub fn mechanism_list_xml(&self) -> String {
        let element = |mechanism: Mechanism| format!("<mechanism>{mechanism}</mechanism>");
        self.advertised().map(element).collect()
    }

    /// The `<sasl-channel-binding/>` stream feature; empty where it does not apply.
    #[must_use]
    pub fn channel_binding_xml(&self) -> String {
        if !self.lists_bindings() {
            return String::new();
        }
        let element =
            |(kind, _): &(ChannelBinding, _)| format!("<channel-binding type='{}'/>", kind.name());
        let types: String = self.bindings.iter().map(element).collect();
        format!("<sasl-channel-binding xmlns='{CHANNEL_BINDING}'>{types}</sasl-channel-binding>")
    }

    /// XEP-0474 §5.1: the base64 hash of the lists as advertised.
    #[must_use]
    pub fn downgrade_hash(&self, hash: ScramHash) -> String {
        let mut lists = sorted_and_joined(self.advertised().map(Mechanism::name));
        if self.lists_bindings() {
            lists.push('\u{1F}');
            let types = self.bindings.iter().map(|(kind, _)| kind.name());
            lists.push_str(&sorted_and_joined(types));
        }
        STANDARD.encode(hash.digest(lists.as_bytes()))
    }

    fn advertised(&self) -> impl Iterator<Item = Mechanism> {
        let is_possible = |mechanism: &Mechanism| !mechanism.is_plus() || !self.bindings.is_empty();
        self.mechanisms.iter().copied().filter(is_possible)
    }

    /// XEP-0440 forbids types without a mechanism that could use them, and an empty list.
    fn lists_bindings(&self) -> bool {
        self.advertise_bindings && self.has_plus()
    }
}

/// In the order of their bytes, with U+001E between them.
fn sorted_and_joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.join("\u{1E}")
}
