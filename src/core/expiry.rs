//! The end of messages that are older than the retention: they go, and the senders of those that
//! nobody took are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use waxwing_xmpp::error::{Condition, ErrorType};
use waxwing_xmpp::{Jid, Stanza, StanzaError, stanza};

use crate::account::Account;
use crate::db::DbError;
use crate::exchange::{Exchange, Receipt};
use crate::feed::is_feed;
use crate::mailbox_store::{Flags, OwnedRow, StoredRow, id_at};
use crate::stray;

/// Rows that are looked at in one go, so that expiry never keeps the writer from others.
const BATCH: usize = 200;

/// The removal of messages that are older than the retention.
#[derive(Debug, Default)]
pub struct Expiry {
    /// Rows of the last batch that may go, and could not be removed: their senders were told, and are
    /// not told again.
    ready: BTreeSet<i64>,
}

/// What became of the notice to a sender.
enum Notice {
    /// Nobody is to be told, or the sender's session has it.
    Done,
    /// It is on its way to the disk as that row.
    Storing(i64),
    /// There is too much to write at the moment.
    Later,
}

impl Expiry {
    /// Removes what is too old, with backups of that time. Returns how many messages. What cannot be
    /// removed, or whose sender cannot be told, is left for the next time.
    pub async fn sweep(&mut self, exchange: &Arc<Exchange>) -> Result<usize, DbError> {
        let days = exchange.settings.load().retention_days;
        let before = exchange.now().days_before(days).0;
        let mut expired = 0;
        loop {
            let rows = exchange.mailbox.expired(before, BATCH).await?;
            let count = rows.len();
            let ready = self.tell(exchange, rows).await?;
            let removed = self.remove(exchange, ready).await;
            expired += removed;
            // What is left would be the first again.
            if count < BATCH || removed < count {
                break;
            }
        }
        let strays = stray::removal_of_expired(id_at(before));
        exchange.database.batch(vec![strays]).await?;
        exchange.database.remove_backups(before).await;
        Ok(expired)
    }

    /// Tells the senders of what was not delivered. Returns the rows that may go: a notice is on the
    /// disk before its message goes.
    async fn tell(
        &mut self,
        exchange: &Arc<Exchange>,
        rows: Vec<OwnedRow>,
    ) -> Result<Vec<OwnedRow>, DbError> {
        let found: BTreeSet<i64> = rows.iter().map(|owned| owned.row.id).collect();
        self.ready.retain(|id| found.contains(id));
        let mut notices = Vec::new();
        for owned in &rows {
            let id = owned.row.id;
            if self.ready.contains(&id) {
                continue;
            }
            match exchange.notify(owned).await? {
                Notice::Done => drop(self.ready.insert(id)),
                Notice::Storing(notice) => notices.push((id, notice)),
                Notice::Later => {}
            }
        }
        if !notices.is_empty() {
            exchange.database.batch(Vec::new()).await?;
        }
        for (id, notice) in notices {
            if exchange.mailbox.find(notice).await?.is_some() {
                self.ready.insert(id);
            }
        }
        let is_ready = |owned: &OwnedRow| self.ready.contains(&owned.row.id);
        Ok(rows.into_iter().filter(is_ready).collect())
    }

    /// Removes rows, all at once or else as many as can be. Returns how many went.
    async fn remove(&mut self, exchange: &Exchange, rows: Vec<OwnedRow>) -> usize {
        let ids = rows.iter().map(|owned| owned.row.id).collect();
        let mut removed = rows;
        if let Err(error) = exchange.mailbox.remove_expired(ids).await {
            let all = std::mem::take(&mut removed);
            let count = all.len();
            for owned in all {
                let one = exchange.mailbox.remove_expired(vec![owned.row.id]);
                if one.await.is_ok() {
                    removed.push(owned);
                }
            }
            let left = count - removed.len();
            tracing::error!(%error, left, "messages that have reached their age could not be removed");
        }
        for owned in &removed {
            self.ready.remove(&owned.row.id);
            exchange.forget_expired(owned);
        }
        removed.len()
    }
}

