//! A connection after binding: stanzas in, stanzas out, until one side ends it.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use waxwing_core::exchange;
use waxwing_core::outbox::{Close, Wake};
use waxwing_core::session::Session;
use waxwing_xmpp::StreamError;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::framing::{Framer, Unit};
use waxwing_xmpp::stanza::Kind;

use super::ending::{Ended, Ending};
use super::io::{Chunk, Io};
use super::reader::{Reader, Rest, stream_error};
use super::{Shared, close};
use crate::throttle::Bucket;

mod draining;
mod liveness;
mod management;

use management::Asked;

/// Pieces taken from the outbox at a time.
const BATCH: usize = 64;

/// Bytes that a connection reads in one turn, before others have theirs.
const TURN_BYTES: usize = 64 * 1024;

/// What happens next on a connection.
enum Event {
    Read(Chunk),
    End,
    Close(Close),
    Replaced,
    Tick,
}

/// How taking a stanza from the input went.
enum Taken<'a> {
    /// There is no whole one.
    Nothing,
    /// It is dealt with.
    Done,
    /// This is to be awaited first.
    Rest(exchange::Rest<'a>),
}

/// See the [module](self).
pub(crate) struct Bound {
    connection: Connection,
    framer: Framer,
    /// What was read during negotiation and not looked at.
    rest: Option<Rest>,
}

struct Connection {
    shared: Arc<Shared>,
    session: Arc<Session>,
    io: Io,
    /// When the wheel wakes this connection next, in seconds of the monotonic clock.
    tick_at: Option<u64>,
    /// The count of the last `<a/>`, once stream management is on.
    acknowledged: Option<u32>,
    /// Whether the client asked for one.
    asked: Asked,
    /// When the last ping was sent; the outbox knows whether it is still on its way.
    last_probe: Option<Duration>,
    /// Since when the socket takes nothing, and what it had taken by then.
    stalled: Option<(Duration, u64)>,
    stanzas: Bucket,
    bytes: Bucket,
}

// What lives in these futures every session pays for: what happens once in a while is boxed, and
// nothing large is moved into them.
impl Bound {
    /// Takes a session over from its negotiation.
    pub(crate) fn new(shared: Arc<Shared>, reader: Reader, session: Arc<Session>) -> Self {
        let now = shared.exchange.clock.elapsed();
        let config = shared.config.load_full();
        let limits = &config.limits;
        let bytes = u32::try_from(limits.bytes_burst).unwrap_or(u32::MAX);
        let acknowledged = Some(session.handled()).filter(|_| session.stream() != 0);
        let mut connection = Connection {
            shared,
            session,
            io: reader.io,
            tick_at: None,
            acknowledged,
            asked: Asked::No,
            last_probe: None,
            stalled: None,
            stanzas: Bucket::full(limits.stanzas_burst, now),
            bytes: Bucket::full(bytes, now),
        };
        connection.tick_within(limits.ping_after_silence);
        Bound {
            connection,
            framer: reader.framer,
            rest: reader.rest,
        }
    }

    /// Serves the session to its end.
    pub(crate) async fn serve(&mut self) {
        let Bound {
            connection,
            framer,
            rest,
        } = self;
        let ended = Ended::guard(
            Arc::clone(&connection.shared),
            Arc::clone(&connection.session),
        );
        if *connection.shared.stopping.borrow() && connection.session.outbox.is_resumable() {
            connection.session.outbox.drop_connection();
        } else if *connection.shared.stopping.borrow() {
            // Bound while the server was closing the sessions that it knew.
            let stopping = StreamError::new(StreamCondition::SystemShutdown);
            connection.session.outbox.close(Close::Error(stopping));
        }
        let mut outcome = Ok(());
        if connection.session.is_draining() {
            // It was taken up again: what it missed comes before anything else.
            outcome = Box::pin(connection.drain()).await;
        }
        if let (Ok(()), Some(rest)) = (&outcome, rest.take()) {
            outcome = connection.input(framer, &rest.chunk[rest.at..]).await;
        }
        let mut turn = 0;
        while outcome.is_ok() {
            if turn >= TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
            }
            outcome = match connection.event().await {
                Ok(Event::Read(chunk)) => {
                    turn += chunk.len();
                    connection.input(framer, &chunk).await
                }
                Ok(Event::End) => Err(Ending::Gone),
                Ok(Event::Close(how)) => Err(Ending::Close(how)),
                Ok(Event::Replaced) => Err(Ending::Replaced),
                Ok(Event::Tick) => connection.tick().await,
                Err(error) => Err(error.into()),
            };
        }
        if let Err(ending) = outcome {
            Box::pin(connection.end(ending)).await;
        }
        ended.disarm();
    }
}

