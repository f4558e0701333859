//! What clients do with rooms (XEP-0045), as far as plays need it done and not looked at.

use minidom::Element;

use super::Outcome;
use super::client::Client;
use super::play::Settings;
use super::xml::{CLIENT, show};

/// The namespace of entering a room.
const MUC: &str = "http://jabber.org/protocol/muc";
/// The namespace of what a room says of an occupant.
const USER: &str = "http://jabber.org/protocol/muc#user";
/// The namespace of requests of admins.
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// The namespace of requests of owners, and the name of their form.
const OWNER: &str = "http://jabber.org/protocol/muc#owner";
const CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";

impl Client {
    /// Enters a room, §7.2. What that brings is left out, up to the subject and what was said by
    /// then; the own presence.
    pub fn enter_room(&mut self, room: &str, nick: &str) -> Outcome<Element> {
        self.send(&format!(
            "<presence to='{room}/{nick}'><x xmlns='{MUC}'/></presence>"
        ))?;
        let mut own = None;
        loop {
            let stanza = self.stanza()?;
            let is_of_room = stanza
                .attr("from")
                .is_some_and(|from| from.starts_with(room));
            if is_of_room && stanza.is("presence", CLIENT) {
                if stanza.attr("type") == Some("error") {
                    return Err(format!("entering is refused: {}", show(&stanza)).into());
                }
                if has_status(&stanza, "110") {
                    own = Some(stanza);
                }
            } else if is_of_room && is_subject(&stanza) {
                break;
            }
        }
        self.sync()?;
        self.unread();
        Ok(own.ok_or("the subject came before the own presence")?)
    }

    /// Creates a room that is not there yet, §10.1.
    pub fn create_room(&mut self, room: &str, nick: &str, settings: &Settings) -> Outcome {
        let own = self.enter_room(room, nick)?;
        if !has_status(&own, "201") {
            return Err(format!("the room is not new: {}", show(&own)).into());
        }
        self.configure_room(room, settings)?;
        self.unread();
        Ok(())
    }

    /// Submits a configuration, §10.2. What it brings beside the answer can be received after.
    pub fn configure_room(&mut self, room: &str, settings: &Settings) -> Outcome {
        let form = match settings.as_slice() {
            [] => String::new(),
            _ => fields(settings),
        };
        self.request(
            room,
            &format!(
                "<query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>{form}</x></query>"
            ),
        )
    }

    /// Changes an affiliation, §9 and §10. What it brings beside the answer can be received after.
    pub fn affiliate(&mut self, room: &str, whom: &str, affiliation: &str) -> Outcome {
        self.request(
            room,
            &format!(
                "<query xmlns='{ADMIN}'><item jid='{whom}' affiliation='{affiliation}'/></query>"
            ),
        )
    }

    fn request(&mut self, room: &str, payload: &str) -> Outcome {
        let id = format!("room-{}", super::unique());
        self.send(&format!(
            "<iq type='set' id='{id}' to='{room}'>{payload}</iq>"
        ))?;
        let answer = self.answer_to(&id)?;
        match answer.attr("type") {
            Some("result") => Ok(()),
            _ => Err(format!("the room refuses: {}", show(&answer)).into()),
        }
    }
}

/// The form's type and its fields.
fn fields(settings: &Settings) -> String {
    let mut form = format!("<field var='FORM_TYPE' type='hidden'><value>{CONFIG}</value></field>");
    let mut rest = settings.as_slice();
    while let Some((variable, _)) = rest.first() {
        let count = rest.iter().take_while(|(name, _)| name == variable).count();
        form.push_str(&format!("<field var='{variable}'>"));
        for (_, value) in &rest[..count] {
            form.push_str(&format!("<value>{value}</value>"));
        }
        form.push_str("</field>");
        rest = &rest[count..];
    }
    form
}

fn has_status(stanza: &Element, code: &str) -> bool {
    let Some(x) = stanza.get_child("x", USER) else {
        return false;
    };
    x.children()
        .any(|child| child.is("status", USER) && child.attr("code") == Some(code))
}

fn is_subject(stanza: &Element) -> bool {
    stanza.is("message", CLIENT)
        && stanza.attr("type") == Some("groupchat")
        && stanza.has_child("subject", CLIENT)
        && !stanza.has_child("body", CLIENT)
}
