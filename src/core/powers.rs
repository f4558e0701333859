//! The powers by which extensions act. Each is a small trait whose signature is the permission.
//!
//! For every power there is one plain list, written in the order in which it is asked; no numbers
//! decide. A power is added here together with the first extension that uses it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use minidom::Element;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use crate::account::Account;
use crate::clock::Timestamp;
use crate::db::{DbError, Migrations, Statement};
use crate::exchange::Exchange;
use crate::session::Session;

pub use archive::{Archive, Copy, Direction};
pub use keep::{Keep, Kept};
pub use login::{Inline, Readmit, Readmitted, TokenLogin, TokenRequest};
pub use serve::{Serve, Services, Shelf};

mod archive;
mod keep;
mod login;
mod serve;

/// A boxed future of an extension.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a specification's file says of itself; the README's table is made of the same lines.
pub struct Specification {
    /// `XEP-0012` or `RFC 6121`.
    pub number: &'static str,
    /// The specification's title.
    pub title: &'static str,
    /// The version that was followed; empty for an RFC.
    pub version: &'static str,
    /// Features that service discovery shows besides the namespaces of answered IQs.
    pub features: &'static [(Place, &'static str)],
}

/// Something registered under a specification.
pub trait Extension: Send + Sync {
    /// Which specification it follows.
    fn specification(&self) -> Specification;

    /// The tables it owns.
    fn migrations(&self) -> Option<Migrations> {
        None
    }
}

/// May refuse a stanza with an error.
pub trait Guard: Extension {
    /// An IQ request for a session of `account`, stamped; an error refuses it.
    fn check_request(
        &self,
        account: &Account,
        from: &Jid,
        request: &Stanza,
    ) -> Result<(), StanzaError>;
}

/// May change a stanza.
pub trait Stamp: Extension {
    /// A message came in from outside, stamped, for `to`: without what its sender may not say.
    /// `None`: it stays as it is. Asked of every message.
    fn accepted(&self, message: &Stanza, to: &Jid) -> Option<Stanza> {
        let _ = (message, to);
        None
    }

    /// A message is written to a client of `account`, where it is archived under that id.
    fn stored(&self, exchange: &Exchange, stanza: Stanza, account: &Jid, id: i64) -> Stanza {
        let _ = (exchange, account, id);
        stanza
    }

    /// A stanza is delivered later than it came: from the mailbox, or presence to a probe.
    fn delayed(&self, exchange: &Exchange, stanza: Stanza, received: Timestamp) -> Stanza {
        let _ = (exchange, received);
        stanza
    }
}

/// May follow the life of a session and of an account.
pub trait Attend: Extension {
    /// A session sent its initial presence.
    fn available(&self, exchange: &Exchange, session: &Arc<Session>) {
        let _ = (exchange, session);
    }

    /// A session stops being available; `presence` is its unavailable stanza. What is returned is
    /// written with the next commit.
    fn unavailable(
        &self,
        exchange: &Exchange,
        session: &Session,
        presence: &Stanza,
    ) -> Vec<Statement> {
        let _ = (exchange, session, presence);
        Vec::new()
    }

    /// What a contact that is allowed to know is told in the unavailable presence of an account
    /// without available resources.
    fn absent<'a>(
        &'a self,
        exchange: &'a Exchange,
        account: &'a Account,
    ) -> Option<Boxed<'a, Option<Element>>> {
        let _ = (exchange, account);
        None
    }

    /// An account's password was changed, or its logins are refused or allowed: what clients were
    /// given to log in by must go.
    fn revoked(&self, account: i64) -> Vec<Statement> {
        let _ = account;
        Vec::new()
    }

    /// An account is to be removed, and its sessions are gone: what has to be settled and written
    /// before.
    ///
    /// # Errors
    /// If it could not be written: the account stays.
    fn removing<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        account: &'a Account,
    ) -> Option<Boxed<'a, Result<(), DbError>>> {
        let _ = (exchange, account);
        None
    }

    /// An account is removed: what must go with it.
    fn removed(&self, account: &Account) -> Vec<Statement> {
        let _ = account;
        Vec::new()
    }
}

