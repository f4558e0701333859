//! A session: one bound resource of an account on one stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use waxwing_xmpp::jid::JidError;
use waxwing_xmpp::sm::{Custody, Ticket};
use waxwing_xmpp::{Jid, Stanza};

use crate::account::Account;
use crate::binding::UserAgent;
use crate::exchange::parse_address;
use crate::feed::{Feed, MAX_FEEDS};
use crate::greeting::Greeting;
use crate::outbox::{Outbox, Push};
use crate::resend::Resends;

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
    /// Whether its resource is made of chance: who names it must have been told of this session.
    pub resource_is_secret: bool,
    /// What its client said of itself (XEP-0388); nobody else is told.
    pub user_agent: Option<Box<UserAgent>>,
    /// What waits to be written to it.
    pub outbox: Outbox,
    /// The stream's default language (RFC 6120 §4.7.4), copied to stanzas that name none.
    pub lang: Option<Box<str>>,
    /// Whom the client wrote to last: nearly always whom it writes to next.
    correspondent: Mutex<Option<Jid>>,
    /// Messages of this session that are being stored.
    storing: AtomicU32,
    /// The stanzas that were read from it, and which of them are settled.
    custody: Mutex<Custody>,
    /// What its client may send again.
    pub(crate) resends: Resends,
    /// Its stream in stream management (XEP-0198); 0: it is not enabled.
    stream: AtomicI64,
    /// Whether a message of it was answered with an error.
    has_refused: AtomicBool,
    /// A copy of the account's mark, to be looked at without its lock.
    draining: AtomicBool,
    /// What it is given besides what its account holds.
    given: Mutex<Given>,
    /// How many of its feeds it is to be given pages of, and one more while it is being greeted.
    given_in_pages: AtomicU32,
    /// Whether the client asked for copies of the messages of the account's other sessions.
    copied: AtomicBool,
    /// When the client was last heard, in milliseconds of the monotonic clock.
    heard: AtomicU64,
}

/// What a session is given besides the mailbox of its account.
#[derive(Default)]
struct Given {
    /// Rows that it follows.
    feeds: Vec<Arc<dyn Feed>>,
    /// What is left of what it is shown as it becomes available.
    greeting: Option<Box<Greeting>>,
}

impl Session {
    /// A session that was just bound.
    #[must_use]
    pub fn new(
        reference: SessionRef,
        jid: Jid,
        account: Arc<Account>,
        resource_is_secret: bool,
        user_agent: Option<Box<UserAgent>>,
        outbox: Outbox,
        lang: Option<Box<str>>,
    ) -> Self {
        Session {
            reference,
            jid,
            account,
            resource_is_secret,
            user_agent,
            outbox,
            lang,
            correspondent: Mutex::default(),
            storing: AtomicU32::new(0),
            custody: Mutex::default(),
            resends: Resends::default(),
            stream: AtomicI64::new(0),
            has_refused: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            given: Mutex::default(),
            given_in_pages: AtomicU32::new(0),
            copied: AtomicBool::new(false),
            heard: AtomicU64::new(0),
        }
    }

    /// What names the device over several logins: the id of the user agent, else the resource that
    /// the client chose. `None`: it cannot be known again.
    pub fn device_key(&self) -> Option<&str> {
        let chosen = self.jid.resource().filter(|_| !self.resource_is_secret);
        self.agent_id().or(chosen)
    }

    fn agent_id(&self) -> Option<&str> {
        self.user_agent.as_ref()?.id.as_deref()
    }

    /// Whether an older session of its account ends because of it: one with the same resource, or
    /// one of the same installation of a client.
    pub(crate) fn replaces(&self, older: &Session) -> bool {
        self.jid == older.jid || (self.agent_id().is_some() && self.agent_id() == older.agent_id())
    }

    /// The device as its owner would name it; empty if the client said nothing.
    pub fn device_name(&self) -> String {
        self.user_agent
            .as_ref()
            .map(|agent| agent.name())
            .unwrap_or_default()
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

    /// Whether messages of this session are being stored.
    pub fn is_storing(&self) -> bool {
        self.storing.load(Ordering::Acquire) > 0
    }

    /// A message of this session has been stored, or refused with an error.
    pub fn stored(&self) {
        if self.storing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.outbox.wake();
        }
    }

    /// A stanza was read. What becomes of it is open only if [`Self::hold`] says so.
    pub(crate) fn take_stanza(&self) {
        self.custody.lock().take();
    }

    /// Leaves open what becomes of the stanza that was read last.
    pub(crate) fn hold(&self) -> Ticket {
        self.custody.lock().hold()
    }

    /// It is settled what became of a stanza: who waits for the acknowledgement is woken.
    pub(crate) fn settle(&self, ticket: Ticket) {
        if self.custody.lock().settle(ticket) {
            self.outbox.wake();
        }
    }

