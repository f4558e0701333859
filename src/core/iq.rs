//! IQ stanzas (RFC 6120 §8.2.3, RFC 6121 §8.5): answered here by extensions, or passed on.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use minidom::Element;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::dom::escape_attr;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::stanza::{Frame, IqType};
use waxwing_xmpp::{Jid, Stanza, StanzaError, StreamError, ns, stanza};

use crate::account::Account;
use crate::exchange::{Exchange, parse_address};
use crate::outbox::Close;
use crate::powers::{Answered, Place, Query, Serve, Verb};
use crate::session::Session;

/// The prefix of the ids of pings that the server sends.
pub const PROBE_PREFIX: &str = "probe-";

impl Exchange {
    /// Takes an IQ that a client sent.
    pub(crate) async fn accept_iq(self: &Arc<Self>, session: &Arc<Session>, frame: &Frame<'_>) {
        let to = match frame.to() {
            None => session.account.jid.clone(),
            Some(to) => match parse_address(&to) {
                Ok(to) => to,
                Err(_) => return self.refuse_iq(session, frame, &StanzaError::jid_malformed()),
            },
        };
        if frame.id().is_none() {
            return self.refuse_iq(session, frame, &StanzaError::bad_request());
        }
        let verb = match frame.iq_type() {
            IqType::Get => Verb::Get,
            IqType::Set => Verb::Set,
            IqType::Result | IqType::Error => return self.pass_response(session, frame, &to).await,
            IqType::Unknown => return self.refuse_iq(session, frame, &StanzaError::bad_request()),
        };
        if frame.child_count() != 1 {
            return self.refuse_iq(session, frame, &StanzaError::bad_request());
        }
        let service = self.services.find(&to);
        if service.is_none() && !self.is_local(&to) {
            return self.refuse_iq(session, frame, &StanzaError::remote_server_not_found());
        }
        if let Some(service) = service.filter(|_| to.is_full()) {
            return self.relay(service, session, frame, &to).await;
        }
        if to.is_full() && to.local().is_some() {
            return self.pass_request(session, frame, &to);
        }
        // Whoever reads an answer may take it that what was sent before is safe.
        session.settled().await;
        let (place, account) = match self.addressed(session, &to).await {
            Ok(addressed) => addressed,
            Err(error) => return self.refuse_iq(session, frame, &error),
        };
        let outcome = self
            .answer(session, frame, verb, place, (&to, account))
            .await;
        match outcome {
            Ok(child) => {
                let from = frame.to().map(|_| to.as_str());
                session
                    .outbox
                    .push(&result(frame, from, session.jid.as_str(), child));
                if session.account.lock().removed {
                    // XEP-0077 §3.2: its account is gone; the answer is the last it gets.
                    session.outbox.close(Close::Error(StreamError::new(
                        StreamCondition::NotAuthorized,
                    )));
                }
            }
            Err(error) => self.refuse_iq(session, frame, &error),
        }
    }

    /// Which place an address of this domain is, and the account there.
    async fn addressed(
        &self,
        session: &Session,
        to: &Jid,
    ) -> Result<(Place, Arc<Account>), StanzaError> {
        if let Some(service) = self.services.find(to) {
            return Ok((service.place(to), Arc::clone(&session.account)));
        }
        if to.local().is_none() {
            return match to.resource() {
                None => Ok((Place::Server, Arc::clone(&session.account))),
                Some(_) => Err(StanzaError::service_unavailable()),
            };
        }
        if *to == session.account.jid {
            return Ok((Place::Account, Arc::clone(&session.account)));
        }
        match self.account(to.bare()).await? {
            Some(account) => Ok((Place::Account, account)),
            None => Err(StanzaError::service_unavailable()),
        }
    }

    async fn answer(
        self: &Arc<Self>,
        session: &Arc<Session>,
        frame: &Frame<'_>,
        verb: Verb,
        place: Place,
        (to, account): (&Jid, Arc<Account>),
    ) -> Answered {
        let Some((namespace, name)) = frame.payload() else {
            return Err(StanzaError::bad_request());
        };
        let Some(answer) = self.iq_table.find(verb, place, &namespace, name) else {
            return Err(StanzaError::service_unavailable());
        };
        let payload = frame
            .payload_element()
            .ok_or_else(StanzaError::bad_request)?;
        let (from, session) = (session.jid.clone(), Arc::clone(session));
        let query = Query {
            verb,
            place,
            from,
            to: to.clone(),
            session,
            account,
            payload,
        };
        guarded(answer.answer(self, query))
            .await
            .unwrap_or_else(|Panicked| {
                tracing::error!(id = ?frame.id(), "the handler of an IQ panicked");
                Err(StanzaError::internal_server_error())
            })
    }

