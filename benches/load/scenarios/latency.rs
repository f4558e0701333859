//! `latency`: an open loop. Messages are due at fixed times, whatever the server does; each is
//! timed from the moment at which it was due, so that a stall is seen by all that it delays.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::thread::set_current_timer_slack;

use crate::check::{Flow, Verdict};
use crate::element::Element;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::handler::Handler;
use crate::lines::Lines;
use crate::message::{Arrival, Template, arrival};
use crate::options::LatencyOptions;
use crate::report::{Meter, Report, histogram};
use crate::scenarios::{close_all, relay, settle};

/// Messages on the way, at most: the server cannot keep up then.
const MAX_ON_THE_WAY: u64 = 200_000;

/// Runs the scenario.
pub(crate) fn run(
    options: &LatencyOptions,
    fleet: &mut Fleet,
    report: &mut Report,
) -> Result<(), Failure> {
    report.setting("pairs", options.pairs);
    let closed = relay::Closed {
        pairs: options.pairs,
        window: 1,
        size: options.size,
        ack_every: 1,
        raw: options.raw,
    };
    let saturation = match options.rate {
        Some(rate) => {
            relay::online(&closed, fleet)?;
            rate
        }
        None => relay::saturation(&closed, options.seconds.min(4.0), fleet, report)?,
    };
    report.figure("saturation_messages_per_second", saturation);
    // The kernel may wake a sleeper late, by 50 us, so as to wake several at once: no message would
    // be sent when it is due.
    set_current_timer_slack(NonZeroU64::new(1)).map_err(io::Error::from)?;
    let pids = fleet.server.pids.clone();
    let mut open = OpenLoop::new(options, fleet);
    for percent in &options.percent {
        open.begin(saturation * f64::from(*percent) / 100.0, options.seconds);
        let (meter, before) = (Meter::start(&pids)?, open.arrived);
        settle(fleet, &mut open, report)?;
        let mut part = Report::new("", "");
        meter.finish(open.arrived - before, "message", &mut part)?;
        for name in ["server_us_per_message", "client_busy_percent_for_messages"] {
            if let Some(value) = part.value(name) {
                report.figure(format!("at_{percent}_percent_{name}"), value);
            }
        }
        report.faults.append(&mut part.faults);
        report.percentiles(&format!("at_{percent}_percent"), &open.times);
        report.percentiles(&format!("at_{percent}_percent_sent_late"), &open.late);
        if open.overrun {
            report
                .faults
                .push(format!("the server cannot keep up with {percent} %"));
        }
        if !report.faults.is_empty() {
            break;
        }
    }
    close_all(fleet, 2 * options.pairs, &mut open)?;
    report.verdict += open.verdict();
    Ok(())
}

struct Pair {
    template: Template,
    due: VecDeque<Instant>,
    sent: u64,
    flow: Flow,
}

/// Pairs whose messages are due at fixed times, in turns.
struct OpenLoop {
    pairs: Vec<Pair>,
    start: Instant,
    interval: Duration,
    /// Messages of this part, and how many of them were sent.
    total: u64,
    begun: u64,
    /// Messages of all parts, and how many different ones have arrived.
    sent: u64,
    arrived: u64,
    overrun: bool,
    times: Histogram<u64>,
    /// How long after it was due a message was sent: this side's part of the time.
    late: Histogram<u64>,
    scratch: Vec<u8>,
}

impl OpenLoop {
    fn new(options: &LatencyOptions, fleet: &Fleet) -> OpenLoop {
        let pair = |number: usize| Pair {
            template: Template::new(&fleet.jids[2 * number + 1], "chat", number, options.size),
            due: VecDeque::new(),
            sent: 0,
            flow: Flow::default(),
        };
        OpenLoop::of((0..options.pairs).map(pair).collect())
    }

    fn of(pairs: Vec<Pair>) -> OpenLoop {
        OpenLoop {
            pairs,
            start: Instant::now(),
            interval: Duration::ZERO,
            total: 0,
            begun: 0,
            sent: 0,
            arrived: 0,
            overrun: false,
            times: histogram(),
            late: histogram(),
            scratch: Vec::new(),
        }
    }

    /// Begins a part.
    fn begin(&mut self, rate: f64, seconds: f64) {
        self.start = Instant::now();
        self.interval = Duration::from_secs_f64(1.0 / rate.max(0.001));
        (self.total, self.begun) = ((rate * seconds).ceil() as u64, 0);
        self.times.clear();
        self.late.clear();
    }

    fn due(&self) -> Instant {
        self.start + self.interval.mul_f64(self.begun as f64)
    }

    fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for pair in &self.pairs {
            verdict += pair.flow.finish(pair.sent);
        }
        verdict
    }
}

impl Handler for OpenLoop {
    fn element(&mut self, who: usize, element: Element<'_>, _: &mut Lines) -> Result<(), Failure> {
        let (flow, number) = match arrival(element) {
            Arrival::Message(flow, number) => (flow, number),
            Arrival::Error => return Err(Failure::Unexpected(who, element.excerpt())),
            Arrival::Other => return Ok(()),
        };
        if who != 2 * flow + 1 {
            return Err(Failure::Unexpected(who, element.excerpt()));
        }
        let pair = &mut self.pairs[flow];
        // A double is not what was due.
        if !pair.flow.arrived(number) {
            return Ok(());
        }
        self.arrived += 1;
        if let Some(due) = pair.due.pop_front() {
            self.times
                .saturating_record(due.elapsed().as_micros() as u64);
        }
        Ok(())
    }

    fn tick(&mut self, now: Instant, lines: &mut Lines) -> Option<Instant> {
        let count = self.pairs.len() as u64;
        while self.begun < self.total {
            let due = self.due();
            if due > now {
                return Some(due);
            }
            if self.sent - self.arrived.min(self.sent) > MAX_ON_THE_WAY {
                (self.overrun, self.total) = (true, self.begun);
                break;
            }
            let number = (self.begun % count) as usize;
            let pair = &mut self.pairs[number];
            self.scratch.clear();
            pair.template.write(pair.sent, &mut self.scratch);
            lines.stanza(2 * number, &self.scratch);
            pair.due.push_back(due);
            self.late.saturating_record((now - due).as_micros() as u64);
            pair.sent += 1;
            self.begun += 1;
            self.sent += 1;
        }
        None
    }

    fn finished(&self) -> bool {
        self.begun >= self.total && self.arrived >= self.sent
    }

    fn count(&self) -> u64 {
        self.arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_message_is_timed_from_when_it_was_due() {
        let pair = |number| Pair {
            template: Template::new("a@b/c", "chat", number, 0),
            due: VecDeque::new(),
            sent: 0,
            flow: Flow::default(),
        };
        let mut open = OpenLoop::of((0..2).map(pair).collect());
        let mut lines = Lines::default();
        lines.resize(4);
        open.begin(1000.0, 0.02);
        // As if nothing had happened for 10 ms.
        let now = open.start + Duration::from_millis(10);
        let next = open.tick(now, &mut lines);
        assert_eq!(next, Some(open.start + Duration::from_millis(11)));
        assert_eq!((open.begun, open.total), (11, 20));
        let late: Vec<_> = open.pairs[0].due.iter().map(|due| now - *due).collect();
        let every_other = [10, 8, 6, 4, 2, 0].map(Duration::from_millis);
        assert_eq!(late, every_other);
        assert!(open.late.max() >= 10_000);
    }
}
