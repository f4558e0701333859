//! Doing what a room says is to happen.

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::clock::Timestamp;
use waxwing_core::db::{DbError, Statement};
use waxwing_core::exchange::{Receipt, Sender};
use waxwing_core::mailbox_store::Mailbox;
use waxwing_core::position::Position;
use waxwing_core::session::Session;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use super::{Inner, Live};
use crate::xep_0045_muc::effect::{Change, Effect, Entered};
use crate::xep_0045_muc::store;
use crate::xep_0359_stanza_ids::parse_archive_id;

/// Who acts in a room, and by what.
#[derive(Clone, Copy, Default)]
pub struct Act<'a> {
    /// The session that acts; `None`: the room itself.
    pub session: Option<&'a Arc<Session>>,
    /// The same, if its acknowledgement waits for what becomes of a message.
    pub sender: Option<Sender<'a>>,
    /// The message as it was sent.
    pub original: Option<&'a Stanza>,
}

/// What is left to do without the lock.
#[derive(Default)]
pub struct Outcome {
    /// What became of a message to everybody.
    pub receipt: Option<Receipt>,
    /// Private messages, and messages to users who need not be in the room.
    pub outward: Vec<(Jid, Stanza)>,
    /// The message that was published.
    pub published: Option<Stanza>,
    /// Who entered.
    pub entered: Vec<Entered>,
    /// Whether the room is gone.
    pub is_destroyed: bool,
    written: Vec<waxwing_core::db::Pending>,
}

impl Live {
    /// Does what is to happen, under the lock that the room was asked under.
    pub fn perform(
        self: &Arc<Self>,
        inner: &mut Inner,
        exchange: &Arc<Exchange>,
        act: Act<'_>,
        effects: Vec<Effect>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut statements = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { to, stanza } if to.is_bare() => outcome.outward.push((to, stanza)),
                Effect::Private { to, stanza } => outcome.outward.push((to, stanza)),
                Effect::Send { to, stanza } => send(exchange, act, &to, &stanza),
                Effect::Spread(spread) => inner.spread(exchange, &spread),
                Effect::Publish(published) => {
                    let receipt =
                        inner.publish(self, exchange, &published, act.sender, act.original);
                    outcome.receipt = Some(receipt);
                    outcome.published = Some(published.stanza);
                }
                Effect::Entered(entered) => {
                    self.enter(inner, act, &entered);
                    outcome.entered.push(entered);
                }
                Effect::Left { session } => inner.unseat(&session),
                Effect::Save(change) => {
                    outcome.is_destroyed |= change == Change::Destroyed;
                    statements.extend(self.statements(&change));
                }
            }
        }
        if outcome.is_destroyed {
            self.note(inner);
        }
        if !statements.is_empty() {
            let new = inner.follow_members();
            if !outcome.is_destroyed {
                // With the change itself: a member that a crash left without a cursor would begin
                // where the log ends, and be owed nothing of what was said before.
                let (newest, now) = (inner.newest, exchange.now());
                let begins = new.into_iter().map(|jid| self.begins(jid, newest, now));
                statements.extend(begins);
            }
            self.note(inner);
            // Queued under the lock, so that the last of two changes is written last.
            outcome.written.push(exchange.database.submit(statements));
        }
        outcome
    }

    /// Where a new member begins, as it is written.
    fn begins(&self, jid: Jid, newest: i64, now: Timestamp) -> Statement {
        let cursor = store::Cursor {
            jid,
            device: String::new(),
            cursor: newest,
            seen_at: now,
        };
        store::set_cursor(self.id, &cursor)
    }

    fn statements(&self, change: &Change) -> Vec<Statement> {
        if let Change::Tombstone { id, stanza } = change {
            let row = parse_archive_id(id);
            let body = |row| Mailbox::replacement(self.id, row, stanza.bytes().clone());
            return row.map(body).into_iter().collect();
        }
        let local = self.jid.local().unwrap_or_default();
        store::statements(self.id, local, change)
    }

    /// A session is in the room: from here on it is owed all that is said, and a member also what its
    /// device has not acknowledged. What it wishes to see beyond that is looked up later.
    fn enter(self: &Arc<Self>, inner: &mut Inner, act: Act<'_>, entered: &Entered) {
        let Some(session) = act.session.filter(|session| session.jid == entered.session) else {
            return;
        };
        let owed = inner.cursors.begin(&session.jid, session.device_key());
        self.note(inner);
        let after = owed.map_or(inner.newest, |owed| owed.min(inner.newest));
        inner.seat(self, session, Position::at(after), true);
    }
}

impl Outcome {
    /// Waits until everything is written.
    ///
    /// # Errors
    /// If something could not be written: what the room says of itself may be forgotten.
    pub async fn commit(&mut self) -> Result<(), DbError> {
        for written in std::mem::take(&mut self.written) {
            written.await.inspect_err(|error| {
                tracing::error!(%error, "a change of a room could not be written");
            })?;
        }
        Ok(())
    }

    /// Waits until everything is written, and sends what goes to others than the room.
    ///
    /// # Errors
    /// Those of [`commit`](Self::commit).
    pub async fn finish(
        mut self,
        exchange: &Arc<Exchange>,
        sender: Option<Sender<'_>>,
    ) -> Result<Receipt, StanzaError> {
        let is_written = self.commit().await;
        // What was said is not taken back: its own commit decides.
        if self.receipt.is_none() {
            is_written?;
        }
        let told = tell(exchange, sender, self.outward).await;
        Ok(self.receipt.unwrap_or(told))
    }
}

/// Sends messages to others than the room. Copies of a private message are for the clients of one
/// user, and one that takes it is enough; of invitations to several users each counts.
async fn tell(
    exchange: &Arc<Exchange>,
    sender: Option<Sender<'_>>,
    outward: Vec<(Jid, Stanza)>,
) -> Receipt {
    let is_one_user = (outward.windows(2)).all(|two| two[0].0.bare() == two[1].0.bare());
    let mut told: Option<Receipt> = None;
    for (to, stanza) in outward {
        // When it was accepted, nobody knew whom it is for.
        let stanza = exchange.cleansed(stanza.with_to(to.as_str()), &to);
        // In the archive of its sender it would show whom a nickname stands for.
        let sender = sender.map(|sender| Sender {
            archives: false,
            ..sender
        });
        let receipt = exchange.route_message(&stanza, &to, sender).await;
        if let Receipt::Bounced(error) = &receipt {
            tracing::debug!(%error, "a message of a room was not taken");
        }
        let weighs = |receipt: &Receipt| match receipt {
            Receipt::Bounced(_) => 3 * u8::from(!is_one_user),
            Receipt::Settled => 1,
            Receipt::Storing { .. } => 2,
        };
        if told
            .as_ref()
            .is_none_or(|told| weighs(told) < weighs(&receipt))
        {
            told = Some(receipt);
        }
    }
    told.unwrap_or(Receipt::Settled)
}

/// Sends a stanza to a session.
fn send(exchange: &Exchange, act: Act<'_>, to: &Jid, stanza: &Stanza) {
    let stanza = stanza.with_to(to.as_str());
    match act.session.filter(|session| session.jid == *to) {
        Some(session) => drop(session.outbox.push(&stanza)),
        None => drop(exchange.pass_iq(to, &stanza)),
    }
}
