//! XEP-0045: Multi-User Chat (version 1.35.5)
//!
//! Supported: every use case of occupants, moderators, admins and owners. At most 256 members, who
//! count whether they are there or not; in members-only rooms each of their devices is owed what was
//! said since it last acknowledged. Occupants stay over resumption (XEP-0198) and a restart. Several
//! clients of a user share a nickname. No public logs, no occupants from other servers.

pub mod affiliation;
pub mod config;
pub mod config_form;
pub mod effect;
pub mod hat_commands;
pub mod history;
pub mod info;
pub mod live;
pub mod register_form;
pub mod room;
pub mod service;
pub mod store;
pub mod voice_form;

use waxwing_xmpp::dom::escape_attr;

/// The namespace of entering a room.
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// What a room says of an occupant, and mediated invitations.
pub const USER: &str = "http://jabber.org/protocol/muc#user";
/// Requests of moderators and admins.
pub const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Requests of owners.
pub const OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// The form by which voice is asked for.
pub const REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// The form by which a user registers.
pub const REGISTER: &str = "http://jabber.org/protocol/muc#register";
/// The form of a room's configuration.
pub const ROOM_CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// The form of what is shown of a room.
pub const ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";

/// What says who wrote a message of a room, by real JID, to those who may know.
#[must_use]
pub fn author(jid: &str) -> String {
    let jid = escape_attr(jid);
    format!("<x xmlns='{USER}'><item jid='{jid}'/></x>")
}
