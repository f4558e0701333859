//! Stream management (XEP-0198) on the way to the client: a session that outlives its connection.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use waxwing_xmpp::Stanza;
use waxwing_xmpp::sm::{Acknowledged, TooHigh};

use super::batch::{Source, Thin, Waiting};
use super::queue::{Inner, Managed, Sent};
use super::taken::Taken;
use super::{Close, Held, Outbox, Push};

/// A session without a connection, as it is written down over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asleep {
    /// The `h` that the client acknowledged last.
    pub acknowledged: u32,
    /// What was sent and not acknowledged, in order.
    pub untaken: Vec<Unacknowledged>,
    /// What waits to be sent.
    pub queue: Vec<Bytes>,
}

/// A stanza that was sent and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unacknowledged {
    /// To be sent again; empty: what it was is gone.
    Stanza(Bytes),
    /// A row of the mailbox.
    Row {
        /// Its id.
        id: i64,
        /// Its size.
        bytes: u32,
        /// As in [`Held::Row`].
        brief: bool,
        /// As in [`Held::Row`].
        in_order: bool,
    },
    /// A row of a feed.
    Feed {
        /// As in [`Held::Feed`].
        feed: i64,
        /// Its id.
        id: i64,
    },
}

/// What a session held when its connection broke.
#[derive(Default)]
pub struct Broken {
    /// Messages that live in memory only: to be stored. Those that were sent have a place, in which
    /// [`Outbox::settle_broken`] puts the row.
    pub live: Vec<(Option<usize>, Bytes, Held)>,
    /// Rows for this resource alone, with their stanzas, for the account's other sessions.
    pub directed: Vec<(Bytes, Held)>,
    /// Rows that were to be sent, and were not.
    pub lost: Vec<i64>,
}

impl Inner {
    /// Ends the queue of which too much is there. Where no connection owns it, the rest is looked at
    /// once more when the session ends.
    pub(super) fn end_queue_of_slow(&mut self) {
        let rest = self.end_queue();
        let managed = self.managed.as_ref();
        if managed.is_some_and(|managed| managed.ends.is_some()) {
            self.queue = rest;
            self.recount();
        }
    }

    pub(super) fn is_replaced(&self) -> bool {
        let managed = self.managed.as_ref();
        managed.is_some_and(|managed| managed.ends.is_none() && !managed.successors.is_empty())
    }

    pub(super) fn acknowledge(&mut self, h: u32) -> Result<usize, TooHigh> {
        let sent = self.untaken.len();
        let Some(managed) = &mut self.managed else {
            return Acknowledged::default().acknowledge(h, 0);
        };
        let counted = sent.saturating_sub(managed.before);
        let newly = managed.acknowledged.acknowledge(h, counted)?;
        // Who has read our question has read what was sent before.
        Ok(newly + std::mem::take(&mut managed.before))
    }

    pub(super) fn wake_successors(&mut self) {
        if let Some(managed) = &mut self.managed {
            managed.successors.drain(..).for_each(Waker::wake);
        }
    }
}

impl Outbox {
    /// Counts from here on what is written (XEP-0198 §3). What was given before and not shown to be
    /// taken is covered by the first acknowledgement. `max`: how long the session is kept without a
    /// connection, if it is.
    pub fn manage(&self, max: Option<Duration>) {
        let mut inner = self.inner.lock();
        inner.probe = None;
        inner.managed = Some(Box::new(Managed {
            acknowledged: Acknowledged::default(),
            before: inner.untaken.len(),
            resumable: max.is_some(),
            max: max.unwrap_or_default(),
            ends: None,
            due: None,
            successors: Vec::new(),
        }));
    }

    /// Puts `<enabled/>` in front of all that waits but the answer to the binding: what is written
    /// behind it counts.
    pub fn push_enabled(&self, enabled: Bytes) {
        let mut inner = self.inner.lock();
        inner.queued_bytes += enabled.len();
        inner.urgent = true;
        let is_raw = |waiting: &&Waiting| matches!(waiting.source, Source::Raw);
        let at = inner.queue.iter().take_while(is_raw).count();
        inner.queue.insert(at, Waiting::raw(enabled));
        inner.wake();
    }

    /// Queues the error for a message of this session. Until it has left, nothing that covers the
    /// message may be acknowledged: [`refuses`](Self::refuses).
    pub fn push_refusal(&self, error: &Stanza) -> Push {
        let mut inner = self.inner.lock();
        let waiting = Waiting {
            source: Source::Refusal,
            ..Waiting::plain(error.bytes().clone())
        };
        self.enqueue(&mut inner, waiting)
    }

