//! Stream management (XEP-0198) of sessions: acknowledgements, and streams that are taken up again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use waxwing_xmpp::sm::{self, TooHigh};
use waxwing_xmpp::{Jid, StanzaError};

use crate::account::Drain;
use crate::db::DbError;
use crate::exchange::Exchange;
use crate::outbox::{Origin, Taken};
use crate::session::Session;

mod restart;

/// How long a resumption waits for the connection before it to leave.
const TAKEOVER: Duration = Duration::from_secs(10);
/// Messages of an account among which a lost stream's count is looked for.
const REMEMBERED: usize = 256;

/// The streams that can be resumed, by their id.
#[derive(Default)]
pub struct Streams(Mutex<HashMap<i64, Stream>>);

struct Stream {
    session: Arc<Session>,
    /// How long it is kept without a connection, in seconds.
    max: u64,
    /// When it ends, by the monotonic clock; `None` while it has a connection.
    ends: Option<Duration>,
}

/// Why a stream is not resumed.
pub enum NotResumed {
    /// The answer is `<failed/>`, with what was handled of it if that is known.
    Failed(Option<u32>, StanzaError),
    /// The client claims to have handled what it was not sent; the stream ends.
    TooHigh(TooHigh),
}

impl NotResumed {
    fn unknown(h: Option<u32>) -> Self {
        NotResumed::Failed(h, StanzaError::item_not_found())
    }
}

/// A session that a connection has taken up again: unless it is served, it sleeps again.
pub struct Resumed {
    exchange: Arc<Exchange>,
    session: Option<Arc<Session>>,
}

impl Resumed {
    /// Hands the session on to who serves it.
    #[must_use]
    pub fn begin(mut self) -> Option<Arc<Session>> {
        self.session.take()
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }
}

impl Drop for Resumed {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.exchange.leave(&session);
        }
    }
}

impl Exchange {
    /// Enables stream management for a session, and returns `<enabled/>`. `None`: it is enabled
    /// already. `max`: the client's wish for how long a broken stream is kept, in seconds.
    pub fn enable_management(
        &self,
        session: &Arc<Session>,
        resume: bool,
        max: Option<u64>,
    ) -> Option<String> {
        let stream = self.random_stream();
        if !session.enable(stream) {
            return None;
        }
        let most = self.settings.load().resume_seconds;
        let max = max.map_or(most, |wish| wish.min(most));
        // What is for an anonymous user is stored nowhere, and so cannot be sent again.
        let resumable = resume && max > 0 && session.account.id >= 0;
        if resumable {
            let kept = Stream {
                session: Arc::clone(session),
                max,
                ends: None,
            };
            self.streams.0.lock().insert(stream, kept);
        }
        session.outbox.manage(resumable);
        let id = format!("{stream:016x}");
        Some(sm::enabled(resumable.then_some((id.as_str(), max))))
    }

    /// Ids that nobody can guess, positive.
    fn random_stream(&self) -> i64 {
        let mut bytes = [0; 8];
        self.ids.random(&mut bytes);
        (i64::from_le_bytes(bytes) & i64::MAX).max(1)
    }

    /// The client acknowledged `h` stanzas.
    pub fn acknowledged(&self, session: &Arc<Session>, h: u32) -> Result<(), TooHigh> {
        let taken = session.outbox.acknowledged(h)?;
        self.taken(session, &taken);
        Ok(())
    }

    /// A client has shown to have taken messages: the cursors move, and who waits is told.
    pub(crate) fn taken(&self, session: &Session, taken: &Taken) {
        taken.origins.iter().for_each(Origin::settle);
        if !taken.late.is_empty() {
            let mut state = session.account.lock();
            state.taken_late.extend(taken.late.iter().cloned());
        }
        let Some(last) = taken.rows.iter().map(|row| row.id).max() else {
            return;
        };
        let account = &session.account;
        let key = session.device_key();
        {
            let mut state = account.lock();
            let new = taken.rows.iter().filter(|row| row.id > state.cursor);
            let (count, bytes) = new.fold((0, 0), |(count, bytes), row| {
                (count + 1, bytes + u64::from(row.bytes))
            });
            state.forget_stored(count, bytes);
            // Not known until something comes: what waited when the account was loaded may be newer.
            if state.last_row != 0 && last >= state.last_row {
                // Some may have gone to one device only, and count no more.
                state.mailbox = crate::account::Usage::default();
            }
            state.advance(key, last);
            if let Some(bound) = state.bound(session.reference) {
                bound.cursor = bound.cursor.max(last);
            }
        }
        // Rows that stay, or a cursor that does, mean a message twice, which is better than a loss.
        let brief: Vec<i64> = (taken.rows.iter())
            .filter(|row| row.brief)
            .map(|row| row.id)
            .collect();
        if !brief.is_empty() {
            drop(self.mailbox.remove(account.id, brief));
        }
        let now = self.now().0;
        drop(match key {
            Some(key) => self.mailbox.acknowledge(account.id, key, last, now),
            None => self.mailbox.advance(account.id, "", last, now),
        });
    }

