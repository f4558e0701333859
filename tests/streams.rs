//! The life of a stream, where a play is not enough: RFC 6120 §4 and §5, XEP-0368.

use std::fs;
use std::time::Instant;

use libtest_mimic::Trial;
use rustls::version::{TLS12, TLS13};

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::login::header;
use crate::harness::sasl::Scram;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::transport::{DEADLINE, TlsOptions};
use crate::harness::xml::{Event, TLS};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        direct_tls,
        direct_tls_with_another_protocol,
        both_versions_of_tls,
        tls_is_not_negotiated_twice,
        a_whole_session_byte_by_byte,
        bytes_that_are_not_utf8,
        system_shutdown,
        connections_per_address,
        a_flood_is_slowed_down_and_nothing_is_lost,
        garbage_on_both_ports,
        certificate_reload,
    ]
}

fn direct_tls() -> Outcome {
    let account = Server::shared_account("direct")?;
    let mut client = Client::direct_tls(&Server::shared()?)?;
    let features = client.open()?;
    ensure!(
        !features.has_child("starttls", TLS),
        "STARTTLS is offered under TLS"
    );
    client.log_in(&account)?;
    client.bind(None)?;
    client.sync()?;
    client.disconnect()
}

/// RFC 7301 §3.2: a protocol that is not spoken here ends the handshake.
fn direct_tls_with_another_protocol() -> Outcome {
    let target = Server::shared()?;
    let port = target.c2s_tls.ok_or("no port for direct TLS")?;
    let direct = crate::harness::server::Target {
        c2s: port,
        ..target
    };
    let mut client = Client::tcp(&direct)?;
    let options = TlsOptions {
        alpn: vec![b"http/1.1".to_vec()],
        ..client.tls_options()
    };
    ensure!(
        client.secure(&options).is_err(),
        "ALPN http/1.1 was accepted"
    );
    // A client that names no protocol is served (XEP-0368 §4).
    let mut client = Client::tcp(&direct)?;
    client.secure(&client.tls_options())?;
    client.open().map(drop)
}

fn both_versions_of_tls() -> Outcome {
    let account = Server::shared_account("versions")?;
    const VERSIONS: [&[&rustls::SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];
    for version in VERSIONS {
        let mut client = Client::tcp(&Server::shared()?)?;
        client.open()?;
        client.send(&format!("<starttls xmlns='{TLS}'/>"))?;
        client.expect("proceed", TLS)?;
        let options = TlsOptions {
            versions: version,
            ..client.tls_options()
        };
        client.secure(&options)?;
        client.open()?;
        let exported = client.transport()?.exporter()?;
        let mut scram = Scram::new(
            &account.user,
            &account.password,
            "p=tls-exporter,,",
            exported,
        );
        let answer = client.scram("SCRAM-SHA-256-PLUS", &mut scram)?;
        ensure!(
            answer.name() == "success",
            "{version:?}: {}",
            crate::harness::xml::show(&answer)
        );
    }
    Ok(())
}

fn tls_is_not_negotiated_twice() -> Outcome {
    let mut client = Client::stream(&Server::shared()?)?;
    client.send(&format!("<starttls xmlns='{TLS}'/>"))?;
    match client.recv()? {
        Event::Element(element) => ensure!(element.name() != "proceed", "STARTTLS under TLS"),
        other => return Err(other.show().into()),
    }
    Ok(())
}

fn a_whole_session_byte_by_byte() -> Outcome {
    let account = Server::shared_account("bytewise")?;
    let mut client = Client::connect(&Server::shared()?, &account, None)?;
    client.send_bytewise("<presence/>")?;
    client.send_bytewise(&format!(
        "<message to='{}' type='chat' id='m'><body>&lt;a &amp; ä&#x1F426;</body></message>",
        account.jid()
    ))?;
    let stanzas = client.stanzas()?;
    let body = stanzas
        .iter()
        .find_map(|stanza| stanza.get_child("body", "jabber:client"));
    let text = body.map(minidom::Element::text).unwrap_or_default();
    ensure!(text == "<a & ä🐦", "the body came as {text:?}");
    client.disconnect()
}

fn bytes_that_are_not_utf8() -> Outcome {
    let account = Server::shared_account("latin")?;
    for bytes in [
        &b"<message><body>\xe4</body></message>"[..],
        b"<message><body>\xc0\xaf</body></message>",
    ] {
        let mut client = Client::connect(&Server::shared()?, &account, None)?;
        client.send_bytes(bytes)?;
        client.expect_error("unsupported-encoding")?;
    }
    let mut client = Client::connect(&Server::shared()?, &account, None)?;
    client.send_bytes(b"<message><body>\x01</body></message>")?;
    client.expect_error("not-well-formed")
}

/// RFC 6120 §4.9.3.21: everybody is told, and the process ends with 0.
fn system_shutdown() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let account = server.account("romeo")?;
    let mut session = Client::online(&server.target()?, &account, None)?;
    let mut stranger = Client::stream(&server.target()?)?;
    server.signal("TERM")?;
    session.expect_error("system-shutdown")?;
    match stranger.recv()? {
        Event::Closed => {}
        Event::Element(error) => {
            ensure!(
                error.name() == "error",
                "{}",
                crate::harness::xml::show(&error)
            );
        }
        other => return Err(other.show().into()),
    }
    let status = server.wait()?;
    ensure!(
        status.code() == Some(0),
        "SIGTERM ended the server with {status}"
    );
    Ok(())
}

