//! The same bytes give the same units and the same error however they are cut.

use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use waxwing_xmpp::framing::{Framer, FramingError, Limits, Unit};

mod framing_corpus;

use framing_corpus::{Chance, HEADER, stanzas};

/// What a stream comes to: its units, then perhaps an error.
#[derive(Debug, PartialEq)]
struct Outcome {
    units: Vec<String>,
    error: Option<FramingError>,
    /// Whether a unit is left unfinished.
    is_partial: bool,
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: Limits) -> Outcome {
    let mut framer = Framer::new(limits);
    let mut units = Vec::new();
    for mut piece in pieces {
        loop {
            match framer.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Unit::Stanza(frame))) => units.push(format!(
                    "{frame:?} {:?} {:?} {:?}",
                    frame.envelope(),
                    frame.namespace(),
                    frame.payload()
                )),
                Ok(Some(other)) => units.push(format!("{other:?}")),
                Err(error) => {
                    let error = Some(error);
                    let is_partial = false;
                    return Outcome {
                        units,
                        error,
                        is_partial,
                    };
                }
            }
        }
        assert!(piece.is_empty());
    }
    let is_partial = framer.buffered() > 0;
    Outcome {
        units,
        error: None,
        is_partial,
    }
}

/// A stream in which now and then a byte is wrong.
fn stream(seed: u64) -> Vec<u8> {
    let mut chance = Chance(seed);
    let corpus = stanzas();
    let mut bytes = HEADER.as_bytes().to_vec();
    if chance.below(8) == 0 {
        bytes.splice(..0, "\u{FEFF}".bytes());
    }
    for _ in 0..chance.below(6) {
        bytes.extend(corpus[chance.below(corpus.len())].bytes());
        bytes.extend_from_slice(&b" \n"[..chance.below(3)]);
    }
    bytes.extend_from_slice(b"</stream:stream>");
    for _ in 0..chance.below(3) {
        let at = chance.below(bytes.len());
        match chance.below(3) {
            0 => bytes[at] = chance.next() as u8,
            1 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits::AFTER_LOGIN),
        Just(Limits::BEFORE_LOGIN),
        (1..2000_usize).prop_map(|max_bytes| Limits {
            max_bytes,
            ..Limits::AFTER_LOGIN
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn byte_by_byte_is_as_the_whole(seed in any::<u64>(), limits in limits()) {
        let bytes = stream(seed);
        let whole = read([&bytes[..]].into_iter(), limits);
        prop_assert_eq!(read(bytes.chunks(1), limits), whole);
    }

    #[test]
    fn any_cuts_are_as_the_whole(
        seed in any::<u64>(),
        limits in limits(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = stream(seed);
        let whole = read([&bytes[..]].into_iter(), limits);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(read(pieces, limits), whole);
    }
}

#[test]
fn every_single_cut_of_every_stanza() {
    for stanza in stanzas() {
        let bytes = [HEADER, &stanza].concat().into_bytes();
        let whole = read([&bytes[..]].into_iter(), Limits::default());
        assert!(whole.error.is_none() && !whole.is_partial && whole.units.len() == 2);
        for at in 0..bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(
                read([a, b].into_iter(), Limits::default()),
                whole,
                "cut at {at}: {stanza}"
            );
        }
    }
}

/// Seconds of a core that this thread has used: what others do on the machine does not count.
fn spent() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[test]
fn a_slow_sender_costs_as_much_for_each_byte_of_a_long_stanza_as_of_a_short_one() {
    for (open, filler, close) in [
        ("<a>", "text ", "</a>"),
        ("<a b='", "value ", "'/>"),
        ("<a>", "<b/>", "</a>"),
        ("<a>", "&amp;", "</a>"),
        ("<a><![CDATA[", "]]", "]]></a>"),
        ("<a>", "жё", "</a>"),
        ("<a", "  ", "/>"),
    ] {
        let time = |bytes: usize| {
            let stanza = [open, &filler.repeat(bytes / filler.len()), close].concat();
            let start = spent();
            let outcome = read(
                HEADER
                    .as_bytes()
                    .chunks(1)
                    .chain(stanza.as_bytes().chunks(1)),
                Limits {
                    max_elements: u32::MAX,
                    ..Limits::default()
                },
            );
            assert_eq!(outcome.units.len(), 2, "{open}{filler}");
            (spent() - start) / bytes as f64
        };
        // Sixteen times as long: if each byte made the scan start again, each would cost sixteen
        // times as much.
        let short = (0..5).map(|_| time(8_000)).fold(f64::INFINITY, f64::min);
        let long = (0..2).map(|_| time(128_000)).fold(f64::INFINITY, f64::min);
        assert!(
            long < short * 6.0,
            "{open}{filler}: {short:e} s a byte, then {long:e}"
        );
    }
}
