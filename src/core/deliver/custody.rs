//! Custody under the account's lock: what goes to the mailbox, and what comes back from sessions
//! that end without having taken it.

use std::sync::Arc;

use bytes::Bytes;
use waxwing_xmpp::Stanza;

use super::Delivery;
use super::stored::Appended;
use crate::account::{Bound, Drain};
use crate::clock::Timestamp;
use crate::exchange::{Receipt, parse_address};
use crate::mailbox_store::Flags;
use crate::outbox::Held;
use crate::session::Session;

impl Delivery<'_> {
    /// A session may be told to end, or overflow, before its owner ends it. What it held is given
    /// back before anything newer is looked at: that keeps the order.
    pub(super) fn settle_detached(&mut self) {
        let ending = |bound: &&Bound| bound.session.outbox.is_detached();
        // Nearly always none.
        while let Some(session) = (self.state.sessions.iter().filter(ending))
            .find(|bound| bound.session.outbox.holds_messages())
            .map(|bound| Arc::clone(&bound.session))
        {
            self.give_back(&session);
        }
    }

    pub(super) fn give_back(&mut self, session: &Session) {
        for (stanza, held) in session.outbox.take_held() {
            self.return_held(session, stanza, held);
        }
    }

    fn return_held(&mut self, session: &Session, stanza: Bytes, held: Held) {
        let is_row = matches!(held, Held::Row { .. });
        // A row is in the mailbox still.
        if is_row && stanza.is_empty() {
            return;
        }
        let Ok(stanza) = Stanza::parse(stanza) else {
            tracing::error!("a message that was delivered cannot be read again");
            return;
        };
        match held {
            Held::Row {
                id,
                bytes,
                brief,
                directed,
            } => {
                let row = Appended {
                    id,
                    bytes,
                    brief,
                    archived: false,
                    sent: false,
                };
                if directed {
                    self.hand_row_to_others(session, &stanza, row);
                }
            }
            Held::Live {
                received,
                arrivals,
                origin,
                ..
            } => {
                if self.hand_to_others(session, &stanza, received, arrivals) {
                    if let Some(origin) = origin {
                        origin.settle();
                    }
                    return;
                }
                if matches!(
                    self.store_alone(&stanza, received, origin),
                    Receipt::Bounced(_)
                ) {
                    self.refused.push(stanza);
                }
            }
        }
    }

    /// A message that was for a resource alone which is gone: the others have it at once.
    fn hand_row_to_others(&mut self, gone: &Session, stanza: &Stanza, row: Appended) {
        // Who wanted copies has one.
        let others = self.takers(|bound| {
            bound.session.reference != gone.reference && !bound.session.is_copied()
        });
        for session in others {
            self.hand_row(&session, stanza, row, false);
        }
    }

    /// The connection of a session broke: what it held in memory is stored, what was for it alone
    /// goes to the account's others, and from here on it is given the mailbox page by page.
    pub(super) fn sleep(&mut self, session: &Arc<Session>) {
        let outbox = &session.outbox;
        let directed = outbox.sleep(|stanza, held| self.store_untaken(stanza, held));
        for (stanza, held) in directed {
            self.return_held(session, stanza, held);
        }
        if let Some(bound) = self.state.bound(session.reference) {
            bound.handed = bound.cursor;
            let after = bound.cursor;
            bound.set_draining(Some(Drain { after }));
        }
    }

    fn store_untaken(&mut self, stanza: &Bytes, held: &Held) -> Option<i64> {
        let Held::Live {
            received, origin, ..
        } = held
        else {
            return None;
        };
        let stanza = Stanza::parse(stanza.clone()).ok()?;
        let stored = self.store(&stanza, *received, origin.clone(), Flags::INCOMING, false);
        if stored.is_err() {
            self.refused.push(stanza);
        }
        stored.ok().map(|row| row.id)
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
}
