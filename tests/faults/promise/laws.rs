//! What must hold of the logs of all clients, whatever happened to the server and to them. A pure
//! function of the book; `hand_made.rs` shows for each law a book that breaks it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::book::{Entry, What};

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// What is acknowledged comes, or is answered with an error.
    Kept,
    /// A message comes once. It may come again, under the same stanza id, to a client that lost
    /// its session in a crash, or gave it up: the server cannot know of its acknowledgement.
    Once,
    /// What one account sends to another comes first in the order of sending.
    Ordered,
    /// After an orderly restart, and after a mere break, at least 99 % of those who try resume.
    Resumed,
    /// What was answered with an error does not come.
    Honest,
    /// The server keeps to the protocol.
    Spoken,
}

/// A law that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// By what, with the entries that show it.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.law, self.text)
    }
}

/// How often something was tried and went well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Tried.
    pub tried: usize,
    /// Went well.
    pub went_well: usize,
}

/// What the checker found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What was broken.
    pub violations: Vec<Violation>,
    /// Messages that were sent.
    pub sent: usize,
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Messages that were refused.
    pub refused: usize,
    /// Messages that came.
    pub came: usize,
    /// How often one came again, as the law permits.
    pub came_again: usize,
    /// Server processes that were killed.
    pub kills: usize,
    /// Resumptions behind an orderly restart.
    pub restarts: Rate,
    /// Resumptions behind a mere break.
    pub breaks: Rate,
}

impl Verdict {
    /// The laws that were broken.
    pub fn broken(&self) -> BTreeSet<Law> {
        self.violations
            .iter()
            .map(|violation| violation.law)
            .collect()
    }
}

/// One reception of a message.
struct Reception<'a> {
    who: &'a str,
    stanza_id: Option<&'a str>,
    session: usize,
    incarnation: u32,
    at: usize,
}

/// A session of a device, from `Enabled` to its end.
#[derive(Default)]
struct Session {
    /// The process in which the server last showed that it has the session.
    seen: u32,
    /// Where the server certainly read an acknowledgement of all that came before: place in the
    /// book, and the process.
    told: Vec<(usize, u32)>,
    abandoned: bool,
}

/// A device while the book is read.
#[derive(Default)]
struct Device {
    incarnation: u32,
    session: Option<usize>,
}

