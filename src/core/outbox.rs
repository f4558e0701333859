//! What waits to be written to one client, and what it has been given but not yet shown to have
//! taken.
//!
//! The queue is bounded by bytes. At the bound it is thinned (presence that a later one replaces,
//! chat states); if that does not help, the outbox *detaches*: it takes nothing more, its owner
//! closes the stream, and the messages in it go back to the account. Nobody ever waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use waxwing_xmpp::{Stanza, StreamError};

use crate::clock::Timestamp;

mod batch;
mod queue;

pub use batch::{Batch, BatchPieces, is_only_chat_state};
use batch::{Thin, Waiting};
use queue::{Inner, Probe};

/// Messages given and not shown to be taken from which the client is asked without a pause.
const PROBE_NOW_MESSAGES: usize = 64;
/// Bytes of such messages.
const PROBE_NOW_BYTES: usize = 64 * 1024;
/// Bytes of unacknowledged live messages that may be held, in multiples of the queue's bound.
const UNTAKEN_FACTOR: usize = 16;

/// A message that a client was given and has not yet shown to have taken.
#[derive(Clone, Debug)]
pub enum Untaken {
    /// It lives in memory only; when the session ends it goes back to its account.
    Live {
        /// The message as delivered.
        stanza: Bytes,
        /// When the server received it.
        received: Timestamp,
        /// The account's count of arrivals when it was handed over
        /// ([`State::arrivals`](crate::account::State::arrivals)).
        arrivals: u64,
    },
    /// It lives in the mailbox.
    Row {
        /// Its id there.
        id: i64,
        /// Its size there.
        bytes: u64,
    },
}

/// What became of a stanza offered to an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Queued.
    Queued,
    /// The outbox is full or its stream is ending: nothing was taken.
    Detached,
}

/// How soon a client is to be asked what it has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeNeed {
    /// There is nothing to ask for, or it has been asked.
    None,
    /// A second after the last time: what there is can wait.
    Soon,
    /// At once: much waits, and custody has a bound.
    Now,
}

/// How a stream is to be closed by its owner.
#[derive(Clone, Debug)]
pub enum Close {
    /// With a stream error.
    Error(StreamError),
    /// Without one.
    Quiet,
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
        self.enqueue(&mut inner, stanza.bytes().clone(), Thin::of(stanza))
    }

    /// Puts bytes before everything that is queued: the answer to the binding.
    pub fn push_first(&self, bytes: Bytes) {
        let mut inner = self.inner.lock();
        inner.queued_bytes += bytes.len();
        inner.queue.push_front(Waiting {
            stanza: bytes,
            thin: Thin::Never,
            kept: false,
        });
        inner.wake();
    }

    /// Queues a message whose custody stays with the server until the client has taken it.
    pub fn push_kept(&self, stanza: &Stanza, source: Untaken) -> Push {
        let mut inner = self.inner.lock();
        let live_bytes = match &source {
            Untaken::Live { stanza, .. } => stanza.len(),
            Untaken::Row { .. } => 0,
        };
        if inner.untaken_bytes + live_bytes > self.max_bytes * UNTAKEN_FACTOR {
            self.detach(&mut inner);
            return Push::Detached;
        }
        if self.enqueue(&mut inner, stanza.bytes().clone(), Thin::Never) == Push::Detached {
            return Push::Detached;
        }
        if let Some(piece) = inner.queue.back_mut() {
            piece.kept = true;
        }
        inner.unwritten += 1;
        inner.untaken.push_back(source);
        inner.untaken_bytes += live_bytes;
        Push::Queued
    }

    fn enqueue(&self, inner: &mut Inner, stanza: Bytes, thin: Thin) -> Push {
        if self.is_detached() {
            return Push::Detached;
        }
        if inner.queued_bytes + stanza.len() > self.max_bytes {
            inner.thin_out();
            if inner.queued_bytes + stanza.len() > self.max_bytes.max(stanza.len()) {
                self.detach(inner);
                return Push::Detached;
            }
        }
        inner.queued_bytes += stanza.len();
        inner.queue.push_back(Waiting {
            stanza,
            thin,
            kept: false,
        });
        inner.wake();
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
        // What waits is kept as untaken messages; writing it to a reader that slow is hopeless.
        inner.queue.clear();
        inner.queued_bytes = 0;
        inner.wake();
    }

    /// Starts a probe if none is on its way; the caller writes a ping with the id returned.
    pub fn begin_probe(&self, id: u64) -> Option<u64> {
        let mut inner = self.inner.lock();
        if inner.probe.is_some() || self.is_detached() {
            return None;
        }
        inner.probe = Some(Probe {
            id,
            // The ping is written behind what was handed out, and before what is queued.
            covers: inner.untaken.len().saturating_sub(inner.unwritten),
        });
        Some(id)
    }

    /// The client answered the ping `id`: what it covered has been taken. Returns id and size of
    /// the mailbox rows among them, or `None` if that ping is not on its way.
    pub fn probe_answered(&self, id: u64) -> Option<Vec<(i64, u64)>> {
        let mut inner = self.inner.lock();
        let probe = inner.probe.take_if(|probe| probe.id == id)?;
        let mut rows = Vec::new();
        for _ in 0..probe.covers {
            match inner.untaken.pop_front() {
                Some(Untaken::Live { stanza, .. }) => inner.untaken_bytes -= stanza.len(),
                Some(Untaken::Row { id, bytes }) => rows.push((id, bytes)),
                None => break,
            }
        }
        Some(rows)
    }

    /// Whether a probe is on its way.
    pub fn is_probing(&self) -> bool {
        self.inner.lock().probe.is_some()
    }

    /// Whether, and how soon, the client is to be asked what it has taken.
    pub fn needs_probe(&self) -> ProbeNeed {
        let inner = self.inner.lock();
        let written = inner.untaken.len().saturating_sub(inner.unwritten);
        if written == 0 || inner.probe.is_some() {
            ProbeNeed::None
        } else if written >= PROBE_NOW_MESSAGES || inner.untaken_bytes >= PROBE_NOW_BYTES {
            ProbeNeed::Now
        } else {
            ProbeNeed::Soon
        }
    }

    /// Ends the stream: nothing more is taken, and the owner is told how to close.
    pub fn close(&self, close: Close) {
        let mut inner = self.inner.lock();
        self.detached.store(true, Ordering::Release);
        inner.close.get_or_insert_with(|| Box::new(close));
        inner.wake();
    }

    /// Whether nothing more is taken.
    pub fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    /// Detaches for good and hands out, in order, what the client has not shown to have taken.
    pub fn take_untaken(&self) -> Vec<Untaken> {
        let mut inner = self.inner.lock();
        self.detached.store(true, Ordering::Release);
        inner.untaken_bytes = 0;
        inner.untaken.drain(..).collect()
    }

    /// Whether it holds messages that were not shown to be taken.
    pub fn has_untaken(&self) -> bool {
        !self.inner.lock().untaken.is_empty()
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
        inner.queued_bytes = 0;
        inner
            .queue
            .drain(..)
            .filter(|waiting| !waiting.kept)
            .map(|waiting| waiting.stanza)
            .collect()
    }

    /// Takes what there is, at most `max` stanzas or 64 KiB at a time; with `max` 0 nothing can be
    /// written, and only the other reasons to wake count. Registers the task otherwise.
    pub fn poll_take(&self, cx: &mut Context<'_>, max: usize) -> Poll<Wake> {
        let mut inner = self.inner.lock();
        if max > 0 && !inner.queue.is_empty() {
            return Poll::Ready(Wake::Bytes(inner.take(max)));
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
