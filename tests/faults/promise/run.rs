//! A run: clients talk and misbehave while the server is killed and restarted. In the end all come
//! back, and the laws must hold.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;

use super::book::Book;
use super::circles::{self, Circle};
use super::dice::Dice;
use super::fleet::Fleet;
use super::laws::{Verdict, check};
use super::liar::{Lie, Proxy};
use super::life::Role;
use super::plan::{Fault, Plan, Round, Size};
use crate::ensure;
use crate::harness::Outcome;
use crate::harness::disk::Disk;
use crate::harness::server::{Server, ServerOptions};

/// How long nothing may happen while something is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Room for all that is said in the longest run, where the disk is one that can be full.
const DISK_MEGABYTES: u32 = 256;
/// The book is written to the file that this variable names.
const BOOK: &str = "WAXWING_FAULTS_BOOK";
const PROCESS: [Fault; 2] = [Fault::Kill, Fault::Restart];
const DISK: [Fault; 2] = [Fault::FullDisk, Fault::FullDiskAndKill];
const ALL: [Fault; 4] = [
    Fault::Kill,
    Fault::Restart,
    Fault::FullDisk,
    Fault::FullDiskAndKill,
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("the_promise_is_kept", (60, 5, 11), &PROCESS)];
    let mut faults: &[Fault] = &ALL;
    if Disk::can_be_mounted() {
        trials.push(trial(
            "the_promise_is_kept_on_a_full_disk",
            (12, 2, 5),
            &DISK,
        ));
    } else {
        eprintln!("faults::promise: no full disk, this user may not mount a file system");
        faults = &PROCESS;
    }
    // Minutes, for a night or a release.
    trials
        .push(trial("the_promise_is_kept_for_long", (240, 20, 48), faults).with_ignored_flag(true));
    trials
}

/// A run with so many clients, rooms and rounds.
fn trial(name: &str, size: (usize, usize, usize), faults: &'static [Fault]) -> Trial {
    let name = format!("promise::{name}");
    let trial = name.clone();
    Trial::test(name, move || {
        let (clients, rooms, rounds) = size;
        let size = Size {
            clients,
            rooms,
            rounds,
        };
        let plan = Plan::from_environment(size, faults)?;
        Ok(run(&trial, &plan)?)
    })
}

/// Carries a plan out.
fn run(name: &str, plan: &Plan) -> Outcome {
    let command = plan.command(name);
    println!("{command}");
    let needs_disk = |round: &Round| !matches!(round.fault, Fault::Kill | Fault::Restart);
    let mut options = options();
    if plan.rounds.iter().any(needs_disk) {
        options = options.disk_megabytes(DISK_MEGABYTES);
    }
    let outcome = carry_out(plan, &options);
    let verdict = outcome.map_err(|error| format!("{error}\nagain: {command}"))?;
    println!("{}", summary(&verdict));
    ensure!(
        verdict.violations.is_empty(),
        "{}\n{}\nagain: {command}",
        summary(&verdict),
        list(&verdict)
    );
    ensure!(
        verdict.acknowledged > plan.clients,
        "hardly anything was sent"
    );
    Ok(())
}

fn carry_out(plan: &Plan, options: &ServerOptions) -> Outcome<Verdict> {
    let dice = Dice::new(plan.seed);
    let mut stage = Stage::start(plan.clients, plan.rooms, &dice, options, None)?;
    stage.fleet.talk(true);
    for round in &plan.rounds {
        stage.fleet.roles(&round.roles);
        let mark = stage.book.tally().acknowledged + round.acknowledged;
        let went_on = stage
            .book
            .wait(PATIENCE, |tally| tally.acknowledged >= mark);
        ensure!(
            went_on,
            "nothing is acknowledged any more: {}",
            stage.state()
        );
        if round.fault == Fault::Restart {
            stage.wait_for_sessions(&round.roles)?;
        }
        // Not a wait for something, but the moment of the fault.
        thread::sleep(Duration::from_millis(round.pause));
        stage.fault(round.fault)?;
    }
    stage.finish()
}