/// The book, sorted by what the laws ask for.
#[derive(Default)]
struct Index<'a> {
    entries: &'a [Entry],
    killed: BTreeSet<u32>,
    sent: Vec<(&'a str, &'a str, &'a str)>,
    acknowledged: BTreeMap<&'a str, usize>,
    refused: BTreeMap<&'a str, usize>,
    /// By account and id.
    received: BTreeMap<(&'a str, &'a str), Vec<Reception<'a>>>,
    /// First receptions, in order: recipient, sender, id.
    first: Vec<(&'a str, &'a str, &'a str)>,
    sessions: Vec<Session>,
    /// Process in which the session was seen last, process of the attempt, outcome.
    attempts: Vec<(u32, u32, bool)>,
    misbehaved: Vec<String>,
}

/// Checks all laws.
pub fn check(entries: &[Entry]) -> Verdict {
    let index = Index::of(entries);
    let mut verdict = Verdict {
        sent: index.sent.len(),
        acknowledged: index.acknowledged.len(),
        refused: index.refused.len(),
        came: index.received.len(),
        kills: index.killed.len(),
        ..Verdict::default()
    };
    index.kept(&mut verdict);
    index.once(&mut verdict);
    index.ordered(&mut verdict);
    index.resumed(&mut verdict);
    index.honest(&mut verdict);
    for text in &index.misbehaved {
        verdict.add(Law::Spoken, text.clone(), String::new);
    }
    verdict
}

fn account(device: &str) -> &str {
    device.split('/').next().unwrap_or(device)
}

impl<'a> Index<'a> {
    fn of(entries: &'a [Entry]) -> Index<'a> {
        let mut index = Index {
            entries,
            ..Index::default()
        };
        let mut devices = HashMap::<&str, Device>::new();
        for (at, entry) in entries.iter().enumerate() {
            match entry {
                Entry::Ended {
                    incarnation,
                    killed,
                } => {
                    if *killed {
                        index.killed.insert(*incarnation);
                    }
                }
                Entry::Client { who, what } => {
                    let device = devices.entry(who).or_default();
                    index.session(at, device, what);
                    index.message(at, who, device, what);
                }
            }
        }
        index
    }

    fn session(&mut self, at: usize, device: &mut Device, what: &What) {
        let incarnation = device.incarnation;
        let current = device
            .session
            .and_then(|session| self.sessions.get_mut(session));
        match (what, current) {
            (What::Connected(new), _) => device.incarnation = *new,
            (What::Enabled, _) => {
                device.session = Some(self.sessions.len());
                self.sessions.push(Session {
                    seen: incarnation,
                    ..Session::default()
                });
            }
            (What::Resumed, Some(session)) => {
                self.attempts.push((session.seen, incarnation, true));
                session.seen = incarnation;
                session.told.push((at, incarnation));
            }
            (What::NotResumed, Some(session)) => {
                self.attempts.push((session.seen, incarnation, false));
                device.session = None;
            }
            (What::Closed, Some(session)) => {
                session.told.push((at, incarnation));
                device.session = None;
            }
            (What::Abandoned, Some(session)) => {
                session.abandoned = true;
                device.session = None;
            }
            _ => {}
        }
    }

    fn message(&mut self, at: usize, who: &'a str, device: &Device, what: &'a What) {
        match what {
            What::Sent { id, to } => self.sent.push((id, account(who), to)),
            What::Acknowledged(id) => {
                self.acknowledged.entry(id).or_insert(at);
            }
            What::Refused { id, .. } => {
                self.refused.entry(id).or_insert(at);
            }
            What::Received {
                id,
                from,
                stanza_id,
                ..
            } => {
                let Some(session) = device.session else {
                    self.misbehaved
                        .push(format!("{who} got {id} without a session"));
                    return;
                };
                let all = self.received.entry((account(who), id)).or_default();
                if all.is_empty() {
                    self.first.push((account(who), from, id));
                }
                all.push(Reception {
                    who,
                    stanza_id: stanza_id.as_deref(),
                    session,
                    incarnation: device.incarnation,
                    at,
                });
            }
            What::Misbehaved(text) => self.misbehaved.push(format!("{who}: {text}")),
            _ => {}
        }
    }

    fn kept(&self, verdict: &mut Verdict) {
        for (id, _, to) in &self.sent {
            let is_owed = self.acknowledged.contains_key(id) && !self.refused.contains_key(id);
            if is_owed && !self.received.contains_key(&(*to, *id)) {
                verdict.add(Law::Kept, format!("{id} never came"), || self.trail(id));
            }
        }
    }

    fn once(&self, verdict: &mut Verdict) {
        for ((_, id), receptions) in &self.received {
            for (number, again) in receptions.iter().enumerate().skip(1) {
                let reason = receptions[..number]
                    .iter()
                    .find_map(|before| self.not_again(before, again));
                match reason {
                    Some(reason) => {
                        verdict.add(Law::Once, format!("{id} {reason}"), || self.trail(id));
                    }
                    None => verdict.came_again += 1,
                }
            }
        }
    }

    /// Why a message that came so may not come so again.
    fn not_again(&self, before: &Reception<'_>, again: &Reception<'_>) -> Option<&'static str> {
        if before.stanza_id != again.stanza_id {
            return Some("came under two stanza ids");
        }
        if before.session == again.session {
            return Some("came twice in one session");
        }
        let session = &self.sessions[before.session];
        let told = session.told.iter().find(|(at, _)| *at > before.at);
        let may = match told {
            // What a process has read is stored by its orderly end at the latest.
            Some((_, incarnation)) => {
                self.killed.contains(incarnation) && *incarnation < again.incarnation
            }
            None => {
                let mut lost = self.killed.range(before.incarnation..again.incarnation);
                session.abandoned || lost.next().is_some()
            }
        };
        if may {
            None
        } else if before.who == again.who {
            Some("came again, although no crash lost its acknowledgement")
        } else {
            Some("came to another device, although it was acknowledged")
        }
    }

    fn ordered(&self, verdict: &mut Verdict) {
        let place: HashMap<&str, usize> = self
            .sent
            .iter()
            .enumerate()
            .map(|(place, (id, ..))| (*id, place))
            .collect();
        let mut last = HashMap::<(&str, &str), (usize, &str)>::new();
        for (to, from, id) in &self.first {
            let Some(place) = place.get(id) else {
                let text = format!("{id} came and was never sent");
                verdict.add(Law::Spoken, text, || self.trail(id));
                continue;
            };
            if let Some((before, other)) = last.insert((to, from), (*place, id))
                && before > *place
            {
                let text = format!("{id} was sent before {other} and came behind it");
                verdict.add(Law::Ordered, text, || self.trail(id) + &self.trail(other));
            }
        }
    }

    fn resumed(&self, verdict: &mut Verdict) {
        for (seen, now, went_well) in &self.attempts {
            if self.killed.range(seen..now).next().is_some() {
                continue;
            }
            let rate = if seen == now {
                &mut verdict.breaks
            } else {
                &mut verdict.restarts
            };
            rate.tried += 1;
            rate.went_well += usize::from(*went_well);
        }
        for (what, rate) in [
            ("an orderly restart", verdict.restarts),
            ("a break", verdict.breaks),
        ] {
            if rate.went_well * 100 < rate.tried * 99 {
                let Rate { tried, went_well } = rate;
                let text = format!("{went_well} of {tried} sessions were resumed after {what}");
                verdict.add(Law::Resumed, text, String::new);
            }
        }
    }

    fn honest(&self, verdict: &mut Verdict) {
        for (id, _, to) in &self.sent {
            if self.refused.contains_key(id) && self.received.contains_key(&(*to, *id)) {
                let text = format!("{id} was refused and came");
                verdict.add(Law::Honest, text, || self.trail(id));
            }
        }
    }

    /// All that the book says of a message, between what happened to the server and to the two.
    fn trail(&self, id: &str) -> String {
        let sent = self.sent.iter().filter(|(sent, ..)| *sent == id);
        let concerned: BTreeSet<&str> = sent.flat_map(|(_, from, to)| [*from, *to]).collect();
        let mut trail = String::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let is_shown = match entry {
                Entry::Ended { .. } => true,
                Entry::Client { who, what } => {
                    what.message() == Some(id)
                        || (what.message().is_none() && concerned.contains(account(who)))
                }
            };
            if is_shown {
                trail += &format!("\n    {at:6} {entry}");
            }
        }
        trail
    }
}

impl Verdict {
    /// Trails are long, and one is enough to look for the reason.
    fn add(&mut self, law: Law, mut text: String, trail: impl FnOnce() -> String) {
        if self.violations.iter().all(|known| known.law != law) {
            text += &trail();
        }
        self.violations.push(Violation { law, text });
    }
}
