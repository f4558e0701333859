//! The extensions: one file or folder per specification.
//!
//! [`powers`] registers each of them and writes down, for every power, the order in which they are
//! asked. Adding an extension is one file and its line here.

pub mod elsewhere;
pub mod rfc_3921_session;
pub mod rfc_6121_roster;
pub mod xep_0004_data_forms;
pub mod xep_0012_last_activity;
pub mod xep_0030_disco;
pub mod xep_0045_muc;
pub mod xep_0050_commands;
pub mod xep_0054_vcard_temp;
pub mod xep_0059_rsm;
pub mod xep_0077_register;
pub mod xep_0082_date_time;
pub mod xep_0092_version;
pub mod xep_0115_caps;
pub mod xep_0153_vcard_avatars;
pub mod xep_0157_contact;
pub mod xep_0160_offline;
pub mod xep_0198_stream_management;
pub mod xep_0199_ping;
pub mod xep_0202_time;
pub mod xep_0203_delay;
pub mod xep_0280_carbons;
pub mod xep_0313_mam;
pub mod xep_0317_hats;
pub mod xep_0334_hints;
pub mod xep_0352_client_state;
pub mod xep_0359_stanza_ids;
pub mod xep_0421_occupant_ids;
pub mod xep_0424_retraction;
pub mod xep_0425_moderation;
pub mod xep_0433_channel_search;
pub mod xep_0441_preferences;
pub mod xep_0463_affiliation_versions;
pub mod xep_0478_limits;
pub mod xep_0484_fast;
pub mod xep_0486_muc_avatars;

use std::sync::Arc;

use waxwing_core::db::Migrations;
use waxwing_core::powers::Powers;

/// What [`Powers::without`] has to leave out where there is no archive.
pub const OF_THE_ARCHIVE: &[&str] = &["XEP-0059", "XEP-0313", "XEP-0424", "XEP-0441"];

/// Every extension with its powers.
#[must_use]
pub fn powers() -> Powers {
    let session = Arc::new(rfc_3921_session::LegacySession);
    let roster = Arc::new(rfc_6121_roster::Roster);
    let last = Arc::new(xep_0012_last_activity::LastActivity);
    let disco = Arc::new(xep_0030_disco::Disco);
    let groups = Arc::new(xep_0045_muc::service::MultiUserChat::default());
    let paging = Arc::new(xep_0059_rsm::Paging);
    let register = Arc::new(xep_0077_register::Register::default());
    let version = Arc::new(xep_0092_version::Version);
    let caps = Arc::new(xep_0115_caps::Caps);
    let contact = Arc::new(xep_0157_contact::Contact);
    let offline = Arc::new(xep_0160_offline::Offline);
    let management = Arc::new(xep_0198_stream_management::StreamManagement);
    let state = Arc::new(xep_0352_client_state::ClientState);
    let ping = Arc::new(xep_0199_ping::Ping);
    let time = Arc::new(xep_0202_time::Time);
    let delay = Arc::new(xep_0203_delay::Delay);
    let carbons = Arc::new(xep_0280_carbons::Carbons);
    let archive = Arc::new(xep_0313_mam::MessageArchive);
    let hints = Arc::new(xep_0334_hints::Hints);
    let stanza_ids = Arc::new(xep_0359_stanza_ids::StanzaIds);
    let retraction = Arc::new(xep_0424_retraction::Retraction);
    let preferences = Arc::new(xep_0441_preferences::ArchivePreferences);
    let limits = Arc::new(xep_0478_limits::Limits);
    let fast = Arc::new(xep_0484_fast::Fast);
    Powers {
        extensions: vec![
            session.clone(),
            roster.clone(),
            last.clone(),
            disco.clone(),
            groups.clone(),
            paging,
            register.clone(),
            version.clone(),
            caps.clone(),
            contact.clone(),
            offline.clone(),
            management.clone(),
            ping.clone(),
            time.clone(),
            delay.clone(),
            carbons.clone(),
            archive.clone(),
            hints.clone(),
            stanza_ids.clone(),
            retraction.clone(),
            preferences.clone(),
            state.clone(),
            limits.clone(),
            fast.clone(),
        ],
        guard: vec![last.clone()],
        // What must be kept, what the sender wishes, and then what a message is.
        keep: vec![retraction, hints, offline, archive.clone()],
        stamp: vec![stanza_ids, carbons.clone(), delay],
        copy: vec![carbons.clone()],
        archive: Some(preferences.clone()),
        attend: vec![
            last.clone(),
            fast.clone(),
            preferences.clone(),
            groups.clone(),
        ],
        describe: vec![contact],
        answer: vec![
            session.clone(),
            roster.clone(),
            last,
            disco,
            register.clone(),
            version,
            ping,
            time,
            carbons.clone(),
            archive.clone(),
            preferences,
            groups.clone(),
        ],
        serve: vec![groups],
        // Clients read the features as a set; what older ones look for first stands first.
        stream: vec![
            register,
            session,
            roster,
            management.clone(),
            state.clone(),
            caps,
            limits,
        ],
        // What counts begins after it: nothing of `<bound/>` is a stanza.
        inline: vec![management, state, carbons, archive],
        readmit: Some(fast),
    }
}

/// The tables that extensions own.
#[must_use]
pub fn migrations() -> Vec<Migrations> {
    powers()
        .extensions
        .iter()
        .filter_map(|extension| extension.migrations())
        .collect()
}
