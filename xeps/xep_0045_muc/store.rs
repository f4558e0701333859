//! Rooms in the database: what is written for a [`Change`], and what is read of it again.
//!
//! A room is read when somebody asks for it, and never before: any number of them costs nothing at
//! the start. What a room publishes is in the mailbox, with the room as recipient.

mod list;
mod sql;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use waxwing_core::clock::{Ids, Timestamp};
use waxwing_core::db::{Database, DbError, Migrations, Row, Statement, Value};
use waxwing_core::feed::FIRST_FEED;
use waxwing_xmpp::Jid;

use super::affiliation::{Affiliation, Role};
use super::config::{Config, PrivateMessages, Whois};
use super::effect::{Change, Member, Stored, Subject};

pub use list::{
    COUNTED, Found, LOOKED_AT, Page, Public, count, public_rooms, rooms_of, search, temporary,
};

/// The ids of rooms begin here. In the mailbox a room is an owner like an account is.
pub const ROOM_BASE: i64 = FIRST_FEED;

/// Users of a room that are not known any more, but for the version of that (XEP-0463): the newest
/// are kept.
pub const KEPT_FORGOTTEN: i64 = 512;

/// The tables.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations {
        extension: "muc",
        steps: &[include_str!("muc_1.sql")],
    }
}

/// The id of a room that is created now, after that of the `newest`. It holds the time, so that
/// the id of a room that is gone is not given to another after a restart.
#[must_use]
pub fn next_id(newest: i64, now: Timestamp) -> i64 {
    let timely = ROOM_BASE.saturating_add(now.0.max(0));
    timely.max(newest.saturating_add(1))
}

/// The highest id of a room, for [`next_id`]; 0: there is no room.
///
/// # Errors
/// Those of the database, here and below.
pub async fn newest_id(database: &Database) -> Result<i64, DbError> {
    let rows = database.query(sql::NEWEST, Vec::new()).await?;
    rows.first().map_or(Ok(0), |row| row.int(0))
}

