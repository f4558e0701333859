//! What a session is shown when it comes, and how much a presence may hold.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use waxwing_core::binding::Binding;
use waxwing_core::drain::Page;
use waxwing_core::outbox::Wake;
use waxwing_core::{Session, Settings};
use waxwing_xmpp::Stanza;

use crate::world::World;

/// Everything that waits to be written to a session.
fn written(session: &Session) -> Vec<Stanza> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut stanzas = Vec::new();
    while let Poll::Ready(wake) = session.outbox.poll_take(&mut cx, 64, || i64::MAX) {
        let Wake::Bytes(pieces) = wake else { continue };
        stanzas.extend(
            pieces
                .into_iter()
                .map(|piece| Stanza::parse(piece).unwrap()),
        );
    }
    stanzas
}

fn names(stanzas: &[Stanza]) -> Vec<String> {
    let local = |stanza: &Stanza| Some(stanza.from()?.split('@').next()?.to_owned());
    let mut names: Vec<String> = stanzas.iter().filter_map(local).collect();
    names.sort();
    names
}

/// With an outbox of so many bytes.
async fn world(outbox_bytes: usize) -> World {
    let world = World::new().await;
    let settings = world.exchange.settings.load();
    world.exchange.settings.store(Arc::new(Settings {
        outbox_bytes,
        ..Settings::clone(&settings)
    }));
    world
}

/// Reads what a session is given until there is nothing more, as its connection does.
async fn read_all(world: &World, session: &Arc<Session>) -> Vec<Stanza> {
    let mut all = written(session);
    while session.is_draining() {
        let page = world.exchange.drain_page(session).await.unwrap();
        all.extend(written(session));
        if matches!(page, Page::Done) {
            break;
        }
    }
    all
}

/// Ten contacts with 4000 bytes of presence each, and ten requests, into an outbox of 32 KiB.
#[tokio::test]
async fn more_presence_than_an_outbox_holds_comes_in_portions() {
    let world = world(32 * 1024).await;
    let juliet = world.online("juliet", "balcony").await;
    let text = "x".repeat(4000);
    let mut contacts = Vec::new();
    for number in 0..10 {
        let contact = world.online(&format!("contact{number}"), "desk").await;
        let available = format!("<presence><status>{text}</status></presence>");
        world.presence(&contact, &available).await;
        let ask = format!("<presence type='subscribe' to='contact{number}@localhost'/>");
        world.presence(&juliet, &ask).await;
        let allow = "<presence type='subscribed' to='juliet@localhost'/>";
        world.presence(&contact, allow).await;
        let name = format!("stranger{number}");
        let stranger = world.online(&name, "desk").await;
        let ask = format!(
            "<presence type='subscribe' to='juliet@localhost'><status>{text}</status></presence>"
        );
        world.presence(&stranger, &ask).await;
        written(&juliet);
        contacts.push(contact);
    }
    world.exchange.unbind(&juliet);
    let again = world.online("juliet", "balcony").await;
    assert!(!again.outbox.is_detached());
    assert!(again.is_draining());
    let shown = read_all(&world, &again).await;
    assert!(!again.is_draining());
    let mut wanted: Vec<String> = (0..10)
        .flat_map(|number| [format!("contact{number}"), format!("stranger{number}")])
        .chain(["juliet".to_owned()])
        .collect();
    wanted.sort();
    assert_eq!(names(&shown), wanted);
}

#[tokio::test]
async fn who_goes_while_it_is_greeted_is_shown_no_more() {
    let world = world(32 * 1024).await;
    let juliet = world.online("juliet", "balcony").await;
    for number in 0..20 {
        let stranger = world.online(&format!("stranger{number}"), "desk").await;
        let ask = format!(
            "<presence type='subscribe' to='juliet@localhost'><status>{}</status></presence>",
            "x".repeat(1800)
        );
        world.presence(&stranger, &ask).await;
        written(&juliet);
    }
    world.exchange.unbind(&juliet);
    let again = world.online("juliet", "balcony").await;
    assert!(again.is_draining());
    written(&again);
    world
        .presence(&again, "<presence type='unavailable'/>")
        .await;
    assert!(!again.is_draining());
    world.presence(&again, "<presence/>").await;
    assert!(again.is_draining());
    again.outbox.drain_queue();
    let page = world.exchange.drain_page(&again).await.unwrap();
    assert!(matches!(page, Page::Done) && !again.is_draining());
}

#[tokio::test]
async fn a_long_request_is_shortened_and_a_short_one_is_not() {
    let world = World::new().await;
    let romeo = world.online("romeo", "orchard").await;
    let (nick, long) = ("<nick xmlns='n'>Romeo</nick>", "ö".repeat(3000));
    let ask = async |name: &str, status: &str| {
        let bare = world.account(name).await;
        let xml = format!(
            "<presence type='subscribe' id='ask' to='{bare}'><status>{status}</status>\
             <other xmlns='o'>{status}</other>{nick}</presence>"
        );
        world.presence(&romeo, &xml).await;
        let account = world.exchange.account(bare.as_str()).await.unwrap();
        let account = account.unwrap();
        let state = account.lock();
        state.roster.get("romeo@localhost").unwrap().request.clone()
    };
    let short = ask("juliet", "please").await.unwrap();
    assert!(short.as_xml().contains("<other xmlns='o'>please</other>"));
    let cut = ask("nurse", &long).await.unwrap().to_element();
    assert_eq!(cut.attr("id"), Some("ask"));
    assert_eq!(cut.attr("from"), Some("romeo@localhost"));
    let status = cut.get_child("status", "jabber:client").unwrap().text();
    assert_eq!(status, "ö".repeat(512));
    assert!(cut.has_child("nick", "n") && !cut.has_child("other", "o"));
}

#[tokio::test]
async fn a_presence_that_is_too_long_is_refused() {
    let world = World::new().await;
    let bare = world.account("juliet").await;
    let juliet = world.bind(&bare, Binding::default()).await;
    let text = "x".repeat(17_000);
    let presence = format!("<presence id='p'><status>{text}</status></presence>");
    world.presence(&juliet, &presence).await;
    assert!(bare_is_absent(&juliet));
    let answers = written(&juliet);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].is_error() && answers[0].as_xml().contains("policy-violation"));
}

fn bare_is_absent(session: &Session) -> bool {
    session.account.lock().available().next().is_none()
}
