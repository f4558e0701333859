//! The scenarios. Each brings its sessions online, lets them work for a while, waits until
//! everything has arrived, and reports.

pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod login;
pub(crate) mod muc;
pub(crate) mod offline;
pub(crate) mod presence;
pub(crate) mod relay;

use std::time::{Duration, Instant};

use crate::element::Element;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::handler::{Handler, Outcome};
use crate::lines::Lines;
use crate::report::{Meter, Report};

/// The part of a run that warms up, compared to the measured part.
const WARM_UP: f64 = 0.1;

/// Seconds to wait for the next session to end.
const CLOSING: f64 = 5.0;

/// A handler for what arrives while there is nothing to expect.
pub(crate) struct Ignore;

impl Handler for Ignore {
    fn element(&mut self, _: usize, _: Element<'_>, _: &mut Lines) -> Result<(), Failure> {
        Ok(())
    }

    fn finished(&self) -> bool {
        false
    }

    fn count(&self) -> u64 {
        0
    }
}

/// A moment some seconds from now.
pub(crate) fn after(seconds: f64) -> Instant {
    Instant::now() + Duration::from_secs_f64(seconds)
}

/// Lets a handler work, and after warming up measures what each of the things that it counts costs.
pub(crate) fn measure(
    fleet: &mut Fleet,
    handler: &mut dyn Handler,
    seconds: f64,
    thing: &str,
    report: &mut Report,
) -> Result<(), Failure> {
    fleet.run(handler, Some(after(seconds * WARM_UP)))?;
    let pids = fleet.server.pids.clone();
    let (meter, before) = (Meter::start(&pids)?, handler.count());
    fleet.run(handler, Some(after(seconds)))?;
    meter.finish(handler.count() - before, thing, report)?;
    Ok(())
}

/// Lets a handler go on until it has finished, and notes it if it does not.
pub(crate) fn settle(
    fleet: &mut Fleet,
    handler: &mut dyn Handler,
    report: &mut Report,
) -> Result<(), Failure> {
    if fleet.run(handler, None)? == Outcome::Stalled {
        report
            .faults
            .push("the server stopped answering".to_owned());
    }
    Ok(())
}

/// Ends all sessions and waits for the server to follow. What it still sends is the handler's: the
/// end of a stream shows that nothing is behind it, no double either.
pub(crate) fn close_all(
    fleet: &mut Fleet,
    count: usize,
    handler: &mut dyn Handler,
) -> Result<(), Failure> {
    for who in 0..count {
        fleet.close(who);
    }
    let (mut gone, mut end) = (0, after(CLOSING));
    while gone < count && Instant::now() < end {
        fleet.poll(handler, Duration::from_millis(100))?;
        let more = fleet.take_gone().len();
        if more > 0 {
            (gone, end) = (gone + more, after(CLOSING));
        }
    }
    Ok(())
}