/// The room with that local part.
pub async fn load(database: &Database, local: &str) -> Result<Option<Stored>, DbError> {
    let rows = database.query(sql::ROOM, vec![local.into()]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let id = row.int(0)?;
    let avatar = database.query(sql::AVATAR, vec![id.into()]).await?;
    let avatar = avatar.first().map(|row| row.text(0)).transpose()?;
    let members = database.query(sql::MEMBERS, vec![id.into()]).await?;
    Ok(Some(Stored {
        id,
        config: config(row)?,
        subject: Subject {
            text: row.text(21)?.to_owned(),
            nick: row.text(22)?.to_owned(),
            at: row.int(23)?,
        },
        members: members.iter().map(member).collect::<Result<_, _>>()?,
        version: row.int(24)?,
        avatar: avatar.unwrap_or_default().to_owned(),
    }))
}

/// What writes a change down, of the room with that id and local part. Nothing for
/// [`Change::Tombstone`], which concerns the mailbox.
#[must_use]
pub fn statements(id: i64, local: &str, change: &Change) -> Vec<Statement> {
    let one = |sql, params: Vec<Value>| vec![Statement::new(sql, params)];
    match change {
        Change::Created(config) | Change::Configured(config) => {
            one(sql::CONFIGURE, configured(id, local, config))
        }
        Change::Subject(subject) => {
            let Subject { text, nick, at } = subject;
            let (text, nick) = (text.as_str().into(), nick.as_str().into());
            one(sql::SET_SUBJECT, vec![id.into(), text, nick, (*at).into()])
        }
        Change::Member { jid, member } => set_member(id, jid, member),
        Change::Avatar(vcard) if vcard.is_empty() => one(sql::DROP_AVATAR, vec![id.into()]),
        Change::Avatar(vcard) => one(sql::SET_AVATAR, vec![id.into(), vcard.as_str().into()]),
        Change::Tombstone { .. } => Vec::new(),
        Change::Destroyed => {
            let gone = sql::DESTROY.into_iter();
            gone.map(|sql| Statement::new(sql, vec![id.into()]))
                .collect()
        }
    }
}

/// Who is no member any more loses its cursors, and its mark of having been invited.
fn set_member(id: i64, jid: &Jid, member: &Member) -> Vec<Statement> {
    let key = || vec![Value::from(id), jid.as_str().into()];
    let mut row = key();
    row.extend([
        member.affiliation.as_str().into(),
        member.nick.as_str().into(),
        member.reason.as_str().into(),
        member.version.into(),
        write_hats(&member.hats).into(),
    ]);
    let mut statements = vec![
        Statement::new(sql::SET_MEMBER, row),
        Statement::new(sql::SET_VERSION, vec![id.into(), member.version.into()]),
    ];
    if !member.affiliation.is_member() {
        let kept = vec![id.into(), KEPT_FORGOTTEN.into()];
        statements.push(Statement::new(sql::DROP_FORGOTTEN, kept));
        statements.push(Statement::new(sql::DROP_MEMBER_CURSORS, key()));
        statements.push(set_invited(id, jid, Timestamp(0)));
    }
    statements
}

/// What is written when an account is deleted: no room knows the user any more, and its cursors
/// go. The version of each of those rooms grows. Rooms that are in memory have to forget it
/// themselves, and those that it owns have to have another owner before.
#[must_use]
pub fn remove_user(jid: &Jid) -> Vec<Statement> {
    let gone = sql::REMOVE_USER.into_iter();
    gone.map(|sql| Statement::new(sql, vec![jid.bare().into()]))
        .collect()
}

/// Notes that the room has told a member of itself; at 0: that it has not.
#[must_use]
pub fn set_invited(id: i64, jid: &Jid, at: Timestamp) -> Statement {
    let params = vec![id.into(), jid.bare().into(), at.0.into()];
    Statement::new(sql::SET_INVITED, params)
}

/// The members whom the room has told of itself.
pub async fn invited(database: &Database, id: i64) -> Result<Vec<Jid>, DbError> {
    let rows = database.query(sql::INVITED, vec![id.into()]).await?;
    rows.iter().map(|row| jid(row.text(0)?)).collect()
}

/// The local parts of members-only rooms that a user is a member of, and that have not told it of
/// themselves.
pub async fn uninvited(database: &Database, user: &Jid) -> Result<Vec<String>, DbError> {
    let params = vec![user.bare().into()];
    let rows = database.query(sql::UNINVITED, params).await?;
    let local = |row: &Row| row.text(0).map(str::to_owned);
    rows.iter().map(local).collect()
}

/// What the identifiers of occupants are made with: random, and the same as long as there are
/// rooms.
pub async fn key(database: &Database, ids: &dyn Ids) -> Result<[u8; 32], DbError> {
    let mut fresh = [0; 32];
    ids.random(&mut fresh);
    let fresh = Bytes::copy_from_slice(&fresh);
    let set = Statement::new(sql::SET_KEY, vec![fresh.into()]);
    database.batch(vec![set]).await?;
    let rows = database.query(sql::KEY, Vec::new()).await?;
    let key = rows.first().map(|row| row.blob(0)).transpose()?;
    let key = key.and_then(|key| <[u8; 32]>::try_from(&*key).ok());
    key.ok_or(DbError::Unexpected("the key of the rooms"))
}

/// How far a device of a member has come in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The bare JID.
    pub jid: Jid,
    /// The key of the device, as in the mailbox.
    pub device: String,
    /// Every row of the room up to this id was acknowledged.
    pub cursor: i64,
    /// When it was seen last.
    pub seen_at: Timestamp,
}

/// The cursors of a room, by JID and device.
pub async fn cursors(database: &Database, id: i64) -> Result<Vec<Cursor>, DbError> {
    let rows = database.query(sql::CURSORS, vec![id.into()]).await?;
    let cursor = |row: &Row| {
        Ok(Cursor {
            jid: jid(row.text(0)?)?,
            device: row.text(1)?.to_owned(),
            cursor: row.int(2)?,
            seen_at: Timestamp(row.int(3)?),
        })
    };
    rows.iter().map(cursor).collect()
}

/// Enters a cursor, or moves it: it never goes back.
#[must_use]
pub fn set_cursor(id: i64, cursor: &Cursor) -> Statement {
    let params = vec![
        id.into(),
        cursor.jid.bare().into(),
        cursor.device.as_str().into(),
        cursor.cursor.into(),
        cursor.seen_at.0.into(),
    ];
    Statement::new(sql::SET_CURSOR, params)
}

/// Forgets the devices of a room that were not seen since then.
#[must_use]
pub fn forget_cursors(id: i64, before: Timestamp) -> Statement {
    Statement::new(sql::DROP_CURSORS, vec![id.into(), before.0.into()])
}

/// Somebody in a room, over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The id of its stream.
    pub stream: i64,
    /// Its nickname.
    pub nick: String,
    /// Its role.
    pub role: Role,
    /// What its presence holds.
    pub payload: Bytes,
    /// The last row of the room that it acknowledged.
    pub cursor: i64,
}

