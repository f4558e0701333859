//! The laws of custody on the exchange itself, without sockets: what was accepted for an account is
//! taken, kept in order, or returned.

// Helpers of tests fail where they stand.
#![allow(clippy::unwrap_used)]

mod contacts;
mod expiry;
mod feeds;
mod lost;
mod presence;
mod resends;
mod sessions;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use waxwing_core::binding::{Binding, UserAgent};
use waxwing_core::exchange::Receipt;
use waxwing_core::outbox::Close;
use waxwing_xmpp::{Stanza, StreamError, error::StreamCondition};

use world::{World, ids};

fn message(to: &str, id: &str) -> Stanza {
    let xml = format!(
        "<message from='romeo@localhost/orchard' to='{to}' type='chat' id='{id}'>\
         <body>hello</body></message>"
    );
    Stanza::parse(Bytes::from(xml)).unwrap()
}

fn shutdown() -> Close {
    Close::Error(StreamError::new(StreamCondition::SystemShutdown))
}

/// Between the moment a stream is told to end and the end of its session, newer messages must not
/// overtake those that it did not take.
#[tokio::test]
async fn what_a_detached_session_held_comes_before_what_is_newer() {
    let world = World::new().await;
    let juliet = world.online("juliet", "balcony").await;
    world
        .send("juliet@localhost", &message("juliet@localhost", "1"))
        .await;
    juliet.outbox.close(shutdown());
    world
        .send("juliet@localhost", &message("juliet@localhost", "2"))
        .await;
    world.exchange.unbind(&juliet);
    assert_eq!(world.waiting("juliet").await, ["1", "2"]);
}

#[tokio::test]
async fn nothing_is_stored_for_an_account_that_was_removed() {
    let world = World::new().await;
    let juliet = world.online("juliet", "balcony").await;
    let account = juliet.account.id;
    let romeo = world.online("romeo", "orchard").await;
    ids(&romeo);
    world
        .send("juliet@localhost", &message("juliet@localhost", "1"))
        .await;
    world
        .exchange
        .remove_account(&juliet.account.jid, None)
        .await
        .unwrap();
    world.exchange.unbind(&juliet);
    assert_eq!(world.rows(account).await, 0);
    // Its sender is told.
    assert_eq!(ids(&romeo), ["1"]);
}

#[tokio::test]
async fn nothing_is_stored_for_an_anonymous_user() {
    let world = World::new().await;
    let bare = world::jid("passerby@localhost");
    let binding = Binding {
        resource: Some("web"),
        ..Binding::default()
    };
    let guest = world.exchange.bind_anonymous(&bare, binding).unwrap();
    let receipt = world
        .send("passerby@localhost", &message("passerby@localhost", "1"))
        .await;
    assert!(matches!(receipt, Receipt::Bounced(_)), "{receipt:?}");
    let romeo = world.online("romeo", "orchard").await;
    ids(&romeo);
    let direct = message("passerby@localhost/web", "2");
    world.send("passerby@localhost/web", &direct).await;
    world.exchange.unbind(&guest);
    assert_eq!(world.rows(guest.account.id).await, 0);
    assert_eq!(ids(&romeo), ["2"]);
}

/// A chat message to a resource that is not there goes to all that are: when one of them ends, the
/// others have it.
#[tokio::test]
async fn what_went_to_all_sessions_does_not_come_twice_to_one() {
    let world = World::new().await;
    let (first, second) = (
        world.online("juliet", "balcony").await,
        world.online("juliet", "chamber").await,
    );
    ids(&second);
    let lost = message("juliet@localhost/elsewhere", "1");
    world.send("juliet@localhost/elsewhere", &lost).await;
    world.exchange.unbind(&first);
    assert_eq!(ids(&second), ["1"]);
    assert!(world.waiting("juliet").await.is_empty());
}

#[tokio::test]
async fn what_was_for_one_session_goes_to_the_others_when_it_ends() {
    let world = World::new().await;
    let (first, second) = (
        world.online("juliet", "balcony").await,
        world.online("juliet", "chamber").await,
    );
    ids(&second);
    let directed = message("juliet@localhost/balcony", "1");
    world.send("juliet@localhost/balcony", &directed).await;
    world.exchange.unbind(&first);
    assert_eq!(ids(&second), ["1"]);
}

