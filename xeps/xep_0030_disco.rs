//! XEP-0030: Service Discovery (version 2.5.0)
//!
//! Supported: information and items of the server and of accounts. Features follow from what the
//! extensions declare; nobody keeps a list. An account is shown to its owner and to those who see
//! its presence.

use std::sync::Arc;

use minidom::Element;
use minidom::element::ElementBuilder;
use waxwing_core::Exchange;
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Extension, Place, Query, Specification, Verb,
};
use waxwing_xmpp::StanzaError;
use waxwing_xmpp::builder::With;

use crate::xep_0115_caps;

/// The namespace of information.
pub const INFO: &str = "http://jabber.org/protocol/disco#info";
/// The namespace of items.
pub const ITEMS: &str = "http://jabber.org/protocol/disco#items";

/// See the [module](self).
pub struct Disco;

impl Extension for Disco {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0030",
            title: "Service Discovery",
            version: "2.5.0",
            features: &[],
        }
    }
}

impl Answer for Disco {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Get, Place::Server, INFO, "query"),
            (Verb::Get, Place::Account, INFO, "query"),
            (Verb::Get, Place::Server, ITEMS, "query"),
            (Verb::Get, Place::Account, ITEMS, "query"),
            (Verb::Get, Place::Groups, INFO, "query"),
            (Verb::Get, Place::Groups, ITEMS, "query"),
            (Verb::Get, Place::Room, INFO, "query"),
            (Verb::Get, Place::Room, ITEMS, "query"),
        ]
    }

    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        Box::pin(async move {
            if query.place == Place::Account && !may_see(&query) {
                // XEP-0030 §8: as if the account did not exist.
                return Err(StanzaError::service_unavailable());
            }
            if let Some(service) = exchange.services.find(&query.to) {
                let features = exchange.powers.features(query.place);
                return service.discover(exchange, &query, features).await.map(Some);
            }
            let node = query.payload.attr("node");
            if query.payload.ns() == ITEMS {
                return items(exchange, &query, node);
            }
            let known = node.is_none_or(|node| {
                query.place == Place::Server && node == xep_0115_caps::node(exchange)
            });
            if !known {
                return Err(StanzaError::item_not_found());
            }
            let mut answer = builder(exchange, query.place);
            if let Some(node) = node {
                answer = answer.with("node", node);
            }
            Ok(Some(answer.build()))
        })
    }
}

fn may_see(query: &Query) -> bool {
    let subscription = query
        .account
        .lock()
        .roster
        .state(query.from.bare())
        .subscription;
    query.is_own() || subscription.includes_from()
}

/// XEP-0030 §4: an account's items are its available resources.
fn items(exchange: &Exchange, query: &Query, node: Option<&str>) -> Answered {
    if node.is_some() {
        return Err(StanzaError::item_not_found());
    }
    let answer = Element::builder("query", ITEMS);
    if query.place == Place::Server {
        let services = exchange.services.iter().map(|(domain, _)| {
            Element::builder("item", ITEMS)
                .with("jid", domain.as_str())
                .build()
        });
        return Ok(Some(answer.append_all(services).build()));
    }
    let state = query.account.lock();
    let items = state.available().map(|(bound, _)| {
        Element::builder("item", ITEMS)
            .with("jid", bound.session.jid.as_str())
            .build()
    });
    Ok(Some(answer.append_all(items).build()))
}

/// What the server says of a place.
#[must_use]
pub fn info(exchange: &Exchange, place: Place) -> Element {
    builder(exchange, place).build()
}

fn builder(exchange: &Exchange, place: Place) -> ElementBuilder {
    let (category, kind) = identity(place);
    let identity = Element::builder("identity", INFO)
        .with("category", category)
        .with("type", kind)
        .with("name", "Waxwing")
        .build();
    let features = exchange.powers.features(place).into_iter().map(|feature| {
        Element::builder("feature", INFO)
            .with("var", feature)
            .build()
    });
    let forms = exchange
        .powers
        .describe
        .iter()
        .filter_map(|extension| extension.form(exchange, place));
    Element::builder("query", INFO)
        .append(identity)
        .append_all(features)
        .append_all(forms)
}

/// Category and type of the identity of a place.
fn identity(place: Place) -> (&'static str, &'static str) {
    match place {
        Place::Server => ("server", "im"),
        Place::Account => ("account", "registered"),
        Place::Groups | Place::Room => ("conference", "text"),
    }
}
