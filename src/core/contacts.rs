//! Changes of the roster and of subscriptions (RFC 6121 §2 and §3): from the client, from a
//! contact, and the pushes that follow. The table itself is
//! [`waxwing_xmpp::subscription`]; here its verdicts are written down and sent on.

use std::sync::Arc;

use minidom::Element;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::dom::serialize;
use waxwing_xmpp::subscription::{self, Action};
use waxwing_xmpp::{Jid, Stanza, StanzaError, ns};

use crate::account::{Account, State};
use crate::db::{Pending, Statement};
use crate::exchange::Exchange;
use crate::presence::presence_stanza;
use crate::roster::{Item, Roster};
use crate::session::Session;

/// Bytes of a subscription request that is passed on and kept as it came.
const MAX_REQUEST: usize = 2048;
/// Bytes of the status in a longer one; more is cut.
const MAX_STATUS: usize = 1024;
/// Bytes of its id; a longer one is left out.
const MAX_ID: usize = 256;

/// A stanza that follows from a change of a subscription.
type Next = (Jid, Action, Stanza, Jid);

impl Exchange {
    /// A client sent a subscription stanza (RFC 6121 Appendix A.2).
    pub(crate) async fn subscription_sent(
        self: &Arc<Self>,
        session: &Arc<Session>,
        action: Action,
        stanza: &Stanza,
        contact: &Jid,
    ) -> Result<(), StanzaError> {
        let account = &session.account;
        if *contact == account.jid {
            return Err(StanzaError::not_allowed());
        }
        // RFC 6121 §3.1.2: the bare JID is what the contact sees.
        let stamped = stanza
            .stamp(account.jid.as_str(), None)
            .with_to(contact.as_str());
        let stamped = match action {
            Action::Subscribe => brief(stamped),
            _ => stamped,
        };
        self.change_outbound(account, contact, action, stamped)
            .await
    }

    /// Applies an outbound subscription stanza to the sender's roster and routes it.
    async fn change_outbound(
        self: &Arc<Self>,
        account: &Arc<Account>,
        contact: &Jid,
        action: Action,
        stanza: Stanza,
    ) -> Result<(), StanzaError> {
        let (verdict, written) = {
            let mut state = account.lock();
            refuse_removed(&state)?;
            let before = state.roster.get(contact.as_str()).cloned();
            let mut item = before.unwrap_or_default();
            let verdict = subscription::outbound(item.state, action);
            let changed = verdict.next != item.state;
            if changed {
                self.refuse_full(&state.roster, contact, &item)?;
            }
            item.state = verdict.next;
            item.listed |= verdict.push;
            if !item.state.pending_in {
                item.request = None;
            }
            let written =
                changed.then(|| self.keep_item(account, &mut state.roster, contact, item));
            (verdict, written)
        };
        if let Some(written) = written {
            written.await?;
        }
        if verdict.push {
            self.push_item(account, contact);
        }
        // The contact sees the user go before it learns that it may not see it (§3.2.2), and sees
        // its presence after it learned that it may (§3.1.5).
        if verdict.send_presence == Some(false) {
            self.send_presence_to(account, contact, false);
        }
        if verdict.route {
            if !self.is_local(contact) {
                return Err(StanzaError::remote_server_not_found());
            }
            let from = account.jid.clone();
            self.follow((from, action, stanza, contact.clone())).await;
        }
        if verdict.send_presence == Some(true) {
            self.send_presence_to(account, contact, true);
        }
        Ok(())
    }

