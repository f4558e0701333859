//! The form of a room's configuration (§10.1.3, §10.2).
//!
//! What a field is called besides is read, but not shown. The lists of owners and admins are not
//! looked at here: the room shows them with the rest, and changes affiliations by them where they
//! are sent. There is no `muc#roomconfig_enablelogging`, there being no public logs.

use waxwing_xmpp::StanzaError;

use super::ROOM_CONFIG;
use super::affiliation::Role;
use super::config::{Config, PrivateMessages, Whois};
use crate::xep_0004_data_forms::{Field, FieldKind, Form, FormKind};

/// Messages of the past that a room may be told to show of its own accord, at most.
pub const MAX_HISTORY: u16 = 100;

/// A boolean of the configuration.
struct Switch {
    var: &'static str,
    label: &'static str,
    /// What other servers call it.
    also: &'static [&'static str],
    place: fn(&mut Config) -> &mut bool,
}

const SWITCHES: [Switch; 9] = [
    Switch {
        var: "muc#roomconfig_persistentroom",
        label: "Keep the room when everybody has left it",
        also: &[],
        place: |config| &mut config.is_persistent,
    },
    Switch {
        var: "muc#roomconfig_publicroom",
        label: "The room can be found",
        also: &[],
        place: |config| &mut config.is_public,
    },
    Switch {
        var: "muc#roomconfig_membersonly",
        label: "Only members may enter",
        also: &[],
        place: |config| &mut config.is_members_only,
    },
    Switch {
        var: "muc#roomconfig_moderatedroom",
        label: "Only those with voice may speak",
        also: &[],
        place: |config| &mut config.is_moderated,
    },
    Switch {
        var: "muc#roomconfig_changesubject",
        label: "Occupants may change the subject",
        also: &[],
        place: |config| &mut config.may_change_subject,
    },
    Switch {
        var: "muc#roomconfig_allowinvites",
        label: "Occupants may invite others",
        also: &["{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites"],
        place: |config| &mut config.may_invite,
    },
    Switch {
        var: "muc#roomconfig_allowvoicerequests",
        label: "Visitors may ask for voice",
        also: &["muc#roomconfig_allow_voice_requests"],
        place: |config| &mut config.may_request_voice,
    },
    Switch {
        var: "x-muc#roomconfig_registration",
        label: "Users may register with the room",
        also: &["muc#roomconfig_registration"],
        place: |config| &mut config.may_register,
    },
    Switch {
        var: "muc#roomconfig_enablearchiving",
        label: "Keep messages, so that they can be read later",
        also: &["muc#roomconfig_mam", "mam"],
        place: |config| &mut config.is_archived,
    },
];

/// A text of the configuration.
struct Line {
    var: &'static str,
    label: &'static str,
    /// Bytes at most.
    max: usize,
    place: fn(&mut Config) -> &mut String,
}

const LINES: [Line; 3] = [
    Line {
        var: "muc#roomconfig_roomname",
        label: "Name",
        max: 1023,
        place: |config| &mut config.name,
    },
    Line {
        var: "muc#roomconfig_roomdesc",
        label: "What it is about",
        max: 4096,
        place: |config| &mut config.description,
    },
    Line {
        var: "muc#roomconfig_lang",
        label: "Language spoken in it, such as en",
        max: 35,
        place: |config| &mut config.lang,
    },
];

const PROTECTED: &str = "muc#roomconfig_passwordprotectedroom";
const SECRET: &str = "muc#roomconfig_roomsecret";
/// Bytes of a password at most.
const MAX_SECRET: usize = 1023;

const WHOIS: &str = "muc#roomconfig_whois";
/// Values and their names for people.
type Choices<T> = &'static [(T, &'static str)];

const WHOIS_CHOICES: Choices<Whois> =
    &[(Whois::Moderators, "Moderators"), (Whois::Anyone, "Anyone")];

const PRIVATE: &str = "muc#roomconfig_allowpm";
const PRIVATE_CHOICES: Choices<PrivateMessages> = &[
    (PrivateMessages::Anyone, "Anyone"),
    (PrivateMessages::Participants, "Anyone with voice"),
    (PrivateMessages::Moderators, "Moderators"),
    (PrivateMessages::Nobody, "Nobody"),
];

