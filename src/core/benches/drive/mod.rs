//! The exchange driven by hand, one stanza at a time: what `route` and the gates measure.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use waxwing_benches::stanzas;
use waxwing_core::outbox::Wake;
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::framing::{Framer, Limits, Unit};

/// A stream that has begun.
pub fn opened() -> Framer {
    let mut framer = Framer::new(Limits::AFTER_LOGIN);
    let mut header = stanzas::HEADER;
    assert!(matches!(
        framer.next(&mut header),
        Ok(Some(Unit::Header(_)))
    ));
    framer
}

/// Frames a stanza of a client and has the exchange take it.
pub async fn send(
    exchange: &Arc<Exchange>,
    framer: &mut Framer,
    session: &Arc<Session>,
    xml: &str,
) {
    let mut input = black_box(xml.as_bytes());
    let Ok(Some(Unit::Stanza(frame))) = framer.next(&mut input) else {
        panic!("a stanza was expected");
    };
    if let Some(rest) = exchange.accept(session, frame).expect("no stream error") {
        rest.await;
    }
}

/// The same with nothing to wait for.
pub fn accept(exchange: &Arc<Exchange>, framer: &mut Framer, session: &Arc<Session>, xml: &str) {
    let mut cx = Context::from_waker(Waker::noop());
    let sent = pin!(send(exchange, framer, session, xml)).poll(&mut cx);
    assert!(sent.is_ready());
}

/// A session's first message, to nobody: it finds out what was sent before.
pub async fn begin(exchange: &Arc<Exchange>, framer: &mut Framer, session: &Arc<Session>) {
    let first = "<message to='localhost' type='headline'/>";
    send(exchange, framer, session, first).await;
}

/// Takes what waits to be written to a client.
pub fn take(session: &Session) {
    let mut cx = Context::from_waker(Waker::noop());
    match session.outbox.poll_take(&mut cx, 64, || i64::MAX) {
        Poll::Ready(Wake::Bytes(bytes)) => {
            black_box(bytes);
        }
        Poll::Ready(_) | Poll::Pending => panic!("nothing arrived"),
    }
}

/// What a client does once in a while: it shows what it has taken.
pub fn show_taken(session: &Session, probe: u64) {
    session.outbox.begin_probe(probe);
    assert!(session.outbox.probe_answered(probe).is_some());
}
