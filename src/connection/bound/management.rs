//! Stream management (XEP-0198) on a connection, and the client's state (XEP-0352).

use bytes::Bytes;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::sm::{self, Request};
use waxwing_xmpp::stanza::Frame;
use waxwing_xmpp::{StanzaError, StreamError};

use super::{Connection, Ending};

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
            Request::Ask if is_on => self.is_asked = true,
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

    /// Sends `<a/>` where it was asked for, or where the server answers for more than it has said.
    /// One answers any number of questions. True: there is something to write.
    pub(super) fn acknowledge(&mut self) -> bool {
        if self.session.stream() == 0 {
            return false;
        }
        let handled = self.session.handled();
        let is_due = self.is_asked || self.acknowledged.unwrap_or(0) != handled;
        if is_due {
            self.is_asked = false;
            self.acknowledged = Some(handled);
            self.io.queue(Bytes::from(sm::ack(handled)));
        }
        is_due
    }
}
