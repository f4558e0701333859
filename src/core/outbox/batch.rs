//! What is queued, and how it is handed over.

use std::collections::{VecDeque, vec_deque};

use bytes::Bytes;
use waxwing_xmpp::Jid;
use waxwing_xmpp::dom::escape_attr;
use waxwing_xmpp::stanza::{Children, Kind, PresenceType, Stanza};

use super::Held;

/// Queued pieces, in order.
pub struct Batch(pub(super) VecDeque<Waiting>);

/// The most bytes of small pieces that are copied together: one write of one piece costs less than
/// one of many.
const JOINED_BYTES: usize = 32 * 1024;

impl Batch {
    /// Hands over what is to be written: the pieces, as one if together they are small.
    pub fn write(self, mut queue: impl FnMut(Bytes)) {
        let bytes = self.0.iter().map(Waiting::len).sum();
        let is_one = self.0.len() == 1 && self.0.iter().all(|waiting| waiting.head.is_none());
        if is_one || bytes > JOINED_BYTES {
            for waiting in self.0 {
                if let Some(head) = waiting.head {
                    queue(head.to_bytes());
                }
                queue(waiting.stanza);
            }
            return;
        }
        let mut joined = Vec::with_capacity(bytes);
        for waiting in &self.0 {
            waiting.write(&mut joined);
        }
        queue(Bytes::from(joined));
    }
}

impl IntoIterator for Batch {
    type Item = Bytes;
    type IntoIter = BatchPieces;

    fn into_iter(self) -> BatchPieces {
        BatchPieces(self.0.into_iter())
    }
}

/// The pieces of a [`Batch`].
pub struct BatchPieces(vec_deque::IntoIter<Waiting>);

impl Iterator for BatchPieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.next().map(|waiting| waiting.to_bytes())
    }
}

/// A piece in the queue.
pub(super) struct Waiting {
    /// The beginning of the stanza, where only that is its own and the rest is shared with others.
    pub(super) head: Option<Head>,
    pub(super) stanza: Bytes,
    pub(super) thin: Thin,
    pub(super) source: Source,
    /// The row that must be committed before it leaves; 0: none.
    pub(super) gate: i64,
}

/// What stands behind a queued piece.
pub(super) enum Source {
    /// It is no stanza of the session: nothing counts it.
    Raw,
    /// A stanza that need not be kept.
    Plain,
    /// The same, and the error for a message: no acknowledgement that covers the message overtakes
    /// it.
    Refusal,
    /// A message that the server answers for until it is taken.
    Held(Held),
}

impl Waiting {
    /// Bytes that do not count as a stanza.
    pub(super) fn raw(bytes: Bytes) -> Self {
        Waiting {
            head: None,
            stanza: bytes,
            thin: Thin::Never,
            source: Source::Raw,
            gate: 0,
        }
    }

    /// A stanza that was sent before or is to be sent as it is.
    pub(super) fn plain(stanza: Bytes) -> Self {
        Waiting {
            source: Source::Plain,
            ..Waiting::raw(stanza)
        }
    }

    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.source, Source::Refusal)
    }

    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        self.head.as_ref().map_or(0, Head::len) + self.stanza.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        if let Some(head) = &self.head {
            head.write(out);
        }
        out.extend_from_slice(&self.stanza);
    }

    /// The stanza in one piece; copied only where it is in two.
    pub(super) fn to_bytes(&self) -> Bytes {
        if self.head.is_none() {
            return self.stanza.clone();
        }
        let mut bytes = Vec::with_capacity(self.len());
        self.write(&mut bytes);
        Bytes::from(bytes)
    }
}

/// What a stanza is that many sessions get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// A row of a feed: given in order, and held until the client has taken it. The owner of the
    /// outbox is not woken before [`Outbox::committed`](super::Outbox::committed).
    Row {
        /// As in [`Held::Feed`].
        feed: i64,
        /// As in [`Held::Feed`].
        id: i64,
    },
    /// Presence that a later one from the same address replaces.
    Presence,
    /// What nobody would miss: a chat state.
    Passing,
    /// Anything else that is not kept.
    Notice,
}

/// The beginning of a stanza of which the rest is shared: its name and its recipient. It is made
/// into bytes where it is written.
pub(super) struct Head {
    to: Jid,
    /// Its bytes.
    len: u16,
    start: Start,
}

/// How a stanza starts.
#[derive(Clone, Copy)]
pub(super) enum Start {
    Message,
    Presence,
}

impl Start {
    fn as_str(self) -> &'static str {
        match self {
            Start::Message => "<message to='",
            Start::Presence => "<presence to='",
        }
    }
}

impl Head {
    pub(super) fn new(start: Start, to: &Jid) -> Self {
        let len = start.as_str().len() + escape_attr(to.as_str()).len() + 1;
        Head {
            to: to.clone(),
            // An address is at most 3071 bytes long, and a character becomes six at most.
            len: u16::try_from(len).unwrap_or(u16::MAX),
            start,
        }
    }

    fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.start.as_str().as_bytes());
        out.extend_from_slice(escape_attr(self.to.as_str()).as_bytes());
        out.push(b'\'');
    }

    fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.len());
        self.write(&mut bytes);
        Bytes::from(bytes)
    }
}

/// Whether a queued stanza may be dropped when room is short.
#[derive(Clone, Copy)]
pub(super) enum Thin {
    Never,
    /// Superseded by a later one from the same address.
    Presence,
    /// A message with nothing but a chat state.
    ChatState,
}

impl Thin {
    /// Presence that asks or answers something, such as a subscription, is not superseded.
    pub(super) fn of(stanza: &Stanza) -> Thin {
        match stanza.kind() {
            Kind::Presence => match stanza.presence_type() {
                PresenceType::Available | PresenceType::Unavailable => Thin::Presence,
                _ => Thin::Never,
            },
            Kind::Message if is_only_chat_state(stanza) => Thin::ChatState,
            _ => Thin::Never,
        }
    }
}

/// Whether a message holds a chat state (XEP-0085) and nothing that anybody would miss.
#[must_use]
pub fn is_only_chat_state(message: &Stanza) -> bool {
    let idle = Children::CHAT_STATE
        .union(Children::THREAD)
        .union(Children::NO_STORE)
        .union(Children::NO_PERMANENT_STORE)
        .union(Children::NO_COPY)
        .union(Children::FORMER_HINT)
        .union(Children::ORIGIN_ID);
    message.children().contains(Children::CHAT_STATE) && message.children().is_subset(idle)
}