    /// Whether the error for a message waits: behind rows that are being stored, or for the socket.
    pub fn refuses(&self) -> bool {
        self.inner.lock().refuses
    }

    /// Whether a broken stream can be resumed.
    pub fn is_resumable(&self) -> bool {
        let inner = self.inner.lock();
        let managed = inner.managed.as_ref();
        managed.is_some_and(|managed| managed.resumable)
    }

    /// Its connection is to be dropped, without a word, so that the client resumes the stream.
    pub fn drop_connection(&self) {
        let mut inner = self.inner.lock();
        inner.close.get_or_insert_with(|| Box::new(Close::Drop));
        inner.wake();
    }

    /// Until when the session is kept without a connection; `None`: one owns it.
    pub fn asleep_until(&self) -> Option<Duration> {
        self.inner.lock().managed.as_ref()?.ends
    }

    /// The connection is gone, at `now`. Messages leave the queue: they are read from the mailbox at
    /// resumption.
    pub fn sleep(&self, now: Duration) -> Broken {
        let mut inner = self.inner.lock();
        let mut broken = Broken::default();
        let before = inner
            .managed
            .as_mut()
            .map(|managed| std::mem::take(&mut managed.before));
        // They do not count in the stream: the client cannot say that it has them.
        for _ in 0..before.unwrap_or(0) {
            let sent = inner.pop_untaken();
            if let Some((stanza, held)) = sent.and_then(|sent| Some((sent.stanza, sent.held?))) {
                broken.unsent(stanza, held);
            }
        }
        (inner.probe, inner.inactive) = (None, false);
        for (place, sent) in inner.untaken.iter_mut().enumerate() {
            match &sent.held {
                Some(Held::Live { storing: false, .. }) => {
                    let held = sent.held.take();
                    let held = held.map(|held| (Some(place), sent.stanza.clone(), held));
                    broken.live.extend(held);
                    sent.stanza = Bytes::new();
                }
                Some(held @ Held::Row { directed: true, .. }) => {
                    let stanza = std::mem::take(&mut sent.stanza);
                    broken.directed.push((stanza, held.clone()));
                }
                _ => {}
            }
        }
        let queue = std::mem::take(&mut inner.queue);
        (inner.queued_bytes, inner.urgent, inner.newest_row) = (0, false, 0);
        for waiting in queue {
            match waiting.source {
                Source::Plain | Source::Refusal => inner.push(waiting),
                Source::Held(held) => broken.unsent(waiting.stanza, held),
                Source::Raw => {}
            }
        }
        inner.recount_held();
        if let Some(managed) = &mut inner.managed {
            let ends = managed.due.take().unwrap_or(now + managed.max);
            managed.ends = Some(ends);
        }
        inner.wake_successors();
        broken
    }

    /// A message that was sent, and lived in memory only when the connection broke, is that row now.
    pub fn settle_broken(&self, place: usize, row: Held) {
        let mut inner = self.inner.lock();
        if let Some(sent) = inner.untaken.get_mut(place) {
            sent.held = Some(row);
        }
        inner.recount_held();
    }

    /// Ends a session that no connection owns, if its time is over or it could hold no more. True:
    /// nothing more is taken, and nobody can own it any more.
    pub fn expire(&self, now: Duration) -> bool {
        let mut inner = self.inner.lock();
        let ends = inner.managed.as_ref().and_then(|managed| managed.ends);
        let is_over = ends.is_some_and(|ends| ends <= now || self.is_detached());
        if is_over {
            self.detached.store(true, Ordering::Release);
            inner.wake_successors();
        }
        is_over
    }

    /// Waits until no connection owns it, and owns it. The connection that does is told to leave.
    /// Ready also if the session has ended: [`is_detached`](Self::is_detached) tells.
    pub fn poll_attach(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if self.is_detached() {
            return Poll::Ready(());
        }
        let Some(managed) = &mut inner.managed else {
            return Poll::Ready(());
        };
        if let Some(ends) = managed.ends.take() {
            managed.due = Some(ends);
            inner.waker = None;
            return Poll::Ready(());
        }
        let mut known = managed.successors.iter();
        if !known.any(|waker| waker.will_wake(cx.waker())) {
            managed.successors.push(cx.waker().clone());
        }
        inner.wake();
        Poll::Pending
    }

