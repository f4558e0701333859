//! Delivery of messages to a local account (RFC 6121 §8.5), and the custody that goes with it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;
use waxwing_xmpp::stanza::MessageType;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use crate::account::{Account, Bound, Drain, State, Usage};
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::exchange::{Exchange, Receipt};
use crate::mailbox_store::NewRow;
use crate::outbox::{Push, Untaken};
use crate::session::Session;

/// Where a message for an account goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the session with the addressed resource.
    Resource,
    /// To every available session whose priority is not negative.
    Available,
    /// To the mailbox, if it is worth keeping.
    Mailbox,
    /// Back to the sender as `service-unavailable`.
    Refuse,
    /// Nowhere, silently.
    Ignore,
}

/// The table of RFC 6121 §8.5.2 and §8.5.3. `resource`: whether the address names a resource, and
/// whether that is connected; `available`: whether an available session takes messages to the
/// bare JID.
#[must_use]
pub fn verdict(kind: MessageType, resource: Option<bool>, available: bool) -> Verdict {
    use MessageType as Type;
    match (kind, resource, available) {
        (_, Some(true), _) => Verdict::Resource,
        // §8.5.3.2.1: only chat messages fall back to the bare JID.
        (Type::Normal | Type::Groupchat | Type::Headline, Some(false), _)
        | (Type::Groupchat, None, _) => Verdict::Refuse,
        (Type::Error, _, _) | (Type::Headline, None, false) => Verdict::Ignore,
        (Type::Chat, _, true) | (Type::Normal | Type::Headline, None, true) => Verdict::Available,
        (Type::Chat, _, false) | (Type::Normal, None, false) => Verdict::Mailbox,
    }
}

/// A delivery under the account's lock.
struct Delivery<'a> {
    exchange: &'a Arc<Exchange>,
    account: &'a Arc<Account>,
    state: MutexGuard<'a, State>,
    /// Messages of sessions that were found detached and cannot be kept: their senders get errors
    /// once the lock is released.
    refused: Vec<Stanza>,
}

impl Exchange {
    /// Delivers a message to an account or its mailbox.
    pub fn deliver_message(
        self: &Arc<Self>,
        account: &Arc<Account>,
        to: &Jid,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Arc<Session>>,
    ) -> Receipt {
        let mut delivery = Delivery {
            exchange: self,
            account,
            state: account.lock(),
            refused: Vec::new(),
        };
        let receipt = delivery.message(to, stanza, received, origin);
        delivery.finish();
        receipt
    }

    /// Stores a message for an account whatever its type and whoever is online: the notice that
    /// a message expired must reach its sender.
    pub fn store_notice(self: &Arc<Self>, account: &Arc<Account>, stanza: &Stanza) -> Receipt {
        let mut delivery = Delivery {
            exchange: self,
            account,
            state: account.lock(),
            refused: Vec::new(),
        };
        let now = self.now();
        let receipt = if delivery.hand_to_available(stanza, now, None) {
            Receipt::Settled
        } else {
            delivery.store(stanza, now, None)
        };
        delivery.finish();
        receipt
    }

    /// A session ended: what it was given and did not take goes back to its account, in order,
    /// before anything that arrives later.
    pub fn give_back(
        self: &Arc<Self>,
        account: &Arc<Account>,
        state: MutexGuard<'_, State>,
        session: &Session,
    ) {
        let mut delivery = Delivery {
            exchange: self,
            account,
            state,
            refused: Vec::new(),
        };
        delivery.give_back(session);
        delivery.continue_drain();
        delivery.finish();
    }

    /// Marks a stanza that is delivered later than it was received.
    pub(crate) fn stamp_delay(&self, stanza: Stanza, received: Timestamp) -> Stanza {
        self.powers.stamp.iter().fold(stanza, |stanza, stamp| {
            stamp.delayed(self, stanza, received)
        })
    }

    fn worth_keeping(&self, stanza: &Stanza) -> bool {
        self.powers
            .keep
            .iter()
            .find_map(|keep| keep.worth_keeping(stanza))
            .unwrap_or(true)
    }
}

