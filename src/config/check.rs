//! Whether values are valid: each by itself, and all together.

use std::net::SocketAddr;

use toml::Value;
use tracing_subscriber::filter::Targets;
use waxwing_xmpp::Jid;

use super::problem::suggest;
use super::{Config, Form, Kind};
use crate::tls::pem;

/// Checks a value that is not a list against its kind; says what is wrong as half a sentence.
pub(super) fn scalar(kind: Kind, value: &Value) -> Result<(), String> {
    match (kind, value) {
        (Kind::Bool, Value::Boolean(_)) => Ok(()),
        (Kind::Integer(min, max), Value::Integer(n)) if (min..=max).contains(n) => Ok(()),
        (Kind::Integer(min, max), Value::Integer(n)) => {
            Err(format!("must be between {min} and {max}, found {n}"))
        }
        (Kind::Text(form), Value::String(text)) => string(form, text),
        (_, found) => Err(format!(
            "{}, found {} {found}",
            expected(kind),
            found.type_str()
        )),
    }
}

/// What a kind wants, as half a sentence.
pub(super) fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "must be true or false",
        Kind::Integer(..) => "must be a plain integer",
        Kind::Text(_) => "must be a string",
        Kind::List(_) => "must be a list of strings",
    }
}

fn string(form: Form, text: &str) -> Result<(), String> {
    match form {
        Form::Address => address(text),
        Form::BareJid => bare_jid(text).map(drop),
        Form::OptionalDomain if text.is_empty() => Ok(()),
        Form::Domain | Form::OptionalDomain => domain(text).map(drop),
        Form::LogFilter => log_filter(text),
        Form::OneOf(words) if words.contains(&text) => Ok(()),
        Form::OneOf(words) => Err(suggest(
            &format!("unknown value `{text}`"),
            text,
            words.iter().copied(),
        )),
        Form::Path if text.is_empty() => Err("must not be empty".to_owned()),
        Form::Path | Form::OptionalPath => Ok(()),
        Form::Uri => uri(text),
    }
}

fn address(text: &str) -> Result<(), String> {
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    let mut message = format!("`{text}` is not an address and port such as 0.0.0.0:5222");
    if text.matches(':').count() > 1 {
        message.push_str(" or [::]:5222");
    }
    Err(message)
}

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

fn log_filter(text: &str) -> Result<(), String> {
    for part in text.split(',').map(str::trim) {
        let (target, level) = part.rsplit_once('=').unwrap_or(("any", part));
        if !LEVELS.contains(&level) {
            return Err(suggest(
                &format!("unknown level `{level}`"),
                level,
                LEVELS.iter().copied(),
            ));
        }
        let is_odd = |c: char| c == '=' || c.is_whitespace();
        if target.is_empty() || target.contains(is_odd) || part.parse::<Targets>().is_err() {
            return Err(format!(
                "`{part}` is neither a level nor a part of the program with its level, such as \
                 waxwing=debug"
            ));
        }
    }
    Ok(())
}

/// The filter as it is used: blanks would be taken for a part of the names.
fn without_blanks(filter: &str) -> String {
    let parts: Vec<_> = filter.split(',').map(str::trim).collect();
    parts.join(",")
}

/// RFC 3986 §3.1: a scheme is a letter, then letters, digits, `+`, `-` and `.`.
fn uri(text: &str) -> Result<(), String> {
    let valid = text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    });
    if valid {
        return Ok(());
    }
    Err(format!(
        "`{text}` is not a URI such as mailto:admin@example.org"
    ))
}

/// What is wrong with the configuration as a whole: the key at fault, and the text.
pub(super) fn whole(config: &Config) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let mut problem = |key, text: String| problems.push((key, text));
    listeners(config, &mut problem);
    certificate(config, &mut problem);
    limits(config, &mut problem);
    if config.muc.domain == config.domain {
        let text = "is the domain of the server: rooms and accounts need domains of their own";
        problem("muc.domain", text.to_owned());
    }
    if let Err(text) = domain(&config.groups_domain()) {
        problem("muc.domain", format!("is empty, and {text}"));
    }
    if config.auth.mechanisms.is_empty() && !config.auth.anonymous {
        problem(
            "auth.mechanisms",
            "is empty: nobody could log in".to_owned(),
        );
    }
    problems
}

