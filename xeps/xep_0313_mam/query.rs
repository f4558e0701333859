//! What a client wishes to see of its archive, read from its request.

use minidom::Element;
use waxwing_core::mailbox_store::{Filter, id_at, peer_hash};
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Jid, StanzaError};

use super::{LARGEST_PAGE, NS, USUAL_PAGE};
use crate::xep_0004_data_forms::{Form, FormKind, NS as DATA};
use crate::xep_0059_rsm as rsm;
use crate::xep_0082_date_time as date_time;
use crate::xep_0359_stanza_ids::parse_archive_id;

/// Bytes of a `queryid`, which is repeated in every result.
const MAX_QUERYID: usize = 1023;

/// The fields of §4.1 and the type that the form gives them.
const FIELDS: [(&str, &str); 7] = [
    ("with", "jid-single"),
    ("start", "text-single"),
    ("end", "text-single"),
    ("before-id", "text-single"),
    ("after-id", "text-single"),
    ("ids", "list-multi"),
    ("include-groupchat", "boolean"),
];

/// A query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// What each result is to repeat.
    pub(super) queryid: Option<String>,
    /// Whom the messages are from or to.
    pub(super) with: Option<Jid>,
    /// Rows above this one.
    after: i64,
    /// Rows below this one, if any is named.
    before: Option<i64>,
    /// These rows alone, unless it is empty.
    pub(super) ids: Vec<i64>,
    /// Rows that the query names as places: they must be there.
    places: Vec<i64>,
    /// The page of all that.
    pub(super) page: rsm::Request,
    /// Whether the newest result is sent first.
    pub(super) is_flipped: bool,
}

impl Wish {
    /// The wish in a `<query/>`.
    ///
    /// # Errors
    /// `feature-not-implemented` for what is not supported, `item-not-found` for an id that no
    /// message can have, `jid-malformed`, `policy-violation` for too many ids, `bad-request` for
    /// anything else that is wrong.
    pub(super) fn of(query: &Element) -> Result<Wish, StanzaError> {
        if query.attr("node").is_some() {
            // §6.1.3: only for nodes of a service.
            return Err(StanzaError::feature_not_implemented().with_text("an account has no nodes"));
        }
        let queryid = query.attr("queryid").map(str::to_owned);
        if queryid.as_ref().is_some_and(|id| id.len() > MAX_QUERYID) {
            return Err(malformed("the queryid is too long"));
        }
        let mut wish = Wish {
            queryid,
            page: rsm::Request::of(query)?,
            is_flipped: query.has_child("flip-page", NS),
            ..Wish::default()
        };
        let mut forms = query.children().filter(|child| child.is("x", DATA));
        if let Some(form) = forms.next() {
            wish.read_form(form)?;
        }
        if forms.next().is_some() {
            return Err(malformed("there is more than one form"));
        }
        // Places that the page names are looked for like those that the form names.
        if let rsm::Start::After(id) | rsm::Start::Before(id) = &wish.page.start {
            wish.places.push(row(id)?);
        }
        Ok(wish)
    }

