//! The configuration of a room (XEP-0045 §10.1.3, §10.2), as a value.

use super::affiliation::Role;

/// Who may see the real JIDs of occupants (`muc#roomconfig_whois`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whois {
    /// Semi-anonymous: moderators only.
    #[default]
    Moderators,
    /// Non-anonymous: anyone.
    Anyone,
}

/// Who may send private messages (`muc#roomconfig_allowpm`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrivateMessages {
    /// Every occupant.
    #[default]
    Anyone,
    /// Those with voice.
    Participants,
    /// Moderators.
    Moderators,
    /// Nobody.
    Nobody,
}

impl Whois {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Whois::Moderators => "moderators",
            Whois::Anyone => "anyone",
        }
    }

    /// As it is read; `None`: it is neither.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Whois> {
        let all = [Whois::Moderators, Whois::Anyone];
        all.into_iter().find(|known| known.as_str() == name)
    }
}

impl PrivateMessages {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PrivateMessages::Anyone => "anyone",
            PrivateMessages::Participants => "participants",
            PrivateMessages::Moderators => "moderators",
            PrivateMessages::Nobody => "none",
        }
    }

    /// As it is read; `None`: it is none of them.
    #[must_use]
    pub fn from_name(name: &str) -> Option<PrivateMessages> {
        use PrivateMessages::{Anyone, Moderators, Nobody, Participants};
        let all = [Anyone, Participants, Moderators, Nobody];
        all.into_iter().find(|known| known.as_str() == name)
    }
}

/// What the owners of a room decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name, as people call it.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The language spoken in it; empty: not said.
    pub lang: String,
    /// Whether it stays when the last occupant leaves.
    pub is_persistent: bool,
    /// Whether it can be found.
    pub is_public: bool,
    /// Whether only members may enter.
    pub is_members_only: bool,
    /// Whether only those with voice may speak.
    pub is_moderated: bool,
    /// The password that entering takes; empty: none.
    pub password: String,
    /// Who sees real JIDs.
    pub whois: Whois,
    /// Where the room is non-anonymous: the last row of its log from before it was, whose author
    /// stays what it was; 0: there is none.
    pub anonymous_until: i64,
    /// Who may send private messages.
    pub private_messages: PrivateMessages,
    /// Whether occupants may change the subject.
    pub may_change_subject: bool,
    /// Whether occupants that are not admins may invite.
    pub may_invite: bool,
    /// Whether visitors may ask for voice.
    pub may_request_voice: bool,
    /// Whether users may register with the room (§7.10).
    pub may_register: bool,
    /// The lowest role that may get the list of members (`muc#roomconfig_getmemberlist`).
    pub member_list_from: Role,
    /// The lowest role whose presence is broadcast (`muc#roomconfig_presencebroadcast`).
    pub presence_from: Role,
    /// Whether messages are kept and can be asked for (`muc#roomconfig_enablearchiving`).
    pub is_archived: bool,
    /// Messages that somebody who enters is shown of its own accord (`muc#maxhistoryfetch` and
    /// §7.2.13), at most.
    pub history: u16,
    /// Occupants and members at most; never above what the server allows.
    pub max_members: u16,
}

impl Config {
    /// The configuration of a room that was created as an instant room (§10.1.2), where the server
    /// allows so many members.
    #[must_use]
    pub fn instant(max_members: u16) -> Config {
        Config {
            name: String::new(),
            description: String::new(),
            lang: String::new(),
            is_persistent: true,
            is_public: false,
            is_members_only: false,
            is_moderated: false,
            password: String::new(),
            whois: Whois::Moderators,
            anonymous_until: 0,
            private_messages: PrivateMessages::Anyone,
            may_change_subject: false,
            may_invite: true,
            may_request_voice: true,
            may_register: true,
            member_list_from: Role::Moderator,
            presence_from: Role::Visitor,
            is_archived: true,
            history: 20,
            max_members,
        }
    }
}
