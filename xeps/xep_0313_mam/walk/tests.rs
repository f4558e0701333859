//! Pages against an archive that is a list.

use std::fmt::Write as _;

use minidom::Element;
use proptest::prelude::*;
use waxwing_core::mailbox_store::{Flags, peer_hash};
use waxwing_xmpp::jid::Jid;

use super::*;
use crate::xep_0059_rsm::Start;
use crate::xep_0313_mam::NS;
use crate::xep_0359_stanza_ids::archive_id;

const OWNER: &str = "juliet@x";

/// A message in the archive of the owner: its id, the other side, whether it was sent, its length.
#[derive(Clone, Debug)]
struct Entry {
    id: i64,
    peer: &'static str,
    is_sent: bool,
    text: usize,
}

impl Entry {
    fn row(&self) -> StoredRow {
        let own = "juliet@x/balcony";
        let (from, to) = if self.is_sent {
            (own, self.peer)
        } else {
            (self.peer, own)
        };
        let text = "t".repeat(self.text);
        StoredRow {
            id: self.id,
            from: from.to_owned(),
            flags: Flags::ARCHIVED,
            body: format!("<message from='{from}' to='{to}'><body>{text}</body></message>").into(),
        }
    }
}

/// What the database would answer.
fn read(archive: &[Entry], filter: &Filter, backwards: bool, limit: usize) -> Piece {
    piece_of(archive, filter, backwards, limit, 1000)
}

/// The same with another bound of the bytes.
fn piece_of(
    archive: &[Entry],
    filter: &Filter,
    backwards: bool,
    limit: usize,
    max_bytes: usize,
) -> Piece {
    let bare = |peer: &str| peer.split('/').next().unwrap_or_default().to_owned();
    let mut found: Vec<_> = archive
        .iter()
        .filter(|entry| filter.after < entry.id && entry.id < filter.before)
        .filter(|entry| {
            filter
                .with
                .is_none_or(|with| peer_hash(&bare(entry.peer)) == with)
        })
        .map(Entry::row)
        .collect();
    let (all, mut bytes, mut fits) = (found.len(), 0, 0);
    while fits < limit.min(all) {
        let next = if backwards { all - 1 - fits } else { fits };
        bytes += found[next].body.len();
        if fits > 0 && bytes > max_bytes {
            break;
        }
        fits += 1;
    }
    if backwards {
        found.drain(..all - fits);
    } else {
        found.truncate(fits);
    }
    Piece {
        rows: found,
        is_last: fits == all,
    }
}

/// A query for messages with somebody, a page of `max` from `start`.
fn wish(with: Option<&str>, max: usize, start: &Start) -> Wish {
    let mut xml =
        format!("<query xmlns='{NS}'><set xmlns='http://jabber.org/protocol/rsm'><max>{max}</max>");
    let _ = match start {
        Start::First => Ok(()),
        Start::Last => write!(xml, "<before/>"),
        Start::After(id) => write!(xml, "<after>{id}</after>"),
        Start::Before(id) => write!(xml, "<before>{id}</before>"),
    };
    xml += "</set><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>";
    if let Some(with) = with {
        let _ = write!(xml, "<field var='with'><value>{with}</value></field>");
    }
    xml += "</x></query>";
    Wish::of(&xml.parse::<Element>().unwrap()).unwrap()
}

fn begun(wish: &Wish, room: usize) -> Walk {
    let reader = Jid::parse("juliet@x/balcony").unwrap();
    Walk::new(wish, &Jid::parse(OWNER).unwrap(), &reader, room)
}

fn page(archive: &[Entry], wish: &Wish, room: usize) -> Page {
    let mut walk = begun(wish, room);
    while let Some(limit) = walk.asks_for() {
        let rows = read(archive, &walk.filter, walk.is_backwards, limit);
        walk.take(rows);
    }
    walk.page().unwrap()
}

