//! Affiliations that admins and owners give (§9.1 to §9.5, §10.3 to §10.8).

use bytes::Bytes;
use waxwing_core::clock::Timestamp;
use waxwing_xmpp::dom::escape_attr;
use waxwing_xmpp::jid::prepare_resource_tolerant;
use waxwing_xmpp::{Jid, StanzaError};

use super::leave::Removal;
use super::members::Members;
use super::occupants::Occupant;
use super::reflect::own_message;
use super::told::{Told, push_attribute};
use super::{Room, look};
use crate::xep_0045_muc::USER;
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::effect::{Change, Effect, Member, Spread};
use crate::xep_0463_affiliation_versions as versions;

/// That a user gets an affiliation.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The bare JID, or a domain.
    pub(super) user: Jid,
    pub(super) to: Affiliation,
    /// The nickname to be reserved; empty: none; `None`: it stays as it is.
    pub(super) nick: Option<String>,
    pub(super) reason: String,
    /// Whether a user that is not in the room is told of it. Whom something else tells need not be.
    pub(super) tells_absent: bool,
}

impl Wish {
    pub(super) fn new(user: Jid, to: Affiliation) -> Wish {
        Wish {
            user,
            to,
            nick: None,
            reason: String::new(),
            tells_absent: true,
        }
    }

    /// The same, of which a user that is not in the room is not told.
    pub(super) fn unsaid(mut self) -> Wish {
        self.tells_absent = false;
        self
    }
}

impl Room {
    /// Whether a user may have all of that done.
    pub(super) fn check_wishes(&self, from: &Jid, wishes: &[Wish]) -> Result<(), StanzaError> {
        for wish in wishes {
            self.check_rank(from, wish)?;
        }
        let after = self.after(wishes);
        let owners = |members: &Members| members.count(|a| a == Affiliation::Owner);
        if owners(&after) == 0 && owners(&self.members) > 0 {
            // §10.4.
            let text = "A room has at least one owner";
            return Err(StanzaError::conflict().with_text(text));
        }
        let banned = after.count(|a| a == Affiliation::Outcast);
        if banned > usize::from(self.limits.max_outcasts)
            && banned > self.members.count(|a| a == Affiliation::Outcast)
        {
            let text = "The list of banned users is full";
            return Err(StanzaError::resource_constraint().with_text(text));
        }
        self.check_members(&after)?;
        wishes
            .iter()
            .try_for_each(|wish| self.check_reservation(&after, wish))
    }

    /// §5.2.1, §9.1, §10.3 to §10.8.
    fn check_rank(&self, from: &Jid, wish: &Wish) -> Result<(), StanzaError> {
        let own = self.members.affiliation(from.bare());
        let now = self.members.member(wish.user.as_str()).affiliation;
        if own < Affiliation::Admin {
            return Err(StanzaError::forbidden());
        }
        let bans = wish.to == Affiliation::Outcast;
        if bans && wish.user.as_str() == from.bare() {
            return Err(StanzaError::conflict());
        }
        let is_about_admins = now >= Affiliation::Admin || wish.to >= Affiliation::Admin;
        if own == Affiliation::Owner || !is_about_admins || now == wish.to {
            return Ok(());
        }
        Err(if bans {
            StanzaError::not_allowed()
        } else {
            StanzaError::forbidden()
        })
    }

    /// Whether the nickname that comes with a wish can be reserved.
    fn check_reservation(&self, after: &Members, wish: &Wish) -> Result<(), StanzaError> {
        let Some(nick) = wish.nick.as_deref().filter(|nick| !nick.is_empty()) else {
            return Ok(());
        };
        let prepared = prepare_resource_tolerant(nick);
        if prepared.is_err() || !wish.to.is_member() {
            return Err(StanzaError::not_acceptable().with_text("That nickname cannot be reserved"));
        }
        self.check_nick(wish.user.as_str(), nick)?;
        let look = look::look(nick);
        match after.holder_of(&look) {
            Some(holder) if *holder != wish.user => Err(StanzaError::conflict()),
            _ => Ok(()),
        }
    }

    /// The users that the room would know.
    pub(super) fn after(&self, wishes: &[Wish]) -> Members {
        let mut after = self.members.clone();
        for wish in wishes {
            let member = changed(after.member(wish.user.as_str()), wish);
            after.set(&wish.user, member);
        }
        after
    }

    /// Does what was checked before, in the name of a user.
    pub(super) fn change_affiliations(
        &mut self,
        from: &Jid,
        wishes: &[Wish],
        now: Timestamp,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for wish in wishes {
            effects.extend(self.change_affiliation(from, wish, now));
        }
        self.close_if_empty(&mut effects);
        effects
    }

