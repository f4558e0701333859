//! Custody under the account's lock: what goes to the mailbox, and what comes back from sessions
//! that end without having taken it.

use std::sync::Arc;

use waxwing_xmpp::{Stanza, StanzaError};

use super::Delivery;
use crate::account::{Bound, Drain, Usage};
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::exchange::{Receipt, parse_address};
use crate::mailbox_store::{Flags, NewRow};
use crate::outbox::Untaken;
use crate::session::Session;

impl Delivery<'_> {
    /// A session may be told to end, or overflow, before its owner ends it. What it held is given
    /// back before anything newer is looked at: that keeps the order.
    pub(super) fn settle_detached(&mut self) {
        let ending = |bound: &&Bound| bound.session.outbox.is_detached();
        // Nearly always none.
        while let Some(session) = (self.state.sessions.iter().filter(ending))
            .find(|bound| bound.session.outbox.has_untaken())
            .map(|bound| Arc::clone(&bound.session))
        {
            self.give_back(&session);
        }
    }

    pub(super) fn give_back(&mut self, session: &Session) {
        for untaken in session.outbox.take_untaken() {
            // A row is in the mailbox still.
            let Untaken::Live {
                stanza,
                received,
                arrivals,
            } = untaken
            else {
                continue;
            };
            let Ok(stanza) = Stanza::parse(stanza) else {
                tracing::error!("a message that was delivered cannot be read again");
                continue;
            };
            if self.hand_to_others(session, &stanza, received, arrivals) {
                continue;
            }
            if matches!(self.store(&stanza, received, None), Receipt::Bounced(_)) {
                self.refused.push(stanza);
            }
        }
    }

    /// Hands what a session did not take to those that were not given it: all of them if it was for
    /// that session alone, else those that came later. True: somebody has it.
    fn hand_to_others(
        &mut self,
        session: &Session,
        stanza: &Stanza,
        received: Timestamp,
        arrivals: u64,
    ) -> bool {
        let for_it_alone = stanza
            .to()
            .is_some_and(|to| parse_address(&to).is_ok_and(|to| to == session.jid));
        if for_it_alone {
            return self.hand_kept_to_available(stanza, received);
        }
        let came_later = |bound: &Bound| bound.takes_since.is_none_or(|since| since > arrivals);
        let mut kept = !self.takers(|bound| !came_later(bound)).is_empty();
        for later in self.takers(came_later) {
            kept |= self.hand_kept(&later, stanza, received, None);
        }
        kept
    }

    /// After a session ended: what it left in the mailbox is for another available one.
    pub(super) fn continue_drain(&mut self) {
        let drained = self
            .state
            .sessions
            .iter()
            .any(|bound| bound.draining.is_some());
        if drained || !self.state.may_have_mail() {
            return;
        }
        let next = self
            .state
            .sessions
            .iter_mut()
            .find(|bound| bound.takes_bare());
        if let Some(bound) = next {
            bound.set_draining(Some(Drain { after: 0 }));
            bound.session.outbox.tick();
        }
    }

    /// Appends to the mailbox. The commit settles the origin's custody; if it fails the origin is
    /// told with an error.
    pub(super) fn store(
        &mut self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Arc<Session>>,
    ) -> Receipt {
        if self.state.removed || self.account.id < 0 {
            // Nobody will ever read it: the account is gone, or goes with its session.
            return Receipt::Bounced(StanzaError::service_unavailable());
        }
        let size = stanza.bytes().len() as u64;
        let (usage, settings) = (self.state.mailbox, self.exchange.settings.load());
        if usage.count + 1 > settings.mailbox_messages
            || usage.bytes + size > settings.mailbox_bytes
        {
            // XEP-0160 §3: a full queue answers like an absent one.
            let full =
                StanzaError::service_unavailable().with_text("the recipient's mailbox is full");
            return Receipt::Bounced(full);
        }
        let row = NewRow {
            recipient: self.account.id,
            sender_account: 0,
            from: stanza.from().unwrap_or_default().into_owned(),
            to_bare: self.account.jid.as_str().to_owned(),
            flags: Flags::INCOMING,
            received_at_ms: received.0,
            key: 0,
            stream: 0,
            number: 0,
            body: stanza.bytes().clone(),
        };
        if let Some(session) = origin {
            session.storing();
        }
        let done = self.when_stored(stanza.clone(), size, origin.cloned());
        match self.exchange.mailbox.append(row, done) {
            Ok(id) => {
                self.state.mailbox = Usage {
                    count: usage.count + 1,
                    bytes: usage.bytes + size,
                };
                self.state.last_row = id;
                Receipt::Storing
            }
            Err(busy) => {
                if let Some(session) = origin {
                    session.stored();
                }
                tracing::warn!(%busy, "a message could not be queued for storing");
                Receipt::Bounced(StanzaError::resource_constraint())
            }
        }
    }

    fn when_stored(
        &self,
        stanza: Stanza,
        size: u64,
        origin: Option<Arc<Session>>,
    ) -> impl FnOnce(Result<(), DbError>) + Send + 'static {
        let (exchange, account) = (Arc::clone(self.exchange), Arc::clone(self.account));
        move |result| {
            if let Err(error) = result {
                account.lock().forget_stored(1, size);
                tracing::error!(%error, account = account.id, "a message could not be stored");
                match &origin {
                    Some(session) => exchange.answer_error(session, &stanza, &error.into()),
                    None => {
                        exchange.bounce(&stanza, &error.into());
                    }
                }
            }
            if let Some(session) = origin {
                session.stored();
            }
        }
    }
}
