//! What a session is shown when it becomes available: the presence of its contacts, and the
//! requests that wait for the user's answer (RFC 6121 §4.2.2, §3.1.3).
//!
//! Together that may be more than an outbox holds. It is handed out in portions, each when the one
//! before has been written, by [`Exchange::drain_page`].

use std::sync::Arc;

use waxwing_xmpp::Jid;

use crate::drain::Page;
use crate::exchange::Exchange;
use crate::session::Session;

/// What is still to be shown.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// Whose presence is to be asked for.
    contacts: Vec<Jid>,
    /// Whose request is to be shown.
    requests: Vec<Jid>,
}

impl Exchange {
    /// Shows a session that has become available as much as half of its outbox holds; what is left
    /// marks it as draining.
    pub(crate) async fn greet(self: &Arc<Self>, session: &Arc<Session>) {
        let greeting = {
            let state = session.account.lock();
            let items = state.roster.iter();
            let asking = items.filter(|(_, item)| item.state.pending_in);
            Greeting {
                contacts: state.roster.subscriptions().cloned().collect(),
                requests: asking.map(|(contact, _)| contact.clone()).collect(),
            }
        };
        session.set_greeting(Some(Box::new(greeting)));
        self.greet_page(session).await;
    }

    /// Shows the next portion. A contact is looked at when its turn comes: what changed since then
    /// has been told.
    pub(crate) async fn greet_page(self: &Arc<Self>, session: &Arc<Session>) -> Page {
        let Some(mut greeting) = session.set_greeting(None) else {
            return Page::Done;
        };
        while !session.outbox.is_half_full() {
            if session.outbox.is_detached() {
                return Page::Done;
            }
            if let Some(contact) = greeting.contacts.pop() {
                self.probe_contact(session, &contact).await;
            } else if let Some(contact) = greeting.requests.pop() {
                present_request(session, &contact);
            } else {
                return Page::Done;
            }
        }
        session.set_greeting(Some(greeting));
        Page::More
    }

    /// The user's server asks for the presence of a contact that the user follows (§4.3.1).
    async fn probe_contact(self: &Arc<Self>, session: &Arc<Session>, contact: &Jid) {
        let state = session.account.lock().roster.state(contact.as_str());
        if !state.subscription.includes_to() || !self.is_local(contact) {
            return;
        }
        match self.account(contact.bare()).await {
            Ok(Some(account)) => self.answer_probe(&account, session).await,
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a contact could not be loaded"),
        }
    }
}

/// Requests that wait for the user's answer are shown at every login (§3.1.3).
fn present_request(session: &Session, contact: &Jid) {
    let state = session.account.lock();
    let item = state.roster.get(contact.as_str());
    let waiting = item.filter(|item| item.state.pending_in);
    if let Some(request) = waiting.and_then(|item| item.request.as_ref()) {
        session.outbox.push(request);
    }
}
