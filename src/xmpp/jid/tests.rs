//! Tables of addresses: what they are, what they equal, what is refused.

use std::collections::{HashMap, HashSet};

use super::*;

mod laws;

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// RFC 7622 §3.5, table 1, and what each part is after preparation.
#[test]
fn valid_addresses_of_the_rfc() {
    let table = [
        ("juliet@example.com", Some("juliet"), "example.com", None),
        (
            "juliet@example.com/foo",
            Some("juliet"),
            "example.com",
            Some("foo"),
        ),
        (
            "juliet@example.com/foo bar",
            Some("juliet"),
            "example.com",
            Some("foo bar"),
        ),
        (
            "juliet@example.com/foo@bar",
            Some("juliet"),
            "example.com",
            Some("foo@bar"),
        ),
        (
            "foo\\20bar@example.com",
            Some("foo\\20bar"),
            "example.com",
            None,
        ),
        (
            "fussball@example.com",
            Some("fussball"),
            "example.com",
            None,
        ),
        (
            "fu\u{DF}ball@example.com",
            Some("fu\u{DF}ball"),
            "example.com",
            None,
        ),
        ("\u{3C0}@example.com", Some("\u{3C0}"), "example.com", None),
        (
            "\u{3A3}@example.com/foo",
            Some("\u{3C3}"),
            "example.com",
            Some("foo"),
        ),
        (
            "\u{3C3}@example.com/foo",
            Some("\u{3C3}"),
            "example.com",
            Some("foo"),
        ),
        (
            "\u{3C2}@example.com/foo",
            Some("\u{3C2}"),
            "example.com",
            Some("foo"),
        ),
        (
            "king@example.com/\u{265A}",
            Some("king"),
            "example.com",
            Some("\u{265A}"),
        ),
        ("example.com", None, "example.com", None),
        ("example.com/foobar", None, "example.com", Some("foobar")),
        (
            "a.example.com/b@example.net",
            None,
            "a.example.com",
            Some("b@example.net"),
        ),
    ];
    for (text, local, domain, resource) in table {
        let jid = jid(text);
        assert_eq!(
            (jid.local(), jid.domain(), jid.resource()),
            (local, domain, resource),
            "{text}"
        );
    }
}

/// RFC 7622 §3.5, table 2. Its line `juliet@example.com/ foo` (a leading space) is left out: no
/// rule of the RFC forbids it, and OpaqueString allows it.
#[test]
fn invalid_addresses_of_the_rfc() {
    let table = [
        ("\"juliet\"@example.com", JidError::Invalid(Part::Local)),
        ("foo bar@example.com", JidError::Invalid(Part::Local)),
        ("@example.com/", JidError::Empty(Part::Local)),
        ("henry\u{2163}@example.com", JidError::Invalid(Part::Local)),
        ("\u{265A}@example.com", JidError::Invalid(Part::Local)),
        ("juliet@", JidError::Empty(Part::Domain)),
        ("/foobar", JidError::Empty(Part::Domain)),
    ];
    for (text, error) in table {
        assert_eq!(Jid::parse(text), Err(error), "{text}");
    }
}

