//! Progress on standard error, once a second.

use std::time::{Duration, Instant};

/// Prints a line when the last is a second old.
pub(crate) struct Ticker {
    quiet: bool,
    what: String,
    last: Instant,
}

impl Ticker {
    /// A ticker for a scenario.
    pub(crate) fn new(what: &str, quiet: bool) -> Ticker {
        Ticker {
            quiet,
            what: what.to_owned(),
            last: Instant::now(),
        }
    }

    /// Prints `text` if it is time.
    pub(crate) fn tick(&mut self, text: impl FnOnce() -> String) {
        self.tick_at(Instant::now(), text);
    }

    /// The same for a caller that has just read the clock.
    pub(crate) fn tick_at(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if now - self.last >= Duration::from_secs(1) {
            self.last = now;
            self.say(&text());
        }
    }

    /// Prints at once.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{}: {text}", self.what);
        }
    }
}
