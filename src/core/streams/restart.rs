//! Streams over a restart: written down at an orderly stop, taken up at the start. What lies between
//! is for their clients like a broken connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use waxwing_xmpp::{Jid, Stanza};

use crate::account::{Available, Bound};
use crate::binding::UserAgent;
use crate::clock::Timestamp;
use crate::db::{DbError, Row, Statement, Value};
use crate::exchange::Exchange;
use crate::outbox::{Asleep, Outbox, Unacknowledged};
use crate::position::Position;
use crate::presence::priority;
use crate::session::{Session, SessionRef};

/// Statements that are written at once.
const BATCH: usize = 4096;

const UNACKNOWLEDGED: &str = "unacknowledged";
const WAITING: &str = "waiting";
const DIRECTED: &str = "directed";

/// Kind of a mailbox row that is to be given by name.
const NAMED: &str = "named";

/// What belongs to a stream: its kind, and the stanza, the row or the address.
type Part = (&'static str, Unacknowledged);

impl Exchange {
    /// Writes down the streams that sleep, when nothing else happens any more. Returns how many.
    pub async fn save_streams(&self) -> Result<usize, DbError> {
        self.mailbox.write_cursors();
        let streams: Vec<(i64, Arc<Session>)> = {
            let streams = self.streams.resumable.lock();
            let known = streams.iter();
            known
                .map(|(id, session)| (*id, Arc::clone(session)))
                .collect()
        };
        let mut statements = Vec::new();
        let mut count = 0;
        for (id, session) in &streams {
            session.settled().await;
            let written = written(*id, session);
            count += usize::from(!written.is_empty());
            statements.extend(written);
            if statements.len() >= BATCH {
                self.database.batch(std::mem::take(&mut statements)).await?;
            }
        }
        self.database.batch(statements).await?;
        Ok(count)
    }

    /// Takes up the streams that an earlier process wrote down. Returns how many.
    pub async fn load_streams(self: &Arc<Self>) -> Result<usize, DbError> {
        const STREAMS: &str = "SELECT id, account, resource, secret, agent_id, software, device, \
            lang, max, handled, acknowledged, cursor, interested, presence, presence_at, copied FROM stream";
        const PARTS: &str = "SELECT stream, kind, mailbox, size, brief, in_order, body, feed FROM stream_part \
             ORDER BY stream, place";
        let mut parts: HashMap<i64, Vec<Row>> = HashMap::new();
        for row in self.database.query(PARTS, Vec::new()).await? {
            parts.entry(row.int(0)?).or_default().push(row);
        }
        let mut count = 0;
        for row in self.database.query(STREAMS, Vec::new()).await? {
            let parts = parts.remove(&row.int(0)?).unwrap_or_default();
            count += usize::from(self.load_stream(&row, parts).await?);
        }
        let gone = ["DELETE FROM stream", "DELETE FROM stream_part"];
        let gone = gone.map(|sql| Statement::new(sql, Vec::new()));
        self.database.batch(gone.to_vec()).await?;
        Ok(count)
    }

    /// False: its account is gone, or may not log in.
    async fn load_stream(self: &Arc<Self>, row: &Row, parts: Vec<Row>) -> Result<bool, DbError> {
        let account = self.account(row.text(1)?).await?;
        let Some(account) = account.filter(|account| !account.is_disabled()) else {
            return Ok(false);
        };
        let Ok(jid) = account.jid.with_resource_tolerant(row.text(2)?) else {
            return Ok(false);
        };
        let Parts {
            asleep,
            directed,
            named,
        } = read_parts(row, parts)?;
        let max = Duration::from_secs(u64::try_from(row.int(8)?).unwrap_or(0));
        let outbox = Outbox::new(self.settings.load().outbox_bytes);
        outbox.restore(asleep, max, self.clock.elapsed());
        let session = Arc::new(Session::new(
            SessionRef {
                node: 1,
                epoch: self.epoch,
                id: self.ids.serial(),
            },
            jid,
            Arc::clone(&account),
            row.int(3)? != 0,
            user_agent(row)?,
            outbox,
            row.opt_text(7)?.map(Into::into),
        ));
        let handled = u32::try_from(row.int(9)?).unwrap_or(0);
        session.restore(row.int(0)?, handled);
        session.set_copied(row.bool(15)?);
        let presence = self.presence(row)?;
        let cursor = row.int(11)?;
        let mut bound = Bound {
            takes_since: presence
                .as_ref()
                .filter(|presence| presence.priority >= 0)
                .map(|_| 0),
            presence,
            interested: row.int(12)? != 0,
            directed,
            position: Position::at(cursor),
            session: Arc::clone(&session),
        };
        let takes = bound.takes_bare();
        bound.reposition(|position| position.rewind(named, takes));
        account.lock().sessions.push(bound);
        self.streams.resumable.lock().insert(row.int(0)?, session);
        Ok(true)
    }

    fn presence(&self, row: &Row) -> Result<Option<Available>, DbError> {
        let Some(stanza) = row.opt_blob(13)? else {
            return Ok(None);
        };
        let received = Timestamp(row.int(14)?);
        let Ok(stanza) = Stanza::parse(stanza) else {
            return Ok(None);
        };
        let priority = priority(&stanza.to_element()).unwrap_or(0);
        Ok(Some(Available {
            stanza,
            received,
            priority,
        }))
    }
}

fn user_agent(row: &Row) -> Result<Option<Box<UserAgent>>, DbError> {
    let text = |column| Ok::<_, DbError>(row.opt_text(column)?.map(str::to_owned));
    let agent = UserAgent {
        id: text(4)?,
        software: text(5)?,
        device: text(6)?,
    };
    let is_known = agent != UserAgent::default();
    Ok(is_known.then(|| Box::new(agent)))
}

/// What is read of a stream besides its row.
struct Parts {
    asleep: Asleep,
    directed: Vec<Jid>,
    named: Vec<i64>,
}

fn read_parts(row: &Row, rows: Vec<Row>) -> Result<Parts, DbError> {
    let mut parts = Parts {
        asleep: Asleep {
            acknowledged: u32::try_from(row.int(10)?).unwrap_or(0),
            ..Asleep::default()
        },
        directed: Vec::new(),
        named: Vec::new(),
    };
    for part in rows {
        let body = part.blob(6)?;
        let feed = part.int(7)?;
        match (part.text(1)?, part.opt_int(2)?) {
            (UNACKNOWLEDGED, Some(id)) if feed != 0 => {
                parts.asleep.untaken.push(Unacknowledged::Feed { feed, id });
            }
            (UNACKNOWLEDGED, Some(id)) => parts.asleep.untaken.push(Unacknowledged::Row {
                id,
                bytes: u32::try_from(part.int(3)?).unwrap_or(u32::MAX),
                brief: part.bool(4)?,
                in_order: part.bool(5)?,
            }),
            (UNACKNOWLEDGED, None) => {
                parts.asleep.untaken.push(Unacknowledged::Stanza(body));
            }
            (WAITING, _) => parts.asleep.queue.push(body),
            (NAMED, Some(id)) => parts.named.push(id),
            _ => {
                let address = String::from_utf8_lossy(&body);
                parts.directed.extend(Jid::parse_tolerant(&address).ok());
            }
        }
    }
    Ok(parts)
}

/// The statements for one stream; none if its session has ended.
fn written(id: i64, session: &Session) -> Vec<Statement> {
    const STREAM: &str = "INSERT INTO stream (id, account, resource, secret, agent_id, software, \
        device, lang, max, handled, acknowledged, cursor, interested, presence, presence_at, copied) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    const PART: &str = "INSERT INTO stream_part (stream, place, kind, mailbox, size, brief, in_order, \
                        body, feed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let Some((asleep, max)) = session.outbox.asleep() else {
        return Vec::new();
    };
    let mut state = session.account.lock();
    let Some(bound) = state.bound(session.reference) else {
        return Vec::new();
    };
    let agent = session.user_agent.as_deref().cloned().unwrap_or_default();
    let presence = bound.presence.as_ref();
    let values: Vec<Value> = vec![
        id.into(),
        session.account.jid.as_str().into(),
        session.jid.resource().unwrap_or_default().into(),
        session.resource_is_secret.into(),
        agent.id.into(),
        agent.software.into(),
        agent.device.into(),
        session.lang.as_deref().into(),
        i64::try_from(max.as_secs()).unwrap_or(i64::MAX).into(),
        session.handled().into(),
        asleep.acknowledged.into(),
        bound.position.cursor().into(),
        bound.interested.into(),
        presence
            .map(|presence| presence.stanza.bytes().clone())
            .into(),
        presence.map_or(0, |presence| presence.received.0).into(),
        session.is_copied().into(),
    ];
    let stanza = |kind, stanza| (kind, Unacknowledged::Stanza(stanza));
    let named = |row: &i64| {
        let row = Unacknowledged::Row {
            id: *row,
            bytes: 0,
            brief: false,
            in_order: false,
        };
        (NAMED, row)
    };
    let mut parts: Vec<Part> = Vec::new();
    parts.extend(
        asleep
            .untaken
            .into_iter()
            .map(|part| (UNACKNOWLEDGED, part)),
    );
    parts.extend(asleep.queue.into_iter().map(|body| stanza(WAITING, body)));
    parts.extend(bound.position.named().iter().map(named));
    let addresses = bound.directed.iter().map(Jid::as_str);
    let addresses = addresses.map(|jid| Bytes::copy_from_slice(jid.as_bytes()));
    parts.extend(addresses.map(|body| stanza(DIRECTED, body)));
    let part = |(place, (kind, part)): (i64, Part)| {
        let feed = match part {
            Unacknowledged::Feed { feed, .. } => feed,
            _ => 0,
        };
        let (row, bytes, brief, in_order, body) = match part {
            Unacknowledged::Stanza(body) => (None, 0, false, false, body),
            Unacknowledged::Feed { id, .. } => (Some(id), 0, false, true, Bytes::new()),
            Unacknowledged::Row {
                id,
                bytes,
                brief,
                in_order,
            } => (Some(id), bytes, brief, in_order, Bytes::new()),
        };
        let values: Vec<Value> = vec![
            id.into(),
            place.into(),
            kind.into(),
            row.into(),
            bytes.into(),
            brief.into(),
            in_order.into(),
            body.into(),
            feed.into(),
        ];
        Statement::new(PART, values)
    };
    let mut statements = vec![Statement::new(STREAM, values)];
    statements.extend((0..).zip(parts).map(part));
    statements
}
