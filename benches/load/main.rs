//! A load generator for XMPP servers: it measures what a server costs, and checks that every
//! message arrives, once and in order. See `benches/README.md`.

mod check;
mod connection;
mod cpu;
mod element;
mod failure;
mod fleet;
mod fsyncs;
mod handler;
mod lines;
mod login;
mod message;
mod options;
mod process;
mod raw_relay;
mod report;
mod sasl;
mod scanner;
mod scenarios;
mod server;
mod sm;
mod summary;
mod ticker;
mod tls;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::options::{Command, Common, Options};
use crate::report::Report;
use crate::server::Server;
use crate::ticker::Ticker;

/// The server did not do its work, or could not be measured.
const FAILED: u8 = 1;
/// As shells report an end by SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            eprintln!("waxwing-load: {error}");
            return ExitCode::from(FAILED);
        }
    }
    raise_open_files();
    match run(Options::checked().command, &stop) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(Failure::Interrupted) => {
            eprintln!("waxwing-load: interrupted");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("waxwing-load: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// Runs a command. Says whether the server was correct.
fn run(command: Command, stop: &Arc<AtomicBool>) -> Result<bool, Failure> {
    match command {
        Command::RawRelay { listen } => {
            raw_relay::run(listen, stop)?;
            Ok(true)
        }
        Command::Summary { directory, not_yet } => {
            print!("{}", summary::summary(&directory, &not_yet)?);
            Ok(true)
        }
        Command::Relay(options) => scenario("relay", &options.common, stop, |fleet, report| {
            scenarios::relay::run(&options, fleet, report)
        }),
        Command::Idle(options) => scenario("idle", &options.common, stop, |fleet, report| {
            scenarios::idle::run(&options, fleet, report)
        }),
        Command::Login(options) => scenario("login", &options.common, stop, |fleet, report| {
            scenarios::login::run(&options, fleet, report)
        }),
        Command::Offline(options) => scenario("offline", &options.common, stop, |fleet, report| {
            scenarios::offline::run(&options, fleet, report)
        }),
        Command::Muc(options) => scenario("muc", &options.common, stop, |fleet, report| {
            scenarios::muc::run(&options, fleet, report)
        }),
        Command::Presence(options) => {
            scenario("presence", &options.common, stop, |fleet, report| {
                scenarios::presence::run(&options, fleet, report)
            })
        }
        Command::Latency(options) => scenario("latency", &options.common, stop, |fleet, report| {
            scenarios::latency::run(&options, fleet, report)
        }),
    }
}

/// Runs a scenario and reports, also where it broke off.
fn scenario(
    name: &str,
    common: &Common,
    stop: &Arc<AtomicBool>,
    body: impl FnOnce(&mut Fleet, &mut Report) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let options = &common.server;
    let ticker = Ticker::new(name, common.quiet);
    let mut fleet = Fleet::new(Server::new(options), ticker, Arc::clone(stop))?;
    let mut report = Report::new(name, &common.label);
    report.setting("tls", format!("{:?}", options.tls).to_lowercase());
    report.setting("auth", options.auth.name());
    report.setting("sm", options.sm);
    match body(&mut fleet, &mut report) {
        Err(Failure::Interrupted) => return Err(Failure::Interrupted),
        Err(failure) => report.faults.push(failure.to_string()),
        Ok(()) => (),
    }
    print!("{}", report.table());
    if let Some(path) = &common.json {
        report.write_json(path)?;
    }
    Ok(report.is_correct())
}

/// Many connections need many descriptors: as many as the system allows.
fn raise_open_files() {
    const WANTED: u64 = 1 << 20;
    let limit = getrlimit(Resource::Nofile);
    let raised = |maximum| Rlimit {
        current: Some(maximum),
        maximum: Some(maximum),
    };
    let result: io::Result<()> = setrlimit(Resource::Nofile, raised(WANTED))
        .or_else(|_| setrlimit(Resource::Nofile, raised(limit.maximum.unwrap_or(WANTED))))
        .map_err(io::Error::from);
    if let Err(error) = result {
        eprintln!("waxwing-load: the limit of open files stays: {error}");
    }
}
