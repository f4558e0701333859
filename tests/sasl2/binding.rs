//! Resources bound on the way: XEP-0386 (Bind 2).

use libtest_mimic::Trial;

use super::{LEGACY_BIND, again, begin};
use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::sasl;
use crate::harness::sasl2::{BIND, BIND2, FAST, SASL2, authenticate, identity, user_agent};
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{CLIENT, STREAM, show};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        with_binding,
        with_everything_that_a_client_asks_for,
        waiting_messages_come_behind_the_features,
        a_client_keeps_its_resource,
        a_client_replaces_itself_only,
        a_client_replaces_itself_without_bind_2,
        a_tag_that_no_address_can_hold,
        too_many_sessions,
        no_session_to_resume,
    ]
}

fn with_binding() -> Outcome {
    let (mut client, account) = begin("bound")?;
    let success = client.plain2(&account, BIND)?;
    ensure!(
        !success.has_child("additional-data", SASL2),
        "PLAIN has no last message: {}",
        show(&success)
    );
    let jid = identity(&success)?;
    ensure!(
        jid.starts_with(&format!("{}/Test.", account.jid())),
        "bound as {jid}"
    );
    ensure!(success.has_child("bound", BIND2), "{}", show(&success));
    client.jid = Some(jid);
    let features = client.expect("features", STREAM)?;
    ensure!(
        !features.has_child("bind", LEGACY_BIND)
            && !features.has_child("session", "urn:ietf:params:xml:ns:xmpp-session"),
        "a client that is bound is asked to bind: {}",
        show(&features)
    );
    client.send("<presence/>")?;
    client.sync()?;
    client.send(&format!(
        "<message to='{}' type='chat' id='own'><body>hello</body></message>",
        account.jid()
    ))?;
    let came = client.stanzas()?;
    ensure!(
        came.iter().any(|stanza| stanza.attr("id") == Some("own")),
        "the message did not come"
    );
    client.disconnect()
}

/// What Conversations asks for at once, and more that no server knows.
fn with_everything_that_a_client_asks_for() -> Outcome {
    let (mut client, account) = begin("everything")?;
    let more = format!(
        "{}<bind xmlns='{BIND2}'><tag>Conversations</tag><enable xmlns='urn:xmpp:carbons:2'/>\
         <enable xmlns='urn:xmpp:sm:3' resume='true'/><inactive xmlns='urn:xmpp:csi:0'/>\
         <unknown xmlns='urn:example:unknown'><deep><deeper/></deep></unknown></bind>\
         <request-token xmlns='{FAST}' mechanism='HT-SHA-256-EXPR'/>\
         <resume xmlns='urn:xmpp:sm:3' previd='long-ago' h='7'/>\
         <unknown xmlns='urn:example:unknown'/>",
        user_agent()
    );
    let success = client.scram2(&account, &more)?;
    let jid = client.bound2(&success)?;
    ensure!(jid.contains("/Conversations."), "bound as {jid}");
    client.sync()
}

/// XEP-0386 would have the messages cleared, which loses those that its archive does not show a
/// client. They come, and nothing comes before the success and the features.
fn waiting_messages_come_behind_the_features() -> Outcome {
    let (mut client, account) = begin("waiting")?;
    let sender = Server::shared_account("sender")?;
    let mut sender = Client::connect(&Server::shared()?, &sender, None)?;
    for id in ["1", "2"] {
        sender.send(&format!(
            "<message to='{}' type='chat' id='{id}'><body>{id}</body></message>",
            account.jid()
        ))?;
    }
    sender.sync()?;
    let plain = sasl::plain("", &account.user, &account.password);
    let request = authenticate("PLAIN", Some(&plain), BIND);
    client.send(&format!("{request}<presence/>"))?;
    let success = client.stanza()?;
    client.bound2(&success)?;
    let came = client.stanzas()?;
    let ids: Vec<_> = came
        .iter()
        .filter(|stanza| stanza.is("message", CLIENT))
        .filter_map(|stanza| stanza.attr("id"))
        .collect();
    ensure!(ids == ["1", "2"], "{ids:?} came");
    client.take_all()
}

