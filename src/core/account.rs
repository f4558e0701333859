//! A local account while the server works with it: its sessions, its roster, its mailbox cursor.
//!
//! Everything that concerns one account happens under its one lock, which is held for moments and
//! never across an await: that is where the order of its messages is kept.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use waxwing_xmpp::{Jid, Stanza};

use crate::archiving::Preferences;
use crate::clock::Timestamp;
use crate::mailbox_store::MAX_DEVICES;
use crate::outbox::TakenRow;
use crate::position::Position;
use crate::roster::Roster;
use crate::session::{Session, SessionRef};

/// Addresses one session may send directed presence to; beyond, the stanza is refused.
pub const MAX_DIRECTED: usize = 512;

/// See the [module](self).
pub struct Account {
    /// Its key in the database.
    pub id: i64,
    /// Its bare JID.
    pub jid: Jid,
    /// Whether it may not log in.
    disabled: AtomicBool,
    /// What it wants archived, looked at without the lock.
    pub(crate) preferences: ArcSwapOption<Preferences>,
    state: Mutex<State>,
}

/// What the lock of an account protects.
pub struct State {
    /// Its bound sessions, oldest first.
    pub sessions: Vec<Bound>,
    /// Its roster.
    pub roster: Roster,
    /// Messages that wait in its mailbox: no device has acknowledged them.
    pub mailbox: Usage,
    /// The newest row appended to its mailbox since it was loaded.
    pub last_row: i64,
    /// The row up to which some device has acknowledged.
    pub cursor: i64,
    /// How far each of its devices has; those seen longest ago come first.
    pub devices: Vec<DeviceCursor>,
    /// Rows for one resource that its session left behind, and that nobody has acknowledged: they
    /// are for everybody, wherever the cursors stand.
    pub strays: Vec<i64>,
    /// Rows for one session alone that nobody has acknowledged. Should a cursor pass one, it is noted
    /// among the strays of the table: another device may be ahead of that session when a crash ends it.
    pub directed: Vec<Directed>,
    /// How many available presences there were: what tells whether a session was there when a
    /// message was handed out.
    pub arrivals: u64,
    /// Whether somebody looks after what its sessions hold in memory only.
    pub is_watched: bool,
    /// Messages that were taken while they were being stored.
    pub taken_late: Vec<Bytes>,
    /// Whether it was removed while it was loaded: nothing may be stored for it.
    pub removed: bool,
}

/// A row for one session alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directed {
    /// The row.
    pub row: i64,
    /// Whose it is.
    pub session: SessionRef,
    /// Whether it stands among the strays of the table.
    pub is_noted: bool,
}

/// How much waits in a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How far a device has acknowledged the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCursor {
    /// What names the device ([`Session::device_key`]).
    pub key: Box<str>,
    /// The row.
    pub cursor: i64,
}

/// The mailbox of an account as it is loaded.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// What no device has acknowledged.
    pub usage: Usage,
    /// The row up to which some device has.
    pub cursor: i64,
    /// How far each device has.
    pub devices: Vec<DeviceCursor>,
    /// What sessions left behind ([`State::strays`]).
    pub strays: Vec<i64>,
}

/// A session as its account sees it.
pub struct Bound {
    /// The session.
    pub session: Arc<Session>,
    /// Its last available presence, stamped, and its priority; `None` while it is not available.
    pub presence: Option<Available>,
    /// Since which of the account's arrivals messages to the bare JID go to it.
    pub takes_since: Option<u64>,
    /// Whether it asked for the roster and so is sent pushes (RFC 6121 §2.1.6).
    pub interested: bool,
    /// Where it sent directed presence (RFC 6121 §4.6), bare or full JIDs.
    pub directed: Vec<Jid>,
    /// How far it has got with the mailbox.
    pub position: Position,
}

/// Availability of a session.
#[derive(Clone)]
pub struct Available {
    /// The presence stanza, stamped with the full JID and without `to`.
    pub stanza: Stanza,
    /// When it was received.
    pub received: Timestamp,
    /// −128 to 127; negative: no messages to the bare JID.
    pub priority: i8,
}

impl Account {
    /// An account as loaded from the database.
    #[must_use]
    pub fn new(id: i64, jid: Jid, roster: Roster, mail: Mail) -> Self {
        let state = State {
            sessions: Vec::new(),
            roster,
            mailbox: mail.usage,
            last_row: 0,
            cursor: mail.cursor,
            devices: mail.devices,
            strays: mail.strays,
            directed: Vec::new(),
            arrivals: 0,
            is_watched: false,
            taken_late: Vec::new(),
            removed: false,
        };
        Account {
            id,
            jid,
            disabled: AtomicBool::new(false),
            preferences: ArcSwapOption::empty(),
            state: Mutex::new(state),
        }
    }

    /// Whether it may not log in.
    pub fn is_disabled(&self) -> bool {
        self.disabled.load(Ordering::Acquire)
    }

    /// Says what [`Self::is_disabled`] tells.
    pub fn set_disabled(&self, disabled: bool) {
        self.disabled.store(disabled, Ordering::Release);
    }

    /// Takes the lock. Never hold it over an await, and never take a second account's under it.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// The entry of one session.
    pub fn bound(&mut self, reference: SessionRef) -> Option<&mut Bound> {
        self.sessions
            .iter_mut()
            .find(|bound| bound.session.reference == reference)
    }

    /// The session with that resource.
    pub fn resource(&self, resource: &str) -> Option<&Bound> {
        self.sessions
            .iter()
            .find(|bound| bound.session.jid.resource() == Some(resource))
    }

