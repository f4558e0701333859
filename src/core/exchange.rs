//! The exchange: what every part of the server shares, and the way in for a client's stanza.

use std::borrow::Cow;
use std::sync::Arc;

use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::jid::JidError;
use waxwing_xmpp::stanza::{Frame, Kind, MessageType};
use waxwing_xmpp::{Jid, Stanza, StanzaError, StreamError, stanza};

use crate::account::Account;
use crate::accounts::Accounts;
use crate::clock::{Clock, Ids, Timestamp};
use crate::db::{Database, DbError};
use crate::mailbox_store::Mailbox;
use crate::powers::{IqTable, Powers};
use crate::registry::Registry;
use crate::roster::Roster;
use crate::session::Session;

/// What the configuration decides about the exchange.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domain that is served.
    pub domain: Jid,
    /// Bare JIDs of the administrators.
    pub admins: Vec<Jid>,
    /// Days that an undelivered message is kept.
    pub retention_days: u32,
    /// Sessions per account; a further one is refused.
    pub sessions_per_account: usize,
    /// Bytes that may wait for one session.
    pub outbox_bytes: usize,
    /// Roster entries per account.
    pub roster_items: usize,
    /// Messages that may wait in a mailbox.
    pub mailbox_messages: u64,
    /// Their bytes.
    pub mailbox_bytes: u64,
    /// Contact addresses by kind (XEP-0157), `abuse-addresses` and so on.
    pub contacts: Vec<(String, Vec<String>)>,
    /// Whether strangers may register an account (XEP-0077).
    pub open_registration: bool,
    /// Accounts that one address may register in an hour.
    pub registrations_per_hour: u32,
    /// Bytes of one stanza before login.
    pub stanza_bytes_before_login: usize,
    /// Bytes of one stanza after login.
    pub stanza_bytes: usize,
    /// Seconds that a login may take.
    pub negotiation_seconds: u64,
    /// Seconds of silence after which a client is asked whether it lives.
    pub idle_seconds: u64,
    /// Login without an account (XEP-0175).
    pub anonymous: bool,
}

/// See the [module](self).
pub struct Exchange {
    /// What the configuration decides; replaced as a whole when it is loaded again.
    pub settings: arc_swap::ArcSwap<Settings>,
    /// The domain that is served; fixed for the life of the process.
    pub domain: Jid,
    /// The database.
    pub database: Database,
    /// Accounts in the database.
    pub accounts: Accounts,
    /// Accounts in memory.
    pub registry: Registry,
    /// Messages that wait for their recipients.
    pub mailbox: Mailbox,
    /// The extensions.
    pub powers: Powers,
    /// Who answers which IQ.
    pub iq_table: IqTable,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and randomness.
    pub ids: Arc<dyn Ids>,
    /// The start of this node, for [`SessionRef`](crate::session::SessionRef).
    pub epoch: u64,
}

/// What became of a message: its receipt. A session's acknowledgements rest on it.
#[derive(Debug)]
pub enum Receipt {
    /// It was handed to every entitled session, which answer for it from here on, or it is of a
    /// kind that needs no custody.
    Settled,
    /// It is on its way to stable storage; [`Session::settled`] waits for it.
    Storing,
    /// It was refused; the sender is owed this error.
    Bounced(StanzaError),
}

impl Exchange {
    /// Takes a stanza that a client sent. A stream error ends the stream; everything less is
    /// answered here.
    pub async fn accept(
        self: &Arc<Self>,
        session: &Arc<Session>,
        frame: Frame<'_>,
    ) -> Result<(), StreamError> {
        if let Some(from) = frame.from() {
            check_from(session, &from)?;
        }
        match frame.kind() {
            Kind::Message => self.accept_message(session, &frame).await,
            Kind::Presence => Box::pin(self.accept_presence(session, &frame)).await,
            Kind::Iq => Box::pin(self.accept_iq(session, &frame)).await,
            Kind::Other => {
                return Err(StreamError::new(StreamCondition::UnsupportedStanzaType));
            }
        }
        Ok(())
    }

    async fn accept_message(self: &Arc<Self>, session: &Arc<Session>, frame: &Frame<'_>) {
        let to = match frame.to() {
            // RFC 6120 §10.3.1: without an address it is for the sender's own account.
            None => Ok(session.account.jid.clone()),
            Some(to) => session.correspondent(&to),
        };
        let stanza = frame.stamp(session.jid.as_str(), session.lang.as_deref());
        let receipt = match to {
            Ok(to) => self.route_message(&stanza, &to, Some(session)).await,
            Err(_) => Receipt::Bounced(StanzaError::jid_malformed()),
        };
        if let Receipt::Bounced(error) = receipt {
            self.answer_error(session, &stanza, &error);
        }
    }

