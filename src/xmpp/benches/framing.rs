//! Framing of a stanza with all checks, and the stamped copy of it: time by criterion, allocations
//! by a counting allocator.

// A global allocator that counts can only be written with `unsafe`.
#![allow(unsafe_code, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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

const HEADER: &[u8] = b"<stream:stream to='example.org' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// 369 bytes: a chat message with receipts, a marker and an origin id.
fn chat() -> String {
    let stanza = "<message type='chat' to='juliet@example.org/balcony' id='7c1f4e2a-93d5'>\
        <body>But soft, what light through yonder window breaks? It is the east!</body>\
        <active xmlns='http://jabber.org/protocol/chatstates'/>\
        <request xmlns='urn:xmpp:receipts'/>\
        <markable xmlns='urn:xmpp:chat-markers:0'/>\
        <origin-id xmlns='urn:xmpp:sid:0' id='7c1f4e2a-93d5-4b1e'/></message>";
    padded(stanza, "</body>", 369)
}

/// 1557 bytes: an encrypted message with three keys.
fn encrypted() -> String {
    let key = "MwohBXq".repeat(26);
    let keys: String = (1..=3)
        .map(|device| format!("<key rid='{device}2345678'>{key}</key>"))
        .collect();
    let stanza = format!(
        "<message type='chat' to='juliet@example.org' id='e2a'>\
         <encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1234'>{keys}\
         <iv>cGFyc2xleQ==</iv></header><payload></payload></encrypted>\
         <store xmlns='urn:xmpp:hints'/><body>OMEMO</body></message>"
    );
    padded(&stanza, "</payload>", 1557)
}

/// Fills the element before `mark` until the stanza has the length that the figures are kept for.
fn padded(stanza: &str, mark: &str, length: usize) -> String {
    let missing = length.saturating_sub(stanza.len());
    stanza.replacen(mark, &format!("{}{mark}", "x".repeat(missing)), 1)
}

fn opened() -> Framer {
    let mut framer = Framer::new(Limits::AFTER_LOGIN);
    let mut header = HEADER;
    assert!(matches!(
        framer.next(&mut header),
        Ok(Some(Unit::Header(_)))
    ));
    framer
}

fn framing(criterion: &mut Criterion) {
    for (name, stanza) in [
        ("chat, 369 bytes", chat()),
        ("encrypted, 1557 bytes", encrypted()),
    ] {
        let mut framer = opened();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(stanza.len() as u64));
        let mut frame = |stamped: bool| {
            let mut input = black_box(stanza.as_bytes());
            match framer.next(&mut input) {
                Ok(Some(Unit::Stanza(frame))) if stamped => {
                    black_box(frame.stamp("romeo@example.org/orchard", None));
                }
                Ok(Some(Unit::Stanza(frame))) => {
                    black_box(frame.kind());
                }
                _ => panic!("a stanza was expected"),
            }
        };
        for stamped in [false, true] {
            let what = if stamped { "frame and stamp" } else { "frame" };
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for _ in 0..1000 {
                frame(stamped);
            }
            let allocations = (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / 1000.0;
            println!("{name}, {what}: {allocations} allocations");
            assert!(allocations <= f64::from(u8::from(stamped)));
            group.bench_function(what, |bencher| bencher.iter(|| frame(stamped)));
        }
        group.finish();
    }
}

criterion_group!(benches, framing);
criterion_main!(benches);
