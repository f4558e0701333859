//! The rules of the house, as tests: which way the arrows run, how long a file may be, what must
//! not be written.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::{ensure, trials};

/// A file that is longer should be two.
const MAX_LINES: usize = 400;

pub fn trials() -> Vec<Trial> {
    trials![
        arrows_in_the_sources,
        arrows_in_the_manifests,
        files_are_short,
        nothing_is_unwrapped,
        extensions_say_what_they_are,
        every_play_says_what_it_shows,
    ]
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Path and text of all files below that end so.
fn files(folder: &Path, ending: &str) -> Outcome<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, ending)?);
        } else if path.to_string_lossy().ends_with(ending) {
            let text = fs::read_to_string(&path)?;
            found.push((path, text));
        }
    }
    found.sort();
    Ok(found)
}

/// What src, xeps, core and xmpp may not name: whatever lies above them.
const ARROWS: [(&str, &[&str]); 3] = [
    ("src/xmpp", &["waxwing_core", "waxwing_xeps", "waxwing::"]),
    ("src/core", &["waxwing_xeps", "waxwing::"]),
    ("xeps", &["waxwing::"]),
];

fn arrows_in_the_sources() -> Outcome {
    for (room, forbidden) in ARROWS {
        for (path, text) in files(&root().join(room), ".rs")? {
            for name in forbidden {
                ensure!(!text.contains(name), "{} names {name}", path.display());
            }
        }
    }
    Ok(())
}

fn arrows_in_the_manifests() -> Outcome {
    let forbidden: [(&str, &[&str]); 3] = [
        (
            "src/xmpp",
            &[
                "waxwing-core",
                "waxwing-xeps",
                "tokio",
                "rusqlite",
                "rustls",
                "socket2",
            ],
        ),
        ("src/core", &["waxwing-xeps", "tokio-rustls", "rustls"]),
        ("xeps", &["rusqlite", "tokio-rustls", "rustls", "socket2"]),
    ];
    for (room, names) in forbidden {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml"))?;
        let dependencies = manifest
            .split("[dev-dependencies]")
            .next()
            .unwrap_or_default();
        for line in dependencies.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            ensure!(
                !names.contains(&name),
                "{room}/Cargo.toml depends on {name}"
            );
        }
    }
    Ok(())
}

fn is_test(path: &Path) -> bool {
    let path = path.strip_prefix(root()).unwrap_or(path);
    let by_folder = path
        .iter()
        .any(|part| part == "tests" || part == "benches" || part == "fuzz");
    by_folder || path.file_stem().is_some_and(|stem| stem == "tests")
}

fn sources() -> Outcome<Vec<(PathBuf, String)>> {
    let mut all = files(&root().join("src"), ".rs")?;
    all.extend(files(&root().join("xeps"), ".rs")?);
    all.retain(|(path, _)| !is_test(path));
    Ok(all)
}

/// The part of a file that is not its test module.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

fn files_are_short() -> Outcome {
    let long: Vec<String> = sources()?
        .iter()
        .map(|(path, text)| (path, without_tests(text).lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{} has {lines} lines", path.display()))
        .collect();
    ensure!(
        long.is_empty(),
        "longer than {MAX_LINES} lines:\n{}",
        long.join("\n")
    );
    Ok(())
}

fn nothing_is_unwrapped() -> Outcome {
    let mut found = Vec::new();
    for (path, text) in sources()? {
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains(".unwrap()") || code.contains("todo!(") {
                found.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// `//! XEP-0199: XMPP Ping (version 2.0.1)`, an empty line, and what is supported.
fn extensions_say_what_they_are() -> Outcome {
    let mut seen = 0;
    for (path, text) in files(&root().join("xeps"), ".rs")? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let folder = path
            .parent()
            .and_then(Path::file_name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let number = match (
            name.as_str(),
            name.strip_prefix("xep_"),
            folder.strip_prefix("xep_"),
        ) {
            (_, Some(rest), _) | ("mod.rs", None, Some(rest)) => {
                rest.split('_').next().unwrap_or_default().to_owned()
            }
            _ => continue,
        };
        seen += 1;
        let mut lines = text.lines();
        let title = lines.next().unwrap_or_default();
        let well_formed = title.starts_with(&format!("//! XEP-{number}: "))
            && title.contains(" (version ")
            && title.ends_with(')');
        ensure!(
            well_formed,
            "{}: the first line is {title:?}",
            path.display()
        );
        let said: String = lines.take_while(|line| line.starts_with("//!")).collect();
        ensure!(
            said.contains("Supported: "),
            "{}: nothing says what is supported",
            path.display()
        );
    }
    ensure!(seen > 0, "no extensions");
    Ok(())
}

fn every_play_says_what_it_shows() -> Outcome {
    for (path, text) in files(&root().join("tests/plays"), ".play")? {
        let first = text.lines().next().unwrap_or_default();
        ensure!(
            first.len() > 20 && first.starts_with("# "),
            "{}: {first:?}",
            path.display()
        );
    }
    Ok(())
}
