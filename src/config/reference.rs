//! The text of `config.toml`: every key with its description and its default.

use super::diff::{table, text};
use super::{Config, SECTIONS};

const PREAMBLE: &str = "\
# Configuration of Waxwing: every option, each with its default.
#
# Only what differs from the defaults need be kept. `waxwing check` reports everything that is
# wrong with this file; SIGHUP makes the running server read it again. Each key can be overridden
# by an environment variable: WAXWING_DOMAIN, WAXWING_LISTEN_C2S, with lists separated by commas.
";

/// The shipped `config.toml`, generated from the declarations of the keys.
pub fn reference() -> String {
    let defaults = table(&Config::default());
    let mut out = PREAMBLE.to_owned();
    for section in SECTIONS {
        if !section.name.is_empty() {
            out.push('\n');
            comment(&mut out, section.doc);
            out.push_str(&format!("[{}]\n", section.name));
        }
        for (position, key) in section.keys.iter().enumerate() {
            if position > 0 || section.name.is_empty() {
                out.push('\n');
            }
            comment(&mut out, key.doc);
            out.push_str(&format!("{} = {}\n", key.name, text(&defaults, key)));
        }
    }
    out
}

fn comment(out: &mut String, lines: &[&str]) {
    for line in lines {
        out.push_str(&format!("#{line}\n"));
    }
}
