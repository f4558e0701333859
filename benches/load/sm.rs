//! Stream management (XEP-0198) as a sender sees it: what the server says that it has handled.

use crate::element::Element;
use crate::failure::Failure;
use crate::lines::Lines;

/// The acknowledgements of one session.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    acknowledged: u32,
    settled: bool,
}

impl Acks {
    /// A stanza was sent: what settles the session must cover it.
    pub(crate) fn sent(&mut self) {
        self.settled = false;
    }

    /// Asks for one.
    pub(crate) fn ask(&self, who: usize, lines: &mut Lines) {
        lines.raw(who, b"<r xmlns='urn:xmpp:sm:3'/>");
    }

    /// Takes an element if it is an acknowledgement, and says whether it was. One that takes back
    /// an earlier one, or covers what was never sent, is an error.
    pub(crate) fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        lines: &Lines,
    ) -> Result<bool, Failure> {
        if element.name() != b"a" {
            return Ok(false);
        }
        let h = element.attr("h").and_then(|h| std::str::from_utf8(h).ok());
        let h: Option<u32> = h.and_then(|h| h.parse().ok());
        let sent = lines.stanzas(who);
        match h {
            // RFC 1982's way of comparing: h wraps around.
            Some(h)
                if h.wrapping_sub(self.acknowledged) <= sent.wrapping_sub(self.acknowledged) =>
            {
                self.acknowledged = h;
                self.settled = h == sent;
                Ok(true)
            }
            _ => Err(Failure::Unexpected(who, element.excerpt())),
        }
    }

    /// Stanzas that were sent and are not acknowledged.
    pub(crate) fn behind(&self, who: usize, lines: &Lines) -> u32 {
        lines.stanzas(who).wrapping_sub(self.acknowledged)
    }

    /// Whether everything that was sent is acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(acks: &mut Acks, lines: &Lines, h: &str) -> Result<bool, Failure> {
        acks.element(0, Element(format!("<a h='{h}'/>").as_bytes()), lines)
    }

    #[test]
    fn acknowledgements_are_checked() {
        let (mut acks, mut lines) = (Acks::default(), Lines::default());
        lines.resize(1);
        for _ in 0..3 {
            lines.stanza(0, b"<message/>");
        }
        assert_eq!(acks.behind(0, &lines), 3);
        assert!(ack(&mut acks, &lines, "2").unwrap());
        assert_eq!(acks.behind(0, &lines), 1);
        assert!(!acks.is_settled());
        assert!(ack(&mut acks, &lines, "4").is_err(), "more than was sent");
        assert!(ack(&mut acks, &lines, "1").is_err(), "less than before");
        assert!(ack(&mut acks, &lines, "x").is_err());
        assert!(ack(&mut acks, &lines, "3").unwrap());
        assert!(acks.is_settled());
        acks.sent();
        assert!(!acks.is_settled());
        assert!(!acks.element(0, Element(b"<iq/>"), &lines).unwrap());
    }
}
