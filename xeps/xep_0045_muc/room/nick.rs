//! Changing one's nickname (§7.6).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Jid, StanzaError};

use super::Room;
use super::occupants::Removed;
use super::told::{NOTHING, Told};
use crate::xep_0045_muc::effect::Effect;

impl Room {
    /// A session of the occupant at `index` wants another nickname. If the occupant has further
    /// sessions they stay who they are, and this one becomes somebody else.
    pub(super) fn rename(
        &mut self,
        index: usize,
        from: &Jid,
        nick: &str,
        payload: &str,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        self.check_nick(from.bare(), nick)?;
        self.stir_by(index, now)?;
        let occupant = self.occupants.get(index);
        let is_alone = occupant.session_count() == 1;
        let told = Told {
            jid: from,
            is_unavailable: true,
            payload: NOTHING,
            new_nick: Some(nick),
            codes: &[303],
            ..Told::of(self, occupant)
        };
        let is_shown = is_alone && self.is_shown(occupant.role);
        let own = std::slice::from_ref(from);
        let mut effects: Vec<Effect> = self
            .tell(&told, Some(index), own, is_shown)
            .into_iter()
            .collect();
        if is_alone && self.occupants.of_nick(nick).is_none() {
            self.occupants.get_mut(index).rename(nick);
            self.seat(index, from, payload);
            effects.extend(self.announce(index));
            return Ok(effects);
        }
        let role = occupant.role;
        let removed = self.occupants.get_mut(index).remove(from);
        if removed == Removed::Last {
            self.occupants.remove(index);
        }
        let new = self.take_seat(from, nick, payload, Some(role));
        match removed {
            Removed::Shown => effects.extend(self.announce(index)),
            // Everybody else knows it.
            Removed::InTheBackground => effects.extend(self.show(from, role, index)),
            Removed::Last => {}
        }
        effects.extend(self.announce(new));
        Ok(effects)
    }
}
