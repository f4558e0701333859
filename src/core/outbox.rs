//! What waits to be written to one client, and what it has been given but not yet shown to have
//! taken.
//!
//! The queue is bounded by bytes. At the bound it is thinned (presence that a later one replaces,
//! chat states); if that does not help, the outbox *detaches*: it takes nothing more, its owner
//! closes the stream, and the messages in it go back to the account. Nobody ever waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use waxwing_xmpp::sm::Ticket;
use waxwing_xmpp::{Jid, Stanza, StreamError};

use crate::clock::Timestamp;
use crate::session::Session;

mod batch;
mod managed;
mod queue;
mod taken;

pub use batch::{Batch, BatchPieces, Shared, is_only_chat_state};
use batch::{Head, Source, Start, Thin, Waiting};
pub use managed::{Asleep, Broken, Unacknowledged};
use queue::Inner;
pub use taken::{Late, ProbeNeed, Taken, TakenRow};

/// Bytes of messages given and not taken that may be held, in multiples of the queue's bound.
const HELD_FACTOR: usize = 16;
/// Stanzas that may be given and not taken.
const MAX_UNTAKEN: usize = 65_536;

/// Who sent a message, and waits to hear that it is settled.
#[derive(Clone)]
pub struct Origin {
    /// The session.
    pub session: Arc<Session>,
    /// The place of the message in what was read from it.
    pub ticket: Ticket,
    /// Whether the message shows in the archive of the session's account.
    pub archives: bool,
    /// The message as it was sent, where a service passes on another one in its stead.
    pub original: Option<Box<Stanza>>,
}

impl Origin {
    /// What was sent, of which this is delivered: an error is about that, and shows nothing of whom
    /// the service passed it on to.
    pub(crate) fn wrote<'a>(&'a self, delivered: &'a Stanza) -> &'a Stanza {
        self.original.as_deref().unwrap_or(delivered)
    }

    /// The message needs no more care.
    pub(crate) fn settle(&self) {
        self.session.settle(self.ticket);
    }
}

/// A message that the server answers for until its client has shown to have taken it.
#[derive(Clone)]
pub enum Held {
    /// It lives in memory only; when the session ends it goes back to its account.
    Live {
        /// When the server received it.
        received: Timestamp,
        /// The account's count of arrivals when it was handed over
        /// ([`State::arrivals`](crate::account::State::arrivals)).
        arrivals: u64,
        /// Whose acknowledgement waits for it.
        origin: Option<Origin>,
        /// Whether it is being stored at this moment.
        storing: bool,
    },
    /// It lives in the mailbox.
    Row {
        /// Its id there: it is not written before that is committed.
        id: i64,
        /// Its size there.
        bytes: u32,
        /// Whether it is removed there once it is taken.
        brief: bool,
        /// Whether its acknowledgement covers all rows before it
        /// ([`Handing`](crate::position::Handing)).
        in_order: bool,
        /// Whether it is for this resource alone, and must be at hand for others if that dies.
        directed: bool,
    },
    /// It lives in the mailbox too, as a row of a feed that the session follows
    /// ([`Feed`](crate::feed::Feed)). They are given in order.
    Feed {
        /// Whose row it is.
        feed: i64,
        /// Its id: it is not written before that is committed.
        id: i64,
    },
}

impl Held {
    fn needs_bytes(&self) -> bool {
        match self {
            Held::Live { .. } => true,
            Held::Row { directed, .. } => *directed,
            Held::Feed { .. } => false,
        }
    }

    /// The row that must be committed before it leaves; 0: none.
    fn gate(&self) -> i64 {
        match self {
            Held::Live { .. } => 0,
            Held::Row { id, .. } | Held::Feed { id, .. } => *id,
        }
    }
}

/// What became of a stanza offered to an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Queued.
    Queued,
    /// The outbox is full or its stream is ending: nothing was taken.
    Detached,
}

/// How a stream is to be closed by its owner.
#[derive(Clone, Debug)]
pub enum Close {
    /// With a stream error.
    Error(StreamError),
    /// Without one.
    Quiet,
    /// Not at all: the socket is dropped, so that the client may resume (XEP-0198 §5).
    Drop,
}

