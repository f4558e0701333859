//! `offline`: messages to absent users, and their return. Every sender waits for the server's word
//! on each burst before the next: the acknowledgement of XEP-0198, or the answer to a ping without
//! it. Then the recipients come and must get everything once, and nothing when they come again.

use std::mem;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::check::{Flow, Verdict};
use crate::element::Element;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fsyncs::Watch;
use crate::handler::Handler;
use crate::lines::Lines;
use crate::message::{Arrival, Template, arrival};
use crate::options::OfflineOptions;
use crate::report::{Meter, Report, histogram};
use crate::scenarios::{Ignore, after, close_all, settle};
use crate::sm::Acks;

/// Runs the scenario.
pub(crate) fn run(
    options: &OfflineOptions,
    fleet: &mut Fleet,
    report: &mut Report,
) -> Result<(), Failure> {
    let (senders, recipients) = (options.senders, options.recipients);
    report.setting("senders", senders);
    report.setting("recipients", recipients);
    report.setting("window", options.window);
    match options.seconds {
        Some(seconds) => report.setting("seconds", seconds),
        None => report.setting("messages", options.messages),
    }
    let mut accounts = fleet.server.plans(0..recipients);
    if options.common.server.register {
        fleet.bring_online(&accounts, &mut Ignore)?;
        close_all(fleet, recipients, &mut Ignore)?;
        fleet.clear();
        for account in &mut accounts {
            account.register = false;
        }
    }
    let mut store = Store::online(options, fleet)?;
    let watch = match options.fsyncs {
        true => Some(Watch::start(&fleet.server.pids)?),
        false => None,
    };
    let pids = fleet.server.pids.clone();
    let meter = Meter::start(&pids)?;
    store.start(options.seconds.map(after), &mut fleet.lines);
    settle(fleet, &mut store, report)?;
    meter.finish(store.settled, "stored_message", report)?;
    report.percentiles("acknowledged", &store.times);
    if let Some(watch) = watch {
        report.figure("fsyncs", watch.finish()? as f64);
    }
    close_all(fleet, senders, &mut store)?;
    fleet.clear();

    // What a login costs does not belong to the messages: they come with presence.
    let mut drain = Drain::new(options, &store);
    fleet.without_presence = true;
    fleet.bring_online(&accounts, &mut drain)?;
    fleet.without_presence = false;
    let (meter, before) = (Meter::start(&pids)?, drain.arrived);
    for who in 0..recipients {
        fleet.lines.stanza(who, b"<presence/>");
    }
    settle(fleet, &mut drain, report)?;
    meter.finish(drain.arrived - before, "drained_message", report)?;
    drain.wait(fleet, options.watch)?;
    close_all(fleet, recipients, &mut drain)?;
    fleet.clear();

    fleet.bring_online(&accounts, &mut drain)?;
    drain.wait(fleet, options.watch)?;
    close_all(fleet, recipients, &mut drain)?;
    report.verdict = drain.verdict(&store);
    Ok(())
}

/// One sender with a flow to each recipient.
struct Sender {
    templates: Vec<Template>,
    sent: u64,
    begun: Instant,
    /// Whether the server's word on a burst is awaited.
    waiting: bool,
    acks: Acks,
}

/// The senders at work.
struct Store {
    senders: Vec<Sender>,
    window: u64,
    messages: u64,
    /// When they end, instead of after a number of messages.
    end: Option<Instant>,
    sm: bool,
    ping: Vec<u8>,
    settled: u64,
    done: usize,
    times: Histogram<u64>,
}

impl Store {
    fn online(options: &OfflineOptions, fleet: &mut Fleet) -> Result<Store, Failure> {
        let (senders, recipients) = (options.senders, options.recipients);
        let plans = fleet.server.plans(recipients..recipients + senders);
        fleet.bring_online(&plans, &mut Ignore)?;
        let domain = &fleet.server.domain;
        let template = |sender: usize, recipient: usize| {
            let to = format!("{}@{domain}", fleet.server.user(recipient));
            Template::new(&to, "chat", sender * recipients + recipient, options.size)
        };
        let sender = |number: usize| Sender {
            templates: (0..recipients).map(|to| template(number, to)).collect(),
            sent: 0,
            begun: Instant::now(),
            waiting: false,
            acks: Acks::default(),
        };
        Ok(Store {
            senders: (0..senders).map(sender).collect(),
            window: options.window.max(1),
            messages: options.messages,
            end: None,
            sm: fleet.server.sm,
            ping: format!(
                "<iq type='get' id='stored' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
            )
            .into_bytes(),
            settled: 0,
            done: 0,
            times: histogram(),
        })
    }

    fn start(&mut self, end: Option<Instant>, lines: &mut Lines) {
        self.end = end;
        for who in 0..self.senders.len() {
            self.burst(who, lines);
        }
    }

    fn burst(&mut self, who: usize, lines: &mut Lines) {
        let (sender, mut message) = (&mut self.senders[who], Vec::new());
        let count = match self.end {
            Some(end) if Instant::now() >= end => 0,
            Some(_) => self.window,
            None => self.window.min(self.messages - sender.sent),
        };
        if count == 0 {
            self.done += 1;
            return;
        }
        let recipients = sender.templates.len() as u64;
        for _ in 0..count {
            // Each sender begins elsewhere, and goes around.
            let to = (who as u64 + sender.sent) % recipients;
            message.clear();
            sender.templates[to as usize].write(sender.sent / recipients, &mut message);
            lines.stanza(who, &message);
            sender.sent += 1;
        }
        (sender.begun, sender.waiting) = (Instant::now(), true);
        if self.sm {
            sender.acks.ask(who, lines);
        } else {
            lines.stanza(who, &self.ping);
        }
    }

