//! XEP-0313: Message Archive Management (version 1.1.3)
//!
//! Supported: queries of one's own archive, and of that of a room, with every field of §4.1, pages
//! both ways and flipped, the form, metadata. Pages hold at most 250 messages and what fits into the
//! queue of the session. Groupchat messages are in the archive of their room alone, and what an
//! account wrote to an anonymous user in none. Ids are not unpredictable, as §3 wants them: they hold
//! the time of acceptance.

mod query;
mod walk;

use std::collections::VecDeque;
use std::sync::Arc;

use minidom::Element;
use waxwing_core::clock::Timestamp;
use waxwing_core::db::DbError;
use waxwing_core::mailbox_store::{Piece, StoredRow, id_at};
use waxwing_core::outbox::{Outbox, Push};
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Extension, Inline, Keep, Kept, Place, Query, Specification,
    Verb,
};
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::builder::With;
use waxwing_xmpp::dom::{escape_attr, serialize};
use waxwing_xmpp::stanza::{Children, Forward};
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use crate::xep_0359_stanza_ids::archive_id;
use crate::{xep_0045_muc as muc, xep_0059_rsm as rsm};

use query::Wish;
use walk::{PIECE_BYTES, Page, Walk};

/// The namespace.
pub const NS: &str = "urn:xmpp:mam:2";

/// Messages on a page where the client says nothing.
const USUAL_PAGE: usize = 50;
/// Messages on a page, and ids that can be asked for at once.
const LARGEST_PAGE: usize = 250;
/// Counting a whole result stops here, and then nothing is said of it.
const COUNTED: u64 = 100_000;
/// The same beside a page: it is to cost no more than the page.
const COUNTED_WITH_A_PAGE: u64 = 1000;

/// See the [module](self).
pub struct MessageArchive;

impl Extension for MessageArchive {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0313",
            title: "Message Archive Management",
            version: "1.1.3",
            features: &[
                (Place::Account, NS),
                (Place::Account, "urn:xmpp:mam:2#extended"),
                (Place::Account, "urn:xmpp:mam:2#groupchat-field"),
                (Place::Room, "urn:xmpp:mam:2#extended"),
            ],
        }
    }
}

impl Keep for MessageArchive {
    /// §6.1.1: an archive is of conversations. What a node publishes can be had from the node.
    fn keep(&self, message: &Stanza) -> Option<Kept> {
        let children = message.children();
        let is_event =
            children.intersects(Children::PUBSUB_EVENT) && !children.intersects(Children::BODY);
        is_event.then_some(Kept {
            queue: true,
            archive: false,
        })
    }
}

impl Answer for MessageArchive {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Set, Place::Account, NS, "query"),
            (Verb::Get, Place::Account, NS, "query"),
            (Verb::Get, Place::Account, NS, "metadata"),
            (Verb::Set, Place::Room, NS, "query"),
            (Verb::Get, Place::Room, NS, "query"),
            (Verb::Get, Place::Room, NS, "metadata"),
        ]
    }

    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        Box::pin(async move {
            let archive = Archive::of(exchange, &query).await?;
            match (query.verb, query.payload.name()) {
                (Verb::Get, "metadata") => Ok(Some(metadata(exchange, archive.owner).await?)),
                (Verb::Get, _) => Ok(Some(query::form())),
                (Verb::Set, _) => search(exchange, &archive, &query).await,
            }
        })
    }
}

/// Whose archive is asked.
struct Archive {
    /// The owner of its rows.
    owner: i64,
    /// Its bare JID.
    jid: Jid,
    /// Whether it is one of a room: there a message names its author by nickname alone.
    is_of_room: bool,
    /// The last row whose author the asker may not know.
    anonymous_until: i64,
}

impl Archive {
    /// The archive that a query is for, if the asker may read it (§8.1).
    async fn of(exchange: &Arc<Exchange>, query: &Query) -> Result<Archive, StanzaError> {
        if let Some(service) = exchange.services.find(&query.to) {
            let shelf = service.archive(exchange, query).await?;
            return Ok(Archive {
                owner: shelf.owner,
                jid: query.to.to_bare(),
                is_of_room: true,
                anonymous_until: shelf.anonymous_until,
            });
        }
        if !query.is_own() {
            return Err(StanzaError::forbidden());
        }
        Ok(Archive {
            owner: query.account.id,
            jid: query.account.jid.clone(),
            is_of_room: false,
            anonymous_until: 0,
        })
    }
}

/// §4. The results are queued for the session before the answer is.
async fn search(exchange: &Exchange, archive: &Archive, query: &Query) -> Answered {
    let mut wish = Wish::of(&query.payload)?;
    let of_another = |with: &Jid| with.bare() != query.from.bare();
    if wish.with.as_ref().is_some_and(of_another) {
        // §4.1.1: who may not know the author of a message does not find it by that.
        wish.begin_after(archive.anonymous_until);
    }
    let (mailbox, account) = (&exchange.mailbox, archive.owner);
    let named = wish.named();
    let known = mailbox.archive_sizes(account, &named).await?;
    if known.len() < named.len() {
        // §4.1.3 and §4.3.2.
        return Err(StanzaError::item_not_found());
    }
    if wish.page.max == Some(0) {
        return Ok(Some(count(exchange, account, &wish).await?));
    }
    let mut walk = Walk::new(
        &wish,
        &archive.jid,
        &query.session.jid,
        room(&query.session.outbox),
    );
    if !wish.ids.is_empty() {
        let is_wanted = |(id, _): &(i64, u64)| {
            wish.ids.contains(id) && walk.filter.after < *id && *id < walk.filter.before
        };
        let mut wanted: VecDeque<_> = known.into_iter().filter(is_wanted).collect();
        while walk.asks_for().is_some() {
            let ids = walk::piece(&mut wanted, walk.is_backwards);
            let rows = mailbox.archive_rows(account, &ids).await?;
            let is_last = wanted.is_empty();
            walk.take(Piece { rows, is_last });
        }
    }
    while let Some(limit) = walk.asks_for() {
        let (filter, backwards) = (&walk.filter, walk.is_backwards);
        let piece = mailbox.archive_piece(account, filter, backwards, limit, PIECE_BYTES);
        walk.take(piece.await?);
    }
    let page = walk.page()?;
    if !send(archive, &query.session, &wish, &page.rows) {
        // Its stream is ending.
        return Err(StanzaError::service_unavailable());
    }
    let count = match is_whole(&wish, &page) {
        true => Some(page.rows.len() as u64),
        false => counted(exchange, account, &wish, COUNTED_WITH_A_PAGE).await?,
    };
    Ok(Some(finish(&wish, &page, count)))
}

