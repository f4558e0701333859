//! Leaving a room, of one's own will or not (§7.14, §11).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Jid, Stanza};

use super::occupants::Removed;
use super::told::{NOTHING, Told};
use super::{Room, State};
use crate::xep_0045_muc::effect::{Change, Effect};

/// Why a session is in a room no more, without having said so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The session has ended.
    Gone,
    /// It cannot be reached (§11.1).
    Fault,
    /// The service goes down (§11.2).
    Shutdown,
}

/// How an occupant is removed.
#[derive(Clone, Copy, Default)]
pub(super) struct Removal<'a> {
    pub(super) code: u16,
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
    /// See [`Told::versions`].
    pub(super) versions: Option<(Option<i64>, i64)>,
}

impl Room {
    /// A session, by full JID, is gone. Nothing happens if it is not in the room.
    pub fn leave(&mut self, session: &Jid, why: Exit, now: Timestamp) -> Vec<Effect> {
        // Nothing that is said of it holds a time.
        let _ = now;
        let codes: &[u16] = match why {
            Exit::Gone => &[],
            Exit::Fault => &[333],
            Exit::Shutdown => &[332],
        };
        self.depart(session, NOTHING, codes, why != Exit::Gone)
    }

    /// A session has ended, or is not available any more; `presence` is its unavailable stanza.
    pub fn end(&mut self, session: &Jid, presence: &Stanza) -> Vec<Effect> {
        // What is too long is not said; to leave cannot fail.
        let farewell = self.payload(presence);
        let farewell = farewell.unwrap_or_else(|_| NOTHING.to_owned());
        self.depart(session, &farewell, &[], false)
    }

    /// Removes one session, which takes its leave with that payload.
    pub(super) fn depart(
        &mut self,
        session: &Jid,
        payload: &str,
        codes: &[u16],
        tells_it: bool,
    ) -> Vec<Effect> {
        let Some(index) = self.occupants.of_session(session) else {
            return Vec::new();
        };
        let before = self.occupants.get(index).clone();
        let is_last = before.session_count() == 1 && self.occupants.len() == 1;
        if is_last && self.is_locked() {
            // §10.1.3: its creator left without having configured it.
            return self.destroyed(None, "");
        }
        let own = std::slice::from_ref(session);
        let own = if tells_it { own } else { &[] };
        let removed = self.occupants.get_mut(index).remove(session);
        if removed == Removed::Last {
            self.occupants.remove(index);
        }
        let told = Told {
            jid: session,
            payload,
            codes,
            ..Told::gone(self, &before)
        };
        let is_shown = removed == Removed::Last && self.is_shown(before.role);
        let mut effects: Vec<Effect> = self.tell(&told, None, own, is_shown).into_iter().collect();
        if removed == Removed::Shown {
            effects.extend(self.announce(index));
        }
        effects.push(Effect::Left {
            session: session.clone(),
        });
        self.close_if_empty(&mut effects);
        effects
    }

    /// Removes an occupant with all of its sessions (§8.2, §9.1).
    pub(super) fn expel(&mut self, index: usize, how: Removal<'_>) -> Vec<Effect> {
        let is_shown = self.is_shown(self.occupants.get(index).role);
        self.expel_shown(index, how, is_shown)
    }

    /// The same for an occupant that the others see, or not.
    pub(super) fn expel_shown(
        &mut self,
        index: usize,
        how: Removal<'_>,
        is_shown: bool,
    ) -> Vec<Effect> {
        let occupant = self.occupants.remove(index);
        let own: Vec<Jid> = occupant.sessions().cloned().collect();
        let told = Told {
            actor: how.actor,
            reason: how.reason,
            codes: &[how.code],
            versions: how.versions,
            ..Told::gone(self, &occupant)
        };
        let mut effects: Vec<Effect> = self.tell(&told, None, &own, is_shown).into_iter().collect();
        effects.extend(own.into_iter().map(|session| Effect::Left { session }));
        effects
    }

    /// A room that does not stay goes with its last occupant (§7.14).
    pub(super) fn close_if_empty(&mut self, effects: &mut Vec<Effect>) {
        if self.occupants.is_empty() && !self.config.is_persistent && self.state == State::Open {
            self.state = State::Destroyed(None);
            effects.push(Effect::Save(Change::Destroyed));
        }
    }
}
