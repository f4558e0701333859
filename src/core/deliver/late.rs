//! Without the archive: what a live session has not taken within a moment is stored after all, so
//! that its sender need not wait for a slow reader, nor lose it in a crash.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use waxwing_xmpp::{Stanza, StanzaError};

use super::Delivery;
use super::stored::size;
use crate::account::Account;
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::exchange::Exchange;
use crate::mailbox_store::Flags;
use crate::outbox::{Late, Origin};

/// How long a message may live in memory alone.
const MOMENT: Duration = Duration::from_millis(200);

/// The accounts whose sessions were given messages that live in memory only, each once.
#[derive(Default)]
pub struct Watched {
    queue: Mutex<VecDeque<(Duration, Weak<Account>)>>,
    added: Notify,
}

impl Watched {
    fn add(&self, due: Duration, account: &Arc<Account>) {
        self.queue.lock().push_back((due, Arc::downgrade(account)));
        self.added.notify_one();
    }

    async fn next(&self) -> (Duration, Weak<Account>) {
        loop {
            if let Some(next) = self.queue.lock().pop_front() {
                return next;
            }
            self.added.notified().await;
        }
    }
}

impl Exchange {
    /// Stores what sessions do not take in time. Runs for ever.
    pub async fn store_late(self: Arc<Self>) {
        loop {
            let (due, account) = self.watched.next().await;
            tokio::time::sleep(due.saturating_sub(self.clock.elapsed())).await;
            if let Some(account) = account.upgrade() {
                let mut delivery = Delivery::new(&self, &account, account.lock());
                delivery.store_late();
                delivery.finish();
            }
        }
    }
}

impl Delivery<'_> {
    /// A session was given a message that lives in memory only.
    pub(super) fn watch(&mut self) {
        if !self.state.is_watched && self.account.id >= 0 {
            self.state.is_watched = true;
            let due = self.exchange.clock.elapsed() + MOMENT;
            self.exchange.watched.add(due, self.account);
        }
    }

    fn store_late(&mut self) {
        let moment = i64::try_from(MOMENT.as_millis()).unwrap_or(i64::MAX);
        let now = self.exchange.now();
        let before = Timestamp(now.0 - moment);
        let mut all: Vec<Late> = Vec::new();
        let mut is_more = false;
        for bound in &self.state.sessions {
            let (late, more) = bound.session.outbox.take_late(before, now);
            is_more |= more;
            for message in late {
                // The sessions share the bytes of one message.
                if !all.iter().any(|known| known.is(&message.stanza)) {
                    all.push(message);
                }
            }
        }
        for message in all {
            if let Err(error) = self.store_one(&message) {
                tracing::warn!(%error, "a message that waits could not be stored yet");
                is_more = true;
                for bound in &self.state.sessions {
                    bound.session.outbox.late_stored(&message.stanza, None);
                }
            }
        }
        self.state.is_watched = false;
        if is_more {
            self.watch();
        }
    }

    fn store_one(&mut self, message: &Late) -> Result<(), StanzaError> {
        let Ok(stanza) = Stanza::parse(message.stanza.clone()) else {
            return Err(StanzaError::internal_server_error());
        };
        let origin = message.origin.clone();
        let row = self.row(
            &stanza,
            message.received,
            origin.as_ref(),
            Flags::INCOMING,
            false,
        );
        let done = self.when_late_stored(stanza.clone(), origin);
        self.append(&stanza, row, done).map(drop)
    }

    fn when_late_stored(
        &self,
        stanza: Stanza,
        origin: Option<Origin>,
    ) -> impl FnOnce(i64, Result<(), DbError>) + Send + 'static {
        let (exchange, account) = (Arc::clone(self.exchange), Arc::clone(self.account));
        move |id, result| {
            let is_stored = result.is_ok();
            let fate = fate(&account, stanza.bytes(), result.ok().map(|()| id));
            let bytes = u64::from(size(&stanza));
            if !is_stored || fate == Fate::Taken {
                account.lock().forget_stored(1, bytes);
            }
            match fate {
                Fate::Taken if is_stored => drop(exchange.mailbox.remove(account.id, vec![id])),
                // Its session ended meanwhile, and relied on the row.
                Fate::Left if !is_stored => {
                    let error = StanzaError::resource_constraint();
                    exchange.refuse(origin.as_ref(), &stanza, &error);
                }
                // It is tried again.
                Fate::Held if !is_stored => {
                    return Delivery::new(&exchange, &account, account.lock()).watch();
                }
                Fate::Taken | Fate::Held | Fate::Left => {}
            }
            if let Some(origin) = origin {
                origin.settle();
            }
        }
    }
}

/// Where a message is when its row is decided on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// A client has taken it.
    Taken,
    /// A session holds it still.
    Held,
    /// Its sessions are gone.
    Left,
}

fn fate(account: &Account, stanza: &Bytes, row: Option<i64>) -> Fate {
    let mut state = account.lock();
    let mut is_held = false;
    for bound in &mut state.sessions {
        if bound.session.outbox.late_stored(stanza, row) {
            is_held = true;
            if let Some(row) = row {
                bound.position.note(row);
            }
        }
    }
    let known = state.taken_late.len();
    state.taken_late.retain(|taken| !is_same(taken, stanza));
    if state.taken_late.len() < known {
        return Fate::Taken;
    }
    if is_held {
        return Fate::Held;
    }
    if row.is_some() {
        // For whoever is there, and has not had it.
        for bound in &mut state.sessions {
            if bound.takes_bare() {
                bound.reposition(|position| position.begin([], true));
                bound.session.outbox.tick();
            }
        }
    }
    Fate::Left
}

/// Whether these are the very same bytes, which a message is known by while somebody holds it.
pub(crate) fn is_same(one: &Bytes, other: &Bytes) -> bool {
    std::ptr::eq(one.as_ptr(), other.as_ptr())
}
