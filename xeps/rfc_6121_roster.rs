//! RFC 6121: Roster requests, versioning and pre-approval as stream features
//!
//! Supported: roster get, set, remove, pushes, versions, the pre-approval feature. A client with
//! an older version is sent the whole roster, not the difference.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::Exchange;
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Extension, Place, Query, Specification, Stream, StreamFacts,
    Verb,
};
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Jid, StanzaError, ns};

/// Bytes of a contact's name or of a group's; RFC 6121 §2.3.3 lets the server set a limit.
const MAX_NAME: usize = 1023;
/// Groups of one contact.
const MAX_GROUPS: usize = 64;

/// See the [module](self).
pub struct Roster;

impl Extension for Roster {
    fn specification(&self) -> Specification {
        Specification {
            number: "RFC 6121",
            title: "Roster",
            version: "",
            features: &[],
        }
    }
}

impl Stream for Roster {
    fn feature(&self, _: &Exchange, facts: StreamFacts) -> Option<String> {
        facts.authenticated.then(|| {
            format!(
                "<ver xmlns='{}'/><sub xmlns='{}'/>",
                ns::ROSTER_VERSIONING,
                ns::PRE_APPROVAL
            )
        })
    }
}

impl Answer for Roster {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Get, Place::Account, ns::ROSTER, "query"),
            (Verb::Set, Place::Account, ns::ROSTER, "query"),
        ]
    }

    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        Box::pin(async move {
            if !query.is_own() {
                // RFC 6121 §2.1.3 and §2.3.3: nobody reads or changes another's roster.
                return Err(match query.verb {
                    Verb::Get => StanzaError::service_unavailable(),
                    Verb::Set => StanzaError::forbidden(),
                });
            }
            match query.verb {
                Verb::Get => Ok(get(&query)),
                Verb::Set => set(exchange, &query).await,
            }
        })
    }
}

/// RFC 6121 §2.2 and §2.6.
fn get(query: &Query) -> Option<Element> {
    let mut state = query.account.lock();
    if let Some(bound) = state.bound(query.session.reference) {
        bound.interested = true;
    }
    let version = state.roster.version.to_string();
    if query.payload.attr("ver") == Some(version.as_str()) {
        return None;
    }
    let items = state
        .roster
        .listed()
        .map(|(jid, item)| item.to_element(jid));
    Some(
        Element::builder("query", ns::ROSTER)
            .with("ver", version)
            .append_all(items)
            .build(),
    )
}

/// RFC 6121 §2.1.5: exactly one item, with its errors (§2.3.3, §2.5.3).
async fn set(exchange: &Arc<Exchange>, query: &Query) -> Answered {
    let mut children = query.payload.children();
    let (Some(item), None) = (children.next(), children.next()) else {
        return Err(StanzaError::bad_request());
    };
    if !item.is("item", ns::ROSTER) {
        return Err(StanzaError::bad_request());
    }
    let contact = item.attr("jid").ok_or_else(StanzaError::bad_request)?;
    let contact = Jid::parse_tolerant(contact)
        .map_err(|_| StanzaError::jid_malformed())?
        .to_bare();
    if item.attr("subscription") == Some("remove") {
        exchange.remove_item(&query.account, &contact).await?;
        return Ok(None);
    }
    if contact == query.account.jid {
        return Err(StanzaError::not_allowed());
    }
    let name = item.attr("name").unwrap_or_default();
    if name.len() > MAX_NAME {
        return Err(StanzaError::not_acceptable());
    }
    let groups = groups(item)?;
    exchange
        .set_item(&query.account, &contact, name.to_owned(), groups)
        .await?;
    Ok(None)
}

fn groups(item: &Element) -> Result<Vec<String>, StanzaError> {
    let mut groups = Vec::new();
    for group in item
        .children()
        .filter(|child| child.is("group", ns::ROSTER))
    {
        let group = group.text();
        if groups.contains(&group) {
            return Err(StanzaError::bad_request());
        }
        if group.is_empty() || group.len() > MAX_NAME || groups.len() >= MAX_GROUPS {
            return Err(StanzaError::not_acceptable());
        }
        groups.push(group);
    }
    Ok(groups)
}
