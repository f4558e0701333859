//! Messages that are on disk before anybody sees them: the row first, then the sessions, which write
//! it once it is committed.

use std::sync::Arc;

use waxwing_xmpp::stanza::Children;
use waxwing_xmpp::{Stanza, StanzaError};

use super::Delivery;
use crate::account::{Account, Bound, Directed, Usage};
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::exchange::{Receipt, Sender};
use crate::mailbox_store::{Flags, NewRow};
use crate::outbox::{Held, Origin};
use crate::position::Handing;
use crate::powers::{Direction, Kept};
use crate::resend::Marks;
use crate::session::Session;

/// A row that was appended.
#[derive(Clone, Copy)]
pub(super) struct Appended {
    pub(super) id: i64,
    pub(super) bytes: u32,
    /// Whether it shows in the archive of the account, and so bears its id.
    pub(super) archived: bool,
    /// Whether it goes when it is taken.
    pub(super) brief: bool,
    /// Whether it shows in the archive of its sender.
    pub(super) sent: bool,
}

impl Appended {
    /// A row that was appended before.
    pub(super) fn known(id: i64, bytes: u32, brief: bool) -> Self {
        Appended {
            id,
            bytes,
            brief,
            archived: false,
            sent: false,
        }
    }

    /// The row as a session holds it.
    pub(super) fn held(self, in_order: bool, directed: bool) -> Held {
        Held::Row {
            id: self.id,
            bytes: self.bytes,
            brief: self.brief,
            in_order,
            directed,
        }
    }

    fn receipt(self) -> Receipt {
        Receipt::Storing {
            row: self.id,
            sent: self.sent,
        }
    }
}