    /// Whether the mailbox may hold something that a session was not given. The count alone is not
    /// asked: another device may have acknowledged it.
    pub fn may_have_mail(&self, handed: i64) -> bool {
        self.mailbox.count > 0 || handed < self.cursor.max(self.last_row) || !self.strays.is_empty()
    }

    /// The cursor of a device; a new one begins where the account stands.
    pub fn device_cursor(&self, key: Option<&str>) -> i64 {
        let mut devices = self.devices.iter();
        let known = key.and_then(|key| devices.find(|device| *device.key == *key));
        known.map_or(self.cursor, |device| device.cursor)
    }

    /// Moves the cursor of a device and of the account; neither goes back.
    pub fn advance(&mut self, key: Option<&str>, cursor: i64) {
        self.cursor = self.cursor.max(cursor);
        let Some(key) = key else { return };
        match self.devices.iter().position(|device| *device.key == *key) {
            Some(at) => {
                // Who was seen last stands last.
                self.devices[at..].rotate_left(1);
                if let Some(device) = self.devices.last_mut() {
                    device.cursor = device.cursor.max(cursor);
                }
            }
            None => {
                if self.devices.len() >= MAX_DEVICES {
                    // As in the table: the one seen longest ago among those not here.
                    let here = |device: &DeviceCursor| {
                        let mut keys = self
                            .sessions
                            .iter()
                            .filter_map(|bound| bound.session.device_key());
                        keys.any(|key| *key == *device.key)
                    };
                    let gone = self.devices.iter().position(|device| !here(device));
                    gone.map(|at| self.devices.remove(at));
                }
                self.devices.reserve_exact(1);
                self.devices.push(DeviceCursor {
                    key: key.into(),
                    cursor,
                });
            }
        }
    }

    /// Of these rows those that no session besides this one holds or is still to be given.
    pub(crate) fn unawaited(&self, rows: Vec<i64>, besides: SessionRef) -> Vec<i64> {
        let mut free: HashSet<i64> = rows.into_iter().collect();
        for other in &self.sessions {
            if free.is_empty() {
                break;
            }
            if other.session.reference != besides {
                free.retain(|row| !other.position.awaits(*row));
                other.session.outbox.each_row(|row| {
                    free.remove(&row);
                });
            }
        }
        let mut free: Vec<i64> = free.into_iter().collect();
        free.sort_unstable();
        free
    }

    /// The rows for one session that the account's cursor has passed, and that were not before.
    pub(crate) fn note_passed(&mut self) -> Vec<i64> {
        let cursor = self.cursor;
        let directed = self.directed.iter_mut();
        let passed = directed.filter(|directed| directed.row <= cursor && !directed.is_noted);
        passed
            .map(|directed| {
                directed.is_noted = true;
                directed.row
            })
            .collect()
    }

    /// Takes out the rows for one session that meet the test.
    pub(crate) fn take_directed(
        &mut self,
        mut test: impl FnMut(&Directed) -> bool,
    ) -> Vec<Directed> {
        self.directed
            .extract_if(.., |directed| test(directed))
            .collect()
    }

    /// Stored messages are gone from the mailbox.
    pub fn forget_stored(&mut self, count: u64, bytes: u64) {
        self.mailbox.count = self.mailbox.count.saturating_sub(count);
        self.mailbox.bytes = self.mailbox.bytes.saturating_sub(bytes);
        if self.mailbox.count == 0 {
            self.mailbox.bytes = 0;
        }
    }

    /// Sessions that sent available presence.
    pub fn available(&self) -> impl Iterator<Item = (&Bound, &Available)> {
        self.sessions
            .iter()
            .filter_map(|bound| Some((bound, bound.presence.as_ref()?)))
    }

    /// Sessions that asked for the roster.
    pub fn interested(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions
            .iter()
            .filter(|bound| bound.interested)
            .map(|bound| &bound.session)
    }
}

impl Bound {
    /// Changes how far it has got, and tells the session whether it is being drained.
    pub fn reposition<T>(&mut self, change: impl FnOnce(&mut Position) -> T) -> T {
        let outcome = change(&mut self.position);
        self.session.set_draining(self.position.is_draining());
        outcome
    }

    /// Its client has acknowledged rows, of which `last` is the last that was given in order. Returns
    /// how far it has come, if that is further.
    pub fn took(&mut self, rows: &[TakenRow], last: Option<i64>) -> Option<i64> {
        let before = self.position.cursor();
        for row in rows.iter().filter(|row| !row.in_order) {
            self.position.took(row.id);
        }
        if let Some(last) = last {
            self.position.acknowledged(last);
        }
        let after = self.position.cursor();
        (after > before).then_some(after)
    }

    /// Whether messages to the bare JID go to it (RFC 6121 §8.5.2.1.1).
    pub fn takes_bare(&self) -> bool {
        self.presence
            .as_ref()
            .is_some_and(|available| available.priority >= 0)
            && !self.session.outbox.is_detached()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in the table: what was seen again is not what is forgotten.
    #[test]
    fn the_device_seen_longest_ago_is_forgotten() {
        let device = |n: usize| DeviceCursor {
            key: format!("{n:02}").into(),
            cursor: 1,
        };
        let mail = Mail {
            cursor: 1,
            devices: (0..MAX_DEVICES).map(device).collect(),
            ..Mail::default()
        };
        let jid = Jid::parse_tolerant("juliet@localhost").expect("an address");
        let account = Account::new(1, jid, Roster::default(), mail);
        let mut state = account.lock();
        state.advance(Some("00"), 5);
        state.advance(Some("new"), 7);
        assert_eq!(state.devices.len(), MAX_DEVICES);
        let known = ["00", "01", "02", "new"].map(|key| state.device_cursor(Some(key)));
        assert_eq!(known, [5, 7, 1, 7], "01 begins where the account stands");
    }
}
