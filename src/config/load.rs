//! Reading the configuration: the file, then the environment.
//!
//! Serde stops at the first error, so the parsed document is walked against the keys of
//! [`super::SECTIONS`]. What is valid is collected in a table, and the table becomes the
//! [`Config`] in the end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use toml::de::{DeArray, DeInteger, DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::problem::{nearest, suggest};
use super::{Config, Form, Key, Kind, Place, Problem, SECTIONS, Section, VARIABLE_PREFIX, check};

/// Reads the configuration file and the environment variables that override it.
///
/// Variables without the prefix `WAXWING_` are ignored. Reports everything that is wrong, in the
/// order of the file and then of the variables.
pub fn load(
    path: &Path,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, Vec<Problem>> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text, path, env),
        Err(error) => Err(vec![Problem {
            place: Place::File(path.to_owned()),
            key: String::new(),
            text: format!("cannot be read: {error}"),
        }]),
    }
}

/// The same for a text that has been read from `path`.
pub fn parse(
    text: &str,
    path: &Path,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader {
        text,
        path,
        values: Table::new(),
        places: BTreeMap::new(),
        problems: Vec::new(),
    };
    reader.file();
    for (name, value) in env {
        let name = name
            .to_str()
            .filter(|name| name.starts_with(VARIABLE_PREFIX));
        match (name, value.to_str()) {
            (Some(name), Some(value)) => reader.variable(name, value),
            (Some(name), None) => {
                let place = Place::Variable(name.to_owned());
                reader.problem(place, "", "is not UTF-8".to_owned());
            }
            (None, _) => {}
        }
    }
    reader.finish()
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    /// The valid values.
    values: Table,
    /// Where the values were given, by full key.
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn file(&mut self) {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let place = match error.span() {
                Some(span) => self.place(span.start),
                None => Place::File(self.path.to_owned()),
            };
            self.problem(place, "", error.message().replace('\n', ", "));
        }
        if !errors.is_empty() {
            // What the parser made of the rest is a guess: problems found in it would mislead.
            return;
        }
        let mut entries: Vec<_> = root.get_ref().iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            match (section(name.get_ref()), value.get_ref()) {
                (Some(section), DeValue::Table(table)) => self.section(section, table),
                (Some(section), _) => {
                    let text = format!("is a table: write [{}] and its keys below", section.name);
                    self.problem(self.place(value.span().start), section.name, text);
                }
                (None, _) => self.entry(&SECTIONS[0], name, value),
            }
        }
    }

    fn section(&mut self, section: &'static Section, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            self.entry(section, name, value);
        }
    }

    fn entry(
        &mut self,
        section: &'static Section,
        name: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let Some(key) = section.keys.iter().find(|key| key.name == *name.get_ref()) else {
            let full = match section.name {
                "" => name.get_ref().to_string(),
                section => format!("{section}.{}", name.get_ref()),
            };
            let text = unknown_key(section, name.get_ref());
            return self.problem(self.place(name.span().start), &full, text);
        };
        self.places
            .insert(key.path(), self.place(name.span().start));
        let problems_before = self.problems.len();
        let value = match (key.kind, value.get_ref()) {
            (Kind::List(form), DeValue::Array(items)) => self.list(key, form, items),
            (kind, given) => {
                let (place, value) = (self.place(value.span().start), plain(given));
                self.scalar(key, kind, given, &place);
                value
            }
        };
        if let Some(value) = value
            && self.problems.len() == problems_before
        {
            self.accept(key, value);
        }
    }

    fn list(&mut self, key: &Key, form: Form, items: &DeArray<'_>) -> Option<Value> {
        for item in items {
            let place = self.place(item.span().start);
            self.scalar(key, Kind::Text(form), item.get_ref(), &place);
        }
        items
            .iter()
            .map(|item| plain(item.get_ref()))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array)
    }

    fn scalar(&mut self, key: &Key, kind: Kind, given: &DeValue<'_>, place: &Place) {
        let verdict = match plain(given) {
            Some(value) => check::scalar(kind, &value),
            None => Err(format!(
                "{}, found {}",
                check::expected(kind),
                given.type_str()
            )),
        };
        if let Err(text) = verdict {
            self.problem(place.clone(), &key.path(), text);
        }
    }

    fn variable(&mut self, name: &str, written: &str) {
        let place = Place::Variable(name.to_owned());
        let mut keys = SECTIONS.iter().flat_map(|section| section.keys);
        let Some(key) = keys.find(|key| key.variable() == name) else {
            return self.problem(place, "", unknown_variable(name));
        };
        self.places.insert(key.path(), place.clone());
        let scalar = |kind, text: &str| {
            let value = from_variable(kind, text);
            check::scalar(kind, &value).map(|()| value)
        };
        let value = match key.kind {
            Kind::List(form) => written
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| scalar(Kind::Text(form), item))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            kind => scalar(kind, written),
        };
        match value {
            Ok(value) => self.accept(key, value),
            Err(text) => self.problem(place, &key.path(), text),
        }
    }

    fn accept(&mut self, key: &Key, value: Value) {
        if key.section.is_empty() {
            self.values.insert(key.name.to_owned(), value);
        } else if let Value::Table(table) = self
            .values
            .entry(key.section)
            .or_insert_with(|| Value::Table(Table::new()))
        {
            table.insert(key.name.to_owned(), value);
        }
    }

    fn finish(mut self) -> Result<Config, Vec<Problem>> {
        let config = std::mem::take(&mut self.values).try_into::<Config>();
        let file = Place::File(self.path.to_owned());
        let config = config.map(|mut config| {
            check::normalise(&mut config);
            resolve(&mut config, self.path);
            for (key, text) in check::whole(&config) {
                let place = self
                    .places
                    .get(key)
                    .cloned()
                    .unwrap_or_else(|| file.clone());
                self.problem(place, key, text);
            }
            config
        });
        match config {
            Ok(config) if self.problems.is_empty() => return Ok(config),
            Ok(_) => {}
            Err(error) => self.problem(file, "", error.message().to_owned()),
        }
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        Err(self.problems)
    }

    fn problem(&mut self, place: Place, key: &str, text: String) {
        self.problems.push(Problem {
            place,
            key: key.to_owned(),
            text,
        });
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Place::Line(self.path.to_owned(), line, column)
    }
}

