//! What others may ask of a room.

use bytes::Bytes;
use waxwing_xmpp::Jid;

use super::occupants::Occupant;
use super::{Room, State};
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::config::{Config, Whois};
use crate::xep_0045_muc::effect::Subject;

/// A session in a room: what [`Room::restore`] takes after a restart, and what lists show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// The nickname.
    pub nick: String,
    /// The role.
    pub role: Role,
    /// What its presence says, in a form that the room alone reads.
    pub payload: Bytes,
}

impl Room {
    /// Its bare JID.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// Its key in the database.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Its avatar, as in `Change::Avatar`.
    #[must_use]
    pub fn avatar(&self) -> &str {
        &self.avatar
    }

    /// The affiliation of a user, by bare or full JID.
    #[must_use]
    pub fn affiliation(&self, user: &Jid) -> Affiliation {
        self.members.affiliation(user.bare())
    }

    /// The nickname of a session in the room.
    #[must_use]
    pub fn nick_of(&self, session: &Jid) -> Option<&str> {
        let index = self.occupants.of_session(session)?;
        Some(&self.occupants.get(index).nick)
    }

    /// The role of a session; `None`: it is not in the room.
    #[must_use]
    pub fn role_of(&self, session: &Jid) -> Role {
        let index = self.occupants.of_session(session);
        index.map_or(Role::None, |index| self.occupants.get(index).role)
    }

    /// Whether a session is in the room.
    #[must_use]
    pub fn is_inside(&self, session: &Jid) -> bool {
        self.occupants.of_session(session).is_some()
    }

    /// The full JIDs of the sessions behind a nickname, the one that is shown first.
    #[must_use]
    pub fn sessions(&self, nick: &str) -> Vec<Jid> {
        let index = self.occupants.of_nick(nick);
        index.map_or_else(Vec::new, |index| {
            self.occupants.get(index).sessions().cloned().collect()
        })
    }

    /// Every occupant by nickname and role, in the order of entering.
    pub fn occupants(&self) -> impl Iterator<Item = (&str, Role)> {
        self.occupants.iter().map(|o| (&*o.nick, o.role))
    }

    /// The full JID of every session in the room.
    pub fn all_sessions(&self) -> impl Iterator<Item = &Jid> {
        self.occupants.iter().flat_map(Occupant::sessions)
    }

    /// The number of occupants; more sessions of one nickname are one.
    #[must_use]
    pub fn occupant_count(&self) -> usize {
        self.occupants.len()
    }

    /// The bare JIDs of owners, admins and members.
    pub fn member_jids(&self) -> impl Iterator<Item = &Jid> {
        self.members
            .with(Affiliation::is_member)
            .map(|(jid, _)| jid)
    }

    /// A member is known by this bare JID, which somebody else keeps anyway: to keep it twice would
    /// be a waste.
    pub fn share_address(&mut self, bare: &Jid) {
        self.members.share(bare);
    }

    /// The bare JIDs of owners.
    pub fn owners(&self) -> impl Iterator<Item = &Jid> {
        let is_owner = |a| a == Affiliation::Owner;
        self.members.with(is_owner).map(|(jid, _)| jid)
    }

    /// The bare JIDs of admins.
    pub fn admins(&self) -> impl Iterator<Item = &Jid> {
        let is_admin = |a| a == Affiliation::Admin;
        self.members.with(is_admin).map(|(jid, _)| jid)
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.occupants.is_empty()
    }

    /// Whether its creator has not configured it yet (§10.1).
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.state == State::Locked
    }

    /// Whether it is gone (§10.9).
    #[must_use]
    pub fn is_destroyed(&self) -> bool {
        matches!(self.state, State::Destroyed(_))
    }

    /// Whether a user, by bare JID, may read what the room keeps: who may enter without more ado.
    #[must_use]
    pub fn may_read_archive(&self, user: &Jid) -> bool {
        let affiliation = self.affiliation(user);
        let is_inside = || self.occupants.of_user(user.bare()).next().is_some();
        match affiliation {
            _ if self.state != State::Open || !self.config.is_archived => false,
            Affiliation::Outcast => false,
            Affiliation::None => {
                let is_open = !self.config.is_members_only && self.config.password.is_empty();
                is_open || is_inside()
            }
            Affiliation::Member | Affiliation::Admin | Affiliation::Owner => true,
        }
    }

    /// The last row of the log whose author a session may not know by its real JID (§4.2); 0: it may
    /// know all, `i64::MAX`: none. What was said in a semi-anonymous room stays as it was said.
    #[must_use]
    pub fn anonymous_until(&self, session: &Jid) -> i64 {
        match self.config.whois {
            _ if self.role_of(session) == Role::Moderator => 0,
            Whois::Anyone => self.config.anonymous_until,
            Whois::Moderators => i64::MAX,
        }
    }

    /// The nickname that is reserved for a user (§7.12).
    #[must_use]
    pub fn reserved_nick(&self, user: &Jid) -> Option<&str> {
        self.members.reserved_nick(user.bare())
    }

    /// The identifier of a user in this room (XEP-0421).
    #[must_use]
    pub fn occupant_id(&self, user: &Jid) -> String {
        self.key.id(self.jid.as_str(), user.bare())
    }

    /// What to remember of a session over a restart.
    #[must_use]
    pub fn occupancy(&self, session: &Jid) -> Option<Occupancy> {
        let occupant = self.occupants.get(self.occupants.of_session(session)?);
        let payload = occupant.payload(session)?;
        Some(Occupancy {
            nick: occupant.nick.to_string(),
            role: occupant.role,
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        })
    }
}