/// May add a form to service discovery (XEP-0128).
pub trait Describe: Extension {
    /// The form shown at a place.
    fn form(&self, exchange: &Exchange, place: Place) -> Option<Element>;
}

/// Whom an IQ is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The domain.
    Server,
    /// A bare JID, or no address: the sender's own.
    Account,
    /// The domain of the rooms (XEP-0045).
    Groups,
    /// A room.
    Room,
}

/// `get` or `set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// A question.
    Get,
    /// A change.
    Set,
}

/// The key of an IQ that an extension answers.
pub type Claim = (Verb, Place, &'static str, &'static str);

/// An IQ request that the server answers.
pub struct Query {
    /// `get` or `set`.
    pub verb: Verb,
    /// Whom it is addressed to.
    pub place: Place,
    /// The sender's full JID.
    pub from: Jid,
    /// Whom it is addressed to.
    pub to: Jid,
    /// The sender's session.
    pub session: Arc<Session>,
    /// The addressed account; where that is none, the sender's own.
    pub account: Arc<Account>,
    /// The request's child.
    pub payload: Element,
}

impl Query {
    /// Whether the sender asks about its own account.
    #[must_use]
    pub fn is_own(&self) -> bool {
        Arc::ptr_eq(&self.account, &self.session.account)
    }
}

/// The answer: the result's child, if any.
pub type Answered = Result<Option<Element>, StanzaError>;

/// May answer IQ requests.
pub trait Answer: Extension {
    /// The requests it answers: verb, place, namespace, element. A namespace that is claimed at a
    /// place is shown there by service discovery.
    fn claims(&self) -> &'static [Claim];

    /// Answers one.
    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered>;
}

/// What is known of a stream while it is negotiated.
#[derive(Clone, Copy, Debug)]
pub struct StreamFacts {
    /// Whether it is encrypted, or need not be.
    pub secure: bool,
    /// Whether its client is authenticated.
    pub authenticated: bool,
    /// Whether a session is bound already, by Bind 2.
    pub bound: bool,
    /// Whether stream management is enabled in it.
    pub managed: bool,
    /// The client's address, for limits.
    pub peer: std::net::IpAddr,
}

/// May advertise a stream feature and take requests before login.
pub trait Stream: Extension {
    /// The feature as XML, if it is offered at this point.
    fn feature(&self, exchange: &Exchange, facts: StreamFacts) -> Option<String>;

    /// Takes an IQ sent before authentication: verb and child. `None`: not mine.
    fn before_login<'a>(
        &'a self,
        exchange: &'a Exchange,
        facts: StreamFacts,
        verb: Verb,
        payload: &'a Element,
    ) -> Option<Boxed<'a, Answered>> {
        let _ = (exchange, facts, verb, payload);
        None
    }
}

/// Every extension, sorted by power.
#[derive(Default)]
pub struct Powers {
    /// All of them, once each.
    pub extensions: Vec<Arc<dyn Extension>>,
    /// Asked in this order whether they refuse.
    pub guard: Vec<Arc<dyn Guard>>,
    /// Asked in this order whether a message is kept.
    pub keep: Vec<Arc<dyn Keep>>,
    /// Applied in this order.
    pub stamp: Vec<Arc<dyn Stamp>>,
    /// Asked in this order for a copy.
    pub copy: Vec<Arc<dyn Copy>>,
    /// Who knows what an account wants archived: one at most.
    pub archive: Option<Arc<dyn Archive>>,
    /// Told in this order.
    pub attend: Vec<Arc<dyn Attend>>,
    /// Answerers of IQs, in no order: a request has one.
    pub answer: Vec<Arc<dyn Answer>>,
    /// Owners of domains.
    pub serve: Vec<Arc<dyn Serve>>,
    /// Forms of service discovery, in this order.
    pub describe: Vec<Arc<dyn Describe>>,
    /// Features in the order in which they are advertised.
    pub stream: Vec<Arc<dyn Stream>>,
    /// Asked in this order at a login by SASL2, and to act in this order when it binds.
    pub inline: Vec<Arc<dyn Inline>>,
    /// Who knows tokens; at most one does.
    pub readmit: Option<Arc<dyn Readmit>>,
}

