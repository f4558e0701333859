//! What a client was given: how it is asked what it has taken, and what its answer settles.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use waxwing_xmpp::sm::TooHigh;

use super::batch::{Source, Waiting};
use super::queue::{Inner, Probe, Sent};
use super::{Held, Origin, Outbox};
use crate::clock::Timestamp;
use crate::deliver::is_same;

/// Messages given and not shown to be taken from which the client is asked without a pause.
const PROBE_NOW_MESSAGES: usize = 64;
/// The same with stream management: the answer to `<r/>` is a packet that costs as much as a message.
const REQUEST_NOW_MESSAGES: usize = 16;
/// Bytes of such messages.
const PROBE_NOW_BYTES: usize = 64 * 1024;
/// Untaken stanzas from which no more of the mailbox is given.
const LADEN: usize = 4096;

/// How soon a client is to be asked what it has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeNeed {
    /// There is nothing to ask for, or it has been asked.
    None,
    /// In a while: nothing waits that the server answers for.
    Later,
    /// A second after the last time: what there is can wait.
    Soon,
    /// At once: much waits, and custody has a bound.
    Now,
}

/// What a client has shown to have taken.
#[derive(Default)]
pub struct Taken {
    /// Mailbox rows, in the order in which they were given.
    pub rows: Vec<TakenRow>,
    /// Feeds, each with the last of its rows.
    pub feeds: Vec<(i64, i64)>,
    /// Whose acknowledgements waited for it.
    pub origins: Vec<Origin>,
    /// Messages that are being stored: their rows are to go.
    pub late: Vec<Bytes>,
}

/// A message that lives in memory only, and has for a while.
pub struct Late {
    /// The message as delivered.
    pub stanza: Bytes,
    /// When the server received it.
    pub received: Timestamp,
    /// Whose acknowledgement waits for it.
    pub origin: Option<Origin>,
}

impl Late {
    /// Whether it is the message with these very bytes.
    pub(crate) fn is(&self, stanza: &Bytes) -> bool {
        is_same(&self.stanza, stanza)
    }
}

/// A mailbox row that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenRow {
    /// Its id.
    pub id: i64,
    /// Its size.
    pub bytes: u32,
    /// Whether it is to be removed.
    pub brief: bool,
    /// Whether it stands for all rows before it.
    pub in_order: bool,
}

impl Taken {
    fn of(inner: &mut Inner, count: usize) -> Taken {
        let mut taken = Taken::default();
        for _ in 0..count {
            let Some(Sent { stanza, held }) = inner.pop_untaken() else {
                break;
            };
            match held {
                Some(Held::Row {
                    id,
                    bytes,
                    brief,
                    in_order,
                    ..
                }) => taken.rows.push(TakenRow {
                    id,
                    bytes,
                    brief,
                    in_order,
                }),
                Some(Held::Live {
                    origin, storing, ..
                }) => {
                    taken.origins.extend(origin);
                    if storing {
                        taken.late.push(stanza);
                    }
                }
                Some(Held::Feed { feed, id }) => taken.reach(feed, id),
                None => {}
            }
        }
        taken
    }

    /// Rows of a feed are given in their order: the last stands for all.
    fn reach(&mut self, feed: i64, id: i64) {
        match self.feeds.iter_mut().find(|(known, _)| *known == feed) {
            Some((_, last)) => *last = id.max(*last),
            None => self.feeds.push((feed, id)),
        }
    }
}

impl Outbox {
    /// Starts a probe if none is on its way; the caller writes a ping with the id returned, or asks
    /// by stream management.
    pub fn begin_probe(&self, id: u64) -> Option<u64> {
        let mut inner = self.inner.lock();
        // What is written before everything else, such as `<enabled/>`, comes before a question too.
        let is_raw = |waiting: &Waiting| matches!(waiting.source, Source::Raw);
        let is_opening = inner.queue.front().is_some_and(is_raw);
        if inner.probe.is_some() || is_opening || self.is_detached() {
            return None;
        }
        // The question is written behind what was handed out, and before what is queued.
        let covers = inner.untaken.len();
        inner.probe = Some(Probe { id, covers });
        Some(id)
    }

    /// The client answered the ping `id`: what it covered has been taken. `None`: that ping is not
    /// on its way.
    pub fn probe_answered(&self, id: u64) -> Option<Taken> {
        let mut inner = self.inner.lock();
        let probe = inner.probe.take_if(|probe| probe.id == id)?;
        // With stream management a ping shows nothing but life.
        let covers = if inner.managed.is_some() {
            0
        } else {
            probe.covers
        };
        Some(Taken::of(&mut inner, covers))
    }

    /// The client acknowledged `h` stanzas (XEP-0198 §4). Without stream management it is one
    /// stanza too many.
    pub fn acknowledged(&self, h: u32) -> Result<Taken, TooHigh> {
        let mut inner = self.inner.lock();
        let count = inner.acknowledge(h)?;
        inner.probe = None;
        Ok(Taken::of(&mut inner, count))
    }

    /// Whether so much was given and not shown to be taken that the rest of the mailbox can wait.
    pub fn is_laden(&self) -> bool {
        self.inner.lock().untaken.len() >= LADEN
    }

    /// Whether a probe is on its way.
    pub fn is_probing(&self) -> bool {
        self.inner.lock().probe.is_some()
    }

