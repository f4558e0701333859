//! A client that stops reading: nobody else waits for it, its sender is not told of any failure,
//! and everything is there when it comes back.

use libtest_mimic::Trial;
use minidom::Element;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::CLIENT;
use crate::{ensure, trials};

const MESSAGES: usize = 400;
const BODY: usize = 20_000;
/// Messages that the sender writes before it waits for an answer.
const BURST: usize = 50;

pub fn trials() -> Vec<Trial> {
    trials![a_client_that_does_not_read_loses_nothing]
}

fn a_client_that_does_not_read_loses_nothing() -> Outcome {
    let options = ServerOptions::new()
        .set("limits.outbox_bytes", 262_144)
        .set("limits.bytes_burst", 1_000_000_000_u64)
        .set("limits.bytes_per_second", 1_000_000_000_u64);
    let mut server = Server::start(&options)?;
    let target = server.target()?;
    let accounts: Vec<_> = ["romeo", "juliet", "nurse", "peter"]
        .iter()
        .map(|name| server.account(name))
        .collect::<Outcome<_>>()?;
    let mut romeo = Client::online(&target, &accounts[0], None)?;
    let mut juliet = Client::online(&target, &accounts[1], None)?;
    let mut nurse = Client::online(&target, &accounts[2], None)?;
    let mut peter = Client::online(&target, &accounts[3], None)?;

    // Far more than the outbox and the buffers of two sockets hold; juliet reads none of it.
    let body = "x".repeat(BODY);
    for number in 0..MESSAGES {
        romeo.send(&format!(
            "<message to='{}' type='chat' id='{number}'><body>{body}</body></message>",
            accounts[1].jid()
        ))?;
        if number % BURST == 0 {
            let came = romeo.stanzas()?;
            ensure!(came.is_empty(), "romeo was sent {} stanzas", came.len());
            nurse.send(&format!(
                "<message to='{}' type='chat' id='{number}'><body>?</body></message>",
                accounts[3].jid()
            ))?;
            nurse.sync()?;
            let heard = peter.stanzas()?;
            ensure!(heard.len() == 1, "peter heard {} stanzas", heard.len());
        }
    }
    let came = romeo.stanzas()?;
    ensure!(came.is_empty(), "romeo was sent {} stanzas", came.len());

    juliet.vanish();
    let mut back = Client::connect(&target, &accounts[1], None)?;
    back.send("<presence/>")?;
    let ids: Vec<usize> = back
        .stanzas()?
        .iter()
        .filter(|stanza| stanza.is("message", CLIENT))
        .filter_map(|stanza| stanza.attr("id")?.parse().ok())
        .collect();
    let expected: Vec<usize> = (0..MESSAGES).collect();
    ensure!(ids == expected, "came: {ids:?}");
    // It took them: they do not come again.
    back.take_all()?;
    back.disconnect()?;
    let mut again = Client::connect(&target, &accounts[1], None)?;
    again.send("<presence/>")?;
    let messages = again.stanzas()?;
    let messages: Vec<&Element> = messages
        .iter()
        .filter(|s| s.is("message", CLIENT))
        .collect();
    ensure!(messages.is_empty(), "{} came again", messages.len());
    server.terminate()
}