#[test]
fn further_invalid_addresses() {
    let long = "a".repeat(1024);
    let texts = [
        "",
        "@",
        "/",
        "a@b@c",
        "juliet@example.com/",
        "juliet@example.com/a\u{0}",
        "juliet@example.com/a\nb",
        "juliet@example..com",
        "juliet@.example.com",
        "juliet@.",
        "juliet@example.com..",
        "juliet@exa_mple.com",
        "juliet@exa mple.com",
        "juliet@-example.com",
        "juliet@example-.com",
        "juliet@xn--a.com",
        "juliet@\u{265A}.com",
        "juliet@[::1",
        "juliet@[::1]x",
        "juliet@[fe80::1%eth0]",
        "juliet@::1",
        "a\u{FF20}b@example.com",
        "a\u{FF0F}b@example.com",
        "a\u{200B}b@example.com",
        "\u{202E}a@example.com",
        "a\u{5D0}@example.com",
        &format!("{long}@example.com"),
        &format!("a@{long}"),
        &format!("a@example.com/{long}"),
        &format!("a@example.com/{}", "\u{E4}".repeat(512)),
    ];
    for text in texts {
        assert!(Jid::parse(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn the_longest_parts_are_accepted() {
    let longest = "a".repeat(MAX_PART_BYTES);
    let jid = jid(&format!("{longest}@example.com/{longest}"));
    assert_eq!(jid.local(), Some(&*longest));
    assert_eq!(jid.resource(), Some(&*longest));
    // The bound holds after preparation: two bytes decomposed are one character composed.
    assert!(Jid::parse(&format!("a@example.com/{}", "e\u{301}".repeat(511))).is_ok());
    let huge = "e\u{301}".repeat(100_000);
    assert_eq!(
        Jid::parse(&format!("a@example.com/{huge}")),
        Err(JidError::TooLong(Part::Resource))
    );
}

#[test]
fn different_spellings_are_one_address() {
    let table = [
        ("Juliet@Example.COM", "juliet@example.com"),
        ("juliet@example.com.", "juliet@example.com"),
        ("juliet@example\u{3002}com", "juliet@example.com"),
        ("juliet@xn--bcher-kva.example", "juliet@b\u{FC}cher.example"),
        ("juliet@XN--BCHER-KVA.example", "juliet@B\u{DC}CHER.example"),
        ("juliet@bu\u{308}cher.example", "juliet@b\u{FC}cher.example"),
        ("juliet@xn--strae-oqa.de", "juliet@stra\u{DF}e.de"),
        ("JOS\u{C9}@example.com", "jose\u{301}@example.com"),
        ("\u{FF4A}uliet@example.com", "juliet@example.com"),
        ("a@example.com/x\u{3000}y", "a@example.com/x y"),
        ("a@example.com/e\u{301}", "a@example.com/\u{E9}"),
        ("a@[2001:DB8:0:0::1]", "a@[2001:db8::1]"),
    ];
    for (left, right) in table {
        assert_eq!(jid(left), jid(right));
    }
    for (left, right) in [
        ("a@example.com/X", "a@example.com/x"),
        ("fussball@example.com", "fu\u{DF}ball@example.com"),
        ("a@strasse.de", "a@stra\u{DF}e.de"),
        ("\u{3C3}@example.com", "\u{3C2}@example.com"),
    ] {
        assert_ne!(jid(left), jid(right));
    }
}

#[test]
fn literals_and_plain_hosts_are_domains() {
    for text in [
        "localhost",
        "192.0.2.1",
        "[::1]",
        "a@[::1]/b",
        "a--b.example",
        "3com.example",
    ] {
        assert_eq!(jid(text).as_str(), text);
    }
}

/// Nicknames: emoji of 2010, of 2018 (newer than the PRECIS tables), and joined ones.
#[test]
fn emoji_resources() {
    for nickname in ["\u{1F600}", "\u{1F973}", "x \u{1F973} \u{E9}"] {
        let room = jid("room@groups.example").with_resource(nickname).unwrap();
        assert_eq!(room.resource(), Some(nickname));
    }
    let heart = "\u{2764}\u{FE0F}";
    let room = jid("room@groups.example");
    assert_eq!(
        room.with_resource(heart),
        Err(JidError::Invalid(Part::Resource))
    );
    assert_eq!(
        room.with_resource_tolerant(heart).unwrap().resource(),
        Some(heart)
    );
    assert!(room.with_resource_tolerant("a\u{202E}b").is_err());
}

#[test]
fn addresses_of_older_servers() {
    // What stringprep accepts and PRECIS does not.
    let table = [
        ("henry\u{2163}@example.com", "henry\u{2173}@example.com"),
        ("\u{265A}@Example.com/x", "\u{265A}@example.com/x"),
        ("\u{13FC}@example.com", "\u{13FC}@example.com"),
        ("a@exa_mple.com", "a@exa_mple.com"),
        ("a@XN--A.com.", "a@xn--a.com"),
        ("a@\u{2665}.example", "a@\u{2665}.example"),
        ("\u{212A}@example.com", "k@example.com"),
        ("Juliet@example.com/Foo", "juliet@example.com/Foo"),
    ];
    for (text, settled) in table {
        assert_eq!(
            Jid::parse_tolerant(text)
                .map(|jid| jid.to_string())
                .as_deref(),
            Ok(settled)
        );
    }
    for text in [
        "a b@example.com",
        "a<b@example.com",
        "a@b<c",
        "a@b c",
        "a@x..y",
        "@x",
        "a@x/",
        "",
    ] {
        assert!(Jid::parse_tolerant(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn the_same_entity_by_older_rules() {
    let tolerant = |text| Jid::parse_tolerant(text).unwrap();
    for (left, right) in [
        ("fu\u{DF}ball@example.com", "fussball@example.com"),
        ("\u{3C2}@example.com", "\u{3C3}@example.com"),
        ("henry\u{2163}@example.com", "henryiv@example.com"),
        ("a@example.com/\u{2764}\u{FE0F}", "a@example.com/\u{2764}"),
        ("a@example.com/\u{2163}", "a@example.com/IV"),
    ] {
        assert!(
            tolerant(left).same_entity_tolerant(&tolerant(right)),
            "{left} {right}"
        );
    }
    for (left, right) in [
        ("a@example.com", "b@example.com"),
        ("a@example.com", "a@example.org"),
        ("a@stra\u{DF}e.de", "a@strasse.de"),
        ("a@example.com/x", "a@example.com/X"),
        ("a@example.com/x", "a@example.com"),
    ] {
        assert!(
            !tolerant(left).same_entity_tolerant(&tolerant(right)),
            "{left} {right}"
        );
    }
}

#[test]
fn taking_apart_and_putting_together() {
    let full = jid("Juliet@example.com/balcony");
    assert_eq!(full.bare(), "juliet@example.com");
    assert_eq!(full.to_bare(), jid("juliet@example.com"));
    assert_eq!(full.to_bare().with_resource("balcony").unwrap(), full);
    assert_eq!(
        full.with_resource("garden").unwrap().as_str(),
        "juliet@example.com/garden"
    );
    assert!(full.is_full() && full.to_bare().is_bare());
    assert_eq!(jid("example.com/x").to_bare().as_str(), "example.com");
    assert_eq!(
        Jid::from_parts(Some(""), "example.com", None),
        Err(JidError::Empty(Part::Local))
    );
    assert_eq!(full.with_resource(""), Err(JidError::Empty(Part::Resource)));
    assert_eq!(format!("{full} {full:?}"), format!("{full:?} {full}"));
}

#[test]
fn maps_are_asked_by_text() {
    let key = jid("juliet@example.com/balcony");
    let sessions = HashMap::from([(key.to_bare(), 1)]);
    assert_eq!(sessions.get(key.bare()), Some(&1));
    assert!(HashSet::from([key.clone()]).contains(key.as_str()));
}
