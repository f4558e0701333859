//! Presence (RFC 6121 §4): broadcast, probes, directed presence, and what ends with a session.

use std::sync::Arc;

use minidom::Element;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::stanza::{Frame, PresenceType};
use waxwing_xmpp::subscription::Action;
use waxwing_xmpp::{Jid, Stanza, StanzaError, ns};

use crate::account::{Account, Available, MAX_DIRECTED};
use crate::db::Statement;
use crate::exchange::{Exchange, parse_address};
use crate::position::Position;
use crate::session::Session;

/// Bytes of a presence stanza. It goes to every contact, and is kept for those who come later.
const MAX_PRESENCE: usize = 16 * 1024;

impl Exchange {
    /// Takes a presence stanza that a client sent.
    pub(crate) async fn accept_presence(
        self: &Arc<Self>,
        session: &Arc<Session>,
        frame: &Frame<'_>,
    ) {
        let stanza = frame.stamp(session.jid.as_str(), session.lang.as_deref());
        let outcome = match frame.to() {
            _ if stanza.len() > MAX_PRESENCE => {
                Err(StanzaError::policy_violation().with_text("a presence stanza can have 16 KiB"))
            }
            None => self.undirected(session, &stanza).await,
            Some(to) => match parse_address(&to) {
                Ok(to) => self.directed(session, stanza.clone(), to).await,
                Err(_) => Err(StanzaError::jid_malformed()),
            },
        };
        if let Err(error) = outcome {
            self.answer_error(session, &stanza, &error);
        }
    }

    async fn undirected(
        self: &Arc<Self>,
        session: &Arc<Session>,
        stanza: &Stanza,
    ) -> Result<(), StanzaError> {
        match stanza.presence_type() {
            PresenceType::Available => self.available(session, stanza).await,
            PresenceType::Unavailable => {
                self.unavailable(session, stanza);
                Ok(())
            }
            PresenceType::Error => Ok(()),
            // Subscriptions and probes are for somebody.
            _ => Err(StanzaError::bad_request()),
        }
    }

    /// RFC 6121 §4.2 and §4.4: initial and later presence.
    async fn available(
        self: &Arc<Self>,
        session: &Arc<Session>,
        stanza: &Stanza,
    ) -> Result<(), StanzaError> {
        let priority = priority(&stanza.to_element())?;
        let account = &session.account;
        let (initial, subscribers, others) = {
            let mut state = account.lock();
            state.arrivals += 1;
            let arrival = state.arrivals;
            let handed = state
                .bound(session.reference)
                .map_or(0, |bound| bound.position.handed());
            let has_mail = state.may_have_mail(handed);
            let strays = state.strays.clone();
            let Some(bound) = state.bound(session.reference) else {
                return Ok(());
            };
            let received = self.now();
            let available = Available {
                stanza: stanza.clone(),
                received,
                priority,
            };
            let took_before = bound.takes_bare();
            let initial = bound.presence.replace(available).is_none();
            bound.takes_since = (priority >= 0).then(|| bound.takes_since.unwrap_or(arrival));
            if bound.takes_bare() && has_mail && !took_before {
                bound.reposition(|position| position.begin(strays, true));
            }
            let subscribers: Vec<Jid> = state.roster.subscribers().cloned().collect();
            let others: Vec<(Arc<Session>, Stanza)> = state
                .available()
                .map(|(bound, available)| (Arc::clone(&bound.session), available.stanza.clone()))
                .collect();
            (initial, subscribers, others)
        };
        for (other, _) in &others {
            other.outbox.push(&stanza.with_to(other.jid.as_str()));
        }
        for contact in &subscribers {
            self.pass_presence(contact, &stanza.with_to(contact.as_str()));
        }
        if initial {
            for attend in &self.powers.attend {
                attend.available(self, session);
            }
            for (other, presence) in &others {
                if other.reference != session.reference {
                    session.outbox.push(&presence.with_to(session.jid.as_str()));
                }
            }
            self.greet(session).await;
        }
        Ok(())
    }

