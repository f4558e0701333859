//! Which messages an account wants to see in its archive, as a value.

use std::sync::Arc;

use tokio::sync::oneshot;
use waxwing_xmpp::Jid;

use crate::account::Account;
use crate::db::{Database, DbError, Pending, Statement};
use crate::roster::Roster;

/// What becomes of messages from and to an address that no list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// They are archived.
    Always,
    /// They are not.
    Never,
    /// They are if the roster names the address.
    Roster,
}

/// What an account wants archived. Without any, everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// For addresses in neither list.
    pub otherwise: Otherwise,
    /// Addresses whose messages are archived. A bare JID stands for every resource.
    pub always: Vec<Jid>,
    /// Addresses whose messages are not; they win over the first list.
    pub never: Vec<Jid>,
}

impl Preferences {
    /// Whether messages from and to `peer` are archived; `None`: if the roster names it.
    #[must_use]
    pub fn archive(&self, peer: &Jid) -> Option<bool> {
        // A full JID in a list means that resource alone.
        let names =
            |listed: &Jid| listed == peer || (listed.is_bare() && listed.as_str() == peer.bare());
        if self.never.iter().any(names) {
            return Some(false);
        }
        if self.always.iter().any(names) {
            return Some(true);
        }
        match self.otherwise {
            Otherwise::Always => Some(true),
            Otherwise::Never => Some(false),
            Otherwise::Roster => None,
        }
    }
}

impl Account {
    /// Its preferences; `None`: it has said nothing.
    pub fn preferences(&self) -> Option<Arc<Preferences>> {
        self.preferences.load_full()
    }

    /// Sets what [`Self::preferences`] tells.
    pub fn set_preferences(&self, preferences: Option<Preferences>) {
        self.preferences.store(preferences.map(Arc::new));
    }

    /// Sets the same once the statements are committed. What was written last is what holds: it is
    /// set in the order of the commits, and a write that fails changes nothing.
    pub fn write_preferences(
        self: &Arc<Self>,
        database: &Database,
        preferences: Option<Preferences>,
        statements: Vec<Statement>,
    ) -> Pending<()> {
        let (reply, pending) = oneshot::channel();
        let account = Arc::clone(self);
        let done = move |result: Result<(), DbError>| {
            if result.is_ok() {
                account.set_preferences(preferences);
            }
            if let Err(Err(error)) = reply.send(result) {
                tracing::error!(%error, "archive preferences could not be written");
            }
        };
        Pending::queued(database.submit_with(statements, done), pending)
    }

    /// Whether messages from and to `peer` show in its archive. Takes the account's lock if the
    /// roster decides: for an account whose lock is not held, such as the sender's.
    pub fn archives(&self, peer: &Jid) -> bool {
        self.wants(peer)
            .unwrap_or_else(|| is_contact(&self.lock().roster, peer))
    }

    /// The same under the account's lock, by its roster, for an address that is read only if it
    /// matters.
    pub fn archives_by(&self, roster: &Roster, peer: &str) -> bool {
        if self.preferences.load().is_none() {
            return true;
        }
        Jid::parse_tolerant(peer).is_ok_and(|peer| {
            let wanted = self.wants(&peer);
            wanted.unwrap_or_else(|| is_contact(roster, &peer))
        })
    }

    fn wants(&self, peer: &Jid) -> Option<bool> {
        let preferences = self.preferences.load();
        // Nearly nobody has any.
        preferences
            .as_ref()
            .map_or(Some(true), |preferences| preferences.archive(peer))
    }
}

/// XEP-0441 §2.3: the bare address is looked for.
fn is_contact(roster: &Roster, peer: &Jid) -> bool {
    roster.get(peer.bare()).is_some_and(|item| item.listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("an address")
    }

    #[test]
    fn lists_come_before_the_rest_and_never_before_always() {
        let mut preferences = Preferences {
            otherwise: Otherwise::Roster,
            always: vec![jid("romeo@x"), jid("both@x"), jid("full@x/a")],
            never: vec![jid("both@x"), jid("paris@x/secret"), jid("x")],
        };
        for (peer, expected) in [
            ("romeo@x", Some(true)),
            ("romeo@x/orchard", Some(true)),
            ("both@x/a", Some(false)),
            ("full@x/a", Some(true)),
            ("full@x/b", None),
            ("full@x", None),
            ("paris@x", None),
            ("paris@x/secret", Some(false)),
            ("x", Some(false)),
            ("nurse@x", None),
        ] {
            assert_eq!(preferences.archive(&jid(peer)), expected, "{peer}");
        }
        preferences.otherwise = Otherwise::Never;
        assert_eq!(preferences.archive(&jid("nurse@x")), Some(false));
        preferences.otherwise = Otherwise::Always;
        assert_eq!(preferences.archive(&jid("nurse@x")), Some(true));
    }
}
