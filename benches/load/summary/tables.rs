//! What a summary shows, and what is demanded of Waxwing.

/// The servers, in the order of the columns.
pub(super) const SERVERS: [&str; 4] = ["raw", "waxwing", "ejabberd", "prosody"];
/// The figures that are shown, by the beginning of the scenario's name.
pub(super) const FIGURES: &[(&str, &[&str])] = &[
    (
        "relay",
        &[
            "server_us_per_message",
            "server_user_us_per_message",
            "server_system_us_per_message",
            "client_busy_percent_for_messages",
        ],
    ),
    (
        "idle",
        &["resident_bytes_per_session", "kernel_bytes_per_session"],
    ),
    (
        "login",
        &["server_us_per_login", "login_p50_us", "login_p99_us"],
    ),
    (
        "offline",
        &[
            "stored_messages_per_second",
            "server_us_per_stored_message",
            "acknowledged_p50_us",
            "server_us_per_drained_message",
        ],
    ),
    ("fsyncs", &["stored_messages", "fsyncs"]),
    (
        "presence",
        &[
            "server_us_per_logout",
            "server_us_per_login",
            "server_us_per_login_presence",
            "server_us_per_presence",
            "client_busy_percent_for_presences",
        ],
    ),
    (
        "muc",
        &[
            "server_us_per_delivered_message",
            "server_user_us_per_delivered_message",
            "server_system_us_per_delivered_message",
            "delivered_messages_per_second",
            "client_busy_percent_for_delivered_messages",
            "server_us_per_join",
            "server_us_per_join_presence",
        ],
    ),
    (
        "latency",
        &[
            "saturation_messages_per_second",
            "at_10_percent_p50_us",
            "at_10_percent_p99_us",
            "at_10_percent_p99_9_us",
            "at_10_percent_sent_late_p50_us",
            "at_50_percent_p50_us",
            "at_50_percent_p99_us",
            "at_80_percent_p50_us",
            "at_80_percent_p99_us",
        ],
    ),
];

/// What a figure of Waxwing's is held against.
pub(super) enum Limit {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
    /// Times the raw relay's figure of `relay-1` or `relay-8` in the same round.
    TimesRaw(&'static str, f64),
    /// Times ejabberd's figure of the same scenario in the same round.
    TimesEjabberd(f64),
}

use Limit::{AtLeast, AtMost, TimesEjabberd, TimesRaw};

/// Scenario, figure, and what it is held against.
pub(super) type Line = (&'static str, &'static str, Limit);

const MESSAGE: &str = "server_us_per_message";
const DELIVERY: &str = "server_us_per_delivered_message";
const SESSION: &str = "resident_bytes_per_session";
const STORED: &str = "stored_messages_per_second";
const ACKNOWLEDGED: &str = "acknowledged_p50_us";

/// What must be.
pub(super) const GATES: &[Line] = &[
    ("relay-1", MESSAGE, TimesRaw("relay-1", 1.5)),
    ("relay-8", MESSAGE, TimesRaw("relay-8", 2.5)),
    ("relay-tls", MESSAGE, TimesRaw("relay-1", 1.7)),
    ("relay-sm", MESSAGE, TimesEjabberd(0.25)),
    ("muc-256", DELIVERY, TimesEjabberd(0.125)),
    ("muc-256-16", DELIVERY, TimesEjabberd(0.125)),
    ("idle", SESSION, AtMost(4096.0)),
    ("idle-tls", SESSION, AtMost(12288.0)),
];

/// What is aimed at.
pub(super) const GOALS: &[Line] = &[
    ("relay-1", MESSAGE, TimesRaw("relay-1", 1.3)),
    ("relay-8", MESSAGE, AtMost(2.5)),
    ("relay-tls", MESSAGE, TimesRaw("relay-1", 1.5)),
    ("relay-sm", MESSAGE, AtMost(25.0)),
    ("muc-256", DELIVERY, AtMost(3.0)),
    ("muc-256-16", DELIVERY, AtMost(3.0)),
    ("idle", SESSION, AtMost(2560.0)),
    ("idle-tls", SESSION, AtMost(6656.0)),
    ("login", "server_us_per_login", AtMost(450.0)),
    ("offline", STORED, AtLeast(100_000.0)),
    ("offline", ACKNOWLEDGED, AtMost(1000.0)),
    ("offline-1", STORED, AtLeast(100_000.0)),
    ("offline-1", ACKNOWLEDGED, AtMost(1000.0)),
    ("latency", "at_10_percent_p50_us", AtMost(35.0)),
    ("latency", "at_10_percent_p99_us", AtMost(400.0)),
];
