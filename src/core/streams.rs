//! Stream management (XEP-0198) of sessions: acknowledgements, and streams that are taken up again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use waxwing_xmpp::sm::{self, TooHigh};
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use crate::account::{State, Usage};
use crate::clock::Timestamp;
use crate::db::{DbError, Statement};
use crate::exchange::Exchange;
use crate::outbox::{Close, Origin, Taken, TakenRow};
use crate::session::Session;
use crate::stray;

mod restart;

/// How long a resumption waits for the connection before it to leave, and then for what that read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages of an account among which a lost stream's count is looked for.
const REMEMBERED: usize = 256;

/// Streams that ended well and are remembered; beyond, the oldest are forgotten.
const MAX_FINISHED: usize = 16_384;

/// Streams by their ids.
#[derive(Default)]
pub struct Streams {
    /// The sessions whose streams can be resumed. How long a broken one is kept is known to its
    /// outbox.
    resumable: Mutex<HashMap<i64, Arc<Session>>>,
    finished: Mutex<Finished>,
}

/// Streams that their clients closed when all was settled, and when: of these nothing is sent again,
/// but for what was acknowledged so late that the client may not have read that.
#[derive(Default)]
struct Finished {
    ended: HashMap<i64, Timestamp>,
    /// Oldest first.
    order: VecDeque<i64>,
}

impl Streams {
    /// The session of a stream.
    pub fn find(&self, stream: i64) -> Option<Arc<Session>> {
        self.resumable.lock().get(&stream).cloned()
    }

    /// When a stream ended well, if that is known.
    pub(crate) fn finished(&self, stream: i64) -> Option<Timestamp> {
        self.finished.lock().ended.get(&stream).copied()
    }

