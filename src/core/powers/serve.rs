//! Owning an address of this server besides its domain and its accounts.

use std::sync::Arc;

use minidom::Element;
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use super::{Boxed, Extension, Place, Query};
use crate::db::DbError;
use crate::exchange::{Exchange, Receipt, Sender, Settings};
use crate::session::Session;

/// May own a domain, and everything that is addressed to it.
pub trait Serve: Extension {
    /// The domain.
    fn domain(&self, settings: &Settings) -> Jid;

    /// Which place an address of the domain without a resource is.
    fn place(&self, to: &Jid) -> Place;

    /// A stamped message. `None`: something has to be loaded first, and [`Self::message_later`] is
    /// to be asked.
    fn message(
        &self,
        exchange: &Arc<Exchange>,
        message: &Stanza,
        to: &Jid,
        sender: Option<Sender<'_>>,
    ) -> Option<Receipt>;

    /// The same, with what has to be loaded.
    fn message_later<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        message: &'a Stanza,
        to: &'a Jid,
        sender: Option<Sender<'a>>,
    ) -> Boxed<'a, Receipt>;

    /// A stamped presence stanza of any type.
    fn presence<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        session: &'a Arc<Session>,
        presence: &'a Stanza,
        to: &'a Jid,
    ) -> Boxed<'a, Result<(), StanzaError>>;

    /// A stamped IQ, request or response, for an address with a resource.
    fn relay<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        session: &'a Arc<Session>,
        iq: &'a Stanza,
        to: &'a Jid,
    ) -> Boxed<'a, Result<(), StanzaError>>;

    /// Answers a question of service discovery (XEP-0030); `features` are those that are declared
    /// for the place.
    fn discover<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        query: &'a Query,
        features: Vec<&'static str>,
    ) -> Boxed<'a, Result<Element, StanzaError>>;

    /// The archive of an address, if the asker may read it.
    fn archive<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        query: &'a Query,
    ) -> Boxed<'a, Result<Shelf, StanzaError>>;

    /// The server starts: streams of an earlier process have been taken up.
    fn start<'a>(&'a self, exchange: &'a Arc<Exchange>) -> Boxed<'a, Result<(), DbError>>;

    /// The server is about to close its sessions: those that cannot be resumed.
    fn ending(&self, exchange: &Arc<Exchange>);

    /// Nothing else happens any more: what has to outlive the process is written down.
    fn stop<'a>(&'a self, exchange: &'a Arc<Exchange>) -> Boxed<'a, Result<(), DbError>>;

    /// A second has passed.
    fn tick<'a>(&'a self, exchange: &'a Arc<Exchange>) -> Boxed<'a, ()>;
}

/// The archive of an address that is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shelf {
    /// Whose rows they are.
    pub owner: i64,
    /// The last of them whose author the asker may not know by its real JID; 0: it may know all,
    /// `i64::MAX`: none.
    pub anonymous_until: i64,
}

/// The domains that are owned, and by whom.
#[derive(Default)]
pub struct Services(Vec<(Jid, Arc<dyn Serve>)>);

impl Services {
    /// Those of a list.
    #[must_use]
    pub fn new(serve: &[Arc<dyn Serve>], settings: &Settings) -> Self {
        let owned = |serve: &Arc<dyn Serve>| (serve.domain(settings), Arc::clone(serve));
        Services(serve.iter().map(owned).collect())
    }

    /// Who owns the domain of an address.
    #[must_use]
    pub fn find(&self, jid: &Jid) -> Option<&Arc<dyn Serve>> {
        let mut owned = self.0.iter();
        let found = owned.find(|(domain, _)| domain.as_str() == jid.domain());
        found.map(|(_, serve)| serve)
    }

    /// See [`Serve::start`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn start(&self, exchange: &Arc<Exchange>) -> Result<(), DbError> {
        for (_, serve) in &self.0 {
            serve.start(exchange).await?;
        }
        Ok(())
    }

    /// See [`Serve::ending`].
    pub fn ending(&self, exchange: &Arc<Exchange>) {
        for (_, serve) in &self.0 {
            serve.ending(exchange);
        }
    }

    /// See [`Serve::stop`].
    pub async fn stop(&self, exchange: &Arc<Exchange>) {
        for (domain, serve) in &self.0 {
            if let Err(error) = serve.stop(exchange).await {
                tracing::error!(%error, %domain, "what a service knows could not be kept");
            }
        }
    }

    /// See [`Serve::tick`].
    pub async fn tick(&self, exchange: &Arc<Exchange>) {
        for (_, serve) in &self.0 {
            serve.tick(exchange).await;
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Jid, &Arc<dyn Serve>)> {
        self.0.iter().map(|(domain, serve)| (domain, serve))
    }
}
