//! The way of one message through the exchange: accepted from a client, stamped, routed to an
//! account that is online, queued, taken for writing. Time by criterion, allocations by a counting
//! allocator.

#![allow(missing_docs)]

use std::alloc::System;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use waxwing_benches::counting::{self, Counting};
use waxwing_benches::stanzas;

use world::World;

mod drive;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the world of the tests, of which this needs a part"
)]
#[path = "../tests/world/mod.rs"]
mod world;

#[global_allocator]
static ALLOCATOR: Counting<System> = Counting(System);

fn route(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::new());
    let exchange = Arc::clone(&world.exchange);
    let (romeo, juliet) = runtime.block_on(async {
        (
            world.online("romeo", "bench").await,
            world.online("juliet", "bench").await,
        )
    });
    world::ids(&juliet);
    let mut framer = drive::opened();
    runtime.block_on(drive::begin(&exchange, &mut framer, &romeo));
    let xml = stanzas::routed("juliet@localhost/bench");
    let mut sent = 0_u64;
    let mut step = || {
        drive::accept(&exchange, &mut framer, &romeo, &xml);
        drive::take(&juliet);
        sent += 1;
        if sent.is_multiple_of(32) {
            drive::show_taken(&juliet, sent);
        }
    };
    for _ in 0..1024 {
        step();
    }
    let before = counting::allocations();
    for _ in 0..1024 {
        step();
    }
    let allocations = (counting::allocations() - before) as f64 / 1024.0;
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
