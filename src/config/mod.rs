//! The configuration: one TOML file, every key with a default, environment variables on top.
//!
//! [`load`] reads the file and reports everything that is wrong with it at once; [`diff`] says
//! what a reload changes. The keys are declared below, once: `config.toml` in the root of the
//! repository is generated from these declarations and a test keeps it equal.

mod check;
mod diff;
mod load;
mod problem;
mod reference;
mod schema;
mod settings;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use schema::settings;

pub use diff::{Difference, diff, reloaded};
pub use load::{load, parse};
pub use problem::{Place, Problem};
pub use reference::reference;
pub use schema::{Change, Form, Key, Kind, Section, VARIABLE_PREFIX};

/// All tables of the configuration, in the order of the file.
pub const SECTIONS: &[Section] = &[
    Config::SECTION,
    Listen::SECTION,
    Tls::SECTION,
    Auth::SECTION,
    Registration::SECTION,
    Muc::SECTION,
    Archive::SECTION,
    Contact::SECTION,
    Log::SECTION,
    Limits::SECTION,
];

/// The SASL mechanisms that the server knows, strongest first.
pub const MECHANISMS: &[&str] = &[
    "SCRAM-SHA-512-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "PLAIN",
];

const MEBIBYTE: i64 = 1024 * 1024;

settings! {
    /// The configuration of one server.
    Config [""] {
        /// The domain that this server serves: what stands after the `@` in its addresses.
        domain: String = "localhost".to_owned(), Kind::Text(Form::Domain), Restart;

        /// The addresses of the administrators, such as "alice@example.org".
        admins: Vec<String> = Vec::new(), Kind::List(Form::BareJid), Reload;

        /// The directory of the database, the generated certificate and the admin socket. It is
        /// made if it is missing. This path, and those below, are relative to the directory of
        /// this file.
        data: PathBuf = PathBuf::from("data"), Kind::Text(Form::Path), Restart;

        /// For how many days a message is stored. One that could not be delivered by then is
        /// answered to its sender with an error.
        retention_days: u32 = 30, Kind::Integer(1, 36500), Reload;
    }
    tables {
        listen: Listen,
        tls: Tls,
        auth: Auth,
        registration: Registration,
        muc: Muc,
        archive: Archive,
        contact: Contact,
        log: Log,
        limits: Limits,
    }
}

settings! {
    /// The addresses to accept connections on, each as ADDRESS:PORT. Port 0 takes any free port.
    /// As shipped only this machine can connect; for everybody, write "[::]:5222" and so on.
    /// That takes IPv4 too, unless an IPv4 address with the same port is listed beside it. Where
    /// IPv6 is switched off, "[::1]" is passed over if there is another address in its list.
    Listen ["listen"] {
        /// Clients that begin in plaintext and switch to TLS by STARTTLS.
        c2s: Vec<SocketAddr> = loopback(5222), Kind::List(Form::Address), Restart;

        /// Clients that begin with TLS at once (direct TLS, XEP-0368).
        c2s_tls: Vec<SocketAddr> = loopback(5223), Kind::List(Form::Address), Restart;
    }
}

settings! {
    /// Encryption.
    Tls ["tls"] {
        /// The certificate with its chain, as PEM, leaf first. If empty, a self-signed certificate
        /// is made in the data directory at the first start.
        certificate: PathBuf = PathBuf::new(), Kind::Text(Form::OptionalPath), Reload;

        /// The private key of the certificate, as PEM.
        key: PathBuf = PathBuf::new(), Kind::Text(Form::OptionalPath), Reload;

        /// Whether a client must use TLS before it can log in. Switch it off for tests on loopback
        /// only: passwords and messages then cross the network in plain view.
        require: bool = true, Kind::Bool, Restart;
    }
}

settings! {
    /// How clients log in.
    Auth ["auth"] {
        /// The SASL mechanisms on offer. Passwords are stored in the forms that these need, so a
        /// mechanism added later works for a user only after the next change of password.
        mechanisms: Vec<String> = MECHANISMS.iter().map(ToString::to_string).collect(),
            Kind::List(Form::OneOf(MECHANISMS)), Restart;

        /// Whether anybody may log in without an account (SASL ANONYMOUS) under a random address.
        anonymous: bool = false, Kind::Bool, Restart;
    }
}

/// Who may make an account over XMPP (XEP-0077).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Nobody: accounts are made with `waxwing user add`.
    #[default]
    Closed,
    /// Everybody who can connect.
    Open,
}

settings! {
    /// New accounts.
    Registration ["registration"] {
        /// "closed": accounts are made with `waxwing user add`. "open": everybody who can connect
        /// can make one, which spammers will find.
        mode: RegistrationMode = RegistrationMode::Closed,
            Kind::Text(Form::OneOf(&["closed", "open"])), Reload;
    }
}

settings! {
    /// Group chat (XEP-0045).
    Muc ["muc"] {
        /// The domain of the rooms. If empty, "groups." and the domain of the server.
        domain: String = String::new(), Kind::Text(Form::OptionalDomain), Restart;

        /// How many members a room can have. Owners, admins and members count, whether they are
        /// there or not, and everybody else who is there. The owners of a room can allow fewer.
        max_members: u16 = 256, Kind::Integer(1, 256), Reload;

        /// How many messages each second a room takes in the long run, from all who are in it.
        messages_per_second: u32 = 200, Kind::Integer(1, 1_000_000), Reload;

        /// How many it takes at once after a silence.
        messages_burst: u32 = 1000, Kind::Integer(1, 1_000_000), Reload;

        /// How many messages each second it takes in the long run from one of them.
        occupant_messages_per_second: u32 = 20, Kind::Integer(1, 1_000_000), Reload;

        /// How many it takes from one of them at once after a silence.
        occupant_messages_burst: u32 = 100, Kind::Integer(1, 1_000_000), Reload;
    }
}

