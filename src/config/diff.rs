//! What a reload changes.

use toml::{Table, Value};

use super::{Change, Config, Key, SECTIONS};

/// A key whose value differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The full key, such as `listen.c2s`.
    pub key: String,
    /// The old value, as TOML.
    pub old: String,
    /// The new value, as TOML.
    pub new: String,
    /// Whether the new value takes effect only at the next start.
    pub needs_restart: bool,
}

/// The keys whose values differ, in the order of the file.
pub fn diff(old: &Config, new: &Config) -> Vec<Difference> {
    let (old, new) = (table(old), table(new));
    let mut differences = Vec::new();
    for key in SECTIONS.iter().flat_map(|section| section.keys) {
        let (before, after) = (text(&old, key), text(&new, key));
        if before != after {
            differences.push(Difference {
                key: key.path(),
                old: before,
                new: after,
                needs_restart: key.change == Change::Restart,
            });
        }
    }
    differences
}

/// The configuration as a TOML table.
pub(super) fn table(config: &Config) -> Table {
    // Fails only for values that TOML cannot express, and no kind of key holds such a value.
    Table::try_from(config).unwrap_or_default()
}

/// The value of a key as TOML.
pub(super) fn text(table: &Table, key: &Key) -> String {
    let section = match key.section {
        "" => Some(table),
        name => table.get(name).and_then(Value::as_table),
    };
    section
        .and_then(|section| section.get(key.name))
        .map(Value::to_string)
        .unwrap_or_default()
}
