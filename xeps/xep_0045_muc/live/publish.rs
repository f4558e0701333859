//! Messages to everybody in a room: stored, then handed out, in one order for all.

use std::sync::Arc;

use bytes::Bytes;
use waxwing_core::Exchange;
use waxwing_core::exchange::{Receipt, Sender};
use waxwing_core::feed::{Feed, Publication};
use waxwing_core::outbox::{Push, Shared};
use waxwing_xmpp::Stanza;
use waxwing_xmpp::stanza::Children;

use super::{Inner, Live, MESSAGE, PRESENCE, tail};
use crate::xep_0045_muc::effect::{Published, Spread};
use crate::xep_0359_stanza_ids as stanza_ids;

impl Inner {
    /// Publishes a message. Its sender's acknowledgement waits for the commit, and so does everybody
    /// who is to read it.
    pub(super) fn publish(
        &mut self,
        live: &Arc<Live>,
        exchange: &Arc<Exchange>,
        published: &Published,
        sender: Option<Sender<'_>>,
        original: Option<&Stanza>,
    ) -> Receipt {
        if !published.kept.queue && !published.kept.archive {
            self.pass(&published.stanza);
            return Receipt::Settled;
        }
        let feed = Arc::clone(live) as Arc<dyn Feed>;
        let publication = Publication {
            feed: &feed,
            to: &live.jid,
            stanza: &published.stanza,
            original: original.unwrap_or(&published.stanza),
            from: &published.sender,
            archived: published.kept.archive && self.room.config().is_archived,
            sender,
        };
        let row = match exchange.publish(&publication) {
            Ok(row) => row,
            Err(error) => return Receipt::Bounced(error),
        };
        self.newest = row;
        let stanza = with_id(&published.stanza, live, row);
        let tail = tail(stanza.bytes(), MESSAGE);
        for seat in self.seats.iter_mut() {
            seat.hand(live.id, row, &tail);
        }
        Receipt::Storing { row, sent: false }
    }

    /// Hands out what is not kept; a chat state is what nobody would miss.
    fn pass(&self, stanza: &Stanza) {
        let is_text = stanza
            .children()
            .intersects(Children::BODY | Children::ENCRYPTED);
        let kind = if is_text {
            Shared::Notice
        } else {
            Shared::Passing
        };
        let tail = tail(stanza.bytes(), MESSAGE);
        for seat in self.seats.iter() {
            // Who is not here, or has not come so far yet, need not know who is writing.
            if !seat.position.is_draining() {
                seat.push(tail.clone(), kind);
            }
        }
    }

    /// Sends everybody its own of a few variants.
    pub(super) fn spread(&self, exchange: &Exchange, spread: &Spread) {
        let start = match spread.variants.first() {
            Some(stanza) if stanza.starts_with(PRESENCE.as_bytes()) => PRESENCE,
            _ => MESSAGE,
        };
        let kind = match start {
            PRESENCE => Shared::Presence,
            _ => Shared::Notice,
        };
        let variants = spread.variants.iter();
        let tails: Vec<Bytes> = variants.map(|stanza| tail(stanza, start)).collect();
        for (to, variant) in &spread.to {
            let Some(tail) = tails.get(usize::from(*variant)) else {
                continue;
            };
            let Some(session) = super::find_session(exchange, to) else {
                continue;
            };
            if session.outbox.push_shared(to, tail.clone(), kind) == Push::Detached {
                tracing::debug!(session = session.reference.id, "takes nothing more");
            }
        }
    }
}

/// A message with the id that it has in the archive of the room.
pub(super) fn with_id(stanza: &Stanza, live: &Live, row: i64) -> Stanza {
    stanza_ids::with_id(stanza, &live.jid, row)
}