settings! {
    /// What becomes of messages.
    Archive ["archive"] {
        /// Whether every message is stored before it is delivered, and kept for `retention_days`, so
        /// that each device of an account gets it. If not, it is stored only while nobody has taken
        /// it, and lives in memory as long as its recipient is connected.
        enabled: bool = true, Kind::Bool, Restart;
    }
}

settings! {
    /// Where the people behind this server can be reached, published to everybody (XEP-0157):
    /// lists of URIs, such as "mailto:abuse@example.org" or "xmpp:admin@example.org".
    Contact ["contact"] {
        /// For reports of abuse.
        abuse: Vec<String> = Vec::new(), Kind::List(Form::Uri), Reload;
        /// The administrators.
        admin: Vec<String> = Vec::new(), Kind::List(Form::Uri), Reload;
        /// For praise and complaint.
        feedback: Vec<String> = Vec::new(), Kind::List(Form::Uri), Reload;
        /// For business.
        sales: Vec<String> = Vec::new(), Kind::List(Form::Uri), Reload;
        /// For reports of security holes.
        security: Vec<String> = Vec::new(), Kind::List(Form::Uri), Reload;
        /// Where the state of the service is shown.
        status: Vec<String> = Vec::new(), Kind::List(Form::Uri), Reload;
        /// For help.
        support: Vec<String> = Vec::new(), Kind::List(Form::Uri), Reload;
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

settings! {
    /// The log, which goes to standard error.
    Log ["log"] {
        /// What is logged: "error", "warn", "info", "debug", "trace" or "off"; or a list such as
        /// "info,waxwing=debug". Bodies and passwords are never logged, addresses not at "info".
        level: String = "info".to_owned(), Kind::Text(Form::LogFilter), Reload;

        /// "human" or "json".
        format: LogFormat = LogFormat::Human,
            Kind::Text(Form::OneOf(&["human", "json"])), Restart;
    }
}

settings! {
    /// Limits. Sizes are in bytes and times in seconds, as plain integers.
    Limits ["limits"] {
        /// The largest stanza that is taken from a client which has not logged in.
        stanza_bytes_before_login: usize = 10_000, Kind::Integer(10_000, MEBIBYTE), Reload;

        /// The largest stanza that is taken from a client.
        stanza_bytes: usize = 262_144, Kind::Integer(10_000, 16 * MEBIBYTE), Reload;

        /// How many sessions (devices) an account can have at a time.
        sessions_per_account: u32 = 10, Kind::Integer(1, 1000), Reload;

        /// How many connections one network address can have at a time. Many people can be behind
        /// one address.
        connections_per_address: u32 = 256, Kind::Integer(1, 1_000_000), Reload;

        /// How many accounts one network address can make in an hour, where registration is open.
        registrations_per_hour: u32 = 20, Kind::Integer(1, 1_000_000), Reload;

        /// How long a client may take from connecting to being logged in.
        #[serde(with = "seconds")]
        negotiation_timeout: Duration = Duration::from_secs(30), Kind::Integer(1, 3600), Reload;

        /// After how long a silence a client is asked whether it is still there.
        #[serde(with = "seconds")]
        ping_after_silence: Duration = Duration::from_secs(30), Kind::Integer(1, 86_400), Reload;

        /// How long it may take to answer before its connection is given up.
        #[serde(with = "seconds")]
        ping_timeout: Duration = Duration::from_secs(25), Kind::Integer(1, 3600), Reload;

        /// How long a broken connection can be resumed by its client, unseen by others. 0: never.
        #[serde(with = "seconds")]
        resume_timeout: Duration = Duration::from_secs(600), Kind::Integer(0, 86_400), Reload;

        /// How many stanzas a client can send each second in the long run. Beyond the rate nothing
        /// is lost: the server reads more slowly.
        stanzas_per_second: u32 = 100, Kind::Integer(1, 1_000_000_000), Reload;

        /// How many stanzas it can send at once after a silence.
        stanzas_burst: u32 = 2000, Kind::Integer(1, 1_000_000_000), Reload;

        /// How many bytes a client can send each second in the long run.
        bytes_per_second: u64 = 262_144, Kind::Integer(1000, 1_000_000_000_000), Reload;

        /// How many bytes it can send at once after a silence.
        bytes_burst: u64 = 4_194_304, Kind::Integer(10_000, 1_000_000_000_000), Reload;

        /// How much may wait in memory for one slow client. At the bound its connection is given
        /// up; its messages are safe in the mailbox.
        outbox_bytes: usize = 1_048_576, Kind::Integer(10_000, 1024 * MEBIBYTE), Reload;

        /// How many contacts an account can have.
        roster_items: u32 = 1000, Kind::Integer(1, 1_000_000), Reload;

        /// How many messages an account can have waiting for delivery. At the bound the sender
        /// gets an error.
        mailbox_messages: u64 = 10_000, Kind::Integer(1, 1_000_000_000), Reload;

        /// How many bytes of messages an account can have waiting for delivery.
        mailbox_bytes: u64 = 52_428_800, Kind::Integer(10_000, 1_000_000_000_000), Reload;

        /// How often a login may fail from one network address within the window below. Then
        /// logins from there are refused until the window is over.
        auth_failures_per_address: u32 = 20, Kind::Integer(1, 1_000_000), Reload;

        /// The window.
        #[serde(with = "seconds")]
        auth_failures_window: Duration = Duration::from_secs(300), Kind::Integer(1, 86_400), Reload;
    }
}

fn loopback(port: u16) -> Vec<SocketAddr> {
    vec![
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
    ]
}

/// A duration as an integer of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}