    /// The connection of a session is gone. If it can be resumed it is kept for a while; else it
    /// ends.
    pub fn leave(self: &Arc<Self>, session: &Arc<Session>) {
        let sleeps = session.outbox.is_resumable()
            && !session.outbox.is_detached()
            && self.sleep_session(session);
        if !sleeps {
            session.outbox.drain_queue();
            self.unbind(session);
            return;
        }
        let now = self.clock.elapsed();
        if let Some(stream) = self.streams.0.lock().get_mut(&session.stream()) {
            stream.ends = Some(now + Duration::from_secs(stream.max));
        }
        tracing::debug!(session = session.reference.id, "sleeps");
    }

    /// A session that ended cannot be resumed.
    pub(crate) fn forget_stream(&self, session: &Session) {
        if session.stream() != 0 {
            self.streams.0.lock().remove(&session.stream());
        }
    }

    /// Ends sessions that nobody came back for, or that could hold no more. Returns how many.
    pub fn end_streams(self: &Arc<Self>) -> usize {
        let now = self.clock.elapsed();
        let is_over = |stream: &Stream| {
            stream
                .ends
                .is_some_and(|ends| ends <= now || stream.session.outbox.is_detached())
        };
        let over: Vec<Arc<Session>> = (self.streams.0.lock().values())
            .filter(|stream| is_over(stream))
            .map(|stream| Arc::clone(&stream.session))
            .collect();
        for session in &over {
            // It may have been taken up at this very moment.
            if session.outbox.is_asleep() {
                session.outbox.drain_queue();
                self.unbind(session);
            }
        }
        over.len()
    }

    /// Takes up a stream of an account that was authenticated (§5). A connection that still has it
    /// is told to leave. Returns the session and `<resumed/>`.
    pub async fn resume(
        self: &Arc<Self>,
        account: &Jid,
        previous: &str,
        h: u32,
    ) -> Result<(Resumed, String), NotResumed> {
        let id = i64::from_str_radix(previous, 16).map_err(|_| NotResumed::unknown(None))?;
        let known = self
            .streams
            .0
            .lock()
            .get(&id)
            .map(|stream| Arc::clone(&stream.session));
        let known = known.filter(|session| session.account.jid == *account);
        let Some(session) = known else {
            return Err(NotResumed::unknown(self.lost_stream(account, id).await));
        };
        let attached = std::future::poll_fn(|cx| session.outbox.poll_attach(cx));
        if tokio::time::timeout(TAKEOVER, attached).await.is_err() {
            return Err(NotResumed::unknown(None));
        }
        let resumed = Resumed {
            exchange: Arc::clone(self),
            session: Some(Arc::clone(&session)),
        };
        let is_bound = session.account.lock().bound(session.reference).is_some();
        if !is_bound || session.outbox.is_detached() {
            return Err(NotResumed::unknown(Some(session.handled())));
        }
        if let Some(stream) = self.streams.0.lock().get_mut(&id) {
            stream.ends = None;
        }
        // What was read of the former connection is answered for before the client sends it again.
        session.all_settled().await;
        match session.outbox.resume(h) {
            Ok(taken) => self.taken(&session, &taken),
            Err(error) => return Err(NotResumed::TooHigh(error)),
        }
        session.heard_at(self.clock.elapsed());
        self.drain_again(&session);
        let answer = sm::resumed(previous, session.handled());
        Ok((resumed, answer))
    }

    /// What was not acknowledged, and what came meanwhile, is read from the mailbox.
    fn drain_again(&self, session: &Session) {
        let mut state = session.account.lock();
        let Some(bound) = state.bound(session.reference) else {
            return;
        };
        bound.handed = bound.cursor;
        let after = bound.cursor;
        let takes = bound.takes_bare();
        let has_mail = state.may_have_mail(after);
        if let Some(bound) = state.bound(session.reference) {
            bound.set_draining((takes && has_mail).then_some(Drain { after }));
        }
    }

    /// The count of a stream that was lost in a crash: the number of its last message that was
    /// stored, if all that came before it was dealt with for certain.
    async fn lost_stream(&self, account: &Jid, stream: i64) -> Option<u32> {
        let found = async {
            let Some(account) = self.account(account.as_str()).await? else {
                return Ok(None);
            };
            let sent = self.mailbox.recent_sent(account.id, 0, REMEMBERED).await?;
            // Newest first.
            let last = sent.iter().find(|sent| sent.stream == stream);
            Ok::<_, DbError>(last.map(|sent| sent.number).filter(|number| *number > 0))
        };
        found.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the count of a stream could not be read");
            None
        })
    }
}
