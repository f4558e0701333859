//! The exchange: what every part of the server shares, and the way in for a client's stanza.

use std::pin::Pin;
use std::sync::Arc;

use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::jid::JidError;
use waxwing_xmpp::stanza::{Frame, Kind, MessageType};
use waxwing_xmpp::{Jid, Stanza, StanzaError, StreamError};

use crate::account::{Account, DeviceCursor, Mail, Usage};
use crate::accounts::Accounts;
use crate::clock::{Clock, Ids, Timestamp};
use crate::db::{Database, DbError};
use crate::deliver::Watched;
use crate::mailbox_store::Mailbox;
use crate::powers::{Direction, IqTable, Powers, Services};
pub use crate::receipt::{Receipt, Sender};
use crate::registry::Registry;
use crate::roster::Roster;
use crate::session::Session;
use crate::stray;
use crate::streams::Streams;

/// What the configuration decides about the exchange.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domain that is served.
    pub domain: Jid,
    /// Bare JIDs of the administrators.
    pub admins: Vec<Jid>,
    /// Days that a message is kept.
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
    /// Whether messages are stored before they are delivered, and archived.
    pub archive: bool,
    /// Seconds that a broken stream can be resumed (XEP-0198).
    pub resume_seconds: u64,
    /// The domain of the rooms (XEP-0045); fixed for the life of the process.
    pub groups_domain: Jid,
    /// Members that a room can have.
    pub room_members: u16,
    /// Messages that a room takes.
    pub room_messages: Rate,
    /// Messages that it takes from one of its occupants.
    pub occupant_messages: Rate,
}

/// So many things a second for a long time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A second, on average; at least one.
    pub per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
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
    /// Who owns which domain besides the server's.
    pub services: Services,
    /// Streams that can be resumed.
    pub streams: Streams,
    /// Accounts whose sessions hold messages in memory only.
    pub watched: Watched,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and randomness.
    pub ids: Arc<dyn Ids>,
    /// The start of this node, for [`SessionRef`](crate::session::SessionRef).
    pub epoch: u64,
}

