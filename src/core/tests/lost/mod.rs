//! What is kept nowhere, and was for a session that nobody came back for.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use waxwing_core::Session;
use waxwing_core::outbox::Wake;
use waxwing_xmpp::Stanza;

use super::shutdown;
use super::world::{World, ids};

const TO_HER: &str = "from='romeo@localhost/orchard' to='juliet@localhost/balcony'";
const TO_ALL: &str = "from='romeo@localhost/orchard' to='juliet@localhost'";

fn stanza(xml: &str) -> Stanza {
    Stanza::parse(Bytes::from(xml.to_owned())).unwrap()
}

fn request(id: &str) -> Stanza {
    stanza(&format!(
        "<iq {TO_HER} type='get' id='{id}'><q xmlns='urn:example'/></iq>"
    ))
}

fn text(addresses: &str, id: &str) -> Stanza {
    stanza(&format!(
        "<message {addresses} type='chat' id='{id}'><body>x</body></message>"
    ))
}

/// A session of juliet's that can be resumed.
async fn resumable(world: &World) -> Arc<Session> {
    let juliet = world.online("juliet", "balcony").await;
    ids(&juliet);
    let enabled = world.exchange.enable_management(&juliet, true, None);
    assert!(enabled.is_some());
    juliet
}

/// The ids of the errors that a session is given.
fn errors(session: &Session) -> Vec<String> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut errors = Vec::new();
    while let Poll::Ready(Wake::Bytes(pieces)) = session.outbox.poll_take(&mut cx, 64, || 0) {
        let stanzas = pieces
            .into_iter()
            .map(|piece| Stanza::parse(piece).unwrap());
        let told = stanzas.filter(Stanza::is_error);
        errors.extend(told.map(|error| error.id().unwrap().into_owned()));
    }
    errors
}

#[tokio::test]
async fn who_asked_or_wrote_is_told() {
    let world = World::new().await;
    let romeo = world.online("romeo", "orchard").await;
    let juliet = resumable(&world).await;
    juliet.outbox.push(&request("1"));
    juliet
        .outbox
        .push(&stanza(&format!("<iq {TO_HER} type='result' id='2'/>")));
    juliet.outbox.push(&text(TO_HER, "3"));
    let nothing =
        format!("<message {TO_HER} type='chat' id='4'><q xmlns='urn:example'/></message>");
    juliet.outbox.push(&stanza(&nothing));
    // Some of it was written, and some was not.
    let mut cx = Context::from_waker(Waker::noop());
    assert!(juliet.outbox.poll_take(&mut cx, 1, || 0).is_ready());
    juliet.outbox.push(&request("5"));
    world.exchange.leave(&juliet);
    assert!(juliet.outbox.asleep_until().is_some());
    assert!(errors(&romeo).is_empty(), "it may come back");
    juliet.outbox.close(shutdown());
    world.exchange.end_streams();
    assert_eq!(errors(&romeo), ["1", "3", "5"]);
}

#[tokio::test]
async fn what_another_session_was_given_too_has_arrived() {
    let world = World::new().await;
    let romeo = world.online("romeo", "orchard").await;
    let juliet = resumable(&world).await;
    juliet.outbox.push(&text(TO_ALL, "1"));
    juliet.outbox.push(&text(TO_HER, "2"));
    world.exchange.leave(&juliet);
    let desk = world.online("juliet", "desk").await;
    juliet.outbox.close(shutdown());
    world.exchange.end_streams();
    assert_eq!(errors(&romeo), ["2"], "the first was for {} too", desk.jid);
}

/// Its client binds anew instead.
#[tokio::test]
async fn a_session_that_is_replaced_while_it_sleeps_has_lost_it_as_well() {
    let world = World::new().await;
    let romeo = world.online("romeo", "orchard").await;
    let juliet = resumable(&world).await;
    juliet.outbox.push(&request("1"));
    world.exchange.leave(&juliet);
    world.online("juliet", "balcony").await;
    assert_eq!(errors(&romeo), ["1"]);
}

/// While its own client may come back, a private message is for nobody else.
#[tokio::test]
async fn what_is_private_waits_for_its_client() {
    let world = World::new().await;
    let mut settings = waxwing_core::Settings::clone(&world.exchange.settings.load());
    settings.archive = true;
    world.exchange.settings.store(Arc::new(settings));
    let juliet = resumable(&world).await;
    let desk = world.online("juliet", "desk").await;
    ids(&desk);
    ids(&juliet);
    let private = |id: &str| {
        let private = "<private xmlns='urn:xmpp:carbons:2'/>";
        let start = format!("<message {TO_HER} type='chat' id='{id}'>");
        stanza(&format!("{start}<body>x</body>{private}</message>"))
    };
    let to = juliet.jid.as_str();
    world.send(to, &private("1")).await;
    world.exchange.database.batch(Vec::new()).await.unwrap();
    assert_eq!(ids(&juliet), ["1"]);
    world.exchange.leave(&juliet);
    world.send(to, &private("2")).await;
    world.exchange.database.batch(Vec::new()).await.unwrap();
    assert!(ids(&desk).is_empty());
    assert!(juliet.account.lock().strays.is_empty());
    juliet.outbox.close(shutdown());
    world.exchange.end_streams();
    assert_eq!(
        juliet.account.lock().strays.len(),
        2,
        "it does not come back"
    );
}
