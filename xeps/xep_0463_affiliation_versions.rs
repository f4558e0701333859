//! XEP-0463: MUC Affiliations Versioning (version 0.2.0)
//!
//! Supported: versions in self-presence, in changes, and the list or what changed since a version
//! on entering. 256 users that lost their affiliation are remembered; who was away for longer is
//! sent the whole list.

/// The namespace of `<mav/>`, and the feature.
pub const NS: &str = "urn:xmpp:muc:affiliations:1";

/// The `<mav/>` of a room between two of its versions.
#[must_use]
pub fn element(room: i64, since: Option<i64>, until: i64) -> String {
    let since = since.map_or_else(String::new, |since| {
        format!(" since='{}'", version(room, since))
    });
    format!(
        "<mav xmlns='{NS}'{since} until='{}'/>",
        version(room, until)
    )
}

/// A version as clients know it. A room that was made anew begins with others.
#[must_use]
pub fn version(room: i64, version: i64) -> String {
    format!("{room:x}-{version:x}")
}

/// The number of such a version; `None`: the room never had it.
#[must_use]
pub fn parse(room: i64, text: &str) -> Option<i64> {
    let (of, number) = text.split_once('-')?;
    let number = i64::from_str_radix(number, 16).ok()?;
    // One spelling only.
    (of == format!("{room:x}") && text == version(room, number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_of_its_room() {
        assert_eq!(parse(26, &version(26, 300)), Some(300));
        for other in ["1a-012c", "1b-12c", "12c", "-", "1a--1", ""] {
            assert_eq!(parse(26, other), None, "{other}");
        }
        assert_eq!(
            element(26, Some(1), 2),
            "<mav xmlns='urn:xmpp:muc:affiliations:1' since='1a-1' until='1a-2'/>"
        );
    }
}
