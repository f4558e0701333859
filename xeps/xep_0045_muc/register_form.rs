//! Registration with a room (§7.10): a nickname is reserved, and its holder becomes a member. In a
//! members-only room an admin has to approve it (§9.9).

use minidom::Element;
use waxwing_xmpp::{Jid, StanzaError};

use super::REGISTER;
use crate::xep_0004_data_forms::{Field, FieldKind, Form, FormKind};

/// The namespace of registration (XEP-0077).
pub const NS: &str = "jabber:iq:register";

const NICK: &str = "muc#register_roomnick";
const ALLOW: &str = "muc#register_allow";
/// Whom the request is of: §9.9 has no field for it.
const JID: &str = "x-muc#register_jid";

/// What somebody wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To be registered with this nickname, as it was written.
    Register(String),
    /// Not to be registered any more (XEP-0077 §3.2).
    Remove,
}

/// What an admin says of somebody who wishes to register (§9.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Who wishes it, by bare JID, as the form that admins got named it.
    pub jid: Jid,
    /// The nickname, as it was written.
    pub nick: String,
    /// Whether it is allowed.
    pub is_allowed: bool,
}

/// What registering takes, for somebody who has not yet.
#[must_use]
pub fn form() -> Element {
    let instructions = "Choose the nickname that is to be yours in this room.";
    let form = Form::new(FormKind::Form, REGISTER)
        .titled("Registration", instructions)
        .field(
            Field::new(NICK, FieldKind::TextSingle)
                .label("Nickname")
                .required(),
        );
    let text = Element::builder("instructions", NS).append(instructions);
    Element::builder("query", NS)
        .append(text.build())
        .append(form.to_element())
        .build()
}

/// What is told to somebody who has registered with that nickname; empty: none is reserved.
#[must_use]
pub fn registered(nick: &str) -> Element {
    let mut query = Element::builder("query", NS).append(Element::bare("registered", NS));
    if !nick.is_empty() {
        query = query.append(Element::builder("username", NS).append(nick).build());
    }
    query.build()
}

/// Reads what was submitted.
///
/// # Errors
/// `bad-request` if it is not the form, or not filled in.
pub fn parse(query: &Element) -> Result<Wish, StanzaError> {
    if query.has_child("remove", NS) {
        return Ok(Wish::Remove);
    }
    let form = Form::find(query, REGISTER)?.filter(|form| form.kind == FormKind::Submit);
    let form = form.ok_or_else(|| malformed("the form is missing"))?;
    match form.values(NICK) {
        [nick] if !nick.trim().is_empty() => Ok(Wish::Register(nick.clone())),
        _ => Err(malformed("muc#register_roomnick is missing")),
    }
}

/// What admins are asked about somebody who wishes to register (§9.9).
#[must_use]
pub fn request(jid: &Jid, nick: &str) -> Element {
    Form::new(FormKind::Form, REGISTER)
        .titled(
            "Registration request",
            "Submit this form to answer it, cancel it to leave it to others.",
        )
        .field(
            Field::new(JID, FieldKind::JidSingle)
                .label("User")
                .value(jid.bare()),
        )
        .field(
            Field::new(NICK, FieldKind::TextSingle)
                .label("Nickname")
                .value(nick),
        )
        .field(
            Field::new(ALLOW, FieldKind::Boolean)
                .label("Make this user a member of the room")
                .value("0"),
        )
        .to_element()
}

/// What a message says about somebody who wishes to register; `None`: nothing.
///
/// # Errors
/// `bad-request` if a form in it is none, or is not filled in; `jid-malformed`.
pub fn parse_approval(message: &Element) -> Result<Option<Approval>, StanzaError> {
    let Some(form) = Form::submitted(message, REGISTER)? else {
        return Ok(None);
    };
    let is_allowed = form.bool(ALLOW)?;
    let is_allowed = is_allowed.ok_or_else(|| malformed("muc#register_allow is missing"))?;
    let jid = form.value(JID).map(|jid| Jid::parse_tolerant(jid.trim()));
    let jid = jid.ok_or_else(|| malformed("x-muc#register_jid is missing"))?;
    let jid = jid.map_err(|_| StanzaError::jid_malformed())?.to_bare();
    if jid.local().is_none() {
        return Err(StanzaError::jid_malformed());
    }
    match form.values(NICK) {
        [nick] if !nick.trim().is_empty() => Ok(Some(Approval {
            jid,
            nick: nick.clone(),
            is_allowed,
        })),
        _ => Err(malformed("muc#register_roomnick is missing")),
    }
}

