//! What the service and its rooms show of themselves (§6), and the search for rooms (XEP-0433).

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::powers::{Answered, Place, Query};
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Element, Jid, StanzaError};

use super::MultiUserChat;
use crate::xep_0030_disco::{INFO, ITEMS};
use crate::xep_0045_muc::live::Live;
use crate::xep_0045_muc::store::{self, Public};
use crate::xep_0045_muc::{hat_commands, info};
use crate::xep_0059_rsm as rsm;
use crate::{
    xep_0050_commands as commands, xep_0433_channel_search as search,
    xep_0486_muc_avatars as avatars,
};

/// The node that tells the nickname which is reserved for who asks (§7.12).
const RESERVED_NICK: &str = "x-roomuser-item";
/// The node that tells what a room lets pass, if that is not everything (§18.1.1).
const TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic";
/// Rooms of a page, unless fewer are asked for, and at most.
const PAGE: usize = 100;

impl MultiUserChat {
    pub(super) async fn show(
        &self,
        exchange: &Arc<Exchange>,
        query: &Query,
        features: Vec<&'static str>,
    ) -> Result<Element, StanzaError> {
        let is_items = query.payload.ns() == ITEMS;
        let node = query.payload.attr("node");
        if query.place == Place::Groups {
            return match (is_items, node) {
                (true, None) => self.list(exchange, query).await,
                (false, None) => Ok(service(&features)),
                (_, Some(_)) => Err(StanzaError::item_not_found()),
            };
        }
        let live = self.found(exchange, &query.to).await?;
        match (is_items, node) {
            (false, None) => Ok(details(&live, query, &features)),
            (false, Some(RESERVED_NICK)) => Ok(reserved(&live, query)),
            // A list of what passes is for rooms that let not everything pass.
            (false, Some(TRAFFIC)) => Err(StanzaError::service_unavailable()),
            (true, None) => Ok(occupants(&live, query)),
            (true, Some(commands::NS)) => Ok(commands::items(&query.to, &hat_commands::COMMANDS)),
            (false, Some(node)) => command(node).ok_or_else(StanzaError::item_not_found),
            (true, Some(_)) => Err(StanzaError::item_not_found()),
        }
    }

    /// §6.3: the rooms that can be found, by pages.
    async fn list(&self, exchange: &Exchange, query: &Query) -> Result<Element, StanzaError> {
        let request = rsm::Request::of(&query.payload)?;
        let max = request.max.unwrap_or(PAGE).min(PAGE);
        let database = &exchange.database;
        let page = store::public_rooms(database, &request.start, max).await?;
        let items = page.rooms.iter().map(|room| item(room, &query.to));
        let ends = page.rooms.first().zip(page.rooms.last());
        let set = rsm::Answer {
            ends: ends.map(|(first, last)| (first.local.clone(), last.local.clone())),
            index: None,
            count: store::count(database).await?,
        };
        let is_paged = request.max.is_some() || !page.is_last;
        Ok(Element::builder("query", ITEMS)
            .append_all(items)
            .append_all(is_paged.then(|| set.to_element()))
            .build())
    }

    /// XEP-0433 §4.
    pub(super) async fn search(&self, exchange: &Exchange, query: &Query) -> Answered {
        let (wish, request) = match search::parse(&query.payload)? {
            search::Wish::Form => return Ok(Some(search::form())),
            search::Wish::Search(wish, request) => (wish, request),
        };
        let is_wanted = |room: &Public| wish.matches(&room.local, &room.name, &room.description);
        let found = store::search(&exchange.database, is_wanted).await?;
        let users = |room: &Public| {
            let live = self.get(&format!("{}@{}", room.local, query.to.domain()));
            live.map_or(0, |live| live.lock().room.occupant_count() as u64)
        };
        let items = found.rooms.into_iter().map(|room| search::Item {
            users: users(&room),
            room,
        });
        search::page(&wish, items.collect(), &request, query.to.domain()).map(Some)
    }
}

fn item(room: &Public, service: &Jid) -> Element {
    let mut item =
        Element::builder("item", ITEMS).with("jid", format!("{}@{}", room.local, service.domain()));
    if !room.name.is_empty() {
        item = item.with("name", &room.name);
    }
    item.build()
}

/// §6.2.
fn service(features: &[&str]) -> Element {
    let identity = Element::builder("identity", INFO)
        .with("category", "conference")
        .with("type", "text")
        .with("name", "Groups");
    let features = features.iter().map(|feature| {
        Element::builder("feature", INFO)
            .with("var", feature)
            .build()
    });
    Element::builder("query", INFO)
        .append(identity.build())
        .append_all(features)
        .build()
}

/// §6.4. What concerns those inside is shown to them, and to everybody where anybody may enter.
fn details(live: &Live, query: &Query, features: &[&'static str]) -> Element {
    let inner = live.lock();
    let room = &inner.room;
    let config = room.config();
    let is_open = !config.is_members_only && config.password.is_empty();
    let is_known = is_open || room.affiliation(&query.from).is_member();
    let hashes = avatars::hashes(room.avatar());
    let contacts: Vec<Jid> = Vec::new();
    let features: Vec<&str> = features
        .iter()
        .copied()
        .filter(|feature| !info::DEPENDS.contains(feature))
        .collect();
    info::Shown {
        config,
        occupants: is_known.then(|| room.occupant_count()),
        subject: is_known.then_some(&*room.subject().text),
        avatar_hashes: &hashes,
        contacts: &contacts,
        features: &features,
    }
    .to_element()
}

/// §7.12.
fn reserved(live: &Live, query: &Query) -> Element {
    let inner = live.lock();
    let identity = inner.room.reserved_nick(&query.from).map(|nick| {
        Element::builder("identity", INFO)
            .with("category", "conference")
            .with("name", nick)
            .with("type", "text")
            .build()
    });
    Element::builder("query", INFO)
        .with("node", RESERVED_NICK)
        .append_all(identity)
        .build()
}

/// §6.5: occupants are shown to occupants.
fn occupants(live: &Live, query: &Query) -> Element {
    let inner = live.lock();
    let room = &inner.room;
    let is_inside = room.is_inside(&query.from);
    let occupants = room.occupants().filter(|_| is_inside);
    let items = occupants.map(|(nick, _)| {
        Element::builder("item", ITEMS)
            .with("jid", format!("{}/{nick}", live.jid()))
            .build()
    });
    Element::builder("query", ITEMS).append_all(items).build()
}

fn command(node: &str) -> Option<Element> {
    let mut known = hat_commands::COMMANDS.iter();
    known
        .find(|command| command.node == node)
        .map(commands::info)
}