const MAX_USERS: &str = "muc#roomconfig_maxusers";
const HISTORY: [&str; 2] = ["muc#maxhistoryfetch", "muc#roomconfig_historylength"];
const PRESENCE_FROM: &str = "muc#roomconfig_presencebroadcast";
const LIST_FROM: &str = "muc#roomconfig_getmemberlist";
/// From the highest on.
const ROLES: [(Role, &str); 3] = [
    (Role::Moderator, "Moderator"),
    (Role::Participant, "Participant"),
    (Role::Visitor, "Visitor"),
];

/// The form with what the configuration says now, where the server allows so many members.
#[must_use]
pub fn form(config: &Config, cap: u16) -> Form {
    let mut config = config.clone();
    let title = format!("Configuration of {}", config.name);
    let mut form =
        Form::new(FormKind::Form, ROOM_CONFIG).titled(title.trim_end_matches(" of "), "");
    for line in &LINES {
        let text = (line.place)(&mut config).clone();
        let field = Field::new(line.var, FieldKind::TextSingle).label(line.label);
        form = form.field(field.value(text));
    }
    for switch in &SWITCHES {
        let field = boolean(switch.var, *(switch.place)(&mut config));
        form = form.field(field.label(switch.label));
    }
    let is_protected = !config.password.is_empty();
    form.field(boolean(PROTECTED, is_protected).label("Entering takes a password"))
        .field(
            Field::new(SECRET, FieldKind::TextPrivate)
                .label("The password")
                .value(config.password),
        )
        .field(choice(
            WHOIS,
            "Who sees real addresses",
            config.whois.as_str(),
            WHOIS_CHOICES,
            Whois::as_str,
        ))
        .field(choice(
            PRIVATE,
            "Who may send private messages",
            config.private_messages.as_str(),
            PRIVATE_CHOICES,
            PrivateMessages::as_str,
        ))
        .field(max_users(config.max_members.min(cap), cap))
        .field(
            Field::new(HISTORY[0], FieldKind::TextSingle)
                .label("Messages that are shown to those who enter, at most")
                .value(config.history.to_string()),
        )
        .field(roles(
            PRESENCE_FROM,
            "Roles whose presence is shown",
            config.presence_from,
        ))
        .field(roles(
            LIST_FROM,
            "Roles that may see the list of members",
            config.member_list_from,
        ))
}

fn boolean(var: &str, is_set: bool) -> Field {
    Field::new(var, FieldKind::Boolean).value(if is_set { "1" } else { "0" })
}

/// A list of choices of which one is taken.
fn choice<T: Copy>(
    var: &str,
    label: &str,
    now: &str,
    choices: Choices<T>,
    name: fn(T) -> &'static str,
) -> Field {
    let field = Field::new(var, FieldKind::ListSingle)
        .label(label)
        .value(now);
    choices.iter().fold(field, |field, (choice, label)| {
        field.option(name(*choice), *label)
    })
}

/// The usual numbers, that of now, and what the server allows.
fn max_users(now: u16, cap: u16) -> Field {
    let mut numbers = vec![10, 20, 30, 50, 100, 200, now, cap];
    numbers.retain(|number| *number <= cap);
    numbers.sort_unstable();
    numbers.dedup();
    let field = Field::new(MAX_USERS, FieldKind::ListSingle)
        .label("Occupants and members at most")
        .value(now.to_string());
    numbers.into_iter().fold(field, |field, number| {
        field.option(number.to_string(), number.to_string())
    })
}

fn roles(var: &str, label: &str, from: Role) -> Field {
    let mut field = Field::new(var, FieldKind::ListMulti).label(label);
    for (role, label) in ROLES {
        field = field.option(role.as_str(), label);
        if role >= from {
            field = field.value(role.as_str());
        }
    }
    field
}

