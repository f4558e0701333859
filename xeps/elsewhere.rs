//! Specifications that are followed in other rooms of the house, because they are about the stream
//! itself or pass through without being looked at. The table of the README is made of the first
//! lines of the other files here and of this list.

/// Number, title, version, where, and what is to be said.
pub const ELSEWHERE: &[(&str, &str, &str, &str, &str)] = &[
    (
        "RFC 6120",
        "XMPP: Core",
        "",
        "src/connection, src/xmpp",
        "client to server",
    ),
    (
        "RFC 6121",
        "XMPP: Instant Messaging and Presence",
        "",
        "src/core",
        "",
    ),
    ("RFC 7590", "Use of TLS in XMPP", "", "src/tls", ""),
    (
        "RFC 7622",
        "XMPP: Address Format",
        "",
        "src/xmpp/jid.rs",
        "",
    ),
    (
        "XEP-0085",
        "Chat State Notifications",
        "2.1",
        "xeps/xep_0160_offline.rs",
        "passed on and copied; alone they are neither kept nor archived",
    ),
    (
        "XEP-0175",
        "Best Practices for Use of SASL ANONYMOUS",
        "1.2",
        "src/connection",
        "off by default",
    ),
    (
        "XEP-0184",
        "Message Delivery Receipts",
        "1.4.0",
        "xeps",
        "passed on, kept, archived and copied like messages",
    ),
    (
        "XEP-0256",
        "Last Activity in Presence",
        "1.1",
        "src/core/presence.rs",
        "passed on, and sent for absent contacts",
    ),
    (
        "XEP-0308",
        "Last Message Correction",
        "1.2.1",
        "xeps",
        "passed on, kept, archived and copied like messages",
    ),
    (
        "XEP-0319",
        "Last User Interaction in Presence",
        "1.0.2",
        "src/core/presence.rs",
        "passed on",
    ),
    (
        "XEP-0333",
        "Displayed Markers",
        "1.0.0",
        "xeps",
        "passed on, kept, archived and copied like messages",
    ),
    (
        "XEP-0353",
        "Jingle Message Initiation",
        "0.8.0",
        "xeps",
        "passed on, kept, archived and copied like messages",
    ),
    (
        "XEP-0368",
        "SRV records for XMPP over TLS",
        "1.1.0",
        "src/tls",
        "direct TLS with ALPN",
    ),
    (
        "XEP-0440",
        "SASL Channel-Binding Type Capability",
        "1.0.0",
        "src/xmpp/sasl",
        "",
    ),
    (
        "XEP-0444",
        "Message Reactions",
        "0.2.1",
        "xeps",
        "passed on, kept, archived and copied like messages",
    ),
    (
        "XEP-0474",
        "SASL SCRAM Downgrade Protection",
        "0.5.0",
        "src/xmpp/sasl",
        "",
    ),
];