    /// A request to a full JID is for that session (RFC 6121 §8.5.3).
    fn pass_request(&self, session: &Arc<Session>, frame: &Frame<'_>, to: &Jid) {
        let stanza = frame.stamp(session.jid.as_str(), session.lang.as_deref());
        let Some(account) = self.registry.get(to.bare()) else {
            return self.refuse_iq(session, frame, &StanzaError::service_unavailable());
        };
        // First: what a guard says would show a stranger that somebody is there.
        if !shares_presence(&account, to, &session.jid) {
            return self.refuse_iq(session, frame, &StanzaError::service_unavailable());
        }
        let mut guards = self.powers.guard.iter();
        if let Err(error) =
            guards.try_for_each(|guard| guard.check_request(&account, &session.jid, &stanza))
        {
            return self.refuse_iq(session, frame, &error);
        }
        if !self.pass_iq(to, &stanza) {
            self.refuse_iq(session, frame, &StanzaError::service_unavailable());
        }
    }

    /// An IQ for what an address of a service stands for: an occupant of a room.
    async fn relay(
        self: &Arc<Self>,
        service: &Arc<dyn Serve>,
        session: &Arc<Session>,
        frame: &Frame<'_>,
        to: &Jid,
    ) {
        let stanza = frame.stamp(session.jid.as_str(), session.lang.as_deref());
        if let Err(error) = service.relay(self, session, &stanza, to).await {
            self.refuse_iq(session, frame, &error);
        }
    }

    async fn pass_response(self: &Arc<Self>, session: &Arc<Session>, frame: &Frame<'_>, to: &Jid) {
        if let Some(service) = self.services.find(to) {
            return self.relay(service, session, frame, to).await;
        }
        if to.is_full() && to.local().is_some() {
            let stanza = frame.stamp(session.jid.as_str(), session.lang.as_deref());
            // A response to somebody who is gone is ignored (§8.5.3.2.3).
            self.pass_iq(to, &stanza);
            return;
        }
        let probe = frame.id().and_then(|id| parse_probe(&id));
        if let Some(probe) = probe {
            self.probe_answered(session, probe);
        }
    }

    /// Queues a stanza for the session with that full JID, whoever sent it. False: there is none.
    pub fn pass_iq(&self, to: &Jid, stanza: &Stanza) -> bool {
        let Some(account) = self.registry.get(to.bare()) else {
            return false;
        };
        let state = account.lock();
        let bound = to.resource().and_then(|resource| state.resource(resource));
        bound.is_some_and(|bound| bound.session.outbox.push(stanza) == crate::outbox::Push::Queued)
    }

    fn refuse_iq(&self, session: &Session, frame: &Frame<'_>, error: &StanzaError) {
        if !matches!(frame.iq_type(), IqType::Result | IqType::Error) {
            let stanza = frame.stamp(session.jid.as_str(), None);
            self.answer_error(session, &stanza, error);
        }
    }
}

/// RFC 6121 §8.5.3.1: only who may see a resource can ask it something; for others it is as if it
/// were not there. Who names a resource that nobody can guess has been shown it.
fn shares_presence(account: &Account, to: &Jid, asker: &Jid) -> bool {
    let state = account.lock();
    let subscription = state.roster.state(asker.bare()).subscription;
    if asker.bare() == account.jid.as_str() || subscription.includes_from() {
        return true;
    }
    let bound = to.resource().and_then(|resource| state.resource(resource));
    bound.is_some_and(|bound| {
        let mut directed = bound.directed.iter();
        bound.session.resource_is_secret
            || directed.any(|known| known == asker || known.as_str() == asker.bare())
    })
}

/// The ping by which the server asks a client whether it lives and what it has taken (XEP-0199), as
/// it is written.
#[must_use]
pub fn probe(domain: &str, to: &str, id: u64) -> Bytes {
    let (domain, to) = (escape_attr(domain), escape_attr(to));
    Bytes::from(format!(
        "<iq type='get' from='{domain}' to='{to}' id='{PROBE_PREFIX}{id:x}'>\
         <ping xmlns='urn:xmpp:ping'/></iq>"
    ))
}

fn parse_probe(id: &str) -> Option<u64> {
    u64::from_str_radix(id.strip_prefix(PROBE_PREFIX)?, 16).ok()
}

fn result(frame: &Frame<'_>, from: Option<&str>, to: &str, child: Option<Element>) -> Stanza {
    let Some(child) = child else {
        return stanza::empty_result(frame, from, Some(to));
    };
    let mut iq = Element::builder("iq", ns::CLIENT)
        .with("type", "result")
        .with("to", to);
    if let Some(from) = from {
        iq = iq.with("from", from);
    }
    if let Some(id) = frame.id() {
        iq = iq.with("id", id);
    }
    Stanza::from_element(&iq.append(child).build())
}

struct Panicked;

/// Runs a future of an extension; its panic stays its own.
async fn guarded<T>(future: impl Future<Output = T> + Unpin) -> Result<T, Panicked> {
    struct Guarded<F>(F);
    impl<F: Future + Unpin> Future for Guarded<F> {
        type Output = Result<F::Output, Panicked>;
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx))) {
                Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(_) => Poll::Ready(Err(Panicked)),
            }
        }
    }
    Guarded(future).await
}
