//! The exchange: accounts and who is online, routing, custody, the mailbox, the database.
//!
//! A client's stanza comes in through [`exchange::Exchange::accept`]. A message goes to its
//! recipient's account ([`deliver`], [`drain`]), presence to those who may see it ([`presence`],
//! [`contacts`]), an IQ to the extension that answers it ([`iq`]). Extensions act through
//! [`powers`]. Sockets are not known here: a session is an [`outbox`] that somebody empties.

pub mod account;
pub mod accounts;
pub mod archiving;
pub mod binding;
pub mod clock;
pub mod contacts;
pub mod db;
pub mod deliver;
pub mod drain;
pub mod exchange;
pub mod expiry;
mod failure;
pub mod feed;
mod greeting;
pub mod iq;
pub mod mailbox_store;
pub mod network;
pub mod outbox;
pub mod position;
pub mod powers;
pub mod presence;
pub mod receipt;
mod refusal;
pub mod registry;
mod resend;
pub mod roster;
pub mod session;
pub mod sessions;
mod stray;
pub mod streams;

pub use exchange::{Exchange, Settings};
pub use session::{Session, SessionRef};

/// The tables that the exchange itself owns.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    extension: "core",
    steps: &[
        include_str!("migrations/core_1.sql"),
        include_str!("migrations/core_2.sql"),
        include_str!("migrations/core_3.sql"),
        include_str!("migrations/core_4.sql"),
    ],
};
