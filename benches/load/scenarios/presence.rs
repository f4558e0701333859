//! `presence`: accounts with contacts in their rosters. All leave, all come back (broadcast and
//! probes, RFC 6121 §4.2 and §4.3), and then all change their presence, again and again, each as
//! soon as all of its contacts have got the last change.

mod befriend;
mod people;
mod ring;

use crate::check::{Flow, Verdict};
use crate::element::{Element, number};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::handler::Handler;
use crate::lines::Lines;
use crate::options::PresenceOptions;
use crate::report::{Meter, Report};
use crate::scenarios::presence::people::People;
use crate::scenarios::presence::ring::Ring;
use crate::scenarios::{Ignore, close_all, measure, settle};

/// Runs the scenario.
pub(crate) fn run(
    options: &PresenceOptions,
    fleet: &mut Fleet,
    report: &mut Report,
) -> Result<(), Failure> {
    let accounts = options.accounts;
    report.setting("accounts", accounts);
    report.setting("contacts", options.contacts);
    report.setting("in_flight", fleet.server.in_flight);
    let people = People::new(Ring::new(accounts, options.contacts), &fleet.server);
    let mut plans = fleet.server.plans(0..accounts);
    fleet.bring_online(&plans, &mut Ignore)?;
    befriend::befriend(&people, fleet)?;

    let pids = fleet.server.pids.clone();
    let meter = Meter::start(&pids)?;
    close_all(fleet, accounts, &mut Ignore)?;
    meter.finish(accounts as u64, "logout", report)?;
    fleet.clear();

    for plan in &mut plans {
        plan.register = false;
    }
    let mut return_ = Return::new(&people);
    let meter = Meter::start(&pids)?;
    fleet.bring_online(&plans, &mut return_)?;
    settle(fleet, &mut return_, report)?;
    meter.finish(accounts as u64, "login", report)?;
    meter.finish(return_.arrived, "login_presence", report)?;
    report.verdict += return_.verdict();

    let mut updates = Updates::new(&people);
    updates.start(&mut fleet.lines);
    measure(fleet, &mut updates, options.seconds, "presence", report)?;
    updates.stopping = true;
    settle(fleet, &mut updates, report)?;
    close_all(fleet, accounts, &mut updates)?;
    report.verdict += updates.verdict();
    Ok(())
}

/// A presence stanza that says that a contact is there: the contact's place.
fn available(people: &People, who: usize, element: Element<'_>) -> Result<Option<usize>, Failure> {
    if element.name() != b"presence" {
        return Ok(None);
    }
    if element.attr_is("type", "error") {
        return Err(Failure::Unexpected(who, element.excerpt()));
    }
    let from = element.attr("from").unwrap_or_default();
    match (people.number(from), people.place(who, from)) {
        _ if element.attr("type").is_some() => Ok(None),
        (_, Some(place)) => Ok(Some(place)),
        // RFC 6121 §4.4.2: a session gets its own presence too.
        (Some(own), None) if own == who => Ok(None),
        _ => Err(Failure::Unexpected(who, element.excerpt())),
    }
}

/// Everybody comes back and must see every contact. Contacts who come at the same time may see each
/// other twice: one is told, and asks as well.
struct Return<'a> {
    people: &'a People,
    /// By account, then place of the contact.
    seen: Vec<bool>,
    pairs: u64,
    arrived: u64,
}

impl<'a> Return<'a> {
    fn new(people: &'a People) -> Return<'a> {
        Return {
            people,
            seen: vec![false; people.ring.accounts() * people.ring.contacts()],
            pairs: 0,
            arrived: 0,
        }
    }

    fn verdict(&self) -> Verdict {
        Verdict {
            arrived: self.pairs,
            missing: self.seen.len() as u64 - self.pairs,
            ..Verdict::default()
        }
    }
}

impl Handler for Return<'_> {
    fn element(&mut self, who: usize, element: Element<'_>, _: &mut Lines) -> Result<(), Failure> {
        if let Some(place) = available(self.people, who, element)? {
            let seen = &mut self.seen[who * self.people.ring.contacts() + place];
            self.pairs += u64::from(!std::mem::replace(seen, true));
            self.arrived += 1;
        }
        Ok(())
    }

    fn finished(&self) -> bool {
        self.pairs == self.seen.len() as u64
    }

    fn count(&self) -> u64 {
        self.arrived
    }
}

/// Everybody's presence changes.
struct Updates<'a> {
    people: &'a People,
    /// By recipient, then place of the sender.
    flows: Vec<Flow>,
    /// By sender: changes that were sent.
    sent: Vec<u64>,
    /// By sender: different stanzas that have arrived.
    got: Vec<u64>,
    arrived: u64,
    stopping: bool,
}

