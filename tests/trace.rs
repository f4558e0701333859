//! `waxwing trace`: what became of a message.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions, waxwing};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        the_way_of_a_message,
        an_unknown_message,
        a_reader_that_has_seen_enough,
    ]
}

fn trace(server: &Server, id: &str) -> Outcome<String> {
    let output = server.command(&["trace", id], "")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{id}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(!text.contains("secret"), "the content shows: {text}");
    Ok(text)
}

fn the_way_of_a_message() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::online(&server.target()?, &romeo, Some("orchard"))?;
    sender.send(&format!(
        "<message to='{}' type='chat' id='first'><body>secret</body>\
         <origin-id xmlns='urn:xmpp:sid:0' id='of-the-client'/>\
         <request xmlns='urn:xmpp:receipts'/></message>\
         <message to='{0}' type='chat' id='second'><body>secret</body></message>",
        juliet.jid()
    ))?;
    sender.sync()?;

    let waits = trace(&server, "first")?;
    for part in [
        format!("from {}/orchard for {}\n", romeo.jid(), juliet.jid()),
        "type chat, id first, ".to_owned(),
        format!("in the mailbox of {}", juliet.jid()),
        format!("in the archive of {}", romeo.jid()),
        "waits: no device has acknowledged it".to_owned(),
        "expires ".to_owned(),
    ] {
        ensure!(waits.contains(&part), "no {part:?} in {waits}");
    }
    ensure!(
        trace(&server, "of-the-client")? == waits,
        "by its origin id"
    );
    let id = waits.split_whitespace().nth(1).unwrap_or_default();
    ensure!(trace(&server, id)? == waits, "by its archive id");

    let mut recipient = Client::connect(&server.target()?, &juliet, Some("balcony"))?;
    recipient.answers_pings = false;
    recipient.send("<presence/>")?;
    recipient.sync()?;
    let given = trace(&server, "first")?;
    let part = format!("  sent to {}, not acknowledged\n", recipient.full());
    ensure!(given.contains(&part), "no {part:?} in {given}");
    recipient.answers_pings = true;
    recipient.disconnect()?;

    let mut recipient = Client::online(&server.target()?, &juliet, Some("balcony"))?;
    recipient.take_all()?;
    recipient.send(&format!(
        "<message to='{}' type='chat'><received xmlns='urn:xmpp:receipts' id='first'/></message>\
         <message to='{0}' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='second'/>\
         </message>",
        romeo.jid()
    ))?;
    recipient.sync()?;
    let came = trace(&server, "first")?;
    for part in [
        "  acknowledged\n",
        "device balcony has it",
        "  receipt ",
        "  displayed ",
    ] {
        ensure!(came.contains(part), "no {part:?} in {came}");
    }
    ensure!(!came.contains("waits"), "{came}");
    let second = trace(&server, "second")?;
    ensure!(
        second.contains("  displayed ") && !second.contains("  receipt "),
        "{second}"
    );
    server.terminate()?;
    ensure!(trace(&server, "first")? == came, "without the server");
    Ok(())
}

fn an_unknown_message() -> Outcome {
    let server = Server::start(&ServerOptions::new())?;
    let ids = ["nobody-sent-this", "018f3a0000000000", "0000000000000001"];
    let expected = ["no such message", "expired", "expired"];
    for (id, expected) in ids.into_iter().zip(expected) {
        let output = server.command(&["trace", id], "")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{id}: {:?}", output.status);
        ensure!(text.contains(expected), "{id}: {text}");
    }
    Ok(())
}

/// As by `waxwing explain | head`: that is no failure of the command.
fn a_reader_that_has_seen_enough() -> Outcome {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("config.toml");
    std::fs::write(&config, "")?;
    let (gone, out) = UnixStream::pair()?;
    drop(gone);
    let output = waxwing(&config)
        .arg("explain")
        .stdout(OwnedFd::from(out))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.is_empty(), "{said}");
    Ok(())
}
