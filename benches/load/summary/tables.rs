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

/// What a figure of Waxwing's must be.
pub(super) enum Gate {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
    /// Times the raw relay's figure of `relay-1` or `relay-8` in the same round.
    TimesRaw(&'static str, f64),
    /// Times ejabberd's figure of the same scenario in the same round.
    TimesEjabberd(f64),
}

/// The gates: scenario, figure, and what it must be.
pub(super) const GATES: &[(&str, &str, Gate)] = &[
    (
        "relay-1",
        "server_us_per_message",
        Gate::TimesRaw("relay-1", 1.5),
    ),
    (
        "relay-8",
        "server_us_per_message",
        Gate::TimesRaw("relay-8", 2.5),
    ),
    (
        "relay-tls",
        "server_us_per_message",
        Gate::TimesRaw("relay-1", 1.7),
    ),
    (
        "relay-sm",
        "server_us_per_message",
        Gate::TimesEjabberd(0.25),
    ),
    ("idle", "resident_bytes_per_session", Gate::AtMost(4096.0)),
    (
        "idle-tls",
        "resident_bytes_per_session",
        Gate::AtMost(12288.0),
    ),
    ("login", "server_us_per_login", Gate::AtMost(450.0)),
    (
        "offline",
        "stored_messages_per_second",
        Gate::AtLeast(100_000.0),
    ),
    ("offline", "acknowledged_p50_us", Gate::AtMost(1000.0)),
    (
        "muc-256",
        "server_us_per_delivered_message",
        Gate::AtMost(3.0),
    ),
    (
        "muc-256-16",
        "server_us_per_delivered_message",
        Gate::AtMost(3.0),
    ),
    (
        "muc-256-16",
        "server_us_per_delivered_message",
        Gate::TimesEjabberd(0.125),
    ),
    (
        "muc-256",
        "server_us_per_delivered_message",
        Gate::TimesEjabberd(0.125),
    ),
    ("latency", "at_10_percent_p50_us", Gate::AtMost(35.0)),
    ("latency", "at_10_percent_p99_us", Gate::AtMost(400.0)),
];