impl<'a> Updates<'a> {
    fn new(people: &'a People) -> Updates<'a> {
        let accounts = people.ring.accounts();
        let flows = accounts * people.ring.contacts();
        Updates {
            people,
            flows: (0..flows).map(|_| Flow::default()).collect(),
            sent: vec![0; accounts],
            got: vec![0; accounts],
            arrived: 0,
            stopping: false,
        }
    }

    fn start(&mut self, lines: &mut Lines) {
        for who in 0..self.sent.len() {
            self.update(who, lines);
        }
    }

    /// The next change: away and available in turns.
    fn update(&mut self, who: usize, lines: &mut Lines) {
        let count = self.sent[who];
        let show = match count % 2 {
            0 => "<show>away</show>",
            _ => "",
        };
        let update = format!("<presence>{show}<status>p-{count}</status></presence>");
        lines.stanza(who, update.as_bytes());
        self.sent[who] += 1;
    }

    fn verdict(&self) -> Verdict {
        let (ring, mut verdict) = (&self.people.ring, Verdict::default());
        for (index, flow) in self.flows.iter().enumerate() {
            let (who, place) = (index / ring.contacts(), index % ring.contacts());
            verdict += flow.finish(self.sent[ring.contact(who, place)]);
        }
        verdict
    }
}

impl Handler for Updates<'_> {
    fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        lines: &mut Lines,
    ) -> Result<(), Failure> {
        let Some(place) = available(self.people, who, element)? else {
            return Ok(());
        };
        // Without a number: how a login was told, late.
        let status = element.text_of("status").unwrap_or_default();
        let Some(count) = number(status, b'p') else {
            return Ok(());
        };
        let contacts = self.people.ring.contacts();
        let sender = self.people.ring.contact(who, place);
        let flow = &mut self.flows[who * contacts + place];
        // A double must not stand for one that is missing.
        self.got[sender] += u64::from(flow.arrived(count));
        self.arrived += 1;
        if self.got[sender] == self.sent[sender] * contacts as u64 && !self.stopping {
            self.update(sender, lines);
        }
        Ok(())
    }

    fn finished(&self) -> bool {
        let contacts = self.people.ring.contacts() as u64;
        let all = |(got, sent): (&u64, &u64)| *got >= sent * contacts;
        self.stopping && self.got.iter().zip(&self.sent).all(all)
    }

    fn count(&self) -> u64 {
        self.arrived
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::{Command, Options};
    use crate::server::Server;

    fn people() -> People {
        let arguments = ["waxwing-load", "presence", "--server", "127.0.0.1:1"];
        let Command::Presence(options) = Options::parse_from(arguments).command else {
            unreachable!("it is what was asked for");
        };
        People::new(Ring::new(5, 2), &Server::new(&options.common.server))
    }

    fn update(from: usize, count: u64) -> String {
        format!(
            "<presence from='load{from}@localhost/r' to='x'>\
             <show>away</show><status>p-{count}</status></presence>"
        )
    }

    fn play(updates: &mut Updates<'_>, who: usize, stanza: &str) -> Result<(), Failure> {
        let mut lines = Lines::default();
        lines.resize(5);
        updates.element(who, Element(stanza.as_bytes()), &mut lines)
    }

    #[test]
    fn the_next_change_follows_when_all_contacts_have_got_the_last() {
        let people = people();
        let mut lines = Lines::default();
        lines.resize(5);
        let mut updates = Updates::new(&people);
        updates.start(&mut lines);
        play(&mut updates, 1, &update(0, 0)).unwrap();
        play(&mut updates, 1, &update(0, 0)).unwrap();
        assert_eq!(updates.sent[0], 1, "a double does not count");
        play(&mut updates, 4, &update(0, 0)).unwrap();
        assert_eq!(updates.sent, [2, 1, 1, 1, 1]);
        updates.stopping = true;
        let verdict = updates.verdict();
        assert_eq!((verdict.doubled, verdict.missing), (1, 2 * 6 - 2));
    }

    #[test]
    fn a_stranger_s_presence_is_a_fault() {
        let people = people();
        let mut updates = Updates::new(&people);
        assert!(play(&mut updates, 0, &update(2, 0)).is_err());
        assert!(play(&mut updates, 0, "<presence type='error'/>").is_err());
        assert!(play(&mut updates, 0, &update(0, 0)).is_ok(), "its own");
        assert!(play(&mut updates, 0, "<presence from='load1@localhost/r'/>").is_ok());
        assert_eq!(updates.arrived, 0);
    }

    #[test]
    fn who_comes_back_must_see_every_contact() {
        let people = people();
        let mut back = Return::new(&people);
        let mut lines = Lines::default();
        for from in [1, 1, 4] {
            let seen = format!("<presence from='load{from}@localhost/r'/>");
            back.element(0, Element(seen.as_bytes()), &mut lines)
                .unwrap();
        }
        let verdict = back.verdict();
        assert_eq!((verdict.arrived, verdict.missing), (2, 8));
        assert!(!back.finished());
    }
}
