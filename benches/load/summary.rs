//! Brings the results of many runs together: medians, ratios within a round, and the gates.
//! Results are files called `ROUND.SCENARIO.SERVER.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

/// The servers, in the order of the columns.
const SERVERS: [&str; 4] = ["raw", "waxwing", "ejabberd", "prosody"];
/// The figures that are shown, by the beginning of the scenario's name.
const FIGURES: &[(&str, &[&str])] = &[
    (
        "relay",
        &[
            "server_us_per_message",
            "server_user_us_per_message",
            "server_system_us_per_message",
            "client_busy_percent_for_messages",
        ],
    ),
    (
        "idle",
        &["resident_bytes_per_session", "kernel_bytes_per_session"],
    ),
    (
        "login",
        &["server_us_per_login", "login_p50_us", "login_p99_us"],
    ),
    (
        "offline",
        &[
            "stored_messages_per_second",
            "server_us_per_stored_message",
            "acknowledged_p50_us",
            "server_us_per_drained_message",
        ],
    ),
    ("fsyncs", &["stored_messages", "fsyncs"]),
    (
        "presence",
        &[
            "server_us_per_logout",
            "server_us_per_login",
            "server_us_per_login_presence",
            "server_us_per_presence",
            "client_busy_percent_for_presences",
        ],
    ),
    (
        "latency",
        &[
            "saturation_messages_per_second",
            "at_10_percent_p50_us",
            "at_10_percent_p99_us",
            "at_10_percent_p99_9_us",
            "at_50_percent_p50_us",
            "at_50_percent_p99_us",
            "at_80_percent_p50_us",
            "at_80_percent_p99_us",
        ],
    ),
];

/// What a figure of Waxwing's must be.
enum Gate {
    AtMost(f64),
    AtLeast(f64),
    /// Times the raw relay's figure of `relay-1` or `relay-8` in the same round.
    TimesRaw(&'static str, f64),
}

const GATES: &[(&str, &str, Gate)] = &[
    (
        "relay-1",
        "server_us_per_message",
        Gate::TimesRaw("relay-1", 1.5),
    ),
    (
        "relay-8",
        "server_us_per_message",
        Gate::TimesRaw("relay-8", 2.5),
    ),
    (
        "relay-tls",
        "server_us_per_message",
        Gate::TimesRaw("relay-1", 1.7),
    ),
    ("idle", "resident_bytes_per_session", Gate::AtMost(4096.0)),
    (
        "idle-tls",
        "resident_bytes_per_session",
        Gate::AtMost(12288.0),
    ),
    ("login", "server_us_per_login", Gate::AtMost(450.0)),
    (
        "offline",
        "stored_messages_per_second",
        Gate::AtLeast(100_000.0),
    ),
    ("offline", "acknowledged_p50_us", Gate::AtMost(1000.0)),
    ("latency", "at_10_percent_p50_us", Gate::AtMost(35.0)),
    ("latency", "at_10_percent_p99_us", Gate::AtMost(400.0)),
];

#[derive(Deserialize)]
struct Run {
    figures: BTreeMap<String, f64>,
    faults: Vec<String>,
    verdict: Verdict,
}

#[derive(Deserialize)]
struct Verdict {
    missing: u64,
    doubled: u64,
    reordered: u64,
    unknown: u64,
}

/// By scenario, server and round.
#[derive(Default)]
struct Runs(BTreeMap<(String, String, u32), Run>);

/// The summary of a directory, in Markdown.
pub(crate) fn summary(directory: &Path) -> io::Result<String> {
    let mut runs = Runs::default();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let parts: Vec<&str> = name.split('.').collect();
        let [round, scenario, server, "json"] = parts[..] else {
            continue;
        };
        let round = round.parse().map_err(io::Error::other)?;
        let run = serde_json::from_slice(&fs::read(&path)?)?;
        runs.0
            .insert((scenario.to_owned(), server.to_owned(), round), run);
    }
    Ok(format!(
        "{}\n{}\n{}",
        runs.gates(),
        runs.figures(),
        runs.faults()
    ))
}

impl Runs {
    /// A figure of each round.
    fn rounds(&self, scenario: &str, server: &str, figure: &str) -> BTreeMap<u32, f64> {
        let wanted = |key: &(String, String, u32)| key.0 == scenario && key.1 == server;
        let runs = self.0.iter().filter(|(key, _)| wanted(key));
        runs.filter_map(|(key, run)| Some((key.2, *run.figures.get(figure)?)))
            .collect()
    }

    /// The ratios of two figures within each round.
    fn ratios(&self, figure: &str, over: (&str, &str), under: (&str, &str)) -> Vec<f64> {
        let below = self.rounds(under.0, under.1, figure);
        let above = self.rounds(over.0, over.1, figure);
        above
            .iter()
            .filter_map(|(round, value)| Some(value / below.get(round)?))
            .collect()
    }

