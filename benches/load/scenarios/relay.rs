//! `relay`: pairs of sessions. The sender sends a burst in one write; when all of it has arrived,
//! the next follows. So the server reads `window` stanzas at a time, and the load is closed.

use std::time::{Duration, Instant};

use crate::check::{Flow, Verdict};
use crate::element::Element;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::handler::Handler;
use crate::lines::Lines;
use crate::message::{Arrival, Template, arrival};
use crate::options::RelayOptions;
use crate::report::Report;
use crate::scenarios::{Ignore, WARM_UP, after, close_all, measure, settle};
use crate::sm::Acks;

/// How often an outstanding acknowledgement is asked for at the end.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// One sender and one recipient: connections `2n` and `2n + 1`.
struct Pair {
    template: Template,
    sent: u64,
    flow: Flow,
    acks: Acks,
}

/// The pairs at work.
pub(crate) struct Relay {
    pairs: Vec<Pair>,
    window: u64,
    /// Messages after which to ask for an acknowledgement; 0 without stream management.
    ack_every: u64,
    arrived: u64,
    stopping: bool,
    asked: Option<Instant>,
    scratch: Vec<u8>,
}

/// How a closed loop works.
pub(crate) struct Closed {
    pub(crate) pairs: usize,
    pub(crate) window: u64,
    pub(crate) size: usize,
    pub(crate) ack_every: u64,
    pub(crate) raw: bool,
}

/// Runs the scenario.
pub(crate) fn run(
    options: &RelayOptions,
    fleet: &mut Fleet,
    report: &mut Report,
) -> Result<(), Failure> {
    report.setting("pairs", options.pairs);
    report.setting("window", options.window);
    report.setting("size", options.size);
    if fleet.server.sm {
        report.setting("ack_every", options.ack_every);
    }
    let closed = Closed {
        pairs: options.pairs,
        window: options.window.max(1),
        size: options.size,
        ack_every: options.ack_every.max(1),
        raw: options.raw,
    };
    let mut relay = online(&closed, fleet)?;
    relay.start(fleet);
    measure(fleet, &mut relay, options.seconds, "message", report)?;
    relay.stop(fleet, report)?;
    close_all(fleet, 2 * options.pairs, &mut relay)?;
    relay.verdict(fleet, report);
    Ok(())
}

/// Brings pairs online and finds how many messages per second they can exchange at most. They stay
/// online.
pub(crate) fn saturation(
    closed: &Closed,
    seconds: f64,
    fleet: &mut Fleet,
    report: &mut Report,
) -> Result<f64, Failure> {
    let mut relay = online(closed, fleet)?;
    relay.start(fleet);
    fleet.run(&mut relay, Some(after(seconds * WARM_UP)))?;
    let (begun, before) = (Instant::now(), relay.arrived);
    fleet.run(&mut relay, Some(after(seconds)))?;
    let rate = (relay.arrived - before) as f64 / begun.elapsed().as_secs_f64();
    relay.stop(fleet, report)?;
    relay.verdict(fleet, report);
    Ok(rate)
}

/// Brings the pairs online.
pub(crate) fn online(closed: &Closed, fleet: &mut Fleet) -> Result<Relay, Failure> {
    let count = 2 * closed.pairs;
    if closed.raw {
        for who in 0..count {
            fleet.open_raw(who)?;
            fleet.jids[who] = format!("recipient{who}@localhost/resource");
        }
    } else {
        let plans = fleet.server.plans(0..count);
        fleet.bring_online(&plans, &mut Ignore)?;
    }
    let pair = |number: usize| Pair {
        template: Template::new(&fleet.jids[2 * number + 1], "chat", number, closed.size),
        sent: 0,
        flow: Flow::default(),
        acks: Acks::default(),
    };
    Ok(Relay {
        pairs: (0..closed.pairs).map(pair).collect(),
        window: closed.window,
        ack_every: if fleet.server.sm { closed.ack_every } else { 0 },
        arrived: 0,
        stopping: false,
        asked: None,
        scratch: Vec::new(),
    })
}

impl Relay {
    /// Sends no more, and waits for the rest.
    fn stop(&mut self, fleet: &mut Fleet, report: &mut Report) -> Result<(), Failure> {
        self.stopping = true;
        settle(fleet, self, report)
    }