    /// The count for `<a/>`: stanzas that the server answers for (XEP-0198 §4).
    pub fn handled(&self) -> u32 {
        self.custody.lock().handled()
    }

    /// The same, if every stanza that was read is among them.
    pub(crate) fn handled_all(&self) -> Option<u32> {
        let custody = self.custody.lock();
        custody.is_settled().then(|| custody.handled())
    }

    /// The stream that the stanza read last came by, and the count that is true of it when that
    /// stanza is stored; (0, 0) without stream management. The count is 0 once a message was refused:
    /// should the server crash, nobody knows whether its sender has seen the error.
    pub(crate) fn place(&self) -> (i64, u32) {
        match self.stream() {
            0 => (0, 0),
            stream if self.has_refused.load(Ordering::Acquire) => (stream, 0),
            stream => (stream, self.custody.lock().handled_with_last()),
        }
    }

    /// Answers a message of this session with an error. What becomes of the message is settled after
    /// that: the error comes before an acknowledgement that covers both.
    pub(crate) fn refuse(&self, error: &Stanza) -> Push {
        self.has_refused.store(true, Ordering::Release);
        self.outbox.push_refusal(error)
    }

    /// The count of a stream that has ended, if its client is sure to have seen the error for each
    /// message that was refused.
    pub(crate) fn last_handled(&self) -> Option<u32> {
        let is_sure = !self.has_refused.load(Ordering::Acquire);
        is_sure.then(|| self.handled())
    }

    /// The client is quiet: what it could send again it has sent.
    pub fn forget_resends(&self) {
        self.resends.forget();
    }

    /// Its stream in stream management; 0: it is not enabled.
    pub fn stream(&self) -> i64 {
        self.stream.load(Ordering::Acquire)
    }

    /// Counts stanzas from here on. False: it did already.
    pub(crate) fn enable(&self, stream: i64) -> bool {
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        let is_new = self.stream.compare_exchange(0, stream, set, get).is_ok();
        if is_new {
            self.custody.lock().enable();
        }
        is_new
    }

    /// Takes up the stream of an earlier process, of which so many stanzas were handled. Whether one
    /// of them was refused, and whether its sender has seen that, is not known.
    pub(crate) fn restore(&self, stream: i64, handled: u32) {
        self.has_refused.store(true, Ordering::Release);
        self.stream.store(stream, Ordering::Release);
        self.custody.lock().restore(handled);
    }

    /// Waits until it is settled what became of every stanza that was read.
    pub(crate) async fn all_settled(&self) {
        std::future::poll_fn(|cx| {
            self.outbox.register(cx);
            if self.custody.lock().is_settled() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Whether the mailbox, a feed, or what it is shown first is to be emptied into this session; its owner does that by
    /// [`Exchange::drain_page`](crate::Exchange::drain_page).
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire) || self.given_in_pages.load(Ordering::Acquire) > 0
    }

    /// Follows a feed. False: it follows as many as it may.
    pub fn follow(&self, feed: Arc<dyn Feed>) -> bool {
        let feeds = &mut self.given.lock().feeds;
        let is_known = feeds.iter().any(|known| known.owner() == feed.owner());
        if !is_known && feeds.len() >= MAX_FEEDS {
            return false;
        }
        if !is_known {
            // Most follow a few, and there are many sessions.
            feeds.reserve_exact(1);
            feeds.push(feed);
        }
        true
    }

    /// Does not follow the feed of that owner any more.
    pub fn unfollow(&self, owner: i64) {
        let feeds = &mut self.given.lock().feeds;
        feeds.retain(|feed| feed.owner() != owner);
        if feeds.is_empty() {
            *feeds = Vec::new();
        }
    }

    /// What it follows.
    pub fn feeds(&self) -> Vec<Arc<dyn Feed>> {
        self.given.lock().feeds.clone()
    }

    /// The feed of that owner, if it follows it.
    pub(crate) fn feed(&self, owner: i64) -> Option<Arc<dyn Feed>> {
        let feeds = &self.given.lock().feeds;
        feeds.iter().find(|feed| feed.owner() == owner).cloned()
    }

    /// A feed begins to be emptied into this session, or is done; under the lock of the feed.
    pub fn set_feed_draining(&self, draining: bool) {
        if draining {
            self.given_in_pages.fetch_add(1, Ordering::AcqRel);
        } else {
            self.given_in_pages.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Sets what is left to be shown to it, and gives what was left. As long as there is something
    /// it is being drained.
    pub(crate) fn set_greeting(&self, left: Option<Box<Greeting>>) -> Option<Box<Greeting>> {
        let mut given = self.given.lock();
        let (was, is) = (given.greeting.is_some(), left.is_some());
        if was != is {
            self.set_feed_draining(is);
        }
        std::mem::replace(&mut given.greeting, left)
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
