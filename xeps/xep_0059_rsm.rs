//! XEP-0059: Result Set Management (version 1.0)
//!
//! Supported: pages forwards and backwards from an item, the last page, the count where it is
//! cheap. Pages by index are refused.

use minidom::Element;
use waxwing_core::powers::{Extension, Place, Specification};
use waxwing_xmpp::StanzaError;
use waxwing_xmpp::builder::With;

/// The namespace.
pub const NS: &str = "http://jabber.org/protocol/rsm";

/// See the [module](self).
pub struct Paging;

impl Extension for Paging {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0059",
            title: "Result Set Management",
            version: "1.0",
            features: &[(Place::Account, NS)],
        }
    }
}

/// Where a page begins, and which way it goes from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The first items.
    #[default]
    First,
    /// The items that follow this one.
    After(String),
    /// The last items.
    Last,
    /// The items that precede this one.
    Before(String),
}

impl Start {
    /// Whether the page ends where this is: it is filled from its end.
    #[must_use]
    pub fn is_backwards(&self) -> bool {
        matches!(self, Start::Last | Start::Before(_))
    }
}

/// A wish for a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// How many items at most; `None`: as many as the server likes.
    pub max: Option<usize>,
    /// From where.
    pub start: Start,
}

impl Request {
    /// The wish in the `<set/>` among the children of `query`; without one, for the first page.
    ///
    /// # Errors
    /// `bad-request` if it is none, `feature-not-implemented` for an index (§2.6).
    pub fn of(query: &Element) -> Result<Request, StanzaError> {
        let mut sets = query.children().filter(|child| child.is("set", NS));
        let Some(set) = sets.next() else {
            return Ok(Request::default());
        };
        let malformed = |why| StanzaError::bad_request().with_text(why);
        if sets.next().is_some() {
            return Err(malformed("more than one page is asked for"));
        }
        if set.has_child("index", NS) {
            return Err(StanzaError::feature_not_implemented()
                .with_text("pages by index are not supported"));
        }
        let max = match text(set, "max")? {
            None => None,
            // Saturating: more than there can be is as good as all.
            Some(max) if !max.is_empty() && max.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(max.parse().unwrap_or(usize::MAX))
            }
            Some(_) => return Err(malformed("max is no number")),
        };
        let start = match (text(set, "after")?, text(set, "before")?) {
            (Some(_), Some(_)) => return Err(malformed("after and before exclude each other")),
            (None, None) => Start::First,
            (Some(after), None) if after.is_empty() => Start::First,
            (Some(after), None) => Start::After(after),
            (None, Some(before)) if before.is_empty() => Start::Last,
            (None, Some(before)) => Start::Before(before),
        };
        Ok(Request { max, start })
    }
}

/// The text of the one child of that name.
fn text(set: &Element, name: &str) -> Result<Option<String>, StanzaError> {
    let mut named = set.children().filter(|child| child.is(name, NS));
    let text = named.next().map(|child| child.text().trim().to_owned());
    match named.next() {
        None => Ok(text),
        Some(_) => Err(StanzaError::bad_request().with_text("a part of the page is said twice")),
    }
}

/// What is said of a page that is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The ids of its first and last item; `None`: it is empty.
    pub ends: Option<(String, String)>,
    /// The place of the first item in the whole set, where it is known.
    pub index: Option<usize>,
    /// The number of items in the whole set, where it is known.
    pub count: Option<u64>,
}

impl Answer {
    /// The `<set/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let child = |name: &str, text: &str| Element::builder(name, NS).append(text);
        let mut set = Element::builder("set", NS);
        if let Some((first, last)) = &self.ends {
            let mut first = child("first", first);
            if let Some(index) = self.index {
                first = first.with("index", index.to_string());
            }
            set = set
                .append(first.build())
                .append(child("last", last).build());
        }
        if let Some(count) = self.count {
            set = set.append(child("count", &count.to_string()).build());
        }
        set.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(children: &str) -> Result<Request, &'static str> {
        let xml = format!("<query xmlns='urn:x'><set xmlns='{NS}'>{children}</set></query>");
        let query: Element = xml.parse().expect("well-formed");
        Request::of(&query).map_err(|error| error.condition.name())
    }

    #[test]
    fn wishes_are_read() {
        let ok = |max, start| Ok(Request { max, start });
        for (children, expected) in [
            ("", ok(None, Start::First)),
            ("<max>10</max>", ok(Some(10), Start::First)),
            ("<max>0</max>", ok(Some(0), Start::First)),
            ("<max> 7 </max><before/>", ok(Some(7), Start::Last)),
            ("<after/>", ok(None, Start::First)),
            ("<after>a</after>", ok(None, Start::After("a".into()))),
            ("<before>b</before>", ok(None, Start::Before("b".into()))),
            (
                "<max>99999999999999999999999</max>",
                ok(Some(usize::MAX), Start::First),
            ),
            ("<max/>", Err("bad-request")),
            ("<max>-1</max>", Err("bad-request")),
            ("<max>ten</max>", Err("bad-request")),
            ("<max>1</max><max>2</max>", Err("bad-request")),
            ("<after>a</after><before>b</before>", Err("bad-request")),
            ("<index>3</index>", Err("feature-not-implemented")),
        ] {
            assert_eq!(request(children), expected, "{children}");
        }
    }

    #[test]
    fn answers_are_as_the_examples_show() {
        let set = |answer: Answer| String::from(&answer.to_element());
        let full = Answer {
            ends: Some(("a".into(), "b".into())),
            index: Some(0),
            count: Some(800),
        };
        assert_eq!(
            set(full),
            "<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first><last>b</last>\
             <count>800</count></set>"
        );
        assert_eq!(
            set(Answer::default()),
            "<set xmlns='http://jabber.org/protocol/rsm'/>"
        );
    }
}
