//! `muc`: rooms (XEP-0045) whose occupants talk in turns; each message goes to all of them. In a
//! closed loop so many messages are on the way in each room, or they are due at a fixed rate.

use std::time::{Duration, Instant};

use crate::check::{Flow, Verdict};
use crate::element::Element;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::handler::{Handler, Outcome};
use crate::lines::Lines;
use crate::message::{Arrival, Template, arrival};
use crate::options::MucOptions;
use crate::report::{Meter, Report};
use crate::scenarios::{Ignore, close_all, measure, settle};

/// Occupants that join a room at the same time.
const JOINING: usize = 8;

/// Runs the scenario.
pub(crate) fn run(
    options: &MucOptions,
    fleet: &mut Fleet,
    report: &mut Report,
) -> Result<(), Failure> {
    let sessions = options.rooms * options.occupants;
    report.setting("rooms", options.rooms);
    report.setting("occupants", options.occupants);
    report.setting("on_the_way", options.on_the_way);
    let plans = fleet.server.plans(0..sessions);
    fleet.bring_online(&plans, &mut Ignore)?;
    join(options, fleet, report)?;
    let mut talk = Talk::new(options);
    talk.start(&mut fleet.lines);
    measure(
        fleet,
        &mut talk,
        options.seconds,
        "delivered_message",
        report,
    )?;
    talk.stopping = true;
    settle(fleet, &mut talk, report)?;
    close_all(fleet, sessions, &mut talk)?;
    report.verdict = talk.verdict();
    Ok(())
}

fn room(options: &MucOptions, number: usize) -> String {
    let service = service(options);
    format!("load-{}-{number}@{service}", std::process::id())
}

fn service(options: &MucOptions) -> String {
    match &options.service {
        Some(service) => service.clone(),
        None => format!("conference.{}", options.common.server.domain),
    }
}

/// Joins all occupants: the first of each room makes it, the others follow, and what that costs is
/// measured. Each sees everybody who is there, and is seen.
fn join(options: &MucOptions, fleet: &mut Fleet, report: &mut Report) -> Result<(), Failure> {
    let rooms = 0..options.rooms;
    let first: Vec<usize> = rooms.clone().map(|room| room * options.occupants).collect();
    let others = rooms.flat_map(|room| {
        let first = room * options.occupants;
        first + 1..first + options.occupants
    });
    Join::new(options, first).run(fleet)?;
    let mut join = Join::new(options, others.collect());
    if join.total > 0 {
        let pids = fleet.server.pids.clone();
        let meter = Meter::start(&pids)?;
        join.run(fleet)?;
        meter.finish(join.total as u64, "join", report)?;
        meter.finish(join.seen, "join_presence", report)?;
    }
    Ok(())
}

/// Occupants on their way in.
struct Join<'a> {
    options: &'a MucOptions,
    waiting: Vec<usize>,
    total: usize,
    begun: usize,
    joined: usize,
    /// Presence stanzas that arrived.
    seen: u64,
}

impl<'a> Join<'a> {
    fn new(options: &'a MucOptions, mut waiting: Vec<usize>) -> Join<'a> {
        waiting.reverse();
        Join {
            options,
            total: waiting.len(),
            waiting,
            begun: 0,
            joined: 0,
            seen: 0,
        }
    }

    fn run(&mut self, fleet: &mut Fleet) -> Result<(), Failure> {
        match fleet.run(self, None)? {
            Outcome::Stalled => Err(Failure::LoginsStalled(self.joined, self.total)),
            _ => Ok(()),
        }
    }
}

impl Handler for Join<'_> {
    fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        lines: &mut Lines,
    ) -> Result<(), Failure> {
        let refused = element.attr_is("type", "error");
        self.seen += u64::from(element.name() == b"presence");
        match element.name() {
            b"presence" | b"iq" if refused => {
                let service = service(self.options);
                return Err(Failure::NoRoom(service, element.excerpt()));
            }
            b"presence" if has_status(element, "201") => {
                // §10.1.2: the room opens with the settings that the service proposes.
                let room = room(self.options, who / self.options.occupants);
                let open = format!(
                    "<iq type='set' id='open' to='{room}'>\
                     <query xmlns='http://jabber.org/protocol/muc#owner'>\
                     <x xmlns='jabber:x:data' type='submit'/></query></iq>"
                );
                lines.stanza(who, open.as_bytes());
            }
            b"presence" if has_status(element, "110") => self.joined += 1,
            b"iq" if element.attr_is("id", "open") => self.joined += 1,
            _ => (),
        }
        Ok(())
    }

    fn tick(&mut self, _: Instant, lines: &mut Lines) -> Option<Instant> {
        while self.begun - self.joined < JOINING {
            let who = self.waiting.pop()?;
            let room = room(self.options, who / self.options.occupants);
            let presence = format!(
                "<presence to='{room}/occupant{who}'><x xmlns='http://jabber.org/protocol/muc'>\
                 <history maxstanzas='0'/></x></presence>"
            );
            lines.stanza(who, presence.as_bytes());
            self.begun += 1;
        }
        None
    }

    fn finished(&self) -> bool {
        self.joined >= self.total
    }

    fn count(&self) -> u64 {
        self.joined as u64
    }
}

