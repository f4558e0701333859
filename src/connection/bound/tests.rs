use std::io::{Read, Write};
use std::pin::pin;

use bytes::Bytes;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::watch;
use waxwing_core::Exchange;
use waxwing_core::binding::Binding;
use waxwing_core::outbox::Held;
use waxwing_xmpp::framing::Limits;
use waxwing_xmpp::{Jid, Stanza, sm};

use super::super::io::Transport;
use super::*;
use crate::{config, server};

const HEADER: &[u8] = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// Both ends of a connection on which `sent` can be read at once.
async fn connection(sent: &[u8]) -> (std::net::TcpStream, TcpStream) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.set_recv_buffer_size(4 * sent.len()).unwrap();
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
    client.write_all(sent).unwrap();
    accepted.set_nonblocking(true).unwrap();
    let accepted = TcpStream::from_std(accepted.into()).unwrap();
    while left(&accepted).await < sent.len() {}
    (client, accepted)
}

/// How much of it has not been read.
async fn left(socket: &TcpStream) -> usize {
    socket.peek(&mut vec![0; 1 << 20]).await.unwrap()
}

/// A session, and a connection on which `sent` was sent and can be read at once.
struct Scene {
    _directory: tempfile::TempDir,
    _stop: watch::Sender<bool>,
    exchange: Arc<Exchange>,
    session: Arc<Session>,
    client: std::net::TcpStream,
    /// The server's end.
    watched: std::net::TcpStream,
    bound: Bound,
}

impl Scene {
    async fn new(config: &str, sent: &[u8]) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let config = config::parse(config, &path, std::iter::empty()).unwrap();
        let exchange = server::open(&config).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(server::shared(config, Arc::clone(&exchange), stopping).unwrap());
        let romeo = Jid::parse("romeo@localhost").unwrap();
        let session = exchange.bind_anonymous(&romeo, Binding::default()).unwrap();
        let (client, socket) = connection(sent).await;
        let watched = socket.into_std().unwrap();
        let socket = TcpStream::from_std(watched.try_clone().unwrap()).unwrap();
        socket.readable().await.unwrap();
        let mut reader = Reader::new(Io::new(Transport::Plain(socket)), Limits::AFTER_LOGIN);
        assert!(matches!(
            reader.framer.next(&mut &HEADER[..]),
            Ok(Some(Unit::Header(_)))
        ));
        Scene {
            _directory: directory,
            _stop: stop,
            bound: Bound::new(shared, reader, Arc::clone(&session)),
            exchange,
            session,
            client,
            watched,
        }
    }
}

/// What a client has been sent and has not read.
fn told(client: &mut std::net::TcpStream) -> String {
    client.set_nonblocking(true).unwrap();
    let mut told = Vec::new();
    let end = client.read_to_end(&mut told).unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::WouldBlock);
    String::from_utf8(told).unwrap()
}

/// Who sends more than a turn's worth at once is read in several turns.
#[tokio::test]
async fn a_connection_reads_no_more_than_its_turn() {
    let waiting = 2 * TURN_BYTES;
    let config = "[limits]\nbytes_burst = 10000000\n";
    let mut scene = Scene::new(config, &vec![b' '; waiting]).await;
    let mut serving = pin!(scene.bound.serve());
    let mut turn = async || {
        let pending = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
        scene.watched.peek(&mut vec![0; 1 << 20]).unwrap_or(0)
    };
    // A read goes over the edge by less than itself.
    let after_one = turn().await;
    assert!(after_one >= waiting - TURN_BYTES - 16 * 1024, "{after_one}");
    assert!(after_one < waiting);
    assert!(turn().await < after_one);
}

/// The error for a message waits behind a row that is being stored, and the acknowledgement of the
/// message waits for the error: a crash between the two would leave its sender with a lie.
#[tokio::test]
async fn an_acknowledgement_does_not_overtake_an_error() {
    let refused = b"<message to='nobody@localhost' type='chat' id='1'><body>x</body></message>\
        <r xmlns='urn:xmpp:sm:3'/>";
    let mut scene = Scene::new("", refused).await;
    let (session, exchange) = (scene.session, scene.exchange);
    let enabled = exchange.enable_management(&session, false, None).unwrap();
    session.outbox.push_enabled(enabled.into());
    let message = Bytes::from_static(b"<message from='juliet@localhost/x' id='2'/>");
    let row = Held::Row {
        id: i64::MAX,
        bytes: 0,
        brief: false,
        in_order: true,
        directed: false,
    };
    session
        .outbox
        .push_held(&Stanza::parse(message).unwrap(), row);

    let mut serving = pin!(scene.bound.serve());
    let mut turn = async || {
        let pending = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
        tokio::task::yield_now().await;
    };
    while !session.outbox.refuses() {
        turn().await;
    }
    assert_eq!(session.handled(), 1);
    turn().await;
    let before = told(&mut scene.client);
    assert!(before.ends_with("/>") && before.contains("<enabled "));
    assert!(
        !before.contains("<a ") && !before.contains("<message "),
        "{before}"
    );
    // XEP-0198 §4: the answer may wait for a while only. What was said before is still true.
    session.outbox.tick();
    turn().await;
    assert_eq!(told(&mut scene.client), sm::ack(0));
    session.outbox.withdraw(i64::MAX);
    turn().await;
    let after = told(&mut scene.client);
    let (error, answer) = after.split_once("</message>").unwrap();
    assert!(error.contains("type='error'"), "{error}");
    assert!(answer.starts_with(&sm::ack(1)), "{answer}");
}
