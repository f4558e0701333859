//! The gates' judgement: figures, their baselines, and whether a figure passes. What is measured,
//! and how, is in the bench target.

mod baselines;
mod verdict;

pub use baselines::{BaselineError, Baselines};
pub use verdict::{Line, Verdict, judge, table};

/// What a figure counts: a table of the baselines file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Machine instructions, by callgrind.
    Instructions,
    /// Allocations.
    Allocations,
    /// Live heap.
    Memory,
}

impl Kind {
    /// All of them, in the order of the file.
    pub const ALL: [Kind; 3] = [Kind::Instructions, Kind::Allocations, Kind::Memory];

    /// The name of its table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Instructions => "instructions",
            Kind::Allocations => "allocations",
            Kind::Memory => "memory",
        }
    }

    /// By which part a figure may differ from its baseline.
    #[must_use]
    pub fn tolerance(self) -> f64 {
        match self {
            // A compiler or a libc of another version moves them by less.
            Kind::Instructions => 0.05,
            Kind::Allocations | Kind::Memory => 0.0,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Kind::Instructions => {
                "Instructions of one run, by callgrind: the gate fails at 5 % more."
            }
            Kind::Allocations => "Allocations of one run: every difference fails.",
            Kind::Memory => {
                "The heap of an idle session, and of a room, as asked for: every difference fails."
            }
        }
    }
}

/// Something that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it counts.
    pub kind: Kind,
    /// Its key in the baselines file.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// The figure.
    pub value: f64,
}
