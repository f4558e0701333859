use std::io::Write;
use std::pin::pin;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::watch;
use waxwing_core::binding::Binding;
use waxwing_xmpp::Jid;
use waxwing_xmpp::framing::Limits;

use super::super::io::Transport;
use super::*;
use crate::{config, server};

const HEADER: &[u8] = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// Both ends of a connection on which `waiting` bytes can be read at once.
async fn connection(waiting: usize) -> (std::net::TcpStream, TcpStream) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.set_recv_buffer_size(4 * waiting).unwrap();
    listener
        .bind(
            &"127.0.0.1:0"
                .parse::<std::net::SocketAddr>()
                .unwrap()
                .into(),
        )
        .unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    client.write_all(&vec![b' '; waiting]).unwrap();
    accepted.set_nonblocking(true).unwrap();
    let accepted = TcpStream::from_std(accepted.into()).unwrap();
    while left(&accepted).await < waiting {}
    (client, accepted)
}

/// How much of it has not been read.
async fn left(socket: &TcpStream) -> usize {
    socket.peek(&mut vec![0; 1 << 20]).await.unwrap()
}

/// Who sends more than a turn's worth at once is read in several turns.
#[tokio::test]
async fn a_connection_reads_no_more_than_its_turn() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[limits]\nbytes_burst = 10000000\n";
    let path = directory.path().join("config.toml");
    let config = config::parse(text, &path, std::iter::empty()).unwrap();
    let exchange = server::open(&config).await.unwrap();
    let (_stop, stopping) = watch::channel(false);
    let shared = Arc::new(server::shared(config, Arc::clone(&exchange), stopping).unwrap());
    let romeo = Jid::parse("romeo@localhost").unwrap();
    let session = exchange.bind_anonymous(&romeo, Binding::default()).unwrap();

    let waiting = 2 * TURN_BYTES;
    let (_client, socket) = connection(waiting).await;
    let watched = socket.into_std().unwrap();
    let socket = TcpStream::from_std(watched.try_clone().unwrap()).unwrap();
    socket.readable().await.unwrap();
    let mut reader = Reader::new(Io::new(Transport::Plain(socket)), Limits::AFTER_LOGIN);
    assert!(matches!(
        reader.framer.next(&mut &HEADER[..]),
        Ok(Some(Unit::Header(_)))
    ));
    let mut bound = Bound::new(shared, reader, session);
    let mut serving = pin!(bound.serve());
    let mut turn = async || {
        let pending = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
        watched.peek(&mut vec![0; 1 << 20]).unwrap_or(0)
    };
    // A read goes over the edge by less than itself.
    let after_one = turn().await;
    assert!(after_one >= waiting - TURN_BYTES - 16 * 1024, "{after_one}");
    assert!(after_one < waiting);
    assert!(turn().await < after_one);
}
