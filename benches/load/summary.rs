//! Brings the results of many runs together: medians, ratios within a round, and the gates.
//! Results are files called `ROUND.SCENARIO.SERVER.json`.

mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use tables::{FIGURES, GATES, GOALS, Limit, Line, SERVERS};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Run {
    figures: BTreeMap<String, f64>,
    faults: Vec<String>,
    verdict: Verdict,
}

#[derive(Deserialize, Default)]
struct Verdict {
    missing: u64,
    doubled: u64,
    reordered: u64,
    unknown: u64,
}

impl Run {
    /// A server that does not do its work must not look fast.
    fn is_correct(&self) -> bool {
        let Verdict {
            missing,
            doubled,
            reordered,
            unknown,
        } = self.verdict;
        missing + doubled + reordered + unknown == 0 && self.faults.is_empty()
    }
}

/// By scenario, server and round.
#[derive(Default)]
struct Runs(BTreeMap<(String, String, u32), Run>);

/// The summary of a directory, in Markdown. `not_yet`: scenarios that Waxwing cannot run yet.
pub(crate) fn summary(directory: &Path, not_yet: &[String]) -> io::Result<String> {
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
        "{}\n{}\n{}\n{}",
        runs.held("Gates", "gate", "met", GATES),
        runs.held("Goals", "goal", "reached", GOALS),
        runs.figures(not_yet),
        runs.faults()
    ))
}

