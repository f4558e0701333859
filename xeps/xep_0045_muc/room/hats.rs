//! Hats that admins give to members (XEP-0317).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Jid, StanzaError};

use super::Room;
use super::told::Told;
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::effect::{Change, Effect};

/// Hats of one user at most, and bytes of each part of one.
const MOST_HATS: usize = 8;
const MOST_BYTES: usize = 256;

impl Room {
    /// The hats of a user as pairs of URI and title.
    #[must_use]
    pub fn hats(&self, user: &Jid) -> &[(String, String)] {
        self.members.hats(user.bare())
    }

    /// Who wears hats, and which.
    #[must_use]
    pub fn worn(&self) -> Vec<(&Jid, &[(String, String)])> {
        let worn = self.member_jids().map(|jid| (jid, self.hats(jid)));
        worn.filter(|(_, hats)| !hats.is_empty()).collect()
    }

    /// An admin gives a member a hat, or another title to one that it has, or takes it (`None`).
    ///
    /// # Errors
    /// `forbidden` but for admins and owners; `item-not-found` if the user is no member, or has no
    /// such hat; `not-acceptable` if it is too long; `resource-constraint` for too many.
    pub fn set_hat(
        &mut self,
        from: &Jid,
        user: &Jid,
        uri: &str,
        title: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        // Nothing that is said of it holds a time.
        let _ = now;
        let own = self.members.affiliation(from.bare());
        self.check_open(own)?;
        if own < Affiliation::Admin {
            return Err(StanzaError::forbidden());
        }
        let user = user.to_bare();
        let mut member = self.members.member(user.as_str());
        if !member.affiliation.is_member() {
            return Err(StanzaError::item_not_found());
        }
        let place = member.hats.iter().position(|(known, _)| known == uri);
        match (title, place) {
            (Some(title), _) if title.len().max(uri.len()) > MOST_BYTES || uri.is_empty() => {
                return Err(StanzaError::not_acceptable());
            }
            (Some(title), Some(place)) => title.clone_into(&mut member.hats[place].1),
            (Some(_), None) if member.hats.len() >= MOST_HATS => {
                return Err(StanzaError::resource_constraint());
            }
            (Some(title), None) => member.hats.push((uri.to_owned(), title.to_owned())),
            (None, Some(place)) => {
                member.hats.remove(place);
            }
            (None, None) => return Err(StanzaError::item_not_found()),
        }
        let member = self.members.set(&user, member);
        let mut effects = vec![Effect::Save(Change::Member {
            jid: user.clone(),
            member,
        })];
        let places: Vec<usize> = self.occupants.of_user(user.as_str()).collect();
        for index in places {
            let occupant = self.occupants.get(index);
            let told = Told::of(self, occupant);
            effects.extend(self.announce_change(index, occupant.role, &told));
        }
        Ok(effects)
    }
}
