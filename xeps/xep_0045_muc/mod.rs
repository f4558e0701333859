//! XEP-0045: Multi-User Chat (version 1.35.5)
//!
//! Supported: TO BE WRITTEN.

pub mod affiliation;
pub mod config;
pub mod config_form;
pub mod effect;
pub mod hat_commands;
pub mod history;
pub mod info;
pub mod register_form;
pub mod live;
pub mod room;
pub mod service;
pub mod store;
pub mod voice_form;

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
