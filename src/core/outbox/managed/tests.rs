use std::task::Waker;

use waxwing_xmpp::Stanza;

use super::*;
use crate::clock::Timestamp;
use crate::outbox::tests::{live, live_since};
use crate::outbox::{MAX_UNTAKEN, ProbeNeed, Push, Wake};

const HOUR: Duration = Duration::from_secs(3600);

fn stanza(id: usize) -> Stanza {
    let xml = format!("<iq id='{id}' type='result'/>");
    Stanza::parse(Bytes::from(xml)).unwrap()
}

fn row(id: i64, in_order: bool) -> Held {
    Held::Row {
        id,
        bytes: 7,
        brief: false,
        in_order,
        directed: false,
    }
}

fn written_up_to(outbox: &Outbox, committed: i64) -> Vec<String> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    while let Poll::Ready(Wake::Bytes(batch)) = outbox.poll_take(&mut cx, 64, || committed) {
        let pieces = batch.into_iter();
        all.extend(pieces.map(|piece| String::from_utf8_lossy(&piece).into_owned()));
    }
    all
}

fn written(outbox: &Outbox) -> usize {
    written_up_to(outbox, i64::MAX).len()
}

fn managed() -> Outbox {
    let outbox = Outbox::new(10_000);
    outbox.manage(Some(HOUR));
    outbox
}

fn attach(outbox: &Outbox) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    outbox.poll_attach(&mut cx).is_ready()
}

/// Rows can wait, for they are stored; who sent what is in memory only waits for the answer.
#[test]
fn what_is_only_in_memory_is_asked_for_at_once() {
    let outbox = managed();
    for id in 1..=16 {
        outbox.push_held(&stanza(7), row(id, true));
        written(&outbox);
        let expected = if id < 16 {
            ProbeNeed::Soon
        } else {
            ProbeNeed::Now
        };
        assert_eq!(outbox.needs_probe(), expected, "{id}");
    }
    let outbox = managed();
    outbox.push_held(&stanza(1), live());
    written(&outbox);
    assert_eq!(outbox.needs_probe(), ProbeNeed::Now);
}

/// Presence and IQs alone can wait: the first message asks for them too.
#[test]
fn what_nobody_answers_for_is_asked_for_later() {
    let outbox = managed();
    outbox.push(&stanza(1));
    written(&outbox);
    assert_eq!(outbox.needs_probe(), ProbeNeed::Later);
    outbox.push_held(&stanza(2), row(1, true));
    written(&outbox);
    assert_eq!(outbox.needs_probe(), ProbeNeed::Soon);
    outbox.acknowledged(2).unwrap();
    assert_eq!(outbox.needs_probe(), ProbeNeed::None);
    for id in 3..=66 {
        assert_ne!(outbox.needs_probe(), ProbeNeed::Now);
        outbox.push(&stanza(id));
        written(&outbox);
    }
    assert_eq!(outbox.needs_probe(), ProbeNeed::Now);
}

#[test]
fn nothing_leaves_before_its_row_is_committed() {
    let outbox = Outbox::new(10_000);
    outbox.push(&stanza(1));
    outbox.push_held(&stanza(2), row(10, true));
    outbox.push(&stanza(3));
    outbox.push_copy(&stanza(4), &stanza(4), 11);
    assert_eq!(written_up_to(&outbox, 9).len(), 1);
    assert_eq!(written_up_to(&outbox, 9).len(), 0);
    assert_eq!(written_up_to(&outbox, 10).len(), 2);
    outbox.withdraw(11);
    assert_eq!(written(&outbox), 0);
    assert_eq!(outbox.queued_bytes(), 0);
}

