//! What the server writes with one call: a packet costs more than what is in it.

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::strace::Strace;
use crate::harness::xml::{CLIENT, SM};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        a_request_rides_with_the_message_it_follows,
        a_large_mailbox_is_given_as_it_is_taken,
    ]
}

/// XEP-0198 §4: the question what was taken goes out with the traffic that it is about.
fn a_request_rides_with_the_message_it_follows() -> Outcome {
    let mut server = Server::start(&ServerOptions::new().set("tls.require", false))?;
    let target = server.target()?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::connect(&target, &romeo, None)?;
    // In plaintext, so that it can be seen.
    let mut client = Client::tcp(&target)?;
    client.open()?;
    client.log_in(&juliet)?;
    client.bind(None)?;
    client.send(&format!("<enable xmlns='{SM}'/>"))?;
    client.expect("enabled", SM)?;
    let strace = Strace::attach(server.pid()?)?;
    // It needs no question of its own.
    client.send("<presence/>")?;
    client.sync()?;
    client.unread();
    sender.send(&format!(
        "<message to='{}' type='chat' id='1'><body>to be taken</body></message>",
        client.full()
    ))?;
    while !client.stanza()?.is("message", CLIENT) {}
    let calls = strace.calls()?;
    let with = |text: &str| calls.iter().filter(|call| call.contains(text)).count();
    let request = format!("<r xmlns='{SM}'/>");
    ensure!(with(&request) == 1, "{calls:#?}");
    let message = |call: &&String| call.contains("to be taken") && call.contains(&request);
    ensure!(calls.iter().any(|call| message(&call)), "{calls:#?}");
    client.disconnect()?;
    sender.disconnect()?;
    server.terminate()
}

/// A client is not sent more of its mailbox than it may leave unacknowledged: what it has taken is
/// heard while the rest waits.
fn a_large_mailbox_is_given_as_it_is_taken() -> Outcome {
    const WAITING: usize = 5000;
    let options = ServerOptions::new()
        .set("limits.stanzas_burst", 100_000)
        .set("limits.mailbox_messages", 100_000);
    let mut server = Server::start(&options)?;
    let target = server.target()?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::connect(&target, &romeo, None)?;
    let message = |id| {
        format!(
            "<message to='{}' type='chat' id='m{id}'><body>{id}</body></message>",
            juliet.jid()
        )
    };
    sender.send(&(0..WAITING).map(message).collect::<String>())?;
    sender.sync()?;
    let mut client = Client::connect(&target, &juliet, None)?;
    client.send(&format!("<enable xmlns='{SM}'/>"))?;
    client.expect("enabled", SM)?;
    client.send("<presence/>")?;
    let mut came = Vec::new();
    let mut look = |client: &mut Client, h: u32| -> Outcome<u32> {
        let stanzas = client.stanzas()?;
        let stanzas = stanzas.iter().filter(|stanza| !stanza.is("a", SM));
        let messages = stanzas
            .clone()
            .filter(|stanza| stanza.is("message", CLIENT));
        came.extend(messages.filter_map(|message| message.attr("id").map(str::to_owned)));
        ensure!(h > 0 || came.len() < WAITING, "all of it came unasked");
        // The answer to the ping that tells that this is all counts too.
        Ok(h + u32::try_from(stanzas.count())? + 1)
    };
    let mut h = look(&mut client, 0)?;
    // Each time at least as much as was taken by then, and two more pings.
    while h < u32::try_from(WAITING)? {
        client.send(&format!("<a xmlns='{SM}' h='{h}'/>"))?;
        client.sync()?;
        h = look(&mut client, h + 1)?;
    }
    look(&mut client, h)?;
    let all: Vec<String> = (0..WAITING).map(|id| format!("m{id}")).collect();
    ensure!(came == all, "they came in another order");
    client.disconnect()?;
    sender.disconnect()?;
    server.terminate()
}
