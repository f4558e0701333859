//! Custody under the account's lock: what goes to the mailbox, and what comes back from sessions
//! that end without having taken it.

use std::sync::Arc;

use bytes::Bytes;
use waxwing_xmpp::{Stanza, StanzaError};

use super::Delivery;
use super::stored::{Appended, is_for_one};
use crate::account::{Bound, Directed};
use crate::clock::Timestamp;
use crate::exchange::parse_address;
use crate::mailbox_store::Flags;
use crate::outbox::{Held, Origin};
use crate::powers::Direction;
use crate::session::Session;
use crate::stray;

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
        // What it was not even given.
        let is_own = |directed: &Directed| directed.session == session.reference;
        for directed in self.state.take_directed(is_own) {
            self.make_stray(directed.row);
        }
    }

    fn return_held(&mut self, session: &Session, stanza: Bytes, held: Held) {
        // A row is in the mailbox still; only one for this resource alone is at hand.
        if stanza.is_empty()
            || matches!(
                held,
                Held::Row {
                    directed: false,
                    ..
                } | Held::Feed { .. }
            )
        {
            return;
        }
        let Ok(stanza) = Stanza::parse(stanza) else {
            tracing::error!("a message that was delivered cannot be read again");
            return;
        };
        match held {
            Held::Row {
                id, bytes, brief, ..
            } => self.leave_behind(session, &stanza, Appended::known(id, bytes, brief)),
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
                let flags = Flags::INCOMING;
                if let Err(error) = self.store(&stanza, received, origin.as_ref(), flags, false) {
                    self.refuse_held(stanza, origin, &error);
                }
            }
            Held::Feed { .. } => {}
        }
    }

    /// A message that was for a resource alone, which may be gone: it is for everybody now, and the
    /// others have it at once.
    fn leave_behind(&mut self, gone: &Session, stanza: &Stanza, row: Appended) {
        self.make_stray(row.id);
        let others = self.takers(|bound| bound.session.reference != gone.reference);
        for session in others {
            // Who was given a copy has it.
            if self
                .exchange
                .copy(stanza, Direction::Received, &session)
                .is_none()
            {
                self.hand_row(&session, stanza, row, false, true);
            }
        }
    }

    /// A row is for everybody, wherever the cursors stand.
    fn make_stray(&mut self, row: i64) {
        self.state.directed.retain(|directed| directed.row != row);
        if !self.state.strays.contains(&row) {
            self.state.strays.push(row);
            self.exchange.write_behind(
                vec![stray::entry(self.account.id, row)],
                "a message that was left behind could not be noted",
            );
        }
    }

    /// The connection of a session broke: what it held in memory is stored, what was for it alone
    /// goes to the account's others, and from here on it is given the mailbox page by page.
    pub(super) fn sleep(&mut self, session: &Arc<Session>) {
        let mut broken = session.outbox.sleep(self.exchange.clock.elapsed());
        for (place, stanza, held) in broken.live {
            match (place, self.store_untaken(stanza, held)) {
                (Some(place), Some(row)) => {
                    session.outbox.settle_broken(place, row.held(true, false));
                }
                (None, Some(row)) => broken.lost.push(row.id),
                (_, None) => {}
            }
        }
        for (stanza, held) in broken.directed {
            // It may come back, and is named to be given again.
            if !Stanza::parse(stanza.clone()).is_ok_and(|stanza| is_for_one(&stanza)) {
                self.return_held(session, stanza, held);
            }
        }
        if let Some(bound) = self.state.bound(session.reference) {
            let takes = bound.takes_bare();
            bound.reposition(|position| position.rewind(broken.lost, takes));
        }
    }

    /// Stores a message that lived in memory only; `None`: it could not be, and its sender is told.
    fn store_untaken(&mut self, stanza: Bytes, held: Held) -> Option<Appended> {
        let Held::Live {
            received, origin, ..
        } = held
        else {
            return None;
        };
        let stanza = Stanza::parse(stanza).ok()?;
        match self.store(&stanza, received, origin.as_ref(), Flags::INCOMING, false) {
            Ok(row) => Some(row),
            Err(error) => {
                self.refuse_held(stanza, origin, &error);
                None
            }
        }
    }

    /// A message that lived in memory cannot be kept. Whoever waits for its acknowledgement hears of
    /// that first.
    fn refuse_held(&mut self, stanza: Stanza, origin: Option<Origin>, error: &StanzaError) {
        let Some(origin) = origin else {
            self.refused.push(stanza);
            return;
        };
        let wrote = origin.wrote(&stanza);
        if origin.session.outbox.is_detached() {
            self.refused.push(wrote.clone());
        } else {
            self.exchange.answer_error(&origin.session, wrote, error);
        }
        origin.settle();
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
        let later = self.takers(came_later);
        kept |= self.hand_kept(&later, stanza, received, None);
        kept
    }
}
