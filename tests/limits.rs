//! What one address or one client can use up, and what happens at the bound.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use minidom::Element;

use crate::harness::Outcome;
use crate::harness::accounts::{Account, registration};
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions, Target};
use crate::harness::xml::{CLIENT, PING, show};
use crate::{ensure, trials};

const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// The address that these tests wear out; other tests do not connect from it.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);

pub fn trials() -> Vec<Trial> {
    trials![
        directed_presence,
        more_presence_than_an_outbox_holds,
        a_flood_is_answered_whole_but_slowly,
        registrations_per_hour,
        reload_takes_all_or_nothing,
        reload_reaches_sessions_that_are_there,
    ]
}

fn directed_presence() -> Outcome {
    let target = Server::shared()?;
    let account = Server::shared_account("director")?;
    let mut client = Client::online(&target, &account, None)?;
    // What cannot be sent is owed no unavailable presence, and takes no room.
    client.send("<presence to='somebody@elsewhere.example'/>")?;
    let refused = client.stanza()?;
    ensure!(refused.attr("type") == Some("error"), "{}", show(&refused));
    for number in 0..512 {
        client.send(&format!(
            "<presence to='nobody{number}@{}'/>",
            target.domain
        ))?;
    }
    let came = client.stanzas()?;
    ensure!(came.is_empty(), "{}", show(&came[0]));
    client.send(&format!(
        "<presence id='last' to='one-more@{}'/>",
        target.domain
    ))?;
    let refused = client.stanza()?;
    let error = refused.get_child("error", CLIENT);
    ensure!(
        refused.attr("id") == Some("last")
            && error.is_some_and(|error| error.has_child("resource-constraint", STANZAS)),
        "{}",
        show(&refused)
    );
    // One that is left makes room for another.
    client.send(&format!(
        "<presence type='unavailable' to='nobody7@{0}'/><presence to='one-more@{0}'/>",
        target.domain
    ))?;
    let came = client.stanzas()?;
    ensure!(came.is_empty(), "{}", show(&came[0]));
    client.disconnect()
}

/// Ten contacts of which each has 8 KB to say, and an outbox of 40 KB: who comes online sees all of
/// them, and stays.
fn more_presence_than_an_outbox_holds() -> Outcome {
    let options = ServerOptions::new()
        .set("limits.stanza_bytes", 20_000)
        .set("limits.outbox_bytes", 40_000);
    let mut server = Server::start(&options)?;
    let target = server.target()?;
    let juliet = server.account("juliet")?;
    let mut watcher = Client::online(&target, &juliet, None)?;
    let mut contacts = Vec::new();
    for number in 0..10 {
        let account = server.account(&format!("contact{number}"))?;
        let mut contact = Client::online(&target, &account, None)?;
        let status = "x".repeat(8000);
        contact.send(&format!("<presence><status>{status}</status></presence>"))?;
        contact.sync()?;
        watcher.send(&format!(
            "<presence type='subscribe' to='{}'/>",
            account.jid()
        ))?;
        watcher.sync()?;
        contact.send(&format!(
            "<presence type='subscribed' to='{}'/>",
            juliet.jid()
        ))?;
        contact.sync()?;
        contacts.push(contact);
    }
    watcher.disconnect()?;
    let mut client = Client::connect(&target, &juliet, None)?;
    client.send("<presence/>")?;
    let mut seen: Vec<String> = client
        .stanzas()?
        .iter()
        .filter(|stanza| stanza.has_child("status", CLIENT))
        .filter_map(|stanza| Some(stanza.attr("from")?.to_owned()))
        .collect();
    let mut wanted: Vec<&str> = contacts.iter().map(Client::full).collect();
    seen.sort();
    wanted.sort_unstable();
    ensure!(seen == wanted, "{seen:?} are seen of {wanted:?}");
    client.disconnect()?;
    server.terminate()
}

/// Beyond its rate a client is read more slowly: no request is dropped or refused, and nobody else
/// waits.
fn a_flood_is_answered_whole_but_slowly() -> Outcome {
    const PAIRS: usize = 60;
    let options = ServerOptions::new()
        .set("limits.stanzas_per_second", 50)
        .set("limits.stanzas_burst", 20);
    // 120 stanzas, 20 of them at once and the others at 50 a second: 2 s, less the clock's grain.
    let shortest = Duration::from_millis(1900);
    let mut server = Server::start(&options)?;
    let target = server.target()?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut watcher = Client::online(&target, &romeo, Some("watcher"))?;
    let mut stranger = Client::online(&target, &juliet, None)?;
    let mut flooder = Client::connect(&target, &romeo, Some("flooder"))?;
    let flood: String = (0..PAIRS)
        .map(|number| pair(number, &target.domain))
        .collect();
    let begun = Instant::now();
    flooder.send(&flood)?;
    stranger.sync()?;
    let mut seen = statuses(&watcher.stanzas()?);
    ensure!(seen.len() < PAIRS, "the others waited for the flood");
    flooder.sync()?;
    let took = begun.elapsed();
    ensure!(took >= shortest, "the flood took {took:?}");

    seen.extend(statuses(&watcher.stanzas()?));
    let expected: Vec<String> = (0..PAIRS).map(|number| number.to_string()).collect();
    ensure!(seen == expected, "presence that came: {seen:?}");
    let came = flooder.stanzas()?;
    let answered: Vec<&str> = came
        .iter()
        .filter(|stanza| stanza.name() == "iq" && stanza.attr("type") == Some("result"))
        .filter_map(|answer| answer.attr("id"))
        .collect();
    ensure!(answered == expected, "answers: {answered:?}");
    let failed = came
        .iter()
        .find(|stanza| stanza.attr("type") == Some("error"));
    ensure!(failed.is_none(), "{}", failed.map(show).unwrap_or_default());
    server.terminate()
}

