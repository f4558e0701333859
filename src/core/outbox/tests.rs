use std::task::Waker;

use proptest::prelude::*;
use waxwing_xmpp::error::StreamCondition;

use super::*;

fn stanza(xml: &str) -> Stanza {
    Stanza::parse(Bytes::copy_from_slice(xml.as_bytes())).unwrap()
}

fn message(id: usize) -> Stanza {
    stanza(&format!(
        "<message id='{id}' type='chat'><body>hello</body></message>"
    ))
}

pub(super) fn live() -> Held {
    live_since(0)
}

/// A message that was received then and lives in memory only.
pub(super) fn live_since(received: i64) -> Held {
    Held::Live {
        received: Timestamp(received),
        arrivals: 0,
        origin: None,
        storing: false,
    }
}

fn row(id: i64) -> Held {
    Held::Row {
        id,
        bytes: 1,
        brief: false,
        in_order: true,
        directed: false,
    }
}

fn held(outbox: &Outbox) -> Vec<String> {
    let id = |(stanza, held)| match held {
        Held::Live { .. } => {
            let stanza = Stanza::parse(stanza).unwrap();
            stanza.id().unwrap_or_default().into_owned()
        }
        Held::Row { id, .. } | Held::Feed { id, .. } => id.to_string(),
    };
    outbox.take_held().into_iter().map(id).collect()
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

fn written(outbox: &Outbox) -> Vec<String> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    while let Poll::Ready(Wake::Bytes(batch)) = outbox.poll_take(&mut cx, 3, || i64::MAX) {
        all.extend(
            batch
                .into_iter()
                .map(|piece| String::from_utf8_lossy(&piece).into_owned()),
        );
    }
    all
}

#[test]
fn pieces_leave_in_order_and_the_answer_to_binding_goes_first() {
    let outbox = Outbox::new(1000);
    for id in 0..5 {
        outbox.push(&message(id));
    }
    outbox.push_first(Bytes::from_static(b"<iq/>"));
    let pieces = written(&outbox);
    assert_eq!(pieces.len(), 6);
    assert_eq!(pieces[0], "<iq/>");
    assert!((0..5).all(|id| pieces[id + 1].contains(&format!("id='{id}'"))));
    assert_eq!(outbox.queued_bytes(), 0);
}