/// Bytes of results that may be queued: half of what is free, so that a page never fills the queue,
/// whatever else comes meanwhile.
fn room(outbox: &Outbox) -> usize {
    outbox.max_bytes().saturating_sub(outbox.queued_bytes()) / 2
}

/// False: the session takes nothing more.
fn send(archive: &Archive, session: &Session, wish: &Wish, rows: &[StoredRow]) -> bool {
    let queued = |row: &StoredRow| {
        let result = result(archive, session, wish, row);
        session.outbox.push(&result) == Push::Queued
    };
    if wish.is_flipped {
        // §4.3.4: the same page, the newest first.
        rows.iter().rev().all(queued)
    } else {
        rows.iter().all(queued)
    }
}

/// §4.2.
fn result(archive: &Archive, session: &Session, wish: &Wish, row: &StoredRow) -> Stanza {
    let mut attributes = format!(" id='{}'", archive_id(row.id));
    if let Some(query) = &wish.queryid {
        attributes.push_str(&format!(" queryid='{}'", escape_attr(query)));
    }
    let stamp = time_of(row.id).to_xep_0082();
    let forward = Forward {
        from: archive.jid.as_str(),
        to: session.jid.as_str(),
        kind: None,
        name: "result",
        namespace: NS,
        attributes: &attributes,
        before: &format!("<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>"),
    };
    let is_told = archive.is_of_room && row.id > archive.anonymous_until;
    let named = is_told && row.from != archive.jid.as_str();
    match Stanza::parse(row.body.clone()).ok().filter(|_| named) {
        Some(stanza) => forward.message(stanza.with_child(&muc::author(&row.from)).bytes()),
        None => forward.message(&row.body),
    }
}

/// Whether the page is all that was searched for.
fn is_whole(wish: &Wish, page: &Page) -> bool {
    page.is_complete && matches!(wish.page.start, rsm::Start::First | rsm::Start::Last)
}

/// §4.3.2.
fn finish(wish: &Wish, page: &Page, count: Option<u64>) -> Element {
    let ends = page.rows.first().zip(page.rows.last());
    let is_first = wish.page.start == rsm::Start::First || is_whole(wish, page);
    let answer = rsm::Answer {
        ends: ends.map(|(first, last)| (archive_id(first.id), archive_id(last.id))),
        index: is_first.then_some(0),
        count,
    };
    fin(page.is_complete, &answer)
}

/// XEP-0059 §2.7: the number of messages without the messages.
async fn count(exchange: &Exchange, account: i64, wish: &Wish) -> Result<Element, StanzaError> {
    let count = counted(exchange, account, wish, COUNTED).await?;
    let answer = rsm::Answer {
        count,
        ..rsm::Answer::default()
    };
    Ok(fin(count == Some(0), &answer))
}

/// How many messages match, if those are fewer than `bound`; `None` too if each would have to be
/// looked at.
async fn counted(
    exchange: &Exchange,
    account: i64,
    wish: &Wish,
    bound: u64,
) -> Result<Option<u64>, DbError> {
    let Some(filter) = wish.counted() else {
        return Ok(None);
    };
    let count = exchange.mailbox.archive_count(account, &filter, bound);
    Ok(Some(count.await?).filter(|count| *count < bound))
}

fn fin(is_complete: bool, answer: &rsm::Answer) -> Element {
    let mut fin = Element::builder("fin", NS);
    if is_complete {
        fin = fin.with("complete", "true");
    }
    fin.append(answer.to_element()).build()
}

impl Inline for MessageArchive {
    fn bind_feature(&self) -> &'static str {
        NS
    }

    /// A client that has just bound knows at once what it has missed (XEP-0386 §4).
    fn always<'a>(
        &'a self,
        exchange: &'a Exchange,
        session: &'a Session,
    ) -> Option<Boxed<'a, Option<String>>> {
        if session.account.id < 0 {
            return None;
        }
        Some(Box::pin(async move {
            let metadata = metadata(exchange, session.account.id).await;
            metadata
                .inspect_err(|error| tracing::error!(%error, "the ends of an archive"))
                .ok()
                .map(|metadata| serialize(&metadata))
        }))
    }
}

/// §5: the ends of an archive.
async fn metadata(exchange: &Exchange, owner: i64) -> Result<Element, DbError> {
    let mut metadata = Element::builder("metadata", NS);
    if let Some((first, last)) = exchange.mailbox.archive_ends(owner).await? {
        for (name, id) in [("start", first), ("end", last)] {
            let end = Element::builder(name, NS)
                .with("id", archive_id(id))
                .with("timestamp", time_of(id).to_xep_0082());
            metadata = metadata.append(end.build());
        }
    }
    Ok(metadata.build())
}

/// When the row with that id was accepted.
fn time_of(id: i64) -> Timestamp {
    Timestamp(id / id_at(1))
}