impl Connection {
    fn now(&self) -> Duration {
        self.shared.exchange.clock.elapsed()
    }

    /// Writes what there is to write and waits for what comes next.
    async fn event(&mut self) -> io::Result<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if let Poll::Ready(event) = self.poll_outbox(cx)? {
            return Poll::Ready(Ok(event));
        }
        self.io
            .poll_read(cx)
            .map_ok(|chunk| chunk.map_or(Event::End, Event::Read))
    }

    /// Empties the outbox into the socket. Ready: something else is to be done.
    fn poll_outbox(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        loop {
            let writable = self.io.poll_write_queue(cx)?.is_ready();
            let taken = self.io.written();
            if writable {
                self.stalled = None;
            } else if self.stalled.is_none_or(|(_, before)| before != taken) {
                self.stalled = Some((self.now(), taken));
            }
            let mailbox = &self.shared.exchange.mailbox;
            match self
                .session
                .outbox
                .poll_take(cx, if writable { BATCH } else { 0 }, || mailbox.committed())
            {
                Poll::Ready(Wake::Bytes(pieces)) => {
                    pieces.write(|piece| self.io.queue(piece));
                    self.acknowledge();
                    self.ask_what_was_taken();
                }
                Poll::Ready(Wake::Close(how)) => return Poll::Ready(Ok(Event::Close(how))),
                Poll::Ready(Wake::Replaced) => return Poll::Ready(Ok(Event::Replaced)),
                Poll::Ready(Wake::Tick) => return Poll::Ready(Ok(Event::Tick)),
                Poll::Pending if writable && self.acknowledge() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Handles what was read.
    async fn input(&mut self, framer: &mut Framer, chunk: &[u8]) -> Result<(), Ending> {
        let mut now = self.now();
        self.session.heard_at(now);
        let (rate, burst) = {
            let limits = &self.shared.config.load().limits;
            (limits.stanzas_per_second, limits.stanzas_burst)
        };
        let mut input = chunk;
        loop {
            let has_waited = match self.accept_next(framer, &mut input)? {
                Taken::Nothing => break,
                Taken::Done => false,
                Taken::Rest(rest) => {
                    rest.await;
                    true
                }
            };
            if has_waited {
                self.after_request().await?;
                now = self.now();
            }
            // A client whose own stanzas fill its outbox reads the answers first.
            if self.session.outbox.is_half_full() {
                Box::pin(self.relieve(self.session.outbox.max_bytes() / 2)).await?;
            }
            let wait = self.stanzas.take(1, rate, burst, now);
            if !wait.is_zero() {
                Box::pin(self.wait(wait)).await?;
                now = self.now();
            }
        }
        if self.session.is_draining() {
            Box::pin(self.drain()).await?;
        }
        let wait = self.pace(chunk.len());
        if !wait.is_zero() {
            Box::pin(self.wait(wait)).await?;
        }
        // While a stanza was served or waited for nothing was read: that is not the client's silence.
        self.session.heard_at(self.now());
        Ok(())
    }

    /// Takes the next stanza of the input, if it has a whole one.
    fn accept_next<'a, 'i: 'a>(
        &'a mut self,
        framer: &'a mut Framer,
        input: &mut &'i [u8],
    ) -> Result<Taken<'a>, Ending> {
        match framer.next(input) {
            Ok(None) => Ok(Taken::Nothing),
            Ok(Some(Unit::Stanza(frame))) => {
                if frame.kind() == Kind::Other && self.manage(&frame)? {
                    return Ok(Taken::Done);
                }
                let rest = self.shared.exchange.accept(&self.session, frame)?;
                Ok(rest.map_or(Taken::Done, Taken::Rest))
            }
            Ok(Some(Unit::End)) => Err(Ending::Closed),
            // RFC 6120 §4.9.3.1: a second header is nothing that a stream can hold.
            Ok(Some(Unit::Header(_))) => Err(StreamError::new(StreamCondition::BadFormat).into()),
            Err(error) => Err(stream_error(&error).into()),
        }
    }

    /// What presence or an IQ may have left to do before the next stanza is looked at.
    async fn after_request(&mut self) -> Result<(), Ending> {
        if self.session.is_draining() {
            Box::pin(self.drain()).await?;
        }
        // If it was the answer to a ping, what the client was given since is asked for anew.
        self.ask_what_was_taken();
        Ok(())
    }

    /// How long to wait after so many bytes: a client that is slowed down to its rate is read later,
    /// and nothing is lost.
    fn pace(&mut self, bytes: usize) -> Duration {
        let limits = &self.shared.config.load().limits;
        let rate = u32::try_from(limits.bytes_per_second).unwrap_or(u32::MAX);
        let burst = u32::try_from(limits.bytes_burst).unwrap_or(u32::MAX);
        self.bytes
            .take(bytes, rate, burst, self.shared.exchange.clock.elapsed())
    }

    /// Lets time pass; what the session is sent is written meanwhile.
    async fn wait(&mut self, time: Duration) -> Result<(), Ending> {
        let until = tokio::time::sleep(time);
        tokio::pin!(until);
        loop {
            let event = poll_fn(|cx| match until.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Ok(None)),
                Poll::Pending => self.poll_outbox(cx).map_ok(Some),
            });
            let event = event.await;
            if matches!(event, Ok(None)) {
                return Ok(());
            }
            self.while_not_reading(event)?;
        }
    }

    /// A wake-up without bytes: the wheel's, or the mailbox has something for this session.
    async fn tick(&mut self) -> Result<(), Ending> {
        if self.session.is_draining() {
            let was_laden = self.session.outbox.is_laden();
            Box::pin(self.drain()).await?;
            if !was_laden {
                // Nothing was read meanwhile.
                self.session.heard_at(self.now());
            }
        }
        self.tick_due()
    }

    async fn end(&mut self, ending: Ending) {
        let mut io = self.io.take();
        let exchange = &self.shared.exchange;
        match ending {
            // A stream that was not closed may be resumed (XEP-0198 §7).
            Ending::Gone | Ending::Close(Close::Drop) => exchange.leave(&self.session),
            Ending::Replaced => {
                exchange.leave(&self.session);
                let error = StreamError::new(StreamCondition::Conflict);
                close(io, Some(&error)).await;
            }
            Ending::Closed => {
                // What is settled by now has its error, if there is one, in the queue.
                let last = self.last_acknowledgement();
                self.part(&mut io);
                last.into_iter().for_each(|last| io.queue(last));
                close(io, None).await;
            }
            Ending::Close(Close::Quiet) => {
                self.part(&mut io);
                close(io, None).await;
            }
            Ending::Close(Close::Error(error)) => {
                self.part(&mut io);
                close(io, Some(&error)).await;
            }
        }
    }

    /// Ends the session. What is queued by now is still written; what comes later goes to the
    /// mailbox.
    fn part(&self, io: &mut Io) {
        let left = self.session.outbox.drain_queue();
        self.shared.exchange.unbind(&self.session);
        left.into_iter().for_each(|piece| io.queue(piece));
    }
}

#[cfg(test)]
mod tests;
