//! Delivery of messages to a local account (RFC 6121 §8.5), and the custody that goes with it.

use std::sync::Arc;

use parking_lot::MutexGuard;
use waxwing_xmpp::stanza::{Children, MessageType};
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use crate::account::{Account, Bound, State};
use crate::clock::Timestamp;
use crate::exchange::{Exchange, Receipt, Sender};
use crate::outbox::{Held, Push};
use crate::powers::{Direction, Kept};
use crate::session::Session;

mod custody;
mod late;
mod stored;

pub use late::Watched;
pub(crate) use late::is_same;

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

impl Verdict {
    /// Whether a message goes to somebody, or waits.
    fn delivers(self) -> bool {
        matches!(
            self,
            Verdict::Resource | Verdict::Available | Verdict::Mailbox
        )
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
        origin: Option<Sender<'_>>,
    ) -> Receipt {
        let mut delivery = Delivery::new(self, account, account.lock());
        let receipt = delivery.message(to, stanza, received, origin);
        delivery.finish();
        receipt
    }

    /// Stores a message for an account whatever its type and whoever is online: the notice that
    /// a message expired must reach its sender.
    pub fn store_notice(self: &Arc<Self>, account: &Arc<Account>, stanza: &Stanza) -> Receipt {
        let mut delivery = Delivery::new(self, account, account.lock());
        let now = self.now();
        delivery.settle_detached();
        let receipt = if delivery.stores_first() {
            delivery.store_and_hand(stanza, None, now, None, Kept::QUEUE)
        } else if delivery.hand_kept_to_available(stanza, now) {
            Receipt::Settled
        } else {
            delivery.store_alone(stanza, now, None)
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
        let mut delivery = Delivery::new(self, account, state);
        delivery.give_back(session);
        delivery.finish();
    }

    /// The connection of a session broke and its client may come back. False: it has ended.
    pub(crate) fn sleep_session(self: &Arc<Self>, session: &Arc<Session>) -> bool {
        let account = &session.account;
        let is_bound = || account.lock().bound(session.reference).is_some();
        if is_bound() {
            // First of all: a row that a feed handed to an outbox that sleeps would come twice, and
            // before older ones. Nor may a connection that waits for this one find them as they were.
            for feed in session.feeds() {
                feed.sleep(session);
            }
        }
        let mut delivery = Delivery::new(self, account, account.lock());
        let is_bound = delivery.state.bound(session.reference).is_some();
        if is_bound {
            delivery.sleep(session);
        }
        delivery.finish();
        is_bound
    }

    /// Marks a stanza that is delivered later than it was received.
    pub(crate) fn stamp_delay(&self, stanza: Stanza, received: Timestamp) -> Stanza {
        self.powers.stamp.iter().fold(stanza, |stanza, stamp| {
            stamp.delayed(self, stanza, received)
        })
    }

    /// Marks a message with the id of its row in the mailbox of `account`: for a row that shows in
    /// the archive of that account, and for nobody else.
    pub fn stamp_stored(&self, stanza: Stanza, account: &Account, id: i64) -> Stanza {
        self.powers.stamp.iter().fold(stanza, |stanza, stamp| {
            stamp.stored(self, stanza, &account.jid, id)
        })
    }

    /// What is kept of a message, by the first extension that has an opinion.
    pub fn kept(&self, stanza: &Stanza) -> Kept {
        self.powers
            .keep
            .iter()
            .find_map(|keep| keep.keep(stanza))
            .unwrap_or(Kept::BOTH)
    }

    /// The copy of a message for another session of an account that sent or received it.
    pub fn copy(&self, stanza: &Stanza, direction: Direction, to: &Session) -> Option<Stanza> {
        let mut powers = self.powers.copy.iter();
        powers.find_map(|copy| copy.copy(self, stanza, direction, to))
    }
}

impl<'a> Delivery<'a> {
    fn new(
        exchange: &'a Arc<Exchange>,
        account: &'a Arc<Account>,
        state: MutexGuard<'a, State>,
    ) -> Self {
        Delivery {
            exchange,
            account,
            state,
            refused: Vec::new(),
        }
    }

    fn finish(self) {
        let Delivery {
            exchange,
            account,
            state,
            refused,
        } = self;
        drop(state);
        let refusal = StanzaError::service_unavailable();
        let untold = refused
            .iter()
            .filter(|stanza| !exchange.bounce(stanza, &refusal))
            .count();
        // What was for an anonymous user is gone with that user, as it has to be.
        if untold > 0 && account.id >= 0 {
            tracing::warn!(
                messages = untold,
                account = account.id,
                "messages could not be kept, and their senders are not there to be told"
            );
        }
    }

