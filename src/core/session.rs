//! A session: one bound resource of an account on one stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use waxwing_xmpp::Jid;
use waxwing_xmpp::jid::JidError;

use crate::account::Account;
use crate::exchange::parse_address;
use crate::outbox::Outbox;

/// The address of a session inside a cluster of nodes: never a channel, so that it can be stored
/// and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionRef {
    /// The node that holds the stream; 1 on a single node.
    pub node: u16,
    /// The start of that node which opened the stream.
    pub epoch: u64,
    /// Unique within the epoch.
    pub id: u64,
}

/// See the [module](self). Shared by the connection that owns it and the account that it is of.
pub struct Session {
    /// Its address for the server.
    pub reference: SessionRef,
    /// Its full JID.
    pub jid: Jid,
    /// The account that it belongs to.
    pub account: Arc<Account>,
    /// Whether the server made its resource up: who names it must have been told.
    pub resource_is_secret: bool,
    /// What waits to be written to it.
    pub outbox: Outbox,
    /// The stream's default language (RFC 6120 §4.7.4), copied to stanzas that name none.
    pub lang: Option<Box<str>>,
    /// Whom the client wrote to last: nearly always whom it writes to next.
    correspondent: Mutex<Option<Jid>>,
    /// Messages of this session that are being stored.
    storing: AtomicU32,
    /// A copy of the account's mark, to be looked at without its lock.
    draining: AtomicBool,
    /// Whether the client asked for copies of the messages of the account's other sessions.
    copied: AtomicBool,
    /// When the client was last heard, in milliseconds of the monotonic clock.
    heard: AtomicU64,
}

impl Session {
    /// A session that was just bound.
    #[must_use]
    pub fn new(
        reference: SessionRef,
        jid: Jid,
        account: Arc<Account>,
        resource_is_secret: bool,
        outbox: Outbox,
        lang: Option<Box<str>>,
    ) -> Self {
        Session {
            reference,
            jid,
            account,
            resource_is_secret,
            outbox,
            lang,
            correspondent: Mutex::default(),
            storing: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            copied: AtomicBool::new(false),
            heard: AtomicU64::new(0),
        }
    }

    /// The address that the client wrote as `to`, read anew only if it is another than before.
    pub(crate) fn correspondent(&self, to: &str) -> Result<Jid, JidError> {
        let mut last = self.correspondent.lock();
        if let Some(known) = last.as_ref().filter(|known| known.as_str() == to) {
            return Ok(known.clone());
        }
        let jid = parse_address(to)?;
        *last = Some(jid.clone());
        Ok(jid)
    }

    /// Something of the client was read at `now`.
    pub fn heard_at(&self, now: Duration) {
        self.heard.store(
            u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// How long the client has been silent.
    pub fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.heard.load(Ordering::Relaxed)))
    }

    /// A message of this session is about to be stored.
    pub fn storing(&self) {
        self.storing.fetch_add(1, Ordering::AcqRel);
    }

    /// A message of this session has been stored, or refused with an error.
    pub fn stored(&self) {
        if self.storing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.outbox.wake();
        }
    }

    /// Whether the mailbox is to be emptied into this session; its owner does that by
    /// [`Exchange::drain_page`](crate::Exchange::drain_page).
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Sets what [`Session::is_draining`] tells, under the account's lock.
    pub(crate) fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Release);
    }

    /// Whether it gets copies of the messages of the account's other sessions
    /// ([`Copy`](crate::powers::Copy)).
    pub fn is_copied(&self) -> bool {
        self.copied.load(Ordering::Acquire)
    }

    /// Sets what [`Session::is_copied`] tells.
    pub fn set_copied(&self, copied: bool) {
        self.copied.store(copied, Ordering::Release);
    }

    /// Waits until every message accepted so far is settled. An answer that is written after this
    /// shows its reader that what it sent before is safe.
    pub async fn settled(&self) {
        std::future::poll_fn(|cx| {
            self.outbox.register(cx);
            if self.storing.load(Ordering::Acquire) == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
