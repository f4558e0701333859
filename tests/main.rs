//! The whole server as a black box: the binary as it is shipped, spoken to over TLS.
//!
//! `plays/` holds most scenarios as text, `harness/play.rs` explains the form. What needs more than
//! sending and receiving is written in Rust in the modules below.

mod harness;

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
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Err(error) = Server::stop_shared() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