    fn read_form(&mut self, form: &Element) -> Result<(), StanzaError> {
        let form = Form::parse(form)?;
        if form.kind != FormKind::Submit {
            return Err(malformed("the form is not submitted"));
        }
        match form.form_type.as_deref().map(str::trim) {
            Some(NS) => {}
            Some(_) => return Err(malformed("the FORM_TYPE is of another form")),
            None => return Err(malformed("the form has no FORM_TYPE")),
        }
        for field in form.fields {
            let values = field.values.iter();
            let values = values
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty());
            self.read_field(&field.var, values.collect())?;
        }
        Ok(())
    }

    /// A field without a value says nothing.
    fn read_field(&mut self, name: &str, mut values: Vec<String>) -> Result<(), StanzaError> {
        if name == "ids" {
            return self.read_ids(&values);
        }
        if values.len() > 1 {
            return Err(malformed("a field has more than one value"));
        }
        if FIELDS.iter().all(|(known, _)| *known != name) {
            // §4.1.5.
            let text = "the form has a field that is not supported";
            return Err(StanzaError::feature_not_implemented().with_text(text));
        }
        let Some(value) = values.pop() else {
            return Ok(());
        };
        let no_time = || malformed("start or end is no time");
        match name {
            "with" => {
                let with = Jid::parse_tolerant(&value).map_err(|_| StanzaError::jid_malformed())?;
                self.with = Some(with);
            }
            "start" => {
                let start = date_time::parse_up(&value).ok_or_else(no_time)?;
                self.begin_after(id_at(start) - 1);
            }
            "end" => {
                let end = date_time::parse(&value).ok_or_else(no_time)?;
                self.end_before(id_at(end + 1));
            }
            "after-id" => {
                self.places.push(row(&value)?);
                self.begin_after(row(&value)?);
            }
            "before-id" => {
                self.places.push(row(&value)?);
                self.end_before(row(&value)?);
            }
            // There are none to leave out.
            "include-groupchat" if !matches!(&*value, "0" | "1" | "true" | "false") => {
                return Err(malformed("include-groupchat is no boolean"));
            }
            _ => {}
        }
        Ok(())
    }

    fn read_ids(&mut self, values: &[String]) -> Result<(), StanzaError> {
        if values.len() > LARGEST_PAGE {
            let text = "more messages are asked for than fit on a page";
            return Err(StanzaError::policy_violation().with_text(text));
        }
        self.ids = values.iter().map(|id| row(id)).collect::<Result<_, _>>()?;
        self.ids.sort_unstable();
        self.ids.dedup();
        Ok(())
    }

    /// Only rows above this one.
    pub(super) fn begin_after(&mut self, id: i64) {
        self.after = self.after.max(id);
    }

    fn end_before(&mut self, id: i64) {
        self.before = Some(self.before.map_or(id, |before| before.min(id)));
    }

    /// Every row that the query names.
    pub(super) fn named(&self) -> Vec<i64> {
        let mut named = [&self.places[..], &self.ids].concat();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// What the archive is searched for, wherever the page begins.
    fn filter(&self) -> Filter {
        Filter {
            with: self.with.as_ref().map(|with| peer_hash(with.bare())),
            after: self.after,
            before: self.before.unwrap_or(i64::MAX),
        }
    }

    /// The same from where the page begins.
    pub(super) fn page_filter(&self) -> Filter {
        let mut filter = self.filter();
        match &self.page.start {
            rsm::Start::After(id) => filter.after = filter.after.max(row(id).unwrap_or(i64::MAX)),
            rsm::Start::Before(id) => filter.before = filter.before.min(row(id).unwrap_or(0)),
            rsm::Start::First | rsm::Start::Last => {}
        }
        filter
    }

    /// What to count; `None`: what is wished for can only be found by looking at every message.
    pub(super) fn counted(&self) -> Option<Filter> {
        let is_indexed = self.ids.is_empty() && self.with.as_ref().is_none_or(Jid::is_bare);
        is_indexed.then(|| self.filter())
    }

    /// How many messages the page may hold.
    pub(super) fn size(&self) -> usize {
        self.page.max.unwrap_or(USUAL_PAGE).min(LARGEST_PAGE)
    }
}

fn malformed(why: &'static str) -> StanzaError {
    StanzaError::bad_request().with_text(why)
}

fn row(id: &str) -> Result<i64, StanzaError> {
    parse_archive_id(id).ok_or_else(StanzaError::item_not_found)
}

