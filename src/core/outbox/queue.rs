//! What the lock of an outbox protects.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use waxwing_xmpp::Stanza;
use waxwing_xmpp::sm::Acknowledged;

use super::batch::{Batch, Source, Thin, Waiting};
use super::{Close, Held};

/// Bytes that are taken for writing at a time.
const MAX_BATCH_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Inner {
    pub(super) queue: VecDeque<Waiting>,
    pub(super) queued_bytes: usize,
    /// The newest row in the queue: none above what is committed may leave.
    pub(super) newest_row: i64,
    /// What was handed out and not shown to be taken, in order: with stream management every
    /// stanza, else those that the server answers for.
    pub(super) untaken: VecDeque<Sent>,
    /// Bytes of [`Sent`], and of live messages in the queue.
    pub(super) held_bytes: usize,
    /// Bytes in the queue that were sent before: they do not count towards its bound.
    pub(super) sent_again: usize,
    /// How many of `untaken` the server answers for.
    pub(super) answered_for: usize,
    pub(super) probe: Option<Probe>,
    /// Boxed: not every session has it.
    pub(super) managed: Option<Box<Managed>>,
    /// Boxed: it comes once in a life.
    pub(super) close: Option<Box<Close>>,
    pub(super) tick: bool,
    /// What may wait, waits (XEP-0352).
    pub(super) inactive: bool,
    /// Whether something in the queue may not wait.
    pub(super) urgent: bool,
    /// Whether the error for a message is in the queue.
    pub(super) refuses: bool,
    pub(super) waker: Option<Waker>,
}

/// A stanza that was handed to the socket.
pub(super) struct Sent {
    /// Empty where it need not be sent again.
    pub(super) stanza: Bytes,
    pub(super) held: Option<Held>,
}

/// A ping on its way: its answer shows that the first `covers` untaken messages were taken.
pub(super) struct Probe {
    pub(super) id: u64,
    pub(super) covers: usize,
}

/// Stream management on the way to the client.
pub(super) struct Managed {
    pub(super) acknowledged: Acknowledged,
    /// How many of the untaken were given before it was enabled: they do not count.
    pub(super) before: usize,
    /// Whether stanzas are to be sent again if the stream breaks.
    pub(super) resumable: bool,
    /// How long the session is kept without a connection.
    pub(super) max: Duration,
    /// Until when it is kept, by the monotonic clock; `None` while a connection owns the outbox.
    pub(super) ends: Option<Duration>,
    /// The same while a connection owns it that has not resumed the stream yet: should it not, nothing
    /// has changed.
    pub(super) due: Option<Duration>,
    /// Connections that want to own it.
    pub(super) successors: Vec<Waker>,
}

impl Inner {
    pub(super) fn register(&mut self, cx: &mut Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.queued_bytes += waiting.len();
        self.newest_row = self.newest_row.max(waiting.gate);
        if let Source::Held(Held::Live { .. }) = &waiting.source {
            self.held_bytes += waiting.len();
        }
        self.urgent |= matches!(waiting.thin, Thin::Never);
        self.refuses |= matches!(waiting.source, Source::Refusal);
        self.queue.push_back(waiting);
    }

    /// Whether the queue may not leave yet: its client is inactive, and nothing in it matters.
    pub(super) fn rests(&self) -> bool {
        self.inactive && !self.urgent
    }

    /// Takes what may leave: no row above `committed`, and nothing behind it. Hands over the queue
    /// itself where it is short: no allocation, and nothing stays behind.
    pub(super) fn take(&mut self, max: usize, committed: i64) -> Option<Batch> {
        if self.queue.is_empty() || self.rests() {
            return None;
        }
        if self.inactive {
            self.thin_presence();
        }
        let all = self.newest_row <= committed;
        if all && self.queue.len() <= max && self.queued_bytes <= MAX_BATCH_BYTES {
            let mut taken = std::mem::take(&mut self.queue);
            self.queued_bytes = 0;
            self.sent_again = 0;
            (self.urgent, self.refuses) = (false, false);
            taken.iter_mut().for_each(|waiting| self.note(waiting));
            return Some(Batch(taken));
        }
        let mut taken = VecDeque::new();
        let mut bytes = 0;
        while taken.len() < max && bytes < MAX_BATCH_BYTES {
            let may_leave = |waiting: &mut Waiting| waiting.gate <= committed;
            let Some(mut waiting) = self.queue.pop_front_if(may_leave) else {
                break;
            };
            bytes += waiting.len();
            self.note(&mut waiting);
            taken.push_back(waiting);
        }
        self.queued_bytes -= bytes;
        if self.queue.is_empty() {
            self.sent_again = 0;
            self.urgent = false;
        }
        self.refuses &= self.queue.iter().any(Waiting::is_refusal);
        (!taken.is_empty()).then_some(Batch(taken))
    }

