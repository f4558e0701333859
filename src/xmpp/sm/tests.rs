use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::error::StanzaError;
use crate::stanza::Stanza;

fn read(xml: &'static str) -> Option<Request> {
    Request::read(&Stanza::parse(bytes::Bytes::from_static(xml.as_bytes())).unwrap())
}

#[test]
fn elements_are_read() {
    let enable = |resume, max| Some(Request::Enable { resume, max });
    for (xml, expected) in [
        ("<r xmlns='urn:xmpp:sm:3'/>", Some(Request::Ask)),
        ("<r xmlns='urn:xmpp:sm:2'/>", None),
        (
            "<a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
            Some(Request::Acknowledge(u32::MAX)),
        ),
        (
            "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>",
            Some(Request::Malformed),
        ),
        (
            "<a xmlns='urn:xmpp:sm:3' h='-1'/>",
            Some(Request::Malformed),
        ),
        ("<a xmlns='urn:xmpp:sm:3'/>", Some(Request::Malformed)),
        (
            "<a h=\"7\" xmlns=\"urn:xmpp:sm:3\"/>",
            Some(Request::Acknowledge(7)),
        ),
        (
            "<a xmlns='urn:xmpp:sm:3' h='7' x=''/>",
            Some(Request::Acknowledge(7)),
        ),
        (
            "<a xmlns='urn:xmpp:sm:3' h='7'></a>",
            Some(Request::Acknowledge(7)),
        ),
        (
            "<a xmlns='urn:xmpp:sm:3' x='h=' h='8'/>",
            Some(Request::Acknowledge(8)),
        ),
        ("<enable xmlns='urn:xmpp:sm:3'/>", enable(false, None)),
        (
            "<enable xmlns='urn:xmpp:sm:3' resume='1' max='60'/>",
            enable(true, Some(60)),
        ),
        (
            "<enable xmlns='urn:xmpp:sm:3' resume='true' max='soon'/>",
            enable(true, None),
        ),
        (
            "<resume xmlns='urn:xmpp:sm:3' h='1'/>",
            Some(Request::Malformed),
        ),
        (
            "<resume xmlns='urn:xmpp:sm:3' previd='x'/>",
            Some(Request::Malformed),
        ),
        ("<hello xmlns='urn:xmpp:sm:3'/>", Some(Request::Malformed)),
    ] {
        assert_eq!(read(xml), expected, "{xml}");
    }
    let resume = read("<resume xmlns='urn:xmpp:sm:3' previd='&lt;' h='0'/>");
    let expected = Request::Resume {
        previous: "<".to_owned(),
        h: 0,
    };
    assert_eq!(resume, Some(expected));
}

#[test]
fn what_is_written_is_well_formed() {
    let failed = failed(Some(7), &StanzaError::item_not_found());
    for xml in [
        ack(3),
        enabled(None),
        enabled(Some(("id", 600))),
        resumed("<'&", 9),
        failed.clone(),
        request().to_owned(),
        FEATURE.to_owned(),
    ] {
        let element: minidom::Element = xml.parse().unwrap();
        assert_eq!(element.ns(), NS, "{xml}");
    }
    assert!(failed.contains("h='7'><item-not-found"), "{failed}");
}

#[test]
fn counts_begin_where_stream_management_was_enabled() {
    let mut custody = Custody::default();
    custody.take();
    let before = custody.hold();
    custody.take();
    custody.enable();
    assert_eq!(custody.handled(), 0);
    custody.take();
    // What was read before holds up what comes after, but does not count.
    assert_eq!((custody.handled(), custody.handled_with_last()), (0, 0));
    assert!(custody.settle(before));
    assert_eq!(custody.handled(), 1);
}

