//! Registration with a room (§7.10): a nickname is reserved, and its holder becomes a member.

use minidom::Element;
use waxwing_xmpp::StanzaError;

use super::REGISTER;
use crate::xep_0004_data_forms::{Field, FieldKind, Form, FormKind};

/// The namespace of registration (XEP-0077).
pub const NS: &str = "jabber:iq:register";

const NICK: &str = "muc#register_roomnick";

/// What somebody wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To be registered with this nickname, as it was written.
    Register(String),
    /// Not to be registered any more (XEP-0077 §3.2).
    Remove,
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
}