    /// Remembers what leaves for the socket, if its taking is to be shown.
    pub(super) fn note(&mut self, waiting: &mut Waiting) {
        let held = match std::mem::replace(&mut waiting.source, Source::Raw) {
            Source::Raw => return,
            Source::Plain | Source::Refusal => None,
            Source::Held(held) => Some(held),
        };
        let stanza = match (&held, &self.managed) {
            (None, None) => return,
            (None, Some(managed)) if managed.resumable => waiting.to_bytes(),
            (Some(held), _) if held.needs_bytes() => waiting.to_bytes(),
            _ => Bytes::new(),
        };
        if !matches!(held, Some(Held::Live { .. })) {
            self.held_bytes += stanza.len();
        }
        self.answered_for += usize::from(held.is_some());
        self.untaken.push_back(Sent { stanza, held });
    }

    /// Nothing more leaves by the queue: messages in it count as untaken. Returns the rest.
    pub(super) fn end_queue(&mut self) -> VecDeque<Waiting> {
        let mut rest = VecDeque::new();
        for mut waiting in std::mem::take(&mut self.queue) {
            if matches!(waiting.source, Source::Held(_)) {
                self.note(&mut waiting);
            } else {
                rest.push_back(waiting);
            }
        }
        self.queued_bytes = 0;
        rest
    }

    /// Looks at every message in custody, in order.
    pub(super) fn each_held(&mut self, mut look: impl FnMut(&Bytes, &mut Held)) {
        for sent in &mut self.untaken {
            if let Some(held) = &mut sent.held {
                look(&sent.stanza, held);
            }
        }
        for waiting in &mut self.queue {
            if let Source::Held(held) = &mut waiting.source {
                look(&waiting.stanza, held);
            }
        }
    }

    /// Bytes that a stanza adds to what is held once it has left, or does already.
    pub(super) fn bytes_to_hold(&self, waiting: &Waiting) -> usize {
        let is_held = match &waiting.source {
            Source::Raw => false,
            Source::Plain | Source::Refusal => self
                .managed
                .as_ref()
                .is_some_and(|managed| managed.resumable),
            Source::Held(held) => held.needs_bytes(),
        };
        if is_held { waiting.len() } else { 0 }
    }

    /// Removes the oldest untaken stanza.
    pub(super) fn pop_untaken(&mut self) -> Option<Sent> {
        let sent = self.untaken.pop_front()?;
        self.held_bytes -= sent.stanza.len();
        self.answered_for -= usize::from(sent.held.is_some());
        Some(sent)
    }

    /// Drops what a later stanza replaces and what nobody would miss.
    pub(super) fn thin_out(&mut self) {
        self.thin_presence();
        self.queue
            .retain(|waiting| !matches!(waiting.thin, Thin::ChatState));
        self.recount();
    }

    /// Drops presence that a later one from the same address replaces.
    fn thin_presence(&mut self) {
        let is_presence = |waiting: &&Waiting| matches!(waiting.thin, Thin::Presence);
        if self.queue.iter().filter(is_presence).nth(1).is_none() {
            return;
        }
        let mut later = HashSet::new();
        let mut kept = VecDeque::with_capacity(self.queue.len());
        for waiting in self.queue.drain(..).rev() {
            let keep = match waiting.thin {
                Thin::Never | Thin::ChatState => true,
                Thin::Presence => match Stanza::parse(waiting.to_bytes()) {
                    Ok(presence) => later.insert(presence.from().map(Cow::into_owned)),
                    Err(_) => true,
                },
            };
            if keep {
                kept.push_front(waiting);
            }
        }
        self.queue = kept;
        self.recount();
    }

    /// Counts anew what is held, after something of it changed.
    pub(super) fn recount_held(&mut self) {
        let queued = (self.queue.iter())
            .filter(|waiting| matches!(waiting.source, Source::Held(Held::Live { .. })))
            .map(Waiting::len);
        let sent = self.untaken.iter().map(|sent| sent.stanza.len());
        self.held_bytes = sent.chain(queued).sum();
        let answered_for = self.untaken.iter().filter(|sent| sent.held.is_some());
        self.answered_for = answered_for.count();
    }

    pub(super) fn recount(&mut self) {
        self.queued_bytes = self.queue.iter().map(Waiting::len).sum();
    }
}