    /// The client takes the stream up again and has handled `h` stanzas: the rest is to be sent
    /// again, before what waits (XEP-0198 §5). Returns what was taken, and the rows that were not,
    /// each with whether it was given in order.
    pub fn resume(&self, h: u32) -> Result<(Taken, Vec<(i64, bool)>), TooHigh> {
        let taken = self.acknowledged(h)?;
        let mut inner = self.inner.lock();
        if let Some(managed) = &mut inner.managed {
            managed.due = None;
        }
        let untaken = std::mem::take(&mut inner.untaken);
        let queue = std::mem::take(&mut inner.queue);
        (inner.queued_bytes, inner.held_bytes, inner.answered_for) = (0, 0, 0);
        let mut rows = Vec::new();
        for Sent { stanza, held } in untaken {
            match held {
                Some(Held::Row { id, in_order, .. }) => rows.push((id, in_order)),
                // What is being stored comes from the mailbox, what a feed has from there; an empty
                // one is gone.
                Some(Held::Live { storing: true, .. } | Held::Feed { .. }) => {}
                // It could not be stored while the session slept.
                Some(held @ Held::Live { .. }) => {
                    let source = Source::Held(held);
                    inner.push(Waiting {
                        source,
                        ..Waiting::plain(stanza)
                    });
                }
                None if stanza.is_empty() => {}
                None => {
                    inner.sent_again += stanza.len();
                    inner.push(Waiting::plain(stanza));
                }
            }
        }
        queue.into_iter().for_each(|waiting| inner.push(waiting));
        Ok((taken, rows))
    }

    /// As it is written down, and how long it is kept; `None`: it does not sleep.
    pub fn asleep(&self) -> Option<(Asleep, Duration)> {
        let inner = self.inner.lock();
        let managed = inner.managed.as_ref();
        let managed = managed.filter(|managed| managed.ends.is_some() && !self.is_detached())?;
        let unacknowledged = |sent: &Sent| match sent.held {
            Some(Held::Row {
                id,
                bytes,
                brief,
                in_order,
                ..
            }) => Unacknowledged::Row {
                id,
                bytes,
                brief,
                in_order,
            },
            Some(Held::Feed { feed, id }) => Unacknowledged::Feed { feed, id },
            _ => Unacknowledged::Stanza(sent.stanza.clone()),
        };
        let asleep = Asleep {
            acknowledged: managed.acknowledged.h(),
            untaken: inner.untaken.iter().map(unacknowledged).collect(),
            queue: inner.queue.iter().map(Waiting::to_bytes).collect(),
        };
        Some((asleep, managed.max))
    }

    /// Takes up what was written down, to be kept for `max` from `now` on.
    pub fn restore(&self, asleep: Asleep, max: Duration, now: Duration) {
        let mut inner = self.inner.lock();
        inner.managed = Some(Box::new(Managed {
            acknowledged: Acknowledged::new(asleep.acknowledged),
            before: 0,
            resumable: true,
            max,
            ends: Some(now + max),
            due: None,
            successors: Vec::new(),
        }));
        for unacknowledged in asleep.untaken {
            let (stanza, held) = match unacknowledged {
                Unacknowledged::Stanza(stanza) => (stanza, None),
                Unacknowledged::Feed { feed, id } => (Bytes::new(), Some(Held::Feed { feed, id })),
                Unacknowledged::Row {
                    id,
                    bytes,
                    brief,
                    in_order,
                } => {
                    let row = Held::Row {
                        id,
                        bytes,
                        brief,
                        in_order,
                        directed: false,
                    };
                    (Bytes::new(), Some(row))
                }
            };
            inner.untaken.push_back(Sent { stanza, held });
        }
        inner.recount_held();
        for stanza in asleep.queue {
            let thin =
                Stanza::parse(stanza.clone()).map_or(Thin::Never, |stanza| Thin::of(&stanza));
            inner.push(Waiting {
                thin,
                ..Waiting::plain(stanza)
            });
        }
    }
}

impl Broken {
    fn unsent(&mut self, stanza: Bytes, held: Held) {
        match &held {
            // Its row is on the way, or is read again.
            Held::Live { storing: true, .. } | Held::Feed { .. } => {}
            Held::Live { .. } => self.live.push((None, stanza, held)),
            Held::Row { id, directed, .. } => {
                // The pages may not come to it: that is for its position to know.
                self.lost.push(*id);
                if *directed {
                    self.directed.push((stanza, held));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
