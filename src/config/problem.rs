//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// Where a value of the configuration was given. The order is that of reading.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File(PathBuf),
    /// A place in the file; line and column count from 1, the column in characters.
    Line(PathBuf, usize, usize),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Line(path, line, column) => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with a configuration.
///
/// Reads as `config.toml:12:1: listen.c2s_tsl: unknown key, did you mean ``c2s_tls``?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The full key, such as `listen.c2s`; empty if the problem is not with one key.
    pub key: String,
    /// What is wrong, as half a sentence.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}

/// The candidate that is nearest to what was written, if one is near enough to be meant.
pub(super) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let likeness =
                strsim::normalized_damerau_levenshtein(&written, &candidate.to_lowercase());
            (likeness, candidate)
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// `what`, followed by the nearest candidate or, for want of one, by all of them.
pub(super) fn suggest<'a>(
    what: &str,
    written: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    match nearest(written, candidates.clone()) {
        Some(candidate) => format!("{what}, did you mean `{candidate}`?"),
        None => {
            let all: Vec<_> = candidates.into_iter().collect();
            format!("{what}, valid are: {}", all.join(", "))
        }
    }
}
