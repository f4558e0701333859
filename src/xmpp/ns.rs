//! The namespaces that the server itself speaks, named as their specifications are.

/// RFC 6120: stanzas between a client and its server.
pub const CLIENT: &str = "jabber:client";
/// RFC 6120: the stream element, its features and errors.
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// RFC 6120 §4.9.3: conditions of a stream error.
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// RFC 6120 §8.3.3: conditions of a stanza error.
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// RFC 6120 §5: STARTTLS.
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// RFC 6120 §6: SASL.
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// XEP-0388: SASL2.
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// RFC 6120 §7: resource binding.
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// XEP-0386: Bind 2.
pub const BIND2: &str = "urn:xmpp:bind:0";
/// RFC 3921 §3: the legacy session request.
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// RFC 6121 §2: the roster.
pub const ROSTER: &str = "jabber:iq:roster";
/// RFC 6121 §2.6: roster versioning feature.
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
/// RFC 6121 §3.4: subscription pre-approval feature.
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";
/// The `xml` prefix.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The `xmlns` prefix.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