/// What is left to do of a stanza. It is to be awaited before the sender's next one is taken.
pub type Rest<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Exchange {
    /// Takes a stanza that a client sent. A stream error ends the stream; everything less is
    /// answered here. A message nearly always is dealt with at once; other stanzas, and a message
    /// whose recipient has to be loaded, leave something to be awaited.
    pub fn accept<'a>(
        self: &'a Arc<Self>,
        session: &'a Arc<Session>,
        frame: Frame<'a>,
    ) -> Result<Option<Rest<'a>>, StreamError> {
        if let Some(from) = frame.from() {
            check_from(session, &from)?;
        }
        session.take_stanza();
        match frame.kind() {
            Kind::Message => Ok(self.accept_message(session, &frame)),
            Kind::Presence => Ok(Some(Box::pin(async move {
                self.accept_presence(session, &frame).await;
            }))),
            Kind::Iq => Ok(Some(Box::pin(async move {
                self.accept_iq(session, &frame).await;
            }))),
            Kind::Other => Err(StreamError::new(StreamCondition::UnsupportedStanzaType)),
        }
    }

    fn accept_message<'a>(
        self: &'a Arc<Self>,
        session: &'a Arc<Session>,
        frame: &Frame<'_>,
    ) -> Option<Rest<'a>> {
        let to = match frame.to() {
            // RFC 6120 §10.3.1: without an address it is for the sender's own account.
            None => Ok(session.account.jid.clone()),
            Some(to) => session.correspondent(&to),
        };
        let stanza = frame.stamp(session.jid.as_str(), session.lang.as_deref());
        let Ok(to) = to else {
            self.answer_error(session, &stanza, &StanzaError::jid_malformed());
            return None;
        };
        let stanza = self.cleansed(stanza, &to);
        let sender = Sender {
            session,
            // Before the recipient's lock is taken: its own may be needed.
            archives: session.account.archives(&to),
            original: None,
        };
        let recipient = to.clone();
        let answer = move |stanza: &Stanza, receipt| match receipt {
            Receipt::Bounced(error) => self.answer_error(session, stanza, &error),
            Receipt::Settled => self.copy_sent(session, stanza, &recipient, None),
            Receipt::Storing { row, sent } => {
                self.copy_sent(session, stanza, &recipient, Some((row, sent)));
            }
        };
        if session.resends.is_unknown() {
            return Some(Box::pin(async move {
                if let Err(error) = self.load_resends(session).await {
                    tracing::error!(%error, "what was sent before could not be read");
                }
                if !session.resends.recognise(&stanza, self.clock.elapsed()) {
                    let receipt = self.route_message(&stanza, &to, Some(sender)).await;
                    answer(&stanza, receipt);
                }
            }));
        }
        if session.resends.recognise(&stanza, self.clock.elapsed()) {
            return None;
        }
        match self.route_to_loaded(&stanza, &to, Some(sender)) {
            Some(receipt) => {
                answer(&stanza, receipt);
                None
            }
            None => Some(Box::pin(async move {
                let receipt = self.route_message(&stanza, &to, Some(sender)).await;
                answer(&stanza, receipt);
            })),
        }
    }

    /// A stamped message without what its sender may not say to `to`. To be asked of every message
    /// that comes in from outside, before it is routed.
    pub fn cleansed(&self, stanza: Stanza, to: &Jid) -> Stanza {
        let mut stanza = stanza;
        for stamp in &self.powers.stamp {
            if let Some(cleansed) = stamp.accepted(&stanza, to) {
                stanza = cleansed;
            }
        }
        stanza
    }

    /// Gives a message that a session sent to the account's others that want copies (XEP-0280):
    /// once it is stored, if it is, and with its id if it is archived.
    fn copy_sent(&self, session: &Session, stanza: &Stanza, to: &Jid, stored: Option<(i64, bool)>) {
        let account = &session.account;
        let others: Vec<Arc<Session>> = {
            let state = account.lock();
            // To the account itself it has been delivered.
            if state.sessions.len() < 2 || to.bare() == account.jid.as_str() {
                return;
            }
            let sessions = state.sessions.iter().map(|bound| &bound.session);
            let others = sessions.filter(|other| other.reference != session.reference);
            others.filter(|other| other.is_copied()).cloned().collect()
        };
        if others.is_empty() {
            return;
        }
        let (row, mut stanza) = (stored.map_or(0, |(row, _)| row), stanza.clone());
        if let Some((row, true)) = stored {
            stanza = self.stamp_stored(stanza, account, row);
        }
        for other in others {
            if let Some(copy) = self.copy(&stanza, Direction::Sent, &other) {
                other.outbox.push_copy(&copy, &stanza, row);
            }
        }
    }

    /// Routes a stamped message (RFC 6120 §10). `origin` is the session that waits for its fate.
    pub async fn route_message(
        self: &Arc<Self>,
        stanza: &Stanza,
        to: &Jid,
        origin: Option<Sender<'_>>,
    ) -> Receipt {
        if let Some(receipt) = self.route_to_loaded(stanza, to, origin) {
            return receipt;
        }
        if let Some(service) = self.services.find(to) {
            return service.message_later(self, stanza, to, origin).await;
        }
        match self.account(to.bare()).await {
            Ok(Some(account)) => {
                self.deliver_message(&account, to, stanza, self.clock.now(), origin)
            }
            // RFC 6121 §8.5.1: there is no such user.
            Ok(None) => Receipt::Bounced(StanzaError::service_unavailable()),
            Err(error) => Receipt::Bounced(error.into()),
        }
    }

    /// The same without asking the database. `None`: the recipient's account is not in memory.
    fn route_to_loaded(
        self: &Arc<Self>,
        stanza: &Stanza,
        to: &Jid,
        origin: Option<Sender<'_>>,
    ) -> Option<Receipt> {
        if !self.is_local(to) {
            return match self.services.find(to) {
                Some(service) => service.message(self, stanza, to, origin),
                None => Some(Receipt::Bounced(StanzaError::remote_server_not_found())),
            };
        }
        if to.local().is_none() {
            return Some(match stanza.message_type() {
                MessageType::Error | MessageType::Headline => Receipt::Settled,
                _ => Receipt::Bounced(StanzaError::service_unavailable()),
            });
        }
        let account = self.registry.get(to.bare())?;
        Some(self.deliver_message(&account, to, stanza, self.clock.now(), origin))
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
        let mail = self.mail(found.id).await?;
        let jid = Jid::parse_tolerant(bare).map_err(|_| DbError::Unexpected("account address"))?;
        let account = Account::new(found.id, jid, roster, mail);
        account.set_disabled(found.disabled);
        if let Some(archive) = &self.powers.archive {
            account.set_preferences(archive.load(self, found.id).await?);
        }
        Ok(Some(self.registry.insert(account)))
    }

    async fn mail(&self, account: i64) -> Result<Mail, DbError> {
        let (mut cursor, mut devices) = (0, Vec::new());
        let mut known = self.mailbox.devices(account).await?;
        known.sort_by_key(|device| device.seen_at_ms);
        for device in known {
            if device.key.is_empty() {
                cursor = device.cursor;
            } else {
                devices.push(DeviceCursor {
                    key: device.key.into(),
                    cursor: device.cursor,
                });
            }
        }
        let usage = self.mailbox.usage(account, cursor).await?;
        let strays = stray::load(&self.database, account).await?;
        Ok(Mail {
            usage: Usage {
                count: usage.count,
                bytes: usage.bytes,
            },
            cursor,
            devices,
            strays,
        })
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
