//! What became of a message, told from its row without its content: when it came and from whom,
//! where it is kept, which devices have it, and what its recipient said of it.

use std::borrow::Cow;

use waxwing_core::Exchange;
use waxwing_core::clock::Timestamp;
use waxwing_core::db::DbError;
use waxwing_core::feed::is_feed;
use waxwing_core::mailbox_store::{Filter, Flags, OwnedRow, StoredRow, peer_hash};
use waxwing_xeps::xep_0045_muc::store;
use waxwing_xeps::xep_0359_stanza_ids::{archive_id, parse_archive_id};
use waxwing_xmpp::dom::escape_attr;
use waxwing_xmpp::stanza::Children;
use waxwing_xmpp::{Jid, Stanza};

/// Messages with one sender's id that are told of; an id need not be unique.
const MAX_FOUND: usize = 8;

/// Rows that are read in one go.
const PAGE: usize = 64;

/// Rows of the conversation that are searched for what the recipient said of the message.
const MAX_FOLLOWING: usize = 2048;

/// A line for each step of the way of the messages with this id; none: there is no such message.
/// What the server itself did not give out has to be looked for in all rows, newest first.
pub async fn trace(exchange: &Exchange, id: &str) -> Result<Vec<String>, DbError> {
    // What devices have acknowledged is written behind: it is on its way to the disk.
    exchange.database.batch(Vec::new()).await?;
    let by_row = match parse_archive_id(id) {
        Some(row) => exchange.mailbox.find(row).await?,
        None => None,
    };
    let found = match by_row {
        Some(row) => vec![row],
        None => by_sender(exchange, id).await?,
    };
    let mut lines = Vec::new();
    for row in &found {
        lines.extend(way(exchange, row).await?);
    }
    Ok(lines)
}

/// Why there may be no such message.
#[must_use]
pub fn absent(exchange: &Exchange, id: &str) -> String {
    let settings = exchange.settings.load();
    let days = settings.retention_days;
    let past = exchange.now().days_before(days);
    let given = parse_archive_id(id).map(row_time);
    if given.is_some_and(|given| given.0 < past.0) {
        return format!("{id}: expired, messages are kept for {days} days");
    }
    format!(
        "{id}: no such message is stored: it never came, was not to be kept, or was delivered \
         and is in no archive"
    )
}

