//! What must hold of the logs of all clients, whatever happened to the server and to them. A pure
//! function of the book; `hand_made.rs` shows for each law a book that breaks it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use super::book::Entry;

mod index;
mod rooms;

use index::{Index, Reception, account};

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// What is acknowledged comes, or is answered with an error. What was said in a room comes to
    /// every member, and when all are there nobody is without it.
    Kept,
    /// A message comes once. It may come again, under the same stanza id, to a client that lost
    /// its session in a crash, or gave it up: the server cannot know of its acknowledgement.
    Once,
    /// What one account sends to another, or to a room, comes first in the order of sending. Where a
    /// full disk refused a message and a crash kept the error from its sender, it is sent again.
    Ordered,
    /// All members of a room see the same order: a message has one stanza id for all of them, and
    /// stanza ids grow.
    Agreed,
    /// Who resumes is in its rooms still: nobody is told that it went, and what it says is taken.
    Stayed,
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
    /// Messages to rooms that were acknowledged, and how often one came.
    pub said: usize,
    /// See above.
    pub heard: usize,
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

/// Checks all laws.
pub fn check(entries: &[Entry]) -> Verdict {
    let index = Index::of(entries);
    let mut verdict = Verdict {
        sent: index.sent.len(),
        acknowledged: index.acknowledged.len(),
        refused: index.refused.len(),
        came: index.received.len(),
        kills: index.killed.len(),
        said: index.said_and_kept(),
        heard: index.said.len(),
        ..Verdict::default()
    };
    index.kept(&mut verdict);
    index.once(&mut verdict);
    index.ordered(&mut verdict);
    index.resumed(&mut verdict);
    index.honest(&mut verdict);
    index.agreed(&mut verdict);
    index.stayed(&mut verdict);
    for text in &index.misbehaved {
        verdict.add(Law::Spoken, text.clone(), String::new);
    }
    verdict
}

impl Index<'_> {
    fn kept(&self, verdict: &mut Verdict) {
        for (id, _, to) in &self.sent {
            if !self.acknowledged.contains_key(id) || self.refused.contains_key(id) {
                continue;
            }
            match self.circles.get(to) {
                None if self.received.contains_key(&(*to, *id)) => {}
                None => verdict.add(Law::Kept, format!("{id} never came"), || self.trail(id)),
                Some(members) => self.kept_for_all(id, members, verdict),
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
                let is_late = session.ended.is_some_and(|ended| ended < before.at);
                session.abandoned || is_late || lost.next().is_some()
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
        let mut last = HashMap::<(&str, &str, &str), (usize, &str)>::new();
        for (to, room, from, id) in &self.first {
            let Some(place) = place.get(id) else {
                let text = format!("{id} came and was never sent");
                verdict.add(Law::Spoken, text, || self.trail(id));
                continue;
            };
            if let Some((before, other)) = last.insert((to, room, from), (*place, id))
                && before > *place
                && !self.may_be_late(to, id)
            {
                let text = format!("{id} was sent before {other} and came behind it");
                verdict.add(Law::Ordered, text, || self.trail(id) + &self.trail(other));
            }
        }
    }

    /// Whether a message may have been refused, and its sender not have learned it.
    fn may_be_late(&self, to: &str, id: &str) -> bool {
        let came = self.received.get(&(to, id)).and_then(|all| all.first());
        let (Some(came), Some(sent)) = (came, self.sent_to.get(id)) else {
            return false;
        };
        let mut lost = self.killed.range(*sent..came.incarnation);
        lost.any(|process| self.full.contains(process))
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
        self.trail_for(id, "")
    }

    /// The same for one more account.
    fn trail_for(&self, id: &str, other: &str) -> String {
        let sent = self.sent.iter().filter(|(sent, ..)| *sent == id);
        let two = sent.flat_map(|(_, from, to)| [*from, *to]);
        let concerned: BTreeSet<&str> = two.chain([other]).collect();
        let mut trail = String::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let is_shown = match entry {
                Entry::Ended { .. } | Entry::Full(_) | Entry::Gathered => true,
                Entry::Circle { .. } => false,
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
