//! Lists of rooms: those that can be found, those that know a user, those that did not outlive
//! their occupants.

use waxwing_core::db::{Database, DbError, Row, Value};
use waxwing_xmpp::Jid;

use super::{known, sql};
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::config::Whois;
use crate::xep_0059_rsm::Start;

/// Rooms that are counted; there may be more.
pub const COUNTED: u64 = 10_000;
/// Public rooms that a search looks at, in the order of their addresses.
pub const LOOKED_AT: usize = 16_384;
/// Rooms that a search reads at once.
const BATCH: usize = 256;

/// A room that can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// Its local part.
    pub local: String,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The language spoken in it; empty: not said.
    pub lang: String,
    /// Whether anybody may enter without a password.
    pub is_open: bool,
    /// Whether real JIDs are shown to moderators alone.
    pub is_semi_anonymous: bool,
}

/// Some of the rooms that can be found, by their local parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In ascending order.
    pub rooms: Vec<Public>,
    /// Whether there are no others in the direction of the page.
    pub is_last: bool,
}

/// A page of the rooms that can be found (XEP-0059). Its items are named by local parts, and it
/// begins where the named one stands or stood.
///
/// # Errors
/// Those of the database, here and below.
pub async fn public_rooms(database: &Database, start: &Start, max: usize) -> Result<Page, DbError> {
    // One more, to see whether there are others.
    let limit = Value::from(i64::try_from(max).unwrap_or(i64::MAX).saturating_add(1));
    let (sql, params) = match start {
        Start::First => (sql::PUBLIC_FORWARDS, vec!["".into(), limit]),
        Start::After(local) => (sql::PUBLIC_FORWARDS, vec![local.as_str().into(), limit]),
        Start::Before(local) => (sql::PUBLIC_BACKWARDS, vec![local.as_str().into(), limit]),
        Start::Last => (sql::PUBLIC_LAST, vec![limit]),
    };
    let rows = database.query(sql, params).await?;
    let is_last = rows.len() <= max;
    let rooms = rows.iter().take(max).map(public);
    let mut rooms: Vec<Public> = rooms.collect::<Result<_, _>>()?;
    if matches!(start, Start::Before(_) | Start::Last) {
        rooms.reverse();
    }
    Ok(Page { rooms, is_last })
}

/// How many rooms can be found; `None`: [`COUNTED`] or more.
pub async fn count(database: &Database) -> Result<Option<u64>, DbError> {
    let most = i64::try_from(COUNTED).unwrap_or(i64::MAX);
    let rows = database.query(sql::PUBLIC_COUNT, vec![most.into()]).await?;
    let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
    Ok(u64::try_from(count).ok().filter(|count| *count < COUNTED))
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// By their local parts.
    pub rooms: Vec<Public>,
    /// Whether every room was looked at that can be found.
    pub is_whole: bool,
}

/// The rooms that can be found and are `wanted`, among the first [`LOOKED_AT`].
pub async fn search(
    database: &Database,
    wanted: impl Fn(&Public) -> bool,
) -> Result<Found, DbError> {
    let mut rooms = Vec::new();
    let mut after = Start::First;
    for _ in 0..LOOKED_AT / BATCH {
        let page = public_rooms(database, &after, BATCH).await?;
        if let Some(last) = page.rooms.last() {
            after = Start::After(last.local.clone());
        }
        rooms.extend(page.rooms.into_iter().filter(|room| wanted(room)));
        if page.is_last {
            return Ok(Found {
                rooms,
                is_whole: true,
            });
        }
    }
    Ok(Found {
        rooms,
        is_whole: false,
    })
}

/// The rooms that know a user: id, local part, and the user's affiliation.
pub async fn rooms_of(
    database: &Database,
    jid: &Jid,
) -> Result<Vec<(i64, String, Affiliation)>, DbError> {
    let params = vec![jid.bare().into()];
    let rows = database.query(sql::ROOMS_OF, params).await?;
    let room = |row: &Row| {
        let affiliation = known(Affiliation::from_name(row.text(2)?))?;
        Ok((row.int(0)?, row.text(1)?.to_owned(), affiliation))
    };
    rows.iter().map(room).collect()
}

/// Rooms that are not persistent and that nobody is to come back to: id and local part. They are
/// to be destroyed at the start.
pub async fn temporary(database: &Database) -> Result<Vec<(i64, String)>, DbError> {
    let rows = database.query(sql::TEMPORARY, Vec::new()).await?;
    let room = |row: &Row| Ok((row.int(0)?, row.text(1)?.to_owned()));
    rows.iter().map(room).collect()
}

fn public(row: &Row) -> Result<Public, DbError> {
    Ok(Public {
        local: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        description: row.text(2)?.to_owned(),
        lang: row.text(3)?.to_owned(),
        is_open: !row.bool(4)? && row.text(5)?.is_empty(),
        is_semi_anonymous: known(Whois::from_name(row.text(6)?))? == Whois::Moderators,
    })
}
