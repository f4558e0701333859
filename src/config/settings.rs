//! What of the configuration concerns the exchange.

use waxwing_core::exchange::{Rate, Settings};
use waxwing_xmpp::Jid;

use super::{Config, RegistrationMode};

impl Config {
    /// The domain of the rooms.
    pub fn groups_domain(&self) -> String {
        if self.muc.domain.is_empty() {
            format!("groups.{}", self.domain)
        } else {
            self.muc.domain.clone()
        }
    }

    /// What the configuration decides about the exchange.
    pub fn settings(&self) -> Settings {
        let limits = &self.limits;
        let contact = &self.contact;
        let contacts = [
            ("abuse", &contact.abuse),
            ("admin", &contact.admin),
            ("feedback", &contact.feedback),
            ("sales", &contact.sales),
            ("security", &contact.security),
            ("status", &contact.status),
            ("support", &contact.support),
        ];
        let published = contacts
            .into_iter()
            .filter(|(_, addresses)| !addresses.is_empty());
        Settings {
            // The configuration was checked: these are addresses.
            domain: Jid::parse(&self.domain).expect("a checked domain"),
            admins: self
                .admins
                .iter()
                .filter_map(|admin| Jid::parse(admin).ok())
                .collect(),
            retention_days: self.retention_days,
            sessions_per_account: limits.sessions_per_account as usize,
            outbox_bytes: limits.outbox_bytes,
            roster_items: limits.roster_items as usize,
            mailbox_messages: limits.mailbox_messages,
            mailbox_bytes: limits.mailbox_bytes,
            contacts: published
                .map(|(kind, list)| (kind.to_owned(), list.clone()))
                .collect(),
            open_registration: self.registration.mode == RegistrationMode::Open,
            registrations_per_hour: limits.registrations_per_hour,
            stanza_bytes_before_login: limits.stanza_bytes_before_login,
            stanza_bytes: limits.stanza_bytes,
            negotiation_seconds: limits.negotiation_timeout.as_secs(),
            idle_seconds: limits.ping_after_silence.as_secs(),
            anonymous: self.auth.anonymous,
            archive: self.archive.enabled,
            resume_seconds: limits.resume_timeout.as_secs(),
            groups_domain: Jid::parse(&self.groups_domain()).expect("a checked domain"),
            room_members: self.muc.max_members,
            room_messages: Rate {
                per_second: self.muc.messages_per_second,
                burst: self.muc.messages_burst,
            },
            occupant_messages: Rate {
                per_second: self.muc.occupant_messages_per_second,
                burst: self.muc.occupant_messages_burst,
            },
        }
    }
}
