//! The logs of all clients as one append-only book, and what can be waited for in it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Something that happened, in the order in which it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The server process with that number, counted from 1, was ended and is gone.
    Ended {
        /// Which.
        incarnation: u32,
        /// By `kill -9`, or else by SIGTERM.
        killed: bool,
    },
    /// The disk of the server process with that number is full for a while.
    Full(u32),
    /// A room and the accounts that are its members, to the end.
    Circle {
        /// The room's local part.
        room: String,
        /// Its members.
        members: Vec<String>,
    },
    /// All are online and in their rooms, and have had the time to be given what they are owed.
    Gathered,
    /// A client did or saw something.
    Client {
        /// The device: `account/resource`.
        who: String,
        /// What.
        what: What,
    },
}

/// What a client writes down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A connection to the server process with that number.
    Connected(u32),
    /// A new session, which can be resumed.
    Enabled,
    /// The server took up the session before; what was received until now is acknowledged.
    Resumed,
    /// The server did not.
    NotResumed,
    /// It became available and has read the answer to a ping behind that.
    Drained,
    /// It acknowledged everything, closed the stream, and the server closed it too.
    Closed,
    /// It gave its session up without knowing that the server had read its last words.
    Abandoned,
    /// The connection broke.
    Broken,
    /// It is about to close its stream.
    Leaving,
    /// It is in a room: it has read its own presence there.
    Entered(String),
    /// It was told that somebody is not in a room any more.
    Went {
        /// The room.
        room: String,
        /// Whose session, by the mark that its presence bore: `account/resource#number`.
        mark: String,
    },
    /// The first time that it wrote a message.
    Sent {
        /// The id, unique in the run.
        id: String,
        /// The account or the room that it is for.
        to: String,
    },
    /// The server answers for a message: by `<a/>`, `<resumed/>` or `<failed/>`.
    Acknowledged(String),
    /// A message was answered with an error.
    Refused {
        /// Its id.
        id: String,
        /// The condition.
        condition: String,
    },
    /// A message came.
    Received {
        /// Its id.
        id: String,
        /// The account that it is from.
        from: String,
        /// The room that it was said in.
        room: Option<String>,
        /// Its `<stanza-id/>` by the own account, or by the room.
        stanza_id: Option<String>,
        /// Whether it had a `<delay/>`.
        delayed: bool,
    },
    /// The server broke the protocol.
    Misbehaved(String),
}

impl What {
    /// The message that it is about.
    pub fn message(&self) -> Option<&str> {
        match self {
            What::Sent { id, .. }
            | What::Acknowledged(id)
            | What::Refused { id, .. }
            | What::Received { id, .. } => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Ended {
                incarnation,
                killed: true,
            } => write!(f, "server {incarnation} was killed"),
            Entry::Ended { incarnation, .. } => write!(f, "server {incarnation} was stopped"),
            Entry::Full(incarnation) => write!(f, "the disk of server {incarnation} is full"),
            Entry::Circle { room, members } => write!(f, "{room}: {}", members.join(" ")),
            Entry::Gathered => f.write_str("all are there"),
            Entry::Client { who, what } => write!(f, "{who}: {what:?}"),
        }
    }
}

/// What the entries add up to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Devices with a session and a connection.
    pub online: BTreeSet<String>,
    /// Devices that are online and have been given what waited for them.
    pub drained: BTreeSet<String>,
    /// Messages that were sent.
    pub sent: usize,
    /// Messages that the server answers for.
    pub acknowledged: usize,
    /// Messages that were answered with an error.
    pub refused: usize,
    /// Messages that were neither acknowledged nor refused.
    pub open: usize,
    /// Messages that were acknowledged, not refused, and did not come to everybody they are for.
    pub owed: usize,
    fates: HashMap<String, Fate>,
    /// The members of each room.
    circles: HashMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default)]
struct Fate {
    acknowledged: bool,
    refused: bool,
    /// The accounts that it is for and did not come to.
    missing: Vec<String>,
}

