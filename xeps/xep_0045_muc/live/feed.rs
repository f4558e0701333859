//! The log of a room as its sessions read it.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::Exchange;
use waxwing_core::clock::Timestamp;
use waxwing_core::db::DbError;
use waxwing_core::drain::Page;
use waxwing_core::feed::Feed;
use waxwing_core::mailbox_store::StoredRow;
use waxwing_core::outbox::Shared;
use waxwing_core::position::Next;
use waxwing_core::powers::Boxed;
use waxwing_core::session::Session;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::dom::escape_attr;
use waxwing_xmpp::{Stanza, ns};

use super::publish::with_id;
use super::{Act, Inner, Live, MESSAGE, tail};
use crate::xep_0045_muc::author;
use crate::xep_0045_muc::config::Whois;
use crate::xep_0045_muc::room::is_subject;

/// Rows of a page.
const ROWS: usize = 64;
/// Bytes of a page.
const BYTES: usize = 64 * 1024;

impl Feed for Live {
    fn owner(&self) -> i64 {
        self.id
    }

    fn decided(&self, row: i64, is_committed: bool) -> bool {
        self.decide(row, is_committed)
    }

    fn announce(&self) {
        self.wake();
    }

    fn taken(&self, _: &Exchange, session: &Session, last: i64) {
        let mut inner = self.inner.lock();
        match inner.seats.get_mut(session.reference.id) {
            Some(seat) => seat.position.acknowledged(last),
            // It has left since.
            None => inner.forget_parted(),
        }
        let device = session.device_key();
        inner.cursors.advance(&session.jid, device, last);
        self.note(&mut inner);
    }

    fn sleep(&self, session: &Session) {
        let mut inner = self.inner.lock();
        if let Some(seat) = inner.seats.get_mut(session.reference.id) {
            seat.reposition(|position| position.rewind([], true));
        }
    }

    fn leave(self: Arc<Self>, exchange: &Arc<Exchange>, session: &Session, presence: &Stanza) {
        let mut inner = self.inner.lock();
        if inner.unseat_double(session) {
            return;
        }
        let effects = inner.room.end(&session.jid, presence);
        let outcome = self.perform(&mut inner, exchange, Act::default(), effects);
        inner.forget_parted();
        drop(inner);
        self.finish_later(exchange, outcome);
    }

    fn drain_page<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        session: &'a Arc<Session>,
    ) -> Boxed<'a, Result<Page, DbError>> {
        Box::pin(async move {
            let id = session.reference.id;
            let (after, newest) = {
                let mut inner = self.inner.lock();
                let newest = inner.newest;
                let next = inner
                    .seats
                    .get_mut(id)
                    .and_then(|seat| seat.position.next());
                match next {
                    Some(Next::Page(after)) => (after, newest),
                    // A room names no rows.
                    Some(Next::Named(_)) => return Ok(Page::Done),
                    None => {
                        inner.forget_parted();
                        return Ok(Page::Done);
                    }
                }
            };
            let mut rows = Vec::new();
            if after < newest {
                // What was said so far must be committed to be read.
                exchange.database.batch(Vec::new()).await?;
                rows = exchange.mailbox.page(self.id, after, ROWS, BYTES).await?;
            }
            Ok(self.give_page(session, rows, newest))
        })
    }
}

impl Live {
    fn give_page(&self, session: &Session, rows: Vec<StoredRow>, newest: i64) -> Page {
        let mut inner = self.inner.lock();
        let is_unchanged = inner.newest == newest;
        let subject = self.subject(&inner);
        let anonymous_until = match inner.room.config().whois {
            Whois::Anyone => inner.room.anonymous_until(&session.jid),
            Whois::Moderators => i64::MAX,
        };
        let serial = session.reference.id;
        let is_new = inner.newcomers.contains(&serial);
        let Some(seat) = inner.seats.get_mut(serial) else {
            return Page::Done;
        };
        if rows.is_empty() {
            if !is_unchanged {
                return Page::More;
            }
            seat.reposition(|position| position.finish(newest));
            if is_new {
                seat.push(tail(subject.bytes(), MESSAGE), Shared::Notice);
                inner.forget_newcomer(serial);
            }
            return Page::Done;
        }
        let mut read = None;
        for row in rows {
            let before = seat.position.handed();
            if !seat.position.reached(row.id) {
                continue;
            }
            let (id, feed) = (row.id, self.id);
            let Some(stanza) = self.late(row, anonymous_until) else {
                tracing::error!(row = id, "a message of a room cannot be read");
                continue;
            };
            // §7.2.13: subjects are no part of the past; the one that holds comes at its end.
            if is_new && is_subject(&stanza) {
                // Nothing of it is left to be acknowledged, unless something before it is.
                if seat.position.cursor() >= before {
                    seat.position.acknowledged(id);
                    read = Some(id);
                }
                continue;
            }
            seat.push(tail(stanza.bytes(), MESSAGE), Shared::Row { feed, id });
        }
        if let Some(read) = read {
            let device = session.device_key();
            inner.cursors.advance(&session.jid, device, read);
            self.note(&mut inner);
        }
        Page::More
    }

    /// A row as it is given later than it was said; above that one it names its author.
    fn late(&self, row: StoredRow, anonymous_until: i64) -> Option<Stanza> {
        let stamp = Timestamp(row.received_at_ms()).to_xep_0082();
        let stanza = Stanza::parse(row.body).ok()?;
        let by = escape_attr(self.jid.as_str());
        let delay = format!("<delay xmlns='urn:xmpp:delay' from='{by}' stamp='{stamp}'/>");
        let mut stanza = with_id(&stanza, self, row.id).with_child(&delay);
        if row.id > anonymous_until && row.from != self.jid.as_str() {
            // §7.2.13: who is not there any more cannot be looked up among the occupants.
            stanza = stanza.with_child(&author(&row.from));
        }
        Some(stanza)
    }

    /// The subject as it is told to who enters (§7.2.15).
    fn subject(&self, inner: &Inner) -> Stanza {
        let subject = inner.room.subject();
        let from = match &*subject.nick {
            "" => self.jid.to_string(),
            nick => format!("{}/{nick}", self.jid),
        };
        let mut message = Element::builder("message", ns::CLIENT)
            .with("from", &from)
            .with("type", "groupchat")
            .append(
                Element::builder("subject", ns::CLIENT)
                    .append(&*subject.text)
                    .build(),
            );
        if subject.at > 0 {
            let delay = Element::builder("delay", "urn:xmpp:delay")
                .with("from", self.jid.as_str())
                .with("stamp", Timestamp(subject.at).to_xep_0082());
            message = message.append(delay.build());
        }
        Stanza::from_element(&message.build())
    }

    /// What is left to do, where nobody waits for it.
    pub fn finish_later(&self, exchange: &Arc<Exchange>, outcome: super::Outcome) {
        let own = Arc::clone(exchange);
        exchange.do_later(async move {
            // What went wrong is in the log.
            drop(outcome.finish(&own, None).await);
        });
    }
}