impl Delivery<'_> {
    /// Whether messages get their row before they are handed to anybody.
    pub(super) fn stores_first(&self) -> bool {
        self.account.id >= 0 && self.exchange.settings.load().archive
    }

    /// Stores a message and queues it for the sessions that are to have it: the one that it is
    /// addressed to, else all that take messages to the bare JID.
    pub(super) fn store_and_hand(
        &mut self,
        stanza: &Stanza,
        resource: Option<Arc<Session>>,
        received: Timestamp,
        origin: Option<Sender<'_>>,
        kept: Kept,
    ) -> Receipt {
        // One that sleeps will find it in the mailbox; the others have it at once.
        let is_asleep = |session: &Arc<Session>| session.outbox.asleep_until().is_some();
        // What a room passes on is for one client: the others of its user have their own. And some
        // things are for nobody else while that client may come back (XEP-0334 §4.3, XEP-0280 §9).
        let is_of_room = stanza.children().contains(Children::MUC_USER);
        let waits = is_of_room || is_for_one(stanza);
        let (resource, asleep) = match resource {
            Some(session) if !waits && is_asleep(&session) => (None, Some(session)),
            resource => (resource, None),
        };
        let directed = resource.is_some();
        let mut flags = Flags::INCOMING;
        if directed {
            flags = flags | Flags::DIRECTED;
        }
        // Of what a resource is sent by name nothing must be missing before it.
        let is_gapless = resource
            .as_ref()
            .is_none_or(|session| self.is_gapless(session));
        let sleeps_gapless = asleep
            .as_ref()
            .is_some_and(|session| self.is_gapless(session));
        let waiter = origin.map(Sender::hold);
        let row = match self.store(stanza, received, waiter.as_ref(), flags, kept.archive) {
            Ok(row) => row,
            Err(error) => return bounced(error, waiter),
        };
        if let Some(session) = resource.as_ref().filter(|_| !is_of_room) {
            self.state.directed.push(Directed {
                row: row.id,
                session: session.reference,
                is_noted: false,
            });
        }
        let mut takers = Vec::new();
        if !directed {
            let is_other = |bound: &Bound| {
                let mut asleep = asleep.iter();
                asleep.all(|asleep| asleep.reference != bound.session.reference)
            };
            takers = self.takers(is_other);
            takers.extend(asleep.clone());
        }
        let sessions = if directed {
            resource.as_slice()
        } else {
            &takers
        };
        if self.state.sessions.is_empty() {
            return row.receipt();
        }
        let mut stanza = stanza.clone();
        if row.archived {
            let exchange = self.exchange;
            stanza = exchange.stamp_stored(stanza, self.account, row.id);
        }
        for session in sessions {
            let is_gapless = match &asleep {
                Some(asleep) if Arc::ptr_eq(asleep, session) => sleeps_gapless,
                _ => is_gapless,
            };
            self.hand_row(session, &stanza, row, directed, is_gapless);
        }
        self.copy_received(sessions, &stanza, Some(row));
        row.receipt()
    }

    /// Whether a session has been given everything that waits for its account.
    fn is_gapless(&mut self, session: &Session) -> bool {
        let bound = self.state.bound(session.reference);
        let (takes, handed) = match bound {
            Some(bound) => (bound.takes_bare(), bound.position.handed()),
            None => return false,
        };
        takes || !self.state.may_have_mail(handed)
    }

    /// Gives a message to the account's sessions that were not given it and want copies (XEP-0280
    /// §7). A copy of a row is acknowledged like it.
    pub(super) fn copy_received(
        &mut self,
        given: &[Arc<Session>],
        stanza: &Stanza,
        row: Option<Appended>,
    ) {
        if self.state.sessions.len() <= given.len() {
            return;
        }
        let has_it = |session: &Session| {
            let mut given = given.iter();
            given.any(|given| given.reference == session.reference)
        };
        // Who wrote to another client of its own account knows what it wrote.
        let author = stanza.from().unwrap_or_default();
        let others: Vec<Arc<Session>> = (self.state.sessions.iter())
            .map(|bound| &bound.session)
            .filter(|other| other.is_copied() && !has_it(other) && other.jid.as_str() != author)
            .map(Arc::clone)
            .collect();
        for other in others {
            let copy = self.exchange.copy(stanza, Direction::Received, &other);
            match (copy, row) {
                (Some(copy), Some(row)) => {
                    let is_gapless = self.is_taking(&other);
                    self.hand_row(&other, &copy, row, false, is_gapless);
                }
                (Some(copy), None) => drop(other.outbox.push_copy(&copy, stanza, 0)),
                (None, _) => {}
            }
        }
    }

    fn is_taking(&mut self, session: &Session) -> bool {
        let bound = self.state.bound(session.reference);
        bound.is_some_and(|bound| bound.takes_bare())
    }

    /// Queues a row for a session, unless that is given it from the mailbox. `is_gapless`: whether
    /// the session has everything before it.
    pub(super) fn hand_row(
        &mut self,
        session: &Arc<Session>,
        stanza: &Stanza,
        row: Appended,
        directed: bool,
        is_gapless: bool,
    ) {
        let Some(bound) = self.state.bound(session.reference) else {
            return;
        };
        if let Handing::Now { in_order } =
            bound.reposition(|position| position.hand(row.id, is_gapless))
        {
            // Where it is full it ends, and its device finds the row in the mailbox.
            session
                .outbox
                .push_held(stanza, row.held(in_order, directed));
        }
    }

    /// Stores a message that nobody is there for.
    pub(super) fn store_alone(
        &mut self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<Origin>,
    ) -> Receipt {
        match self.store(stanza, received, origin.as_ref(), Flags::INCOMING, false) {
            Ok(row) => row.receipt(),
            Err(error) => bounced(error, origin),
        }
    }

    /// Appends to the mailbox. The commit settles the origin's custody; if it fails the origin is
    /// told with an error. After an error from here the origin is still to be told, and settled.
    pub(super) fn store(
        &mut self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Origin>,
        flags: Flags,
        archive: bool,
    ) -> Result<Appended, StanzaError> {
        let row = self.row(stanza, received, origin, flags, archive);
        if let Some(origin) = origin {
            origin.session.storing();
        }
        let done = self.when_stored(stanza.clone(), origin.cloned());
        let stored = self.append(stanza, row, done);
        if let (Err(_), Some(origin)) = (&stored, origin) {
            origin.session.stored();
        }
        stored
    }

    /// Appends a row, if there is room. `done` is told its id and whether it was committed.
    pub(super) fn append(
        &mut self,
        stanza: &Stanza,
        row: NewRow,
        done: impl FnOnce(i64, Result<(), DbError>) + Send + 'static,
    ) -> Result<Appended, StanzaError> {
        if self.state.removed || self.account.id < 0 {
            // Nobody will ever read it: the account is gone, or goes with its session.
            return Err(StanzaError::service_unavailable());
        }
        let bytes = u64::from(size(stanza));
        let (usage, settings) = (self.state.mailbox, self.exchange.settings.load());
        if usage.count + 1 > settings.mailbox_messages
            || usage.bytes + bytes > settings.mailbox_bytes
        {
            // XEP-0160 §3: a full queue answers like an absent one.
            return Err(
                StanzaError::service_unavailable().with_text("the recipient's mailbox is full")
            );
        }
        let flags = row.flags;
        match self.exchange.mailbox.append(row, done) {
            Ok(id) => {
                self.state.mailbox = Usage {
                    count: usage.count + 1,
                    bytes: usage.bytes + bytes,
                };
                self.state.last_row = id;
                Ok(Appended {
                    id,
                    bytes: size(stanza),
                    archived: flags.any(Flags::ARCHIVED),
                    brief: !flags.any(Flags::ARCHIVED | Flags::SENT),
                    sent: flags.any(Flags::SENT),
                })
            }
            Err(busy) => {
                tracing::warn!(%busy, "a message could not be queued for storing");
                Err(StanzaError::resource_constraint())
            }
        }
    }

    /// The row of a message; `archive`: whether it may show in archives.
    pub(super) fn row(
        &self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Origin>,
        flags: Flags,
        archive: bool,
    ) -> NewRow {
        let from = stanza.from().unwrap_or_default().into_owned();
        let (mut sender_account, mut marks, mut flags) = (0, Marks::default(), flags);
        if archive && self.account.archives_by(&self.state.roster, &from) {
            flags = flags | Flags::ARCHIVED;
        }
        if let Some(origin) = origin.filter(|origin| origin.session.account.id >= 0) {
            sender_account = origin.session.account.id;
            marks = self.exchange.marks(&origin.session, origin.wrote(stanza));
            if archive && origin.archives {
                flags = flags | Flags::SENT;
            }
        }
        NewRow {
            recipient: self.account.id,
            sender_account,
            to_bare: self.account.jid.as_str().to_owned(),
            flags,
            received_at_ms: received.0,
            key: marks.key,
            stream: marks.stream,
            number: marks.number,
            body: stanza.bytes().clone(),
            from,
        }
    }

    fn when_stored(
        &self,
        stanza: Stanza,
        origin: Option<Origin>,
    ) -> impl FnOnce(i64, Result<(), DbError>) + Send + 'static {
        let (exchange, account) = (Arc::clone(self.exchange), Arc::clone(self.account));
        move |id, result| {
            let failed = result.is_err();
            if failed {
                let mut state = account.lock();
                state.forget_stored(1, u64::from(size(&stanza)));
                state.directed.retain(|directed| directed.row != id);
            }
            decided(&account, id, failed);
            if let Err(error) = result {
                tracing::error!(%error, account = account.id, "a message could not be stored");
                exchange.refuse(origin.as_ref(), &stanza, &error.into());
            }
            if let Some(origin) = origin {
                // Its other sessions may have copies.
                if !Arc::ptr_eq(&origin.session.account, &account) {
                    decided(&origin.session.account, id, failed);
                }
                // In this order: an `<a/>` that waits for the last of them covers it.
                origin.settle();
                origin.session.stored();
            }
        }
    }
}

/// A message was refused while its sender's connection looks at it: nothing of that connection is
/// written before the error is queued.
fn bounced(error: StanzaError, waiter: Option<Origin>) -> Receipt {
    if let Some(waiter) = waiter {
        waiter.settle();
    }
    Receipt::Bounced(error)
}

/// A row was committed, or could not be: the sessions of an account may write what waits for it, or
/// never will.
fn decided(account: &Account, row: i64, failed: bool) {
    for bound in &account.lock().sessions {
        if failed {
            bound.session.outbox.withdraw(row);
        } else {
            bound.session.outbox.committed(row);
        }
    }
}

/// Whether a message is for no other client than the one that it names (XEP-0334 §4.3, XEP-0280 §9).
pub(super) fn is_for_one(stanza: &Stanza) -> bool {
    let marks = Children::PRIVATE | Children::NO_COPY;
    stanza.children().intersects(marks)
}

/// The size of a row as it counts.
pub(super) fn size(stanza: &Stanza) -> u32 {
    u32::try_from(stanza.bytes().len()).unwrap_or(u32::MAX)
}