    fn gates(&self) -> String {
        let mut text =
            "## Gates\n\n| scenario | figure | Waxwing | gate | |\n|---|---|---|---|---|\n"
                .to_owned();
        for (scenario, figure, gate) in GATES {
            let (values, limit, below) = match gate {
                Gate::AtMost(limit) => (self.values(scenario, "waxwing", figure), *limit, true),
                Gate::AtLeast(limit) => (self.values(scenario, "waxwing", figure), *limit, false),
                Gate::TimesRaw(raw, limit) => (
                    self.ratios(figure, (scenario, "waxwing"), (raw, "raw")),
                    *limit,
                    true,
                ),
            };
            let Some(found) = median(&values) else {
                continue;
            };
            let sign = if below { "≤" } else { "≥" };
            let unit = if matches!(gate, Gate::TimesRaw(..)) {
                " × the raw relay"
            } else {
                ""
            };
            let met = if (found <= limit) == below || found == limit {
                "met"
            } else {
                "**missed**"
            };
            text += &format!(
                "| {scenario} | {figure} | {} | {sign} {limit}{unit} | {met} |\n",
                spread(&values)
            );
        }
        text
    }

    fn values(&self, scenario: &str, server: &str, figure: &str) -> Vec<f64> {
        self.rounds(scenario, server, figure)
            .into_values()
            .collect()
    }

    fn figures(&self) -> String {
        let mut text = "## Figures\n\nMedian (least–most) of the rounds; ratios are taken within each round.\n\n\
            | scenario | figure | raw relay | Waxwing | ejabberd | Prosody | ejabberd / Waxwing | Prosody / Waxwing |\n\
            |---|---|---|---|---|---|---|---|\n".to_owned();
        let scenarios: BTreeSet<&String> = self.0.keys().map(|key| &key.0).collect();
        for scenario in scenarios {
            let shown = FIGURES
                .iter()
                .filter(|(prefix, _)| scenario.starts_with(prefix));
            for figure in shown.flat_map(|(_, figures)| figures.iter()) {
                let mut cells = vec![scenario.clone(), (*figure).to_owned()];
                for server in SERVERS {
                    cells.push(spread(&self.values(scenario, server, figure)));
                }
                for peer in ["ejabberd", "prosody"] {
                    let ratios = self.ratios(figure, (scenario, peer), (scenario, "waxwing"));
                    cells.push(spread(&ratios));
                }
                text += &format!("| {} |\n", cells.join(" | "));
            }
        }
        text
    }

    fn faults(&self) -> String {
        let mut text = "## Faults\n\n".to_owned();
        let mut none = true;
        for ((scenario, server, round), run) in &self.0 {
            let Verdict {
                missing,
                doubled,
                reordered,
                unknown,
            } = run.verdict;
            if missing + doubled + reordered + unknown > 0 {
                none = false;
                text += &format!(
                    "- round {round}, {scenario}, {server}: missing {missing}, doubled {doubled}, \
                     out of order {reordered}, never sent {unknown}\n"
                );
            }
            for fault in &run.faults {
                none = false;
                text += &format!(
                    "- round {round}, {scenario}, {server}: {}\n",
                    fault.replace('\n', " ")
                );
            }
        }
        if none {
            text += "None: every message arrived, once, in order.\n";
        }
        text
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().min_by(f64::total_cmp);
    let most = values.iter().copied().max_by(f64::total_cmp);
    match (median(values), least, most) {
        (Some(middle), Some(least), Some(most)) if values.len() > 1 => {
            format!("{} ({}–{})", short(middle), short(least), short(most))
        }
        (Some(middle), ..) => short(middle),
        _ => "–".to_owned(),
    }
}

fn short(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(spread(&[1.0, 2.0, 3.0]), "2.00 (1.00–3.00)");
        assert_eq!(spread(&[]), "–");
    }

    #[test]
    fn gates_are_judged_by_ratios_within_a_round() {
        let mut runs = Runs::default();
        for (server, round, cost) in [
            ("raw", 1, 10.0),
            ("waxwing", 1, 14.0),
            ("raw", 2, 20.0),
            ("waxwing", 2, 40.0),
        ] {
            let figures = BTreeMap::from([("server_us_per_message".to_owned(), cost)]);
            let verdict = Verdict {
                missing: 0,
                doubled: u64::from(cost == 40.0),
                reordered: 0,
                unknown: 0,
            };
            let run = Run {
                figures,
                faults: Vec::new(),
                verdict,
            };
            runs.0
                .insert(("relay-1".to_owned(), server.to_owned(), round), run);
        }
        assert!(
            runs.gates()
                .contains("1.70 (1.40–2.00) | ≤ 1.5 × the raw relay | **missed**")
        );
        assert!(
            runs.faults()
                .contains("round 2, relay-1, waxwing: missing 0, doubled 1")
        );
    }
}