fn has_status(presence: Element<'_>, code: &str) -> bool {
    presence.contains(&format!("code='{code}'")) || presence.contains(&format!("code=\"{code}\""))
}

/// One room's conversation.
#[derive(Default)]
struct Room {
    sent: u64,
    arrived: u64,
}

/// The rooms at work.
struct Talk {
    rooms: Vec<Room>,
    occupants: usize,
    /// By occupant.
    templates: Vec<Template>,
    sent: Vec<u64>,
    /// By sender, then place of the recipient in the room.
    flows: Vec<Flow>,
    on_the_way: u64,
    /// The time between two messages, and when the next is due.
    pace: Option<(Duration, Instant)>,
    turn: usize,
    arrived: u64,
    stopping: bool,
}

impl Talk {
    fn new(options: &MucOptions) -> Talk {
        let occupants = options.occupants;
        let sessions = options.rooms * occupants;
        let template = |who: usize| {
            Template::new(
                &room(options, who / occupants),
                "groupchat",
                who,
                options.size,
            )
        };
        let pace = |rate: f64| {
            (
                Duration::from_secs_f64(1.0 / rate.max(0.001)),
                Instant::now(),
            )
        };
        Talk {
            rooms: (0..options.rooms).map(|_| Room::default()).collect(),
            occupants,
            templates: (0..sessions).map(template).collect(),
            sent: vec![0; sessions],
            flows: (0..sessions * occupants).map(|_| Flow::default()).collect(),
            on_the_way: options.on_the_way.max(1),
            pace: options.rate.map(pace),
            turn: 0,
            arrived: 0,
            stopping: false,
        }
    }

    fn start(&mut self, lines: &mut Lines) {
        for room in 0..self.rooms.len() {
            self.go_on(room, lines);
        }
    }

    /// Sends until as many messages are on the way as wanted.
    fn go_on(&mut self, room: usize, lines: &mut Lines) {
        let each = self.occupants as u64;
        while self.pace.is_none() && !self.stopping {
            let outstanding = self.rooms[room].sent * each - self.rooms[room].arrived;
            if outstanding > (self.on_the_way - 1) * each {
                return;
            }
            self.send(room, lines);
        }
    }

    /// The next occupant of a room speaks.
    fn send(&mut self, room: usize, lines: &mut Lines) {
        let place = self.rooms[room].sent as usize % self.occupants;
        let (who, mut message) = (room * self.occupants + place, Vec::new());
        self.templates[who].write(self.sent[who], &mut message);
        lines.stanza(who, &message);
        self.sent[who] += 1;
        self.rooms[room].sent += 1;
    }

    fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for (index, flow) in self.flows.iter().enumerate() {
            verdict += flow.finish(self.sent[index / self.occupants]);
        }
        verdict
    }
}

impl Handler for Talk {
    fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        lines: &mut Lines,
    ) -> Result<(), Failure> {
        let (sender, number) = match arrival(element) {
            Arrival::Message(sender, number) => (sender, number),
            Arrival::Error => return Err(Failure::Unexpected(who, element.excerpt())),
            Arrival::Other => return Ok(()),
        };
        let room = who / self.occupants;
        if sender / self.occupants != room {
            return Err(Failure::Unexpected(who, element.excerpt()));
        }
        let flow = &mut self.flows[sender * self.occupants + who % self.occupants];
        // A double must not make room for another message.
        self.rooms[room].arrived += u64::from(flow.arrived(number));
        self.arrived += 1;
        self.go_on(room, lines);
        Ok(())
    }

    fn tick(&mut self, now: Instant, lines: &mut Lines) -> Option<Instant> {
        let (interval, mut due) = self.pace.filter(|_| !self.stopping)?;
        while due <= now {
            self.send(self.turn % self.rooms.len(), lines);
            self.turn += 1;
            due += interval;
        }
        self.pace = Some((interval, due));
        Some(due)
    }

    fn finished(&self) -> bool {
        let each = self.occupants as u64;
        self.stopping
            && self
                .rooms
                .iter()
                .all(|room| room.arrived >= room.sent * each)
    }

    fn count(&self) -> u64 {
        self.arrived
    }
}
