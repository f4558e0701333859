//! An account goes: no room knows it any more, and a room whose last owner it was gets another one
//! (§10: every room has an owner).

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::db::DbError;
use waxwing_xmpp::Jid;

use super::MultiUserChat;
use super::life::address;
use crate::xep_0045_muc::live::{Act, Live};
use crate::xep_0045_muc::store;

impl MultiUserChat {
    /// Has every room that knows a user forget it. One that is read from its rows while the account
    /// goes would know it still.
    pub(super) async fn give_up(
        &self,
        exchange: &Arc<Exchange>,
        user: &Jid,
    ) -> Result<(), DbError> {
        // What was written last must be there to be read.
        exchange.database.batch(Vec::new()).await?;
        for (id, local, _) in store::rooms_of(&exchange.database, user).await? {
            let Some(jid) = address(exchange, &local) else {
                continue;
            };
            if let Some(live) = self.room(exchange, &jid).await?
                && forget(exchange, &live, user).await?
            {
                exchange.mailbox.remove_account(id).await?;
            }
        }
        Ok(())
    }
}

/// True: the room is gone, with nobody left who could own it.
async fn forget(exchange: &Arc<Exchange>, live: &Arc<Live>, user: &Jid) -> Result<bool, DbError> {
    let mut outcome = loop {
        let heir = heir(exchange, live, user).await?;
        let mut inner = live.lock();
        if let Some(heir) = &heir
            && !inner.room.heirs(user).contains(heir)
        {
            // It went meanwhile.
            continue;
        }
        let effects = inner.room.forget(user, heir.as_ref(), exchange.now());
        break live.perform(&mut inner, exchange, Act::default(), effects);
    };
    outcome.commit().await?;
    let is_destroyed = outcome.is_destroyed;
    live.finish_later(exchange, outcome);
    Ok(is_destroyed)
}

/// The first who could own the room and has an account.
async fn heir(exchange: &Exchange, live: &Live, user: &Jid) -> Result<Option<Jid>, DbError> {
    let heirs = live.lock().room.heirs(user);
    for heir in heirs {
        let account = exchange.account(heir.bare()).await?;
        // Anonymous users go with their session.
        if account.is_some_and(|account| account.id >= 0 && !account.lock().removed) {
            return Ok(Some(heir));
        }
    }
    Ok(None)
}
