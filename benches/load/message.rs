//! The numbered messages that scenarios send: what a client of today sends in a chat, with a
//! number in the id by which the recipient's side is checked.

use crate::element::{Element, number};

/// Messages that one flow can have.
const PER_FLOW: u64 = 1_000_000_000;
const CHAT: &str = "<active xmlns='http://jabber.org/protocol/chatstates'/>\
    <request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>";

/// The parts of one flow's messages.
#[derive(Debug)]
pub(crate) struct Template {
    head: String,
    tail: String,
    flow: u64,
}

impl Template {
    /// Messages of `size` bytes, if the fixed parts leave room; `kind` is their type.
    pub(crate) fn new(to: &str, kind: &str, flow: usize, size: usize) -> Template {
        let head = format!("<message to='{to}' type='{kind}' id='m-");
        let extensions = if kind == "chat" { CHAT } else { "" };
        let ends = format!("'><body></body>{extensions}</message>");
        let filler = size.saturating_sub(head.len() + 15 + ends.len()).max(1);
        let body: String = "Shall we meet at noon? "
            .chars()
            .cycle()
            .take(filler)
            .collect();
        Template {
            head,
            tail: ends.replace("</body>", &format!("{body}</body>")),
            flow: flow as u64,
        }
    }

    /// Appends the message with this number.
    pub(crate) fn write(&self, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        let mut digits = [b'0'; 15];
        let mut rest = self.flow * PER_FLOW + number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits);
        out.extend_from_slice(self.tail.as_bytes());
    }
}

/// What an element is to a scenario that waits for numbered messages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A numbered message: its flow and number.
    Message(usize, u64),
    /// An error, or an answer that says no.
    Error,
    /// Anything else.
    Other,
}

/// Classifies an element.
pub(crate) fn arrival(element: Element<'_>) -> Arrival {
    if element.name() != b"message" {
        return Arrival::Other;
    }
    if element.attr_is("type", "error") {
        return Arrival::Error;
    }
    match element.attr("id").and_then(|id| number(id, b'm')) {
        Some(number) => Arrival::Message((number / PER_FLOW) as usize, number % PER_FLOW),
        None => Arrival::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut bytes = Vec::new();
        Template::new("a@b/c", "chat", 99_999, 400).write(1234, &mut bytes);
        assert_eq!(bytes.len(), 400);
        assert_eq!(arrival(Element(&bytes)), Arrival::Message(99_999, 1234));
        assert_eq!(
            arrival(Element(b"<message type='error' id='m-1'/>")),
            Arrival::Error
        );
        assert_eq!(arrival(Element(b"<message id='welcome'/>")), Arrival::Other);
        assert_eq!(arrival(Element(b"<presence id='m-1'/>")), Arrival::Other);
    }
}
