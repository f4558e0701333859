//! Resources bound on the way: XEP-0386 (Bind 2).

use libtest_mimic::Trial;
use minidom::Element;

use super::{CARBONS, CSI, again, begin};
use crate::harness::Outcome;
use crate::harness::accounts::Account;
use crate::harness::client::Client;
use crate::harness::sasl;
use crate::harness::sasl2::{
    BIND, BIND2, SASL2, authenticate, identity, request_token, token, user_agent,
};
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{self, CLIENT, SM, STREAM, show};
use crate::{ensure, trials};

const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

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
        !features.has_child("bind", xml::BIND)
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
        "{}<bind xmlns='{BIND2}'><tag>Conversations</tag><enable xmlns='{CARBONS}'/>\
         <enable xmlns='{SM}' resume='true'/><inactive xmlns='{CSI}'/>\
         <unknown xmlns='urn:example:unknown'><deep><deeper/></deep></unknown></bind>{}\
         <resume xmlns='{SM}' previd='long-ago' h='7'/><unknown xmlns='urn:example:unknown'/>",
        user_agent(),
        request_token("HT-SHA-256-EXPR")
    );
    let success = client.scram2(&account, &more)?;
    let jid = identity(&success)?;
    ensure!(jid.contains("/Conversations."), "bound as {jid}");
    client.jid = Some(jid);
    expect_not_found(&success)?;
    token(&success)?;
    let bound = success
        .get_child("bound", BIND2)
        .ok_or("nothing is bound")?;
    let enabled = bound.get_child("enabled", SM);
    ensure!(
        enabled.is_some_and(
            |enabled| enabled.attr("id").is_some() && enabled.attr("resume") == Some("true")
        ) && bound.has_child("metadata", "urn:xmpp:mam:2"),
        "{}",
        show(bound)
    );
    let features = client.expect("features", STREAM)?;
    ensure!(
        features.has_child("csi", CSI) && !features.has_child("sm", SM),
        "what was enabled is offered: {}",
        show(&features)
    );
    is_inactive(&mut client)?;
    has_carbons(&mut client, &account)
}

/// Presence waits for the next stanza that may not. Carbons are such.
fn is_inactive(client: &mut Client) -> Outcome {
    client.send("<presence/>")?;
    client.sync()?;
    client.unread();
    let friend = Server::shared_account("friend")?;
    let mut friend = Client::connect(&Server::shared()?, &friend, None)?;
    for show in ["away", "dnd"] {
        friend.send(&format!(
            "<presence to='{}'><show>{show}</show></presence>",
            client.full()
        ))?;
    }
    friend.sync()?;
    let came = client.stanzas()?;
    let shows: Vec<_> = came
        .iter()
        .filter_map(|stanza| stanza.get_child("show", CLIENT))
        .map(Element::text)
        .collect();
    // The first was still there to be replaced.
    ensure!(shows == ["dnd"], "presence came as {shows:?}");
    Ok(())
}

fn has_carbons(client: &mut Client, account: &Account) -> Outcome {
    let mut desk = Client::connect(&Server::shared()?, account, Some("desk"))?;
    desk.send(&format!(
        "<message to='{}' type='chat' id='copied'><body>hello</body></message>",
        Server::shared_account("somebody")?.jid()
    ))?;
    desk.sync()?;
    let came = client.stanzas()?;
    ensure!(
        came.iter().any(|stanza| stanza.has_child("sent", CARBONS)),
        "no copy: {:?}",
        came.iter().map(show).collect::<Vec<_>>()
    );
    Ok(())
}

/// XEP-0198 §5: why nothing is resumed.
fn expect_not_found(success: &Element) -> Outcome {
    let failed = success.get_child("failed", SM);
    ensure!(
        failed.is_some_and(|failed| failed.has_child("item-not-found", STANZAS)),
        "{}",
        show(success)
    );
    Ok(())
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
    // By its id a client tells it from what it finds in the archive.
    let by = account.jid();
    for message in came.iter().filter(|stanza| stanza.is("message", CLIENT)) {
        let stanza_id = message.get_child("stanza-id", "urn:xmpp:sid:0");
        let is_known =
            stanza_id.is_some_and(|id| id.attr("by") == Some(&by) && id.attr("id").is_some());
        ensure!(
            is_known && message.has_child("delay", "urn:xmpp:delay"),
            "{}",
            show(message)
        );
    }
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
    ensure!(features.has_child("bind", xml::BIND), "no binding");
    second.send(&format!(
        "<iq type='set' id='bind'><bind xmlns='{}'/></iq>",
        xml::BIND
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
    expect_not_found(&success)?;
    let jid = identity(&success)?;
    ensure!(success.has_child("bound", BIND2), "{}", show(&success));
    client.jid = Some(jid);
    // It did not ask for a stream that can be resumed.
    let features = client.expect("features", STREAM)?;
    ensure!(features.has_child("sm", SM), "{}", show(&features));
    client.sync()
}
