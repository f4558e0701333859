//! XEP-0050: Ad-Hoc Commands (version 1.3.0)
//!
//! Supported: the list of commands, and commands of one form at most, which may come filled in with
//! the request. Nothing is remembered between the stages, so that a session never expires.

use minidom::Element;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Jid, StanzaError};

use crate::xep_0004_data_forms::{self as data_forms, Form, FormKind};
use crate::xep_0030_disco::{INFO, ITEMS};

/// The namespace, the feature, and the node under which commands are found.
pub const NS: &str = "http://jabber.org/protocol/commands";

/// Bytes of what a client calls a session, and of the name of a command.
const MAX_BYTES: usize = 1023;

/// A command that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// By which it is asked for.
    pub node: &'static str,
    /// Its name for people.
    pub name: &'static str,
}

/// The items of [`NS`] at an address (§2.2).
#[must_use]
pub fn items(jid: &Jid, commands: &[Command]) -> Element {
    let items = commands.iter().map(|command| {
        Element::builder("item", ITEMS)
            .with("jid", jid.as_str())
            .with("node", command.node)
            .with("name", command.name)
            .build()
    });
    Element::builder("query", ITEMS)
        .with("node", NS)
        .append_all(items)
        .build()
}

/// The information about the node of a command (§2.2).
#[must_use]
pub fn info(command: &Command) -> Element {
    let identity = Element::builder("identity", INFO)
        .with("category", "automation")
        .with("type", "command-node")
        .with("name", command.name)
        .build();
    let features = [NS, data_forms::NS].map(|feature| {
        Element::builder("feature", INFO)
            .with("var", feature)
            .build()
    });
    Element::builder("query", INFO)
        .with("node", command.node)
        .append(identity)
        .append_all(features)
        .build()
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The command.
    pub node: String,
    /// The session, as the client was told or chose; `None`: it begins one.
    session: Option<String>,
    /// Whether it is to be given up.
    pub is_canceled: bool,
    /// The form that was filled in, if there is one.
    pub form: Option<Form>,
}

impl Request {
    /// Reads a `<command/>`.
    ///
    /// # Errors
    /// `bad-request`, with the conditions of §4.4 for an action that is not known or not possible,
    /// and for a form that is none.
    pub fn parse(command: &Element) -> Result<Request, StanzaError> {
        let is_canceled = match command.attr("action") {
            None | Some("execute" | "complete" | "next") => false,
            Some("cancel") => true,
            Some("prev") => return Err(wrong("bad-action", "there is no stage before this one")),
            Some(_) => return Err(wrong("malformed-action", "that action is not known")),
        };
        let node = command.attr("node").unwrap_or_default();
        if node.is_empty() || node.len() > MAX_BYTES {
            return Err(StanzaError::bad_request().with_text("the command has no node"));
        }
        let session = command.attr("sessionid").map(str::to_owned);
        let is_session = |session: &String| (1..=MAX_BYTES).contains(&session.len());
        if !session.as_ref().is_none_or(is_session) {
            return Err(wrong("bad-sessionid", "the sessionid is empty or too long"));
        }
        let form = command.get_child("x", data_forms::NS).map(Form::parse);
        let form = form
            .transpose()
            .map_err(|error| bad_payload(error.text.unwrap_or_default()))?;
        Ok(Request {
            node: node.to_owned(),
            session,
            is_canceled,
            // §3.4: a form that is cancelled counts as submitted, one to be filled in does not.
            form: form.filter(|form| matches!(form.kind, FormKind::Submit | FormKind::Cancel)),
        })
    }

    /// The answer that asks for a form to be filled in. `fresh` is the id of a session that begins.
    #[must_use]
    pub fn ask(&self, fresh: &str, form: &Form) -> Element {
        let actions = Element::builder("actions", NS)
            .with("execute", "complete")
            .append(Element::bare("complete", NS));
        self.answer(fresh, "executing")
            .append(actions.build())
            .append(form.to_element())
            .build()
    }

    /// The answer that the command is done, with what came of it.
    #[must_use]
    pub fn done(&self, fresh: &str, result: Option<Element>) -> Element {
        let answer = self.answer(fresh, "completed");
        answer.append_all(result).build()
    }