    /// How many messages went from a sender to a recipient.
    fn sent(&self, sender: usize, recipient: usize) -> u64 {
        let recipients = self.senders[sender].templates.len();
        let first = (recipient + recipients - sender % recipients) % recipients;
        (self.senders[sender].sent + (recipients - 1 - first) as u64) / recipients as u64
    }
}

impl Handler for Store {
    fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        lines: &mut Lines,
    ) -> Result<(), Failure> {
        if arrival(element) == Arrival::Error {
            return Err(Failure::Unexpected(who, element.excerpt()));
        }
        let settled = if self.sm {
            self.senders[who].acks.element(who, element, lines)?
                && self.senders[who].acks.behind(who, lines) == 0
        } else {
            element.name() == b"iq" && element.attr_is("id", "stored")
        };
        let sender = &mut self.senders[who];
        // A server may also speak without being asked.
        if settled && mem::take(&mut sender.waiting) {
            let micros = sender.begun.elapsed().as_micros() as u64;
            let burst = (sender.sent - 1) % self.window + 1;
            self.times.saturating_record(micros);
            self.settled += burst;
            self.burst(who, lines);
        }
        Ok(())
    }

    fn finished(&self) -> bool {
        self.done == self.senders.len()
    }

    fn count(&self) -> u64 {
        self.settled
    }
}

/// The recipients, who come for their messages.
struct Drain {
    recipients: usize,
    expected: u64,
    /// By sender, then recipient.
    flows: Vec<Flow>,
    arrived: u64,
}

impl Drain {
    fn new(options: &OfflineOptions, store: &Store) -> Drain {
        let flows = options.senders * options.recipients;
        Drain {
            recipients: options.recipients,
            expected: store.senders.iter().map(|sender| sender.sent).sum(),
            flows: (0..flows).map(|_| Flow::default()).collect(),
            arrived: 0,
        }
    }

    /// Takes what comes for some seconds.
    fn wait(&mut self, fleet: &mut Fleet, seconds: f64) -> Result<(), Failure> {
        let end = after(seconds);
        while Instant::now() < end {
            fleet.poll(self, Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn verdict(&self, store: &Store) -> Verdict {
        let mut verdict = Verdict::default();
        for (flow, found) in self.flows.iter().enumerate() {
            verdict += found.finish(store.sent(flow / self.recipients, flow % self.recipients));
        }
        verdict
    }
}

impl Handler for Drain {
    fn element(&mut self, who: usize, element: Element<'_>, _: &mut Lines) -> Result<(), Failure> {
        if let Arrival::Message(flow, number) = arrival(element) {
            if flow % self.recipients != who || flow >= self.flows.len() {
                return Err(Failure::Unexpected(who, element.excerpt()));
            }
            self.flows[flow].arrived(number);
            self.arrived += 1;
        }
        Ok(())
    }

    fn finished(&self) -> bool {
        self.arrived >= self.expected
    }

    fn count(&self) -> u64 {
        self.arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(recipients: usize, sent: u64) -> Sender {
        let template = |to| Template::new("a@b", "chat", to, 0);
        Sender {
            templates: (0..recipients).map(template).collect(),
            sent,
            begun: Instant::now(),
            waiting: false,
            acks: Acks::default(),
        }
    }

    fn store(senders: Vec<Sender>) -> Store {
        Store {
            senders,
            window: 1,
            messages: 2,
            end: None,
            sm: true,
            ping: Vec::new(),
            settled: 0,
            done: 0,
            times: histogram(),
        }
    }

    #[test]
    fn what_was_sent_adds_up() {
        for (number, sent) in [(0, 7), (2, 5), (4, 1), (3, 0)] {
            let mut senders: Vec<Sender> = (0..5).map(|_| sender(0, 0)).collect();
            senders[number] = sender(3, sent);
            let store = store(senders);
            let mut expected = [0; 3];
            for count in 0..sent {
                expected[(number as u64 + count) as usize % 3] += 1;
            }
            let found = [0, 1, 2].map(|to| store.sent(number, to));
            assert_eq!(found, expected, "sender {number}, {sent} messages");
        }
    }

    #[test]
    fn each_burst_is_settled_once() {
        let (mut store, mut lines) = (store(vec![sender(1, 0)]), Lines::default());
        lines.resize(1);
        store.start(None, &mut lines);
        let mut ack = |h: u32| {
            let ack = format!("<a h='{h}'/>");
            let ack = Element(ack.as_bytes());
            store.element(0, ack, &mut lines).unwrap();
            (store.settled, store.done)
        };
        assert_eq!(ack(0), (0, 0));
        assert_eq!(ack(1), (1, 0));
        assert_eq!(
            ack(1),
            (1, 0),
            "said before of the burst that is waited for now"
        );
        assert_eq!(ack(2), (2, 1));
        assert_eq!(ack(2), (2, 1), "said again");
        assert_eq!(store.times.len(), 2);
    }

    #[test]
    fn time_ends_what_no_number_ends() {
        let (mut store, mut lines) = (store(vec![sender(1, 0)]), Lines::default());
        lines.resize(1);
        store.start(Some(after(3600.0)), &mut lines);
        let mut ack = |store: &mut Store, h: u32| {
            let ack = format!("<a h='{h}'/>");
            store
                .element(0, Element(ack.as_bytes()), &mut lines)
                .unwrap();
            (store.settled, store.done)
        };
        assert_eq!(
            [1, 2, 3].map(|h| ack(&mut store, h)),
            [(1, 0), (2, 0), (3, 0)]
        );
        store.end = Some(Instant::now());
        assert_eq!(ack(&mut store, 4), (4, 1));
        assert_eq!(store.senders[0].sent, 4);
    }
}