    fn finish(&self, stream: i64, now: Timestamp) {
        let mut finished = self.finished.lock();
        if finished.ended.insert(stream, now).is_none() {
            finished.order.push_back(stream);
        }
        if finished.order.len() > MAX_FINISHED
            && let Some(oldest) = finished.order.pop_front()
        {
            finished.ended.remove(&oldest);
        }
    }
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

/// A session that a connection owns and does not serve yet. Should it never do, one that was taken
/// up again is left as by any connection that breaks, and a new one ends: nobody was told of it.
pub struct Unserved {
    exchange: Arc<Exchange>,
    session: Option<Arc<Session>>,
    is_new: bool,
}

impl Unserved {
    /// Looks after a session that was just bound.
    #[must_use]
    pub fn new(exchange: &Arc<Exchange>, session: Arc<Session>) -> Self {
        Unserved {
            exchange: Arc::clone(exchange),
            session: Some(session),
            is_new: true,
        }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// Hands the session on to who serves it.
    #[must_use]
    pub fn serve(mut self) -> Option<Arc<Session>> {
        self.session.take()
    }
}

impl Drop for Unserved {
    fn drop(&mut self) {
        match self.session.take() {
            Some(session) if self.is_new => self.exchange.end(&session),
            Some(session) => self.exchange.leave(&session),
            None => {}
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
        let account = &session.account;
        // What is for an anonymous user is stored nowhere, and so cannot be sent again.
        let mut resumable = resume && max > 0 && account.id >= 0;
        if resumable {
            // Under the lock: a session that ends meanwhile takes its stream with it.
            let mut state = account.lock();
            resumable = state.bound(session.reference).is_some();
            if resumable {
                self.streams
                    .resumable
                    .lock()
                    .insert(stream, Arc::clone(session));
            }
        }
        let kept = resumable.then(|| Duration::from_secs(max));
        session.outbox.manage(kept);
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
        for (owner, last) in &taken.feeds {
            if let Some(feed) = session.feed(*owner) {
                feed.taken(self, session, *last);
            }
        }
        if taken.rows.is_empty() {
            return;
        }
        let in_order = taken.rows.iter().filter(|row| row.in_order);
        let last = in_order.map(|row| row.id).max();
        let account = &session.account;
        let key = session.device_key();
        let (brief, last, is_removed) = {
            let mut state = account.lock();
            let new = taken.rows.iter().filter(|row| row.id > state.cursor);
            let (count, bytes) = new.fold((0, 0), |(count, bytes), row| {
                (count + 1, bytes + u64::from(row.bytes))
            });
            state.forget_stored(count, bytes);
            // Not known until something comes: what waited when the account was loaded may be newer.
            if state.last_row != 0 && last.is_some_and(|last| last >= state.last_row) {
                // Some may have gone to one device only, and count no more.
                state.mailbox = Usage::default();
            }
            let last = match state.bound(session.reference) {
                Some(bound) => bound.took(&taken.rows, last),
                None => last,
            };
            if let Some(last) = last {
                state.advance(key, last);
            }
            self.note_strays(account.id, &mut state, &taken.rows);
            // What no archive shows goes when it was taken, but not from under another session that
            // was promised it (XEP-0198 §5).
            let brief = taken.rows.iter().filter(|row| row.brief).map(|row| row.id);
            let brief = state.unawaited(brief.collect(), session.reference);
            (brief, last, state.removed)
        };
        // Rows that stay, or a cursor that does, mean a message twice, which is better than a loss.
        if !brief.is_empty() {
            drop(self.mailbox.remove(account.id, brief));
        }
        if let Some(last) = last.filter(|_| !is_removed) {
            self.mailbox
                .acknowledge(account.id, key, last, self.now().0);
        }
    }

    /// What was taken is left behind no more. What is for one session and was passed by the cursor is,
    /// should the server crash: that is on its way to the disk before the cursor, which is written
    /// later.
    fn note_strays(&self, account: i64, state: &mut State, taken: &[TakenRow]) {
        if state.strays.is_empty() && state.directed.is_empty() {
            return;
        }
        let taken: HashSet<i64> = taken.iter().map(|row| row.id).collect();
        let directed = state.take_directed(|directed| taken.contains(&directed.row));
        let noted = directed.into_iter().filter(|directed| directed.is_noted);
        let left = state.strays.extract_if(.., |row| taken.contains(row));
        let gone = noted.map(|directed| directed.row).chain(left);
        let mut statements: Vec<Statement> = gone.map(|row| stray::removal(account, row)).collect();
        let passed = state.note_passed().into_iter();
        statements.extend(passed.map(|row| stray::entry(account, row)));
        if !statements.is_empty() {
            self.write_behind(statements, "what is left behind could not be noted");
        }
    }

    /// The connection of a session is gone. If it can be resumed it is kept for a while; else it
    /// ends.
    pub fn leave(self: &Arc<Self>, session: &Arc<Session>) {
        let sleeps = session.outbox.is_resumable()
            && !session.outbox.is_detached()
            && self.sleep_session(session);
        if sleeps {
            tracing::debug!(session = session.reference.id, "sleeps");
        } else {
            self.end(session);
        }
    }

    /// Ends a session that has no connection: what only it was given comes back to who waits for it.
    pub(crate) fn end(self: &Arc<Self>, session: &Arc<Session>) {
        let lost = session.outbox.plain_untaken();
        session.outbox.drain_queue();
        self.unbind(session);
        let stanzas = lost.into_iter().filter_map(|lost| Stanza::parse(lost).ok());
        stanzas.for_each(|stanza| self.return_lost(session, &stanza));
    }

    /// The client closes its stream. Returns the count for a last `<a/>` (XEP-0198 §4), if it is
    /// settled what became of everything that was read: then nothing is sent again.
    pub fn finish_stream(&self, session: &Session) -> Option<u32> {
        let stream = session.stream();
        let handled = session.handled_all().filter(|_| stream != 0)?;
        self.streams.finish(stream, self.now());
        Some(handled)
    }

    /// A session that ended cannot be resumed.
    pub(crate) fn forget_stream(&self, session: &Session) {
        if session.stream() != 0 {
            self.streams.resumable.lock().remove(&session.stream());
        }
    }

    /// Ends sessions that nobody came back for, or that could hold no more.
    pub fn end_streams(self: &Arc<Self>) {
        let now = self.clock.elapsed();
        let sessions: Vec<Arc<Session>> = {
            let streams = self.streams.resumable.lock();
            let over = streams
                .values()
                .filter(|session| session.outbox.expire(now));
            over.cloned().collect()
        };
        for session in &sessions {
            self.end(session);
        }
    }

    /// Takes up a stream of an account that was authenticated (§5). A connection that still has it
    /// is told to leave. Returns the session and `<resumed/>`.
    pub async fn resume(
        self: &Arc<Self>,
        account: &Jid,
        previous: &str,
        h: u32,
    ) -> Result<(Unserved, String), NotResumed> {
        let id = i64::from_str_radix(previous, 16).map_err(|_| NotResumed::unknown(None))?;
        let known = self.streams.find(id);
        let known = known.filter(|session| session.account.jid == *account);
        let Some(session) = known else {
            return Err(NotResumed::unknown(self.lost_stream(account, id).await));
        };
        let attached = std::future::poll_fn(|cx| session.outbox.poll_attach(cx));
        if tokio::time::timeout(PATIENCE, attached).await.is_err() {
            return Err(NotResumed::unknown(None));
        }
        let mut resumed = Unserved::new(self, Arc::clone(&session));
        resumed.is_new = false;
        // What was read of the former connection is answered for before the client sends it again:
        // else it would count twice, and not be recognised.
        let settled = tokio::time::timeout(PATIENCE, session.all_settled()).await;
        if settled.is_err() {
            session.outbox.close(Close::Drop);
            return Err(NotResumed::unknown(None));
        }
        let is_bound = session.account.lock().bound(session.reference).is_some();
        if !is_bound || session.outbox.is_detached() {
            return Err(NotResumed::unknown(session.last_handled()));
        }
        let again = match session.outbox.resume(h) {
            Ok((taken, again)) => {
                self.taken(&session, &taken);
                again
            }
            Err(error) => return Err(NotResumed::TooHigh(error)),
        };
        session.heard_at(self.clock.elapsed());
        self.drain_again(&session, &again);
        let answer = sm::resumed(previous, session.handled());
        Ok((resumed, answer))
    }

    /// What was not acknowledged, and what came meanwhile, is read from the mailbox: by the pages if
    /// the session takes what comes for the account, else by name.
    fn drain_again(&self, session: &Session, again: &[(i64, bool)]) {
        let mut state = session.account.lock();
        let strays = state.strays.clone();
        let Some(bound) = state.bound(session.reference) else {
            return;
        };
        let (takes, cursor) = (bound.takes_bare(), bound.position.cursor());
        let by_name = |(row, in_order): &&(i64, bool)| !(takes && (*in_order || *row > cursor));
        let all: Vec<i64> = again.iter().map(|(row, _)| *row).collect();
        let named: Vec<i64> = again.iter().filter(by_name).map(|(row, _)| *row).collect();
        let strays = strays.into_iter().filter(|_| takes);
        let has_mail = takes && state.may_have_mail(cursor);
        if let Some(bound) = state.bound(session.reference) {
            bound.reposition(|position| {
                position.pause();
                position.forget(&all);
                position.begin(named.into_iter().chain(strays), has_mail);
            });
        }
    }

    /// The count of a stream that was lost in a crash: the highest that a row says of it.
    async fn lost_stream(&self, account: &Jid, stream: i64) -> Option<u32> {
        let found = async {
            let Some(account) = self.account(account.as_str()).await? else {
                return Ok(None);
            };
            let sent = self.mailbox.recent_sent(account.id, 0, REMEMBERED).await?;
            let counts = sent.iter().filter(|sent| sent.stream == stream);
            let highest = counts.map(|sent| sent.number).max();
            Ok::<_, DbError>(highest.filter(|count| *count > 0))
        };
        found.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the count of a stream could not be read");
            None
        })
    }
}
