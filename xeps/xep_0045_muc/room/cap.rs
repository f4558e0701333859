//! How many a room takes: owners, admins, members, and occupants without an affiliation together
//! (§7.2.9).

use waxwing_xmpp::StanzaError;
use waxwing_xmpp::error::ErrorType;

use super::Room;
use super::members::Members;
use super::occupants::Occupant;
use crate::xep_0045_muc::affiliation::Affiliation;

/// How many a room has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) all: usize,
    /// Admins and owners.
    pub(super) high: usize,
}

impl Count {
    /// How many are beyond the cap.
    fn over(self, cap: usize) -> usize {
        self.all.saturating_sub(cap)
    }
}

impl Room {
    /// How many there may be.
    pub(super) fn cap(&self) -> usize {
        usize::from(self.config.max_members.min(self.limits.max_members))
    }

    pub(super) fn count(&self) -> Count {
        self.count_with(&self.members)
    }

    /// How many there are if these are the members: who would have to go is not counted.
    pub(super) fn count_with(&self, members: &Members) -> Count {
        let stays = |bare: &&str| {
            members.affiliation(bare) == Affiliation::None && !self.config.is_members_only
        };
        let mut strangers: Vec<&str> = self
            .occupants
            .iter()
            .map(Occupant::bare)
            .filter(stays)
            .collect();
        strangers.sort_unstable();
        strangers.dedup();
        Count {
            all: members.count(Affiliation::is_member) + strangers.len(),
            high: members.count(|a| a >= Affiliation::Admin),
        }
    }

    /// Whether a room may have so many: beyond the cap only as many as there are admins and owners,
    /// up to the server's bound.
    pub(super) fn fits(&self, count: Count) -> bool {
        count.over(self.cap()) <= count.high.min(usize::from(self.limits.extra_for_admins))
    }

    /// Whether affiliations may become these: beyond the cap a room grows by admins and owners only.
    pub(super) fn check_members(&self, after: &Members) -> Result<(), StanzaError> {
        let (before, after) = (self.count(), self.count_with(after));
        let cap = self.cap();
        let grown = after.over(cap).saturating_sub(before.over(cap));
        if self.fits(after) && grown <= after.high.saturating_sub(before.high) {
            return Ok(());
        }
        Err(StanzaError::resource_constraint()
            .with_text("The room has no place for another member"))
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
