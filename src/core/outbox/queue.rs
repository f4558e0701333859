//! What the lock of an outbox protects.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::task::{Context, Waker};

use waxwing_xmpp::Stanza;

use super::batch::{Batch, Thin, Waiting};
use super::{Close, Untaken};

/// Bytes that are taken for writing at a time.
const MAX_BATCH_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Inner {
    pub(super) queue: VecDeque<Waiting>,
    pub(super) queued_bytes: usize,
    pub(super) untaken: VecDeque<Untaken>,
    pub(super) untaken_bytes: usize,
    /// Untaken messages that are still in the queue: no ping covers them.
    pub(super) unwritten: usize,
    pub(super) probe: Option<Probe>,
    /// Boxed: it comes once in a life.
    pub(super) close: Option<Box<Close>>,
    pub(super) tick: bool,
    pub(super) waker: Option<Waker>,
}

/// A ping on its way: its answer shows that the first `covers` untaken messages were taken.
pub(super) struct Probe {
    pub(super) id: u64,
    pub(super) covers: usize,
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

    /// Hands over the queue itself where it is short: no allocation, and nothing stays behind.
    pub(super) fn take(&mut self, max: usize) -> Batch {
        if self.queue.len() <= max && self.queued_bytes <= MAX_BATCH_BYTES {
            self.queued_bytes = 0;
            self.unwritten = 0;
            return Batch(std::mem::take(&mut self.queue));
        }
        let mut taken = VecDeque::with_capacity(self.queue.len().min(max));
        let mut bytes = 0;
        while taken.len() < max && bytes < MAX_BATCH_BYTES {
            let Some(waiting) = self.queue.pop_front() else {
                break;
            };
            bytes += waiting.stanza.len();
            self.unwritten -= usize::from(waiting.kept);
            taken.push_back(waiting);
        }
        self.queued_bytes -= bytes;
        Batch(taken)
    }

    /// Drops what a later stanza replaces and what nobody would miss.
    pub(super) fn thin_out(&mut self) {
        let mut later = HashSet::new();
        let mut kept = VecDeque::with_capacity(self.queue.len());
        for waiting in self.queue.drain(..).rev() {
            let keep = match waiting.thin {
                Thin::Never => true,
                Thin::Presence => match Stanza::parse(waiting.stanza.clone()) {
                    Ok(presence) => later.insert(presence.from().map(Cow::into_owned)),
                    Err(_) => true,
                },
                Thin::ChatState => false,
            };
            if keep {
                kept.push_front(waiting);
            }
        }
        self.queued_bytes = kept.iter().map(|waiting| waiting.stanza.len()).sum();
        self.queue = kept;
    }
}
