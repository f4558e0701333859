//! What a change of the configuration means for those inside (§10.2).

use bytes::Bytes;
use waxwing_xmpp::Jid;
use waxwing_xmpp::dom::escape_attr;

use super::Room;
use super::leave::Removal;
use super::told::Told;
use crate::xep_0045_muc::USER;
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::config::{Config, Whois};
use crate::xep_0045_muc::effect::{Effect, Spread};

impl Room {
    /// Puts a configuration in place, removes who may not stay, and tells the others.
    pub(super) fn reconfigure(&mut self, config: Config) -> Vec<Effect> {
        let codes = codes_of_change(&self.config, &config);
        let mut shown: Vec<bool> = self
            .occupants
            .iter()
            .map(|o| self.is_shown(o.role))
            .collect();
        let (before, whois) = (self.config.whois, config.whois);
        self.config = config;
        // Who has to go does not get to see real JIDs before it goes.
        if before == Whois::Moderators {
            self.config.whois = before;
        }
        let mut effects = Vec::new();
        if self.config.is_members_only {
            effects.extend(self.expel_strangers(&mut shown));
        }
        self.config.whois = whois;
        effects.extend(self.follow_presence(&shown));
        effects.extend(self.follow_roles());
        effects.extend(codes.into_iter().filter_map(|code| self.notice(code)));
        effects
    }

    /// §10.2: who is no member leaves a room that is for members now.
    fn expel_strangers(&mut self, shown: &mut Vec<bool>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut index = 0;
        while index < self.occupants.len() {
            let bare = self.occupants.get(index).bare();
            if self.members.affiliation(bare).is_member() {
                index += 1;
                continue;
            }
            let how = Removal {
                code: 322,
                ..Removal::default()
            };
            // To whom it was not shown it is not told of.
            let was_shown = shown.remove(index);
            effects.extend(self.expel_shown(index, how, was_shown));
        }
        effects
    }

    /// In a room that is moderated now those without an affiliation lose their voice, in one that is
    /// not any more they get it; what a moderator decided stays (§5.1.2).
    fn follow_roles(&mut self) -> Vec<Effect> {
        use crate::xep_0045_muc::affiliation::Role;
        let mut effects = Vec::new();
        for index in 0..self.occupants.len() {
            let occupant = self.occupants.get(index);
            let (before, bare) = (occupant.role, occupant.bare().to_owned());
            let is_stranger = self.members.affiliation(&bare) == Affiliation::None;
            let usual = self.usual_role(&bare);
            if is_stranger && before != Role::Moderator && before != usual {
                self.occupants.get_mut(index).role = usual;
                let told = Told::of(self, self.occupants.get(index));
                effects.extend(self.announce_change(index, before, &told));
            }
        }
        effects
    }

    /// The presence of some is shown now, or not any more.
    fn follow_presence(&self, shown: &[bool]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (index, (occupant, was_shown)) in self.occupants.iter().zip(shown).enumerate() {
            match (was_shown, self.is_shown(occupant.role)) {
                (true, false) => {
                    effects.extend(self.tell(&Told::gone(self, occupant), Some(index), &[], true));
                }
                (false, true) => {
                    effects.extend(self.tell(&Told::of(self, occupant), Some(index), &[], true));
                }
                _ => {}
            }
        }
        effects
    }

    /// §10.2.1: the configuration is another.
    pub(super) fn notice(&self, code: u16) -> Option<Effect> {
        let to: Vec<(Jid, u8)> = self.all_sessions().map(|jid| (jid.clone(), 0)).collect();
        let from = escape_attr(self.jid.as_str());
        let xml = format!(
            "<message from='{from}' type='groupchat'>\
             <x xmlns='{USER}'><status code='{code}'/></x></message>"
        );
        (!to.is_empty()).then(|| {
            Effect::Spread(Spread {
                variants: vec![Bytes::from(xml)],
                to,
            })
        })
    }
}

/// The status codes that say what has changed.
fn codes_of_change(before: &Config, after: &Config) -> Vec<u16> {
    let mut codes = Vec::new();
    if before.is_archived != after.is_archived {
        codes.push(if after.is_archived { 170 } else { 171 });
    }
    if before.whois != after.whois {
        codes.push(if after.whois == Whois::Anyone {
            172
        } else {
            173
        });
    }
    let mut rest = before.clone();
    rest.is_archived = after.is_archived;
    rest.whois = after.whois;
    rest.anonymous_until = after.anonymous_until;
    if rest != *after {
        codes.push(104);
    }
    codes
}