fn a_client_keeps_its_resource() -> Outcome {
    let (mut first, account) = begin("stable")?;
    let more = user_agent() + BIND;
    let success = first.plain2(&account, &more)?;
    let jid = first.bound2(&success)?;
    let mut second = again()?;
    let success = second.plain2(&account, &more)?;
    ensure!(
        second.bound2(&success)? == jid,
        "{} after {jid}",
        second.full()
    );
    first.expect_error("conflict")?;
    let id = more.split('\'').nth(1).unwrap_or_default();
    ensure!(
        id.split('-').all(|part| !jid.contains(part)),
        "{jid} shows {id}"
    );
    second.sync()
}

fn a_client_replaces_itself_only() -> Outcome {
    let (mut first, account) = begin("two")?;
    let success = first.plain2(&account, &(user_agent() + BIND))?;
    let jid = first.bound2(&success)?;
    let mut second = again()?;
    let success = second.plain2(&account, &(user_agent() + BIND))?;
    ensure!(
        second.bound2(&success)? != jid,
        "two clients are both {jid}"
    );
    first.sync()?;
    // The same installation of a client may serve two accounts.
    let other = Server::shared_account("other")?;
    let agent = user_agent();
    for (client, account) in [(&mut first, &account), (&mut second, &other)] {
        *client = again()?;
        let success = client.plain2(account, &format!("{agent}{BIND}"))?;
        client.bound2(&success)?;
    }
    first.sync()?;
    second.sync()
}

/// Gajim knows SASL2 and not Bind 2.
fn a_client_replaces_itself_without_bind_2() -> Outcome {
    let (mut first, account) = begin("gajim")?;
    let agent = user_agent();
    let mut second = again()?;
    for (client, resource) in [(&mut first, "gajim.1"), (&mut second, "gajim.2")] {
        let success = client.scram2(&account, &agent)?;
        identity(&success)?;
        client.expect("features", STREAM)?;
        client.bind(Some(resource))?;
    }
    first.expect_error("conflict")?;
    second.sync()
}

fn a_tag_that_no_address_can_hold() -> Outcome {
    let long = "x".repeat(2000);
    for tag in ["", " ", "\u{2028}", &long] {
        let (mut client, account) = begin("tag")?;
        let bind = format!("<bind xmlns='{BIND2}'><tag>{tag}</tag></bind>");
        let success = client.plain2(&account, &bind)?;
        let jid = client.bound2(&success)?;
        ensure!(jid.len() < 200, "{tag:?} made {jid}");
        client.sync()?;
    }
    Ok(())
}

/// There is nothing in XEP-0386 by which a binding could be refused: the client is authenticated,
/// and learns the reason where RFC 6120 has one.
fn too_many_sessions() -> Outcome {
    let options = ServerOptions::new().set("limits.sessions_per_account", 1);
    let mut server = Server::start(&options)?;
    let account = server.account("romeo")?;
    let agent = user_agent();
    let mut first = Client::stream(&server.target()?)?;
    let success = first.scram2(&account, &format!("{agent}{BIND}"))?;
    first.bound2(&success)?;
    let mut second = Client::stream(&server.target()?)?;
    let success = second.scram2(&account, BIND)?;
    ensure!(identity(&success)? == account.jid(), "{}", show(&success));
    ensure!(!success.has_child("bound", BIND2), "{}", show(&success));
    let features = second.expect("features", STREAM)?;
    ensure!(features.has_child("bind", LEGACY_BIND), "no binding");
    second.send(&format!(
        "<iq type='set' id='bind'><bind xmlns='{LEGACY_BIND}'/></iq>"
    ))?;
    let answer = second.stanza()?;
    ensure!(
        show(&answer).contains("resource-constraint"),
        "{}",
        show(&answer)
    );
    first.sync()?;
    // Its own place is always its own.
    let mut third = Client::stream(&server.target()?)?;
    let success = third.scram2(&account, &format!("{agent}{BIND}"))?;
    third.bound2(&success)?;
    server.terminate()
}

/// XEP-0386 §3.2: the failure is told, then the client is bound.
fn no_session_to_resume() -> Outcome {
    let (mut client, account) = begin("resume")?;
    let more = format!("{BIND}<resume xmlns='urn:xmpp:sm:3' previd='none' h='0'/>");
    let success = client.scram2(&account, &more)?;
    let failed = success.get_child("failed", "urn:xmpp:sm:3");
    ensure!(
        failed.is_some_and(|failed| failed.children().count() == 1),
        "{}",
        show(&success)
    );
    client.bound2(&success)?;
    client.sync()
}
