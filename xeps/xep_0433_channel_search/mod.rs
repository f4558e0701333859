//! XEP-0433: Extended Channel Search (version 0.1.0)
//!
//! Supported: search for the public rooms of the server, by words in name, description and address
//! or for all of them, sorted by address or by occupants. The first 16 384 rooms by address are
//! looked at.

mod page;
#[cfg(test)]
mod tests;

use minidom::Element;
use waxwing_xmpp::StanzaError;
use waxwing_xmpp::error::ErrorType;

use crate::xep_0004_data_forms::{self as data_forms, Field, FieldKind, Form, FormKind};
use crate::xep_0059_rsm as rsm;

pub use page::{Item, page};

/// The namespace of searches, and the feature.
pub const NS: &str = "urn:xmpp:channel-search:0:search";
/// What the form is about.
const PARAMS: &str = "urn:xmpp:channel-search:0:search-params";
const ERROR: &str = "urn:xmpp:channel-search:0:error";
const BY_USERS: &str = "{urn:xmpp:channel-search:0:order}nusers";
const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";
/// The kind of room that there is.
const MUC: &str = "xep-0045";

/// Words of one search, and characters of one word.
const MAX_WORDS: usize = 8;
const MAX_LENGTH: usize = 64;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The form is to be sent: see [`form`].
    Form,
    /// Rooms are to be found.
    Search(Search, rsm::Request),
}

/// By what the rooms are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The most occupants first.
    Users,
    /// The address.
    Address,
}

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Each of these words, in lower case, has to be somewhere; none: every room is wanted.
    words: Vec<String>,
    in_name: bool,
    in_description: bool,
    in_address: bool,
    /// Occupants at least.
    min_users: u64,
    /// Whether rooms of this server's kind are wanted at all.
    is_of_kind: bool,
    /// By what the rooms are sorted.
    pub key: Key,
}

impl Search {
    /// Whether a room is wanted, however many occupants it has.
    #[must_use]
    pub fn matches(&self, local: &str, name: &str, description: &str) -> bool {
        let places = [
            (self.in_address, local),
            (self.in_name, name),
            (self.in_description, description),
        ];
        let places: Vec<String> = places
            .into_iter()
            .filter(|(is_searched, _)| *is_searched)
            .map(|(_, text)| text.to_lowercase())
            .collect();
        let has = |word: &String| places.iter().any(|place| place.contains(&**word));
        self.is_of_kind && self.words.iter().all(has)
    }
}

/// Reads a `<search/>`.
///
/// # Errors
/// Those of §4.2.3 with their application-specific conditions, and `bad-request` for a form or a
/// page that is none.
pub fn parse(search: &Element) -> Result<Wish, StanzaError> {
    let Some(x) = search.get_child("x", data_forms::NS) else {
        return Ok(Wish::Form);
    };
    let form = Form::parse(x)?;
    if form.kind != FormKind::Submit || form.form_type.as_deref() != Some(PARAMS) {
        return Err(StanzaError::bad_request().with_text("the form is not submitted"));
    }
    let request = rsm::Request::of(search)?;
    let flag = |var, usual| form.bool(var).map(|is_set| is_set.unwrap_or(usual));
    let words = form.value("q").filter(|words| !words.is_empty());
    let words = match (words, flag("all", false)?) {
        (Some(_), true) => return Err(conflict()),
        (None, false) => {
            let error = failed(StanzaError::bad_request(), "no-search-conditions");
            return Err(error.with_type(ErrorType::Cancel));
        }
        (None, true) => Vec::new(),
        (Some(words), false) => self::words(words)?,
    };
    let types = form.get("types").map(|types| &types.values);
    let address = form.get("sinaddress").map_or("sinaddr", |_| "sinaddress");
    let search = Search {
        words,
        in_name: flag("sinname", true)?,
        in_description: flag("sindescription", true)?,
        in_address: flag(address, true)?,
        min_users: min_users(&form)?,
        is_of_kind: types.is_none_or(|types| types.iter().any(|kind| kind == MUC)),
        key: match form.value("key") {
            None | Some(BY_USERS) => Key::Users,
            Some(BY_ADDRESS) => Key::Address,
            Some(_) => {
                let error = failed(StanzaError::feature_not_implemented(), "invalid-sort-key");
                return Err(error.with_type(ErrorType::Modify));
            }
        },
    };
    Ok(Wish::Search(search, request))
}

fn min_users(form: &Form) -> Result<u64, StanzaError> {
    let users = form.value("min_users").map(str::trim);
    let users = users.filter(|users| !users.is_empty()).unwrap_or("0");
    let wrong = |_| StanzaError::bad_request().with_text("min_users is no number");
    users.parse().map_err(wrong)
}

fn words(text: &str) -> Result<Vec<String>, StanzaError> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let is_long = |word: &String| word.chars().count() > MAX_LENGTH;
    if words.is_empty() || words.len() > MAX_WORDS || words.iter().any(is_long) {
        let error = failed(StanzaError::bad_request(), "invalid-search-terms");
        return Err(error.with_text("Search for one to eight words of at most 64 characters."));
    }
    Ok(words)
}

fn failed(error: StanzaError, condition: &str) -> StanzaError {
    error.with_application(Element::bare(condition, ERROR))
}

fn conflict() -> StanzaError {
    let fields = ["all", "q"].map(|var| Element::builder("var", ERROR).append(var).build());
    let condition = Element::builder("conflicting-fields", ERROR).append_all(fields);
    StanzaError::bad_request()
        .with_application(condition.build())
        .with_text("All rooms cannot be searched for words.")
}

/// The answer to [`Wish::Form`].
#[must_use]
pub fn form() -> Element {
    let switch = |var: &str, label: &str, value: &str| {
        let field = Field::new(var, FieldKind::Boolean).label(label);
        field.value(value)
    };
    let form = Form::new(FormKind::Form, PARAMS)
        .field(Field::new("q", FieldKind::TextSingle).label("Words"))
        .field(switch("all", "All rooms", "false"))
        .field(switch("sinname", "Search in names", "true"))
        .field(switch("sindescription", "Search in descriptions", "true"))
        .field(switch("sinaddress", "Search in addresses", "true"))
        .field(
            Field::new("min_users", FieldKind::TextSingle)
                .label("Occupants at least")
                .value("0"),
        )
        .field(
            Field::new("types", FieldKind::ListMulti)
                .label("Kinds of rooms")
                .value(MUC)
                .option(MUC, "Multi-User Chat"),
        )
        .field(
            Field::new("key", FieldKind::ListSingle)
                .label("Sorted by")
                .value(BY_USERS)
                .option(BY_USERS, "Occupants")
                .option(BY_ADDRESS, "Address"),
        );
    Element::builder("search", NS)
        .append(form.to_element())
        .build()
}
