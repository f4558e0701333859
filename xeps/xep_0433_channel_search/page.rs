//! The rooms that were found, a page at a time.

use std::cmp::Reverse;

use minidom::Element;
use waxwing_xmpp::StanzaError;
use waxwing_xmpp::builder::With;

use super::{Key, MUC, NS, Search};
use crate::xep_0045_muc::store::Public;
use crate::xep_0059_rsm::{Answer, Request, Start};

/// Rooms of a page, unless fewer are asked for, and at most.
const USUAL: usize = 50;
const MOST: usize = 100;

const NOT_ANONYMOUS: &str = "{urn:xmpp:channel-search:0:anonymity}none";

/// A room that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is kept of it.
    pub room: Public,
    /// How many occupants it has.
    pub users: u64,
}

/// By what an item is sorted: occupants come first where that is asked for.
type Rank<'a> = (Reverse<u64>, &'a str);

impl Item {
    fn rank(&self, key: Key) -> Rank<'_> {
        let users = if key == Key::Users { self.users } else { 0 };
        (Reverse(users), &self.room.local)
    }

    /// The id by which a page begins behind or before it.
    fn id(&self, key: Key) -> String {
        let (Reverse(users), local) = self.rank(key);
        format!("{users}:{local}")
    }

    fn to_element(&self, domain: &str) -> Element {
        let Public {
            local,
            name,
            description,
            lang,
            is_open,
            is_semi_anonymous,
        } = &self.room;
        let users = self.users.to_string();
        let anonymity = if *is_semi_anonymous {
            "muc_semianonymous"
        } else {
            NOT_ANONYMOUS
        };
        let parts = [
            ("name", name.as_str()),
            ("description", description),
            ("language", lang),
            ("nusers", &users),
            ("service-type", MUC),
            ("is-open", if *is_open { "true" } else { "" }),
            ("anonymity-mode", anonymity),
        ];
        let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
        let parts = parts.map(|(name, text)| Element::builder(name, NS).append(text).build());
        Element::builder("item", NS)
            .with("address", format!("{local}@{domain}"))
            .append_all(parts)
            .build()
    }
}

/// The answer to a search: of the rooms of `domain` that match, those with enough occupants, in
/// their order, the page that is asked for.
///
/// # Errors
/// `item-not-found` if no item can have the id where the page is to begin.
pub fn page(
    search: &Search,
    mut items: Vec<Item>,
    request: &Request,
    domain: &str,
) -> Result<Element, StanzaError> {
    let key = search.key;
    items.retain(|item| item.users >= search.min_users);
    items.sort_unstable_by(|one, other| one.rank(key).cmp(&other.rank(key)));
    let max = request.max.unwrap_or(USUAL).min(MOST);
    let range = match &request.start {
        Start::First => 0..max,
        Start::Last => items.len().saturating_sub(max)..items.len(),
        Start::After(id) => {
            let rank = rank_of(id)?;
            let begin = items.partition_point(|item| item.rank(key) <= rank);
            begin..begin + max
        }
        Start::Before(id) => {
            let rank = rank_of(id)?;
            let end = items.partition_point(|item| item.rank(key) < rank);
            end.saturating_sub(max)..end
        }
    };
    let range = range.start..range.end.min(items.len());
    let found = &items[range.clone()];
    let answer = Answer {
        ends: found
            .first()
            .zip(found.last())
            .map(|(first, last)| (first.id(key), last.id(key))),
        index: (!found.is_empty()).then_some(range.start),
        count: Some(items.len() as u64),
    };
    Ok(Element::builder("result", NS)
        .append_all(found.iter().map(|item| item.to_element(domain)))
        .append(answer.to_element())
        .build())
}

fn rank_of(id: &str) -> Result<Rank<'_>, StanzaError> {
    let parts = id.split_once(':');
    let rank = parts.and_then(|(users, local)| Some((Reverse(users.parse().ok()?), local)));
    rank.ok_or_else(StanzaError::item_not_found)
}
