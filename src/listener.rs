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
/// EAFNOSUPPORT (errno(3)), for which the standard library has no name.
const NO_SUCH_FAMILY: i32 = 97;
/// How long written bytes may stay unacknowledged by the peer's machine.
const USER_TIMEOUT: Duration = Duration::from_secs(90);

/// A listener that cannot be: its address, and why.
pub type Refused = (SocketAddr, io::Error);

/// Binds these listeners, each with whether its clients begin with TLS. Where IPv6 is switched off
/// `[::1]` is left out as long as there is another address for the same clients.
pub fn bind_all(addresses: &[(SocketAddr, bool)]) -> Result<Vec<(TcpListener, bool)>, Refused> {
    let all: Vec<_> = addresses.iter().map(|(address, _)| *address).collect();
    let bound = addresses.iter().map(|(address, direct_tls)| {
        let listener = bind(*address, is_only_v6(*address, &all));
        (*address, *direct_tls, listener)
    });
    without_missing_loopback(bound.collect())
}

/// Whether a listener leaves IPv4 alone. `[::]` takes both, unless an IPv4 address has its port.
fn is_only_v6(address: SocketAddr, all: &[SocketAddr]) -> bool {
    let takes_port = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
    address.is_ipv6() && (address.ip().is_loopback() || all.iter().any(takes_port))
}

fn without_missing_loopback<T>(
    bound: Vec<(SocketAddr, bool, io::Result<T>)>,
) -> Result<Vec<(T, bool)>, Refused> {
    let working = |wanted: bool| {
        bound
            .iter()
            .any(|(_, direct_tls, listener)| *direct_tls == wanted && listener.is_ok())
    };
    let working = [working(false), working(true)];
    let mut listeners = Vec::with_capacity(bound.len());
    for (address, direct_tls, listener) in bound {
        match listener {
            Ok(listener) => listeners.push((listener, direct_tls)),
            Err(error)
                if address.is_ipv6()
                    && address.ip().is_loopback()
                    && is_without_address(&error)
                    && working[usize::from(direct_tls)] =>
            {
                tracing::warn!(%address, %error, "not listened on");
            }
            Err(error) => return Err((address, error)),
        }
    }
    Ok(listeners)
}

/// Whether this machine does not have the address, or nothing of its kind.
fn is_without_address(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

/// Binds a listener; one of IPv6 takes IPv4 too, unless it is `only_v6`.
pub fn bind(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn the_unspecified_address_leaves_ipv4_to_who_is_named() {
        let any = at("[::]:5222");
        assert!(!is_only_v6(any, &[any, at("0.0.0.0:5223")]));
        for other in ["0.0.0.0:5222", "127.0.0.1:5222"] {
            assert!(is_only_v6(any, &[at(other), any]));
            assert!(!is_only_v6(at(other), &[at(other), any]));
        }
        assert!(is_only_v6(at("[::1]:5222"), &[at("[::1]:5222")]));
    }

    fn failed(code: i32) -> io::Result<u8> {
        Err(io::Error::from_raw_os_error(code))
    }

    #[test]
    fn loopback_of_ipv6_may_be_missing() {
        let (v4, v6) = (at("127.0.0.1:5222"), at("[::1]:5222"));
        const NOT_AVAILABLE: i32 = 99;
        for code in [NO_SUCH_FAMILY, NOT_AVAILABLE] {
            let bound = vec![(v6, false, failed(code)), (v4, false, Ok(4))];
            assert_eq!(without_missing_loopback(bound).unwrap(), [(4, false)]);
            // Nobody else takes those who begin with TLS.
            let bound = vec![(v4, false, Ok(4)), (v6, true, failed(code))];
            assert_eq!(without_missing_loopback(bound).unwrap_err().0, v6);
            let any = at("[::]:5222");
            let bound = vec![(v4, false, Ok(4)), (any, false, failed(code))];
            assert_eq!(without_missing_loopback(bound).unwrap_err().0, any);
        }
        const IN_USE: i32 = 98;
        let bound = vec![(v4, false, Ok(4)), (v6, false, failed(IN_USE))];
        assert_eq!(without_missing_loopback(bound).unwrap_err().0, v6);
    }
}