fn pair(number: usize, domain: &str) -> String {
    format!(
        "<iq type='get' id='{number}' to='{domain}'><ping xmlns='{PING}'/></iq>\
         <presence><status>{number}</status></presence>"
    )
}

/// The statuses of the available presence among these, in order.
fn statuses(stanzas: &[Element]) -> Vec<String> {
    let available = stanzas
        .iter()
        .filter(|stanza| stanza.is("presence", CLIENT) && stanza.attr("type").is_none());
    available
        .filter_map(|presence| Some(presence.get_child("status", CLIENT)?.text()))
        .collect()
}

fn registrations_per_hour() -> Outcome {
    let options = ServerOptions::new()
        .set("registration.mode", "\"open\"")
        .set("limits.registrations_per_hour", 2);
    let mut server = Server::start(&options)?;
    let target = server.target()?;
    let register = |name: &str, source: Ipv4Addr| -> Outcome<String> {
        let mut client = Client::tcp_from(&target, source)?.start_tls()?;
        client.send(&registration(&Account::named(name, &target.domain)))?;
        let answer = client.stanza()?;
        let error = answer.get_child("error", CLIENT);
        Ok(match error.and_then(|error| error.children().next()) {
            Some(condition) => condition.name().to_owned(),
            None => answer.attr("type").unwrap_or_default().to_owned(),
        })
    };
    for (name, source, expected) in [
        ("one", SOURCE, "result"),
        ("two", SOURCE, "result"),
        ("three", SOURCE, "resource-constraint"),
        ("four", Ipv4Addr::new(127, 9, 9, 8), "result"),
    ] {
        let got = register(name, source)?;
        ensure!(got == expected, "{name}: {got}");
    }
    server.terminate()
}

/// SIGHUP: a configuration with a mistake changes nothing, a good one takes effect.
fn reload_takes_all_or_nothing() -> Outcome {
    let mut server = Server::start(&ServerOptions::new().set("registration.mode", "\"closed\""))?;
    let target = server.target()?;
    ensure!(!offers_registration(&target)?, "registration is offered");
    server.configure(
        &ServerOptions::new()
            .set("registration.mode", "\"open\"")
            .set("limits.no_such_key", 1),
    )?;
    server.signal("HUP")?;
    server.await_log("the old one stays")?;
    ensure!(
        server.log().contains("no_such_key"),
        "the log does not name the mistake"
    );
    ensure!(
        !offers_registration(&target)?,
        "half of a configuration was taken"
    );
    server.configure(&ServerOptions::new().set("registration.mode", "\"open\""))?;
    server.signal("HUP")?;
    server.await_log("loaded the configuration again")?;
    ensure!(offers_registration(&target)?, "registration is not offered");
    server.terminate()
}

/// A limit that SIGHUP changes holds for a session that was there before; one that comes with a
/// mistake does not.
fn reload_reaches_sessions_that_are_there() -> Outcome {
    let limit = |items: u32| ServerOptions::new().set("limits.roster_items", items);
    let mut server = Server::start(&limit(1))?;
    let account = server.account("romeo")?;
    let mut client = Client::online(&server.target()?, &account, None)?;
    ensure!(adds_contact(&mut client, "nurse")?, "the roster takes none");
    ensure!(
        !adds_contact(&mut client, "tybalt")?,
        "the limit is not kept"
    );

    server.configure(&limit(2).set("limits.stanza_bytes", 1))?;
    server.signal("HUP")?;
    server.await_log("the old one stays")?;
    let log = server.log();
    ensure!(log.contains("limits.stanza_bytes"), "the log says: {log}");
    ensure!(
        !adds_contact(&mut client, "tybalt")?,
        "half of a configuration was taken"
    );

    server.configure(&limit(2))?;
    server.signal("HUP")?;
    server.await_log("loaded the configuration again")?;
    let log = server.log();
    ensure!(
        log.contains("limits.roster_items: 1 is now 2"),
        "the log says: {log}"
    );
    ensure!(
        adds_contact(&mut client, "tybalt")?,
        "the old limit is kept"
    );
    ensure!(!adds_contact(&mut client, "peter")?, "no limit is kept");
    server.terminate()
}

/// Whether the roster takes one more; the only reason not to is that it is full.
fn adds_contact(client: &mut Client, name: &str) -> Outcome<bool> {
    let domain = client.target().domain.clone();
    client.send(&format!(
        "<iq type='set' id='add-{name}'><query xmlns='jabber:iq:roster'>\
         <item jid='{name}@{domain}'/></query></iq>"
    ))?;
    let answer = client.stanza()?;
    let error = answer.get_child("error", CLIENT);
    match answer.attr("type") {
        Some("result") => Ok(true),
        Some("error")
            if error.is_some_and(|error| error.has_child("resource-constraint", STANZAS)) =>
        {
            Ok(false)
        }
        _ => Err(show(&answer).into()),
    }
}

fn offers_registration(target: &Target) -> Outcome<bool> {
    let mut client = Client::tcp(target)?;
    client.open()?;
    client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
    client.expect("proceed", "urn:ietf:params:xml:ns:xmpp-tls")?;
    client.secure(&client.tls_options())?;
    let features = client.open()?;
    Ok(features.has_child("register", "http://jabber.org/features/iq-register"))
}
