//! A client that stops reading: nobody else waits for it, its sender is not told of any failure,
//! and everything is there when it comes back.

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{CLIENT, SM, show};
use crate::{ensure, trials};

const BODY: usize = 20_000;
/// Messages that the sender writes before it waits for an answer.
const BURST: usize = 50;
/// Bursts after which the outbox must have overflowed: 40 MB, ten times what Linux lets the buffers
/// of a socket grow to.
const MAX_BURSTS: usize = 40;
/// Bursts that are sent to the account once the session is given up.
const BURSTS_AFTER: usize = 2;

pub fn trials() -> Vec<Trial> {
    trials![
        a_client_that_does_not_read_loses_nothing,
        nor_does_one_with_stream_management,
        a_client_that_reads_as_fast_as_it_is_sent_to_is_not_cut_off,
    ]
}

fn a_client_that_does_not_read_loses_nothing() -> Outcome {
    loses_nothing(false)
}

/// Its session ends too: what is kept for a client has a bound, and the mailbox has the messages.
fn nor_does_one_with_stream_management() -> Outcome {
    loses_nothing(true)
}

fn loses_nothing(is_managed: bool) -> Outcome {
    let mut server = Server::start(&options())?;
    let target = server.target()?;
    let [romeo, juliet, nurse, peter] =
        ["romeo", "juliet", "nurse", "peter"].map(|name| server.account(name));
    let (juliet, peter) = (juliet?, peter?);
    let mut romeo = Client::online(&target, &romeo?, None)?;
    let mut stuck = Client::connect(&target, &juliet, None)?;
    let mut stream = None;
    if is_managed {
        stuck.send(&format!("<enable xmlns='{SM}' resume='true'/>"))?;
        let enabled = stuck.expect("enabled", SM)?;
        stream = enabled.attr("id").map(str::to_owned);
        ensure!(stream.is_some(), "{}", show(&enabled));
    }
    stuck.send("<presence/>")?;
    stuck.sync()?;
    // Takes no messages: it never sends presence.
    let mut beside = Client::connect(&target, &juliet, None)?;
    let mut nurse = Client::online(&target, &nurse?, None)?;
    let mut listener = Client::online(&target, &peter, None)?;

    let (mut sent, mut bursts_left) = (0, MAX_BURSTS);
    let mut given_up = false;
    while bursts_left > 0 {
        burst(&mut romeo, &juliet.jid(), sent)?;
        sent += BURST;
        talk(&mut nurse, &mut listener, &peter.jid())?;
        bursts_left -= 1;
        if !given_up && is_gone(&mut beside, stuck.full())? {
            given_up = true;
            bursts_left = BURSTS_AFTER;
        }
    }
    ensure!(given_up, "{sent} messages did not fill the outbox");

    drop(stuck);
    let mut back = Client::stream(&target)?;
    back.log_in(&juliet)?;
    if let Some(stream) = stream {
        back.send(&format!("<resume xmlns='{SM}' previd='{stream}' h='0'/>"))?;
        back.expect("failed", SM)?;
    }
    back.bind(None)?;
    let came = messages(&mut back)?;
    let expected: Vec<String> = (0..sent).map(|number| number.to_string()).collect();
    ensure!(came == expected, "of {sent} messages came {came:?}");
    // It took them: they do not come again.
    back.take_all()?;
    back.disconnect()?;
    let mut again = Client::connect(&target, &juliet, None)?;
    let twice = messages(&mut again)?;
    ensure!(twice.is_empty(), "came again: {twice:?}");
    server.terminate()
}

/// The smallest outbox, and no bound on what a sender may do.
fn options() -> ServerOptions {
    ServerOptions::new()
        .set("limits.outbox_bytes", 262_144)
        .set("limits.stanzas_burst", 1_000_000)
        .set("limits.bytes_burst", 1_000_000_000_u64)
        .set("limits.bytes_per_second", 1_000_000_000_u64)
}

/// Large messages, numbered from `first` on. The sender is answered, and told of no failure.
fn burst(sender: &mut Client, to: &str, first: usize) -> Outcome {
    let body = "x".repeat(BODY);
    for number in first..first + BURST {
        sender.send(&format!(
            "<message to='{to}' type='chat' id='{number}'><body>{body}</body></message>"
        ))?;
    }
    let came = sender.stanzas()?;
    ensure!(came.is_empty(), "the sender got {} stanzas", came.len());
    Ok(())
}

/// Two others can talk.
fn talk(speaker: &mut Client, listener: &mut Client, to: &str) -> Outcome {
    speaker.send(&format!(
        "<message to='{to}' type='chat' id='word'><body>?</body></message>"
    ))?;
    speaker.sync()?;
    let heard = listener.stanzas()?;
    ensure!(heard.len() == 1, "{} stanzas were heard", heard.len());
    Ok(())
}

/// Whether a session of the own account is there no more: a request to it is refused. One that is
/// there and does not read leaves it unanswered.
fn is_gone(client: &mut Client, full: &str) -> Outcome<bool> {
    client.send(&format!(
        "<iq type='get' id='there' to='{full}'><ping xmlns='urn:xmpp:ping'/></iq>"
    ))?;
    let answers = client.stanzas()?;
    Ok(answers
        .iter()
        .any(|answer| answer.attr("type") == Some("error")))
}

/// Becomes available; the ids of the messages that come before anything else is answered.
fn messages(client: &mut Client) -> Outcome<Vec<String>> {
    client.send("<presence/>")?;
    let came = client.stanzas()?;
    let messages = came.iter().filter(|stanza| stanza.is("message", CLIENT));
    Ok(messages
        .map(|message| message.attr("id").unwrap_or_default().to_owned())
        .collect())
}

/// A session without stream management shows by pings what it took. Much more than the bound of
/// custody goes through it in a moment, as long as it reads and answers.
fn a_client_that_reads_as_fast_as_it_is_sent_to_is_not_cut_off() -> Outcome {
    const COUNT: usize = 1200;
    let options = ServerOptions::new()
        .set("limits.stanza_bytes", 30_000)
        .set("limits.outbox_bytes", 65_536)
        .set("limits.stanzas_burst", 1_000_000)
        .set("limits.bytes_burst", 1_000_000_000_u64)
        .set("limits.bytes_per_second", 1_000_000_000_u64);
    let mut server = Server::start(&options)?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::online(&server.target()?, &romeo, None)?;
    let mut reader = Client::online(&server.target()?, &juliet, None)?;
    let body = "x".repeat(4000);
    for burst in 0..COUNT / 10 {
        let flood: String = (0..10)
            .map(|n| {
                let id = burst * 10 + n;
                let to = juliet.jid();
                format!("<message to='{to}' type='chat' id='{id}'><body>{body}</body></message>")
            })
            .collect();
        sender.send(&flood)?;
        for n in 0..10 {
            let came = reader.stanza()?;
            let expected = (burst * 10 + n).to_string();
            ensure!(
                came.attr("id") == Some(&expected),
                "{expected}: {}",
                &show(&came)[..200]
            );
        }
    }
    reader.sync()?;
    server.terminate()
}