    /// The contact's server answers a probe of a local user (§4.3.2).
    pub(crate) async fn answer_probe(
        self: &Arc<Self>,
        contact: &Arc<Account>,
        prober: &Arc<Session>,
    ) {
        let user = prober.account.jid.as_str();
        let presences: Vec<Stanza> = {
            let state = contact.lock();
            let allowed = state.roster.state(user).subscription.includes_from();
            if !allowed {
                let refusal = presence_stanza("unsubscribed", contact.jid.as_str(), user, None);
                prober.outbox.push(&refusal);
                return;
            }
            let available = state.available().map(|(_, available)| available);
            available
                .map(|known| self.stamp_delay(known.stanza.with_to(user), known.received))
                .collect()
        };
        for presence in &presences {
            prober.outbox.push(presence);
        }
        if presences.is_empty() {
            let absent = self
                .powers
                .attend
                .iter()
                .find_map(|attend| attend.absent(self, contact));
            let child = match absent {
                Some(asked) => asked.await,
                None => None,
            };
            let gone = presence_stanza("unavailable", contact.jid.as_str(), user, child);
            prober.outbox.push(&gone);
        }
    }

    /// RFC 6121 §4.5: a session stops being available, by its own stanza or by its end.
    pub(crate) fn unavailable(self: &Arc<Self>, session: &Session, stanza: &Stanza) {
        let account = &session.account;
        let mut told: Vec<Jid> = Vec::new();
        let (was, others) = {
            let mut state = account.lock();
            let Some(bound) = state.bound(session.reference) else {
                return;
            };
            let was = bound.presence.take().is_some();
            bound.takes_since = None;
            bound.reposition(Position::pause);
            session.set_greeting(None);
            told.append(&mut bound.directed);
            if was {
                told.extend(state.roster.subscribers().cloned());
            }
            let others: Vec<_> = state
                .available()
                .map(|(bound, _)| Arc::clone(&bound.session))
                .collect();
            (was, others)
        };
        if was {
            for other in others {
                other.outbox.push(&stanza.with_to(other.jid.as_str()));
            }
            let statements: Vec<Statement> = self
                .powers
                .attend
                .iter()
                .flat_map(|attend| attend.unavailable(self, session, stanza))
                .collect();
            if !statements.is_empty() {
                self.write_behind(statements, "what a session left could not be written");
            }
        }
        // Before the contacts: to them the session is gone everywhere.
        for feed in session.feeds() {
            feed.leave(self, session, stanza);
        }
        told.sort_unstable();
        told.dedup();
        for contact in told {
            self.pass_presence(&contact, &stanza.with_to(contact.as_str()));
        }
    }

    /// The unavailable presence of a session that ends without having sent one.
    pub(crate) fn gone(self: &Arc<Self>, session: &Session) {
        self.unavailable(session, &unavailable(session));
    }

    /// A session that has ended leaves what it followed.
    pub fn leave_feeds(self: &Arc<Self>, session: &Session) {
        let feeds = session.feeds();
        if feeds.is_empty() {
            return;
        }
        let stanza = unavailable(session);
        for feed in feeds {
            feed.leave(self, session, &stanza);
        }
    }

