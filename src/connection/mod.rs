//! One client connection: one task that negotiates the stream and then serves the session.

mod authenticate;
mod bind;
mod bound;
mod ending;
mod io;
mod negotiate;
mod reader;
mod resume;
mod sasl2;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::watch;
use waxwing_core::Exchange;
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::{StreamError, sasl};

use crate::config::Config;
use crate::throttle::{Connections, Failures};
use crate::tls::TlsContext;
use crate::wheel::Wheel;

use self::bound::Bound;
use self::io::Io;

/// How long a peer that does not read may hold up the closing of its stream.
const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

/// What all connections share.
pub struct Shared {
    /// The exchange.
    pub exchange: Arc<Exchange>,
    /// The configuration as last loaded.
    pub config: ArcSwap<Config>,
    /// Certificates.
    pub tls: TlsContext,
    /// Timers of sessions.
    pub wheel: Wheel,
    /// Open connections by address.
    pub connections: Arc<Connections>,
    /// Failed logins.
    pub failures: Failures,
    /// The mechanisms that are configured.
    pub mechanisms: Vec<sasl::Mechanism>,
    /// True once the server is stopping.
    pub stopping: watch::Receiver<bool>,
}

/// Why a connection ends before a session is bound.
pub(crate) enum End {
    /// The peer is gone.
    Gone,
    /// The peer closed its stream.
    Closed,
    /// The server ends it with a stream error.
    Error(StreamError),
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        End::Gone
    }
}

impl From<StreamCondition> for End {
    fn from(condition: StreamCondition) -> Self {
        End::Error(StreamError::new(condition))
    }
}

/// Serves one accepted connection until it ends. `held` is kept as long.
pub fn serve<T: Send + 'static>(
    shared: Arc<Shared>,
    socket: TcpStream,
    peer: IpAddr,
    direct_tls: bool,
    held: T,
) -> impl Future<Output = ()> + Send + 'static {
    // The negotiation's state is large and lives for moments: boxed, so that it is gone after.
    let negotiation = Box::pin(negotiate(shared, socket, peer, direct_tls));
    async move {
        // Served where it lies: moving it would take its room twice.
        let mut bound = negotiation.await;
        if let Some(bound) = &mut bound {
            bound.serve().await;
        }
        drop(held);
    }
}

async fn negotiate(
    shared: Arc<Shared>,
    socket: TcpStream,
    peer: IpAddr,
    direct_tls: bool,
) -> Option<Bound> {
    let limit = shared.config.load().limits.negotiation_timeout;
    let mut stopping = shared.stopping.clone();
    let negotiation = negotiate::negotiate(Arc::clone(&shared), socket, peer, direct_tls, limit);
    let (reader, session) = tokio::select! {
        negotiated = negotiation => negotiated?,
        _ = stopping.wait_for(|stopping| *stopping) => return None,
    };
    Some(Bound::new(shared, reader, session))
}

/// Ends a stream as RFC 6120 §4.4 and §4.9 say: the error if there is one, the closing tag, the
/// socket.
async fn close(mut io: Io, error: Option<&StreamError>) {
    if let Some(error) = error {
        tracing::debug!(condition = ?error.condition, "stream error");
        io.queue(Bytes::from(error.to_xml()));
    }
    io.queue(Bytes::from_static(b"</stream:stream>"));
    io.close(CLOSING_PATIENCE).await;
}