/// See the [module](self).
pub struct Outbox {
    inner: Mutex<Inner>,
    /// Changed under the lock of `inner`, and looked at without.
    detached: AtomicBool,
    max_bytes: usize,
}

/// What the stream's owner finds when it is woken.
pub enum Wake {
    /// Bytes to write.
    Bytes(Batch),
    /// The stream is to be closed, and why.
    Close(Close),
    /// Another connection takes the session over.
    Replaced,
    /// The time set on the wheel has come.
    Tick,
}

impl Outbox {
    /// An empty outbox of at most `max_bytes` queued bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Outbox {
            inner: Mutex::new(Inner::default()),
            detached: AtomicBool::new(false),
            max_bytes,
        }
    }

    /// Queues a stanza that need not be kept: an IQ, presence, an error.
    pub fn push(&self, stanza: &Stanza) -> Push {
        let mut inner = self.inner.lock();
        let waiting = Waiting {
            thin: Thin::of(stanza),
            ..Waiting::plain(stanza.bytes().clone())
        };
        self.enqueue(&mut inner, waiting)
    }

    /// Queues the copy of a message, which may wait as long as the message itself, and which nobody
    /// may see before that row is committed; 0: there is none.
    pub fn push_copy(&self, copy: &Stanza, of: &Stanza, row: i64) -> Push {
        let mut inner = self.inner.lock();
        let waiting = Waiting {
            thin: Thin::of(of),
            gate: row,
            ..Waiting::plain(copy.bytes().clone())
        };
        self.enqueue(&mut inner, waiting)
    }

    /// Puts bytes before everything that is queued: the answer to the binding. They do not count
    /// as a stanza.
    pub fn push_first(&self, bytes: Bytes) {
        let mut inner = self.inner.lock();
        inner.queued_bytes += bytes.len();
        inner.urgent = true;
        inner.queue.push_front(Waiting::raw(bytes));
        inner.wake();
    }

    /// Queues bytes that do not count as a stanza, in their place among those that do.
    pub fn push_raw(&self, bytes: Bytes) -> Push {
        let mut inner = self.inner.lock();
        self.enqueue(&mut inner, Waiting::raw(bytes))
    }

    /// Queues a message whose custody stays with the server until the client has taken it.
    pub fn push_held(&self, stanza: &Stanza, held: Held) -> Push {
        let mut inner = self.inner.lock();
        let waiting = Waiting {
            gate: held.gate(),
            source: Source::Held(held),
            ..Waiting::plain(stanza.bytes().clone())
        };
        self.enqueue(&mut inner, waiting)
    }

    /// Queues a row of a feed, or what is only for those who are there: a stanza for the session
    /// `to`. `tail` is all of it behind its name, without a `to`, and others get it too.
    pub fn push_shared(&self, to: &Jid, tail: Bytes, shared: Shared) -> Push {
        let start = match shared {
            Shared::Presence => Start::Presence,
            Shared::Row { .. } | Shared::Passing | Shared::Notice => Start::Message,
        };
        let mut waiting = Waiting {
            head: Some(Head::new(start, to)),
            ..Waiting::plain(tail)
        };
        match shared {
            Shared::Row { feed, id } => {
                waiting.gate = id;
                waiting.source = Source::Held(Held::Feed { feed, id });
                return self.put(&mut self.inner.lock(), waiting);
            }
            Shared::Presence => waiting.thin = Thin::Presence,
            Shared::Passing => waiting.thin = Thin::ChatState,
            Shared::Notice => {}
        }
        self.enqueue(&mut self.inner.lock(), waiting)
    }

    fn enqueue(&self, inner: &mut Inner, waiting: Waiting) -> Push {
        let outcome = self.put(inner, waiting);
        if outcome == Push::Queued && !inner.rests() {
            inner.wake();
        }
        outcome
    }

    /// Queues a piece, if there is room, and wakes nobody.
    fn put(&self, inner: &mut Inner, waiting: Waiting) -> Push {
        if self.is_detached() {
            return Push::Detached;
        }
        let length = waiting.len();
        let will_hold = inner.held_bytes + inner.bytes_to_hold(&waiting);
        if will_hold > self.max_bytes * HELD_FACTOR || inner.untaken.len() >= MAX_UNTAKEN {
            self.detach(inner);
            return Push::Detached;
        }
        // What is sent again was within the bound before.
        let sent_again = inner.sent_again.min(self.max_bytes * HELD_FACTOR);
        let bound = self.max_bytes.max(length) + sent_again;
        if inner.queued_bytes + length > bound {
            inner.thin_out();
            if inner.queued_bytes + length > bound {
                self.detach(inner);
                return Push::Detached;
            }
        }
        inner.push(waiting);
        // What an inactive client is spared must not fill the outbox of one that reads.
        inner.urgent |= inner.inactive && inner.queued_bytes > self.max_bytes / 2;
        Push::Queued
    }

    fn detach(&self, inner: &mut Inner) {
        self.detached.store(true, Ordering::Release);
        inner.close.get_or_insert_with(|| {
            Box::new(Close::Error(
                StreamError::new(waxwing_xmpp::error::StreamCondition::PolicyViolation)
                    .with_text("too much waits to be read on this stream"),
            ))
        });
        // Messages in custody go back to the account; writing the rest to a reader that slow is
        // hopeless.
        inner.end_queue_of_slow();
        inner.wake_successors();
        inner.wake();
    }

    /// Ends the stream: nothing more is taken, and the owner is told how to close.
    pub fn close(&self, close: Close) {
        let mut inner = self.inner.lock();
        self.detached.store(true, Ordering::Release);
        inner.close.get_or_insert_with(|| Box::new(close));
        inner.wake_successors();
        inner.wake();
    }

    /// Whether nothing more is taken.
    pub fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    /// Queued bytes.
    pub fn queued_bytes(&self) -> usize {
        self.inner.lock().queued_bytes
    }

    /// Gives back room that is not used: an idle session holds nothing.
    pub fn shrink(&self) {
        let mut inner = self.inner.lock();
        inner.untaken.shrink_to_fit();
        inner.queue.shrink_to_fit();
    }

    /// The bound of the queue in bytes.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Whether more than half of what may wait does.
    pub fn is_half_full(&self) -> bool {
        self.queued_bytes() > self.max_bytes / 2
    }

    /// Whether the client lets wait what can (XEP-0352); what waited goes when it does not.
    pub fn set_inactive(&self, inactive: bool) {
        let mut inner = self.inner.lock();
        inner.inactive = inactive;
        inner.wake();
    }

    /// Lets go what an inactive client need not be sent yet: its owner waits for the queue to shrink.
    pub fn hurry(&self) {
        self.inner.lock().urgent = true;
    }

    /// Wakes the owner because a time it set has come.
    pub fn tick(&self) {
        let mut inner = self.inner.lock();
        inner.tick = true;
        inner.wake();
    }

    /// Wakes the owner for another reason than what lies here.
    pub fn wake(&self) {
        self.inner.lock().wake();
    }

    /// Ends the queue and hands out what may still be written to the ending stream: not the
    /// messages in custody, which go back to the account.
    pub fn drain_queue(&self) -> Vec<Bytes> {
        let mut inner = self.inner.lock();
        self.detached.store(true, Ordering::Release);
        let left = inner.end_queue();
        left.iter().map(Waiting::to_bytes).collect()
    }

    /// Takes what there is, at most `max` stanzas or 64 KiB at a time, and no message above the row
    /// `committed`, which is asked under the lock, so that a commit after it wakes; with `max` 0
    /// nothing can be written, and only the other reasons to wake count. Registers the task
    /// otherwise.
    pub fn poll_take(
        &self,
        cx: &mut Context<'_>,
        max: usize,
        committed: impl Fn() -> i64,
    ) -> Poll<Wake> {
        let mut inner = self.inner.lock();
        if inner.is_replaced() {
            return Poll::Ready(Wake::Replaced);
        }
        if max > 0
            && let Some(batch) = inner.take(max, committed())
        {
            return Poll::Ready(Wake::Bytes(batch));
        }
        if let Some(close) = inner.close.take() {
            return Poll::Ready(Wake::Close(*close));
        }
        if std::mem::take(&mut inner.tick) {
            return Poll::Ready(Wake::Tick);
        }
        inner.register(cx);
        Poll::Pending
    }

    /// Registers the task to be woken without taking anything.
    pub fn register(&self, cx: &mut Context<'_>) {
        self.inner.lock().register(cx);
    }
}

#[cfg(test)]
mod tests;
