//! Negative controls: servers that acknowledge when they have read, and servers that delete when
//! they have written, lose messages, and the laws find it. The server is made such by a proxy that
//! lies. The same plays without a lie break no law, so it is the lie that is found.
//!
//! Nothing is left to chance: what is lost never got to the server, or never to the client.

use std::collections::BTreeSet;
use std::time::Duration;

use libtest_mimic::Trial;

use super::dice::Dice;
use super::laws::{Law, Verdict};
use super::liar::{Lie, Proxy};
use super::life::Role;
use super::plan::Fault;
use super::run::{Stage, list, options};
use crate::harness::Outcome;
use crate::{ensure, trials};

const PATIENCE: Duration = Duration::from_secs(20);
const SEED: u64 = 3;
/// Messages that are lost at least.
const SOME: usize = 10;

pub fn trials() -> Vec<Trial> {
    trials![
        acknowledging_at_read_loses_messages,
        a_crash_before_the_acknowledgement_loses_none,
        deleting_at_write_loses_messages,
        a_break_before_the_acknowledgement_loses_none,
    ]
}

fn acknowledging_at_read_loses_messages() -> Outcome {
    lost(&a_crash(Lie::AcknowledgesAtRead)?)
}

fn a_crash_before_the_acknowledgement_loses_none() -> Outcome {
    nothing_lost(&a_crash(Lie::None)?)
}

fn deleting_at_write_loses_messages() -> Outcome {
    lost(&a_break(Lie::DeletesAtWrite)?)
}

fn a_break_before_the_acknowledgement_loses_none() -> Outcome {
    nothing_lost(&a_break(Lie::None)?)
}

fn lost(verdict: &Verdict) -> Outcome {
    let lost = verdict.violations.len();
    ensure!(
        verdict.broken() == BTreeSet::from([Law::Kept]) && lost >= SOME,
        "{}",
        list(verdict)
    );
    Ok(())
}

fn nothing_lost(verdict: &Verdict) -> Outcome {
    ensure!(verdict.violations.is_empty(), "{}", list(verdict));
    ensure!(verdict.acknowledged >= SOME, "hardly anything was sent");
    Ok(())
}

/// The server is killed while messages are on the way to it. The proxy holds them, and they go
/// with the connection, as what a server has read goes with its process. All that is acknowledged
/// while it holds is acknowledged by a lie: the clients do not send it again, and nobody has it.
fn a_crash(lie: Lie) -> Outcome<Verdict> {
    let mut stage = Stage::start(2, 0, &Dice::new(SEED), &options(), Some(lie))?;
    let before = stage.book.tally();
    proxy(&stage)?.hold(true);
    stage.fleet.talk(true);
    let held = proxy(&stage)?.wait_for_held(SOME, PATIENCE);
    ensure!(held, "the clients do not send");
    if lie != Lie::None {
        let mark = before.acknowledged + SOME;
        let lied = stage
            .book
            .wait(PATIENCE, |tally| tally.acknowledged >= mark);
        ensure!(lied, "the proxy does not lie");
    }
    stage.fleet.talk(false);
    stage.fault(Fault::Kill)?;
    stage.finish()
}

/// A client takes nothing more, and its connection breaks with messages unread in it. To the
/// server they are acknowledged at the latest by the `<resume/>`, whose count the proxy raises to
/// what it has acknowledged: so the server has no reason to send them again. Nobody is killed here,
/// for a crash could lose that acknowledgement, and save the messages.
fn a_break(lie: Lie) -> Outcome<Verdict> {
    let stage = Stage::start(2, 0, &Dice::new(SEED), &options(), Some(lie))?;
    stage.fleet.roles(&[Role::Steady, Role::HalfOpen]);
    let mark = proxy(&stage)?.written() + SOME;
    stage.fleet.talk(true);
    let written = proxy(&stage)?.wait_for_written(mark, PATIENCE);
    ensure!(written, "nothing is written to the client");
    stage.fleet.talk(false);
    stage.finish()
}

fn proxy(stage: &Stage) -> Outcome<&Proxy> {
    Ok(stage.proxy.as_ref().ok_or("no proxy")?)
}
