//! Messages that are on disk before anybody sees them: the row first, then the sessions, which write
//! it once it is committed.

use std::sync::Arc;

use waxwing_xmpp::stanza::MessageType;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use super::{Delivery, Verdict};
use crate::account::{Account, Usage};
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::exchange::Receipt;
use crate::mailbox_store::{Flags, NewRow};
use crate::outbox::{Held, Origin, Push};
use crate::powers::Direction;
use crate::resend;
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
}

impl Delivery<'_> {
    /// Whether a message with that verdict gets its row before it is handed to anybody.
    pub(super) fn is_stored_first(&self, stanza: &Stanza, verdict: Verdict) -> bool {
        let kind = stanza.message_type();
        self.exchange.settings.load().archive
            && self.account.id >= 0
            && matches!(kind, MessageType::Chat | MessageType::Normal)
            && matches!(
                verdict,
                Verdict::Resource | Verdict::Available | Verdict::Mailbox
            )
            && self.exchange.kept(stanza).queue
    }

    /// Stores a message and queues it for the sessions that are to have it: the one that it is
    /// addressed to, else all that take messages to the bare JID.
    pub(super) fn store_and_hand(
        &mut self,
        stanza: &Stanza,
        resource: Option<Arc<Session>>,
        received: Timestamp,
        origin: Option<&Arc<Session>>,
    ) -> Receipt {
        // One that sleeps is nobody to hand it to now; it will find it in the mailbox.
        let resource = resource.filter(|session| !session.outbox.is_asleep());
        let directed = resource.is_some();
        let mut flags = Flags::INCOMING;
        if directed {
            flags = flags | Flags::DIRECTED;
        }
        let waiter = origin.map(|session| (Arc::clone(session), session.hold()));
        let row = match self.store(stanza, received, waiter, flags) {
            Ok(row) => row,
            Err(error) => return Receipt::Bounced(error),
        };
        let sessions = match &resource {
            Some(session) => vec![Arc::clone(session)],
            None => self.takers(|_| true),
        };
        if sessions.is_empty() {
            return Receipt::Storing;
        }
        let mut stanza = stanza.clone();
        if row.archived {
            let exchange = self.exchange;
            stanza = exchange.stamp_stored(stanza, self.account, row.id);
        }
        for session in sessions {
            self.hand_row(&session, &stanza, row, directed);
        }
        if let Some(session) = resource {
            self.copy_received(&session, &stanza, Some(row));
        }
        Receipt::Storing
    }

    /// Gives a message that one session has got to the account's others that want copies
    /// (XEP-0280). A copy of a row is acknowledged like it.
    pub(super) fn copy_received(
        &mut self,
        session: &Session,
        stanza: &Stanza,
        row: Option<Appended>,
    ) {
        if self.state.sessions.len() < 2 {
            return;
        }
        let others: Vec<Arc<Session>> = (self.state.sessions.iter())
            .map(|bound| &bound.session)
            .filter(|other| other.reference != session.reference && other.is_copied())
            .map(Arc::clone)
            .collect();
        for other in others {
            let copy = self.exchange.copy(stanza, Direction::Received, &other);
            match (copy, row) {
                (Some(copy), Some(row)) => self.hand_row(&other, &copy, row, false),
                (Some(copy), None) => drop(other.outbox.push(&copy)),
                (None, _) => {}
            }
        }
    }

    /// Queues a row for a session, unless that is given the mailbox page by page.
    pub(super) fn hand_row(
        &mut self,
        session: &Arc<Session>,
        stanza: &Stanza,
        row: Appended,
        directed: bool,
    ) {
        let Some(bound) = self.state.bound(session.reference) else {
            return;
        };
        if bound.draining.is_some() {
            return;
        }
        let held = Held::Row {
            id: row.id,
            bytes: row.bytes,
            brief: row.brief,
            directed,
        };
        // Where it is full it ends, and its device finds the row in the mailbox.
        if session.outbox.push_held(stanza, held) == Push::Queued {
            bound.handed = bound.handed.max(row.id);
        }
    }

    /// Stores a message that nobody is there for.
    pub(super) fn store_alone(
        &mut self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<Origin>,
    ) -> Receipt {
        match self.store(stanza, received, origin, Flags::INCOMING) {
            Ok(_) => Receipt::Storing,
            Err(error) => Receipt::Bounced(error),
        }
    }

    /// Appends to the mailbox. The commit settles the origin's custody; if it fails the origin is
    /// told with an error. After an error nothing waits.
    pub(super) fn store(
        &mut self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<Origin>,
        flags: Flags,
    ) -> Result<Appended, StanzaError> {
        let stored = self.append(stanza, received, origin.clone(), flags);
        if let (Err(_), Some((session, ticket))) = (&stored, origin) {
            session.settle(ticket);
        }
        stored
    }

    fn append(
        &mut self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<Origin>,
        flags: Flags,
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
        let row = self.row(stanza, received, origin.as_ref(), flags);
        let flags = row.flags;
        if let Some((session, _)) = &origin {
            session.storing();
        }
        let done = self.when_stored(stanza.clone(), bytes, origin.clone());
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
                })
            }
            Err(busy) => {
                if let Some((session, _)) = origin {
                    session.stored();
                }
                tracing::warn!(%busy, "a message could not be queued for storing");
                Err(StanzaError::resource_constraint())
            }
        }
    }

    fn row(
        &self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Origin>,
        flags: Flags,
    ) -> NewRow {
        let from = stanza.from().unwrap_or_default().into_owned();
        let (mut sender_account, mut place, mut flags) = (0, (0, 0), flags);
        let archives = self.exchange.settings.load().archive && self.exchange.kept(stanza).archive;
        if archives
            && Jid::parse_tolerant(&from)
                .is_ok_and(|from| self.account.archives_by(&self.state.roster, &from))
        {
            flags = flags | Flags::ARCHIVED;
        }
        if let Some((session, _)) = origin
            && session.account.id >= 0
        {
            (sender_account, place) = (session.account.id, session.place());
            if archives && self.is_archived_by(&session.account) {
                flags = flags | Flags::SENT;
            }
        }
        NewRow {
            recipient: self.account.id,
            sender_account,
            to_bare: self.account.jid.as_str().to_owned(),
            flags,
            received_at_ms: received.0,
            key: resend::key(stanza),
            stream: place.0,
            number: place.1,
            body: stanza.bytes().clone(),
            from,
        }
    }

    /// Whether the sender's account shows the message in its archive. Its roster is asked only
    /// where it is this account's own, whose lock is held: two are never taken at once.
    fn is_archived_by(&self, sender: &Arc<Account>) -> bool {
        if Arc::ptr_eq(sender, self.account) {
            return sender.archives_by(&self.state.roster, &self.account.jid);
        }
        sender.archives_unlocked(&self.account.jid)
    }

    fn when_stored(
        &self,
        stanza: Stanza,
        size: u64,
        origin: Option<Origin>,
    ) -> impl FnOnce(i64, Result<(), DbError>) + Send + 'static {
        let (exchange, account) = (Arc::clone(self.exchange), Arc::clone(self.account));
        move |id, result| {
            let failed = result.is_err();
            {
                let mut state = account.lock();
                if failed {
                    state.forget_stored(1, size);
                }
                for bound in &state.sessions {
                    match failed {
                        true => bound.session.outbox.withdraw(id),
                        false => bound.session.outbox.committed(id),
                    }
                }
            }
            if let Err(error) = result {
                tracing::error!(%error, account = account.id, "a message could not be stored");
                match &origin {
                    Some((session, _)) => exchange.answer_error(session, &stanza, &error.into()),
                    None => {
                        exchange.bounce(&stanza, &error.into());
                    }
                }
            }
            if let Some((session, ticket)) = origin {
                session.stored();
                session.settle(ticket);
            }
        }
    }
}

/// The size of a row as it counts.
pub(super) fn size(stanza: &Stanza) -> u32 {
    u32::try_from(stanza.bytes().len()).unwrap_or(u32::MAX)
}
