//! The end of messages that are older than the retention: they go, and the senders of those that
//! nobody took are told.

use std::sync::Arc;

use waxwing_xmpp::error::{Condition, ErrorType};
use waxwing_xmpp::{Jid, Stanza, StanzaError, stanza};

use crate::account::Account;
use crate::db::DbError;
use crate::exchange::{Exchange, Receipt};
use crate::feed::is_feed;
use crate::mailbox_store::{Flags, OwnedRow, StoredRow};
use crate::stray;

/// Rows that are looked at in one go, so that expiry never keeps the writer from others.
const BATCH: usize = 200;

impl Exchange {
    /// Removes messages that are older than the retention. Returns how many.
    pub async fn expire_mailbox(self: &Arc<Self>) -> Result<usize, DbError> {
        let before = self.now().days_before(self.settings.load().retention_days);
        let mut expired = 0;
        loop {
            let rows = self.mailbox.expired(before.0, BATCH).await?;
            let count = rows.len();
            let ids = rows.iter().map(|owned| owned.row.id).collect();
            for owned in rows {
                if self.is_undelivered(&owned).await? {
                    self.tell_of(owned.row).await?;
                }
            }
            self.mailbox.remove_expired(ids).await?;
            expired += count;
            if count < BATCH {
                return Ok(expired);
            }
        }
    }

    /// Whether no device has acknowledged a row that is owed. From now on it counts no more. What an
    /// account in memory knows is newer than the table.
    async fn is_undelivered(&self, owned: &OwnedRow) -> Result<bool, DbError> {
        let row = &owned.row;
        // Of a feed nobody is told: it is for whoever follows it.
        if !row.flags.any(Flags::INCOMING) || is_feed(owned.recipient) {
            return Ok(false);
        }
        if let Some(account) = self.recipient_in_memory(owned) {
            let mut state = account.lock();
            let known = state.strays.len();
            state.strays.retain(|stray| *stray != row.id);
            let is_new = row.id > state.cursor;
            if is_new {
                state.forget_stored(1, row.body.len() as u64);
            }
            return Ok(is_new || state.strays.len() < known);
        }
        let is_stray = async || -> Result<bool, DbError> {
            let strays = stray::load(&self.database, owned.recipient).await?;
            Ok(strays.contains(&row.id))
        };
        Ok(owned.undelivered || (row.flags.any(Flags::DIRECTED) && is_stray().await?))
    }

    fn recipient_in_memory(&self, owned: &OwnedRow) -> Option<Arc<Account>> {
        let stanza = Stanza::parse(owned.row.body.clone()).ok()?;
        let to = Jid::parse_tolerant(&stanza.to()?).ok()?;
        let account = self.registry.get(to.bare())?;
        // There may be a new account of that name.
        (account.id == owned.recipient).then_some(account)
    }

    /// The notice is on its way to the disk before the message goes: one writer, in order.
    async fn tell_of(self: &Arc<Self>, row: StoredRow) -> Result<(), DbError> {
        match Stanza::parse(row.body) {
            // A notice that nobody fetched ends here.
            Ok(stanza) if stanza.is_error() => Ok(()),
            Ok(stanza) => self.tell_sender(&row.from, &stanza).await,
            Err(error) => {
                tracing::error!(row = row.id, %error, "an expired message cannot be read");
                Ok(())
            }
        }
    }

    async fn tell_sender(self: &Arc<Self>, sender: &str, stanza: &Stanza) -> Result<(), DbError> {
        let Ok(sender) = Jid::parse_tolerant(sender) else {
            return Ok(());
        };
        if !self.is_local(&sender) {
            return Ok(());
        }
        let Some(account) = self.account(sender.bare()).await? else {
            return Ok(());
        };
        let error = StanzaError::new(Condition::RecipientUnavailable)
            .with_type(ErrorType::Cancel)
            .with_text("the message waited too long for its recipient and was removed");
        let notice =
            stanza::error_reply(stanza, stanza.to().as_deref(), Some(sender.bare()), &error);
        if let Receipt::Bounced(error) = self.store_notice(&account, &notice) {
            tracing::warn!(%error, "a sender could not be told that its message expired");
        }
        Ok(())
    }
}