async fn by_sender(exchange: &Exchange, id: &str) -> Result<Vec<OwnedRow>, DbError> {
    let written = escape_attr(id);
    let finder = memchr::memmem::Finder::new(written.as_bytes());
    let mut found = Vec::new();
    let mut before = i64::MAX;
    loop {
        let page = exchange.mailbox.newest(before, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        before = last.row.id;
        let candidates = page
            .into_iter()
            .filter(|owned| finder.find(&owned.row.body).is_some());
        found.extend(candidates.filter(|owned| is_named(&owned.row, id)));
        if found.len() >= MAX_FOUND {
            found.truncate(MAX_FOUND);
            return Ok(found);
        }
    }
}

/// Whether its sender gave it this id (XEP-0359 §2.2: or this origin id).
fn is_named(row: &StoredRow, id: &str) -> bool {
    let Ok(stanza) = Stanza::parse(row.body.clone()) else {
        return false;
    };
    let origin = || {
        let element = stanza.to_element();
        let origin = element.get_child("origin-id", "urn:xmpp:sid:0");
        origin.and_then(|origin| origin.attr("id")) == Some(id)
    };
    stanza.id().as_deref() == Some(id) || origin()
}

async fn way(exchange: &Exchange, owned: &OwnedRow) -> Result<Vec<String>, DbError> {
    let row = &owned.row;
    let mut lines = vec![format!("message {}", archive_id(row.id))];
    let Ok(stanza) = Stanza::parse(row.body.clone()) else {
        lines.push("  its row cannot be read".to_owned());
        return Ok(lines);
    };
    let from = stanza.from().unwrap_or_default();
    let to = match stanza.to() {
        // What a room has said is from the room, and for everybody in it.
        None if is_feed(owned.recipient) => from.split('/').next().unwrap_or_default().into(),
        to => to.unwrap_or_default(),
    };
    let received = row_time(row.id);
    lines.push(format!(
        "  received {} from {} for {to}",
        received.to_xep_0082(),
        row.from
    ));
    let kind = stanza.type_attribute();
    lines.push(format!(
        "  type {}, id {}, {} bytes",
        kind.as_deref().unwrap_or("normal"),
        stanza.id().as_deref().unwrap_or("none"),
        row.body.len()
    ));
    let peers = Jid::parse(&to).ok().zip(Jid::parse(&row.from).ok());
    let Some((to, from)) = peers else {
        return Ok(lines);
    };
    if is_feed(owned.recipient) {
        lines.push(format!("  stored in the log of {to}"));
        lines.extend(read(exchange, owned).await?);
    } else {
        lines.push(format!("  stored {}", places(row.flags, &to, &from)));
        lines.extend(written(exchange, owned, &to));
        lines.extend(delivered(exchange, owned).await?);
        lines.extend(answered(exchange, owned, &stanza, &to, &from).await?);
    }
    let days = exchange.settings.load().retention_days;
    let end = received.days_after(days).to_xep_0082();
    lines.push(format!("  expires {end}"));
    Ok(lines)
}

fn row_time(row: i64) -> Timestamp {
    Timestamp(waxwing_core::mailbox_store::time_of(row))
}

/// What the members of a members-only room have acknowledged.
async fn read(exchange: &Exchange, owned: &OwnedRow) -> Result<Vec<String>, DbError> {
    let cursors = store::cursors(&exchange.database, owned.recipient).await?;
    let members = cursors.iter().filter(|cursor| cursor.device.is_empty());
    let line = |member: &store::Cursor| {
        if member.cursor >= owned.row.id {
            format!("  {} has it, or was no member before", member.jid)
        } else {
            format!("  waits for {}", member.jid)
        }
    };
    Ok(members.map(line).collect())
}

/// Where a row shows.
fn places(flags: Flags, to: &Jid, from: &Jid) -> String {
    let mut places = Vec::new();
    if flags.any(Flags::INCOMING) {
        let one = if flags.any(Flags::DIRECTED) {
            to.as_str()
        } else {
            to.bare()
        };
        places.push(format!("in the mailbox of {one}"));
    }
    if flags.any(Flags::ARCHIVED) {
        places.push(format!("in the archive of {}", to.bare()));
    }
    if flags.any(Flags::SENT) {
        places.push(format!("in the archive of {}", from.bare()));
    }
    places.join(", ")
}

/// The sessions that the message was given to and that have not acknowledged it.
fn written(exchange: &Exchange, owned: &OwnedRow, to: &Jid) -> Vec<String> {
    let Some(account) = exchange.registry.get(to.bare()) else {
        return Vec::new();
    };
    if !owned.row.flags.any(Flags::INCOMING) {
        return Vec::new();
    }
    let row = owned.row.id;
    let state = account.lock();
    let waiting = state.sessions.iter().filter(|bound| {
        let position = &bound.position;
        position.handed() >= row && position.cursor() < row
    });
    waiting
        .map(|bound| format!("  sent to {}, not acknowledged", bound.session.jid))
        .collect()
}

/// What the devices of the recipient have acknowledged.
async fn delivered(exchange: &Exchange, owned: &OwnedRow) -> Result<Vec<String>, DbError> {
    if !owned.row.flags.any(Flags::INCOMING) {
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    if owned.undelivered {
        lines.push("  waits: no device has acknowledged it".to_owned());
    } else {
        lines.push("  acknowledged".to_owned());
    }
    let devices = exchange.mailbox.devices(owned.recipient).await?;
    for device in devices.iter().filter(|device| !device.key.is_empty()) {
        let name = if device.name.is_empty() {
            &device.key
        } else {
            &device.name
        };
        let has = if device.cursor >= owned.row.id {
            "has it, or it was there before"
        } else {
            "does not have it"
        };
        lines.push(format!(
            "  device {} {has}, seen {}",
            name,
            Timestamp(device.seen_at_ms).to_xep_0082()
        ));
    }
    Ok(lines)
}

/// What the recipient said of it, as far as an archive has that: XEP-0184 receipts, and XEP-0333
/// markers, which stand for the messages before as well.
async fn answered(
    exchange: &Exchange,
    owned: &OwnedRow,
    stanza: &Stanza,
    to: &Jid,
    from: &Jid,
) -> Result<Vec<String>, DbError> {
    let Some(id) = stanza.id() else {
        return Ok(Vec::new());
    };
    let (account, peer) = match owned.sender_account {
        0 => (owned.recipient, from),
        sender => (sender, to),
    };
    let mut filter = Filter {
        with: Some(peer_hash(peer.bare())),
        after: owned.row.id,
        ..Filter::default()
    };
    let mut answers = Answers::new(&id);
    for _ in 0..MAX_FOLLOWING / PAGE {
        let page = exchange.mailbox.archive_page(account, &filter, false, PAGE);
        let page = page.await?;
        for row in &page {
            answers.read(row, to);
        }
        match page.last() {
            Some(last) if page.len() == PAGE && !answers.are_complete() => filter.after = last.id,
            _ => break,
        }
    }
    Ok(answers.lines)
}

/// What was found in the conversation behind a message.
struct Answers {
    id: String,
    /// The message and those that its sender sent after it.
    later: Vec<String>,
    lines: Vec<String>,
    has_receipt: bool,
    is_displayed: bool,
}

impl Answers {
    fn new(id: &str) -> Self {
        Answers {
            id: id.to_owned(),
            later: vec![id.to_owned()],
            lines: Vec::new(),
            has_receipt: false,
            is_displayed: false,
        }
    }

    fn are_complete(&self) -> bool {
        self.has_receipt && self.is_displayed
    }

    fn read(&mut self, row: &StoredRow, recipient: &Jid) {
        let Ok(stanza) = Stanza::parse(row.body.clone()) else {
            return;
        };
        let is_answer = Jid::parse(&row.from).is_ok_and(|from| from.bare() == recipient.bare());
        if !is_answer {
            self.later.extend(stanza.id().map(Cow::into_owned));
            return;
        }
        let children = stanza.children();
        if !children.contains(Children::RECEIPT) && !children.contains(Children::DISPLAYED) {
            return;
        }
        let element = stanza.to_element();
        let names = |name: &str, ns: &str| {
            let child = element.get_child(name, ns)?;
            child.attr("id").map(str::to_owned)
        };
        let said = |what: &str| {
            format!(
                "  {what} {} by {}",
                row_time(row.id).to_xep_0082(),
                row.from
            )
        };
        if !self.has_receipt && names("received", "urn:xmpp:receipts").as_ref() == Some(&self.id) {
            self.has_receipt = true;
            self.lines.push(said("receipt"));
        }
        let displayed = names("displayed", "urn:xmpp:chat-markers:0");
        if !self.is_displayed && displayed.is_some_and(|id| self.later.contains(&id)) {
            self.is_displayed = true;
            self.lines.push(said("displayed"));
        }
    }
}
