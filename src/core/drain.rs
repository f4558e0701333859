//! Emptying the mailbox into a session, and removing what it has taken.

use std::sync::Arc;

use waxwing_xmpp::Stanza;

use crate::account::{Account, Drain};
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::exchange::{Exchange, parse_address};
use crate::mailbox_store::{Flags, StoredRow};
use crate::outbox::{Held, Push};
use crate::session::{Session, SessionRef};

/// How a page of the mailbox went.
pub enum Page {
    /// There is more.
    More,
    /// The mailbox is empty, or the session is not drained any more.
    Done,
}

impl Exchange {
    /// Hands the next page of the mailbox to a session that is being drained. Rows stay until the
    /// client has shown that it took them.
    pub async fn drain_page(self: &Arc<Self>, session: &Arc<Session>) -> Result<Page, DbError> {
        let account = &session.account;
        let Some((after, newest)) = drain_position(account, session.reference) else {
            return Ok(Page::Done);
        };
        if newest > after {
            // What was appended so far must be committed to be read.
            self.database.batch(Vec::new()).await?;
        }
        let rows = self.mailbox.page(account.id, after, 64, 64 * 1024).await?;
        let mut state = account.lock();
        let unchanged = state.last_row == newest;
        let Some(bound) = state.bound(session.reference) else {
            return Ok(Page::Done);
        };
        if bound.draining.is_none() {
            return Ok(Page::Done);
        }
        if rows.is_empty() {
            if !unchanged {
                return Ok(Page::More);
            }
            bound.set_draining(None);
            bound.handed = bound.handed.max(newest);
            return Ok(Page::Done);
        }
        let cursor = state.cursor;
        for row in rows {
            let last = row.id;
            let queued = is_for(session, &row, cursor).then(|| self.queue_row(session, row));
            if queued == Some(Push::Detached) {
                return Ok(Page::Done);
            }
            if let Some(bound) = state.bound(session.reference) {
                bound.handed = bound.handed.max(last);
                bound.draining = Some(Drain { after: last });
            }
        }
        Ok(Page::More)
    }

    /// Queues a row, marked as late. One that cannot be read is left alone.
    fn queue_row(&self, session: &Session, row: StoredRow) -> Push {
        let (id, received) = (row.id, Timestamp(row.received_at_ms()));
        let bytes = u32::try_from(row.body.len()).unwrap_or(u32::MAX);
        let brief = !row.flags.any(Flags::ARCHIVED | Flags::SENT);
        let archived = row.flags.any(Flags::ARCHIVED);
        let Ok(stanza) = Stanza::parse(row.body) else {
            tracing::error!(
                row = id,
                "a stored message cannot be read; it is left alone"
            );
            return Push::Queued;
        };
        let stanza = self.stamp_delay(stanza, received);
        let stanza = if archived {
            self.stamp_stored(stanza, &session.account, id)
        } else {
            stanza
        };
        let held = Held::Row {
            id,
            bytes,
            brief,
            directed: false,
        };
        session.outbox.push_held(&stanza, held)
    }

    /// The client answered the ping `id` that the server sent: what it covered is done with.
    /// False: no such ping is on its way.
    pub fn probe_answered(self: &Arc<Self>, session: &Arc<Session>, id: u64) -> bool {
        let Some(taken) = session.outbox.probe_answered(id) else {
            return false;
        };
        self.taken(session, &taken);
        true
    }
}

/// Whether a session gets a row of its account's mailbox: not one that was for another resource,
/// unless no device has it.
fn is_for(session: &Session, row: &StoredRow, cursor: i64) -> bool {
    if !row.flags.any(Flags::DIRECTED) || row.id > cursor {
        return true;
    }
    let to = Stanza::parse(row.body.clone()).ok().and_then(|stanza| {
        let to = stanza.to()?;
        parse_address(&to).ok()
    });
    to.is_some_and(|to| to == session.jid)
}

fn drain_position(account: &Account, reference: SessionRef) -> Option<(i64, i64)> {
    let mut state = account.lock();
    let newest = state.last_row;
    let drain = state.bound(reference)?.draining?;
    Some((drain.after, newest))
}