#[test]
fn what_was_given_before_it_was_enabled_does_not_count() {
    let outbox = Outbox::new(10_000);
    outbox.push_held(&stanza(1), row(1, true));
    written(&outbox);
    outbox.manage(None);
    assert!(outbox.acknowledged(1).is_err());
    outbox.push(&stanza(2));
    written(&outbox);
    let taken = outbox.acknowledged(1).unwrap();
    assert_eq!(taken.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1]);
    assert!(!outbox.is_resumable());
}

#[test]
fn a_stream_goes_on_where_it_broke() {
    let outbox = managed();
    outbox.push(&stanza(1));
    outbox.push_held(&stanza(2), row(2, true));
    outbox.push_held(&stanza(3), row(3, false));
    outbox.push(&stanza(4));
    assert_eq!(written(&outbox), 4);
    outbox.push_held(&stanza(5), row(5, false));
    outbox.push(&stanza(6));
    let broken = outbox.sleep(Duration::ZERO);
    assert_eq!(broken.lost, [5]);
    assert!(broken.live.is_empty() && broken.directed.is_empty());
    assert_eq!(outbox.asleep_until(), Some(HOUR));
    outbox.push(&stanza(7));
    assert!(attach(&outbox));
    let (taken, rows) = outbox.resume(1).unwrap();
    assert!(taken.rows.is_empty());
    assert_eq!(rows, [(2, true), (3, false)]);
    let again = written_up_to(&outbox, i64::MAX);
    let expected = ["id='4'", "id='6'", "id='7'"];
    assert_eq!(again.len(), 3);
    assert!(
        again
            .iter()
            .zip(expected)
            .all(|(piece, id)| piece.contains(id))
    );
    // From here on it counts from the client's own count.
    assert!(outbox.acknowledged(4).is_ok());
    assert!(outbox.acknowledged(5).is_err());
}

#[test]
fn what_lived_in_memory_becomes_a_row_or_nothing() {
    let outbox = managed();
    for id in 1..=3 {
        outbox.push_held(&stanza(id), live());
    }
    written(&outbox);
    outbox.push_held(&stanza(4), live());
    let broken = outbox.sleep(Duration::ZERO);
    let places: Vec<_> = broken.live.iter().map(|(place, ..)| *place).collect();
    assert_eq!(places, [Some(0), Some(1), Some(2), None]);
    outbox.settle_broken(1, row(20, true));
    assert!(attach(&outbox));
    let (taken, rows) = outbox.resume(1).unwrap();
    assert!(taken.rows.is_empty());
    assert_eq!(rows, [(20, true)]);
    // What could not be stored is not sent as an empty stanza.
    assert_eq!(written(&outbox), 0);
    assert!(outbox.acknowledged(2).is_err());
}

#[test]
fn a_client_that_acknowledges_nothing_is_sent_so_much_and_no_more() {
    let outbox = Outbox::new(1000);
    outbox.manage(Some(HOUR));
    let mut count = 0;
    while outbox.push(&stanza(1)) == Push::Queued {
        written(&outbox);
        count += 1;
        assert!(count < 10_000);
    }
    assert!(outbox.is_detached());
}

/// The other bound: stanzas that are too small for the bytes to matter.
#[test]
fn so_many_stanzas_may_be_unacknowledged_and_no_more() {
    let outbox = Outbox::new(1 << 30);
    outbox.manage(None);
    for _ in 0..MAX_UNTAKEN {
        assert_eq!(outbox.push(&stanza(1)), Push::Queued);
        written(&outbox);
    }
    assert_eq!(outbox.push(&stanza(1)), Push::Detached);
    assert!(outbox.is_detached());
}

#[test]
fn an_acknowledgement_makes_room_for_more() {
    let outbox = Outbox::new(1000);
    outbox.manage(Some(HOUR));
    for count in 1..=5000 {
        assert_eq!(outbox.push(&stanza(1)), Push::Queued, "{count}");
        written(&outbox);
        if count % 100 == 0 {
            assert!(outbox.acknowledged(count).is_ok());
        }
    }
}

