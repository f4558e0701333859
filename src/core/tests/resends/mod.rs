//! Messages that are sent again, and those that only look like it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use waxwing_core::Session;
use waxwing_core::drain::Page;

use super::world::{World, ids, jid};

/// One takes what the other has not yet, and there is no archive that has it.
#[tokio::test]
async fn a_row_stays_for_every_session_that_was_promised_it() {
    let world = World::new().await;
    let juliet = jid("juliet@localhost");
    let mut streams = Vec::new();
    for resource in ["balcony", "chamber"] {
        let session = world.online("juliet", resource).await;
        ids(&session);
        let enabled = world.exchange.enable_management(&session, true, None);
        let enabled = enabled.unwrap();
        let id = enabled.split("id='").nth(1).unwrap().split('\'').next();
        streams.push(id.unwrap().to_owned());
        world.exchange.leave(&session);
    }
    let message = super::message("juliet@localhost", "1");
    world.send("juliet@localhost", &message).await;
    for (n, stream) in streams.iter().enumerate() {
        assert_eq!(world.waiting("juliet").await, ["1"], "before session {n}");
        let resumed = world.exchange.resume(&juliet, stream, 0).await;
        let (unserved, _) = resumed.ok().unwrap();
        let session = unserved.serve().unwrap();
        while let Page::More = world.exchange.drain_page(&session).await.unwrap() {}
        assert_eq!(ids(&session), ["1"]);
        // The first has been shown the presence of the second too.
        let h = 2 - u32::try_from(n).unwrap();
        world.exchange.acknowledged(&session, h).unwrap();
    }
    assert!(world.waiting("juliet").await.is_empty());
}

const MESSAGE: &str = "<message to='juliet@localhost' type='chat' id='1'><body>x</body></message>";

/// Romeo, who has sent the message by a stream that acknowledges, and heard that it is stored.
async fn sent(world: &World) -> Arc<Session> {
    world.account("juliet").await;
    let romeo = world.online("romeo", "orchard").await;
    ids(&romeo);
    assert!(
        world
            .exchange
            .enable_management(&romeo, true, None)
            .is_some()
    );
    world.presence(&romeo, MESSAGE).await;
    world.exchange.database.batch(Vec::new()).await.unwrap();
    assert_eq!(romeo.handled(), 1);
    romeo
}

/// The same in a new session.
async fn again(world: &World) -> Vec<String> {
    let romeo = world.online("romeo", "orchard").await;
    world.presence(&romeo, MESSAGE).await;
    world.waiting("juliet").await
}

#[tokio::test]
async fn what_a_broken_stream_may_have_left_unanswered_is_sent_again_in_vain() {
    let world = World::new().await;
    let romeo = sent(&world).await;
    world.exchange.unbind(&romeo);
    world.ahead_ms.store(3_600_000, Relaxed);
    assert_eq!(again(&world).await, ["1"]);
}

/// An id is unique within a stream, not beyond: some clients count from the start again.
#[tokio::test]
async fn after_a_stream_that_was_closed_in_order_a_message_is_a_new_one() {
    let world = World::new().await;
    let romeo = sent(&world).await;
    world.ahead_ms.store(11_000, Relaxed);
    assert_eq!(world.exchange.finish_stream(&romeo), Some(1));
    world.exchange.unbind(&romeo);
    assert_eq!(again(&world).await, ["1", "1"]);
}

#[tokio::test]
async fn an_acknowledgement_just_before_the_end_may_not_have_been_read() {
    let world = World::new().await;
    let romeo = sent(&world).await;
    world.ahead_ms.store(9_000, Relaxed);
    assert_eq!(world.exchange.finish_stream(&romeo), Some(1));
    world.exchange.unbind(&romeo);
    assert_eq!(again(&world).await, ["1"]);
}

#[tokio::test]
async fn a_stream_with_open_messages_does_not_end_well() {
    let world = World::new().await;
    world.account("juliet").await;
    let romeo = world.online("romeo", "orchard").await;
    assert_eq!(
        world.exchange.finish_stream(&romeo),
        None,
        "nothing is acknowledged"
    );
    assert!(
        world
            .exchange
            .enable_management(&romeo, true, None)
            .is_some()
    );
    let juliet = world.online("juliet", "balcony").await;
    ids(&juliet);
    world.presence(&romeo, MESSAGE).await;
    assert_eq!(
        world.exchange.finish_stream(&romeo),
        None,
        "nobody has taken it"
    );
}
