//! What the server writes with one call: a packet costs more than what is in it.

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::strace::Strace;
use crate::harness::xml::{CLIENT, SM};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![a_request_rides_with_the_message_it_follows]
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
