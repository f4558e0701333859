//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::connection::{self, Shared};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;
/// How long written bytes may stay unacknowledged by the peer's machine.
const USER_TIMEOUT: Duration = Duration::from_secs(90);

/// Binds a listener.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` can both be given.
        socket.set_only_v6(address.ip().is_loopback())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections until the server stops. `alive` is held by every connection.
pub async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    direct_tls: bool,
    mut stopping: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file descriptors: another try at once would only burn time.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let limit = shared.config.load().limits.connections_per_address;
        let Some(place) = shared
            .connections
            .admit(peer.ip(), usize::try_from(limit).unwrap_or(usize::MAX))
        else {
            tracing::debug!("an address has too many connections");
            continue;
        };
        if let Err(error) = tune(&socket) {
            tracing::debug!(%error, "a socket could not be set up");
            continue;
        }
        let held = (place, alive.clone());
        tokio::spawn(connection::serve(
            Arc::clone(&shared),
            socket,
            peer.ip(),
            direct_tls,
            held,
        ));
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(120)))
}
