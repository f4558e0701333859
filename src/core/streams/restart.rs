//! Streams over a restart: written down at an orderly stop, taken up at the start. What lies between
//! is for their clients like a broken connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use waxwing_xmpp::{Jid, Stanza};

use super::Stream;
use crate::account::{Available, Bound, Drain};
use crate::binding::UserAgent;
use crate::clock::Timestamp;
use crate::db::{DbError, Row, Statement, Value};
use crate::exchange::Exchange;
use crate::outbox::{Asleep, Outbox};
use crate::presence::priority;
use crate::session::{Session, SessionRef};

/// Statements that are written at once.
const BATCH: usize = 4096;

const UNACKNOWLEDGED: &str = "unacknowledged";
const WAITING: &str = "waiting";
const DIRECTED: &str = "directed";

/// What belongs to a stream: its kind, the mailbox row, the stanza or the address.
type Part = (&'static str, Option<i64>, Bytes);

impl Exchange {
    /// Writes down the streams that sleep, when nothing else happens any more. Returns how many.
    pub async fn save_streams(&self) -> Result<usize, DbError> {
        let sleeping: Vec<(i64, Arc<Session>, u64)> = (self.streams.0.lock().iter())
            .filter(|(_, stream)| stream.session.outbox.is_asleep())
            .map(|(id, stream)| (*id, Arc::clone(&stream.session), stream.max))
            .collect();
        let mut statements = Vec::new();
        for (id, session, max) in &sleeping {
            session.all_settled().await;
            statements.extend(written(*id, session, *max));
            if statements.len() >= BATCH {
                self.database.batch(std::mem::take(&mut statements)).await?;
            }
        }
        self.database.batch(statements).await?;
        Ok(sleeping.len())
    }

    /// Takes up the streams that an earlier process wrote down. Returns how many.
    pub async fn load_streams(self: &Arc<Self>) -> Result<usize, DbError> {
        const STREAMS: &str = "SELECT id, account, resource, secret, agent_id, software, device, \
            lang, max, handled, acknowledged, cursor, interested, presence, presence_at, copied FROM stream";
        const PARTS: &str =
            "SELECT stream, kind, mailbox, body FROM stream_part ORDER BY stream, place";
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

    /// False: its account is gone.
    async fn load_stream(self: &Arc<Self>, row: &Row, parts: Vec<Row>) -> Result<bool, DbError> {
        let Some(account) = self.account(row.text(1)?).await? else {
            return Ok(false);
        };
        let Ok(jid) = account.jid.with_resource_tolerant(row.text(2)?) else {
            return Ok(false);
        };
        let (asleep, directed) = read_parts(row, parts)?;
        let outbox = Outbox::new(self.settings.load().outbox_bytes);
        outbox.restore(asleep);
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
            draining: None,
            handed: cursor,
            cursor,
            session: Arc::clone(&session),
        };
        bound.set_draining(Some(Drain { after: cursor }));
        account.lock().sessions.push(bound);
        let max = u64::try_from(row.int(8)?).unwrap_or(0);
        let stream = Stream {
            session,
            max,
            ends: Some(self.clock.elapsed() + Duration::from_secs(max)),
        };
        self.streams.0.lock().insert(row.int(0)?, stream);
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

fn read_parts(row: &Row, parts: Vec<Row>) -> Result<(Asleep, Vec<Jid>), DbError> {
    let mut asleep = Asleep {
        acknowledged: u32::try_from(row.int(10)?).unwrap_or(0),
        ..Asleep::default()
    };
    let mut directed = Vec::new();
    for part in parts {
        let (mailbox, body) = (part.opt_int(2)?, part.blob(3)?);
        match part.text(1)? {
            UNACKNOWLEDGED => asleep.untaken.push((mailbox, body)),
            WAITING => asleep.queue.push(body),
            _ => {
                let address = String::from_utf8_lossy(&body);
                directed.extend(Jid::parse_tolerant(&address).ok());
            }
        }
    }
    Ok((asleep, directed))
}

/// The statements for one stream; none if its session has ended.
fn written(id: i64, session: &Session, max: u64) -> Vec<Statement> {
    const STREAM: &str = "INSERT INTO stream (id, account, resource, secret, agent_id, software, \
        device, lang, max, handled, acknowledged, cursor, interested, presence, presence_at, copied) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    const PART: &str = "INSERT INTO stream_part (stream, place, kind, mailbox, body) \
                        VALUES (?1, ?2, ?3, ?4, ?5)";
    let asleep = session.outbox.asleep();
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
        i64::try_from(max).unwrap_or(i64::MAX).into(),
        session.handled().into(),
        asleep.acknowledged.into(),
        bound.cursor.into(),
        bound.interested.into(),
        presence
            .map(|presence| presence.stanza.bytes().clone())
            .into(),
        presence.map_or(0, |presence| presence.received.0).into(),
        session.is_copied().into(),
    ];
    let unacknowledged = asleep.untaken.into_iter();
    let unacknowledged = unacknowledged.map(|(row, stanza)| (UNACKNOWLEDGED, row, stanza));
    let waiting = asleep
        .queue
        .into_iter()
        .map(|stanza| (WAITING, None, stanza));
    let address = |jid: &Jid| Bytes::copy_from_slice(jid.as_str().as_bytes());
    let directed: Vec<Part> = (bound.directed.iter())
        .map(|jid| (DIRECTED, None, address(jid)))
        .collect();
    let parts = unacknowledged.chain(waiting).chain(directed);
    let part = |(place, (kind, row, body)): (i64, Part)| {
        let values: Vec<Value> = vec![
            id.into(),
            place.into(),
            kind.into(),
            row.into(),
            body.into(),
        ];
        Statement::new(PART, values)
    };
    let mut statements = vec![Statement::new(STREAM, values)];
    statements.extend((0..).zip(parts).map(part));
    statements
}
