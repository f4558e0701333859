//! The README's table of specifications is made of the first lines of the extensions' files and of
//! the list of those that are followed elsewhere. With `UPDATE_README=1` it is written.

// A test that cannot read the repository fails where it stands.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use waxwing_xeps::elsewhere::ELSEWHERE;

const BEGIN: &str = "<!-- specifications: begin -->\n";
const END: &str = "<!-- specifications: end -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Number, title, version, and the paragraph that begins with "Supported:".
fn header(path: &Path) -> Option<(String, String, String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let doc: Vec<&str> = text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| line.trim_start_matches("//!").trim())
        .collect();
    let (number, title) = doc.first()?.split_once(": ")?;
    if !number.starts_with("XEP-") && !number.starts_with("RFC ") {
        return None;
    }
    let (title, version) = match title.split_once(" (version ") {
        Some((title, version)) => (title, version.trim_end_matches(')')),
        None => (title, ""),
    };
    let supported: Vec<&str> = doc
        .iter()
        .skip_while(|line| !line.starts_with("Supported: "))
        .take_while(|line| !line.is_empty())
        .copied()
        .collect();
    let supported = supported.join(" ");
    let supported = supported.strip_prefix("Supported: ").unwrap_or_else(|| {
        panic!("{} does not say what is supported", path.display());
    });
    Some((
        number.to_owned(),
        title.to_owned(),
        version.to_owned(),
        supported.to_owned(),
    ))
}

/// The first file of a specification that has a folder.
fn of_folder(path: PathBuf) -> PathBuf {
    if path.is_dir() {
        path.join("mod.rs")
    } else {
        path
    }
}

fn table() -> String {
    let mut rows: Vec<(String, String, String, String)> = fs::read_dir(root().join("xeps"))
        .unwrap()
        .map(|entry| of_folder(entry.unwrap().path()))
        .filter(|path| path.is_file() && path.extension().is_some_and(|kind| kind == "rs"))
        .filter_map(|path| header(&path))
        .collect();
    for (number, title, version, place, note) in ELSEWHERE {
        let note = if note.is_empty() {
            format!("in `{place}`")
        } else {
            format!("{note}; in `{place}`")
        };
        rows.push(((*number).into(), (*title).into(), (*version).into(), note));
    }
    rows.sort();
    let mut table =
        String::from("| specification | title | version | what of it |\n|---|---|---|---|\n");
    for (number, title, version, note) in rows {
        table += &format!("| {number} | {title} | {version} | {note} |\n");
    }
    table
}

#[test]
fn the_table_of_specifications_is_true() {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme
        .split_once(BEGIN)
        .expect("the README has the table's place");
    let (found, after) = rest
        .split_once(END)
        .expect("the README has the table's end");
    let expected = table();
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, expected, "run the tests once with UPDATE_README=1");
    }
}

#[test]
fn every_extension_says_what_its_file_says() {
    for extension in waxwing_xeps::powers().extensions {
        let spec = extension.specification();
        let name = spec.number.to_lowercase().replace(['-', ' '], "_");
        let path = fs::read_dir(root().join("xeps"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with(&name)
            })
            .unwrap_or_else(|| panic!("{} has no file", spec.number));
        let (number, _, version, _) = header(&of_folder(path)).expect("a header");
        assert_eq!(
            (number.as_str(), version.as_str()),
            (spec.number, spec.version)
        );
    }
}