#[test]
fn counts_wrap_around() {
    let mut custody = Custody::default();
    custody.restore(u32::MAX);
    assert_eq!(custody.handled(), u32::MAX);
    custody.take();
    custody.take();
    assert_eq!(custody.handled(), 1);

    let mut acknowledged = Acknowledged::new(u32::MAX - 1);
    assert_eq!(acknowledged.acknowledge(1, 5), Ok(3));
    assert_eq!(acknowledged.h(), 1);
    assert!(acknowledged.acknowledge(0, 2).is_err());
}

#[test]
fn more_than_was_sent_is_an_error_and_changes_nothing() {
    let mut acknowledged = Acknowledged::default();
    let error = acknowledged.acknowledge(3, 2).unwrap_err();
    assert_eq!(acknowledged, Acknowledged::default());
    let xml = error.to_stream_error().to_xml();
    let details = "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='3' send-count='2'/>";
    assert!(xml.contains(details), "{xml}");
    assert!(xml.contains("undefined-condition"), "{xml}");
}

#[derive(Clone, Debug)]
enum Step {
    Take,
    TakeAndHold,
    Settle(usize),
    Enable,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Take),
        4 => Just(Step::TakeAndHold),
        5 => (0usize..20).prop_map(Step::Settle),
        1 => Just(Step::Enable),
    ]
}

proptest! {
    /// The `h` is the number of stanzas before the first that is open, counted from `enable`; it
    /// never shrinks, and `settle` tells when it grows.
    #[test]
    fn custody_is_a_settled_prefix(steps in prop::collection::vec(step(), 0..200)) {
        let mut custody = Custody::default();
        let (mut taken, mut base, mut enabled) = (0u64, 0u64, false);
        let mut open: BTreeSet<u64> = BTreeSet::new();
        let mut tickets = Vec::new();
        let mut last = 0;
        for step in steps {
            let prefix = |open: &BTreeSet<u64>, taken: u64| {
                open.first().map_or(taken, |first| first - 1)
            };
            match step {
                Step::Take => {
                    taken += 1;
                    custody.take();
                }
                Step::TakeAndHold => {
                    taken += 1;
                    custody.take();
                    tickets.push((taken, custody.hold()));
                    open.insert(taken);
                }
                Step::Settle(at) => {
                    let Some((number, ticket)) = tickets.get(at % tickets.len().max(1)) else {
                        continue;
                    };
                    let before = prefix(&open, taken);
                    open.remove(number);
                    let grew = prefix(&open, taken) > before;
                    prop_assert_eq!(custody.settle(*ticket), grew);
                }
                Step::Enable if !enabled => {
                    enabled = true;
                    base = taken;
                    last = 0;
                    custody.enable();
                }
                Step::Enable => {}
            }
            let expected = prefix(&open, taken).saturating_sub(base) as u32;
            prop_assert_eq!(custody.handled(), expected);
            let others: BTreeSet<u64> = open.range(..taken).copied().collect();
            let with_last = prefix(&others, taken).saturating_sub(base) as u32;
            prop_assert_eq!(custody.handled_with_last(), with_last);
            prop_assert_eq!(custody.is_settled(), open.is_empty());
            prop_assert!(expected >= last);
            last = expected;
        }
    }

    /// Acknowledgements from anywhere in the ring: the sum of what is acknowledged is what `h` says.
    #[test]
    fn acknowledged_counts_add_up(start: u32, steps in prop::collection::vec((0usize..50, 0u32..60), 0..50)) {
        let mut acknowledged = Acknowledged::new(start);
        let mut outstanding = 0usize;
        for (sent, more) in steps {
            outstanding += sent;
            let h = acknowledged.h().wrapping_add(more);
            match acknowledged.acknowledge(h, outstanding) {
                Ok(newly) => {
                    prop_assert_eq!(newly, more as usize);
                    outstanding -= newly;
                    prop_assert_eq!(acknowledged.h(), h);
                }
                Err(error) => {
                    prop_assert!(more as usize > outstanding);
                    prop_assert_eq!(error.sent, outstanding);
                }
            }
        }
    }
}