impl Fate {
    fn is_open(&self) -> bool {
        !self.acknowledged && !self.refused
    }

    fn is_owed(&self) -> bool {
        self.acknowledged && !self.refused && !self.missing.is_empty()
    }
}

impl Tally {
    fn add(&mut self, who: &str, what: &What) {
        match what {
            What::Enabled | What::Resumed => {
                self.online.insert(who.to_owned());
            }
            What::Drained => {
                self.drained.insert(who.to_owned());
            }
            What::Broken | What::Closed | What::Abandoned => {
                self.online.remove(who);
                self.drained.remove(who);
            }
            What::Sent { id, to } => {
                self.sent += 1;
                self.open += 1;
                let alone = || vec![to.clone()];
                let missing = self.circles.get(to).cloned().unwrap_or_else(alone);
                self.fates.entry(id.clone()).or_default().missing = missing;
            }
            What::Acknowledged(id) => {
                self.acknowledged += 1;
                self.change(id, |fate| fate.acknowledged = true);
            }
            What::Refused { id, .. } => {
                self.refused += 1;
                self.change(id, |fate| fate.refused = true);
            }
            What::Received { id, .. } => {
                let account = who.split('/').next().unwrap_or(who);
                self.change(id, |fate| fate.missing.retain(|other| other != account));
            }
            What::Connected(_)
            | What::NotResumed
            | What::Leaving
            | What::Entered(_)
            | What::Went { .. }
            | What::Misbehaved(_) => {}
        }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Fate)) {
        let Some(fate) = self.fates.get_mut(id) else {
            return;
        };
        let (was_open, was_owed) = (fate.is_open(), fate.is_owed());
        change(fate);
        self.open = self.open + usize::from(fate.is_open()) - usize::from(was_open);
        self.owed = self.owed + usize::from(fate.is_owed()) - usize::from(was_owed);
    }
}

/// The book that all clients of a run write in.
#[derive(Default)]
pub struct Book {
    pages: Mutex<Pages>,
    written: Condvar,
}

#[derive(Default)]
struct Pages {
    entries: Vec<Entry>,
    tally: Tally,
}

impl Book {
    /// A client writes.
    pub fn write(&self, who: &str, what: What) {
        let mut pages = self.open();
        pages.tally.add(who, &what);
        pages.entries.push(Entry::Client {
            who: who.to_owned(),
            what,
        });
        self.written.notify_all();
    }

    /// A server process is gone.
    pub fn ended(&self, incarnation: u32, killed: bool) {
        let entry = Entry::Ended {
            incarnation,
            killed,
        };
        self.open().entries.push(entry);
    }

    /// There is a room with these members.
    pub fn circle(&self, room: &str, members: &[String]) {
        let mut pages = self.open();
        let (room, members) = (room.to_owned(), members.to_vec());
        (pages.tally.circles).insert(room.clone(), members.clone());
        pages.entries.push(Entry::Circle { room, members });
    }

    /// The disk of a server process is full.
    pub fn full(&self, incarnation: u32) {
        self.open().entries.push(Entry::Full(incarnation));
    }

    /// All are there.
    pub fn gathered(&self) {
        self.open().entries.push(Entry::Gathered);
    }

    /// What it adds up to now.
    pub fn tally(&self) -> Tally {
        self.open().tally.clone()
    }

    /// All entries.
    pub fn entries(&self) -> Vec<Entry> {
        self.open().entries.clone()
    }

    /// Waits until the condition holds. False: nothing was written for that long, or ten times
    /// that has passed.
    pub fn wait(&self, patience: Duration, condition: impl Fn(&Tally) -> bool) -> bool {
        let end = Instant::now() + patience * 10;
        let mut pages = self.open();
        while !condition(&pages.tally) {
            let (next, timeout) = self
                .written
                .wait_timeout(pages, patience)
                .unwrap_or_else(PoisonError::into_inner);
            pages = next;
            if timeout.timed_out() || Instant::now() > end {
                return condition(&pages.tally);
            }
        }
        true
    }

    fn open(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
