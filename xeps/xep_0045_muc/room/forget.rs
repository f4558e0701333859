//! Users whose accounts are gone, and who owns a room after its last owner (§10).

use std::cmp::Reverse;

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::Jid;

use super::Room;
use super::affiliation::Wish;
use super::told::push_text;
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::effect::Effect;

impl Room {
    /// Who would own the room if an owner went, by bare JID, the first before all others: owners,
    /// admins and members, those before others that have been it for longer, then occupants,
    /// moderators first, in the order in which they came.
    #[must_use]
    pub fn heirs(&self, owner: &Jid) -> Vec<Jid> {
        let mut known = self.members.since(None);
        known.retain(|(jid, affiliation, _)| affiliation.is_member() && jid.local().is_some());
        // The order of the versions stays within an affiliation.
        known.sort_by_key(|(_, affiliation, _)| Reverse(*affiliation));
        let mut inside: Vec<_> = self.occupants.iter().collect();
        inside.sort_by_key(|occupant| Reverse(occupant.role));
        let mut heirs: Vec<Jid> = known.into_iter().map(|(jid, _, _)| jid.clone()).collect();
        for occupant in inside {
            if heirs.iter().all(|heir| heir.as_str() != occupant.bare()) {
                heirs.push(occupant.main.jid.to_bare());
            }
        }
        heirs.retain(|heir| heir.as_str() != owner.bare());
        heirs
    }

    /// The account of a user is gone, and with it all that the room knows of it. If it was the last
    /// owner `heir` is one now; without an heir the room goes.
    pub fn forget(&mut self, user: &Jid, heir: Option<&Jid>, now: Timestamp) -> Vec<Effect> {
        let goes = Wish::new(user.to_bare(), Affiliation::None).unsaid();
        let mut wishes = Vec::new();
        if self.is_last_owner(user) {
            let Some(heir) = heir else {
                let mut said = String::new();
                push_text(&mut said, "reason", "Nobody is left to own the room");
                return self.destroyed(None, &said);
            };
            wishes.push(Wish::new(heir.to_bare(), Affiliation::Owner));
        }
        wishes.push(goes);
        let room = self.jid.clone();
        self.change_affiliations(&room, &wishes, now)
    }

    fn is_last_owner(&self, user: &Jid) -> bool {
        let mut owners = self.owners();
        owners
            .next()
            .is_some_and(|owner| owner.as_str() == user.bare())
            && owners.next().is_none()
    }
}
