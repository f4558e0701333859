//! Stream management (XEP-0198) on a connection, and the client's state (XEP-0352).

use std::time::Duration;

use bytes::Bytes;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::sm::{self, Request};
use waxwing_xmpp::stanza::Frame;
use waxwing_xmpp::{StanzaError, StreamError};

use super::{Connection, Ending};

/// How long the answer to `<r/>` waits for a commit that is under way.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Whether the client waits for an `<a/>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It does not.
    No,
    /// It has asked.
    Now,
    /// It has waited long enough.
    Before,
}

impl Asked {
    /// It asks; for a question that waits already nothing changes.
    fn ask(&mut self) {
        if *self == Asked::No {
            *self = Asked::Now;
        }
    }

    /// Time has passed.
    pub(super) fn wait(&mut self) {
        if *self == Asked::Now {
            *self = Asked::Before;
        }
    }
}

/// The namespace of XEP-0352.
const CLIENT_STATE: &str = "urn:xmpp:csi:0";

impl Connection {
    /// Takes an element that is no stanza. False: it is not known.
    pub(super) fn manage(&mut self, element: &Frame<'_>) -> Result<bool, Ending> {
        if let Some(request) = Request::read(element) {
            self.requested(&request)?;
            return Ok(true);
        }
        if element.namespace() == CLIENT_STATE {
            match element.name() {
                "active" => self.session.outbox.set_inactive(false),
                "inactive" => self.session.outbox.set_inactive(true),
                _ => return Ok(false),
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn requested(&mut self, request: &Request) -> Result<(), Ending> {
        let is_on = self.session.stream() != 0;
        match *request {
            Request::Ask if is_on => self.asked.ask(),
            Request::Acknowledge(h) if is_on => {
                let exchange = &self.shared.exchange;
                (exchange.acknowledged(&self.session, h))
                    .map_err(|error| Ending::from(error.to_stream_error()))?;
                self.ask_what_was_taken();
            }
            Request::Enable { resume, max } => return self.enable(resume, max),
            Request::Malformed => self.fail(&StanzaError::bad_request()),
            Request::Ask | Request::Acknowledge(_) | Request::Resume { .. } => {
                self.fail(&StanzaError::unexpected_request());
            }
        }
        Ok(())
    }

    fn enable(&mut self, resume: bool, max: Option<u64>) -> Result<(), Ending> {
        let exchange = &self.shared.exchange;
        let Some(enabled) = exchange.enable_management(&self.session, resume, max) else {
            // §3: a client makes one attempt at most.
            let twice = StreamError::new(StreamCondition::PolicyViolation);
            return Err(twice
                .with_text("stream management was enabled before")
                .into());
        };
        self.session.outbox.push_enabled(Bytes::from(enabled));
        Ok(())
    }

    fn fail(&self, error: &StanzaError) {
        let failed = sm::failed(None, error);
        // A full outbox ends the stream by itself.
        self.session.outbox.push_raw(Bytes::from(failed));
    }

    /// The client has closed its stream: the `<a/>` for what was not acknowledged yet, if it is
    /// settled what became of everything.
    pub(super) fn last_acknowledgement(&self) -> Option<Bytes> {
        let handled = self.shared.exchange.finish_stream(&self.session)?;
        let is_new = self.acknowledged != Some(handled);
        is_new.then(|| Bytes::from(sm::ack(handled)))
    }

    /// Sends `<a/>` where it was asked for, or where the server answers for more than it has said.
    /// One answers any number of questions. While messages of the client are being stored the answer
    /// waits for the commit, but not for long (XEP-0198 §4). True: there is something to write.
    pub(super) fn acknowledge(&mut self) -> bool {
        if self.session.stream() == 0 {
            return false;
        }
        let handled = self.session.handled();
        let has_grown = self.acknowledged.unwrap_or(0) != handled;
        let is_due = match self.asked {
            Asked::No => has_grown,
            Asked::Now => has_grown || !self.session.is_storing(),
            Asked::Before => true,
        };
        if self.asked == Asked::Now && !is_due {
            self.tick_within(ANSWER_WITHIN);
        }
        // Its sender would take for stored what was refused, should the server die between the two:
        // until the error has left, nothing more is said than before. An answer that is due is given.
        let is_held = is_due && self.session.outbox.refuses();
        if is_held && self.asked != Asked::Before {
            if self.asked == Asked::Now {
                self.tick_within(ANSWER_WITHIN);
            }
            return false;
        }
        if is_due {
            let count = match self.acknowledged {
                said if is_held => said.unwrap_or(0),
                _ => handled,
            };
            self.asked = Asked::No;
            self.acknowledged = Some(count);
            self.io.queue(Bytes::from(sm::ack(count)));
        }
        is_due
    }
}
