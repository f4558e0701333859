//! The file of baselines: a TOML table for each kind of figure, with a comment on every key.

use std::collections::BTreeMap;

use crate::{Figure, Kind};

const HEADER: &str = "\
# The figures that `cargo bench -p waxwing-gates` holds the code to. They are for x86-64.
#
# Written by `cargo bench -p waxwing-gates -- --update`; the commit that changes them says why.
";

/// Why baselines cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not TOML, or not tables of numbers.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// A table that is none of the kinds.
    #[error("there are no figures called `{0}`")]
    UnknownTable(String),
}

/// The figures to compare with.
#[derive(Debug, Default)]
pub struct Baselines(BTreeMap<(Kind, String), f64>);

impl Baselines {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let tables: BTreeMap<String, BTreeMap<String, f64>> = toml::from_str(text)?;
        let mut baselines = BTreeMap::new();
        for (table, figures) in tables {
            let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == table) else {
                return Err(BaselineError::UnknownTable(table));
            };
            baselines.extend(
                figures
                    .into_iter()
                    .map(|(name, value)| ((kind, name), value)),
            );
        }
        Ok(Self(baselines))
    }

    /// The text of a file that holds these figures.
    #[must_use]
    pub fn render(figures: &[Figure]) -> String {
        let mut text = HEADER.to_owned();
        for kind in Kind::ALL {
            text += &format!("\n# {}\n[{}]\n", kind.describe(), kind.name());
            for figure in figures.iter().filter(|figure| figure.kind == kind) {
                text += &format!("# {}\n{} = {}\n", figure.what, figure.name, figure.value);
            }
        }
        text
    }

    /// The baseline of a figure.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Option<f64> {
        self.0.get(&(kind, name.to_owned())).copied()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &str, f64)> {
        self.0
            .iter()
            .map(|((kind, name), value)| (*kind, name.as_str(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(kind: Kind, name: &str, value: f64) -> Figure {
        Figure {
            kind,
            name: name.to_owned(),
            what: format!("What {name} is"),
            value,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let figures = [
            figure(Kind::Instructions, "frame", 1234.5),
            figure(Kind::Allocations, "route", 3.03125),
            figure(Kind::Memory, "bytes", 4622.0),
        ];
        let text = Baselines::render(&figures);
        assert!(text.contains("[memory]\n# What bytes is\nbytes = 4622\n"));
        let read = Baselines::parse(&text).unwrap();
        for figure in &figures {
            assert_eq!(read.find(figure.kind, &figure.name), Some(figure.value));
        }
        assert_eq!(read.iter().count(), 3);
        assert_eq!(read.find(Kind::Memory, "frame"), None);
    }

    #[test]
    fn another_table_is_a_mistake() {
        let error = Baselines::parse("[memroy]\nbytes = 1\n").unwrap_err();
        assert!(error.to_string().contains("`memroy`"));
    }
}
