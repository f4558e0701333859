//! Sessions that are taken up again within SASL2: XEP-0198 §9.2.

use libtest_mimic::Trial;
use minidom::Element;

use super::{again, begin};
use crate::harness::Outcome;
use crate::harness::accounts::Account;
use crate::harness::client::Client;
use crate::harness::sasl2::{BIND2, identity, request_token, token, user_agent};
use crate::harness::server::Server;
use crate::harness::xml::{CLIENT, SM, show};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![the_stream_goes_on_at_once]
}

/// A session that is resumed is not bound and has no features; what it did not take comes behind
/// `<success/>`. Where nobody stays to take it, the session waits for the next connection.
fn the_stream_goes_on_at_once() -> Outcome {
    let (mut lost, account) = begin("resumed")?;
    let sender = Server::shared_account("sender")?;
    let mut sender = Client::connect(&Server::shared()?, &sender, None)?;
    let asked = format!(
        "{}<bind xmlns='{BIND2}'><tag>Test</tag><enable xmlns='{SM}' resume='true'/></bind>{}",
        user_agent(),
        request_token("HT-SHA-256-NONE")
    );
    let success = lost.scram2(&account, &asked)?;
    let jid = lost.bound2(&success)?;
    let bound = success.get_child("bound", BIND2);
    let enabled = bound.and_then(|bound| bound.get_child("enabled", SM));
    let id = enabled.and_then(|enabled| enabled.attr("id"));
    let id = id.ok_or_else(|| show(&success))?;
    // Two stanzas each way: the own presence, and a ping with its answer.
    lost.send("<presence/>")?;
    lost.sync()?;
    sender.send(&message(&account, "sent before"))?;
    sender.sync()?;
    lost.vanish();
    sender.send(&message(&account, "sent after"))?;
    sender.sync()?;
    let more = format!("{asked}<resume xmlns='{SM}' previd='{id}' h='2'/>");
    for stays in [false, true] {
        let mut back = again()?;
        let success = back.scram2(&account, &more)?;
        ensure!(identity(&success)? == jid, "{} after {jid}", show(&success));
        let resumed = success.get_child("resumed", SM);
        ensure!(
            resumed.is_some_and(
                |resumed| resumed.attr("previd") == Some(id) && resumed.attr("h") == Some("2")
            ) && !success.has_child("bound", BIND2),
            "{}",
            show(&success)
        );
        token(&success)?;
        if stays {
            back.jid = Some(jid.clone());
            expect_both(&back.stanzas()?)?;
            back.disconnect()?;
        }
    }
    Ok(())
}

fn message(to: &Account, id: &str) -> String {
    format!(
        "<message to='{}' type='chat' id='{id}'><body>hello</body></message>",
        to.jid()
    )
}

/// Nothing but stanzas and counts, and among them the messages in order.
fn expect_both(came: &[Element]) -> Outcome {
    let ids: Vec<_> = came
        .iter()
        .filter(|element| element.is("message", CLIENT))
        .filter_map(|message| message.attr("id"))
        .collect();
    let is_right = |element: &Element| element.ns() == CLIENT || element.is("a", SM);
    ensure!(
        ids == ["sent before", "sent after"] && came.iter().all(is_right),
        "{:?}",
        came.iter().map(show).collect::<Vec<_>>()
    );
    Ok(())
}