    /// Carries a subscription stanza to a local account, and the answer that this gives by itself
    /// back. The table has no cycle of automatic answers.
    async fn follow(self: &Arc<Self>, first: Next) {
        let mut next = Some(first);
        let mut seen_later: Vec<(Arc<Account>, Jid)> = Vec::new();
        while let Some((from, action, stanza, to)) = next.take() {
            let account = match self.account(to.bare()).await {
                Ok(Some(account)) => account,
                // RFC 6121 §8.5.1: presence for nobody is ignored.
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "a contact could not be loaded");
                    break;
                }
            };
            let (reply, presence) = self.change_inbound(&account, &from, action, &stanza).await;
            match presence {
                Some(true) => seen_later.push((account, from.clone())),
                Some(false) => self.send_presence_to(&account, &from, false),
                None => {}
            }
            if let Some(reply) = reply {
                let answer = presence_stanza(reply.as_str(), to.bare(), from.as_str(), None);
                next = Some((to.to_bare(), reply, answer, from));
            }
        }
        // Presence follows the `subscribed` that allows it.
        for (account, contact) in seen_later {
            self.send_presence_to(&account, &contact, true);
        }
    }

    /// A subscription stanza arrives at a local account (Appendix A.3). Returns the automatic
    /// answer, and whether the contact is to see the account's presence or its end.
    async fn change_inbound(
        self: &Arc<Self>,
        account: &Arc<Account>,
        contact: &Jid,
        action: Action,
        stanza: &Stanza,
    ) -> (Option<Action>, Option<bool>) {
        let (verdict, written) = {
            let mut state = account.lock();
            if state.removed {
                return (None, None);
            }
            let before = state.roster.get(contact.as_str()).cloned();
            let mut item = before.unwrap_or_default();
            let verdict = subscription::inbound(item.state, action);
            let changed = verdict.next != item.state;
            if changed && self.refuse_full(&state.roster, contact, &item).is_err() {
                // A stranger's request has no claim on room that is not there.
                return (Some(Action::Unsubscribed), None);
            }
            item.state = verdict.next;
            item.listed |= verdict.push;
            item.request = item
                .state
                .pending_in
                .then(|| item.request.take().unwrap_or_else(|| stanza.clone()));
            let written =
                changed.then(|| self.keep_item(account, &mut state.roster, contact, item));
            (verdict, written)
        };
        if let Some(written) = written
            && let Err(error) = written.await
        {
            tracing::error!(%error, "a subscription could not be written");
            return (None, None);
        }
        if verdict.deliver {
            deliver_subscription(account, action, stanza);
        }
        if verdict.push {
            self.push_item(account, contact);
        }
        (verdict.reply, verdict.send_presence)
    }

    /// A client adds or changes a contact (RFC 6121 §2.3, §2.4).
    pub async fn set_item(
        self: &Arc<Self>,
        account: &Arc<Account>,
        contact: &Jid,
        name: String,
        groups: Vec<String>,
    ) -> Result<(), StanzaError> {
        let written = {
            let mut state = account.lock();
            refuse_removed(&state)?;
            let known = state.roster.get(contact.as_str()).cloned();
            let item = Item {
                name,
                groups,
                listed: true,
                ..known.unwrap_or_default()
            };
            self.refuse_full(&state.roster, contact, &item)?;
            self.keep_item(account, &mut state.roster, contact, item)
        };
        written.await?;
        self.push_item(account, contact);
        Ok(())
    }

    /// A client removes a contact, and with it both directions of the subscription (§2.5).
    pub async fn remove_item(
        self: &Arc<Self>,
        account: &Arc<Account>,
        contact: &Jid,
    ) -> Result<(), StanzaError> {
        let (written, actions, version) = {
            let mut state = account.lock();
            let Some(item) = state
                .roster
                .get(contact.as_str())
                .filter(|item| item.listed)
            else {
                return Err(StanzaError::item_not_found());
            };
            let actions = subscription::remove(item.state);
            let statements = state.roster.remove(account.id, contact);
            (
                self.write_roster(account, statements),
                actions,
                state.roster.version,
            )
        };
        written.await?;
        let item = Element::builder("item", ns::ROSTER)
            .with("jid", contact.as_str())
            .with("subscription", "remove")
            .build();
        self.push_roster(account, item, version);
        // The contact stops seeing the user before it learns that it may not.
        if actions.contains(&Action::Unsubscribed) {
            self.send_presence_to(account, contact, false);
        }
        self.send_actions(account, contact, actions).await;
        Ok(())
    }

    /// Sends subscription stanzas that follow from a removal.
    pub(crate) async fn send_actions(
        self: &Arc<Self>,
        account: &Account,
        contact: &Jid,
        actions: Vec<Action>,
    ) {
        if !self.is_local(contact) {
            return;
        }
        for action in actions {
            let from = account.jid.as_str();
            let stanza = presence_stanza(action.as_str(), from, contact.as_str(), None);
            self.follow((account.jid.clone(), action, stanza, contact.clone()))
                .await;
        }
    }

    /// An entry that the roster has no room for. A roster is sent as one stanza: it takes no more than
    /// half of an outbox.
    fn refuse_full(&self, roster: &Roster, contact: &Jid, item: &Item) -> Result<(), StanzaError> {
        let settings = self.settings.load();
        let (items, bytes) = (settings.roster_items, settings.outbox_bytes / 2);
        if roster.has_room(contact, item, items, bytes) {
            return Ok(());
        }
        Err(StanzaError::resource_constraint().with_text("the roster is full"))
    }

    /// Puts an item into the roster and the write on its way; an entry that says nothing goes.
    fn keep_item(
        &self,
        account: &Account,
        roster: &mut Roster,
        contact: &Jid,
        item: Item,
    ) -> Pending {
        let says_nothing = !item.listed && item.state == subscription::State::default();
        let statements = if says_nothing {
            roster.remove(account.id, contact)
        } else {
            roster.put(account.id, contact, item)
        };
        self.write_roster(account, statements)
    }

    /// Nothing is stored for an anonymous user: nobody would remove it.
    fn write_roster(&self, account: &Account, statements: Vec<Statement>) -> Pending {
        let is_stored = account.id >= 0;
        let statements = if is_stored { statements } else { Vec::new() };
        self.database.submit(statements)
    }

    /// Pushes the item as it is now to every interested session (RFC 6121 §2.1.6).
    fn push_item(&self, account: &Account, contact: &Jid) {
        let (item, version) = {
            let state = account.lock();
            let item = state
                .roster
                .get(contact.as_str())
                .filter(|item| item.listed);
            let Some(item) = item else { return };
            (item.to_element(contact), item.version)
        };
        self.push_roster(account, item, version);
    }

    fn push_roster(&self, account: &Account, item: Element, version: i64) {
        let query = Element::builder("query", ns::ROSTER)
            .with("ver", version.to_string())
            .append(item)
            .build();
        for session in account.lock().interested() {
            session
                .outbox
                .push(&self.roster_push(session, query.clone()));
        }
    }

    /// One roster push as a stanza for one session.
    pub fn roster_push(&self, session: &Session, query: Element) -> Stanza {
        let push = Element::builder("iq", ns::CLIENT)
            .with("type", "set")
            .with("id", format!("push-{:x}", self.ids.serial()))
            .with("to", session.jid.as_str())
            .append(query)
            .build();
        Stanza::from_element(&push)
    }
}

