//! The end of what waited too long: messages older than the retention go, and their senders are
//! told.

use std::sync::Arc;

use waxwing_xmpp::error::{Condition, ErrorType};
use waxwing_xmpp::{Jid, Stanza, StanzaError, stanza};

use crate::db::DbError;
use crate::exchange::{Exchange, Receipt};
use crate::mailbox_store::StoredRow;

/// Rows that are looked at in one go, so that expiry never keeps the writer from others.
const BATCH: usize = 200;

impl Exchange {
    /// Removes messages that have waited longer than the retention. Returns how many.
    pub async fn expire_mailbox(self: &Arc<Self>) -> Result<usize, DbError> {
        let before = self.now().days_before(self.settings.load().retention_days);
        let mut expired = 0;
        loop {
            let rows = self.mailbox.expired(before.0, BATCH).await?;
            let count = rows.len();
            for (account, row) in rows {
                self.expire(account, row).await?;
            }
            expired += count;
            if count < BATCH {
                return Ok(expired);
            }
        }
    }

    async fn expire(self: &Arc<Self>, account: i64, row: StoredRow) -> Result<(), DbError> {
        let (id, bytes) = (row.id, row.body.len() as u64);
        let stanza = Stanza::parse(row.body).ok();
        if let Some(stanza) = stanza.filter(|stanza| !stanza.is_error()) {
            // The notice is safe before the message goes.
            self.tell_sender(&row.sender, &stanza).await?;
        }
        self.mailbox.remove(account, vec![id]).await?;
        if let Some(account) = self
            .registry
            .all()
            .iter()
            .find(|loaded| loaded.id == account)
        {
            account.lock().forget_stored(1, bytes);
        }
        Ok(())
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
        // The commit of the notice comes before that of the removal: one writer, in order.
        Ok(())
    }
}
