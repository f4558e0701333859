//! Messages that a client sends again because it never heard that they were stored.
//!
//! A client whose session is lost sends what was not acknowledged in its next session. What had
//! been stored all the same is recognised by a hash of its sender, address, id and content, and is
//! not stored a second time. Only the first minutes of a session need that.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use waxwing_xmpp::Stanza;
use waxwing_xmpp::stanza::Children;

use crate::db::DbError;
use crate::exchange::Exchange;
use crate::mailbox_store::{Sent, time_of};
use crate::session::Session;

/// How long after a session's first message resends are looked for.
const PERIOD: Duration = Duration::from_secs(300);
/// How long ago a message may have been sent that is sent again now: a day.
const RECENT_MS: i64 = 24 * 60 * 60 * 1000;
/// Messages that the account sent last, among which they are looked for.
const REMEMBERED: usize = 1024;

/// How long before its client closed a stream an acknowledgement may have been sent that it never
/// read: ten seconds.
const UNREAD_MS: i64 = 10_000;

const UNKNOWN: u8 = 0;
const KNOWN: u8 = 1;
const OVER: u8 = 2;

/// What a session may send again.
#[derive(Default)]
pub(crate) struct Resends {
    stage: AtomicU8,
    /// Boxed: it is there for minutes of a session's life.
    known: Mutex<Option<Box<Known>>>,
}

struct Known {
    since: Duration,
    keys: HashSet<i64>,
}

impl Resends {
    /// Whether it has to be found out first what was sent before.
    pub(crate) fn is_unknown(&self) -> bool {
        self.stage.load(Ordering::Acquire) == UNKNOWN
    }

    /// Nothing more is looked for, if something was.
    pub(crate) fn forget(&self) {
        if self.stage.load(Ordering::Acquire) == KNOWN {
            self.end();
        }
    }

    /// There is nothing to look for.
    pub(crate) fn end(&self) {
        self.stage.store(OVER, Ordering::Release);
        *self.known.lock() = None;
    }

    /// Whether a message is one that was stored before; each is recognised once.
    pub(crate) fn recognise(&self, message: &Stanza, now: Duration) -> bool {
        if self.stage.load(Ordering::Acquire) != KNOWN {
            return false;
        }
        let mut guard = self.known.lock();
        let Some(known) = guard.as_mut() else {
            return false;
        };
        let key = key(message);
        let found = key != 0 && known.keys.remove(&key);
        if known.keys.is_empty() || now.saturating_sub(known.since) > PERIOD {
            *guard = None;
            self.stage.store(OVER, Ordering::Release);
        }
        found
    }
}

impl Exchange {
    /// Finds out what the account of a session sent before.
    pub(crate) async fn load_resends(&self, session: &Arc<Session>) -> Result<(), DbError> {
        let resends = &session.resends;
        if session.account.id < 0 {
            resends.end();
            return Ok(());
        }
        // What is on its way to the disk counts.
        self.database.batch(Vec::new()).await?;
        let since = self.now().0 - RECENT_MS;
        let sent = (self.mailbox)
            .recent_sent(session.account.id, since, REMEMBERED)
            .await?;
        // Nothing is sent again by who does without acknowledgements, or has them all. To look for it
        // would be wrong: ids need be unique within a stream only (RFC 6120 §8.1.3).
        let may_return = |sent: &Sent| match self.streams.finished(sent.stream) {
            Some(end) => time_of(sent.id) > end.0 - UNREAD_MS,
            None => sent.stream != 0,
        };
        let sent = sent.into_iter().filter(may_return);
        let keys: HashSet<i64> = sent.map(|sent| sent.key).collect();
        if keys.is_empty() {
            resends.end();
            return Ok(());
        }
        let since = self.clock.elapsed();
        *resends.known.lock() = Some(Box::new(Known { since, keys }));
        resends.stage.store(KNOWN, Ordering::Release);
        Ok(())
    }
}

/// What the row of a message says of how it was sent. All 0 where nobody sends it again: it came by
/// no stream that acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The hash by which it is recognised.
    pub(crate) key: i64,
    /// The stream it came by.
    pub(crate) stream: i64,
    /// The count that is true of that stream when the row is stored; 0: none is. Without the archive
    /// none is, for what was sent before may be in memory only.
    pub(crate) number: u32,
}

impl Exchange {
    /// The marks of a message that this session sent in these words.
    pub(crate) fn marks(&self, session: &Session, wrote: &Stanza) -> Marks {
        let (stream, number) = session.place();
        if stream == 0 {
            return Marks::default();
        }
        Marks {
            key: key(wrote),
            stream,
            number: if self.settings.load().archive {
                number
            } else {
                0
            },
        }
    }
}

/// The hash by which a message is recognised; 0 for one without an id, which never is. What may
/// change when it is sent again does not count: the resource it came from, and what is beside a
/// body, such as a `<delay/>` (XEP-0198 §4).
fn key(message: &Stanza) -> i64 {
    let Some(id) = message.id() else {
        return 0;
    };
    let from = message.from().unwrap_or_default();
    let sender = from.split('/').next().unwrap_or_default();
    let to = message.to().unwrap_or_default();
    let content = if message.children().contains(Children::BODY) {
        body(message.bytes())
    } else {
        message.content()
    };
    let mut hash = Sha256::new();
    for part in [sender.as_bytes(), to.as_bytes(), id.as_bytes(), content] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// From the first start tag of a body to the last end of one: for telling messages apart.
fn body(bytes: &[u8]) -> &[u8] {
    let first = memchr::memmem::find(bytes, b"<body");
    let last = memchr::memmem::rfind(bytes, b"</body");
    match (first, last) {
        (Some(first), Some(last)) if first < last => &bytes[first..last],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(attributes: &str, content: &str) -> i64 {
        let xml = format!("<message {attributes}>{content}</message>");
        key(&Stanza::parse(Bytes::from(xml)).unwrap())
    }

    #[test]
    fn a_resend_has_the_key_of_the_first() {
        let first = message("from='a@b/c' to='d@b' id='1'", "<body>hello</body>");
        let delay =
            "<body>hello</body><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>";
        assert_eq!(first, message("from='a@b/x' id='1' to='d@b'", delay));
        for (attributes, content) in [
            ("from='a@b/c' to='d@b' id='2'", "<body>hello</body>"),
            ("from='a@b/c' to='d@b' id='1'", "<body>hello!</body>"),
            ("from='a@b/c' to='e@b' id='1'", "<body>hello</body>"),
            ("from='x@b/c' to='d@b' id='1'", "<body>hello</body>"),
            (
                "from='a@b/c' to='d@b' id='1'",
                "<received xmlns='urn:xmpp:receipts' id='7'/>",
            ),
        ] {
            assert_ne!(first, message(attributes, content), "{attributes}");
        }
        assert_eq!(message("from='a@b/c' to='d@b'", "<body>hello</body>"), 0);
    }
}