/// Writes down that somebody is in a room.
#[must_use]
pub fn save_seat(id: i64, seat: &Seat) -> Statement {
    let params = vec![
        id.into(),
        seat.stream.into(),
        seat.nick.as_str().into(),
        seat.role.as_str().into(),
        seat.payload.clone().into(),
        seat.cursor.into(),
    ];
    Statement::new(sql::SET_OCCUPANT, params)
}

/// Everybody who was written down, with the local part and the id of the room; by room.
pub async fn seats(database: &Database) -> Result<Vec<(String, i64, Seat)>, DbError> {
    let rows = database.query(sql::OCCUPANTS, Vec::new()).await?;
    let seat = |row: &Row| {
        let seat = Seat {
            stream: row.int(2)?,
            nick: row.text(3)?.to_owned(),
            role: known(Role::from_name(row.text(4)?))?,
            payload: row.blob(5)?,
            cursor: row.int(6)?,
        };
        Ok((row.text(0)?.to_owned(), row.int(1)?, seat))
    };
    rows.iter().map(seat).collect()
}

/// Forgets everybody who was written down.
#[must_use]
pub fn clear_seats() -> Statement {
    Statement::new(sql::DROP_OCCUPANTS, Vec::new())
}

fn known<T>(value: Option<T>) -> Result<T, DbError> {
    value.ok_or(DbError::Unexpected("a name in a table of rooms"))
}

fn jid(text: &str) -> Result<Jid, DbError> {
    Jid::parse_tolerant(text).map_err(|_| DbError::Unexpected("an address in a table of rooms"))
}

fn short(row: &Row, column: usize) -> Result<u16, DbError> {
    u16::try_from(row.int(column)?).map_err(|_| DbError::Unexpected("a number of a room"))
}

fn configured(id: i64, local: &str, config: &Config) -> Vec<Value> {
    vec![
        id.into(),
        local.into(),
        config.name.as_str().into(),
        config.description.as_str().into(),
        config.lang.as_str().into(),
        config.is_persistent.into(),
        config.is_public.into(),
        config.is_members_only.into(),
        config.is_moderated.into(),
        config.password.as_str().into(),
        config.whois.as_str().into(),
        config.private_messages.as_str().into(),
        config.may_change_subject.into(),
        config.may_invite.into(),
        config.may_request_voice.into(),
        config.may_register.into(),
        config.member_list_from.as_str().into(),
        config.presence_from.as_str().into(),
        config.is_archived.into(),
        i64::from(config.history).into(),
        i64::from(config.max_members).into(),
        config.anonymous_until.into(),
    ]
}

fn config(row: &Row) -> Result<Config, DbError> {
    Ok(Config {
        name: row.text(1)?.to_owned(),
        description: row.text(2)?.to_owned(),
        lang: row.text(3)?.to_owned(),
        is_persistent: row.bool(4)?,
        is_public: row.bool(5)?,
        is_members_only: row.bool(6)?,
        is_moderated: row.bool(7)?,
        password: row.text(8)?.to_owned(),
        whois: known(Whois::from_name(row.text(9)?))?,
        private_messages: known(PrivateMessages::from_name(row.text(10)?))?,
        may_change_subject: row.bool(11)?,
        may_invite: row.bool(12)?,
        may_request_voice: row.bool(13)?,
        may_register: row.bool(14)?,
        member_list_from: known(Role::from_name(row.text(15)?))?,
        presence_from: known(Role::from_name(row.text(16)?))?,
        is_archived: row.bool(17)?,
        history: short(row, 18)?,
        max_members: short(row, 19)?,
        anonymous_until: row.int(20)?,
    })
}

fn member(row: &Row) -> Result<(Jid, Member), DbError> {
    let member = Member {
        affiliation: known(Affiliation::from_name(row.text(1)?))?,
        nick: row.text(2)?.to_owned(),
        reason: row.text(3)?.to_owned(),
        version: row.int(4)?,
        hats: read_hats(row.text(5)?),
    };
    Ok((jid(row.text(0)?)?, member))
}

/// No URI and no title has these characters: XML cannot hold them.
const BETWEEN: char = '\u{1f}';
const BEHIND: char = '\u{1e}';

fn write_hats(hats: &[(String, String)]) -> String {
    let hats = hats
        .iter()
        .map(|(uri, title)| format!("{uri}{BETWEEN}{title}{BEHIND}"));
    hats.collect()
}

fn read_hats(text: &str) -> Vec<(String, String)> {
    text.split_terminator(BEHIND)
        .filter_map(|hat| hat.split_once(BETWEEN))
        .map(|(uri, title)| (uri.to_owned(), title.to_owned()))
        .collect()
}
