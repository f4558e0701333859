//! Roles that moderators and admins give (§8.2 to §8.5, §9.6 to §9.8).

use waxwing_xmpp::{Jid, StanzaError};

use super::Room;
use super::leave::Removal;
use super::told::Told;
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::effect::Effect;

impl Room {
    /// Whether a user may give the occupant of a nickname a role. Returns where that is.
    pub(super) fn check_role(
        &self,
        from: &Jid,
        nick: &str,
        to: Role,
    ) -> Result<usize, StanzaError> {
        let own = self.members.affiliation(from.bare());
        let is_admin = own >= Affiliation::Admin;
        if !is_admin && self.role_of_user(from.bare()) != Role::Moderator {
            return Err(StanzaError::forbidden());
        }
        let index = self.occupants.of_nick(nick);
        let index = index.ok_or_else(StanzaError::item_not_found)?;
        let target = self.occupants.get(index);
        let other = self.members.affiliation(target.bare());
        if other > own {
            // §8.2, §8.4.
            return Err(StanzaError::not_allowed());
        }
        if to == Role::None && target.bare() == from.bare() {
            return Err(StanzaError::conflict());
        }
        // §9.6.
        if to == Role::Moderator && !is_admin {
            return Err(StanzaError::forbidden());
        }
        // §9.7: who is admin or owner moderates.
        let is_lowered = matches!(to, Role::Visitor | Role::Participant);
        let keeps_role = is_lowered && other >= Affiliation::Admin;
        // §5.1.3: what a moderator is it is by admins.
        let is_above = to < Role::Moderator && target.role == Role::Moderator && !is_admin;
        // §8.4. Between those without an affiliation voice is the moderator's to take.
        let keeps_voice = to == Role::Visitor && other == own && other.is_member();
        if keeps_role || is_above || keeps_voice {
            return Err(StanzaError::not_allowed());
        }
        Ok(index)
    }

    /// Gives the occupant at `index` a role, or removes it.
    pub(super) fn change_role(
        &mut self,
        index: usize,
        to: Role,
        actor: &str,
        reason: &str,
    ) -> Vec<Effect> {
        if to == Role::None {
            return self.expel(
                index,
                Removal {
                    code: 307,
                    actor,
                    reason,
                    versions: None,
                },
            );
        }
        let before = self.occupants.get(index).role;
        if before == to {
            return Vec::new();
        }
        let bare = self.occupants.get(index).bare().to_owned();
        if self.members.affiliation(&bare) < Affiliation::Admin {
            self.remember_voice(&bare, to);
        }
        self.occupants.get_mut(index).role = to;
        let told = Told {
            actor,
            reason,
            ..Told::of(self, self.occupants.get(index))
        };
        self.announce_change(index, before, &told)
    }
}