#[test]
fn what_is_sent_again_does_not_fill_the_queue() {
    let outbox = Outbox::new(1000);
    outbox.manage(Some(HOUR));
    for id in 0..100 {
        assert_eq!(outbox.push(&stanza(id)), Push::Queued);
        written(&outbox);
    }
    outbox.sleep(Duration::ZERO);
    assert!(attach(&outbox));
    outbox.resume(0).unwrap();
    assert_eq!(outbox.push(&stanza(100)), Push::Queued);
    assert_eq!(written(&outbox), 101);
    // And the bound is the old one again.
    let mut count = 0;
    while outbox.push(&stanza(1)) == Push::Queued {
        count += 1;
    }
    assert!(count < 40, "{count}");
}

#[test]
fn one_owner_at_a_time_and_none_after_the_end() {
    let outbox = managed();
    assert!(!attach(&outbox), "it has an owner");
    let mut cx = Context::from_waker(Waker::noop());
    let wake = outbox.poll_take(&mut cx, 64, || i64::MAX);
    assert!(matches!(wake, Poll::Ready(Wake::Replaced)));
    outbox.sleep(Duration::ZERO);
    assert!(attach(&outbox));
    assert!(!outbox.expire(HOUR * 2), "it has an owner");
    outbox.resume(0).unwrap();
    outbox.sleep(HOUR);
    assert!(!outbox.expire(HOUR + Duration::from_secs(1)));
    assert!(outbox.expire(HOUR * 2));
    assert!(attach(&outbox) && outbox.is_detached());
    assert_eq!(outbox.asleep(), None);
}

/// Tries that fail must not keep a session for ever.
#[test]
fn who_does_not_resume_does_not_put_off_the_end() {
    let outbox = managed();
    outbox.sleep(Duration::ZERO);
    for _ in 0..2 {
        assert!(attach(&outbox));
        assert!(outbox.resume(1).is_err(), "nothing was sent");
        outbox.sleep(HOUR / 2);
    }
    assert!(outbox.expire(HOUR));
}

#[test]
fn nothing_is_asked_before_stream_management_is_confirmed() {
    let outbox = managed();
    outbox.push(&stanza(1));
    written(&outbox);
    outbox.push_enabled(Bytes::from_static(b"<enabled/>"));
    assert_eq!(outbox.begin_probe(1), None);
    written(&outbox);
    assert_eq!(outbox.begin_probe(1), Some(1));
}

#[test]
fn what_became_a_row_is_not_counted_after_it_is_taken() {
    let outbox = managed();
    let message = stanza(100);
    outbox.push_held(&message, live());
    assert!(outbox.late_stored(message.bytes(), Some(7)));
    written(&outbox);
    assert_eq!(outbox.acknowledged(1).unwrap().rows.len(), 1);
    assert_eq!(outbox.inner.lock().held_bytes, 0);
}

#[test]
fn a_restart_changes_nothing() {
    let outbox = managed();
    outbox.push(&stanza(1));
    outbox.push_held(&stanza(2), row(2, true));
    written(&outbox);
    outbox.acknowledged(1).unwrap();
    let presence = Stanza::parse(Bytes::from_static(b"<presence from='a@b/c'/>")).unwrap();
    outbox.push(&presence);
    outbox.push(&presence);
    outbox.sleep(Duration::ZERO);
    let (asleep, max) = outbox.asleep().unwrap();
    let restored = Outbox::new(10_000);
    restored.restore(asleep.clone(), max, HOUR);
    assert_eq!(restored.asleep(), Some((asleep, HOUR)));
    assert_eq!(restored.asleep_until(), Some(HOUR * 2));
    // What could be thinned can be still.
    restored.set_inactive(true);
    assert_eq!(written(&restored), 0);
    restored.set_inactive(false);
    assert!(attach(&restored));
    assert_eq!(restored.resume(1).unwrap().1, [(2, true)]);
}