    /// Whether, and how soon, the client is to be asked what it has taken.
    pub fn needs_probe(&self) -> ProbeNeed {
        let inner = self.inner.lock();
        if inner.untaken.is_empty() || inner.probe.is_some() {
            return ProbeNeed::None;
        }
        let much = inner.untaken.len() >= PROBE_NOW_MESSAGES || inner.held_bytes >= PROBE_NOW_BYTES;
        // Whose message lives in memory only waits for the answer.
        let is_live = |sent: &Sent| matches!(sent.held, Some(Held::Live { .. }));
        let is_urgent = inner.managed.is_some()
            && (inner.answered_for >= REQUEST_NOW_MESSAGES || inner.untaken.iter().any(is_live));
        if much || is_urgent {
            ProbeNeed::Now
        } else if inner.answered_for == 0 {
            ProbeNeed::Later
        } else {
            ProbeNeed::Soon
        }
    }

    /// Detaches for good and hands out, in order, the messages that the client has not shown to
    /// have taken.
    pub fn take_held(&self) -> Vec<(Bytes, Held)> {
        let mut inner = self.inner.lock();
        self.detached.store(true, Ordering::Release);
        // What need not be kept is still written to the ending stream.
        inner.queue = inner.end_queue();
        inner.recount();
        inner.wake_successors();
        inner.held_bytes = 0;
        inner.answered_for = 0;
        let given = std::mem::take(&mut inner.untaken);
        // What is being stored is for the mailbox to give.
        let held = |Sent { stanza, held }| match held? {
            Held::Live { storing: true, .. } => None,
            held => Some((stanza, held)),
        };
        given.into_iter().filter_map(held).collect()
    }

    /// Stanzas that need not be kept and that the client has not shown to have taken: those that wait,
    /// and those that would be sent again.
    pub fn plain_untaken(&self) -> Vec<Bytes> {
        let inner = self.inner.lock();
        let is_plain = |sent: &&Sent| sent.held.is_none() && !sent.stanza.is_empty();
        let sent = inner.untaken.iter().filter(is_plain);
        let waits = |waiting: &&Waiting| matches!(waiting.source, Source::Plain);
        let waiting = inner.queue.iter().filter(waits).map(Waiting::to_bytes);
        sent.map(|sent| sent.stanza.clone())
            .chain(waiting)
            .collect()
    }

    /// Messages that were received before a moment and live in memory only; they count as being
    /// stored from here on. And whether there are later ones. What seems to have been received after
    /// `now` is as old as the clock was set back, or older.
    pub fn take_late(&self, before: Timestamp, now: Timestamp) -> (Vec<Late>, bool) {
        let (mut late, mut is_more) = (Vec::new(), false);
        self.inner.lock().each_held(|stanza, held| {
            let Held::Live {
                received,
                origin,
                storing,
                ..
            } = held
            else {
                return;
            };
            if *storing {
                return;
            }
            if (before.0 + 1..=now.0).contains(&received.0) {
                is_more = true;
                return;
            }
            *storing = true;
            late.push(Late {
                stanza: stanza.clone(),
                received: *received,
                origin: origin.clone(),
            });
        });
        (late, is_more)
    }

    /// A message that was being stored is that row now, or `None`: could not be. True: it is held
    /// here.
    pub fn late_stored(&self, message: &Bytes, row: Option<i64>) -> bool {
        let mut found = false;
        let mut inner = self.inner.lock();
        inner.each_held(|stanza, held| {
            let Held::Live { storing, .. } = held else {
                return;
            };
            if !is_same(stanza, message) {
                return;
            }
            found = true;
            *storing = false;
            if let Some(id) = row {
                *held = Held::Row {
                    id,
                    bytes: u32::try_from(stanza.len()).unwrap_or(u32::MAX),
                    brief: true,
                    in_order: false,
                    directed: false,
                };
            }
        });
        if found {
            inner.recount_held();
        }
        found
    }

    /// Whether it holds messages that were not shown to be taken.
    pub fn holds_messages(&self) -> bool {
        let inner = self.inner.lock();
        let is_held = |source: &Source| matches!(source, Source::Held(_));
        inner.answered_for > 0 || inner.queue.iter().any(|piece| is_held(&piece.source))
    }

    /// Looks at every row of the account that it holds and that was not shown to be taken.
    pub fn each_row(&self, mut look: impl FnMut(i64)) {
        self.inner.lock().each_held(|_, held| {
            if let Held::Row { id, .. } = held {
                look(*id);
            }
        });
    }

    /// Whether it holds rows of a feed that were not shown to be taken.
    pub fn holds_feed(&self, owner: i64) -> bool {
        let mut is_held = false;
        self.inner.lock().each_held(|_, held| {
            is_held |= matches!(held, Held::Feed { feed, .. } if *feed == owner);
        });
        is_held
    }

    /// A row is committed: it may be written.
    pub fn committed(&self, row: i64) {
        let mut inner = self.inner.lock();
        if inner.newest_row >= row && !inner.queue.is_empty() {
            inner.wake();
        }
    }

    /// A row that was queued could not be committed: what waits for it is not written.
    pub fn withdraw(&self, row: i64) {
        let mut inner = self.inner.lock();
        inner.queue.retain(|waiting| waiting.gate != row);
        inner.recount();
        inner.wake();
    }
}
