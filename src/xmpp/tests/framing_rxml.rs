//! The scanner against rxml, a parser of restricted XML by others, on spoilt stanzas.
//!
//! Both have to say the same of every stanza: one element, or an error, or more to come. Where
//! they do not, the reason has to be one of [`Excuse`], or the test fails.

use std::collections::BTreeMap;

use minidom::Element;
use rxml::Parse;
use rxml::error::EndOrError;
use waxwing_xmpp::framing::{Framer, Limits, Reason};
use waxwing_xmpp::{dom, ns};

mod framing_corpus;

use framing_corpus::{Chance, stanzas};

const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";
/// Mutated stanzas in one run.
const CASES: usize = 250_000;

/// The number of elements that came out, and what went wrong after them.
type Verdict<E> = (usize, Option<E>);

fn by_scanner(bytes: &[u8]) -> Verdict<Reason> {
    let mut framer = Framer::new(Limits::default());
    let mut header = HEADER.as_bytes();
    assert!(matches!(framer.next(&mut header), Ok(Some(_))));
    let mut input = bytes;
    let mut elements = 0;
    loop {
        match framer.next(&mut input) {
            Err(error) => return (elements, Some(error.reason)),
            Ok(Some(_)) => elements += 1,
            Ok(None) => return (elements, None),
        }
    }
}

fn by_rxml(bytes: &[u8]) -> Verdict<rxml::Error> {
    let (elements, _, error) = events_of_rxml(bytes);
    (elements, error)
}

/// The end of the stream counts as an element here as there. Also returns the number of events.
fn events_of_rxml(bytes: &[u8]) -> (usize, usize, Option<rxml::Error>) {
    let mut parser = rxml::Parser::new();
    let mut input = HEADER.as_bytes();
    while parser.parse(&mut input, false).is_ok() {}
    let mut input = bytes;
    let (mut depth, mut elements, mut events) = (1, 0, 0);
    loop {
        match parser.parse(&mut input, false) {
            Ok(Some(rxml::Event::StartElement(..))) => depth += 1,
            Ok(Some(rxml::Event::EndElement(_))) => {
                depth -= 1;
                elements += usize::from(depth <= 1);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(EndOrError::NeedMoreData) => return (elements, events, None),
            Err(EndOrError::Error(error)) => return (elements, events, Some(error)),
        }
        events += 1;
    }
}

fn spoil(chance: &mut Chance, corpus: &[String]) -> Vec<u8> {
    let mut bytes = corpus[chance.below(corpus.len())].clone().into_bytes();
    for _ in 0..=chance.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = chance.below(bytes.len());
        match chance.below(8) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = chance.next() as u8,
            2 => bytes.insert(at, *chance.pick(&SPECIAL)),
            3 => drop(bytes.remove(at)),
            4 => {
                let other = corpus[chance.below(corpus.len())].as_bytes();
                let from = chance.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            5 => {
                let end = (at + chance.below(24)).min(bytes.len());
                let slice = bytes[at..end].to_vec();
                let to = chance.below(bytes.len());
                bytes.splice(to..to, slice);
            }
            6 => swap_tokens(chance, &mut bytes),
            _ => {
                let token = chance.pick(TOKENS);
                bytes.splice(at..at, token.bytes());
            }
        }
    }
    bytes
}

static SPECIAL: [&u8; 16] = [
    &b'<', &b'>', &b'&', &b'\'', &b'"', &b'/', &b'=', &b':', &b' ', &b';', &b'!', &b'?', &b']',
    &0x00, &0xC3, &0xEF,
];

const TOKENS: &[&str] = &[
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?xml version='1.0'?>",
    "<!DOCTYPE a>",
    "&amp;",
    "&lt;",
    "&#65;",
    "&#x1;",
    "&foo;",
    "xmlns=''",
    " xmlns='urn:a'",
    " xmlns:p='urn:a'",
    " p:a='1'",
    " q:a='2'",
    " xmlns:q='urn:a'",
    " xmlns:q='urn:&#97;'",
    " xmlns:p=''",
    " a=''",
    " a=\"b\"",
    "<p:a>",
    "</p:a>",
    "<a/>",
    "</a>",
    "<a>",
    "/>",
    " xml:lang='e'",
    " xmlns:xml='u'",
    "xmlns:",
    "stream:",
    "\u{FFFE}",
    "\u{D7}",
    "é",
    "ж:",
    "</stream:stream>",
    "\r\n",
    "\t",
    "]]",
    "<",
    "&",
];

/// Exchanges two pieces that begin where tokens do.
fn swap_tokens(chance: &mut Chance, bytes: &mut [u8]) {
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| matches!(bytes[at], b'<' | b'>' | b' ' | b'\'' | b'"' | b'='))
        .collect();
    if starts.len() < 2 {
        return;
    }
    let (a, b) = (
        starts[chance.below(starts.len())],
        starts[chance.below(starts.len())],
    );
    let (a, b) = (a.min(b), a.max(b));
    let length = chance.below(16).min(b - a).min(bytes.len() - b);
    for offset in 0..length {
        bytes.swap(a + offset, b + offset);
    }
}

