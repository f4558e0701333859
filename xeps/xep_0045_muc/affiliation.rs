//! Affiliations and roles (XEP-0045 §5).

/// A long-lived tie between a user, by bare JID, and a room (§5.2). Ordered by power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// None of the others.
    #[default]
    None,
    /// May enter a members-only room, and speak in a moderated one.
    Member,
    /// Moderates, and decides who is a member.
    Admin,
    /// Also configures the room and names its admins.
    Owner,
}

/// What an occupant may do while it is in the room (§5.1). Ordered by power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Not in the room.
    #[default]
    None,
    /// Listens.
    Visitor,
    /// Speaks.
    Participant,
    /// Kicks, and gives and takes voice.
    Moderator,
}

impl Affiliation {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Affiliation::Outcast => "outcast",
            Affiliation::None => "none",
            Affiliation::Member => "member",
            Affiliation::Admin => "admin",
            Affiliation::Owner => "owner",
        }
    }

    /// As it is read; `None`: it is no affiliation.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Affiliation> {
        use Affiliation::{Admin, Member, None, Outcast, Owner};
        let all = [Outcast, None, Member, Admin, Owner];
        all.into_iter().find(|known| known.as_str() == name)
    }

    /// Whether it counts towards the cap of a room's members whether its holder is there or not.
    #[must_use]
    pub fn is_member(self) -> bool {
        self >= Affiliation::Member
    }
}

impl Role {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::None => "none",
            Role::Visitor => "visitor",
            Role::Participant => "participant",
            Role::Moderator => "moderator",
        }
    }

    /// As it is read; `None`: it is no role.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Role> {
        let all = [
            Role::None,
            Role::Visitor,
            Role::Participant,
            Role::Moderator,
        ];
        all.into_iter().find(|known| known.as_str() == name)
    }
}
