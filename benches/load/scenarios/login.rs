//! `login`: sessions come and go. Each login is a new connection, TLS without resumption if asked
//! for, SASL, binding, presence, and a ping that says that all of it was done.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::options::LoginOptions;
use crate::report::{Meter, Report, histogram};
use crate::scenarios::{Ignore, WARM_UP, after, close_all};

/// Sessions that come and go.
struct Turnstile {
    /// When the login of each number began.
    begun: Vec<Instant>,
    /// Numbers that are free; the longest first.
    free: VecDeque<usize>,
    logins: u64,
    times: Histogram<u64>,
}

/// Runs the scenario.
pub(crate) fn run(
    options: &LoginOptions,
    fleet: &mut Fleet,
    report: &mut Report,
) -> Result<(), Failure> {
    let accounts = options.accounts.max(1);
    report.setting("accounts", accounts);
    report.setting("in_flight", fleet.server.in_flight);
    // Once around: makes the accounts and derives all keys.
    let plans = fleet.server.plans(0..accounts);
    fleet.bring_online(&plans, &mut Ignore)?;
    close_all(fleet, accounts, &mut Ignore)?;
    let mut turnstile = Turnstile {
        begun: vec![Instant::now(); accounts],
        free: (0..accounts).collect(),
        logins: 0,
        times: histogram(),
    };
    let pids = fleet.server.pids.clone();
    turnstile.turn(fleet, after(options.seconds * WARM_UP))?;
    turnstile.times.clear();
    let (meter, before) = (Meter::start(&pids)?, turnstile.logins);
    turnstile.turn(fleet, after(options.seconds))?;
    meter.finish(turnstile.logins - before, "login", report)?;
    report.percentiles("login", &turnstile.times);
    report.verdict.arrived = turnstile.logins;
    Ok(())
}

impl Turnstile {
    fn turn(&mut self, fleet: &mut Fleet, until: Instant) -> Result<(), Failure> {
        let accounts = self.begun.len();
        let mut last = Instant::now();
        loop {
            let now = Instant::now();
            let in_flight = accounts - self.free.len();
            if now >= until && in_flight == 0 {
                return Ok(());
            }
            if now - last > fleet.server.patience {
                return Err(Failure::LoginsStalled(0, in_flight));
            }
            if now < until
                && in_flight < fleet.server.in_flight
                && let Some(who) = self.free.pop_front()
            {
                let mut plan = fleet.server.plan(who);
                plan.register = false;
                self.begun[who] = Instant::now();
                fleet.open(who, &plan)?;
                continue;
            }
            fleet.poll(&mut Ignore, Duration::from_millis(100))?;
            for who in fleet.take_online() {
                let micros = self.begun[who].elapsed().as_micros() as u64;
                self.times.saturating_record(micros);
                self.logins += 1;
                last = Instant::now();
                fleet.close(who);
            }
            self.free.extend(fleet.take_gone());
            let logins = self.logins;
            fleet.ticker.tick(|| format!("{logins} logins"));
        }
    }
}
