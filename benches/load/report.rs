//! What a run has found: figures, and whether the server did its work. As a table and as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::check::Verdict;
use crate::cpu::Usage;

/// The result of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenario: String,
    label: String,
    settings: BTreeMap<String, String>,
    figures: BTreeMap<String, f64>,
    /// What became of the messages.
    pub(crate) verdict: Verdict,
    /// Everything else that was wrong.
    pub(crate) faults: Vec<String>,
    #[serde(skip)]
    order: Vec<String>,
}

impl Report {
    /// An empty report.
    pub(crate) fn new(scenario: &str, label: &str) -> Report {
        Report {
            scenario: scenario.to_owned(),
            label: label.to_owned(),
            settings: BTreeMap::new(),
            figures: BTreeMap::new(),
            verdict: Verdict::default(),
            faults: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Records a setting of the run.
    pub(crate) fn setting(&mut self, name: &str, value: impl std::fmt::Display) {
        self.settings.insert(name.to_owned(), value.to_string());
    }

    /// Records a figure; its name ends with its unit.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        self.order.push(name.clone());
        self.figures.insert(name, value);
    }

    /// A figure that was recorded.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    /// Records the percentiles of times in microseconds.
    pub(crate) fn percentiles(&mut self, prefix: &str, times: &Histogram<u64>) {
        if times.is_empty() {
            return;
        }
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999), ("max", 1.0)] {
            let value = times.value_at_quantile(quantile) as f64;
            self.figure(format!("{prefix}_{name}_us"), value);
        }
    }

    /// Whether the server did all that it had to.
    pub(crate) fn is_correct(&self) -> bool {
        self.verdict.is_correct() && self.faults.is_empty()
    }

    /// The table for people.
    pub(crate) fn table(&self) -> String {
        let settings: Vec<String> = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut text = format!(
            "{} {} [{}]\n",
            self.scenario,
            self.label,
            settings.join(" ")
        );
        for name in &self.order {
            text += &format!("  {name:<36} {:>14}\n", plain(self.figures[name]));
        }
        let Verdict {
            arrived,
            missing,
            doubled,
            reordered,
            unknown,
        } = self.verdict;
        text += &format!(
            "  arrived {arrived}, missing {missing}, doubled {doubled}, out of order {reordered}, \
             never sent {unknown}\n"
        );
        for fault in &self.faults {
            text += &format!("  FAULT: {fault}\n");
        }
        text
    }

    /// Writes the report as JSON.
    pub(crate) fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text)
    }
}

fn plain(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 1000.0 => 0,
        value if value >= 100.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// A histogram of microseconds, up to a minute.
pub(crate) fn histogram() -> Histogram<u64> {
    let mut times = Histogram::new_with_bounds(1, 60_000_000, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are constants"));
    times.auto(true);
    times
}

/// Measures the time between two moments: the wall's, the server's and this process's own.
pub(crate) struct Meter<'a> {
    pids: &'a [u32],
    begun: Instant,
    server: Usage,
    own: Usage,
}

impl Meter<'_> {
    /// Begins.
    pub(crate) fn start(pids: &[u32]) -> io::Result<Meter<'_>> {
        Ok(Meter {
            pids,
            begun: Instant::now(),
            server: Usage::read(pids)?,
            own: Usage::read(&[std::process::id()])?,
        })
    }

    /// Ends, and records what each of `count` things cost; without any, that is a fault. `thing`:
    /// its name in figures.
    pub(crate) fn finish(&self, count: u64, thing: &str, report: &mut Report) -> io::Result<()> {
        let seconds = self.begun.elapsed().as_secs_f64();
        if count == 0 {
            report
                .faults
                .push(format!("there was no {thing} to measure"));
            return Ok(());
        }
        let each = |cpu: f64| cpu * 1e6 / count as f64;
        report.figure(format!("{thing}s"), count as f64);
        report.figure(format!("{thing}s_per_second"), count as f64 / seconds);
        if !self.pids.is_empty() {
            let server = Usage::read(self.pids)?.since(&self.server);
            report.figure(format!("server_us_per_{thing}"), each(server.total()));
            report.figure(format!("server_user_us_per_{thing}"), each(server.user));
            report.figure(format!("server_system_us_per_{thing}"), each(server.system));
            report.figure(format!("server_seconds_for_{thing}s"), server.total());
        }
        let own = Usage::read(&[std::process::id()])?.since(&self.own);
        report.figure(format!("client_us_per_{thing}"), each(own.total()));
        let busy = own.total() / seconds * 100.0;
        report.figure(format!("client_busy_percent_for_{thing}s"), busy);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_costs_nothing_and_is_a_fault() {
        let mut report = Report::new("", "");
        let meter = Meter::start(&[]).unwrap();
        meter.finish(0, "message", &mut report).unwrap();
        assert!(report.value("client_us_per_message").is_none());
        assert!(!report.is_correct());
        let mut report = Report::new("", "");
        meter.finish(2, "message", &mut report).unwrap();
        assert_eq!(report.value("messages"), Some(2.0));
        assert!(report.is_correct());
    }
}
