//! IQs for rooms and for the service.

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::powers::{Answer, Answered, Boxed, Claim, Place, Query, Verb};
use waxwing_xmpp::{Element, Stanza, StanzaError};

use super::MultiUserChat;
use super::commands::command;
use super::retracting::kept;
use crate::xep_0045_muc::live::{Act, Live, Outcome};
use crate::xep_0045_muc::{ADMIN, OWNER, register_form};
use crate::{
    xep_0050_commands as commands, xep_0054_vcard_temp as vcard, xep_0425_moderation as moderation,
    xep_0433_channel_search as search,
};

impl Answer for MultiUserChat {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Get, Place::Room, ADMIN, "query"),
            (Verb::Set, Place::Room, ADMIN, "query"),
            (Verb::Get, Place::Room, OWNER, "query"),
            (Verb::Set, Place::Room, OWNER, "query"),
            (Verb::Get, Place::Room, register_form::NS, "query"),
            (Verb::Set, Place::Room, register_form::NS, "query"),
            (Verb::Get, Place::Room, vcard::NS, "vCard"),
            (Verb::Set, Place::Room, vcard::NS, "vCard"),
            (Verb::Set, Place::Room, moderation::NS, "moderate"),
            (Verb::Set, Place::Room, moderation::FASTEN, "apply-to"),
            (Verb::Set, Place::Room, commands::NS, "command"),
            (Verb::Get, Place::Groups, search::NS, "search"),
        ]
    }

    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        Box::pin(async move {
            match query.place {
                Place::Groups => self.search(exchange, &query).await,
                _ => self.ask_room(exchange, &query).await,
            }
        })
    }
}

impl MultiUserChat {
    /// Asks the room, and answers when what it changed is written.
    async fn ask_room(&self, exchange: &Arc<Exchange>, query: &Query) -> Answered {
        let live = self.found(exchange, &query.to).await?;
        let payload = &query.payload;
        let is_about_a_message = [moderation::NS, moderation::FASTEN].contains(&&*payload.ns());
        let target = match (is_about_a_message, payload.attr("id")) {
            (true, Some(id)) => kept(exchange, &live, id).await?,
            _ => None,
        };
        let (answer, outcome) = asked(exchange, &live, query, target.as_ref())?;
        outcome.finish(exchange, None).await?;
        Ok(answer)
    }
}

/// What a room answers, under its lock, and what is left to do.
fn asked(
    exchange: &Arc<Exchange>,
    live: &Arc<Live>,
    query: &Query,
    target: Option<&Stanza>,
) -> Result<(Option<Element>, Outcome), StanzaError> {
    let (from, verb, payload) = (&query.from, query.verb, &query.payload);
    if query.session.account.id < 0 && payload.ns() == register_form::NS {
        // It would be a member for ever, and there for one session.
        let text = "Only users with an account can register";
        return Err(StanzaError::not_allowed().with_text(text));
    }
    let now = exchange.now();
    let mut inner = live.lock();
    let newest = inner.newest();
    let room = &mut inner.room;
    let (answer, effects) = match &*payload.ns() {
        ADMIN => room.admin(from, verb, payload, now)?,
        OWNER => room.owner(from, verb, payload, now, newest)?,
        register_form::NS => room.register(from, verb, payload, now)?,
        vcard::NS => room.vcard(from, verb, payload, now)?,
        moderation::NS | moderation::FASTEN => room.moderate(from, payload, target, now)?,
        _ => command(room, from, payload, &exchange.ids.token(), now)?,
    };
    let act = Act {
        session: Some(&query.session),
        ..Act::default()
    };
    let outcome = live.perform(&mut inner, exchange, act, effects);
    Ok((answer, outcome))
}
