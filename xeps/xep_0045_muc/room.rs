//! A room as a value: it is told what somebody does and when, and says what is to happen. It has no
//! clock, no randomness and no database; nothing here waits.
//!
//! Each use case of the specification is a file of the folder: [`enter`] (§7.2), [`nick`] (§7.6),
//! [`presence`] (§7.7), [`leave`] (§7.14, §11), [`message`] (§7.4), [`subject`] (§8.1), [`private`]
//! (§7.5), [`invite`] (§7.8), [`voice`] (§7.13, §8.6), [`admin`] with [`role`] and [`affiliation`]
//! (§8.2 to §9.8, §10.3 to §10.8), [`owner`] (§10.1, §10.2), [`destroy`] (§10.9), [`forget`] (§10), [`register`]
//! (§7.10, §9.9), [`relay`] (§15.4).

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::{Element, Jid, StanzaError};

use self::limits::Bucket;
pub use self::limits::{Limits, keep_all_but_passing};
use self::members::Members;
use self::occupants::Occupants;
use super::affiliation::{Affiliation, Role};
use super::config::Config;
use super::effect::{Change, Effect, Member, Stored, Subject};
use crate::xep_0421_occupant_ids::OccupantKey;

mod admin;
mod affiliation;
mod cap;
mod destroy;
mod enter;
mod forget;
mod hats;
mod invite;
mod leave;
mod limits;
mod lists;
mod look;
mod members;
mod message;
mod moderation;
mod nick;
mod occupants;
mod owner;
mod presence;
mod private;
mod questions;
mod reconfigure;
mod reflect;
mod register;
mod relay;
mod role;
mod subject;
mod told;
mod vcard;
mod versions;
mod voice;

#[cfg(test)]
mod tests;

pub use self::leave::Exit;
pub use self::message::is_subject;
pub(super) use self::occupants::grow;
pub use self::questions::Occupancy;

/// What an IQ is answered with, and what is to happen besides. `None`: an empty result.
pub type Answer = Result<(Option<Element>, Vec<Effect>), StanzaError>;

/// A room, and everybody in it.
#[derive(Clone, Debug)]
pub struct Room {
    jid: Jid,
    id: i64,
    limits: Limits,
    key: OccupantKey,
    config: Config,
    subject: Subject,
    avatar: String,
    members: Members,
    occupants: Occupants,
    state: State,
    /// Who was given or refused voice and may come back to it (§5.1), oldest first.
    voices: Vec<(Jid, Role)>,
    /// What everybody sends, spreads, and has the room send to users outside.
    talk: Bucket,
    stir: Bucket,
    outward: Bucket,
    /// Requests of strangers that its admins are asked about.
    requests: Bucket,
}

/// Whether anybody may enter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Its creator has not configured it yet (§10.1).
    Locked,
    Open,
    /// It is gone; where to, as an address, if that was said.
    Destroyed(Option<Jid>),
}

/// Voices that are remembered at most.
const MOST_VOICES: usize = 256;

impl Room {
    /// A room as it was written down, with nobody in it. `jid` is its bare JID.
    #[must_use]
    pub fn new(jid: Jid, stored: Stored, limits: Limits, key: OccupantKey) -> Room {
        Room {
            jid,
            id: stored.id,
            limits,
            key,
            config: stored.config,
            subject: stored.subject,
            avatar: stored.avatar,
            members: Members::new(stored.members, stored.version),
            occupants: Occupants::default(),
            state: State::Open,
            voices: Vec::new(),
            talk: Bucket::default(),
            stir: Bucket::default(),
            outward: Bucket::default(),
            requests: Bucket::default(),
        }
    }

    /// A new room (§10.1), locked and with its creator as owner, who then enters by
    /// [`Room::presence`]. If that is refused there is no room.
    #[must_use]
    pub fn create(
        jid: Jid,
        id: i64,
        creator: &Jid,
        limits: Limits,
        key: OccupantKey,
        now: Timestamp,
    ) -> (Room, Vec<Effect>) {
        let stored = Stored {
            id,
            config: Config::instant(limits.max_members),
            subject: Subject {
                at: now.0,
                ..Subject::default()
            },
            members: Vec::new(),
            version: 0,
            avatar: String::new(),
        };
        let mut room = Room::new(jid, stored, limits, key);
        room.state = State::Locked;
        let owner = Member {
            affiliation: Affiliation::Owner,
            ..Member::default()
        };
        let creator = creator.to_bare();
        let member = room.members.set(&creator, owner);
        let effects = vec![
            Effect::Save(Change::Created(Box::new(room.config.clone()))),
            Effect::Save(Change::Member {
                jid: creator,
                member,
            }),
        ];
        (room, effects)
    }

    /// The room JID of a nickname, as text.
    fn occupant_jid(&self, nick: &str) -> String {
        format!("{}/{nick}", self.jid)
    }

    /// What is wrong with asking anything of the room but entering it.
    fn check_open(&self, affiliation: Affiliation) -> Result<(), StanzaError> {
        match &self.state {
            State::Open => Ok(()),
            State::Locked if affiliation == Affiliation::Owner => Ok(()),
            State::Locked | State::Destroyed(_) => Err(StanzaError::item_not_found()),
        }
    }

    /// The role of a user that enters, and that of an occupant of whom a change is forgotten (§5.1).
    fn usual_role(&self, bare: &str) -> Role {
        let affiliation = self.members.affiliation(bare);
        if affiliation >= Affiliation::Admin {
            return Role::Moderator;
        }
        let remembered = self.voices.iter().find(|(user, _)| user.as_str() == bare);
        match (remembered, affiliation) {
            (Some((_, role)), _) => *role,
            (None, Affiliation::Member) => Role::Participant,
            (None, _) if self.config.is_moderated => Role::Visitor,
            (None, _) => Role::Participant,
        }
    }

    /// Remembers who was given or refused voice, so that to leave and come back changes nothing.
    fn remember_voice(&mut self, bare: &str, role: Role) {
        self.forget_voice(bare);
        if role == Role::Moderator {
            return;
        }
        let Ok(user) = Jid::parse_tolerant(bare) else {
            return;
        };
        if self.voices.len() == MOST_VOICES {
            self.voices.remove(0);
        }
        self.voices.push((user, role));
    }

    fn forget_voice(&mut self, bare: &str) {
        self.voices.retain(|(user, _)| user.as_str() != bare);
    }
}
