//! Hats (XEP-0317) given, taken and listed by commands (XEP-0050). A room has no hats of its own
//! that nobody wears, so none are created or destroyed: giving one to somebody names it.

use waxwing_xmpp::{Jid, StanzaError};

use crate::xep_0004_data_forms::{self as data_forms, Field, FieldKind, Form, FormKind};
use crate::xep_0050_commands::{Command, Request, bad_payload};

const FORM: &str = "urn:xmpp:hats:commands";

const ASSIGN: Command = Command {
    node: "urn:xmpp:hats:commands:assign",
    name: "Give somebody a hat",
};
const UNASSIGN: Command = Command {
    node: "urn:xmpp:hats:commands:unassign",
    name: "Take a hat from somebody",
};
const LIST: Command = Command {
    node: "urn:xmpp:hats:commands:list",
    name: "List the hats",
};
const LIST_ASSIGNED: Command = Command {
    node: "urn:xmpp:hats:commands:list-assigned",
    name: "List who wears which hat",
};

/// Those of a room.
pub const COMMANDS: [Command; 4] = [ASSIGN, UNASSIGN, LIST, LIST_ASSIGNED];

const JID: &str = "hats#jid";
const URI: &str = "hats#uri";
const TITLE: &str = "hats#title";

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A form is to be filled in first.
    Ask(Form),
    /// A user is to wear a hat.
    Assign {
        /// The bare JID.
        jid: Jid,
        /// Which.
        uri: String,
        /// What it is called; `None`: as somebody's hat is called that is the same.
        title: Option<String>,
    },
    /// A user is not to wear a hat any more.
    Unassign {
        /// The bare JID.
        jid: Jid,
        /// Which.
        uri: String,
    },
    /// All hats are to be shown.
    List,
    /// All hats are to be shown with who wears them.
    ListAssigned,
}

/// Reads a command.
///
/// # Errors
/// `item-not-found` if it is none of these, `bad-request` if its form lacks something.
pub fn parse(request: &Request) -> Result<Wish, StanzaError> {
    let command = COMMANDS.iter().find(|command| command.node == request.node);
    let command = command.ok_or_else(StanzaError::item_not_found)?;
    if *command == LIST {
        return Ok(Wish::List);
    }
    if *command == LIST_ASSIGNED {
        return Ok(Wish::ListAssigned);
    }
    let Some(form) = &request.form else {
        return Ok(Wish::Ask(form_of(command)));
    };
    let text = |var| {
        form.value(var)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let jid = text(JID).ok_or_else(|| bad_payload("hats#jid is missing"))?;
    let jid = Jid::parse_tolerant(jid).map_err(|_| bad_payload("hats#jid is no address"))?;
    let uri = text(URI).ok_or_else(|| bad_payload("hats#uri is missing"))?;
    let (jid, uri) = (jid.to_bare(), uri.to_owned());
    if *command == UNASSIGN {
        return Ok(Wish::Unassign { jid, uri });
    }
    let title = text(TITLE).map(str::to_owned);
    Ok(Wish::Assign { jid, uri, title })
}

fn form_of(command: &Command) -> Form {
    let form = Form::new(FormKind::Form, FORM)
        .titled(command.name, "")
        .field(
            Field::new(JID, FieldKind::JidSingle)
                .label("User")
                .required(),
        )
        .field(
            Field::new(URI, FieldKind::TextSingle)
                .label("URI of the hat")
                .required(),
        );
    if *command == UNASSIGN {
        return form;
    }
    let label = "Name of the hat, if nobody wears it yet";
    form.field(Field::new(TITLE, FieldKind::TextSingle).label(label))
}

/// Who wears hats, and which, as pairs of URI and title.
pub type Worn<'a> = [(&'a Jid, &'a [(String, String)])];

/// The title of a hat that somebody wears.
#[must_use]
pub fn title<'a>(worn: &Worn<'a>, uri: &str) -> Option<&'a str> {
    let mut hats = worn.iter().flat_map(|(_, hats)| *hats);
    let found = hats.find(|(known, _)| known == uri);
    found.map(|(_, title)| title.as_str())
}

/// The answer to [`Wish::List`]: each hat once, by its URI.
#[must_use]
pub fn list(worn: &Worn<'_>) -> minidom::Element {
    let hats = worn.iter().flat_map(|(_, hats)| *hats);
    let mut rows: Vec<[&str; 2]> = hats.map(|(uri, title)| [&**title, &**uri]).collect();
    rows.sort_unstable_by_key(|[title, uri]| (*uri, *title));
    rows.dedup_by_key(|[_, uri]| *uri);
    data_forms::table("Hats", [TITLE, URI], &rows)
}