    fn change_affiliation(&mut self, from: &Jid, wish: &Wish, now: Timestamp) -> Vec<Effect> {
        let before = self.members.member(wish.user.as_str());
        let after = changed(before.clone(), wish);
        if after == before {
            return Vec::new();
        }
        let since = self.members.version();
        let saved = self.members.set(&wish.user, after);
        let versions = Some((Some(since), self.members.version()));
        let mut effects = vec![Effect::Save(Change::Member {
            jid: wish.user.clone(),
            member: saved,
        })];
        if before.affiliation == wish.to {
            return effects;
        }
        // What a moderator decided is not undone by registering, or by ending that.
        if wish.user.as_str() != from.bare() {
            self.forget_voice(wish.user.as_str());
        }
        let actor = self.occupants.of_session(from);
        let actor = actor.map_or_else(String::new, |i| self.occupants.get(i).nick.to_string());
        let how = Removal {
            code: 0,
            actor: &actor,
            reason: &wish.reason,
            versions,
        };
        let told = self.retell(&wish.user, how);
        if told.is_empty() {
            effects.extend(self.notice_of_absent(wish, versions));
            if wish.tells_absent {
                effects.extend(self.tell_absent(from, wish, before.affiliation, now));
            }
        }
        effects.extend(told);
        effects
    }

    /// Shows the new affiliation of all occupants that are a user, or of a domain, or removes them.
    fn retell(&mut self, user: &Jid, how: Removal<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut index = 0;
        while index < self.occupants.len() {
            let bare = self.occupants.get(index).bare().to_owned();
            let is_own = bare == user.as_str();
            let affiliation = self.members.affiliation(&bare);
            let is_of_domain = user.local().is_none()
                && affiliation == Affiliation::Outcast
                && bare.rsplit('@').next() == Some(user.as_str());
            if !is_own && !is_of_domain {
                index += 1;
                continue;
            }
            let code = match affiliation {
                Affiliation::Outcast => 301,
                _ if self.config.is_members_only && !affiliation.is_member() => 321,
                _ => 0,
            };
            if code == 0 {
                effects.extend(self.refresh(index, how));
                index += 1;
            } else {
                effects.extend(self.expel(index, Removal { code, ..how }));
            }
        }
        effects
    }

    /// Shows an occupant with its new affiliation, and the role that comes with it.
    fn refresh(&mut self, index: usize, how: Removal<'_>) -> Vec<Effect> {
        let before = self.occupants.get(index).role;
        let bare = self.occupants.get(index).bare().to_owned();
        self.occupants.get_mut(index).role = self.usual_role(&bare);
        let told = Told {
            actor: how.actor,
            reason: how.reason,
            versions: how.versions,
            ..Told::of(self, self.occupants.get(index))
        };
        self.announce_change(index, before, &told)
    }

    /// What occupants that see real JIDs are told of a user that is not there (XEP-0463 §5.2.2).
    fn notice_of_absent(
        &self,
        wish: &Wish,
        versions: Option<(Option<i64>, i64)>,
    ) -> Option<Effect> {
        let to: Vec<(Jid, u8)> = self
            .occupants
            .iter()
            .filter(|occupant| self.sees_jids(occupant.role))
            .flat_map(Occupant::sessions)
            .map(|session| (session.clone(), 0))
            .collect();
        if to.is_empty() {
            return None;
        }
        let mav = versions.map_or_else(String::new, |(since, until)| {
            versions::element(self.id, since, until)
        });
        let mut item = String::from("<item");
        push_attribute(&mut item, "affiliation", wish.to.as_str());
        push_attribute(&mut item, "jid", wish.user.as_str());
        push_attribute(&mut item, "role", Role::None.as_str());
        let xml = format!(
            "<message from='{}'><x xmlns='{USER}'>{mav}{item}/></x></message>",
            escape_attr(self.jid.as_str())
        );
        Some(Effect::Spread(Spread {
            variants: vec![Bytes::from(xml)],
            to,
        }))
    }

    /// A new member of a members-only room is invited (§9.5), a user that was a member is told of
    /// the change (§17.1). Strangers are not written to, or any room could have the server do so.
    fn tell_absent(
        &mut self,
        from: &Jid,
        wish: &Wish,
        before: Affiliation,
        now: Timestamp,
    ) -> Option<Effect> {
        wish.user.local()?;
        let invites = self.config.is_members_only && wish.to.is_member() && !before.is_member();
        if !(invites || before.is_member()) || self.reach_out(1, now).is_err() {
            return None;
        }
        let stanza = if invites {
            self.invitation_for_member(from, &wish.reason)
        } else {
            let affiliation = wish.to.as_str();
            let x = format!(
                "<x xmlns='{USER}'><item affiliation='{affiliation}' role='none'/>\
                 <status code='101'/></x>"
            );
            own_message(&self.jid, "", &x)
        };
        Some(Effect::Send {
            to: wish.user.clone(),
            stanza: stanza.ok()?,
        })
    }
}

/// What is known of a user after a wish. Who is banned or has no affiliation keeps no nickname
/// (§9.1).
fn changed(before: Member, wish: &Wish) -> Member {
    let is_member = wish.to.is_member();
    let nick = match &wish.nick {
        Some(nick) if is_member => nick.clone(),
        None if is_member => before.nick,
        _ => String::new(),
    };
    let reason = match wish.to {
        Affiliation::None => String::new(),
        to if to == before.affiliation && wish.reason.is_empty() => before.reason,
        _ => wish.reason.clone(),
    };
    Member {
        affiliation: wish.to,
        nick,
        reason,
        version: before.version,
        hats: if is_member { before.hats } else { Vec::new() },
    }
}
