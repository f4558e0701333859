//! What one address or one client can use up, and what happens at the bound.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions, Target};
use crate::harness::xml::show;
use crate::{ensure, trials};

const REGISTER: &str = "jabber:iq:register";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// The address that these tests wear out; other tests do not connect from it.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);

pub fn trials() -> Vec<Trial> {
    trials![
        directed_presence,
        registrations_per_hour,
        reload_takes_all_or_nothing,
    ]
}

fn directed_presence() -> Outcome {
    let target = Server::shared()?;
    let account = Server::shared_account("director")?;
    let mut client = Client::online(&target, &account, None)?;
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
    let error = refused.get_child("error", "jabber:client");
    ensure!(
        refused.attr("id") == Some("last")
            && error.is_some_and(|error| error.has_child("resource-constraint", STANZAS)),
        "{}",
        show(&refused)
    );
    client.disconnect()
}

fn registrations_per_hour() -> Outcome {
    let options = ServerOptions::new()
        .set("registration.mode", "\"open\"")
        .set("limits.registrations_per_hour", 2);
    let mut server = Server::start(&options)?;
    let target = server.target()?;
    let register = |name: &str, source: Ipv4Addr| -> Outcome<String> {
        let mut client = Client::tcp_from(&target, source)?.start_tls()?;
        client.send(&format!(
            "<iq type='set' id='r'><query xmlns='{REGISTER}'><username>{name}</username>\
             <password>secret</password></query></iq>"
        ))?;
        let answer = client.stanza()?;
        let error = answer.get_child("error", "jabber:client");
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
    await_log(&server, "the old one stays")?;
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
    await_log(&server, "loaded the configuration again")?;
    ensure!(offers_registration(&target)?, "registration is not offered");
    server.terminate()
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

/// Waits until the server has written that; the log is all that tells when a signal was handled.
fn await_log(server: &Server, text: &str) -> Outcome {
    let end = Instant::now() + Duration::from_secs(10);
    while !server.log().contains(text) {
        ensure!(
            Instant::now() < end,
            "the log never said {text:?}: {}",
            server.log()
        );
        std::thread::yield_now();
    }
    Ok(())
}