fn section(name: &str) -> Option<&'static Section> {
    SECTIONS
        .iter()
        .find(|section| !section.name.is_empty() && section.name == name)
}

fn unknown_key(section: &Section, name: &str) -> String {
    let own = section.keys.iter().map(|key| key.name);
    let tables = SECTIONS.iter().map(|other| other.name);
    let tables: Vec<_> = tables
        .filter(|t| section.name.is_empty() && !t.is_empty())
        .collect();
    let here: Vec<_> = own.chain(tables).collect();
    if nearest(name, here.iter().copied()).is_none() {
        let elsewhere = SECTIONS.iter().flat_map(|section| section.keys);
        if let Some(key) = elsewhere.into_iter().find(|key| key.name == name) {
            return format!("unknown key, did you mean `{}`?", key.path());
        }
    }
    suggest("unknown key", name, here.iter().copied())
}

fn unknown_variable(name: &str) -> String {
    // Without what all of them share, or everything would be near to everything.
    let bare = |name: &str| {
        name.strip_prefix(VARIABLE_PREFIX)
            .unwrap_or(name)
            .to_owned()
    };
    let keys = SECTIONS.iter().flat_map(|section| section.keys);
    let all: Vec<_> = keys.map(|key| bare(&key.variable())).collect();
    match nearest(&bare(name), all.iter().map(String::as_str)) {
        Some(near) => format!("unknown variable, did you mean `{VARIABLE_PREFIX}{near}`?"),
        None => "unknown variable".to_owned(),
    }
}

/// The value as a plain one, if it is of a type that some key takes.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Integer(integer) => plain_integer(integer).map(Value::Integer),
        DeValue::Boolean(boolean) => Some(Value::Boolean(*boolean)),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn plain_integer(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A variable's text as a value of the kind, or as a string for [`check::scalar`] to refuse.
fn from_variable(kind: Kind, text: &str) -> Value {
    let value = match kind {
        Kind::Bool => text.parse().ok().map(Value::Boolean),
        Kind::Integer(..) => text.parse().ok().map(Value::Integer),
        Kind::Text(_) | Kind::List(_) => None,
    };
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn resolve(config: &mut Config, file: &Path) {
    let directory = file.parent().unwrap_or(Path::new("")).to_owned();
    for path in [
        &mut config.data,
        &mut config.tls.certificate,
        &mut config.tls.key,
    ] {
        if *path != PathBuf::new() {
            *path = directory.join(&path);
        }
    }
}
