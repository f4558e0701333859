//! What is to happen after something happened in a room: the room is a value and does nothing
//! itself.

use bytes::Bytes;
use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Kept;
use waxwing_xmpp::{Jid, Stanza};

use super::affiliation::Affiliation;
use super::config::Config;

/// One thing to do. They are done in their order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a stanza that has no `to` yet. A full JID is an occupant's session, or who knocked; a
    /// bare JID is a user that need not be in the room (an invitation: delivered like any message
    /// to a bare JID, kept if the user is away).
    Send {
        /// Whom.
        to: Jid,
        /// What.
        stanza: Stanza,
    },
    /// Send the same presence or message to many sessions, each with its own `to`. Nothing of it is
    /// kept.
    Spread(Spread),
    /// A private message for a session of an occupant: `from` is the sender's room JID, there is no
    /// `to` yet; or an invitation for one client of a user, or a question for an admin. It is
    /// delivered like any message to that full JID, kept if its client does not take it, and the
    /// sender's acknowledgement waits for it.
    Private {
        /// The full JID.
        to: Jid,
        /// What.
        stanza: Stanza,
    },
    /// A message to the room: kept if its `kept` says so, and handed to every session in the room.
    Publish(Published),
    /// A session is in the room from here on. What it is owed of the past and the subject follow
    /// before anything that is published later.
    Entered(Entered),
    /// A session is not in the room any more.
    Left {
        /// Its full JID.
        session: Jid,
    },
    /// Write down.
    Save(Change),
}

/// The same stanza for many: a few variants (with and without real JIDs, say) of what follows
/// `<presence` or `<message`, and for each session which of them it gets.
#[derive(Clone, Debug)]
pub struct Spread {
    /// Complete stanzas without `to`, that begin with `<presence ` or `<message `.
    pub variants: Vec<Bytes>,
    /// Full JIDs, each with an index into `variants`.
    pub to: Vec<(Jid, u8)>,
}

/// A message that was published in a room.
#[derive(Clone, Debug)]
pub struct Published {
    /// The message with `from` the occupant's room JID and without `to`, as everybody gets it. What
    /// the server alone adds later is its `stanza-id`.
    pub stanza: Stanza,
    /// The full JID that it came from; the room's own for what it says itself.
    pub sender: Jid,
    /// Whether it has to be stored (it has a body, or is otherwise worth keeping), and whether it
    /// shows in the room's archive.
    pub kept: Kept,
}

/// A session that entered.
#[derive(Clone, Debug)]
pub struct Entered {
    /// Its full JID.
    pub session: Jid,
    /// Its nickname.
    pub nick: String,
    /// What it wishes to see of the past.
    pub history: History,
}

/// What somebody who enters wishes to see of the past (§7.2.14). `None`: said nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Characters of stanzas at most.
    pub max_chars: Option<u64>,
    /// Stanzas at most.
    pub max_stanzas: Option<u64>,
    /// Of the last seconds.
    pub seconds: Option<u64>,
    /// Since then.
    pub since: Option<Timestamp>,
}

/// The subject of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The text; empty: there is none.
    pub text: String,
    /// The nickname of who set it; empty: nobody has.
    pub nick: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// What a room knows of a user without its being there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its affiliation.
    pub affiliation: Affiliation,
    /// The nickname that is reserved for it (§7.10); empty: none.
    pub nick: String,
    /// Why it has that affiliation; empty: nobody said.
    pub reason: String,
    /// The room's count of changes of affiliations at the last change of this one (XEP-0463).
    pub version: i64,
    /// Hats (XEP-0317) as pairs of URI and title.
    pub hats: Vec<(String, String)>,
}

/// A room as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its key in the database.
    pub id: i64,
    /// Its configuration.
    pub config: Config,
    /// Its subject.
    pub subject: Subject,
    /// The users it knows, by bare JID.
    pub members: Vec<(Jid, Member)>,
    /// The count of changes of affiliations (XEP-0463).
    pub version: i64,
    /// The avatar as in [`Change::Avatar`].
    pub avatar: String,
}

/// What is to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The room was created with this configuration.
    Created(Box<Config>),
    /// Its configuration.
    Configured(Box<Config>),
    /// Its subject.
    Subject(Subject),
    /// What it knows of a user. An affiliation of `None` without anything else: forget the user,
    /// but for the version of the change.
    Member {
        /// The bare JID.
        jid: Jid,
        /// All of it.
        member: Member,
    },
    /// The avatar: the `<vCard xmlns='vcard-temp'/>` as XML; empty: none.
    Avatar(String),
    /// A message was moderated or retracted: of the row with that archive id nothing stays but this
    /// stanza (XEP-0424 §5, XEP-0425 §5).
    Tombstone {
        /// The archive id, 16 hexadecimal digits.
        id: String,
        /// What stays, without `to`.
        stanza: Stanza,
    },
    /// The room is gone. Where it went, and why, is not kept.
    Destroyed,
}