    fn start(&mut self, fleet: &mut Fleet) {
        for number in 0..self.pairs.len() {
            self.burst(number, &mut fleet.lines);
        }
    }

    fn burst(&mut self, number: usize, lines: &mut Lines) {
        let (pair, who) = (&mut self.pairs[number], 2 * number);
        for _ in 0..self.window {
            self.scratch.clear();
            pair.template.write(pair.sent, &mut self.scratch);
            lines.stanza(who, &self.scratch);
            pair.acks.sent();
            pair.sent += 1;
            if self.ack_every > 0 && pair.sent % self.ack_every == 0 {
                pair.acks.ask(who, lines);
            }
        }
    }

    /// Sends the next burst if the last has arrived and acknowledgements are not far behind.
    fn go_on(&mut self, number: usize, lines: &mut Lines) {
        let pair = &self.pairs[number];
        let arrived = pair.flow.count() == pair.sent;
        let behind = u64::from(pair.acks.behind(2 * number, lines));
        let near = self.ack_every == 0 || behind < 4 * self.window.max(self.ack_every);
        if arrived && near && !self.stopping {
            self.burst(number, lines);
        }
    }

    /// Fills in what became of the messages.
    fn verdict(&self, fleet: &Fleet, report: &mut Report) {
        let mut verdict = Verdict::default();
        for pair in &self.pairs {
            verdict += pair.flow.finish(pair.sent);
        }
        report.verdict += verdict;
        if self.ack_every > 0 {
            let behind = |number: usize| self.pairs[number].acks.behind(2 * number, &fleet.lines);
            let unacknowledged: u32 = (0..self.pairs.len()).map(behind).sum();
            if unacknowledged > 0 {
                let fault = format!("{unacknowledged} stanzas were never acknowledged");
                report.faults.push(fault);
            }
        }
    }
}

impl Handler for Relay {
    fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        lines: &mut Lines,
    ) -> Result<(), Failure> {
        let number = who / 2;
        match arrival(element) {
            Arrival::Message(flow, count) => {
                if flow != number || who.is_multiple_of(2) {
                    return Err(Failure::Unexpected(who, element.excerpt()));
                }
                self.pairs[number].flow.arrived(count);
                self.arrived += 1;
            }
            Arrival::Error => return Err(Failure::Unexpected(who, element.excerpt())),
            // Servers acknowledge to recipients too, what those have sent.
            Arrival::Other if !who.is_multiple_of(2) => return Ok(()),
            Arrival::Other => {
                if !self.pairs[number].acks.element(who, element, lines)? {
                    return Ok(());
                }
            }
        }
        self.go_on(number, lines);
        Ok(())
    }

    fn tick(&mut self, now: Instant, lines: &mut Lines) -> Option<Instant> {
        if !self.stopping || self.ack_every == 0 {
            return None;
        }
        if self.asked.is_none_or(|asked| now >= asked + ASK_AGAIN) {
            self.asked = Some(now);
            for (number, pair) in self.pairs.iter().enumerate() {
                if pair.acks.behind(2 * number, lines) > 0 {
                    pair.acks.ask(2 * number, lines);
                }
            }
        }
        Some(now + ASK_AGAIN)
    }

    fn finished(&self) -> bool {
        let settled = |pair: &Pair| {
            pair.flow.count() >= pair.sent && (self.ack_every == 0 || pair.acks.is_settled())
        };
        self.stopping && self.pairs.iter().all(settled)
    }

    fn count(&self) -> u64 {
        self.arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_sender_is_told_acknowledges() {
        let mut relay = Relay {
            pairs: vec![Pair {
                template: Template::new("a@b/c", "chat", 0, 0),
                sent: 0,
                flow: Flow::default(),
                acks: Acks::default(),
            }],
            window: 3,
            ack_every: 3,
            arrived: 0,
            stopping: false,
            asked: None,
            scratch: Vec::new(),
        };
        let mut lines = Lines::default();
        lines.resize(2);
        relay.burst(0, &mut lines);
        relay.stopping = true;
        for (who, h, behind) in [(0, 2, 1), (1, 0, 1), (0, 3, 0), (1, 0, 0)] {
            let ack = format!("<a h='{h}'/>");
            relay
                .element(who, Element(ack.as_bytes()), &mut lines)
                .unwrap();
            assert_eq!(relay.pairs[0].acks.behind(0, &lines), behind);
        }
    }
}