/// The configuration after the form was submitted, where the server allows so many members. What
/// the form does not say stays; fields that are not known are ignored (XEP-0004 §3.1).
///
/// # Errors
/// `bad-request` if the form is another one; `not-acceptable` with the name of a field whose value
/// cannot be.
pub fn apply(config: &Config, form: &Form, cap: u16) -> Result<Config, StanzaError> {
    if form
        .form_type
        .as_deref()
        .is_some_and(|form_type| form_type != ROOM_CONFIG)
    {
        return Err(StanzaError::bad_request().with_text("the FORM_TYPE is of another form"));
    }
    let mut config = config.clone();
    for line in &LINES {
        if let Some(text) = text(form, line.var, line.max)? {
            text.clone_into((line.place)(&mut config));
        }
    }
    let is_language = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !config.lang.chars().all(is_language) {
        return Err(wrong(LINES[2].var, "is no language"));
    }
    for switch in &SWITCHES {
        let said = said(form, switch.var, switch.also);
        if let Some(is_set) = said.map(|var| form.bool(var)).transpose()?.flatten() {
            *(switch.place)(&mut config) = is_set;
        }
    }
    config.password = password(&config, form)?;
    if let Some(whois) = chosen(form, WHOIS, Whois::from_name)? {
        config.whois = whois;
    }
    if let Some(private) = chosen(form, PRIVATE, PrivateMessages::from_name)? {
        config.private_messages = private;
    }
    let most = number(form, MAX_USERS, 1, cap)?;
    config.max_members = most.unwrap_or(config.max_members).min(cap);
    if let Some(var) = said(form, HISTORY[0], &HISTORY[1..])
        && let Some(history) = number(form, var, 0, MAX_HISTORY)?
    {
        config.history = history;
    }
    if let Some(role) = lowest(form, PRESENCE_FROM)? {
        config.presence_from = role;
    }
    if let Some(role) = lowest(form, LIST_FROM)? {
        config.member_list_from = role;
    }
    Ok(config)
}

fn wrong(var: &str, how: &str) -> StanzaError {
    StanzaError::not_acceptable().with_text(format!("{var} {how}"))
}

/// The first of the names that is in the form.
fn said<'a>(form: &Form, var: &'a str, also: &[&'a str]) -> Option<&'a str> {
    let mut names = std::iter::once(&var).chain(also);
    names.find(|name| form.get(name).is_some()).copied()
}

/// The one value of a field; empty if it has none. `None`: it is not there.
fn single<'a>(form: &'a Form, var: &str) -> Result<Option<&'a str>, StanzaError> {
    match form.get(var).map(|field| &field.values[..]) {
        None => Ok(None),
        Some([]) => Ok(Some("")),
        Some([value]) => Ok(Some(value)),
        Some(_) => Err(wrong(var, "has more than one value")),
    }
}

/// A text may come in lines.
fn text(form: &Form, var: &str, max: usize) -> Result<Option<String>, StanzaError> {
    let text = form.get(var).map(|field| field.values.join("\n"));
    match text {
        Some(text) if text.len() > max => Err(wrong(var, "is too long")),
        text => Ok(text),
    }
}

/// Whether there is a password is said apart from the password. One that is there may stay without
/// being said again.
fn password(config: &Config, form: &Form) -> Result<String, StanzaError> {
    let secret = text(form, SECRET, MAX_SECRET)?;
    match (form.bool(PROTECTED)?, secret) {
        (Some(false), _) => Ok(String::new()),
        (Some(true), Some(secret)) if secret.is_empty() => Err(wrong(SECRET, "is empty")),
        (Some(true), None) if config.password.is_empty() => Err(wrong(SECRET, "is missing")),
        (_, Some(secret)) => Ok(secret),
        (_, None) => Ok(config.password.clone()),
    }
}

fn chosen<T>(
    form: &Form,
    var: &str,
    from_name: fn(&str) -> Option<T>,
) -> Result<Option<T>, StanzaError> {
    let none = || wrong(var, "is none of the options");
    let value = single(form, var)?;
    value
        .map(|value| from_name(value.trim()).ok_or_else(none))
        .transpose()
}

/// `none` is as many as there may be.
fn number(form: &Form, var: &str, least: u16, most: u16) -> Result<Option<u16>, StanzaError> {
    match single(form, var)?.map(str::trim) {
        None => Ok(None),
        Some("none") => Ok(Some(most)),
        Some(value) => match value.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(wrong(var, &format!("is no number from {least} to {most}"))),
        },
    }
}

/// The lowest of the roles. Those above it have to be there too: what a role may, higher ones may.
fn lowest(form: &Form, var: &str) -> Result<Option<Role>, StanzaError> {
    if form.get(var).is_none() {
        return Ok(None);
    }
    let mut named: Vec<Role> = Vec::new();
    for value in form.values(var) {
        let role = Role::from_name(value.trim()).filter(|role| *role > Role::None);
        named.push(role.ok_or_else(|| wrong(var, "has a value that is no role"))?);
    }
    let lowest = named.iter().min().copied();
    let lowest = lowest.ok_or_else(|| wrong(var, "names no role"))?;
    let has_gap = ROLES
        .iter()
        .any(|(role, _)| *role > lowest && !named.contains(role));
    if has_gap {
        return Err(wrong(var, "leaves out a role above another"));
    }
    Ok(Some(lowest))
}

#[cfg(test)]
mod tests;