/// The answer to [`Wish::ListAssigned`].
#[must_use]
pub fn list_assigned(worn: &Worn<'_>) -> minidom::Element {
    let rows: Vec<[&str; 3]> = worn
        .iter()
        .flat_map(|(jid, hats)| hats.iter().map(|(uri, title)| [jid.as_str(), uri, title]))
        .collect();
    data_forms::table("Who wears which hat", [JID, URI, TITLE], &rows)
}

#[cfg(test)]
mod tests {
    use minidom::Element;

    use super::*;
    use crate::xep_0050_commands::NS;

    fn parsed(command: &Command, fields: Option<&[(&str, &str)]>) -> Result<Wish, String> {
        let form = fields.map(|fields| {
            let mut form = Form::new(FormKind::Submit, FORM);
            for (var, value) in fields {
                form = form.field(Field::new(var, FieldKind::TextSingle).value(*value));
            }
            String::from(&form.to_element())
        });
        let form = form.unwrap_or_default();
        let xml = format!(
            "<command xmlns='{NS}' node='{}'>{form}</command>",
            command.node
        );
        let element: Element = xml.parse().expect("well-formed");
        let request = Request::parse(&element).expect("a request");
        parse(&request).map_err(|error| error.text.unwrap_or_default().into_owned())
    }

    #[test]
    fn wishes_are_read() {
        let jid: Jid = "terry.anderson@example.edu".parse().expect("an address");
        let both = [(JID, "Terry.Anderson@example.edu/x"), (URI, "urn:hat")];
        let all = [&both[..], &[(TITLE, "Assistant")]].concat();
        let uri = || "urn:hat".to_owned();
        let assign = |title: Option<&str>| Wish::Assign {
            jid: jid.clone(),
            uri: uri(),
            title: title.map(str::to_owned),
        };
        assert_eq!(parsed(&ASSIGN, Some(&all)), Ok(assign(Some("Assistant"))));
        assert_eq!(parsed(&ASSIGN, Some(&both)), Ok(assign(None)));
        let taken = Wish::Unassign {
            jid: jid.clone(),
            uri: uri(),
        };
        assert_eq!(parsed(&UNASSIGN, Some(&both)), Ok(taken));
        assert_eq!(parsed(&LIST, None), Ok(Wish::List));
        assert_eq!(parsed(&LIST_ASSIGNED, None), Ok(Wish::ListAssigned));
        for (fields, expected) in [
            (vec![], "hats#jid is missing"),
            (vec![(JID, "@")], "hats#jid is no address"),
            (vec![(JID, "a@x"), (URI, " ")], "hats#uri is missing"),
        ] {
            assert_eq!(parsed(&ASSIGN, Some(&fields)), Err(expected.to_owned()));
        }
        let other = Command {
            node: "urn:xmpp:hats:commands:create",
            name: "",
        };
        assert_eq!(parsed(&other, None), Err(String::new()));
    }

    #[test]
    fn without_a_form_one_is_asked_for() {
        for (command, fields) in [(ASSIGN, 3), (UNASSIGN, 2)] {
            let Ok(Wish::Ask(form)) = parsed(&command, None) else {
                panic!("no form is asked for");
            };
            assert_eq!(form.fields.len(), fields);
        }
    }

    #[test]
    fn hats_are_listed() {
        let jids: Vec<Jid> = ["a@x", "b@x"]
            .iter()
            .map(|jid| jid.parse().expect("an address"))
            .collect();
        let hat = |uri: &str, title: &str| (uri.to_owned(), title.to_owned());
        let (one, two) = (
            [hat("urn:2", "Two"), hat("urn:1", "One")],
            [hat("urn:1", "One")],
        );
        let worn = [(&jids[0], &one[..]), (&jids[1], &two[..])];
        let rows = |table: &Element| {
            table
                .children()
                .filter(|child| child.name() == "item")
                .count()
        };
        assert_eq!(rows(&list(&worn)), 2);
        assert_eq!(rows(&list_assigned(&worn)), 3);
        assert_eq!(title(&worn, "urn:1"), Some("One"));
        assert_eq!(title(&worn, "urn:3"), None);
    }
}
