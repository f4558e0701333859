//! What a reload changes.

use std::fmt;

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

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.old, self.new)?;
        f.write_str(if self.needs_restart {
            " (at the next start)"
        } else {
            ""
        })
    }
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

/// What is in force after a reload: `new`, with the values of `old` where a restart is needed.
pub fn reloaded(old: &Config, new: &Config) -> Config {
    let (old_values, mut values) = (table(old), table(new));
    let keys = SECTIONS.iter().flat_map(|section| section.keys);
    for key in keys.filter(|key| key.change == Change::Restart) {
        let kept = section(&old_values, key).and_then(|section| section.get(key.name));
        let target = match key.section {
            "" => Some(&mut values),
            name => values.get_mut(name).and_then(Value::as_table_mut),
        };
        if let (Some(kept), Some(target)) = (kept, target) {
            target.insert(key.name.to_owned(), kept.clone());
        }
    }
    // Fails for no values that came from a `Config`; the old ones are then the safe ones.
    values.try_into().unwrap_or_else(|_| old.clone())
}

/// The configuration as a TOML table.
pub(super) fn table(config: &Config) -> Table {
    // Fails only for values that TOML cannot express, and no kind of key holds such a value.
    Table::try_from(config).unwrap_or_default()
}

/// The value of a key as TOML.
pub(super) fn text(table: &Table, key: &Key) -> String {
    section(table, key)
        .and_then(|section| section.get(key.name))
        .map(Value::to_string)
        .unwrap_or_default()
}

fn section<'a>(table: &'a Table, key: &Key) -> Option<&'a Table> {
    match key.section {
        "" => Some(table),
        name => table.get(name).and_then(Value::as_table),
    }
}
