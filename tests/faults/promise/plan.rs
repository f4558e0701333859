//! What happens in a run, from its seed.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use super::dice::Dice;
use super::life::Role;
use crate::harness::Outcome;

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Clients.
    pub clients: usize,
    /// Rooms for circles of them.
    pub rooms: usize,
    /// How often the server is killed or restarted.
    pub rounds: usize,
}

/// A run.
pub struct Plan {
    /// What repeats it, as far as moments repeat.
    pub seed: u64,
    /// Clients.
    pub clients: usize,
    /// Rooms.
    pub rooms: usize,
    /// What happens, in order.
    pub rounds: Vec<Round>,
}

/// A time of load, and what ends it.
pub struct Round {
    /// How the clients behave.
    pub roles: Vec<Role>,
    /// The moment of the fault: after so many acknowledged messages,
    pub acknowledged: usize,
    /// and so many milliseconds.
    pub pause: u64,
    /// What happens then.
    pub fault: Fault,
}

/// What happens to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`, and a start.
    Kill,
    /// SIGTERM, and a start.
    Restart,
    /// Its disk is full for a while.
    FullDisk,
    /// Its disk is full, and it is killed then. There is room before it starts.
    FullDiskAndKill,
}

impl Plan {
    /// From the environment, and else of that size and a new seed.
    pub fn from_environment(size: Size, faults: &[Fault]) -> Outcome<Plan> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seed = variable("WAXWING_FAULTS_SEED")?.unwrap_or(u64::from(clock.subsec_micros()));
        let clients = variable("WAXWING_FAULTS_CLIENTS")?.unwrap_or(size.clients as u64);
        let rooms = variable("WAXWING_FAULTS_ROOMS")?.unwrap_or(size.rooms as u64);
        let rounds = variable("WAXWING_FAULTS_ROUNDS")?.unwrap_or(size.rounds as u64);
        let size = Size {
            clients: usize::try_from(clients)?,
            rooms: usize::try_from(rooms)?,
            rounds: usize::try_from(rounds)?,
        };
        Ok(Plan::of(seed, size, faults))
    }

    /// The plan of a seed. The first fault is the usual one, the others make up a quarter.
    fn of(seed: u64, size: Size, faults: &[Fault]) -> Plan {
        let dice = Dice::new(seed);
        let mut moments = dice.of(0);
        let mut kinds = kinds(size.rounds, faults, &mut dice.of(1));
        let mut casting = Casting::new(size.clients, dice.of(2));
        let rounds = (0..size.rounds).map(|_| Round {
            roles: casting.next(),
            // A kill in the middle of the logins of all is among the moments.
            acknowledged: match moments.chance(20) {
                true => 0,
                false => moments.below(size.clients * 12),
            },
            pause: moments.below(300) as u64,
            fault: kinds.pop().unwrap_or(Fault::Kill),
        });
        Plan {
            seed,
            clients: size.clients,
            rooms: size.rooms,
            rounds: rounds.collect(),
        }
    }

    /// The command that repeats it.
    pub fn command(&self, trial: &str) -> String {
        format!(
            "WAXWING_FAULTS_SEED={} WAXWING_FAULTS_CLIENTS={} WAXWING_FAULTS_ROOMS={} \
             WAXWING_FAULTS_ROUNDS={} cargo test --test scenarios -- --include-ignored --exact {trial}",
            self.seed,
            self.clients,
            self.rooms,
            self.rounds.len()
        )
    }
}

fn variable(name: &str) -> Outcome<Option<u64>> {
    match env::var(name) {
        Err(_) => Ok(None),
        Ok(text) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{name}={text} is not a number").into()),
        },
    }
}

/// As many faults as there are rounds, in random order: each that is not the usual one at least
/// once if there is room.
fn kinds(rounds: usize, faults: &[Fault], dice: &mut Dice) -> Vec<Fault> {
    let (usual, others) = (faults[0], &faults[1..]);
    let mut kinds: Vec<Fault> = (0..rounds)
        .map(|round| match round * 4 < rounds + 1 && !others.is_empty() {
            true => others[round % others.len()],
            false => usual,
        })
        .collect();
    for at in (1..kinds.len()).rev() {
        kinds.swap(at, dice.below(at + 1));
    }
    kinds
}

/// Who plays what, round by round.
struct Casting {
    dice: Dice,
    /// The role of each, and for how many more rounds.
    roles: Vec<(Role, usize)>,
}

impl Casting {
    fn new(clients: usize, dice: Dice) -> Casting {
        Casting {
            dice,
            roles: vec![(Role::Steady, 0); clients],
        }
    }

    fn next(&mut self) -> Vec<Role> {
        for at in 0..self.roles.len() {
            let (role, rounds) = self.roles[at];
            self.roles[at] = match rounds {
                0 => self.cast(),
                _ => (role, rounds - 1),
            };
        }
        self.roles.iter().map(|(role, _)| *role).collect()
    }

    fn cast(&mut self) -> (Role, usize) {
        match self.dice.below(100) {
            0..=5 => (Role::HalfOpen, 0),
            6..=11 => (Role::SlowReader, 0),
            12..=17 => (Role::AcknowledgesAndDies, 0),
            18..=23 => (Role::NeverAcknowledges, self.dice.below(2)),
            24..=28 => (Role::Away, self.dice.below(3)),
            29..=33 => (Role::Vanished, self.dice.below(3)),
            _ => (Role::Steady, 0),
        }
    }
}
