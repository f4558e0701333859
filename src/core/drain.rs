//! Emptying the mailbox into a session, and removing what it has taken.

use std::sync::Arc;

use waxwing_xmpp::Stanza;

use crate::account::Account;
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::exchange::Exchange;
use crate::outbox::{Push, Untaken};
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
        let Some(drain) = &mut bound.draining else {
            return Ok(Page::Done);
        };
        if rows.is_empty() {
            if !unchanged {
                return Ok(Page::More);
            }
            bound.set_draining(None);
            return Ok(Page::Done);
        }
        for row in rows {
            drain.after = row.id;
            let bytes = row.body.len() as u64;
            let received = Timestamp(row.received_at_ms());
            let Ok(stanza) = Stanza::parse(row.body) else {
                tracing::error!(
                    row = row.id,
                    "a stored message cannot be read; it is left alone"
                );
                continue;
            };
            let stanza = self.stamp_delay(stanza, received);
            if session
                .outbox
                .push_kept(&stanza, Untaken::Row { id: row.id, bytes })
                == Push::Detached
            {
                return Ok(Page::Done);
            }
        }
        Ok(Page::More)
    }

    /// The client answered the ping `id` that the server sent: what it covered is done with.
    /// False: no such ping is on its way.
    pub fn probe_answered(self: &Arc<Self>, session: &Arc<Session>, id: u64) -> bool {
        let Some(rows) = session.outbox.probe_answered(id) else {
            return false;
        };
        if !rows.is_empty() {
            self.remove_rows(&session.account, &rows);
        }
        true
    }

    /// Removes rows that were taken.
    fn remove_rows(self: &Arc<Self>, account: &Arc<Account>, rows: &[(i64, u64)]) {
        let ids = rows.iter().map(|(id, _)| *id).collect();
        let bytes = rows.iter().map(|(_, bytes)| bytes).sum();
        account.lock().forget_stored(rows.len() as u64, bytes);
        let removal = self.mailbox.remove(account.id, ids);
        tokio::spawn(async move {
            // Rows that stay are delivered again, which is better than a loss.
            if let Err(error) = removal.await {
                tracing::error!(%error, "delivered messages could not be removed");
            }
        });
    }
}

fn drain_position(account: &Account, reference: SessionRef) -> Option<(i64, i64)> {
    let mut state = account.lock();
    let newest = state.last_row;
    let drain = state.bound(reference)?.draining?;
    Some((drain.after, newest))
}
