//! `cargo bench -p waxwing-gates`: measures what noise cannot touch and compares it with the
//! committed baselines. `-- --update` writes the baselines instead. Exit codes: 0 if all pass, 1 if
//! something does not, 2 if it could not be measured.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;
use waxwing_benches::counting::Counting;
use waxwing_gates::{Baselines, Verdict, judge, table};

mod callgrind;
mod cases;
mod client;
mod crypto_heap;
mod exchange;
mod rooms;
mod sessions;
mod stage;

/// The server's allocator, counted.
#[global_allocator]
static ALLOCATOR: Counting<Jemalloc> = Counting(Jemalloc);

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(false),
        ["--update"] => run(true),
        [callgrind::CASE, name] => cases::run(name).map(|()| ExitCode::SUCCESS),
        _ => Err("usage: cargo bench -p waxwing-gates [-- --update]".into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("gates: {error}");
        ExitCode::from(2)
    })
}

fn run(update: bool) -> Outcome<ExitCode> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines.toml");
    let baselines = match read(&path) {
        Ok(baselines) => baselines,
        Err(_) if update => Baselines::default(),
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    };
    crypto_heap::count();
    let mut figures = callgrind::measure()?;
    figures.extend(sessions::measure()?);
    figures.extend(rooms::measure()?);
    let lines = judge(&figures, &baselines);
    print!("{}", table(&lines));
    if update {
        std::fs::write(&path, Baselines::render(&figures))?;
        println!("Written to {}.", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    if lines.iter().any(|line| line.verdict == Verdict::Better) {
        println!("Better by 5 % or more: `{UPDATE}` keeps it so.");
    }
    if lines.iter().all(|line| line.verdict.passes()) {
        return Ok(ExitCode::SUCCESS);
    }
    println!("A gate is closed. If it is meant so: `{UPDATE}`, and the commit says why.");
    Ok(ExitCode::FAILURE)
}

fn read(path: &Path) -> Outcome<Baselines> {
    Ok(Baselines::parse(&std::fs::read_to_string(path)?)?)
}

const UPDATE: &str = "cargo bench -p waxwing-gates -- --update";