/// Every page in turn, as a client asks for them; the ids of each.
fn pages(
    archive: &[Entry],
    with: Option<&str>,
    max: usize,
    room: usize,
    backwards: bool,
) -> Vec<Vec<i64>> {
    let mut start = if backwards { Start::Last } else { Start::First };
    let mut pages = Vec::new();
    loop {
        let page = page(archive, &wish(with, max, &start), room);
        let ids: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
        let ends = ids.first().copied().zip(ids.last().copied());
        pages.push(ids);
        match ends {
            Some((first, last)) if !page.is_complete => {
                start = if backwards {
                    Start::Before(archive_id(first))
                } else {
                    Start::After(archive_id(last))
                };
            }
            _ => return pages,
        }
    }
}

fn archives() -> impl Strategy<Value = Vec<Entry>> {
    let peers = prop::sample::select(vec![
        "romeo@x/orchard",
        "romeo@x/street",
        "romeo@x",
        "nurse@x/a",
        "juliet@x/balcony",
    ]);
    let entry = (1..1000_i64, peers, any::<bool>(), 0..400_usize);
    prop::collection::vec(entry, 0..200).prop_map(|entries| {
        let mut id = 0;
        let grow = entries.into_iter().map(|(step, peer, is_sent, text)| {
            id += step;
            Entry {
                id,
                peer,
                is_sent,
                text,
            }
        });
        grow.collect()
    })
}

proptest! {
    #[test]
    fn pages_are_the_whole_without_doubles_either_way(
        archive in archives(),
        with in prop::option::of(prop::sample::select(vec!["romeo@x", "romeo@x/orchard", "juliet@x", "paris@x"])),
        max in 1..30_usize,
        room in 0..8000_usize,
    ) {
        let is_met = |entry: &&Entry| with.is_none_or(|with| {
            entry.peer == with || (!with.contains('/') && entry.peer.starts_with(&format!("{with}/")))
        });
        let whole: Vec<i64> = archive.iter().filter(is_met).map(|entry| entry.id).collect();
        let forwards = pages(&archive, with, max, room, false);
        prop_assert_eq!(forwards.concat(), whole.clone());
        let mut backwards = pages(&archive, with, max, room, true);
        backwards.reverse();
        prop_assert_eq!(backwards.concat(), whole);
        for page in forwards.iter().chain(&backwards) {
            prop_assert!(page.len() <= max);
        }
    }
}

fn archive(length: i64) -> Vec<Entry> {
    let entry = |id| Entry {
        id,
        peer: "romeo@x/orchard",
        is_sent: id % 2 == 0,
        text: 100,
    };
    (1..=length).map(entry).collect()
}

fn size(archive: &[Entry], max: usize, room: usize) -> (usize, bool) {
    let page = page(archive, &wish(None, max, &Start::First), room);
    (page.rows.len(), page.is_complete)
}

#[test]
fn a_page_is_complete_when_nothing_is_beyond() {
    let archive = archive(10);
    let plenty = usize::MAX;
    assert_eq!(size(&archive, 9, plenty), (9, false));
    assert_eq!(size(&archive, 10, plenty), (10, true));
    assert_eq!(size(&archive, 11, plenty), (10, true));
    assert_eq!(size(&[], 11, plenty), (0, true));
}

#[test]
fn a_page_ends_where_there_is_no_room_and_holds_one_at_least() {
    let archive = archive(10);
    assert_eq!(size(&archive, 10, 3 * 800), (3, false));
    assert_eq!(size(&archive, 10, 0), (1, false));
    assert_eq!(size(&archive[9..], 10, 0), (1, true));
}