impl Delivery<'_> {
    fn finish(self) {
        let Delivery {
            exchange,
            state,
            refused,
            ..
        } = self;
        drop(state);
        for stanza in refused {
            exchange.bounce(&stanza, &StanzaError::service_unavailable());
        }
    }

    fn message(
        &mut self,
        to: &Jid,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Arc<Session>>,
    ) -> Receipt {
        if self.state.removed {
            return Receipt::Bounced(StanzaError::service_unavailable());
        }
        loop {
            let target = to.resource().map(|name| self.connected(name));
            let matches = target.as_ref().map(Option::is_some);
            let available = self.state.sessions.iter().any(Bound::takes_bare);
            let handed = match verdict(stanza.message_type(), matches, available) {
                Verdict::Resource => target
                    .flatten()
                    .is_some_and(|session| self.hand(&session, stanza, received, origin)),
                Verdict::Available => self.hand_to_available(stanza, received, origin),
                Verdict::Mailbox if self.exchange.worth_keeping(stanza) => {
                    return self.store(stanza, received, origin);
                }
                Verdict::Mailbox | Verdict::Ignore => return Receipt::Settled,
                Verdict::Refuse => return Receipt::Bounced(StanzaError::service_unavailable()),
            };
            if handed {
                // A session that is being drained gets it by way of the mailbox.
                return Receipt::Settled;
            }
            // Every session it was for turned out to be gone: ask the table again.
        }
    }

    fn connected(&self, resource: &str) -> Option<Arc<Session>> {
        let bound = self.state.resource(resource)?;
        (!bound.session.outbox.is_detached()).then(|| Arc::clone(&bound.session))
    }

    /// Hands a message to every session that takes messages to the bare JID. False: to none.
    fn hand_to_available(
        &mut self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Arc<Session>>,
    ) -> bool {
        let takers = self
            .state
            .sessions
            .iter()
            .filter(|bound| bound.takes_bare());
        // Nearly always one.
        let sessions: Vec<Arc<Session>> = takers.map(|bound| Arc::clone(&bound.session)).collect();
        let mut handed = false;
        for session in sessions {
            handed |= self.hand(&session, stanza, received, origin);
        }
        handed
    }

    /// Hands a message to one session. False: the session is gone, and what it held was given
    /// back.
    fn hand(
        &mut self,
        session: &Arc<Session>,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Arc<Session>>,
    ) -> bool {
        let kept = self.exchange.worth_keeping(stanza)
            && matches!(
                stanza.message_type(),
                MessageType::Chat | MessageType::Normal
            );
        if !kept {
            return session.outbox.push(stanza) == Push::Queued;
        }
        let draining = self
            .state
            .bound(session.reference)
            .is_some_and(|b| b.draining.is_some());
        if draining {
            // It must not overtake what is still in the mailbox.
            return match self.store(stanza, received, origin) {
                Receipt::Bounced(error) => {
                    self.refuse(stanza, origin, &error);
                    true
                }
                Receipt::Storing | Receipt::Settled => true,
            };
        }
        let source = Untaken::Live {
            stanza: stanza.clone(),
            received,
            handed: self.exchange.clock.elapsed(),
        };
        if session.outbox.push_kept(stanza, source) == Push::Queued {
            return true;
        }
        self.give_back(session);
        false
    }

    fn refuse(&mut self, stanza: &Stanza, origin: Option<&Arc<Session>>, error: &StanzaError) {
        match origin {
            Some(session) => self.exchange.answer_error(session, stanza, error),
            None => self.refused.push(stanza.clone()),
        }
    }

    fn give_back(&mut self, session: &Session) {
        for untaken in session.outbox.take_untaken() {
            // A row is in the mailbox still.
            let Untaken::Live {
                stanza,
                received,
                handed,
            } = untaken
            else {
                continue;
            };
            let was_bare = stanza.to().is_none_or(|to| !to.contains('/'));
            let kept_by_others = if was_bare {
                self.hand_to_later(&stanza, received, handed)
            } else {
                self.hand_to_available(&stanza, received, None)
            };
            if kept_by_others {
                continue;
            }
            let receipt = self.store(&stanza, received, None);
            if matches!(receipt, Receipt::Bounced(_)) {
                self.refused.push(stanza);
            }
        }
    }

    /// Hands a message to the bare JID to the sessions that came after it was handed out. True: they
    /// have it, or others were given it at the time.
    fn hand_to_later(&mut self, stanza: &Stanza, received: Timestamp, handed: Duration) -> bool {
        let takers = self
            .state
            .sessions
            .iter()
            .filter(|bound| bound.takes_bare());
        let (later, earlier): (Vec<&Bound>, Vec<&Bound>) =
            takers.partition(|bound| bound.takes_since.is_none_or(|since| since >= handed));
        let mut kept = !earlier.is_empty();
        let later: Vec<_> = later
            .iter()
            .map(|bound| Arc::clone(&bound.session))
            .collect();
        for session in later {
            kept |= self.hand(&session, stanza, received, None);
        }
        kept
    }

    /// After a session ended: what it left in the mailbox is for another available one.
    fn continue_drain(&mut self) {
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
    fn store(
        &mut self,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<&Arc<Session>>,
    ) -> Receipt {
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
            account: self.account.id,
            sender: stanza.from().unwrap_or_default().into_owned(),
            received_at_ms: received.0,
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
                    None => exchange.bounce(&stanza, &error.into()),
                }
            }
            if let Some(session) = origin {
                session.stored();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6121 §8.5, Table 1 and the sections it sums up.
    #[test]
    fn messages_go_where_the_table_says() {
        use MessageType::{Chat, Error, Groupchat, Headline, Normal};
        use Verdict::{Available, Ignore, Mailbox, Refuse, Resource};
        let table = [
            // type, bare + available, bare + none, full matching, full not matching + available,
            // the same + none
            (Normal, [Available, Mailbox, Resource, Refuse, Refuse]),
            (Chat, [Available, Mailbox, Resource, Available, Mailbox]),
            (Groupchat, [Refuse, Refuse, Resource, Refuse, Refuse]),
            (Headline, [Available, Ignore, Resource, Refuse, Refuse]),
            (Error, [Ignore, Ignore, Resource, Ignore, Ignore]),
        ];
        let states = [
            (None, true),
            (None, false),
            (Some(true), true),
            (Some(false), true),
            (Some(false), false),
        ];
        for (kind, expected) in table {
            for ((resource, available), expected) in states.into_iter().zip(expected) {
                assert_eq!(
                    verdict(kind, resource, available),
                    expected,
                    "{kind:?} {resource:?}"
                );
            }
        }
    }
}
