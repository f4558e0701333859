//! Stream management (XEP-0198) on the way to the client: a session that outlives its connection.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use waxwing_xmpp::sm::{Acknowledged, TooHigh};

use super::batch::{Source, Waiting};
use super::queue::{Inner, Managed, Sent};
use super::taken::Taken;
use super::{Close, Held, Outbox};

/// A session without a connection, as it is written down over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asleep {
    /// The `h` that the client acknowledged last.
    pub acknowledged: u32,
    /// What was sent and not acknowledged, in order: the row, or the stanza to be sent again.
    pub untaken: Vec<(Option<i64>, Bytes)>,
    /// What waits to be sent.
    pub queue: Vec<Bytes>,
}

impl Inner {
    pub(super) fn is_replaced(&self) -> bool {
        let managed = self.managed.as_ref();
        managed.is_some_and(|managed| managed.attached && !managed.successors.is_empty())
    }

    pub(super) fn acknowledge(&mut self, h: u32) -> Result<usize, TooHigh> {
        let sent = self.untaken.len();
        let Some(managed) = &mut self.managed else {
            return Acknowledged::default().acknowledge(h.max(1), 0);
        };
        let counted = sent.saturating_sub(managed.before);
        let newly = managed.acknowledged.acknowledge(h, counted)?;
        // Who has read our question has read what was sent before.
        Ok(newly + std::mem::take(&mut managed.before))
    }
}

impl Outbox {
    /// Counts from here on what is written (XEP-0198 §3). What was given before and not shown to be
    /// taken is covered by the first acknowledgement.
    pub fn manage(&self, resumable: bool) {
        let mut inner = self.inner.lock();
        inner.probe = None;
        inner.managed = Some(Box::new(Managed {
            acknowledged: Acknowledged::default(),
            before: inner.untaken.len(),
            resumable,
            attached: true,
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

    /// Whether stream management is on.
    pub fn is_managed(&self) -> bool {
        self.inner.lock().managed.is_some()
    }

    /// Whether a broken stream can be resumed.
    pub fn is_resumable(&self) -> bool {
        let inner = self.inner.lock();
        inner
            .managed
            .as_ref()
            .is_some_and(|managed| managed.resumable)
    }

    /// Its connection is to be dropped, without a word, so that the client resumes the stream.
    pub fn drop_connection(&self) {
        let mut inner = self.inner.lock();
        inner.close.get_or_insert_with(|| Box::new(Close::Drop));
        inner.wake();
    }

    /// Whether no connection owns it.
    pub fn is_asleep(&self) -> bool {
        let inner = self.inner.lock();
        inner
            .managed
            .as_ref()
            .is_some_and(|managed| !managed.attached)
    }

    /// The connection is gone. Messages leave the queue: they are read from the mailbox at
    /// resumption. `store` is given each that lives in memory only and says the row it became.
    /// Returns messages that were for this resource alone, for the account's other sessions.
    pub fn sleep(&self, mut store: impl FnMut(&Bytes, &Held) -> Option<i64>) -> Vec<(Bytes, Held)> {
        let mut inner = self.inner.lock();
        inner.probe = None;
        inner.inactive = false;
        let mut directed = Vec::new();
        let mut settle = |stanza: &Bytes, held: &Held| match held {
            Held::Live { storing: true, .. } => None,
            Held::Live { .. } => store(stanza, held),
            Held::Row {
                id,
                directed: is_directed,
                ..
            } => {
                if *is_directed && !stanza.is_empty() {
                    directed.push((stanza.clone(), held.clone()));
                }
                Some(*id)
            }
        };
        for sent in &mut inner.untaken {
            let Some(held) = &sent.held else { continue };
            if let Held::Live { storing: true, .. } = held {
                // Its row is on the way.
                continue;
            }
            let (brief, bytes) = match held {
                Held::Row { brief, bytes, .. } => (*brief, *bytes),
                Held::Live { .. } => (true, u32::try_from(sent.stanza.len()).unwrap_or(u32::MAX)),
            };
            sent.held = settle(&sent.stanza, held).map(|id| Held::Row {
                id,
                bytes,
                brief,
                directed: false,
            });
            sent.stanza = Bytes::new();
        }
        let queue = std::mem::take(&mut inner.queue);
        (inner.queued_bytes, inner.urgent, inner.newest_row) = (0, false, 0);
        for waiting in queue {
            match &waiting.source {
                Source::Held(held) => drop(settle(&waiting.stanza, held)),
                Source::Plain => inner.push(waiting),
                Source::Raw => {}
            }
        }
        inner.held_bytes = inner.untaken.iter().map(|sent| sent.stanza.len()).sum();
        if let Some(managed) = &mut inner.managed {
            managed.attached = false;
            managed.successors.drain(..).for_each(Waker::wake);
        }
        directed
    }

    /// Waits until no connection owns it, and owns it. The connection that does is told to leave.
    pub fn poll_attach(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        let Some(managed) = &mut inner.managed else {
            return Poll::Ready(());
        };
        if managed.attached {
            managed.successors.push(cx.waker().clone());
            inner.wake();
            return Poll::Pending;
        }
        managed.attached = true;
        inner.waker = None;
        Poll::Ready(())
    }

    /// The client takes the stream up again and has handled `h` stanzas: the rest is to be sent
    /// again, before what waits (XEP-0198 §5).
    pub fn resume(&self, h: u32) -> Result<Taken, TooHigh> {
        let taken = self.acknowledged(h)?;
        let mut inner = self.inner.lock();
        inner.held_bytes = 0;
        inner.answered_for = 0;
        let untaken = std::mem::take(&mut inner.untaken);
        let queue = std::mem::take(&mut inner.queue);
        inner.queued_bytes = 0;
        for Sent { stanza, held } in untaken {
            // Messages are in the mailbox.
            if held.is_none() {
                inner.push(Waiting::plain(stanza));
            }
        }
        queue.into_iter().for_each(|waiting| inner.push(waiting));
        Ok(taken)
    }

    /// As it is written down: of a session that sleeps.
    pub fn asleep(&self) -> Asleep {
        let inner = self.inner.lock();
        let managed = inner.managed.as_ref();
        let row = |sent: &Sent| match sent.held {
            Some(Held::Row { id, .. }) => Some(id),
            _ => None,
        };
        Asleep {
            acknowledged: managed.map_or(0, |managed| managed.acknowledged.h()),
            untaken: (inner.untaken.iter())
                .map(|sent| (row(sent), sent.stanza.clone()))
                .collect(),
            queue: (inner.queue.iter())
                .map(|waiting| waiting.stanza.clone())
                .collect(),
        }
    }

    /// Takes up what was written down.
    pub fn restore(&self, asleep: Asleep) {
        let mut inner = self.inner.lock();
        inner.managed = Some(Box::new(Managed {
            acknowledged: Acknowledged::new(asleep.acknowledged),
            before: 0,
            resumable: true,
            attached: false,
            successors: Vec::new(),
        }));
        for (row, stanza) in asleep.untaken {
            let held = row.map(|id| Held::Row {
                id,
                bytes: 0,
                brief: false,
                directed: false,
            });
            inner.held_bytes += stanza.len();
            inner.answered_for += usize::from(held.is_some());
            inner.untaken.push_back(Sent { stanza, held });
        }
        for stanza in asleep.queue {
            inner.push(Waiting::plain(stanza));
        }
    }
}