#[test]
fn a_search_for_a_full_address_gives_up_some_time() {
    let archive = archive(LOOKED_AT as i64 + 1000);
    let nobody = wish(Some("romeo@x/nowhere"), 10, &Start::First);
    let mut walk = begun(&nobody, usize::MAX);
    while let Some(limit) = walk.asks_for() {
        let (filter, backwards) = (&walk.filter, walk.is_backwards);
        walk.take(piece_of(&archive, filter, backwards, limit, PIECE_BYTES));
    }
    assert!(walk.looked_at <= LOOKED_AT + CHUNK);
    assert_eq!(
        walk.page().unwrap_err().condition.name(),
        "resource-constraint"
    );
}

/// By what it reads too: messages of 100 KiB are fewer.
#[test]
fn a_search_for_a_full_address_gives_up_after_many_bytes() {
    let large = |id| Entry {
        id,
        peer: "romeo@x/orchard",
        is_sent: false,
        text: 100 * 1024,
    };
    let archive: Vec<Entry> = (1..=200).map(large).collect();
    let nobody = wish(Some("romeo@x/nowhere"), 10, &Start::First);
    let mut walk = begun(&nobody, usize::MAX);
    while let Some(limit) = walk.asks_for() {
        let (filter, backwards) = (&walk.filter, walk.is_backwards);
        walk.take(piece_of(&archive, filter, backwards, limit, PIECE_BYTES));
    }
    assert!(walk.looked_at_bytes <= LOOKED_AT_BYTES + PIECE_BYTES);
    assert_eq!(
        walk.page().unwrap_err().condition.name(),
        "resource-constraint"
    );
}

#[test]
fn named_rows_are_read_in_pieces_from_the_end_that_is_asked_for() {
    let half = PIECE_BYTES as u64 / 2;
    let rows = [(1, half), (2, half), (3, 1), (4, 9 * half), (5, 1)];
    let pieces = |is_backwards| {
        let mut wanted = VecDeque::from(rows);
        let next = || {
            let ids = piece(&mut wanted, is_backwards);
            (!ids.is_empty()).then_some(ids)
        };
        std::iter::from_fn(next).collect::<Vec<_>>()
    };
    assert_eq!(pieces(false), [vec![1, 2], vec![3], vec![4], vec![5]]);
    assert_eq!(pieces(true), [vec![5], vec![4], vec![3, 2], vec![1]]);
}

#[test]
fn messages_to_oneself_are_found_by_the_own_address_alone() {
    let test = |with: &str| Test {
        with: Jid::parse(with).unwrap(),
        owner: OWNER.to_owned(),
    };
    let row = |peer, is_sent| {
        let entry = Entry {
            id: 1,
            peer,
            is_sent,
            text: 0,
        };
        entry.row()
    };
    let own = row("juliet@x/chamber", true);
    let others = row("romeo@x/orchard", true);
    assert!(test("juliet@x").passes(&own) && test("juliet@x/chamber").passes(&own));
    assert!(test("juliet@x/balcony").passes(&own) && !test("juliet@x/attic").passes(&own));
    assert!(!test("juliet@x").passes(&others) && !test("juliet@x/balcony").passes(&others));
    assert!(test("romeo@x").passes(&others) && test("romeo@x/orchard").passes(&others));
    assert!(!test("romeo@x/street").passes(&others));
}

/// An address may be a thousand characters that each take six bytes when they are written.
#[test]
fn the_addresses_around_a_result_count() {
    let archive = archive(20);
    let all = wish(None, 10, &Start::First);
    let one = archive[0].row().body.len() + AROUND;
    let ended = |resource: &str| {
        let reader = Jid::parse(&format!("juliet@x/{resource}")).unwrap();
        let owner = Jid::parse(OWNER).unwrap();
        let mut walk = Walk::new(&all, &owner, &reader, 8 * one);
        walk.take(Piece {
            rows: archive.iter().map(Entry::row).collect(),
            is_last: true,
        });
        walk.page().unwrap().rows.len()
    };
    let (short, long) = (ended("b"), ended(&"&".repeat(1000)));
    assert!(short > 3 && long == 1, "{short} and {long}");
}
