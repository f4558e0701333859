//! The whole server as a black box: the binary as it is shipped, spoken to over TLS.
//!
//! `plays/` holds most scenarios as text, `harness/play.rs` explains the form. What needs more than
//! sending and receiving is written in Rust in the modules below.

mod authentication;
mod faults;
mod harness;
mod house;
mod limits;
mod registration;
mod retention;
mod room_ends;
mod rooms;
mod sasl2;
mod stream_management;
mod streams;
mod trace;
mod writes;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::Arguments;

use harness::server::Server;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let plays = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plays");
    let mut trials = match harness::stage::trials(&plays) {
        Ok(trials) => trials,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    trials.extend(authentication::trials());
    trials.extend(sasl2::trials());
    trials.extend(stream_management::trials());
    trials.extend(streams::trials());
    trials.extend(registration::trials());
    trials.extend(retention::trials());
    trials.extend(room_ends::trials());
    trials.extend(rooms::trials());
    trials.extend(faults::offline_kill::trials());
    trials.extend(faults::database::trials());
    trials.extend(faults::disk::trials());
    trials.extend(faults::failed_start::trials());
    trials.extend(faults::slow_reader::trials());
    trials.extend(faults::promise::trials());
    trials.extend(faults::room_kill::trials());
    trials.extend(limits::trials());
    trials.extend(trace::trials());
    trials.extend(writes::trials());
    trials.extend(house::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Err(error) = Server::stop_shared() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