    /// The answer that the command was given up.
    #[must_use]
    pub fn canceled(&self, fresh: &str) -> Element {
        self.answer(fresh, "canceled").build()
    }

    fn answer(&self, fresh: &str, status: &str) -> minidom::element::ElementBuilder {
        Element::builder("command", NS)
            .with("node", &self.node)
            .with("sessionid", self.session.as_deref().unwrap_or(fresh))
            .with("status", status)
    }
}

/// The error for a form that cannot be accepted (§4.4).
#[must_use]
pub fn bad_payload(why: impl Into<std::borrow::Cow<'static, str>>) -> StanzaError {
    let condition = Element::bare("bad-payload", NS);
    let error = StanzaError::bad_request().with_application(condition);
    error.with_text(why)
}

fn wrong(condition: &'static str, why: &'static str) -> StanzaError {
    let condition = Element::bare(condition, NS);
    let error = StanzaError::bad_request().with_application(condition);
    error.with_text(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xep_0004_data_forms::{Field, FieldKind};

    fn request(attributes: &str, children: &str) -> Result<Request, String> {
        let xml = format!("<command xmlns='{NS}' {attributes}>{children}</command>");
        let command: Element = xml.parse().expect("well-formed");
        Request::parse(&command).map_err(|error| {
            assert_eq!(error.condition.name(), "bad-request");
            let application = error.application.as_deref().map(Element::name);
            application.unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn a_command_is_asked_for_filled_in_and_done() {
        let first = request("node='n' action='execute'", "").expect("a request");
        let form = Form::new(FormKind::Form, "urn:x").field(Field::new("a", FieldKind::TextSingle));
        assert_eq!(
            String::from(&first.ask("s1", &form)),
            "<command xmlns='http://jabber.org/protocol/commands' node='n' sessionid='s1' \
             status='executing'><actions execute='complete'><complete/></actions>\
             <x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>\
             <value>urn:x</value></field><field type='text-single' var='a'/></x></command>"
        );
        let x =
            "<x xmlns='jabber:x:data' type='submit'><field var='a'><value>b</value></field></x>";
        let second = request("node='n' sessionid='s1'", x).expect("a request");
        let value = second.form.as_ref().and_then(|form| form.value("a"));
        assert_eq!(value, Some("b"));
        assert_eq!(
            String::from(&second.done("s2", None)),
            "<command xmlns='http://jabber.org/protocol/commands' node='n' sessionid='s1' \
             status='completed'/>"
        );
    }

    #[test]
    fn a_command_can_be_given_up() {
        let request = request("node='n' sessionid='s' action='cancel'", "").expect("a request");
        assert!(request.is_canceled);
        assert_eq!(request.canceled("t").attr("status"), Some("canceled"));
    }

    #[test]
    fn mistakes_are_told_apart() {
        let long = format!("node='n' sessionid='{}'", "s".repeat(MAX_BYTES + 1));
        for (attributes, children, expected) in [
            ("", "", ""),
            ("node=''", "", ""),
            ("node='n' action='jump'", "", "malformed-action"),
            ("node='n' action='prev'", "", "bad-action"),
            ("node='n' sessionid=''", "", "bad-sessionid"),
            (&long, "", "bad-sessionid"),
            ("node='n'", "<x xmlns='jabber:x:data'/>", "bad-payload"),
        ] {
            assert_eq!(request(attributes, children), Err(expected.to_owned()));
        }
        let empty = request("node='n'", "<x xmlns='jabber:x:data' type='form'/>");
        assert_eq!(empty.expect("a request").form, None);
    }

    #[test]
    fn commands_are_found() {
        let command = Command {
            node: "n",
            name: "A name",
        };
        let jid: Jid = "coven@chat.shakespeare.lit".parse().expect("an address");
        assert_eq!(
            String::from(&items(&jid, &[command])),
            "<query xmlns='http://jabber.org/protocol/disco#items' \
             node='http://jabber.org/protocol/commands'>\
             <item jid='coven@chat.shakespeare.lit' name='A name' node='n'/></query>"
        );
        let info = info(&command);
        assert_eq!(info.attr("node"), Some("n"));
        assert_eq!(info.children().count(), 3);
    }
}
