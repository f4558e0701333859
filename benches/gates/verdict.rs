//! Whether a figure passes, and how that is shown.

use crate::{Baselines, Figure, Kind};

/// What is to be said of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it was, or near enough.
    Kept,
    /// So much less that the baseline should follow.
    Better,
    /// It grew.
    Worse,
    /// It differs, and only equality passes. That it is less does not matter: the baseline is to
    /// be what is there.
    Changed,
    /// It has no baseline.
    New,
    /// There is a baseline, but nothing that is measured.
    Gone,
}

impl Verdict {
    /// Whether the gate stays open.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Verdict::Kept | Verdict::Better)
    }

    fn say(self) -> &'static str {
        match self {
            Verdict::Kept => "ok",
            Verdict::Better => "ok, better",
            Verdict::Worse => "WORSE",
            Verdict::Changed => "CHANGED",
            Verdict::New => "NO BASELINE",
            Verdict::Gone => "NOT MEASURED",
        }
    }

    /// The verdict on a figure that has a baseline.
    fn of(kind: Kind, baseline: f64, value: f64) -> Self {
        let tolerance = kind.tolerance();
        if tolerance == 0.0 {
            // Sums of integers divided by a power of two: equal is equal.
            return if value == baseline {
                Verdict::Kept
            } else {
                Verdict::Changed
            };
        }
        if value >= baseline * (1.0 + tolerance) {
            Verdict::Worse
        } else if value <= baseline * (1.0 - tolerance) {
            Verdict::Better
        } else {
            Verdict::Kept
        }
    }
}

/// A figure beside its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it counts.
    pub kind: Kind,
    /// Its key.
    pub name: String,
    /// What it was.
    pub baseline: Option<f64>,
    /// What it is.
    pub value: Option<f64>,
    /// Whether it passes.
    pub verdict: Verdict,
}

/// Compares all figures with all baselines.
#[must_use]
pub fn judge(figures: &[Figure], baselines: &Baselines) -> Vec<Line> {
    let mut lines: Vec<Line> = figures
        .iter()
        .map(|figure| {
            let baseline = baselines.find(figure.kind, &figure.name);
            let verdict = match baseline {
                Some(baseline) => Verdict::of(figure.kind, baseline, figure.value),
                None => Verdict::New,
            };
            Line {
                kind: figure.kind,
                name: figure.name.clone(),
                baseline,
                value: Some(figure.value),
                verdict,
            }
        })
        .collect();
    for (kind, name, baseline) in baselines.iter() {
        if !figures
            .iter()
            .any(|figure| figure.kind == kind && figure.name == name)
        {
            lines.push(Line {
                kind,
                name: name.to_owned(),
                baseline: Some(baseline),
                value: None,
                verdict: Verdict::Gone,
            });
        }
    }
    lines.sort_by_key(|line| line.kind);
    lines
}

/// The lines as a table.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<13} {:<24} {:>10} {:>10} {:>8}  verdict\n",
        "kind", "figure", "baseline", "now", "change"
    );
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| value.to_string());
    for line in lines {
        let change = match (line.baseline, line.value) {
            (Some(old), Some(new)) if old != 0.0 => {
                format!("{:+.2} %", (new - old) / old * 100.0)
            }
            (Some(old), Some(new)) => format!("{:+}", new - old),
            _ => String::new(),
        };
        text += &format!(
            "{:<13} {:<24} {:>10} {:>10} {:>8}  {}\n",
            line.kind.name(),
            line.name,
            number(line.baseline),
            number(line.value),
            change,
            line.verdict.say()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(kind: Kind, value: f64) -> Figure {
        Figure {
            kind,
            name: "it".to_owned(),
            what: String::new(),
            value,
        }
    }

    fn verdict(kind: Kind, baseline: f64, value: f64) -> Verdict {
        let baselines = Baselines::parse(&format!("[{}]\nit = {baseline}\n", kind.name())).unwrap();
        let lines = judge(&[measured(kind, value)], &baselines);
        assert_eq!(lines.len(), 1);
        lines[0].verdict
    }

    #[test]
    fn instructions_may_move_by_less_than_five_percent() {
        let of = |value| verdict(Kind::Instructions, 1000.0, value);
        assert_eq!(of(1000.0), Verdict::Kept);
        assert_eq!(of(1049.9), Verdict::Kept);
        assert_eq!(of(1050.0), Verdict::Worse);
        assert_eq!(of(950.1), Verdict::Kept);
        assert_eq!(of(950.0), Verdict::Better);
        assert!(!Verdict::Worse.passes() && Verdict::Better.passes());
    }

    #[test]
    fn allocations_and_memory_may_not_move_at_all() {
        assert_eq!(verdict(Kind::Allocations, 3.03125, 3.03125), Verdict::Kept);
        assert_eq!(verdict(Kind::Allocations, 3.03125, 3.03), Verdict::Changed);
        assert_eq!(verdict(Kind::Allocations, 0.0, 0.0), Verdict::Kept);
        assert_eq!(verdict(Kind::Memory, 4622.0, 4623.0), Verdict::Changed);
        assert_eq!(verdict(Kind::Memory, 4622.0, 4621.0), Verdict::Changed);
        assert!(!Verdict::Changed.passes());
    }

    #[test]
    fn a_figure_without_a_baseline_fails() {
        let lines = judge(&[measured(Kind::Memory, 1.0)], &Baselines::default());
        assert_eq!(lines[0].verdict, Verdict::New);
        assert!(!lines[0].verdict.passes());
    }

    #[test]
    fn a_baseline_that_nothing_is_measured_for_fails() {
        let baselines = Baselines::parse("[memory]\nit = 1\n[allocations]\nit = 1\n").unwrap();
        let lines = judge(&[measured(Kind::Memory, 1.0)], &baselines);
        let verdicts: Vec<_> = lines.iter().map(|line| (line.kind, line.verdict)).collect();
        assert_eq!(
            verdicts,
            [
                (Kind::Allocations, Verdict::Gone),
                (Kind::Memory, Verdict::Kept)
            ]
        );
        assert!(!Verdict::Gone.passes());
    }

    #[test]
    fn the_table_shows_old_and_new() {
        let baselines = Baselines::parse("[memory]\nit = 4000\n").unwrap();
        let text = table(&judge(&[measured(Kind::Memory, 4100.0)], &baselines));
        let line = text.lines().nth(1).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words,
            ["memory", "it", "4000", "4100", "+2.50", "%", "CHANGED"]
        );
    }
}
