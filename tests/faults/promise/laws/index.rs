//! The book, sorted by what the laws ask for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::book::{Entry, What};

/// One reception of a message.
pub(super) struct Reception<'a> {
    pub(super) who: &'a str,
    pub(super) stanza_id: Option<&'a str>,
    pub(super) session: usize,
    pub(super) incarnation: u32,
    pub(super) at: usize,
}

/// A session of a device, from `Enabled` to its end.
#[derive(Default)]
pub(super) struct Session {
    /// The process in which the server last showed that it has the session.
    pub(super) seen: u32,
    /// Where the server certainly read an acknowledgement of all that came before: place in the
    /// book, and the process.
    pub(super) told: Vec<(usize, u32)>,
    pub(super) abandoned: bool,
    /// Where its client began to end it, or was told that it has ended.
    pub(super) ended: Option<usize>,
}

/// A device while the book is read.
#[derive(Default)]
struct Device {
    incarnation: u32,
    session: Option<usize>,
    /// Sessions that it has had.
    sessions: usize,
}

/// A message of a room as it came to a session.
pub(super) struct Said<'a> {
    pub(super) room: &'a str,
    pub(super) who: &'a str,
    pub(super) session: usize,
    pub(super) id: &'a str,
    pub(super) stanza_id: Option<&'a str>,
    /// Whether the account had not got it before.
    pub(super) is_first: bool,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Index<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) killed: BTreeSet<u32>,
    /// Processes whose disk was full.
    pub(super) full: BTreeSet<u32>,
    /// The process that each message was first sent to.
    pub(super) sent_to: HashMap<&'a str, u32>,
    pub(super) sent: Vec<(&'a str, &'a str, &'a str)>,
    pub(super) acknowledged: BTreeMap<&'a str, usize>,
    pub(super) refused: BTreeMap<&'a str, usize>,
    /// By account and id.
    pub(super) received: BTreeMap<(&'a str, &'a str), Vec<Reception<'a>>>,
    /// First receptions, in order: recipient, room or nothing, sender, id.
    pub(super) first: Vec<(&'a str, &'a str, &'a str, &'a str)>,
    /// The members of each room.
    pub(super) circles: BTreeMap<&'a str, &'a [String]>,
    /// Where all were there, if they ever were.
    pub(super) gathered: Option<usize>,
    /// Messages of rooms as they came.
    pub(super) said: Vec<Said<'a>>,
    /// Who was told where that a session is not in a room any more: who, room and mark.
    pub(super) went: Vec<(usize, &'a str, &'a str, &'a str)>,
    /// The session that bears a mark.
    pub(super) marks: HashMap<String, usize>,
    /// Messages that were refused because their sender is not in the room.
    pub(super) outside: Vec<&'a str>,
    pub(super) sessions: Vec<Session>,
    /// Process in which the session was seen last, process of the attempt, outcome.
    pub(super) attempts: Vec<(u32, u32, bool)>,
    pub(super) misbehaved: Vec<String>,
}

pub(super) fn account(device: &str) -> &str {
    device.split('/').next().unwrap_or(device)
}

impl<'a> Index<'a> {
    pub(super) fn of(entries: &'a [Entry]) -> Index<'a> {
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
                Entry::Full(incarnation) => {
                    index.full.insert(*incarnation);
                }
                Entry::Circle { room, members } => {
                    index.circles.insert(room, members);
                }
                Entry::Gathered => index.gathered = Some(at),
                Entry::Client { who, what } => {
                    let device = devices.entry(who).or_default();
                    index.session(at, who, device, what);
                    index.message(at, who, device, what);
                }
            }
        }
        index
    }

    fn session(&mut self, at: usize, who: &str, device: &mut Device, what: &What) {
        let incarnation = device.incarnation;
        let current = device
            .session
            .and_then(|session| self.sessions.get_mut(session));
        match (what, current) {
            (What::Connected(new), _) => device.incarnation = *new,
            (What::Enabled, _) => {
                device.session = Some(self.sessions.len());
                device.sessions += 1;
                let mark = format!("{who}#{}", device.sessions);
                self.marks.insert(mark, self.sessions.len());
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
                session.ended.get_or_insert(at);
                device.session = None;
            }
            (What::Leaving, Some(session)) => {
                session.ended.get_or_insert(at);
            }
            (What::Closed, Some(session)) => {
                // What it read behind its last words it could not acknowledge any more.
                session
                    .told
                    .push((session.ended.unwrap_or(at), incarnation));
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
            What::Sent { id, to } => {
                self.sent.push((id, account(who), to));
                self.sent_to.insert(id, device.incarnation);
            }
            What::Acknowledged(id) => {
                self.acknowledged.entry(id).or_insert(at);
            }
            What::Refused { id, condition } => {
                self.refused.entry(id).or_insert(at);
                if condition == "not-acceptable" {
                    self.outside.push(id);
                }
            }
            What::Went { room, mark } => self.went.push((at, who, room, mark)),
            What::Received {
                id,
                from,
                room,
                stanza_id,
                ..
            } => {
                let Some(session) = device.session else {
                    self.misbehaved
                        .push(format!("{who} got {id} without a session"));
                    return;
                };
                let all = self.received.entry((account(who), id)).or_default();
                let is_first = all.is_empty();
                if is_first {
                    let room = room.as_deref().unwrap_or_default();
                    self.first.push((account(who), room, from, id));
                }
                if let Some(room) = room {
                    self.said.push(Said {
                        room,
                        who,
                        session,
                        id,
                        stanza_id: stanza_id.as_deref(),
                        is_first,
                    });
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
}
