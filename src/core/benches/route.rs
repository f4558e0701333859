//! The way of one message through the exchange: accepted from a client, stamped, routed to an
//! account that is online, queued, taken for writing. Time by criterion, allocations by a counting
//! allocator.

// A global allocator that counts can only be written with `unsafe`.
#![allow(unsafe_code, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use criterion::{Criterion, criterion_group, criterion_main};
use waxwing_core::outbox::Wake;
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::framing::{Framer, Limits, Unit};

use world::World;

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the world of the tests, of which this needs a part"
)]
#[path = "../tests/world/mod.rs"]
mod world;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HEADER: &[u8] = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// One message from `romeo` to `juliet`, until it is ready to be written. A function of its own in
/// every build, so that a profiler can find it.
#[inline(never)]
fn one(
    exchange: &Arc<Exchange>,
    framer: &mut Framer,
    ends: &(Arc<Session>, Arc<Session>),
    xml: &str,
) {
    let (romeo, juliet) = ends;
    let mut input = xml.as_bytes();
    let Ok(Some(Unit::Stanza(frame))) = framer.next(&mut input) else {
        panic!("a stanza was expected");
    };
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(exchange.accept(romeo, frame), Ok(None)));
    match juliet.outbox.poll_take(&mut cx, 64) {
        Poll::Ready(Wake::Bytes(bytes)) => {
            black_box(bytes);
        }
        Poll::Ready(_) | Poll::Pending => panic!("the message did not arrive"),
    }
}

/// What juliet's client does once in a while: it shows what it has taken.
fn take(juliet: &Session, id: u64) {
    juliet.outbox.begin_probe(id);
    assert!(juliet.outbox.probe_answered(id).is_some());
}

fn route(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::new());
    let exchange = Arc::clone(&world.exchange);
    let ends = runtime.block_on(async {
        (
            world.online("romeo", "bench").await,
            world.online("juliet", "bench").await,
        )
    });
    world::ids(&ends.1);
    let mut framer = Framer::new(Limits::AFTER_LOGIN);
    let mut header = HEADER;
    assert!(matches!(
        framer.next(&mut header),
        Ok(Some(Unit::Header(_)))
    ));
    let xml = format!(
        "<message type='chat' to='juliet@localhost/bench' id='7c1f4e2a'><body>{}</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/>\
         <request xmlns='urn:xmpp:receipts'/></message>",
        "x".repeat(150)
    );
    let mut sent = 0_u64;
    let mut step = || {
        one(&exchange, &mut framer, &ends, &xml);
        sent += 1;
        if sent.is_multiple_of(32) {
            take(&ends.1, sent);
        }
    };
    for _ in 0..1000 {
        step();
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..1000 {
        step();
    }
    let allocations = (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / 1000.0;
    println!(
        "a message of {} bytes: {allocations} allocations",
        xml.len()
    );
    criterion.bench_function("frame, stamp, route, queue, take", |bencher| {
        bencher.iter(&mut step);
    });
    runtime.block_on(exchange.database.clone().close());
}

criterion_group!(benches, route);
criterion_main!(benches);
