//! Messages that are retracted: of what a room keeps nothing but a tombstone stays (XEP-0424,
//! XEP-0425).

use std::sync::Arc;

use waxwing_core::Exchange;
use waxwing_core::db::DbError;
use waxwing_xmpp::stanza::{Children, MessageType};
use waxwing_xmpp::Stanza;

use super::MultiUserChat;
use crate::xep_0045_muc::live::{Act, Live};
use crate::xep_0359_stanza_ids::parse_archive_id;
use crate::xep_0425_moderation::RETRACT;

impl MultiUserChat {
    /// The message that a message to a room retracts, as it is kept, with its id.
    pub(super) async fn retracted(
        &self,
        exchange: &Exchange,
        live: &Live,
        message: &Stanza,
    ) -> Result<Option<(String, Stanza)>, DbError> {
        let is_said = message.message_type() == MessageType::Groupchat;
        if !is_said || !message.children().intersects(Children::RETRACT) {
            return Ok(None);
        }
        let element = message.to_element();
        let retract = element.get_child("retract", RETRACT);
        let Some(id) = retract.and_then(|retract| retract.attr("id")) else {
            return Ok(None);
        };
        let target = kept(exchange, live, id).await?;
        Ok(target.map(|target| (id.to_owned(), target)))
    }

    /// Puts a tombstone in the place of what its author retracted; `retraction` is the message as it
    /// was published.
    pub(super) fn bury(
        &self,
        exchange: &Arc<Exchange>,
        live: &Arc<Live>,
        retraction: &Stanza,
        (id, target): (&str, &Stanza),
    ) {
        let mut inner = live.lock();
        let buried = inner
            .room
            .retracted(retraction, id, target, exchange.now());
        let effects = buried.into_iter().collect();
        let outcome = live.perform(&mut inner, exchange, Act::default(), effects);
        drop(inner);
        live.finish_later(exchange, outcome);
    }
}

/// A message of the room's archive.
pub(super) async fn kept(
    exchange: &Exchange,
    live: &Live,
    id: &str,
) -> Result<Option<Stanza>, DbError> {
    let Some(row) = parse_archive_id(id) else {
        return Ok(None);
    };
    exchange.database.batch(Vec::new()).await?;
    let rows = exchange.mailbox.archive_rows(live.id(), &[row]).await?;
    let found = rows.into_iter().next();
    Ok(found.and_then(|row| Stanza::parse(row.body).ok()))
}