fn listeners(config: &Config, problem: &mut impl FnMut(&'static str, String)) {
    let listen = &config.listen;
    if listen.c2s.is_empty() && listen.c2s_tls.is_empty() {
        problem(
            "listen.c2s",
            "is empty, and so is listen.c2s_tls: nobody could connect".into(),
        );
    }
    let all: Vec<_> = listen.c2s.iter().chain(&listen.c2s_tls).collect();
    for (position, address) in all.iter().enumerate() {
        if address.port() != 0 && all[..position].contains(address) {
            let key = if position < listen.c2s.len() {
                "listen.c2s"
            } else {
                "listen.c2s_tls"
            };
            problem(key, format!("`{address}` is listed twice"));
        }
    }
}

fn certificate(config: &Config, problem: &mut impl FnMut(&'static str, String)) {
    let tls = &config.tls;
    match (
        tls.certificate.as_os_str().is_empty(),
        tls.key.as_os_str().is_empty(),
    ) {
        (true, true) => {}
        (true, false) => problem("tls.key", "is given without tls.certificate".to_owned()),
        (false, true) => problem("tls.certificate", "is given without tls.key".to_owned()),
        (false, false) => match pem::load(&tls.certificate, &tls.key) {
            Ok(_) => {}
            Err(error @ (pem::PemError::Key { .. } | pem::PemError::NoKey { .. })) => {
                problem("tls.key", error.to_string());
            }
            Err(error) => problem("tls.certificate", error.to_string()),
        },
    }
}

fn limits(config: &Config, problem: &mut impl FnMut(&'static str, String)) {
    let limits = &config.limits;
    let largest = limits.stanza_bytes;
    if limits.stanza_bytes_before_login > largest {
        let text = format!("must not be more than limits.stanza_bytes, {largest}");
        problem("limits.stanza_bytes_before_login", text);
    }
    let room_for_a_stanza = [
        ("limits.bytes_burst", limits.bytes_burst),
        ("limits.outbox_bytes", limits.outbox_bytes as u64),
        ("limits.mailbox_bytes", limits.mailbox_bytes),
    ];
    for (key, bytes) in room_for_a_stanza {
        if bytes < largest as u64 {
            problem(
                key,
                format!("must be at least limits.stanza_bytes, {largest}"),
            );
        }
    }
}

/// Brings addresses and the filter of the log into their normal form. They have been checked.
pub(super) fn normalise(config: &mut Config) {
    config.log.level = without_blanks(&config.log.level);
    if let Ok(normal) = domain(&config.domain) {
        config.domain = normal;
    }
    if let Ok(normal) = domain(&config.muc.domain) {
        config.muc.domain = normal;
    }
    for admin in &mut config.admins {
        if let Ok(normal) = bare_jid(admin) {
            *admin = normal;
        }
    }
}

fn domain(text: &str) -> Result<String, String> {
    match Jid::parse(text) {
        Ok(jid) if jid.local().is_none() && jid.is_bare() => Ok(jid.domain().to_owned()),
        Ok(_) => Err(format!(
            "`{text}` is an address, not a domain such as example.org"
        )),
        Err(error) => Err(format!("`{text}` is not a domain: {error}")),
    }
}

fn bare_jid(text: &str) -> Result<String, String> {
    match Jid::parse(text) {
        Ok(jid) if jid.local().is_some() && jid.is_bare() => Ok(jid.as_str().to_owned()),
        Ok(_) => Err(format!(
            "`{text}` is not a bare JID such as alice@example.org"
        )),
        Err(error) => Err(format!("`{text}` is not a JID: {error}")),
    }
}
