//! The way of one message through the exchange: accepted from a client, stamped, routed to an
//! account that is online, queued, taken for writing. Time by criterion, allocations by a counting
//! allocator.

// A global allocator that counts can only be written with `unsafe`.
#![allow(unsafe_code, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use arc_swap::ArcSwap;
use criterion::{Criterion, criterion_group, criterion_main};
use waxwing_core::accounts::Accounts;
use waxwing_core::clock::{Clock, Ids, SystemClock, SystemIds};
use waxwing_core::db::{Database, Options};
use waxwing_core::mailbox_store::{self, Mailbox};
use waxwing_core::outbox::Wake;
use waxwing_core::powers::{IqTable, Powers};
use waxwing_core::registry::Registry;
use waxwing_core::{Exchange, MIGRATIONS, Session, Settings};
use waxwing_xmpp::Jid;
use waxwing_xmpp::framing::{Framer, Limits, Unit};

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

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("an address")
}

fn settings() -> Settings {
    Settings {
        domain: jid("localhost"),
        admins: Vec::new(),
        retention_days: 30,
        sessions_per_account: 10,
        outbox_bytes: 1 << 20,
        roster_items: 1000,
        mailbox_messages: 10_000,
        mailbox_bytes: 50 << 20,
        contacts: Vec::new(),
        open_registration: false,
        registrations_per_hour: 10,
        stanza_bytes_before_login: 10_000,
        stanza_bytes: 262_144,
        negotiation_seconds: 30,
        idle_seconds: 30,
        anonymous: false,
    }
}

async fn exchange(directory: &Path) -> Arc<Exchange> {
    let migrations = [MIGRATIONS, mailbox_store::MIGRATIONS];
    let database = Database::open(
        &directory.join("bench.db"),
        &migrations,
        &Options::default(),
    )
    .expect("the database opens");
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (
        Arc::new(SystemClock::default()),
        Arc::new(SystemIds::default()),
    );
    let accounts = Accounts::open(
        database.clone(),
        Arc::clone(&clock),
        Arc::clone(&ids),
        vec![],
    )
    .await
    .expect("the accounts open");
    Arc::new(Exchange {
        domain: jid("localhost"),
        settings: ArcSwap::from_pointee(settings()),
        mailbox: Mailbox::open(database.clone())
            .await
            .expect("the mailbox opens"),
        accounts,
        database,
        registry: Registry::default(),
        iq_table: IqTable::new(&[]).expect("no claims"),
        powers: Powers::default(),
        clock,
        ids,
        epoch: 1,
    })
}

async fn session(exchange: &Arc<Exchange>, local: &str) -> Arc<Session> {
    let bare = jid(&format!("{local}@localhost"));
    exchange
        .accounts
        .create(&bare, "secret", false)
        .await
        .expect("an account");
    exchange
        .bind(&bare, Some("bench"), None)
        .await
        .expect("a session")
}

/// One message from `romeo` to `juliet`, until it is ready to be written.
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
    let accepted = pin!(exchange.accept(romeo, frame)).poll(&mut cx);
    assert!(matches!(accepted, Poll::Ready(Ok(()))));
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
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let exchange = runtime.block_on(exchange(directory.path()));
    let ends = runtime.block_on(async {
        (
            session(&exchange, "romeo").await,
            session(&exchange, "juliet").await,
        )
    });
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
