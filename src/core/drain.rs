//! Emptying the mailbox into a session, and removing what it has taken.

use std::sync::Arc;

use waxwing_xmpp::Stanza;

use crate::account::Account;
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::exchange::{Exchange, parse_address};
use crate::mailbox_store::{Flags, StoredRow};
use crate::outbox::{Held, Push};
use crate::position::Next;
use crate::powers::Direction;
use crate::session::{Session, SessionRef};

/// How a page of the mailbox went.
pub enum Page {
    /// There is more.
    More,
    /// There is nothing left, or the session is not drained any more.
    Done,
}

impl Exchange {
    /// Hands the next page to a session that is being drained: of the presence that it is shown
    /// first, of the mailbox, and then of the feeds that it follows. Rows stay until the client has
    /// shown that it took them.
    pub async fn drain_page(self: &Arc<Self>, session: &Arc<Session>) -> Result<Page, DbError> {
        if let Page::More = self.greet_page(session).await {
            return Ok(Page::More);
        }
        if let Page::More = self.drain_mailbox(session).await? {
            return Ok(Page::More);
        }
        for feed in session.feeds() {
            if let Page::More = feed.drain_page(self, session).await? {
                return Ok(Page::More);
            }
        }
        Ok(Page::Done)
    }

    async fn drain_mailbox(self: &Arc<Self>, session: &Arc<Session>) -> Result<Page, DbError> {
        let account = &session.account;
        let Some((next, newest)) = drain_position(account, session.reference) else {
            return Ok(Page::Done);
        };
        if !matches!(next, Next::Page(after) if newest <= after) {
            // What was appended so far must be committed to be read.
            self.database.batch(Vec::new()).await?;
        }
        match next {
            Next::Named(ids) => {
                let rows = self.mailbox.queued(account.id, &ids).await?;
                Ok(self.give_named(session, &ids, rows))
            }
            Next::Page(after) => {
                let rows = self.mailbox.page(account.id, after, 64, 64 * 1024).await?;
                Ok(self.give_page(session, rows, newest))
            }
        }
    }

    fn give_named(&self, session: &Arc<Session>, ids: &[i64], rows: Vec<StoredRow>) -> Page {
        let mut state = session.account.lock();
        let Some(bound) = state.bound(session.reference) else {
            return Page::Done;
        };
        bound.reposition(|position| position.gave_named(ids));
        for row in rows {
            // By name a row is for the session, whatever it says.
            if self.queue_row(session, row, false, true) == Push::Detached {
                return Page::Done;
            }
        }
        Page::More
    }

    fn give_page(&self, session: &Arc<Session>, rows: Vec<StoredRow>, newest: i64) -> Page {
        let mut state = session.account.lock();
        let (unchanged, cursor) = (state.last_row == newest, state.cursor);
        let strays = state.strays.clone();
        let Some(bound) = state.bound(session.reference) else {
            return Page::Done;
        };
        if !bound.position.is_draining() {
            return Page::Done;
        }
        if rows.is_empty() {
            if !unchanged {
                return Page::More;
            }
            let before = bound.position.cursor();
            bound.reposition(|position| position.finish(newest));
            let cursor = bound.position.cursor();
            if cursor > before && !state.removed {
                // What was taken before the pages came to it.
                let key = session.device_key();
                state.advance(key, cursor);
                let now = self.now().0;
                self.mailbox
                    .acknowledge(session.account.id, key, cursor, now);
            }
            return Page::Done;
        }
        for row in rows {
            let is_undelivered = row.id > cursor || strays.contains(&row.id);
            if bound.position.reached(row.id)
                && self.queue_row(session, row, true, is_undelivered) == Push::Detached
            {
                return Page::Done;
            }
        }
        Page::More
    }

    /// Queues a row, marked as late. One for another resource is given as a copy, if the session
    /// wants copies, or as it is if `for_anybody`. One that cannot be read is left alone.
    fn queue_row(
        &self,
        session: &Session,
        row: StoredRow,
        in_order: bool,
        for_anybody: bool,
    ) -> Push {
        let (id, received) = (row.id, Timestamp(row.received_at_ms()));
        let bytes = u32::try_from(row.body.len()).unwrap_or(u32::MAX);
        let (flags, archive) = (row.flags, Flags::ARCHIVED | Flags::SENT);
        let Ok(mut stanza) = Stanza::parse(row.body) else {
            tracing::error!(
                row = id,
                "a stored message cannot be read; it is left alone"
            );
            return Push::Queued;
        };
        let is_for_another = flags.any(Flags::DIRECTED) && !is_to(&stanza, session);
        if flags.any(Flags::ARCHIVED) {
            stanza = self.stamp_stored(stanza, &session.account, id);
        }
        if is_for_another {
            match self.copy(&stanza, Direction::Received, session) {
                Some(copy) => stanza = copy,
                None if for_anybody => {}
                None => return Push::Queued,
            }
        }
        let held = Held::Row {
            id,
            bytes,
            brief: !flags.any(archive),
            in_order,
            directed: false,
        };
        let stanza = self.stamp_delay(stanza, received);
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

fn is_to(stanza: &Stanza, session: &Session) -> bool {
    stanza
        .to()
        .is_some_and(|to| parse_address(&to).is_ok_and(|to| to == session.jid))
}

fn drain_position(account: &Account, reference: SessionRef) -> Option<(Next, i64)> {
    let mut state = account.lock();
    let newest = state.last_row;
    let next = state.bound(reference)?.position.next()?;
    Some((next, newest))
}