fn connections_per_address() -> Outcome {
    let mut server = Server::start(&ServerOptions::new().set("limits.connections_per_address", 2))?;
    let account = server.account("romeo")?;
    let crowd = "127.66.6.7".parse()?;
    let mut first = Client::tcp_from(&server.target()?, crowd)?.start_tls()?;
    let _second = Client::tcp_from(&server.target()?, crowd)?.start_tls()?;
    let mut third = Client::tcp_from(&server.target()?, crowd)?;
    let refused = third.open();
    ensure!(
        refused.is_err(),
        "a third connection from one address was served"
    );
    // Others are served, and a place that is left is free again.
    Client::connect(&server.target()?, &account, None)?.disconnect()?;
    first.disconnect()?;
    // The server has said goodbye; its place is free a moment later.
    let end = Instant::now() + DEADLINE;
    while let Err(error) = Client::tcp_from(&server.target()?, crowd)?.start_tls() {
        ensure!(
            Instant::now() < end,
            "a place that was left is not free: {error}"
        );
    }
    server.terminate()
}

/// Beyond its rate a client is read more slowly; others do not notice.
fn a_flood_is_slowed_down_and_nothing_is_lost() -> Outcome {
    const COUNT: usize = 350;
    let options = ServerOptions::new()
        .set("limits.stanzas_per_second", 100)
        .set("limits.stanzas_burst", 50);
    let mut server = Server::start(&options)?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut reader = Client::online(&server.target()?, &juliet, None)?;
    let mut flooder = Client::connect(&server.target()?, &romeo, None)?;
    let flood: String = (0..COUNT)
        .map(|n| {
            format!(
                "<message to='{}' type='chat' id='{n}'><body>{n}</body></message>",
                juliet.jid()
            )
        })
        .collect();
    let begun = std::time::Instant::now();
    flooder.send(&flood)?;
    // Its answer came while the flood was still being read.
    let mut came = reader.stanzas()?;
    ensure!(came.len() < COUNT, "the others wait for the flood");
    flooder.sync()?;
    // 300 stanzas beyond the burst, at 100 a second: it cannot have been faster.
    ensure!(
        begun.elapsed().as_millis() >= 2900,
        "nothing slowed the flood down"
    );
    came.extend(reader.stanzas()?);
    let ids: Vec<String> = came
        .iter()
        .filter_map(|stanza| stanza.attr("id"))
        .map(str::to_owned)
        .collect();
    let wanted: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
    ensure!(ids == wanted, "came: {ids:?}");
    server.terminate()
}

fn garbage_on_both_ports() -> Outcome {
    let target = Server::shared()?;
    let account = Server::shared_account("calm")?;
    let garbage: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"\0\0\0\0",
        b"<<<<",
    ];
    for bytes in garbage {
        for port in [Some(target.c2s), target.c2s_tls].into_iter().flatten() {
            let mut client = Client::tcp(&crate::harness::server::Target {
                c2s: port,
                ..target.clone()
            })?;
            client.send_bytes(bytes)?;
            client.vanish();
        }
    }
    let mut half = Client::tcp(&target)?;
    half.send(&header("localhost")[..40])?;
    half.vanish();
    Client::connect(&target, &account, None)?.sync()
}

/// SIGHUP takes a new certificate; sessions stay.
fn certificate_reload() -> Outcome {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let mut server = Server::start(&ServerOptions::new())?;
    let account = server.account("romeo")?;
    let mut session = Client::connect(&server.target()?, &account, None)?;
    let (certificate, key) = (
        server.data().join("../new.pem"),
        server.data().join("../new.key"),
    );
    fs::write(&certificate, made.cert.pem())?;
    fs::write(&key, made.signing_key.serialize_pem())?;
    let options = ServerOptions::new()
        .set(
            "tls.certificate",
            format!("{:?}", certificate.display().to_string()),
        )
        .set("tls.key", format!("{:?}", key.display().to_string()));
    server.configure(&options)?;
    server.signal("HUP")?;
    let renewed = crate::harness::server::Target {
        certificate: Some(made.cert.der().to_vec()),
        ..server.target()?
    };
    let end = std::time::Instant::now() + crate::harness::transport::DEADLINE;
    while Client::connect(&renewed, &account, None).is_err() {
        ensure!(
            std::time::Instant::now() < end,
            "the new certificate is not served:\n{}",
            server.log()
        );
    }
    session.sync()?;
    server.terminate()
}