/// The notice that a message expired is all that its sender will ever hear of it.
#[tokio::test]
async fn a_notice_is_in_custody_like_a_message() {
    let world = World::new().await;
    let romeo = world.online("romeo", "orchard").await;
    let notice = "<message from='juliet@localhost' to='romeo@localhost' type='error' id='1'/>";
    let notice = Stanza::parse(Bytes::from(notice)).unwrap();
    world.exchange.store_notice(&romeo.account, &notice);
    assert_eq!(ids(&romeo), ["1"]);
    world.exchange.unbind(&romeo);
    assert_eq!(world.waiting("romeo").await, ["1"]);
}

/// Without the archive a message is in memory only, until its recipient has not taken it for a moment:
/// then it is stored, and its sender told. When it is taken after all, its row goes.
#[tokio::test]
async fn what_is_not_taken_at_once_is_stored_and_then_counts() {
    let world = World::new().await;
    let juliet = world.online("juliet", "balcony").await;
    ids(&juliet);
    let romeo = world.online("romeo", "orchard").await;
    ids(&romeo);
    world.exchange.enable_management(&romeo, true, None);
    let sent = Instant::now();
    let xml = "<message to='juliet@localhost' type='chat' id='1'><body>hello</body></message>";
    world.presence(&romeo, xml).await;
    assert_eq!(ids(&juliet), ["1"], "it is delivered first");
    assert_eq!(romeo.handled(), 0);
    assert_eq!(world.rows(juliet.account.id).await, 0);

    let is_told = async {
        while romeo.handled() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = Arc::clone(&world.exchange).store_late() => {}
        () = is_told => {}
    }
    // The clock of the exchange is some milliseconds late.
    assert!(sent.elapsed() > Duration::from_millis(180));
    assert_eq!(world.rows(juliet.account.id).await, 1);

    assert_eq!(juliet.outbox.begin_probe(1), Some(1));
    assert!(world.exchange.probe_answered(&juliet, 1));
    assert_eq!(world.rows(juliet.account.id).await, 0);
}

/// The same if it is taken before that: it was never stored.
#[tokio::test]
async fn what_is_taken_at_once_is_never_stored() {
    let world = World::new().await;
    let juliet = world.online("juliet", "balcony").await;
    ids(&juliet);
    let romeo = world.online("romeo", "orchard").await;
    world.exchange.enable_management(&romeo, true, None);
    let before = world.exchange.mailbox.committed();
    let xml = "<message to='juliet@localhost' type='chat' id='1'><body>hello</body></message>";
    world.presence(&romeo, xml).await;
    assert_eq!(ids(&juliet), ["1"]);
    juliet.outbox.begin_probe(1);
    assert!(world.exchange.probe_answered(&juliet, 1));
    assert_eq!(romeo.handled(), 1);
    world.exchange.database.batch(Vec::new()).await.unwrap();
    assert_eq!(world.exchange.mailbox.committed(), before);
}

/// What is given back is not written to the ending stream as well.
#[tokio::test]
async fn an_ending_stream_is_not_sent_what_goes_back() {
    let world = World::new().await;
    let juliet = world.online("juliet", "balcony").await;
    ids(&juliet);
    world
        .send("juliet@localhost", &message("juliet@localhost", "1"))
        .await;
    assert!(juliet.outbox.drain_queue().is_empty());
    world.exchange.unbind(&juliet);
    assert_eq!(world.waiting("juliet").await, ["1"]);
}

/// What nobody has taken is for every device that comes, whoever else is being given it.
#[tokio::test]
async fn the_mailbox_is_emptied_into_each_session_by_itself() {
    let world = World::new().await;
    world.account("juliet").await;
    world
        .send("juliet@localhost", &message("juliet@localhost", "1"))
        .await;
    let first = world.online("juliet", "balcony").await;
    let second = world.online("juliet", "chamber").await;
    assert!(first.is_draining() && second.is_draining());
    world
        .presence(&first, "<presence type='unavailable'/>")
        .await;
    assert!(!first.is_draining() && second.is_draining());
}

