//! Feeds: rows of the mailbox that sessions follow besides those of their own account. The log of a
//! room is one.
//!
//! A feed is to a session what its account's mailbox is: rows are handed over when they are
//! committed, held in the outbox until the client has taken them, and read again where a connection
//! broke. Who owns the feed keeps how far each of its readers has got.

use std::sync::Arc;

use tokio::runtime::Handle;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use crate::db::DbError;
use crate::drain::Page;
use crate::exchange::{Exchange, Sender};
use crate::mailbox_store::{Flags, NewRow};
use crate::powers::Boxed;
use crate::resend::Marks;
use crate::session::Session;

/// The ids of feeds begin here, and end before twice of it. Those of accounts hold the millisecond
/// in which they were made in their upper bits, and are far above.
pub const FIRST_FEED: i64 = 1 << 48;

/// Whether the owner of a row is a feed, and no account.
#[must_use]
pub fn is_feed(owner: i64) -> bool {
    (FIRST_FEED..2 * FIRST_FEED).contains(&owner)
}

/// Feeds that a session can follow.
pub const MAX_FEEDS: usize = 256;

/// See the [module](self).
pub trait Feed: Send + Sync {
    /// Whose rows they are ([`is_feed`]).
    fn owner(&self) -> i64;

    /// A row is committed, or could not be: then it is to be withdrawn here and now. Called on the
    /// writer's thread, which everybody waits for. True: [`announce`](Self::announce) is to be
    /// called, where it holds nobody up.
    fn decided(&self, row: i64, is_committed: bool) -> bool;

    /// Wakes the sessions that wait for what was committed.
    fn announce(&self);

    /// The client of a session has taken the rows that it was given, up to this one.
    fn taken(&self, exchange: &Exchange, session: &Session, last: i64);

    /// The connection of a session broke, and its client may come back: what it has not taken is to
    /// be given again.
    fn sleep(&self, session: &Session);

    /// A session ended, or is not available any more; `presence` is its unavailable stanza.
    fn leave(self: Arc<Self>, exchange: &Arc<Exchange>, session: &Session, presence: &Stanza);

    /// Hands the next page of what a session was not given.
    fn drain_page<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        session: &'a Arc<Session>,
    ) -> Boxed<'a, Result<Page, DbError>>;
}

/// A message for a feed.
pub struct Publication<'a> {
    /// Whose row it becomes.
    pub feed: &'a Arc<dyn Feed>,
    /// The address that it is for.
    pub to: &'a Jid,
    /// The message as it is kept and given.
    pub stanza: &'a Stanza,
    /// The message as it was sent, by which a resend is recognised.
    pub original: &'a Stanza,
    /// The full JID that it came from.
    pub from: &'a Jid,
    /// Whether it shows in the feed's archive.
    pub archived: bool,
    /// The session that sent it, and waits for its fate.
    pub sender: Option<Sender<'a>>,
}

impl Exchange {
    /// Does what nobody waits for.
    pub fn do_later(&self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(work);
    }

    /// Stores a message for a feed and returns its row. The feed is told whether it was committed;
    /// where it was not, the sender is too. To be called under the lock of the feed: the order of
    /// the calls is the order of the rows.
    pub fn publish(self: &Arc<Self>, publication: &Publication<'_>) -> Result<i64, StanzaError> {
        let origin = publication.sender.map(Sender::hold);
        if let Some(origin) = &origin {
            origin.session.storing();
        }
        let (waiter, original) = (origin.clone(), publication.original.clone());
        let (exchange, feed) = (Arc::clone(self), Arc::clone(publication.feed));
        let runtime = Handle::current();
        let done = move |id, result: Result<(), DbError>| {
            if feed.decided(id, result.is_ok()) {
                runtime.spawn(async move { feed.announce() });
            }
            if let Err(error) = &result {
                tracing::error!(%error, "a message for a room could not be stored");
            }
            let Some(origin) = waiter else { return };
            if let Err(error) = result {
                exchange.answer_error(&origin.session, &original, &error.into());
            }
            // In this order: an `<a/>` that waits for the last of them covers it.
            origin.settle();
            origin.session.stored();
        };
        let appended = self.mailbox.append(row(self, publication), done);
        if let (Err(_), Some(origin)) = (&appended, origin) {
            origin.session.stored();
            origin.settle();
        }
        appended.map_err(|busy| {
            tracing::warn!(%busy, "a message for a room could not be queued for storing");
            StanzaError::resource_constraint()
        })
    }
}

fn row(exchange: &Exchange, publication: &Publication<'_>) -> NewRow {
    let mut flags = Flags::INCOMING;
    if publication.archived {
        flags = flags | Flags::ARCHIVED;
    }
    let sender = publication.sender.map(|sender| sender.session);
    let sender = sender.filter(|session| session.account.id >= 0);
    let marks = sender.map_or_else(Marks::default, |session| {
        exchange.marks(session, publication.original)
    });
    NewRow {
        recipient: publication.feed.owner(),
        sender_account: sender.map_or(0, |session| session.account.id),
        from: publication.from.as_str().to_owned(),
        to_bare: publication.to.bare().to_owned(),
        flags,
        received_at_ms: exchange.now().0,
        key: marks.key,
        stream: marks.stream,
        number: marks.number,
        body: publication.stanza.bytes().clone(),
    }
}