fn malformed(why: &'static str) -> StanzaError {
    StanzaError::bad_request().with_text(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(children: &str) -> Result<Wish, &'static str> {
        let xml = format!("<query xmlns='{NS}'>{children}</query>");
        let query: Element = xml.parse().expect("well-formed");
        parse(&query).map_err(|error| error.condition.name())
    }

    fn submitted(kind: &str, form_type: &str, field: &str) -> String {
        format!(
            "<x xmlns='jabber:x:data' type='{kind}'>\
             <field var='FORM_TYPE'><value>{form_type}</value></field>{field}</x>"
        )
    }

    #[test]
    fn wishes_are_read() {
        let nick = |nick| format!("<field var='{NICK}'><value>{nick}</value></field>");
        for (children, expected) in [
            (
                submitted("submit", REGISTER, &nick("thirdwitch")),
                Ok(Wish::Register("thirdwitch".into())),
            ),
            ("<remove/>".into(), Ok(Wish::Remove)),
            (String::new(), Err("bad-request")),
            (submitted("submit", REGISTER, ""), Err("bad-request")),
            (
                submitted("submit", REGISTER, &nick(" ")),
                Err("bad-request"),
            ),
            (submitted("submit", "urn:x", &nick("a")), Err("bad-request")),
            (
                submitted("cancel", REGISTER, &nick("a")),
                Err("bad-request"),
            ),
        ] {
            assert_eq!(parsed(&children), expected, "{children}");
        }
    }

    #[test]
    fn the_form_asks_for_a_nickname() {
        let query = form();
        let form = Form::find(&query, REGISTER).expect("well-formed");
        let field = form.expect("a form").get(NICK).cloned();
        assert!(field.expect("a field").is_required);
    }

    #[test]
    fn who_is_registered_is_told_the_nickname() {
        assert_eq!(
            String::from(&registered("thirdwitch")),
            "<query xmlns='jabber:iq:register'><registered/>\
             <username>thirdwitch</username></query>"
        );
        assert!(!registered("").has_child("username", NS));
    }

    fn said(kind: &str, fields: &[(&str, &str)]) -> Result<Option<Approval>, &'static str> {
        let fields: String = fields
            .iter()
            .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
            .collect();
        let form = submitted(kind, REGISTER, &fields);
        let xml = format!("<message xmlns='jabber:client'>{form}</message>");
        let message: Element = xml.parse().expect("well-formed");
        parse_approval(&message).map_err(|error| error.condition.name())
    }

    #[test]
    fn approvals_are_read() {
        let (jid, nick) = ((JID, "hag66@shakespeare.lit"), (NICK, "thirdwitch"));
        let answered = |is_allowed| {
            Ok(Some(Approval {
                jid: "hag66@shakespeare.lit".parse().expect("an address"),
                nick: "thirdwitch".into(),
                is_allowed,
            }))
        };
        for (kind, fields, expected) in [
            ("submit", vec![jid, nick, (ALLOW, "true")], answered(true)),
            ("submit", vec![jid, nick, (ALLOW, "0")], answered(false)),
            ("cancel", vec![], Ok(None)),
            ("form", vec![jid, nick, (ALLOW, "1")], Err("bad-request")),
            ("submit", vec![jid, nick], Err("bad-request")),
            ("submit", vec![jid, (ALLOW, "1")], Err("bad-request")),
            ("submit", vec![nick, (ALLOW, "1")], Err("bad-request")),
            (
                "submit",
                vec![jid, nick, (ALLOW, "so")],
                Err("not-acceptable"),
            ),
            (
                "submit",
                vec![(JID, "shakespeare.lit"), nick, (ALLOW, "1")],
                Err("jid-malformed"),
            ),
        ] {
            assert_eq!(said(kind, &fields), expected, "{kind} {fields:?}");
        }
    }

    #[test]
    fn what_admins_are_shown_can_be_submitted() {
        let jid: Jid = "hag66@shakespeare.lit/pda".parse().expect("an address");
        let mut form = Form::parse(&request(&jid, "thirdwitch")).expect("a form");
        form.kind = FormKind::Submit;
        let message = Element::builder("message", "jabber:client");
        let message = message.append(form.to_element()).build();
        let expected = Approval {
            jid: jid.to_bare(),
            nick: "thirdwitch".into(),
            is_allowed: false,
        };
        assert_eq!(parse_approval(&message), Ok(Some(expected)));
    }
}