/// A client whose connection broke comes again, under another resource: the session that it had is
/// over, and what that did not take waits for it.
#[tokio::test]
async fn a_client_that_comes_again_is_given_what_it_did_not_take() {
    let world = World::new().await;
    let bare = world.account("juliet").await;
    let bind = async |resource, id: &str| {
        let user_agent = UserAgent {
            id: Some(id.to_owned()),
            ..UserAgent::default()
        };
        let binding = Binding {
            resource,
            user_agent: Some(user_agent),
            ..Binding::default()
        };
        let session = world.bind(&bare, binding).await;
        world.presence(&session, "<presence/>").await;
        session
    };
    let (phone, desk) = (
        "d4565fa7-4d72-4749-b3d3-740edbf87770",
        "11c2d371-2d65-4a79-8a77-91ae0e0d8b5f",
    );
    let first = bind(None, phone).await;
    let to = first.jid.as_str();
    assert_eq!(first.device_key(), Some(phone));
    world.send(to, &message(to, "1")).await;
    let other = bind(None, desk).await;
    assert!(!first.outbox.is_detached());
    world
        .presence(&other, "<presence type='unavailable'/>")
        .await;

    let again = bind(Some("another"), phone).await;
    assert!(first.outbox.is_detached());
    assert!(!other.outbox.is_detached());
    assert_eq!(again.account.lock().sessions.len(), 2);
    assert_eq!(world.waiting("juliet").await, ["1"]);
    assert!(again.is_draining());
}

/// Without the archive: sessions that sleep read the mailbox when they wake, and one row is enough for
/// all of them.
#[tokio::test]
async fn what_several_sessions_sleep_through_is_stored_once() {
    let world = World::new().await;
    for resource in ["balcony", "chamber"] {
        let session = world.online("juliet", resource).await;
        world
            .exchange
            .enable_management(&session, true, None)
            .unwrap();
        session.outbox.push_enabled(Bytes::new());
        world.exchange.leave(&session);
    }
    let message = message("juliet@localhost", "1");
    let receipt = world.send("juliet@localhost", &message).await;
    assert!(matches!(receipt, Receipt::Settled), "{receipt:?}");
    assert_eq!(world.waiting("juliet").await, ["1"]);
}

/// Nothing that somebody has is refused because another session could not be given it.
#[tokio::test]
async fn what_one_session_has_is_not_refused_for_another() {
    let world = World::new().await;
    let mut settings = waxwing_core::Settings::clone(&world.exchange.settings.load());
    settings.mailbox_messages = 0;
    world.exchange.settings.store(Arc::new(settings));
    let romeo = world.online("romeo", "orchard").await;
    let asleep = world.online("juliet", "balcony").await;
    world
        .exchange
        .enable_management(&asleep, true, None)
        .unwrap();
    asleep.outbox.push_enabled(Bytes::new());
    world.exchange.leave(&asleep);
    let awake = world.online("juliet", "chamber").await;
    drop((ids(&awake), ids(&romeo)));
    let message = message("juliet@localhost", "1");
    let receipt = world.send("juliet@localhost", &message).await;
    assert!(matches!(receipt, Receipt::Settled), "{receipt:?}");
    assert_eq!(ids(&awake), ["1"]);
    assert!(
        ids(&romeo).is_empty(),
        "its sender is told that it was not taken"
    );
}

/// A row for one session alone, which nobody gives to the others, must not be forgotten because one
/// of them is ahead of it: should the server crash now, that session is gone, and its client need not
/// be known again.
#[tokio::test]
async fn what_a_cursor_passes_that_was_for_another_session_is_noted() {
    let world = World::new().await;
    let mut settings = waxwing_core::Settings::clone(&world.exchange.settings.load());
    settings.archive = true;
    world.exchange.settings.store(Arc::new(settings));
    let bare = world.account("juliet").await;
    let phone = world.bind(&bare, Binding::default()).await;
    let desk = world.online("juliet", "desk").await;
    ids(&desk);
    let enabled = world.exchange.enable_management(&desk, true, None);
    assert!(enabled.is_some());
    let to = phone.jid.as_str();
    world.send(to, &message(to, "1")).await;
    let bare = bare.as_str();
    world.send(bare, &message(bare, "2")).await;
    world.exchange.database.batch(Vec::new()).await.unwrap();
    assert_eq!(
        (ids(&phone), ids(&desk)),
        (vec!["1".into()], vec!["2".into()])
    );
    world.exchange.acknowledged(&desk, 1).unwrap();
    assert!(
        phone.account.lock().strays.is_empty(),
        "nobody else gets it"
    );
    let noted = async || {
        let count = "SELECT count(*) FROM stray";
        world.exchange.database.batch(Vec::new()).await.unwrap();
        let rows = world.exchange.database.query(count, Vec::new()).await;
        rows.unwrap()[0].int(0).unwrap()
    };
    assert_eq!(noted().await, 1);
    // Until its own client takes it.
    let probe = phone.outbox.begin_probe(1).unwrap();
    assert!(world.exchange.probe_answered(&phone, probe));
    assert_eq!(noted().await, 0);
}