/// A server for many clients without TLS, which finds dead peers soon.
pub fn options() -> ServerOptions {
    ServerOptions::new()
        .set("tls.require", false)
        .set("auth.mechanisms", "[\"SCRAM-SHA-256\"]")
        .set("limits.registrations_per_hour", 1_000_000)
        .set("limits.connections_per_address", 100_000)
        .set("limits.stanzas_burst", 1_000_000)
        .set("limits.bytes_burst", 1_000_000_000_u64)
        .set("limits.bytes_per_second", 1_000_000_000_u64)
        .set("limits.mailbox_messages", 1_000_000)
        .set("limits.ping_after_silence", 3)
        .set("limits.ping_timeout", 3)
}

/// A server with its clients, and their book.
pub struct Stage {
    /// The clients.
    pub fleet: Fleet,
    /// What they write in.
    pub book: Arc<Book>,
    /// What is between them and the server, if anything is.
    pub proxy: Option<Proxy>,
    server: Server,
    incarnation: u32,
    dice: Dice,
    size: usize,
    circles: Vec<Circle>,
}

impl Stage {
    /// Makes the rooms, and waits until all are online.
    pub fn start(
        size: usize,
        rooms: usize,
        dice: &Dice,
        options: &ServerOptions,
        lie: Option<Lie>,
    ) -> Outcome<Stage> {
        let book = Arc::new(Book::default());
        let server = Server::start(options)?;
        let circles = circles::of_people(rooms, size, &mut dice.of(usize::MAX - 2));
        for circle in &circles {
            circle.create(&server.target()?)?;
            book.circle(&circle.room, &circle.members);
        }
        let stage = Stage {
            fleet: Fleet::start(size, &circles, dice, &book)?,
            book,
            proxy: lie.map(Proxy::start).transpose()?,
            server,
            incarnation: 1,
            dice: dice.clone(),
            size,
            circles,
        };
        stage.fleet.server(Some((stage.address()?, 1)));
        stage.settle()?;
        Ok(stage)
    }

    /// Where clients connect to.
    fn address(&self) -> Outcome<SocketAddr> {
        let server = self.server.target()?.c2s;
        Ok(match &self.proxy {
            None => server,
            Some(proxy) => {
                proxy.server(Some(server));
                proxy.address
            }
        })
    }

    /// Waits until all are online and nothing is on its way.
    pub fn settle(&self) -> Outcome {
        let settled = self.book.wait(PATIENCE, |tally| {
            tally.drained.len() == self.size && tally.open == 0 && tally.owed == 0
        });
        ensure!(settled, "not everybody comes online: {}", self.state());
        Ok(())
    }

    /// Waits until all that behave have a session, so that a restart is something to survive.
    fn wait_for_sessions(&self, roles: &[Role]) -> Outcome {
        let all = self.fleet.names.iter().zip(roles);
        let steady: Vec<&String> = all
            .filter(|(_, role)| **role == Role::Steady)
            .map(|(name, _)| name)
            .collect();
        let online = self.book.wait(PATIENCE, |tally| {
            steady.iter().all(|name| tally.online.contains(*name))
        });
        ensure!(online, "not everybody comes back: {}", self.state());
        Ok(())
    }

    /// Does that to the server.
    pub fn fault(&mut self, fault: Fault) -> Outcome {
        match fault {
            Fault::Kill => self.end(true)?,
            Fault::Restart => self.end(false)?,
            Fault::FullDisk => {
                self.book.full(self.incarnation);
                self.server.disk()?.fill()?;
                self.wait_for_refusals()?;
                return self.server.disk()?.free();
            }
            Fault::FullDiskAndKill => {
                self.book.full(self.incarnation);
                self.server.disk()?.fill()?;
                self.wait_for_refusals()?;
                self.end(true)?;
                self.server.disk()?.free()?;
            }
        }
        self.server.start_again()?;
        self.incarnation += 1;
        self.fleet.server(Some((self.address()?, self.incarnation)));
        Ok(())
    }

