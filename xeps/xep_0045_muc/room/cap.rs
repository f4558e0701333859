//! How many a room takes: owners, admins, members, and occupants without an affiliation together
//! (§7.2.9).

use waxwing_xmpp::error::ErrorType;
use waxwing_xmpp::StanzaError;

use super::Room;
use crate::xep_0045_muc::affiliation::Affiliation;

/// How many a room has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) all: usize,
    /// Admins and owners.
    pub(super) high: usize,
}

impl Room {
    /// How many there may be.
    pub(super) fn cap(&self) -> usize {
        usize::from(self.config.max_members.min(self.limits.max_members))
    }

    pub(super) fn count(&self) -> Count {
        let mut strangers: Vec<&str> = self
            .occupants
            .iter()
            .map(super::occupants::Occupant::bare)
            .filter(|bare| !self.members.affiliation(bare).is_member())
            .collect();
        strangers.sort_unstable();
        strangers.dedup();
        Count {
            all: self.members.count(Affiliation::is_member) + strangers.len(),
            high: self.members.count(|a| a >= Affiliation::Admin),
        }
    }

    /// Whether a room may have so many: beyond the cap only as many as there are admins and owners,
    /// up to the server's bound.
    pub(super) fn fits(&self, count: Count, cap: usize) -> bool {
        count.all <= cap + count.high.min(usize::from(self.limits.extra_for_admins))
    }

    /// Whether one more user without an affiliation may enter.
    pub(super) fn check_place(&self, bare: &str) -> Result<(), StanzaError> {
        let is_counted = self.members.affiliation(bare).is_member()
            || self.occupants.of_user(bare).next().is_some();
        if is_counted || self.count().all < self.cap() {
            return Ok(());
        }
        Err(StanzaError::service_unavailable()
            .with_type(ErrorType::Wait)
            .with_text("The room is full"))
    }
}

/// The room has no place for another member.
pub(super) fn full() -> StanzaError {
    StanzaError::resource_constraint().with_text("The room has no place for another member")
}