#[test]
fn at_the_bound_it_is_thinned_before_it_detaches() {
    let presence = |from: &str, show: &str| {
        stanza(&format!(
            "<presence from='{from}'><show>{show}</show></presence>"
        ))
    };
    let typing = stanza(
        "<message type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    );
    let outbox = Outbox::new(400);
    for piece in [
        &presence("a@b/c", "away"),
        &typing,
        &presence("d@b/e", "dnd"),
    ] {
        assert_eq!(outbox.push(piece), Push::Queued);
    }
    while outbox.queued_bytes() + 56 <= 400 {
        assert_eq!(outbox.push(&presence("a@b/c", "away")), Push::Queued);
    }
    assert_eq!(outbox.push(&presence("a@b/c", "chat")), Push::Queued);
    assert!(!outbox.is_detached());
    let pieces = written(&outbox);
    assert!(
        pieces.iter().all(|piece| !piece.contains("composing")),
        "{pieces:?}"
    );
    assert_eq!(
        pieces
            .iter()
            .filter(|piece| piece.contains("d@b/e"))
            .count(),
        1
    );
    assert!(pieces.last().unwrap().contains("chat"));
    assert!(pieces.len() < 5, "{pieces:?}");
}

/// What asks or answers something is not replaced by a later presence of the same contact.
#[test]
fn subscriptions_and_errors_are_never_thinned() {
    let kinds = ["subscribe", "subscribed", "error", "unsubscribed"];
    let outbox = Outbox::new(300);
    for kind in kinds {
        let piece = stanza(&format!("<presence from='a@b' type='{kind}'/>"));
        assert_eq!(outbox.push(&piece), Push::Queued);
    }
    let available = stanza("<presence from='a@b'/>");
    for _ in 0..50 {
        assert_eq!(outbox.push(&available), Push::Queued);
    }
    let pieces = written(&outbox);
    for (piece, kind) in pieces.iter().zip(kinds) {
        assert!(piece.contains(kind), "{pieces:?}");
    }
}

#[test]
fn beyond_the_bound_nothing_is_taken_and_the_owner_is_told() {
    let outbox = Outbox::new(200);
    let first = message(1);
    assert_eq!(outbox.push_held(&first, live()), Push::Queued);
    let mut id = 2;
    while outbox.push_held(&message(id), live()) == Push::Queued {
        id += 1;
    }
    assert!(outbox.is_detached());
    assert_eq!(outbox.push(&message(99)), Push::Detached);
    let mut cx = Context::from_waker(Waker::noop());
    match outbox.poll_take(&mut cx, 64, || i64::MAX) {
        Poll::Ready(Wake::Close(Close::Error(error))) => {
            assert_eq!(error.condition, StreamCondition::PolicyViolation);
        }
        _ => panic!("the owner is not told"),
    }
    // What it held goes back whole: all that was taken in, in order.
    assert_eq!(held(&outbox), ids(1..id));
}

/// The other bound: a client that reads and never says what it took.
#[test]
fn a_client_that_answers_no_ping_is_given_so_much_and_no_more() {
    let outbox = Outbox::new(1000);
    let mut count = 0;
    while outbox.push_held(&message(count), live()) == Push::Queued {
        written(&outbox);
        count += 1;
    }
    assert!(outbox.is_detached());
    let sizes = |range: std::ops::Range<usize>| -> usize {
        range.map(|id| message(id).bytes().len()).sum()
    };
    assert!(sizes(0..count) <= 1000 * HELD_FACTOR);
    assert!(sizes(0..count + 1) > 1000 * HELD_FACTOR);
    assert_eq!(held(&outbox), ids(0..count));
}

#[test]
fn an_answer_makes_room_for_more() {
    let outbox = Outbox::new(200);
    for round in 0..200 {
        for _ in 0..40 {
            let piece = message(round);
            assert_eq!(outbox.push_held(&piece, live()), Push::Queued);
            written(&outbox);
        }
        assert_eq!(outbox.begin_probe(7), Some(7));
        assert_eq!(outbox.begin_probe(8), None);
        assert!(outbox.probe_answered(8).is_none());
        assert!(outbox.probe_answered(7).is_some());
    }
    assert!(held(&outbox).is_empty());
}

#[test]
fn a_stanza_beyond_the_bound_passes_only_alone() {
    let large = stanza(&format!(
        "<message><body>{}</body></message>",
        "x".repeat(300)
    ));
    let outbox = Outbox::new(200);
    assert_eq!(outbox.push(&large), Push::Queued);
    assert_eq!(written(&outbox).len(), 1);
    assert_eq!(outbox.push(&message(1)), Push::Queued);
    assert_eq!(outbox.push(&large), Push::Detached);
}

#[test]
fn a_socket_that_takes_nothing_gets_no_bytes_but_hears_of_the_end() {
    let outbox = Outbox::new(1000);
    outbox.push(&message(1));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(outbox.poll_take(&mut cx, 0, || i64::MAX).is_pending());
    outbox.tick();
    assert!(matches!(
        outbox.poll_take(&mut cx, 0, || i64::MAX),
        Poll::Ready(Wake::Tick)
    ));
    outbox.close(Close::Quiet);
    assert!(matches!(
        outbox.poll_take(&mut cx, 0, || i64::MAX),
        Poll::Ready(Wake::Close(Close::Quiet))
    ));
    assert_eq!(outbox.drain_queue().len(), 1);
}

/// A little can wait for its turn; much is asked for at once, for custody has a bound.
#[test]
fn the_more_waits_to_be_taken_the_sooner_the_client_is_asked() {
    let outbox = Outbox::new(1 << 20);
    for id in 0..64 {
        assert_eq!(outbox.push_held(&message(id), live()), Push::Queued);
        written(&outbox);
        let expected = if id < 63 {
            ProbeNeed::Soon
        } else {
            ProbeNeed::Now
        };
        assert_eq!(outbox.needs_probe(), expected, "{id}");
    }
    outbox.begin_probe(1);
    assert_eq!(outbox.needs_probe(), ProbeNeed::None);
    outbox.probe_answered(1);
    assert_eq!(outbox.needs_probe(), ProbeNeed::None);
}

#[test]
fn an_idle_outbox_can_be_made_to_hold_nothing() {
    let outbox = Outbox::new(1 << 20);
    for id in 0..20 {
        outbox.push_held(&message(id), live());
    }
    written(&outbox);
    outbox.begin_probe(1);
    outbox.probe_answered(1);
    assert!(outbox.inner.lock().untaken.capacity() >= 20);
    outbox.shrink();
    let inner = outbox.inner.lock();
    assert_eq!((inner.untaken.capacity(), inner.queue.capacity()), (0, 0));
}

/// A ping is written behind what was handed out: what still waits is not covered by it.
#[test]
fn a_ping_covers_nothing_that_is_still_queued() {
    let outbox = Outbox::new(10_000);
    for id in 0..5 {
        let held = row(id);
        assert_eq!(outbox.push_held(&message(7), held), Push::Queued);
    }
    assert_eq!(outbox.needs_probe(), ProbeNeed::None);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(
        outbox.poll_take(&mut cx, 2, || i64::MAX),
        Poll::Ready(Wake::Bytes(_))
    ));
    outbox.begin_probe(1);
    let taken = outbox.probe_answered(1).unwrap().rows;
    assert_eq!(taken.iter().map(|row| row.id).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(outbox.needs_probe(), ProbeNeed::None);
    assert_eq!(written(&outbox).len(), 3);
    assert_eq!(outbox.take_held().len(), 3);
}

/// The end of the stream takes the rest of the queue, in order; messages in custody stay with the
/// account alone, or they would come twice.
#[test]
fn the_queue_can_be_taken_once_and_for_all() {
    let outbox = Outbox::new(1000);
    let answers: Vec<Stanza> = (0..3)
        .map(|id| stanza(&format!("<iq type='result' id='{id}'/>")))
        .collect();
    for (id, answer) in answers.iter().enumerate() {
        assert_eq!(outbox.push(answer), Push::Queued);
        assert_eq!(outbox.push_held(&message(id), live()), Push::Queued);
    }
    let expected: Vec<Bytes> = answers
        .iter()
        .map(|answer| answer.bytes().clone())
        .collect();
    assert_eq!(outbox.drain_queue(), expected);
    assert_eq!(outbox.queued_bytes(), 0);
    assert_eq!(outbox.push(&message(3)), Push::Detached);
    assert!(written(&outbox).is_empty());
    assert_eq!(held(&outbox), ids(0..3));
}

#[derive(Clone, Debug)]
enum Operation {
    Live,
    Row,
    Write,
    Probe,
    Answer,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => Just(Operation::Live),
        3 => Just(Operation::Row),
        1 => Just(Operation::Write),
        1 => Just(Operation::Probe),
        1 => Just(Operation::Answer),
    ]
}

