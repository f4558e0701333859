//! The end of what waited too long: messages older than the retention go, and their senders are
//! told.

use std::collections::BTreeMap;
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
            let ids = rows.iter().map(|owned| owned.row.id).collect();
            let mut removed: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
            for owned in rows.into_iter().filter(|owned| owned.undelivered) {
                let (count, bytes) = removed.entry(owned.recipient).or_default();
                *count += 1;
                *bytes += owned.row.body.len() as u64;
                self.tell_of(owned.row).await?;
            }
            self.mailbox.remove_expired(ids).await?;
            for account in self.registry.all() {
                if let Some((count, bytes)) = removed.get(&account.id) {
                    account.lock().forget_stored(*count, *bytes);
                }
            }
            expired += count;
            if count < BATCH {
                return Ok(expired);
            }
        }
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