/// Until the error for a message has left, nobody may acknowledge that message.
#[test]
fn the_error_for_a_message_is_known_to_wait() {
    let outbox = managed();
    outbox.push(&stanza(1));
    outbox.push_held(&stanza(2), row(5, true));
    assert!(!outbox.refuses());
    outbox.push_refusal(&stanza(3));
    outbox.push_held(&stanza(4), row(6, true));
    let xml = |id| String::from_utf8_lossy(stanza(id).bytes()).into_owned();
    assert_eq!(written_up_to(&outbox, 4), [xml(1)]);
    assert!(outbox.refuses());
    assert_eq!(written_up_to(&outbox, 5), [xml(2), xml(3)]);
    assert!(!outbox.refuses());
    assert_eq!(written_up_to(&outbox, 6), [xml(4)]);
    // A broken connection changes nothing.
    outbox.push_held(&stanza(5), row(7, true));
    outbox.push_refusal(&stanza(6));
    outbox.sleep(Duration::ZERO);
    assert!(attach(&outbox) && outbox.refuses());
    outbox.resume(3).unwrap();
    assert!(outbox.refuses());
    assert_eq!(written_up_to(&outbox, 6), [xml(6)]);
    assert!(!outbox.refuses());
}

/// A client that lets its connection break again and again, and acknowledges nothing.
#[test]
fn what_is_sent_again_and_again_makes_no_more_room() {
    let outbox = managed();
    outbox.push(&stanza(1));
    outbox.push_held(&stanza(2), row(1, true));
    for _ in 0..20_000 {
        assert_eq!(written_up_to(&outbox, 0).len(), 1);
        outbox.sleep(Duration::ZERO);
        assert!(attach(&outbox));
        outbox.resume(0).unwrap();
        outbox.push_held(&stanza(2), row(1, true));
    }
    let bytes = stanza(3).bytes().len();
    let pushed = (0..).take_while(|_| outbox.push(&stanza(3)) == Push::Queued);
    assert!(
        pushed.count() * bytes <= 10_000 * 17,
        "it takes what it likes"
    );
}

/// Else they would be lost: their client cannot resume what it was given before.
#[test]
fn what_was_given_before_it_was_enabled_is_given_back_at_a_break() {
    let outbox = Outbox::new(10_000);
    outbox.push_held(&stanza(1), live());
    outbox.push_held(&stanza(2), row(2, false));
    outbox.push_held(&stanza(3), row(3, true));
    written(&outbox);
    outbox.manage(Some(HOUR));
    let broken = outbox.sleep(Duration::ZERO);
    assert_eq!(broken.live.len(), 1);
    assert_eq!(broken.live[0].1, *stanza(1).bytes());
    assert_eq!(broken.lost, [2, 3], "whether in order or not");
}

#[test]
fn what_could_not_be_stored_meanwhile_is_sent_again() {
    let outbox = managed();
    let message = stanza(1);
    outbox.push_held(&message, live());
    written(&outbox);
    assert_eq!(outbox.take_late(Timestamp(1), Timestamp(2)).0.len(), 1);
    outbox.sleep(Duration::ZERO);
    assert!(outbox.late_stored(message.bytes(), None));
    assert!(attach(&outbox));
    outbox.resume(0).unwrap();
    assert_eq!(written(&outbox), 1);
    assert!(outbox.holds_messages());
}

/// A clock that is set back makes nothing wait for longer.
#[test]
fn what_seems_to_come_from_the_future_is_late() {
    let late = |received: i64| {
        let outbox = managed();
        outbox.push_held(&stanza(1), live_since(received));
        let (late, is_more) = outbox.take_late(Timestamp(1000), Timestamp(1200));
        (late.len(), is_more)
    };
    assert_eq!(late(1000), (1, false));
    assert_eq!(late(1001), (0, true));
    assert_eq!(late(1200), (0, true));
    assert_eq!(late(1201), (1, false));
}