    /// RFC 6121 §4.6 and §3: presence for somebody.
    async fn directed(
        self: &Arc<Self>,
        session: &Arc<Session>,
        stanza: Stanza,
        to: Jid,
    ) -> Result<(), StanzaError> {
        if let Some(service) = self.services.find(&to) {
            return service.presence(self, session, &stanza, &to).await;
        }
        let action = match stanza.presence_type() {
            PresenceType::Available | PresenceType::Unavailable => {
                let gone = stanza.presence_type() == PresenceType::Unavailable;
                if !self.is_local(&to) {
                    return Err(StanzaError::remote_server_not_found());
                }
                remember_directed(session, &to, gone)?;
                self.pass_presence(&to, &stanza);
                return Ok(());
            }
            PresenceType::Error => {
                self.pass_presence(&to, &stanza);
                return Ok(());
            }
            PresenceType::Probe => {
                if let (true, Ok(Some(account))) =
                    (self.is_local(&to), self.account(to.bare()).await)
                {
                    self.answer_probe(&account, session).await;
                }
                return Ok(());
            }
            PresenceType::Subscribe => Action::Subscribe,
            PresenceType::Subscribed => Action::Subscribed,
            PresenceType::Unsubscribe => Action::Unsubscribe,
            PresenceType::Unsubscribed => Action::Unsubscribed,
            // RFC 6121 §4.7.1: no other type is defined.
            PresenceType::Unknown => return Err(StanzaError::bad_request()),
        };
        self.subscription_sent(session, action, &stanza, &to.to_bare())
            .await
    }

    /// Delivers a presence stanza without a meaning for the server to a local account
    /// (RFC 6121 §8.5.2.1.2, §8.5.3.1). Who is not in memory has no sessions.
    pub(crate) fn pass_presence(&self, to: &Jid, stanza: &Stanza) {
        if !self.is_local(to) {
            return;
        }
        let Some(account) = self.registry.get(to.bare()) else {
            return;
        };
        let state = account.lock();
        if let Some(resource) = to.resource() {
            if let Some(bound) = state.resource(resource) {
                bound.session.outbox.push(stanza);
            }
        } else {
            for (bound, _) in state.available() {
                bound.session.outbox.push(stanza);
            }
        }
    }

    /// Sends the presence of every available session of an account to a new subscriber.
    pub(crate) fn send_presence_to(&self, account: &Account, contact: &Jid, available: bool) {
        let presences: Vec<Stanza> = account
            .lock()
            .available()
            .map(|(_, available)| available.stanza.clone())
            .collect();
        for presence in presences {
            let stanza = if available {
                presence.with_to(contact.as_str())
            } else {
                let from = presence.from().unwrap_or_default();
                presence_stanza("unavailable", &from, contact.as_str(), None)
            };
            self.pass_presence(contact, &stanza);
        }
    }

    /// Writes what need not be waited for; a failure is logged.
    pub fn write_behind(&self, statements: Vec<Statement>, failure: &'static str) {
        let pending = self.database.submit(statements);
        tokio::spawn(async move {
            if let Err(error) = pending.await {
                tracing::error!(%error, "{failure}");
            }
        });
    }
}

fn unavailable(session: &Session) -> Stanza {
    let element = Element::builder("presence", ns::CLIENT)
        .with("from", session.jid.as_str())
        .with("type", "unavailable")
        .build();
    Stanza::from_element(&element)
}

/// Keeps the address to which unavailable presence is owed, or forgets it.
fn remember_directed(session: &Session, to: &Jid, gone: bool) -> Result<(), StanzaError> {
    let mut state = session.account.lock();
    let Some(bound) = state.bound(session.reference) else {
        return Ok(());
    };
    if gone {
        bound.directed.retain(|known| known != to);
    } else if !bound.directed.contains(to) {
        if bound.directed.len() >= MAX_DIRECTED {
            return Err(StanzaError::resource_constraint());
        }
        bound.directed.push(to.clone());
    }
    Ok(())
}

/// RFC 6121 §4.7.2.3: an integer from −128 to 127; absent means 0.
pub(crate) fn priority(presence: &Element) -> Result<i8, StanzaError> {
    match presence.get_child("priority", ns::CLIENT) {
        None => Ok(0),
        Some(priority) => priority
            .text()
            .trim()
            .parse()
            .map_err(|_| StanzaError::bad_request()),
    }
}

/// A presence stanza that the server makes.
pub(crate) fn presence_stanza(kind: &str, from: &str, to: &str, child: Option<Element>) -> Stanza {
    let element = Element::builder("presence", ns::CLIENT)
        .with("type", kind)
        .with("from", from)
        .with("to", to)
        .append_all(child)
        .build();
    Stanza::from_element(&element)
}
