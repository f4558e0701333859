use std::sync::Arc;

use waxwing_core::binding::Binding;
use waxwing_core::powers::{Boxed, Extension, Inline, Specification};
use waxwing_core::streams::Unserved;
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::Jid;

use super::super::bind::{begin, bound};
use super::*;
use crate::{config, server};

const NS: &str = "urn:example:wave";

/// Waves back if it is waved to, and always says where the sea is.
struct Wave;

impl Extension for Wave {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0000",
            title: "Waves",
            version: "1",
            features: &[],
        }
    }
}

impl Inline for Wave {
    fn bind_feature(&self) -> &'static str {
        NS
    }

    fn sasl2_feature(&self) -> Option<&'static str> {
        Some("<wave xmlns='urn:example:wave'/>")
    }

    fn bound(&self, _: &Exchange, session: &Arc<Session>, request: &Element) -> Option<String> {
        let wave = request.get_child("wave", NS)?;
        let (text, local) = (wave.text(), session.jid.local()?);
        Some(format!("<waved xmlns='{NS}'>{text} {local}</waved>"))
    }

    fn always<'a>(&'a self, _: &'a Exchange, _: &'a Session) -> Option<Boxed<'a, Option<String>>> {
        Some(Box::pin(async { Some(format!("<sea xmlns='{NS}'/>")) }))
    }
}

/// An exchange on which that extension can act, and a session there.
async fn exchange() -> (tempfile::TempDir, Arc<Exchange>, Arc<Session>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    let config = config::parse("", &path, std::iter::empty()).unwrap();
    let mut exchange = server::open(&config).await.unwrap();
    let powers = &mut Arc::get_mut(&mut exchange).unwrap().powers;
    powers.inline = vec![Arc::new(Wave)];
    let romeo = Jid::parse("romeo@localhost").unwrap();
    let session = exchange.bind_anonymous(&romeo, Binding::default()).unwrap();
    (directory, exchange, session)
}

fn element(xml: &str) -> Element {
    dom::parse(xml.as_bytes()).unwrap()
}

#[tokio::test]
async fn extensions_act_when_a_session_is_bound() {
    let (_directory, exchange, session) = exchange().await;
    let asked =
        element("<bind xmlns='urn:xmpp:bind:0'><wave xmlns='urn:example:wave'>O</wave></bind>");
    assert_eq!(
        bound(&exchange, &session, &asked).await,
        "<bound xmlns='urn:xmpp:bind:0'><waved xmlns='urn:example:wave'>O romeo</waved>\
         <sea xmlns='urn:example:wave'/></bound>"
    );
    let not_asked = element("<bind xmlns='urn:xmpp:bind:0'><wave xmlns='other'/></bind>");
    assert_eq!(
        bound(&exchange, &session, &not_asked).await,
        "<bound xmlns='urn:xmpp:bind:0'><sea xmlns='urn:example:wave'/></bound>"
    );
}

#[tokio::test]
async fn what_is_inline() {
    let (_directory, exchange, _) = exchange().await;
    let offer = Offer {
        mechanisms: Vec::new(),
        bindings: Vec::new(),
        advertise_bindings: true,
    };
    assert_eq!(
        inline_features(&exchange.powers, &offer),
        "<bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:example:wave'/></inline></bind>\
         <wave xmlns='urn:example:wave'/>\
         <fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism></fast>"
    );
    assert_eq!(
        inline_features(&Powers::default(), &offer),
        "<bind xmlns='urn:xmpp:bind:0'/>"
    );
}

#[tokio::test]
async fn a_session_that_nobody_came_to_serve_ends() {
    let (_directory, exchange, session) = exchange().await;
    let account = Arc::clone(&session.account);
    let unserved = Unserved::new(&exchange, Arc::clone(&session));
    assert!(begin(unserved, String::from("first")).is_some());
    assert_eq!(account.lock().sessions.len(), 1);
    assert_eq!(session.outbox.queued_bytes(), "first".len());
    drop(Unserved::new(&exchange, session));
    assert!(account.lock().sessions.is_empty());
}

/// To the session it is as if the connection had broken: it sleeps, and the next one may have it.
#[tokio::test]
async fn a_resumed_session_that_nobody_came_to_serve_sleeps() {
    let (_directory, exchange, _) = exchange().await;
    let juliet = Jid::parse("juliet@localhost").unwrap();
    let made = exchange.accounts.create(&juliet, "secret", false).await;
    made.unwrap();
    let account = exchange.account(juliet.as_str()).await.unwrap().unwrap();
    let session = exchange.bind(&account, Binding::default()).unwrap();
    let enabled = exchange.enable_management(&session, true, None).unwrap();
    let enabled = element(&enabled);
    let id = enabled.attr("id").unwrap();
    exchange.leave(&session);
    for _ in 0..2 {
        assert!(session.outbox.asleep_until().is_some());
        let Ok((resumed, _)) = exchange.resume(&juliet, id, 0).await else {
            panic!("it is gone");
        };
        assert!(session.outbox.asleep_until().is_none());
        drop(resumed);
    }
    assert!(session.outbox.asleep_until().is_some());
}

#[test]
fn parts_of_a_request() {
    let request = |parts: &str| {
        element(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>{parts}</authenticate>"
        ))
    };
    let id = "d4565fa7-4d72-4749-b3d3-740edbf87770";
    let agent = format!("<user-agent id='{id}'/>");
    assert_eq!(read(&request("")), Ok(None));
    let found = read(&request(&agent)).unwrap().unwrap();
    assert_eq!(found.id.as_deref(), Some(id));
    let elsewhere = format!("{agent}<user-agent xmlns='other' id='x'/><more/>");
    assert!(read(&request(&elsewhere)).is_ok());
    for part in [
        agent.as_str(),
        "<initial-response/>",
        "<bind xmlns='urn:xmpp:bind:0'/>",
        "<resume xmlns='urn:xmpp:sm:3'/>",
        "<fast xmlns='urn:xmpp:fast:0'/>",
        "<request-token xmlns='urn:xmpp:fast:0'/>",
        "<more/>",
    ] {
        assert!(read(&request(part)).is_ok(), "{part}");
        let twice = read(&request(&format!("{part}{part}")));
        assert_eq!(twice, Err(Failure::MalformedRequest), "{part}");
    }
    let malformed = read(&request("<user-agent id='phone'/>"));
    assert_eq!(malformed, Err(Failure::MalformedRequest));
}