    /// The disk is so full that messages are refused.
    fn wait_for_refusals(&self) -> Outcome {
        let mark = self.book.tally().refused + self.size;
        let refused = self.book.wait(PATIENCE, |tally| tally.refused >= mark);
        ensure!(refused, "nothing is refused: {}", self.state());
        Ok(())
    }

    fn end(&mut self, kill: bool) -> Outcome {
        match kill {
            true => self.server.kill_9()?,
            false => self.server.terminate()?,
        }
        self.book.ended(self.incarnation, kill);
        self.fleet.server(None);
        if let Some(proxy) = &self.proxy {
            proxy.server(None);
            // What it held is gone with the connections; what comes next is for the next server.
            proxy.hold(false);
        }
        Ok(())
    }

    /// All come back, get what waits for them, and leave; a new device of each account takes what
    /// nobody took. Then the book is judged.
    pub fn finish(mut self) -> Outcome<Verdict> {
        self.fleet.talk(false);
        self.fleet.roles(&vec![Role::Steady; self.size]);
        let size = self.size;
        let back = self.book.wait(PATIENCE, |tally| {
            tally.drained.len() == size && tally.open == 0
        });
        ensure!(back, "not everybody came back: {}", self.state());
        // What is lost never comes: that is for the laws to say.
        self.book.wait(PATIENCE / 4, |tally| tally.owed == 0);
        self.book.gathered();
        let server = (self.address()?, self.incarnation);
        self.fleet.leave()?;
        let visitors = Fleet::visitors(size, &self.circles, &self.dice, &self.book)?;
        visitors.server(Some(server));
        let came = self
            .book
            .wait(PATIENCE, |tally| tally.drained.len() == size);
        ensure!(came, "the visitors: {}", state(&self.book, &self.server));
        visitors.leave()?;
        self.server.terminate()?;
        let entries = self.book.entries();
        if let Some(path) = env::var_os(BOOK) {
            let lines: Vec<String> = entries.iter().map(ToString::to_string).collect();
            fs::write(path, lines.join("\n"))?;
        }
        Ok(check(&entries))
    }

    /// What a report says when it does not go on.
    fn state(&self) -> String {
        let tally = self.book.tally();
        let absent: Vec<&String> = (self.fleet.names.iter())
            .filter(|name| !tally.drained.contains(*name))
            .collect();
        format!("missing {absent:?}; {}", state(&self.book, &self.server))
    }
}

fn state(book: &Book, server: &Server) -> String {
    let tally = book.tally();
    let verdict = check(&book.entries());
    format!(
        "{} online, {} given what waited, {} sent, {} open, {} owed\n{}\n{}",
        tally.online.len(),
        tally.drained.len(),
        tally.sent,
        tally.open,
        tally.owed,
        list(&verdict),
        server.log()
    )
}

/// The violations, as text.
pub fn list(verdict: &Verdict) -> String {
    let shown = verdict.violations.iter().take(30);
    let lines: Vec<String> = shown.map(ToString::to_string).collect();
    format!(
        "{} violations of {:?}\n{}",
        verdict.violations.len(),
        verdict.broken(),
        lines.join("\n")
    )
}

fn summary(verdict: &Verdict) -> String {
    format!(
        "{} sent, {} acknowledged, {} refused, {} came, {} came again; {} said in rooms, heard \
         {} times; {} kills; resumed after \
         restarts {}/{}, after breaks {}/{}",
        verdict.sent,
        verdict.acknowledged,
        verdict.refused,
        verdict.came,
        verdict.came_again,
        verdict.said,
        verdict.heard,
        verdict.kills,
        verdict.restarts.went_well,
        verdict.restarts.tried,
        verdict.breaks.went_well,
        verdict.breaks.tried,
    )
}
