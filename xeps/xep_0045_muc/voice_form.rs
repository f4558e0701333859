//! Asking for voice (§7.13), and granting it to somebody who asked (§8.6).

use minidom::Element;
use waxwing_xmpp::{Jid, StanzaError};

use super::REQUEST;
use super::affiliation::Role;
use crate::xep_0004_data_forms::{Field, FieldKind, Form, FormKind};

const ROLE: &str = "muc#role";
const JID: &str = "muc#jid";
const NICK: &str = "muc#roomnick";
const ALLOW: &str = "muc#request_allow";

/// What a message about voice says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Its sender asks for voice.
    Wanted,
    /// Its sender answers somebody who asked.
    Answered {
        /// Who asked, as the form that moderators got named it.
        jid: Option<Jid>,
        /// The nickname of who asked.
        nick: String,
        /// Whether it is granted.
        is_granted: bool,
    },
}

/// What a message says about voice; `None`: nothing.
///
/// # Errors
/// `bad-request` if a form in it is none, or says something else than the two; `jid-malformed`.
pub fn parse(message: &Element) -> Result<Option<Voice>, StanzaError> {
    let Some(form) = Form::submitted(message, REQUEST)? else {
        return Ok(None);
    };
    let malformed = |why| Err(StanzaError::bad_request().with_text(why));
    if form.value(ROLE).map(str::trim) != Some(Role::Participant.as_str()) {
        return malformed("muc#role has to be participant");
    }
    let Some(is_granted) = form.bool(ALLOW)? else {
        return Ok(Some(Voice::Wanted));
    };
    let jid = form.value(JID).map(|jid| Jid::parse_tolerant(jid.trim()));
    let jid = jid.transpose().map_err(|_| StanzaError::jid_malformed())?;
    let nick = form.value(NICK).unwrap_or_default().to_owned();
    if nick.is_empty() {
        return malformed("muc#roomnick is missing");
    }
    Ok(Some(Voice::Answered {
        jid,
        nick,
        is_granted,
    }))
}

/// What moderators are shown when an occupant asks for voice.
#[must_use]
pub fn approval(jid: &Jid, nick: &str) -> Element {
    let participant = Role::Participant.as_str();
    Form::new(FormKind::Form, REQUEST)
        .titled(
            "Voice request",
            "Submit this form to answer it, cancel it to leave it to others.",
        )
        .field(
            Field::new(ROLE, FieldKind::ListSingle)
                .label("Requested role")
                .value(participant)
                .option(participant, "Participant"),
        )
        .field(
            Field::new(JID, FieldKind::JidSingle)
                .label("User")
                .value(jid.as_str()),
        )
        .field(
            Field::new(NICK, FieldKind::TextSingle)
                .label("Nickname")
                .value(nick),
        )
        .field(
            Field::new(ALLOW, FieldKind::Boolean)
                .label("Grant voice")
                .value("0"),
        )
        .to_element()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: &str, fields: &[(&str, &str)]) -> Result<Option<Voice>, &'static str> {
        let fields: String = fields
            .iter()
            .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
            .collect();
        let xml = format!(
            "<message xmlns='jabber:client'><x xmlns='jabber:x:data' type='{kind}'>\
             <field var='FORM_TYPE'><value>{REQUEST}</value></field>{fields}</x></message>"
        );
        let message: Element = xml.parse().expect("well-formed");
        parse(&message).map_err(|error| error.condition.name())
    }

    #[test]
    fn requests_and_answers_are_told_apart() {
        let role = (ROLE, "participant");
        let whole = [
            role,
            (JID, "hag66@shakespeare.lit/pda"),
            (NICK, "thirdwitch"),
        ];
        let answered = |is_granted| {
            Ok(Some(Voice::Answered {
                jid: Some("hag66@shakespeare.lit/pda".parse().expect("an address")),
                nick: "thirdwitch".into(),
                is_granted,
            }))
        };
        let with = |value| [&whole[..], &[(ALLOW, value)]].concat();
        assert_eq!(parsed("submit", &[role]), Ok(Some(Voice::Wanted)));
        assert_eq!(parsed("submit", &with("true")), answered(true));
        assert_eq!(parsed("submit", &with("0")), answered(false));
        assert_eq!(parsed("cancel", &[]), Ok(None));
        for (kind, fields, expected) in [
            ("form", vec![role], "bad-request"),
            ("submit", vec![], "bad-request"),
            ("submit", vec![(ROLE, "moderator")], "bad-request"),
            ("submit", vec![role, (ALLOW, "1")], "bad-request"),
            ("submit", vec![role, (ALLOW, "so")], "not-acceptable"),
            (
                "submit",
                vec![role, (JID, "@"), (ALLOW, "1")],
                "jid-malformed",
            ),
        ] {
            assert_eq!(parsed(kind, &fields), Err(expected), "{fields:?}");
        }
    }

    #[test]
    fn other_messages_say_nothing_of_it() {
        let xml = "<message xmlns='jabber:client'><body>a</body></message>";
        assert_eq!(parse(&xml.parse().expect("well-formed")), Ok(None));
    }

    #[test]
    fn what_moderators_are_shown_can_be_submitted() {
        let jid: Jid = "hag66@shakespeare.lit/pda".parse().expect("an address");
        let mut form = Form::parse(&approval(&jid, "thirdwitch")).expect("a form");
        form.kind = FormKind::Submit;
        let message = Element::builder("message", "jabber:client");
        let message = message.append(form.to_element()).build();
        let expected = Voice::Answered {
            jid: Some(jid),
            nick: "thirdwitch".into(),
            is_granted: false,
        };
        assert_eq!(parse(&message), Ok(Some(expected)));
    }
}
