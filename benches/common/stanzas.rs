//! The stanzas that figures are kept for. Another text is another figure.

/// The header of a client's stream.
pub const HEADER: &[u8] = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// 369 bytes: a chat message with receipts, a marker and an origin id.
#[must_use]
pub fn chat() -> String {
    let stanza = "<message type='chat' to='juliet@example.org/balcony' id='7c1f4e2a-93d5'>\
        <body>But soft, what light through yonder window breaks? It is the east!</body>\
        <active xmlns='http://jabber.org/protocol/chatstates'/>\
        <request xmlns='urn:xmpp:receipts'/>\
        <markable xmlns='urn:xmpp:chat-markers:0'/>\
        <origin-id xmlns='urn:xmpp:sid:0' id='7c1f4e2a-93d5-4b1e'/></message>";
    padded(stanza, "</body>", 369)
}

/// 1557 bytes: an encrypted message with three keys.
#[must_use]
pub fn encrypted() -> String {
    let key = "MwohBXq".repeat(26);
    let keys: String = (1..=3)
        .map(|device| format!("<key rid='{device}2345678'>{key}</key>"))
        .collect();
    let stanza = format!(
        "<message type='chat' to='juliet@example.org' id='e2a'>\
         <encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1234'>{keys}\
         <iv>cGFyc2xleQ==</iv></header><payload></payload></encrypted>\
         <store xmlns='urn:xmpp:hints'/><body>OMEMO</body></message>"
    );
    padded(&stanza, "</payload>", 1557)
}

/// A chat message of 150 characters for an address of this server, as the way through the exchange
/// is measured with.
#[must_use]
pub fn routed(to: &str) -> String {
    format!(
        "<message type='chat' to='{to}' id='7c1f4e2a'><body>{}</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/>\
         <request xmlns='urn:xmpp:receipts'/></message>",
        "x".repeat(150)
    )
}

/// A change of presence with the capabilities of a client.
pub const PRESENCE: &str = "<presence id='5f1c'><show>away</show><status>At the balcony</status>\
    <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://gajim.org' \
    ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>";

/// Fills the element before `mark` until the stanza has the length that the figures are kept for.
fn padded(stanza: &str, mark: &str, length: usize) -> String {
    let missing = length.saturating_sub(stanza.len());
    stanza.replacen(mark, &format!("{}{mark}", "x".repeat(missing)), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stanzas_are_as_long_as_they_are_called() {
        assert_eq!((chat().len(), encrypted().len()), (369, 1557));
    }
}
