//! Stream management (XEP-0198) as values: what was taken from the peer and is settled, what the
//! peer has acknowledged, and the elements that carry the counts.
//!
//! Counts on the wire are modulo 2^32; inside they only grow.

use std::collections::VecDeque;

use crate::error::{StreamCondition, StreamError};

mod element;

pub use element::{Request, ack, enabled, failed, request, resumed};

/// The namespace of stream management.
pub const NS: &str = "urn:xmpp:sm:3";

/// The namespace of its stream feature, as an element.
pub const FEATURE: &str = "<sm xmlns='urn:xmpp:sm:3'/>";

/// The place of a stanza in the stream it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The stanzas that were read from one peer, and for which of them responsibility was taken: the
/// settled prefix is what may be acknowledged (XEP-0198 §2, "handled").
#[derive(Debug, Default)]
pub struct Custody {
    taken: u64,
    /// Where the counts on the wire begin: what was read before stream management was enabled.
    base: u64,
    /// Stanzas whose fate is open, in order.
    open: VecDeque<u64>,
}

impl Custody {
    /// A stanza was read. It is settled unless [`Self::hold`] says otherwise.
    pub fn take(&mut self) {
        self.taken += 1;
    }

    /// Leaves the fate of the stanza that was read last open.
    pub fn hold(&mut self) -> Ticket {
        if self.open.back() != Some(&self.taken) {
            self.open.push_back(self.taken);
        }
        Ticket(self.taken)
    }

    /// Settles a stanza; a second time does nothing. True: the settled prefix grew.
    pub fn settle(&mut self, ticket: Ticket) -> bool {
        let Ok(at) = self.open.binary_search(&ticket.0) else {
            return false;
        };
        self.open.remove(at);
        if self.open.is_empty() {
            self.open = VecDeque::new();
        }
        at == 0
    }

    /// Whether every stanza that was read is settled.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// From here on stanzas count (XEP-0198 §3).
    pub fn enable(&mut self) {
        self.base = self.taken;
    }

    /// Takes up the count of an earlier process.
    pub fn restore(&mut self, handled: u32) {
        *self = Custody {
            taken: u64::from(handled),
            ..Custody::default()
        };
    }

    /// The `h` that may be sent: the length of the settled prefix.
    #[must_use]
    pub fn handled(&self) -> u32 {
        let settled = self.open.front().map_or(self.taken, |first| first - 1);
        wire(settled.saturating_sub(self.base))
    }

    /// The count that is true once it is settled what became of the stanza that was read last: its
    /// number if no other is open, else the settled prefix.
    #[must_use]
    pub fn handled_with_last(&self) -> u32 {
        let is_alone = self.open.front().is_none_or(|first| *first == self.taken);
        if is_alone {
            wire(self.taken - self.base)
        } else {
            self.handled()
        }
    }
}

/// The count as it is sent: modulo 2^32.
fn wire(count: u64) -> u32 {
    (count & u64::from(u32::MAX)) as u32
}

/// How much of what was sent the peer has acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged(u32);

/// The peer claims to have handled more than it was sent (XEP-0198 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer acknowledges {h}, but {acknowledged} were acknowledged and {sent} sent since")]
pub struct TooHigh {
    /// What it claims.
    pub h: u32,
    /// What it had acknowledged before.
    pub acknowledged: u32,
    /// What it was sent since.
    pub sent: usize,
}

impl TooHigh {
    /// The stream error that it ends with.
    #[must_use]
    pub fn to_stream_error(self) -> StreamError {
        let details = format!(
            "<handled-count-too-high xmlns='{NS}' h='{}' send-count='{}'/>",
            self.h,
            self.acknowledged.wrapping_add(wire(self.sent as u64)),
        );
        StreamError::new(StreamCondition::UndefinedCondition)
            .with_text("more stanzas were acknowledged than were sent")
            .with_application(details)
    }
}

impl Acknowledged {
    /// As of an earlier stream.
    #[must_use]
    pub fn new(h: u32) -> Self {
        Acknowledged(h)
    }

    /// The last `h`.
    #[must_use]
    pub fn h(self) -> u32 {
        self.0
    }

    /// The peer sent `h` while `sent` stanzas await acknowledgement. Returns how many of them,
    /// oldest first, are acknowledged by it.
    pub fn acknowledge(&mut self, h: u32, sent: usize) -> Result<usize, TooHigh> {
        let newly = h.wrapping_sub(self.0) as usize;
        if newly > sent {
            return Err(TooHigh {
                h,
                acknowledged: self.0,
                sent,
            });
        }
        self.0 = h;
        Ok(newly)
    }
}

#[cfg(test)]
mod tests;