/// §4.1.5.
pub(super) fn form() -> Element {
    let field = |name: &str, kind: &str| {
        Element::builder("field", DATA)
            .with("var", name)
            .with("type", kind)
    };
    let kind =
        field("FORM_TYPE", "hidden").append(Element::builder("value", DATA).append(NS).build());
    let mut form = Element::builder("x", DATA)
        .with("type", "form")
        .append(kind.build());
    for (name, kind) in FIELDS {
        let mut field = field(name, kind);
        if name == "ids" {
            const VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";
            let open = Element::builder("validate", VALIDATE)
                .with("datatype", "xs:string")
                .append(Element::bare("open", VALIDATE));
            field = field.append(open.build());
        }
        form = form.append(field.build());
    }
    Element::builder("query", NS).append(form.build()).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>";

    fn wish(attributes: &str, children: &str) -> Result<Wish, String> {
        let xml = format!("<query xmlns='{NS}' {attributes}>{children}</query>");
        let query: Element = xml.parse().expect("well-formed");
        Wish::of(&query).map_err(|error| error.condition.name().to_owned())
    }

    fn submitted(fields: &str) -> Result<Wish, String> {
        wish(
            "",
            &format!("<x xmlns='{DATA}' type='submit'>{TYPE}{fields}</x>"),
        )
    }

    fn field(name: &str, values: &[&str]) -> String {
        let values: String = values
            .iter()
            .map(|value| format!("<value>{value}</value>"))
            .collect();
        format!("<field var='{name}'>{values}</field>")
    }

    #[test]
    fn every_field_is_read() {
        let (one, two, three) = ("0000000000000001", "0000000000000002", "0000000000000003");
        let fields = [
            field("with", &["Juliet@Capulet.lit"]),
            field("start", &["1970-01-01T00:00:01Z"]),
            field("end", &["1970-01-01T00:00:02.5Z"]),
            field("after-id", &[one]),
            field("before-id", &[two]),
            field("ids", &[three, one, three]),
            field("include-groupchat", &["false"]),
        ];
        let wish = submitted(&fields.concat()).expect("a wish");
        assert_eq!(
            wish.with.as_ref().map(Jid::as_str),
            Some("juliet@capulet.lit")
        );
        assert_eq!(wish.ids, [1, 3]);
        assert_eq!(wish.named(), [1, 2, 3]);
        let filter = wish.filter();
        assert_eq!(filter.after, id_at(1000) - 1, "the later of both");
        assert_eq!(filter.before, 2, "the earlier of both");
        assert_eq!(filter.with, Some(peer_hash("juliet@capulet.lit")));
        let until = submitted(&fields[2]).expect("a wish").filter();
        assert_eq!((until.after, until.before), (0, id_at(2501)));
    }

    #[test]
    fn what_says_nothing_filters_nothing() {
        for fields in [
            String::new(),
            field("with", &[]) + &field("start", &[""]) + &field("ids", &[]),
        ] {
            assert_eq!(submitted(&fields), Ok(Wish::default()));
        }
        assert_eq!(wish("", ""), Ok(Wish::default()));
    }

    #[test]
    fn a_page_narrows_what_the_form_allows() {
        let page = "<set xmlns='http://jabber.org/protocol/rsm'><max>999</max><after>0000000000000005</after></set><flip-page/>";
        let found = wish("queryid='q'", page).expect("a wish");
        assert_eq!(found.queryid.as_deref(), Some("q"));
        assert!(found.is_flipped);
        assert_eq!(found.size(), LARGEST_PAGE);
        assert_eq!(found.named(), [5]);
        assert_eq!((found.filter().after, found.page_filter().after), (0, 5));
        assert_eq!(Wish::default().size(), USUAL_PAGE);
    }

    #[test]
    fn mistakes_are_told_apart() {
        let many = ["0000000000000001"; LARGEST_PAGE + 1];
        for (fields, expected) in [
            (field("with", &["@x"]), "jid-malformed"),
            (field("with", &["a@x", "b@x"]), "bad-request"),
            (field("with", &["a@x"]).repeat(2), "bad-request"),
            (field("start", &["yesterday"]), "bad-request"),
            (field("end", &["2010-13-01T00:00:00Z"]), "bad-request"),
            (field("after-id", &["28482-98726-73623"]), "item-not-found"),
            (field("before-id", &["x"]), "item-not-found"),
            (field("ids", &["x"]), "item-not-found"),
            (field("ids", &many), "policy-violation"),
            (field("include-groupchat", &["maybe"]), "bad-request"),
            (field("FORM_TYPE", &["other"]), "bad-request"),
            (field("{urn:x}text", &["a"]), "feature-not-implemented"),
            ("<field/>".into(), "bad-request"),
        ] {
            assert_eq!(submitted(&fields), Err(expected.to_owned()), "{fields}");
        }
        let long = format!("queryid='{}'", "q".repeat(MAX_QUERYID + 1));
        let rsm = |set: &str| format!("<set xmlns='http://jabber.org/protocol/rsm'>{set}</set>");
        let form = |head: &str, fields: &str| format!("<x xmlns='{DATA}' {head}>{fields}</x>");
        for (attributes, children, expected) in [
            ("node='n'", String::new(), "feature-not-implemented"),
            (&long, String::new(), "bad-request"),
            ("", rsm("<index>1</index>"), "feature-not-implemented"),
            ("", rsm("<max>many</max>"), "bad-request"),
            ("", rsm("<before>x</before>"), "item-not-found"),
            ("", form("type='submit'", ""), "bad-request"),
            ("", form("", TYPE), "bad-request"),
            (
                "",
                form(
                    "type='submit'",
                    "<field var='FORM_TYPE'><value>x</value></field>",
                ),
                "bad-request",
            ),
            ("", form("type='submit'", TYPE).repeat(2), "bad-request"),
        ] {
            assert_eq!(
                wish(attributes, &children),
                Err(expected.to_owned()),
                "{children}"
            );
        }
    }

    #[test]
    fn the_form_lists_the_fields() {
        let form = form();
        let form = form.get_child("x", DATA).expect("a form");
        let names: Vec<_> = form
            .children()
            .filter_map(|field| field.attr("var"))
            .collect();
        let known: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names[0], "FORM_TYPE");
        assert_eq!(names[1..], known);
    }
}