    /// Routes a stamped message (RFC 6120 §10). `origin` is the session that waits for its fate.
    pub async fn route_message(
        self: &Arc<Self>,
        stanza: &Stanza,
        to: &Jid,
        origin: Option<&Arc<Session>>,
    ) -> Receipt {
        if !self.is_local(to) {
            return Receipt::Bounced(StanzaError::remote_server_not_found());
        }
        if to.local().is_none() {
            return match stanza.message_type() {
                MessageType::Error | MessageType::Headline => Receipt::Settled,
                _ => Receipt::Bounced(StanzaError::service_unavailable()),
            };
        }
        let account = match self.registry.get(to.bare()) {
            Some(account) => account,
            None => match Box::pin(self.account(to.bare())).await {
                Ok(Some(account)) => account,
                // RFC 6121 §8.5.1: there is no such user.
                Ok(None) => return Receipt::Bounced(StanzaError::service_unavailable()),
                Err(error) => return Receipt::Bounced(error.into()),
            },
        };
        self.deliver_message(&account, to, stanza, self.clock.now(), origin)
    }

    /// Whether this server answers for the address.
    pub fn is_local(&self, jid: &Jid) -> bool {
        jid.domain() == self.domain.as_str()
    }

    /// The account with that bare JID, loaded if need be; `None` if there is none.
    pub async fn account(&self, bare: &str) -> Result<Option<Arc<Account>>, DbError> {
        if let Some(account) = self.registry.get(bare) {
            return Ok(Some(account));
        }
        let Some(found) = self.accounts.find(bare).await? else {
            return Ok(None);
        };
        let roster = Roster::load(&self.database, found.id, found.roster_version).await?;
        let usage = self.mailbox.usage(found.id).await?;
        let usage = crate::account::Usage {
            count: usage.count,
            bytes: usage.bytes,
        };
        let jid = Jid::parse_tolerant(bare).map_err(|_| DbError::Unexpected("account address"))?;
        Ok(Some(
            self.registry
                .insert(Account::new(found.id, jid, roster, usage)),
        ))
    }

    /// Sends the error that a client is owed for its stanza (RFC 6120 §8.3). An error is never
    /// answered with an error.
    pub fn answer_error(&self, session: &Session, stanza: &Stanza, error: &StanzaError) {
        if stanza.is_error() {
            return;
        }
        let from = stanza
            .to()
            .map_or(Cow::Borrowed(session.account.jid.as_str()), |to| to);
        let reply = stanza::error_reply(stanza, Some(&from), Some(session.jid.as_str()), error);
        session.outbox.push(&reply);
    }

    /// Sends an error to the sender of a message that the server had accepted and cannot deliver.
    /// Like any error it reaches the sender's session if that is still there.
    pub(crate) fn bounce(&self, stanza: &Stanza, error: &StanzaError) {
        if stanza.is_error() {
            return;
        }
        let Some(sender) = stanza
            .from()
            .and_then(|from| Jid::parse_tolerant(&from).ok())
        else {
            return;
        };
        let gone = || {
            tracing::warn!("a message could not be kept, and its sender is not there to be told");
        };
        let Some(account) = self.registry.get(sender.bare()) else {
            return gone();
        };
        let state = account.lock();
        if let Some(bound) = sender
            .resource()
            .and_then(|resource| state.resource(resource))
        {
            let reply =
                stanza::error_reply(stanza, stanza.to().as_deref(), Some(sender.as_str()), error);
            bound.session.outbox.push(&reply);
        } else {
            gone();
        }
    }

    /// Now, for delay stamps.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Reads an address that a client wrote: by the rules of RFC 7622, or else by the older ones that
/// the addresses of other servers may follow.
pub(crate) fn parse_address(text: &str) -> Result<Jid, JidError> {
    Jid::parse(text).or_else(|_| Jid::parse_tolerant(text))
}

/// RFC 6120 §8.1.2.1: a client's `from` is its own full or bare JID, or absent.
fn check_from(session: &Session, from: &str) -> Result<(), StreamError> {
    let own = |jid: &str| jid == session.jid.as_str() || jid == session.account.jid.as_str();
    if own(from) || Jid::parse(from).is_ok_and(|jid| own(jid.as_str())) {
        return Ok(());
    }
    Err(StreamError::new(StreamCondition::InvalidFrom))
}