impl Exchange {
    /// Tells the sender of a row, if nobody took it.
    async fn notify(self: &Arc<Self>, owned: &OwnedRow) -> Result<Notice, DbError> {
        if self.is_undelivered(owned).await? {
            self.tell_of(&owned.row).await
        } else {
            Ok(Notice::Done)
        }
    }

    /// Whether no device has acknowledged a row that is owed. What an account in memory knows is newer
    /// than the table.
    async fn is_undelivered(&self, owned: &OwnedRow) -> Result<bool, DbError> {
        let row = &owned.row;
        if !is_owed(owned) {
            return Ok(false);
        }
        if let Some(account) = self.recipient_in_memory(owned) {
            let state = account.lock();
            let is_directed = || state.directed.iter().any(|directed| directed.row == row.id);
            let is_left = || state.strays.contains(&row.id) || is_directed();
            return Ok(row.id > state.cursor || is_left());
        }
        let is_stray = async || -> Result<bool, DbError> {
            let strays = stray::load(&self.database, owned.recipient).await?;
            Ok(strays.contains(&row.id))
        };
        Ok(owned.undelivered || (row.flags.any(Flags::DIRECTED) && is_stray().await?))
    }

    /// A row is gone, and counts no more.
    fn forget_expired(&self, owned: &OwnedRow) {
        let row = &owned.row;
        if !is_owed(owned) {
            return;
        }
        if let Some(account) = self.recipient_in_memory(owned) {
            let mut state = account.lock();
            state.strays.retain(|stray| *stray != row.id);
            state.directed.retain(|directed| directed.row != row.id);
            if row.id > state.cursor {
                state.forget_stored(1, row.body.len() as u64);
            }
        }
    }

    fn recipient_in_memory(&self, owned: &OwnedRow) -> Option<Arc<Account>> {
        let stanza = Stanza::parse(owned.row.body.clone()).ok()?;
        let to = Jid::parse_tolerant(&stanza.to()?).ok()?;
        let account = self.registry.get(to.bare())?;
        // There may be a new account of that name.
        (account.id == owned.recipient).then_some(account)
    }

    async fn tell_of(self: &Arc<Self>, row: &StoredRow) -> Result<Notice, DbError> {
        match Stanza::parse(row.body.clone()) {
            // A notice that nobody fetched ends here.
            Ok(stanza) if stanza.is_error() => Ok(Notice::Done),
            Ok(stanza) => self.tell_sender(&row.from, &stanza).await,
            Err(error) => {
                tracing::error!(row = row.id, %error, "an expired message cannot be read");
                Ok(Notice::Done)
            }
        }
    }

    async fn tell_sender(
        self: &Arc<Self>,
        sender: &str,
        stanza: &Stanza,
    ) -> Result<Notice, DbError> {
        let Ok(sender) = Jid::parse_tolerant(sender) else {
            return Ok(Notice::Done);
        };
        if !self.is_local(&sender) {
            return Ok(Notice::Done);
        }
        let Some(account) = self.account(sender.bare()).await? else {
            return Ok(Notice::Done);
        };
        let error = StanzaError::new(Condition::RecipientUnavailable)
            .with_type(ErrorType::Cancel)
            .with_text("the message waited too long for its recipient and was removed");
        let notice =
            stanza::error_reply(stanza, stanza.to().as_deref(), Some(sender.bare()), &error);
        Ok(match self.store_notice(&account, &notice) {
            Receipt::Settled => Notice::Done,
            Receipt::Storing { row, .. } => Notice::Storing(row),
            Receipt::Bounced(error) if error.condition == Condition::ResourceConstraint => {
                Notice::Later
            }
            // The sender's mailbox is full.
            Receipt::Bounced(error) => {
                tracing::warn!(%error, "a sender could not be told that its message expired");
                Notice::Done
            }
        })
    }
}

/// Whether a row waits for an account. One of a feed is for whoever follows it.
fn is_owed(owned: &OwnedRow) -> bool {
    owned.row.flags.any(Flags::INCOMING) && !is_feed(owned.recipient)
}
