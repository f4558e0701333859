//! Clients and libraries made by others, driven by `interop/run`; it fails when one of them does.

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    // `cargo test` hands its filters and flags to every target; listing is for tools.
    if std::env::args().any(|argument| argument == "--list") {
        println!("interop: test");
        return ExitCode::SUCCESS;
    }
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/run");
    match Command::new(&run)
        .env("WAXWING", env!("CARGO_BIN_EXE_waxwing"))
        .status()
    {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("interop/run: {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{}: {error}", run.display());
            ExitCode::FAILURE
        }
    }
}
