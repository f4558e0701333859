//! `idle`: what a session costs in memory while nothing happens. The slope between a fifth of the
//! sessions and all of them, so that what the server needs for itself does not count.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::options::IdleOptions;
use crate::process::{resident, slabs};
use crate::report::{Meter, Report};
use crate::scenarios::{Ignore, after, close_all};

/// The first reading is made at this part of the sessions.
const FIRST_PART: usize = 5;

struct Reading {
    resident: u64,
    kernel: Option<u64>,
}

/// Runs the scenario.
pub(crate) fn run(
    options: &IdleOptions,
    fleet: &mut Fleet,
    report: &mut Report,
) -> Result<(), Failure> {
    report.setting("sessions", options.sessions);
    let first = (options.sessions / FIRST_PART).max(1);
    let plans = fleet.server.plans(0..options.sessions.max(first + 1));
    let pids = fleet.server.pids.clone();
    if pids.is_empty() {
        report
            .faults
            .push("memory cannot be read without --pid".to_owned());
        return Ok(());
    }
    fleet.bring_online(&plans[..first], &mut Ignore)?;
    let before = reading(options, fleet)?;
    let meter = Meter::start(&pids)?;
    fleet.bring_online(&plans[first..], &mut Ignore)?;
    let added = (plans.len() - first) as u64;
    meter.finish(added, "login", report)?;
    let behind = reading(options, fleet)?;
    let slope = |before: u64, behind: u64| (behind as f64 - before as f64) / added as f64;
    report.figure("resident_bytes", behind.resident as f64);
    let resident = slope(before.resident, behind.resident);
    report.figure("resident_bytes_per_session", resident);
    if let (Some(before), Some(behind)) = (before.kernel, behind.kernel) {
        // Both ends of each connection are on this machine.
        report.figure("kernel_bytes_per_session", slope(before, behind) / 2.0);
    }
    report.verdict.arrived = plans.len() as u64;
    close_all(fleet, plans.len(), &mut Ignore)
}

/// Reads the memory after a time of quiet.
fn reading(options: &IdleOptions, fleet: &mut Fleet) -> Result<Reading, Failure> {
    let end = after(options.rest);
    while Instant::now() < end {
        fleet.poll(&mut Ignore, Duration::from_millis(100))?;
        fleet.ticker.tick(|| "quiet".to_owned());
    }
    Ok(Reading {
        resident: resident(&fleet.server.pids)?,
        kernel: slabs(),
    })
}