proptest! {
    /// What was given was taken by an answer or is still held, in order; a ping covers what was
    /// written before it and no more.
    #[test]
    fn everything_given_is_taken_or_held(operations in prop::collection::vec(operation(), 0..60)) {
        let outbox = Outbox::new(1 << 20);
        let (mut given, mut out, mut taken, mut covered) = (Vec::new(), 0, 0, None);
        let (mut rows, mut rows_taken) = (Vec::new(), Vec::new());
        let mut wire = Vec::new();
        for (at, operation) in operations.into_iter().enumerate() {
            let stanza = message(at);
            match operation {
                Operation::Live => {
                    prop_assert_eq!(outbox.push_held(&stanza, live()), Push::Queued);
                    given.push(at);
                }
                Operation::Row => {
                    let id = i64::try_from(at).unwrap();
                    let held = row(id);
                    prop_assert_eq!(outbox.push_held(&stanza, held), Push::Queued);
                    rows.push((given.len(), id));
                    given.push(at);
                }
                Operation::Write => {
                    wire.extend(written(&outbox));
                    out = given.len();
                }
                Operation::Probe => {
                    let begun = outbox.begin_probe(at as u64);
                    prop_assert_eq!(begun.is_some(), covered.is_none());
                    if begun.is_some() {
                        covered = Some((at as u64, out));
                    }
                }
                Operation::Answer => {
                    prop_assert!(outbox.probe_answered(u64::MAX).is_none());
                    if let Some((id, up_to)) = covered.take() {
                        let answered = outbox.probe_answered(id).unwrap();
                        rows_taken.extend(answered.rows.into_iter().map(|row| row.id));
                        taken = up_to;
                    }
                }
            }
        }
        let expected: Vec<i64> =
            rows.iter().filter(|(place, _)| *place < taken).map(|(_, id)| *id).collect();
        prop_assert_eq!(rows_taken, expected);
        let untaken: Vec<String> = given[taken..].iter().map(usize::to_string).collect();
        prop_assert_eq!(held(&outbox), untaken);
        let sent = given[..out].iter().map(|id| message(*id).as_xml().to_owned());
        prop_assert_eq!(wire, sent.collect::<Vec<_>>());
    }
}

/// It is held back for the client's sake, and must not end its stream.
#[test]
fn presence_that_is_held_back_leaves_before_it_fills_the_outbox() {
    let outbox = Outbox::new(10_000);
    outbox.set_inactive(true);
    let mut cx = Context::from_waker(Waker::noop());
    let mut given = 0;
    for n in 0..1000 {
        let xml = format!("<presence from='room@y/{n}'><status>away</status></presence>");
        let presence = Stanza::parse(Bytes::from(xml)).unwrap();
        assert_eq!(outbox.push(&presence), Push::Queued, "{n}");
        if let Poll::Ready(Wake::Bytes(batch)) = outbox.poll_take(&mut cx, usize::MAX, || 0) {
            given += batch.into_iter().count();
        }
    }
    assert!(given > 900 && !outbox.is_detached(), "{given}");
}

/// As Conversations and Gajim send it.
#[test]
fn a_chat_state_may_bear_an_id_and_hints() {
    let is_chat_state = |children: &str| {
        let state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        let xml = format!("<message type='chat'>{state}{children}</message>");
        is_only_chat_state(&Stanza::parse(Bytes::from(xml)).unwrap())
    };
    let hints = "<no-store xmlns='urn:xmpp:hints'/><no-storage xmlns='urn:xmpp:hints'/>";
    assert!(is_chat_state(hints));
    assert!(is_chat_state("<origin-id xmlns='urn:xmpp:sid:0' id='1'/>"));
    assert!(!is_chat_state("<body>b</body>"));
    assert!(!is_chat_state("<other xmlns='urn:xmpp:hints'/>"));
}