impl Runs {
    /// A figure of each round that was correct.
    fn rounds(&self, scenario: &str, server: &str, figure: &str) -> BTreeMap<u32, f64> {
        let wanted = |key: &(String, String, u32)| key.0 == scenario && key.1 == server;
        let runs = self.0.iter();
        let runs = runs.filter(|(key, run)| wanted(key) && run.is_correct());
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

    /// Figures beside what they are held against.
    fn held(&self, title: &str, limit: &str, word: &str, lines: &[Line]) -> String {
        let mut text = format!(
            "## {title}\n\n| scenario | figure | Waxwing | {limit} | |\n|---|---|---|---|---|\n"
        );
        for (scenario, figure, limit) in lines {
            let ran = |key: &(String, String, u32)| key.0 == *scenario && key.1 == "waxwing";
            if self.0.keys().any(ran) {
                let (values, wanted, holds) = self.judged(scenario, figure, limit);
                let word = if holds { word } else { "**missed**" };
                let found = spread(&values);
                text += &format!("| {scenario} | {figure} | {found} | {wanted} | {word} |\n");
            }
        }
        text
    }

    /// A figure or ratio of each round, the limit in words, and whether the median is within it.
    fn judged(&self, scenario: &str, figure: &str, limit: &Limit) -> (Vec<f64>, String, bool) {
        let ours = (scenario, "waxwing");
        let values = match limit {
            Limit::AtMost(_) | Limit::AtLeast(_) => self.values(scenario, "waxwing", figure),
            Limit::TimesRaw(raw, _) => self.ratios(figure, ours, (raw, "raw")),
            Limit::TimesEjabberd(_) => self.ratios(figure, ours, (scenario, "ejabberd")),
        };
        let within = |most: f64| median(&values).is_some_and(|found| found <= most);
        let (wanted, holds) = match limit {
            Limit::AtMost(most) => (format!("≤ {most}"), within(*most)),
            Limit::AtLeast(least) => {
                let holds = median(&values).is_some_and(|found| found >= *least);
                (format!("≥ {least}"), holds)
            }
            Limit::TimesRaw(_, most) => (format!("≤ {most} × the raw relay"), within(*most)),
            Limit::TimesEjabberd(most) => (format!("≤ {most} × ejabberd"), within(*most)),
        };
        (values, wanted, holds)
    }

    fn values(&self, scenario: &str, server: &str, figure: &str) -> Vec<f64> {
        self.rounds(scenario, server, figure)
            .into_values()
            .collect()
    }

    fn figures(&self, not_yet: &[String]) -> String {
        let mut text = "## Figures\n\nMedian (least–most) of the rounds without faults; ratios are taken within each round.\n\n\
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
                    let values = self.values(scenario, server, figure);
                    cells.push(match server {
                        "waxwing" if not_yet.contains(scenario) => "not yet".to_owned(),
                        _ => spread(&values),
                    });
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

    fn runs(costs: &[(&str, u32, f64)]) -> Runs {
        let mut runs = Runs::default();
        for (server, round, cost) in costs {
            let run = Run {
                figures: BTreeMap::from([("server_us_per_message".to_owned(), *cost)]),
                ..Run::default()
            };
            let key = ("relay-1".to_owned(), (*server).to_owned(), *round);
            runs.0.insert(key, run);
        }
        runs
    }

    #[test]
    fn gates_are_judged_by_ratios_within_a_round() {
        let runs = runs(&[
            ("raw", 1, 10.0),
            ("waxwing", 1, 14.0),
            ("raw", 2, 20.0),
            ("waxwing", 2, 40.0),
        ]);
        let gates = runs.held("Gates", "gate", "met", GATES);
        assert!(gates.contains("1.70 (1.40–2.00) | ≤ 1.5 × the raw relay | **missed**"));
        assert!(runs.faults().contains("None"));
    }

    #[test]
    fn a_run_with_faults_has_no_figures() {
        let mut runs = runs(&[("raw", 1, 10.0), ("waxwing", 1, 5.0), ("waxwing", 2, 9.0)]);
        for run in runs.0.values_mut().skip(1) {
            run.verdict.doubled = 1;
        }
        let gates = runs.held("Gates", "gate", "met", GATES);
        assert!(gates.contains("| – | ≤ 1.5 × the raw relay | **missed**"));
        let row = "| relay-1 | server_us_per_message | 10.0 | – | – | – | – | – |";
        assert!(runs.figures(&[]).contains(row));
        let faults = runs.faults();
        assert!(faults.contains("round 2, relay-1, waxwing: missing 0, doubled 1"));
    }

    #[test]
    fn what_waxwing_cannot_do_yet_is_said() {
        let runs = runs(&[("ejabberd", 1, 90.0)]);
        let row = "| relay-1 | server_us_per_message | – | not yet | 90.0 | – | – | – |";
        assert!(runs.figures(&["relay-1".to_owned()]).contains(row));
        assert!(!runs.held("Gates", "gate", "met", GATES).contains("relay-1"));
    }

    #[test]
    fn a_limit_is_kept_at_the_limit_itself() {
        let runs = runs(&[("raw", 1, 2.0), ("waxwing", 1, 3.0), ("ejabberd", 1, 12.0)]);
        let judged = |limit| {
            let (values, wanted, holds) = runs.judged("relay-1", "server_us_per_message", &limit);
            (spread(&values), wanted, holds)
        };
        let expected = |value: &str, wanted: &str, holds| (value.into(), wanted.into(), holds);
        for (limit, value, wanted, holds) in [
            (Limit::AtMost(3.0), "3.00", "≤ 3", true),
            (Limit::AtMost(2.9), "3.00", "≤ 2.9", false),
            (Limit::AtLeast(3.0), "3.00", "≥ 3", true),
            (Limit::AtLeast(3.1), "3.00", "≥ 3.1", false),
            (
                Limit::TimesRaw("relay-1", 1.5),
                "1.50",
                "≤ 1.5 × the raw relay",
                true,
            ),
            (
                Limit::TimesEjabberd(0.25),
                "0.25",
                "≤ 0.25 × ejabberd",
                true,
            ),
            (Limit::TimesEjabberd(0.2), "0.25", "≤ 0.2 × ejabberd", false),
        ] {
            assert_eq!(judged(limit), expected(value, wanted, holds));
        }
        let goals = runs.held("Goals", "goal", "reached", GOALS);
        assert!(goals.contains("| 1.50 | ≤ 1.3 × the raw relay | **missed** |"));
    }

    #[test]
    fn a_result_may_hold_only_faults() {
        let run: Run = serde_json::from_str(r#"{"faults": ["no result"]}"#).unwrap();
        assert!(!run.is_correct());
    }
}