/// A subscription request as it is kept for as long as the contact does not answer: whole if it is
/// short (RFC 6121 §3.1.3), else what fits of it.
fn brief(request: Stanza) -> Stanza {
    if request.len() <= MAX_REQUEST {
        return request;
    }
    let element = request.to_element();
    let mut kept = Element::builder("presence", ns::CLIENT);
    for name in ["type", "from", "to", "id"] {
        let value = element.attr(name);
        if let Some(value) = value.filter(|value| name != "id" || value.len() <= MAX_ID) {
            kept = kept.with(name, value);
        }
    }
    let mut room = MAX_REQUEST;
    for child in element.children() {
        let child = if child.is("status", ns::CLIENT) {
            let text = child.text();
            let end = text.floor_char_boundary(MAX_STATUS.min(text.len()));
            let status = Element::builder("status", ns::CLIENT);
            status.append(&text[..end]).build()
        } else {
            child.clone()
        };
        let bytes = serialize(&child).len();
        if bytes <= room {
            room -= bytes;
            kept = kept.append(child);
        }
    }
    Stanza::from_element(&kept.build())
}

/// Nothing is written for an account that is gone.
fn refuse_removed(state: &State) -> Result<(), StanzaError> {
    if state.removed {
        return Err(StanzaError::not_authorized());
    }
    Ok(())
}

/// RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3: requests go to available sessions, news of a
/// subscription to interested ones.
fn deliver_subscription(account: &Account, action: Action, stanza: &Stanza) {
    let state = account.lock();
    if action == Action::Subscribe {
        for (bound, _) in state.available() {
            bound.session.outbox.push(stanza);
        }
    } else {
        for session in state.interested() {
            session.outbox.push(stanza);
        }
    }
}
