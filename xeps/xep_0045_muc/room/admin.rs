//! The requests of moderators and admins (§8, §9) and the lists of owners (§10.5, §10.8).

use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;
use waxwing_xmpp::{Element, Jid, StanzaError};

use super::affiliation::Wish;
use super::invite::address;
use super::{Answer, Room};
use crate::xep_0045_muc::ADMIN;
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::effect::Effect;

/// Changes in one request at most.
const MOST_ITEMS: usize = 512;

/// What an item of a request is about.
enum Item {
    Affiliation(Wish),
    Role {
        nick: String,
        to: Role,
        reason: String,
    },
}

impl Room {
    /// A request with a `<query/>` of muc#admin, from a full JID in the room or not.
    ///
    /// # Errors
    /// Those of §8 to §10; nothing of the request is done then.
    pub fn admin(&mut self, from: &Jid, verb: Verb, query: &Element, now: Timestamp) -> Answer {
        self.check_open(self.members.affiliation(from.bare()))?;
        let items: Vec<&Element> = query.children().filter(|c| c.is("item", ADMIN)).collect();
        match verb {
            Verb::Get => self.list(from, &items).map(|list| (Some(list), Vec::new())),
            Verb::Set => self.change(from, &items, now).map(|done| (None, done)),
        }
    }

    fn list(&self, from: &Jid, items: &[&Element]) -> Result<Element, StanzaError> {
        let [item] = items else {
            return Err(StanzaError::bad_request());
        };
        match (affiliation_of(item)?, role_of(item)?) {
            (Some(affiliation), None) => self.list_by_affiliation(from, affiliation),
            (None, Some(role)) => self.list_by_role(from, role),
            _ => Err(StanzaError::bad_request()),
        }
    }

    fn change(
        &mut self,
        from: &Jid,
        items: &[&Element],
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        if items.is_empty() || items.len() > MOST_ITEMS {
            return Err(StanzaError::bad_request());
        }
        let items: Vec<Item> = items
            .iter()
            .map(|item| self.read_item(from, item))
            .collect::<Result<_, _>>()?;
        let wishes: Vec<Wish> = items
            .iter()
            .filter_map(|item| match item {
                Item::Affiliation(wish) => Some(wish.clone()),
                Item::Role { .. } => None,
            })
            .collect();
        self.check_single(&items, &wishes)?;
        self.check_wishes(from, &wishes)?;
        let actor = self.nick_of(from).unwrap_or_default().to_owned();
        let mut effects = Vec::new();
        for item in items {
            if let Item::Role { nick, to, reason } = item
                && let Some(index) = self.occupants.of_nick(&nick)
            {
                // An earlier item may have removed it.
                effects.extend(self.change_role(index, to, &actor, &reason));
            }
        }
        effects.extend(self.change_affiliations(from, &wishes, now));
        Ok(effects)
    }

    /// Nobody is changed twice in one request: what it would be in between is nobody's wish.
    fn check_single(&self, items: &[Item], wishes: &[Wish]) -> Result<(), StanzaError> {
        let mut users: Vec<&str> = wishes.iter().map(|wish| wish.user.as_str()).collect();
        let mut nicks: Vec<&str> = Vec::new();
        for item in items {
            if let Item::Role { nick, .. } = item {
                nicks.push(nick);
                let index = self.occupants.of_nick(nick);
                let bare = index.map(|index| self.occupants.get(index).bare());
                if bare.is_some_and(|bare| users.contains(&bare)) {
                    return Err(StanzaError::bad_request());
                }
            }
        }
        for all in [&mut users, &mut nicks] {
            all.sort_unstable();
            if all.windows(2).any(|two| two[0] == two[1]) {
                return Err(StanzaError::bad_request());
            }
        }
        Ok(())
    }

    fn read_item(&self, from: &Jid, item: &Element) -> Result<Item, StanzaError> {
        let reason = item.get_child("reason", ADMIN).map(Element::text);
        let reason = self.reason(&reason.unwrap_or_default())?;
        let nick = item.attr("nick");
        match (affiliation_of(item)?, role_of(item)?) {
            (Some(to), None) => {
                let (user, nick) = match (item.attr("jid"), nick) {
                    (Some(jid), nick) => (address(Some(jid))?, nick.map(str::to_owned)),
                    // Clients of old name an occupant.
                    (None, Some(nick)) => (self.user_of(nick)?, None),
                    (None, None) => return Err(StanzaError::bad_request()),
                };
                Ok(Item::Affiliation(Wish {
                    nick: nick.filter(|_| to.is_member()),
                    reason,
                    ..Wish::new(user, to)
                }))
            }
            (None, Some(to)) => {
                let nick = nick.ok_or_else(StanzaError::bad_request)?.to_owned();
                self.check_role(from, &nick, to)?;
                Ok(Item::Role { nick, to, reason })
            }
            // §15.4: not both at once.
            _ => Err(StanzaError::bad_request()),
        }
    }

    fn user_of(&self, nick: &str) -> Result<Jid, StanzaError> {
        let index = self.occupants.of_nick(nick);
        let index = index.ok_or_else(StanzaError::item_not_found)?;
        Ok(self.occupants.get(index).main.jid.to_bare())
    }
}

fn affiliation_of(item: &Element) -> Result<Option<Affiliation>, StanzaError> {
    item.attr("affiliation")
        .map(|name| Affiliation::from_name(name).ok_or_else(StanzaError::bad_request))
        .transpose()
}

fn role_of(item: &Element) -> Result<Option<Role>, StanzaError> {
    item.attr("role")
        .map(|name| Role::from_name(name).ok_or_else(StanzaError::bad_request))
        .transpose()
}
