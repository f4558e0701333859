//! Compares a stanza with a pattern that has holes.
//!
//! Attributes and children that the pattern gives must be there, children in any order; more is
//! allowed. A pattern without a `type` is met by no error and by no presence that has one.
//! `play:strict="yes"` on an element allows nothing more, `play:absent="yes"` on a child says that
//! there is none such. An attribute with the value `{none}` must be absent.

use std::collections::HashMap;

use minidom::Element;

use super::xml::{CLIENT, show};

/// The namespace of the marks in patterns, bound to the prefix `play`.
pub const PLAY: &str = "urn:waxwing:play";

/// What the holes of a play stand for.
#[derive(Clone, Default)]
pub struct Holes(HashMap<String, String>);

impl Holes {
    /// Gives a hole its value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The value of a hole.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Fills the holes in a text that is to be sent. `{repeat:N:TEXT}` is TEXT, N times.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let end = start + rest[start..].find('}').ok_or("a hole without its end")?;
            filled.push_str(&rest[..start]);
            filled.push_str(&self.named(&rest[start + 1..end])?);
            rest = &rest[end + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn named(&self, name: &str) -> Result<String, String> {
        if let Some((count, text)) = name
            .strip_prefix("repeat:")
            .and_then(|rest| rest.split_once(':'))
        {
            let count: usize = count.parse().map_err(|_| format!("no number: {count}"))?;
            return Ok(text.repeat(count));
        }
        self.value(name)
            .map(str::to_owned)
            .ok_or_else(|| format!("nothing fills {{{name}}}"))
    }

    fn meets(&mut self, pattern: &str, got: &str) -> Result<(), String> {
        let (pattern, got) = (pattern.trim(), got.trim());
        match pattern {
            "{any}" => return Ok(()),
            "{some}" if !got.is_empty() => return Ok(()),
            "{number}" if got.parse::<u64>().is_ok() => return Ok(()),
            "{time}" if is_time(got) => return Ok(()),
            "{some}" | "{number}" | "{time}" => return Err(format!("{got:?} is not {pattern}")),
            _ => {}
        }
        if let Some(name) = pattern
            .strip_prefix("{capture:")
            .and_then(|rest| rest.strip_suffix('}'))
        {
            self.set(name, got);
            return Ok(());
        }
        let wanted = self.fill(pattern)?;
        if wanted == got {
            Ok(())
        } else {
            Err(format!("{got:?} where {wanted:?} was expected"))
        }
    }
}

/// Whether that is a time in UTC as XEP-0082 writes it.
fn is_time(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else {
        return false;
    };
    match rest.strip_suffix('Z') {
        Some("") => true,
        Some(fraction) => {
            fraction.len() > 1
                && fraction.starts_with('.')
                && fraction[1..].bytes().all(|b| b == b'0')
        }
        None => false,
    }
}

/// Compares; on success captures are in `holes`, on failure the text says where they differ.
pub fn compare(pattern: &Element, got: &Element, holes: &mut Holes) -> Result<(), String> {
    let mut tried = holes.clone();
    element(pattern, got, &mut tried).map_err(|why| format!("in <{}/>: {why}", got.name()))?;
    *holes = tried;
    Ok(())
}

fn element(pattern: &Element, got: &Element, holes: &mut Holes) -> Result<(), String> {
    if pattern.name() != got.name() || pattern.ns() != got.ns() {
        return Err(format!(
            "<{} xmlns={:?}/> where <{} xmlns={:?}/> was expected",
            got.name(),
            got.ns(),
            pattern.name(),
            pattern.ns()
        ));
    }
    let strict = pattern.attr_ns(PLAY, "strict") == Some("yes");
    attributes(pattern, got, strict, holes)?;
    if pattern.attr("type").is_none() && !may_have_type(got) {
        return Err(format!("type {:?}", got.attr("type").unwrap_or_default()));
    }
    let text = pattern.text();
    if !text.trim().is_empty() {
        holes.meets(&text, &got.text())?;
    } else if strict && !got.text().trim().is_empty() {
        return Err(format!("text {:?} where none was expected", got.text()));
    }
    children(pattern, got, strict, holes)
}

/// Whether a stanza can meet a pattern that says nothing about its type.
fn may_have_type(got: &Element) -> bool {
    match (got.name(), got.attr("type")) {
        ("presence", Some(_)) | ("message" | "iq", Some("error")) => got.ns() != CLIENT,
        _ => true,
    }
}

fn attributes(
    pattern: &Element,
    got: &Element,
    strict: bool,
    holes: &mut Holes,
) -> Result<(), String> {
    for ((ns, name), wanted) in pattern.attrs() {
        if ns.as_str() == PLAY {
            continue;
        }
        match (wanted.as_str(), got.attrs().get(ns, name)) {
            ("{none}", None) => {}
            ("{none}", Some(value)) => {
                return Err(format!(
                    "attribute {name}={value:?} where none was expected"
                ));
            }
            (_, None) => return Err(format!("no attribute {name}={wanted:?}")),
            (_, Some(value)) => holes
                .meets(wanted, value)
                .map_err(|why| format!("attribute {name} is {why}"))?,
        }
    }
    if strict
        && let Some(((_, name), _)) = got
            .attrs()
            .iter()
            .find(|((ns, name), _)| !pattern.attrs().contains_key(*ns, *name))
    {
        return Err(format!("an attribute {name} that was not expected"));
    }
    Ok(())
}

fn children(
    pattern: &Element,
    got: &Element,
    strict: bool,
    holes: &mut Holes,
) -> Result<(), String> {
    let mut left: Vec<&Element> = got.children().collect();
    for wanted in pattern.children().filter(|child| !is_absent(child)) {
        let mut reason = String::from("there is none");
        let found = left
            .iter()
            .position(|child| match compare(wanted, child, holes) {
                Ok(()) => true,
                Err(why) => {
                    if child.name() == wanted.name() {
                        reason = why;
                    }
                    false
                }
            });
        match found {
            Some(index) => drop(left.remove(index)),
            None => return Err(format!("no child as {}: {reason}", show(wanted))),
        }
    }
    for unwanted in pattern.children().filter(|child| is_absent(child)) {
        if let Some(child) = left
            .iter()
            .find(|child| compare(unwanted, child, holes).is_ok())
        {
            return Err(format!("a child that should be absent: {}", show(child)));
        }
    }
    match left.first() {
        Some(more) if strict => Err(format!("a child that was not expected: {}", show(more))),
        _ => Ok(()),
    }
}

fn is_absent(pattern: &Element) -> bool {
    pattern.attr_ns(PLAY, "absent") == Some("yes")
}