/// Why the two may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Excuse {
    /// Text between stanzas is well-formed XML; that a stream must not hold it says RFC 6120.
    TextOutsideStanza,
    /// The scanner refuses at the first byte that cannot be right, rxml when the token ends.
    Earlier,
    /// rxml accepts `xmlns` twice in one tag, against XML 1.0 §3.1.
    DuplicateDeclaration,
    /// rxml loses or refuses a carriage return without line feed in an attribute, against XML 1.0
    /// §2.11.
    CarriageReturn,
    /// rxml gives up on a reference after fewer bytes.
    LongReference,
    /// rxml lacks the range from U+FDF0 to U+FFFD in its table of name characters (XML 1.0 §2.3).
    NameCharacter,
}

fn excuse(bytes: &[u8], ours: &Verdict<Reason>, theirs: &Verdict<rxml::Error>) -> Option<Excuse> {
    match (ours.1, theirs.1) {
        (Some(Reason::TextOutsideStanza), _) => Some(Excuse::TextOutsideStanza),
        (Some(Reason::DuplicateAttribute), _) if has_two_declarations(bytes) => {
            Some(Excuse::DuplicateDeclaration)
        }
        (Some(_), None) if ours.0 == theirs.0 && is_refused_later(bytes) => Some(Excuse::Earlier),
        // rxml stops there; what comes after it does not see.
        (_, Some(rxml::Error::InvalidChar(..))) if ours.0 >= theirs.0 && has_lone_return(bytes) => {
            Some(Excuse::CarriageReturn)
        }
        (_, Some(rxml::Error::UnexpectedChar(_, '\u{FDF0}'..='\u{FFFD}', _)))
            if ours.0 >= theirs.0 =>
        {
            Some(Excuse::NameCharacter)
        }
        (None, Some(rxml::Error::UndeclaredEntity)) if ours.0 == theirs.0 => {
            let reference = bytes.rsplit(|&b| b == b'&').next()?;
            (!reference.contains(&b';')).then_some(Excuse::LongReference)
        }
        _ => None,
    }
}

fn has_lone_return(bytes: &[u8]) -> bool {
    let mut pairs = bytes.windows(2);
    pairs.any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

fn has_two_declarations(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut tags = text.split(['<', '>']);
    tags.any(|tag| {
        tag.split_ascii_whitespace()
            .filter(|a| a.starts_with("xmlns"))
            .count()
            > 1
    })
}

/// Whether rxml is within a token that it will not accept, however it ends.
fn is_refused_later(bytes: &[u8]) -> bool {
    let (_, events, _) = events_of_rxml(bytes);
    let endings = [
        "", ">", "/>", "'/>", "\"/>", "='/>", "=''/>", ";", "]]>", "<",
    ];
    let mut is_refused = false;
    for ending in endings {
        let (_, more, error) = events_of_rxml(&[bytes, ending.as_bytes()].concat());
        if error.is_none() && more > events {
            return false;
        }
        is_refused |= error.is_some();
    }
    is_refused
}

/// An accepted stanza has to become the same DOM here and there.
fn compare_dom(bytes: &[u8]) -> bool {
    if has_lone_return(bytes) {
        return false;
    }
    let prefixes = BTreeMap::from([
        (None, ns::CLIENT.to_owned()),
        (Some("stream".to_owned()), ns::STREAM.to_owned()),
    ]);
    let Ok(ours) = dom::parse(bytes) else {
        return false;
    };
    // minidom wants every element to have a namespace.
    let Ok(theirs) = Element::from_reader_with_prefixes(bytes, prefixes) else {
        return false;
    };
    assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(bytes));
    let written = dom::serialize(&ours);
    assert_eq!(
        dom::parse(written.as_bytes()).as_ref(),
        Ok(&theirs),
        "{written}"
    );
    true
}

#[test]
fn the_scanner_agrees_with_rxml() {
    let corpus = stanzas();
    for stanza in &corpus {
        assert_eq!(by_scanner(stanza.as_bytes()), (1, None));
        assert_eq!(by_rxml(stanza.as_bytes()), (1, None));
    }
    let mut chance = Chance(0x0077_6178_7769_6E67);
    let (mut refused, mut compared) = (0, 0);
    let mut excuses = BTreeMap::new();
    for _ in 0..CASES {
        let bytes = spoil(&mut chance, &corpus);
        let (ours, theirs) = (by_scanner(&bytes), by_rxml(&bytes));
        refused += usize::from(ours.1.is_some());
        if ours.0 == theirs.0 && ours.1.is_some() == theirs.1.is_some() {
            compared += usize::from(ours == (1, None) && compare_dom(&bytes));
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        let excuse = excuse(&bytes, &ours, &theirs);
        assert!(excuse.is_some(), "{ours:?} {theirs:?} {text:?}");
        *excuses.entry(excuse).or_insert(0) += 1;
    }
    println!("{refused} refused, {compared} compared as a DOM, {excuses:?}");
    assert!(refused > CASES / 2 && compared > CASES / 50);
    assert!(excuses.values().sum::<usize>() < CASES / 20);
}
