//! What is counted per run: framing and stamping here, the ways through the exchange in
//! [`exchange`](crate::exchange) and [`rooms`](crate::rooms).

use std::hint::black_box;

use waxwing_benches::{counting, stanzas};
use waxwing_xmpp::framing::Unit;
use waxwing_xmpp::stanza::Frame;

use crate::exchange::{self, drive};
use crate::{Outcome, rooms};

/// Runs that are counted, after as many that are not: queues have their size by then. A multiple of
/// the messages between two pings, so that what they cost is in the average.
pub const RUNS: u32 = 1024;

/// One run.
pub type Step = Box<dyn FnMut()>;

/// Something that is run and counted.
pub struct Case {
    /// Its key in the baselines.
    pub name: &'static str,
    /// What one run is, for people.
    pub what: &'static str,
    /// By what the figures of one run are divided.
    pub deliveries: u32,
    /// Whether the database's threads take part. What they allocate depends on how many messages a
    /// commit takes, and is rounded off.
    pub is_stored: bool,
    /// Makes ready for the first run.
    pub prepare: fn() -> Step,
}

/// All cases.
pub const CASES: [Case; 8] = [
    Case {
        name: "frame_chat",
        what: "A chat message of 369 bytes, framed with all checks",
        deliveries: 1,
        is_stored: false,
        prepare: || framed(stanzas::chat(), look),
    },
    Case {
        name: "frame_encrypted",
        what: "An encrypted message of 1557 bytes, framed with all checks",
        deliveries: 1,
        is_stored: false,
        prepare: || framed(stanzas::encrypted(), look),
    },
    Case {
        name: "stamp_chat",
        what: "The chat message, framed and stamped",
        deliveries: 1,
        is_stored: false,
        prepare: || framed(stanzas::chat(), stamp),
    },
    Case {
        name: "stamp_encrypted",
        what: "The encrypted message, framed and stamped",
        deliveries: 1,
        is_stored: false,
        prepare: || framed(stanzas::encrypted(), stamp),
    },
    exchange::ROUTE,
    exchange::FAN_OUT,
    exchange::BROADCAST,
    rooms::SPEAK,
];

/// Runs one case under callgrind, which counts in [`counted_runs`], and says how many allocations it
/// took.
pub fn run(name: &str) -> Outcome {
    let case = CASES.iter().find(|case| case.name == name);
    let mut step = (case.ok_or("no such case")?.prepare)();
    for _ in 0..RUNS {
        step();
    }
    let before = counting::allocations();
    counted_runs(&mut step);
    println!("{}", counting::allocations() - before);
    Ok(())
}

/// Known to callgrind by this name: see [`COUNTED`](crate::callgrind::COUNTED).
#[inline(never)]
fn counted_runs(step: &mut Step) {
    for _ in 0..RUNS {
        step();
    }
}

fn framed(stanza: String, read: fn(&Frame<'_>)) -> Step {
    let mut framer = drive::opened();
    Box::new(move || {
        let mut input = black_box(stanza.as_bytes());
        let Ok(Some(Unit::Stanza(frame))) = framer.next(&mut input) else {
            panic!("a stanza was expected");
        };
        read(&frame);
    })
}

fn look(frame: &Frame<'_>) {
    black_box(frame.kind());
}

fn stamp(frame: &Frame<'_>) {
    black_box(frame.stamp("romeo@example.org/orchard", None));
}
