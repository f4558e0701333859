//! The promise: a message that the server has acknowledged is never lost, comes once and in order,
//! and an orderly restart is unseen.
//!
//! Clients with stream management (`person.rs`, `life.rs`, `fleet.rs`) talk to each other while the
//! server is killed and restarted and while they misbehave (`plan.rs`, `run.rs`). What they saw is
//! in one book (`book.rs`), of which the laws must hold (`laws.rs`). That the laws find something is
//! shown by books made by hand (`hand_made.rs`) and by servers that lie (`liar.rs`, `controls.rs`).

mod book;
pub mod circles;
mod controls;
mod dice;
mod fleet;
mod frames;
mod hand_made;
mod laws;
mod liar;
mod life;
mod person;
mod plan;
pub mod run;

use libtest_mimic::Trial;

/// All trials.
pub fn trials() -> Vec<Trial> {
    let mut trials = hand_made::trials();
    trials.extend(controls::trials());
    trials.extend(run::trials());
    trials
}
