//! Writing much before anything more is read.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use waxwing_core::drain::Page;
use waxwing_xmpp::StreamError;
use waxwing_xmpp::error::StreamCondition;

use super::{Connection, Ending, Event};

impl Connection {
    /// Empties the mailbox into the session before anything else is read: what a client asks
    /// after its initial presence is answered after its waiting messages.
    pub(super) async fn drain(&mut self) -> Result<(), Ending> {
        // Very much waits: what the client has taken of it is heard first. It goes on with that.
        while !self.session.outbox.is_laden() {
            match self.shared.exchange.drain_page(&self.session).await {
                Ok(Page::More) => self.relieve(0).await?,
                Ok(Page::Done) => return Ok(()),
                Err(error) => {
                    tracing::error!(%error, "a mailbox could not be read");
                    return Err(StreamError::new(StreamCondition::InternalServerError).into());
                }
            }
        }
        Ok(())
    }

    /// Writes until no more than `bytes` wait.
    pub(super) async fn relieve(&mut self, bytes: usize) -> Result<(), Ending> {
        while self.session.outbox.queued_bytes() > bytes {
            let event = poll_fn(|cx| {
                // Nothing is read meanwhile, so that nobody can say that the client is active again:
                // what it would be spared goes as well.
                self.session.outbox.hurry();
                match self.poll_outbox(cx)? {
                    Poll::Ready(event) => Poll::Ready(Ok(Some(event))),
                    Poll::Pending if self.session.outbox.queued_bytes() <= bytes => {
                        Poll::Ready(Ok(None))
                    }
                    Poll::Pending => Poll::Pending,
                }
            });
            let event = event.await;
            self.while_not_reading(event)?;
        }
        Ok(())
    }

    /// What comes up while nothing is read.
    pub(super) fn while_not_reading(
        &mut self,
        event: io::Result<Option<Event>>,
    ) -> Result<(), Ending> {
        match event? {
            Some(Event::Close(how)) => Err(Ending::Close(how)),
            Some(Event::Replaced) => Err(Ending::Replaced),
            Some(Event::Tick) => self.tick_while_not_reading(),
            _ => Ok(()),
        }
    }
}
