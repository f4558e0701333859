//! Presence for a room (§7.2, §7.6, §7.7, §7.14), and the rooms that come of it (§10.1).

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::feed::MAX_FEEDS;
use waxwing_core::session::Session;
use waxwing_xmpp::stanza::{PresenceType, error_reply_with};
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use super::life::remove_log;
use super::{MAX_OWNED, MultiUserChat, limits};
use crate::xep_0045_muc::MUC;
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::live::{Act, Live, Log, Outcome};
use crate::xep_0045_muc::room::{Exit, Room};
use crate::xep_0045_muc::store;

impl MultiUserChat {
    pub(super) async fn appear(
        &self,
        exchange: &Arc<Exchange>,
        session: &Arc<Session>,
        presence: &Stanza,
        to: &Jid,
    ) -> Result<(), StanzaError> {
        let is_entering = presence.presence_type() == PresenceType::Available;
        let room = self.room(exchange, to).await?;
        let (live, outcome) = match room {
            Some(live) => {
                check_feeds(session, &live, is_entering)?;
                let mut inner = live.lock();
                let now = exchange.now();
                let effects = inner
                    .room
                    .presence(&session.jid, to.resource(), presence, now)?;
                let outcome = live.perform(&mut inner, exchange, acting(session), effects);
                drop(inner);
                (live, outcome)
            }
            None if is_entering => self.create(exchange, session, presence, to).await?,
            // Who is not there need not leave.
            None => return Ok(()),
        };
        let welcomed = self.welcome(exchange, session, &live, outcome).await;
        // Another connection may have ended the session meanwhile: nobody else would leave for it.
        if session.account.lock().bound(session.reference).is_none() {
            exchange.leave_feeds(session);
        }
        welcomed
    }

    /// Gives who has entered what it is owed, and waits for what was written.
    async fn welcome(
        &self,
        exchange: &Arc<Exchange>,
        session: &Arc<Session>,
        live: &Arc<Live>,
        outcome: Outcome,
    ) -> Result<(), StanzaError> {
        for entered in &outcome.entered {
            if let Err(error) = live.begin(exchange, session, entered.history).await {
                tracing::error!(%error, "the log of a room could not be read");
                let mut inner = live.lock();
                let effects = inner.room.leave(&session.jid, Exit::Fault, exchange.now());
                let left = live.perform(&mut inner, exchange, Act::default(), effects);
                drop(inner);
                live.finish_later(exchange, left);
                return Err(error.into());
            }
            if live.lock().has_come(&session.jid) {
                let forget = store::set_invited(live.id(), &session.jid, super::NEVER);
                exchange.write_behind(vec![forget], "that a member came could not be written");
            }
        }
        outcome.finish(exchange, None).await.map(drop)
    }

    /// §10.1.1: nobody is there, and who comes first owns the room.
    async fn create(
        &self,
        exchange: &Arc<Exchange>,
        session: &Arc<Session>,
        presence: &Stanza,
        to: &Jid,
    ) -> Result<(Arc<Live>, Outcome), StanzaError> {
        let creator = &session.account;
        if creator.id < 0 {
            let text = "Only users with an account can create rooms";
            return Err(StanzaError::not_allowed().with_text(text));
        }
        let known = store::rooms_of(&exchange.database, &creator.jid).await?;
        let own = known
            .iter()
            .filter(|(_, _, affiliation)| *affiliation == Affiliation::Owner);
        if own.count() >= MAX_OWNED {
            let text = "You own as many rooms as one user can";
            return Err(StanzaError::resource_constraint().with_text(text));
        }
        let now = exchange.now();
        let id = {
            let mut newest = self.newest.lock();
            *newest = store::next_id(*newest, now);
            *newest
        };
        let (bare, key) = (to.to_bare(), self.key());
        let (mut room, mut effects) =
            Room::create(bare.clone(), id, &session.jid, limits(exchange), key, now);
        // If it is refused there is no room.
        effects.extend(room.presence(&session.jid, to.resource(), presence, now)?);
        let live = Arc::new(Live::new(room, Log::default(), Arc::clone(&self.todo)));
        check_feeds(session, &live, true)?;
        if !self.insert(exchange, &bare, &live) {
            // Somebody else was faster by a moment.
            return Err(StanzaError::conflict().with_text("The room is just being created"));
        }
        let mut inner = live.lock();
        let outcome = live.perform(&mut inner, exchange, acting(session), effects);
        drop(inner);
        Ok((live, outcome))
    }

    /// False: there is one already.
    fn insert(&self, exchange: &Arc<Exchange>, bare: &Jid, live: &Arc<Live>) -> bool {
        let mut rooms = self.rooms.write();
        let is_gone = |known: &Arc<Live>| known.lock().room.is_destroyed();
        if rooms.get(bare).is_some_and(|known| !is_gone(known)) {
            return false;
        }
        if let Some(gone) = rooms.insert(bare.clone(), Arc::clone(live)) {
            let own = Arc::clone(exchange);
            exchange.do_later(async move { remove_log(&own, gone.id()).await });
        }
        true
    }
}

/// Answers who wanted to enter and may not (§7.2.1 to §7.2.10). The answer brings along what was
/// asked: by it clients know that they are not inside. Any other error is handed back; who is
/// refused a nickname (§7.6) stays.
pub(super) fn refuse(
    session: &Session,
    presence: &Stanza,
    error: StanzaError,
) -> Result<(), StanzaError> {
    if presence.to_element().get_child("x", MUC).is_none() {
        return Err(error);
    }
    let asked = format!("<x xmlns='{MUC}'/>");
    let (from, to) = (presence.to(), session.jid.as_str());
    let reply = error_reply_with(presence, from.as_deref(), Some(to), &asked, &error);
    session.outbox.push(&reply);
    Ok(())
}

fn acting(session: &Arc<Session>) -> Act<'_> {
    Act {
        session: Some(session),
        ..Act::default()
    }
}

/// A session can be in so many rooms.
fn check_feeds(session: &Session, live: &Live, is_entering: bool) -> Result<(), StanzaError> {
    let feeds = session.feeds();
    let is_known = feeds.iter().any(|feed| feed.owner() == live.id());
    if is_entering && !is_known && feeds.len() >= MAX_FEEDS {
        let text = "You are in as many rooms as one client can be";
        return Err(StanzaError::resource_constraint().with_text(text));
    }
    Ok(())
}