/// Two extensions claim one IQ.
#[derive(Debug, thiserror::Error)]
#[error("{0} and {1} both answer {2:?}")]
pub struct ClaimConflict(&'static str, &'static str, Claim);

/// Who answers which IQ.
pub struct IqTable(BTreeMap<(Verb, Place), HashMap<&'static str, Named>>);

/// The answerers of one namespace by element name.
type Named = Vec<(&'static str, Arc<dyn Answer>)>;

impl IqTable {
    /// Collects the claims; two on one key are a mistake.
    pub fn new(answers: &[Arc<dyn Answer>]) -> Result<Self, ClaimConflict> {
        let mut table: BTreeMap<(Verb, Place), HashMap<&'static str, Named>> = BTreeMap::new();
        for answer in answers {
            for claim @ (verb, place, ns, name) in answer.claims() {
                let named = table
                    .entry((*verb, *place))
                    .or_default()
                    .entry(ns)
                    .or_default();
                if let Some((_, other)) = named.iter().find(|(claimed, _)| claimed == name) {
                    let names = (other.specification().number, answer.specification().number);
                    return Err(ClaimConflict(names.0, names.1, *claim));
                }
                named.push((name, Arc::clone(answer)));
            }
        }
        Ok(IqTable(table))
    }

    /// The answerer of a request.
    pub fn find(&self, verb: Verb, place: Place, ns: &str, name: &str) -> Option<&Arc<dyn Answer>> {
        let named = self.0.get(&(verb, place))?.get(ns)?;
        named
            .iter()
            .find(|(claimed, _)| *claimed == name)
            .map(|(_, answer)| answer)
    }

    /// All claims with the number of the specification that answers, sorted.
    pub fn claims(&self) -> Vec<(Claim, &'static str)> {
        let mut all = Vec::new();
        for ((verb, place), namespaces) in &self.0 {
            for (ns, named) in namespaces {
                let claims = named.iter().map(|(name, answer)| {
                    ((*verb, *place, *ns, *name), answer.specification().number)
                });
                all.extend(claims);
            }
        }
        all.sort_unstable();
        all
    }
}

impl Powers {
    /// The features that service discovery shows at a place, sorted.
    pub fn features(&self, place: Place) -> Vec<&'static str> {
        let declared = self.extensions.iter().flat_map(|extension| {
            extension
                .specification()
                .features
                .iter()
                .filter(move |(at, _)| *at == place)
        });
        let claimed = self.answer.iter().flat_map(|answer| {
            answer
                .claims()
                .iter()
                .filter(move |(_, at, _, _)| *at == place)
        });
        let mut features: Vec<_> = declared
            .map(|(_, feature)| *feature)
            .chain(claimed.map(|(_, _, ns, _)| *ns))
            .collect();
        features.sort_unstable();
        features.dedup();
        features
    }

    /// The same without the extensions that follow these specifications.
    #[must_use]
    pub fn without(mut self, numbers: &[&str]) -> Self {
        fn remove<P: Extension + ?Sized>(list: &mut Vec<Arc<P>>, numbers: &[&str]) {
            list.retain(|power| !numbers.contains(&power.specification().number));
        }
        remove(&mut self.extensions, numbers);
        remove(&mut self.guard, numbers);
        remove(&mut self.keep, numbers);
        remove(&mut self.stamp, numbers);
        remove(&mut self.copy, numbers);
        remove(&mut self.attend, numbers);
        remove(&mut self.answer, numbers);
        remove(&mut self.describe, numbers);
        remove(&mut self.stream, numbers);
        remove(&mut self.inline, numbers);
        self.archive = self
            .archive
            .filter(|power| !numbers.contains(&power.specification().number));
        self
    }
}
