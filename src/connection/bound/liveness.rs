//! Whether the client still lives and takes what it is sent: pings, and what time brings.

use std::time::Duration;

use bytes::Bytes;
use waxwing_core::iq;
use waxwing_core::outbox::ProbeNeed;
use waxwing_xmpp::StreamError;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::sm;

use super::{Connection, Ending};

/// How long a peer may leave the socket full before it counts as gone.
const STALL: Duration = Duration::from_secs(60);
/// The shortest time between two pings that only ask what was taken.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long presence and IQs may be held for a client that could miss them, before it is asked: the
/// first message that comes asks for them too.
const PROBE_LATER: Duration = Duration::from_secs(5);

impl Connection {
    /// Sends a ping behind what was written, one at a time: at most one a second while little waits.
    pub(super) fn ask_what_was_taken(&mut self) {
        let now = self.now();
        let rested = |sent: Duration| now.saturating_sub(sent) >= PROBE_EVERY;
        match self.session.outbox.needs_probe() {
            ProbeNeed::None => {}
            ProbeNeed::Now => self.probe(),
            // The first goes at once, also on a server that has just started.
            ProbeNeed::Soon if self.last_probe.is_none_or(rested) => self.probe(),
            ProbeNeed::Soon => self.tick_within(PROBE_EVERY),
            ProbeNeed::Later => self.tick_within(PROBE_LATER),
        }
    }

    fn probe(&mut self) {
        let exchange = &self.shared.exchange;
        let Some(id) = self.session.outbox.begin_probe(exchange.ids.serial()) else {
            return;
        };
        if self.session.stream() == 0 {
            let ping = iq::probe(exchange.domain.as_str(), self.session.jid.as_str(), id);
            self.io.queue(ping);
        } else {
            self.io.queue(Bytes::from_static(sm::request().as_bytes()));
        }
        self.last_probe = Some(self.now());
        self.tick_within(self.shared.config.load().limits.ping_timeout);
    }

    /// Only a socket that takes nothing ends a connection that is not being read from.
    pub(super) fn tick_while_not_reading(&mut self) -> Result<(), Ending> {
        self.tick_at = None;
        self.asked.wait();
        self.check_stall()?;
        self.tick_within(STALL / 4);
        Ok(())
    }

    fn check_stall(&self) -> Result<(), Ending> {
        let now = self.now();
        match self.stalled {
            Some((since, _)) if now.saturating_sub(since) >= STALL => Err(self.lost()),
            _ => Ok(()),
        }
    }

    /// The client does not answer. It may come back, if its session can be resumed: then only the
    /// socket is dropped.
    fn lost(&self) -> Ending {
        if self.session.outbox.is_resumable() {
            return Ending::Gone;
        }
        StreamError::new(StreamCondition::ConnectionTimeout).into()
    }

    /// Looks at what time may have brought.
    pub(super) fn tick_due(&mut self) -> Result<(), Ending> {
        let now = self.now();
        self.asked.wait();
        if self.tick_at.is_some_and(|at| now.as_secs() >= at) {
            self.tick_at = None;
        }
        let probing = self.session.outbox.is_probing();
        let limits = &self.shared.config.load_full().limits;
        let silence = self.session.silent_for(now);
        let late = |since: Duration| now.saturating_sub(since) >= limits.ping_timeout;
        let overdue =
            probing && self.last_probe.is_some_and(late) && silence >= limits.ping_timeout;
        self.check_stall()?;
        if overdue {
            return Err(self.lost());
        }
        if !probing {
            if silence >= limits.ping_after_silence {
                self.session.outbox.shrink();
                self.session.forget_resends();
                self.probe();
            } else if self.session.outbox.needs_probe() == ProbeNeed::Later {
                self.probe();
            } else {
                self.ask_what_was_taken();
            }
        }
        if self.tick_at.is_none() {
            let next = if probing {
                limits.ping_timeout
            } else {
                limits.ping_after_silence.saturating_sub(silence)
            };
            self.tick_within(next);
        }
        Ok(())
    }

    /// Has the wheel wake this connection after `wait` or earlier.
    pub(super) fn tick_within(&mut self, wait: Duration) {
        let at = self.now().as_secs() + wait.as_secs().max(1) + 1;
        if self.tick_at.is_none_or(|known| at < known) {
            self.tick_at = Some(self.shared.wheel.wake_after(&self.session, wait));
        }
    }
}