    fn message(
        &mut self,
        to: &Jid,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<Sender<'_>>,
    ) -> Receipt {
        if self.state.removed {
            return Receipt::Bounced(StanzaError::service_unavailable());
        }
        let mut kept = self.exchange.kept(stanza);
        kept.queue &= matches!(
            stanza.message_type(),
            MessageType::Chat | MessageType::Normal
        );
        loop {
            self.settle_detached();
            let target = to.resource().map(|name| self.connected(name));
            let matches = target.as_ref().map(Option::is_some);
            // Where the addressed resource is connected the others do not matter.
            let available =
                matches != Some(true) && self.state.sessions.iter().any(Bound::takes_bare);
            let verdict = verdict(stanza.message_type(), matches, available);
            if kept.queue && verdict.delivers() && self.stores_first() {
                return self.store_and_hand(stanza, target.flatten(), received, origin, kept);
            }
            let handed = match verdict {
                Verdict::Resource => target.is_some_and(|session| {
                    self.hand_to(session.as_slice(), stanza, received, origin, kept)
                }),
                Verdict::Available => {
                    let takers = self.takers(|_| true);
                    self.hand_to(&takers, stanza, received, origin, kept)
                }
                Verdict::Mailbox if kept.queue => {
                    return self.store_alone(stanza, received, origin.map(Sender::hold));
                }
                // Not to be kept, and nobody is there: what somebody wrote is not dropped silently.
                Verdict::Mailbox if stanza.children().intersects(Children::BODY) => {
                    return Receipt::Bounced(StanzaError::service_unavailable());
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

    /// Hands a message to these sessions, and copies to others. False: all of them are gone.
    fn hand_to(
        &mut self,
        sessions: &[Arc<Session>],
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<Sender<'_>>,
        kept: Kept,
    ) -> bool {
        let mut handed = false;
        if kept.queue {
            handed = self.hand_kept(sessions, stanza, received, origin);
        } else {
            for session in sessions {
                handed |= session.outbox.push(stanza) == Push::Queued;
            }
        }
        if handed {
            self.copy_received(sessions, stanza, None);
        }
        handed
    }

    /// Hands what is in custody already, whatever its type, to every session that takes messages
    /// to the bare JID. False: to none.
    fn hand_kept_to_available(&mut self, stanza: &Stanza, received: Timestamp) -> bool {
        let takers = self.takers(|_| true);
        self.hand_kept(&takers, stanza, received, None)
    }

    /// The sessions that take messages to the bare JID and pass the test; nearly always one.
    fn takers(&self, test: impl Fn(&Bound) -> bool) -> Vec<Arc<Session>> {
        let bound = self.state.sessions.iter();
        bound
            .filter(|bound| bound.takes_bare() && test(bound))
            .map(|bound| Arc::clone(&bound.session))
            .collect()
    }

    /// Hands a message to sessions and keeps it in memory until their clients have taken it. Those
    /// that are being given the mailbox get it from there, for it must not overtake what is there
    /// still: it is stored once for all of them. False: all of them are gone.
    fn hand_kept(
        &mut self,
        sessions: &[Arc<Session>],
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<Sender<'_>>,
    ) -> bool {
        let (mut handed, mut later) = (false, Vec::new());
        for session in sessions {
            let bound = self.state.bound(session.reference);
            if bound.is_some_and(|bound| bound.position.is_draining()) {
                later.push(session.reference);
            } else {
                handed |= self.hand_live(session, stanza, received, origin);
            }
        }
        if later.is_empty() {
            return handed;
        }
        // Where somebody has it, that is who the sender waits for, and nobody is told otherwise.
        let waiter = origin.filter(|_| !handed).map(Sender::hold);
        match self.store_alone(stanza, received, waiter) {
            Receipt::Bounced(_) if handed => {}
            Receipt::Bounced(error) => self.refuse(stanza, origin, &error),
            Receipt::Storing { row, .. } => {
                for reference in later {
                    if let Some(bound) = self.state.bound(reference) {
                        bound.reposition(|position| position.hand(row, false));
                    }
                }
            }
            Receipt::Settled => {}
        }
        true
    }

    fn hand_live(
        &mut self,
        session: &Arc<Session>,
        stanza: &Stanza,
        received: Timestamp,
        origin: Option<Sender<'_>>,
    ) -> bool {
        let waiter = origin.map(Sender::hold);
        let held = Held::Live {
            received,
            arrivals: self.state.arrivals,
            origin: waiter.clone(),
            storing: false,
        };
        let queued = session.outbox.push_held(stanza, held) == Push::Queued;
        self.watch();
        if let (false, Some(waiter)) = (queued, waiter) {
            waiter.settle();
        }
        queued
    }

    fn refuse(&mut self, stanza: &Stanza, origin: Option<Sender<'_>>, error: &StanzaError) {
        match origin {
            Some(sender) => {
                let wrote = sender.original.unwrap_or(stanza);
                self.exchange.answer_error(sender.session, wrote, error);
            }
            None => self.refused.push(stanza.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
