//! Instructions and allocations of the [`cases`](crate::cases): each runs in a process of its own
//! under valgrind.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use waxwing_gates::{Figure, Kind};

use crate::Outcome;
use crate::cases::{CASES, Case, RUNS};

/// The argument that makes this program run one case.
pub const CASE: &str = "--case";

/// The function within which callgrind counts, and only on the thread that is in it: neither the
/// start nor the threads of the database are in the figures.
pub const COUNTED: &str = "*counted_runs*";

/// Turns off what jemalloc does by the clock or only now and then: the figures are of its fast path.
const JEMALLOC: &str = "tcache_gc_incr_bytes:1073741824,dirty_decay_ms:-1,muzzy_decay_ms:-1";

/// Measures all cases, side by side: what else the machine does changes nothing.
pub fn measure() -> Outcome<Vec<Figure>> {
    let directory = tempfile::tempdir()?;
    let running = CASES
        .iter()
        .map(|case| start(case, &directory.path().join(case.name)))
        .collect::<Outcome<Vec<_>>>()?;
    let mut figures = Vec::new();
    for (case, child) in CASES.iter().zip(running) {
        let counts = directory.path().join(case.name);
        let (instructions, allocations) =
            finish(child, &counts).map_err(|error| format!("{}: {error}", case.name))?;
        let figure = |kind, total: u64, digits| Figure {
            kind,
            name: case.name.to_owned(),
            what: case.what.to_owned(),
            value: rounded(total as f64 / f64::from(RUNS * case.deliveries), digits),
        };
        figures.push(figure(Kind::Instructions, instructions, 1));
        let digits = if case.is_stored { 1 } else { 6 };
        figures.push(figure(Kind::Allocations, allocations, digits));
    }
    Ok(figures)
}

fn start(case: &Case, counts: &Path) -> Outcome<Child> {
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(std::env::current_exe()?)
        .args([CASE, case.name])
        .env("_RJEM_MALLOC_CONF", JEMALLOC)
        .stdout(Stdio::piped());
    command.spawn().map_err(|error| {
        let text = format!("valgrind cannot be run ({error}): apt-get install valgrind");
        text.into()
    })
}

/// Instructions and allocations of all runs.
fn finish(child: Child, counts: &Path) -> Outcome<(u64, u64)> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    let allocations = String::from_utf8(output.stdout)?.trim().parse()?;
    let counts = std::fs::read_to_string(counts)?;
    let totals = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let instructions = totals.ok_or("callgrind wrote no totals")?.trim().parse()?;
    if instructions == 0 {
        return Err(format!("callgrind did not find {COUNTED}").into());
    }
    Ok((instructions, allocations))
}

/// Without the digits that mean nothing. One allocation in all runs is still seen.
fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
