//! Framing of a stanza with all checks, and the stamped copy of it: time by criterion, allocations
//! by a counting allocator.

#![allow(missing_docs)]

use std::alloc::System;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use waxwing_benches::counting::{self, Counting};
use waxwing_benches::stanzas;
use waxwing_xmpp::framing::{Framer, Limits, Unit};

#[global_allocator]
static ALLOCATOR: Counting<System> = Counting(System);

fn opened() -> Framer {
    let mut framer = Framer::new(Limits::AFTER_LOGIN);
    let mut header = stanzas::HEADER;
    assert!(matches!(
        framer.next(&mut header),
        Ok(Some(Unit::Header(_)))
    ));
    framer
}

fn framing(criterion: &mut Criterion) {
    for (name, stanza) in [
        ("chat, 369 bytes", stanzas::chat()),
        ("encrypted, 1557 bytes", stanzas::encrypted()),
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
            let before = counting::allocations();
            for _ in 0..1000 {
                frame(stamped);
            }
            let allocations = (counting::allocations() - before) as f64 / 1000.0;
            println!("{name}, {what}: {allocations} allocations");
            assert!(allocations <= f64::from(u8::from(stamped)));
            group.bench_function(what, |bencher| bencher.iter(|| frame(stamped)));
        }
        group.finish();
    }
}

criterion_group!(benches, framing);
criterion_main!(benches);
