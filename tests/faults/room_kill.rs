//! `kill -9` in the first moments of a room's members: what they are owed begins with their
//! membership, not with what the server writes down a little later.

use libtest_mimic::Trial;

use super::promise::circles::{Circle, log_in, service};
use super::promise::run::options;
use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::Server;
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![a_new_member_is_owed_what_was_said_before_a_crash]
}

fn a_new_member_is_owed_what_was_said_before_a_crash() -> Outcome {
    let mut server = Server::start(&options())?;
    let target = server.target()?;
    log_in(&target, "bob", "phone")?.disconnect()?;
    let members = ["alice", "bob"].map(str::to_owned).to_vec();
    let room = "room".to_owned();
    Circle { room, members }.create(&target)?;
    let mut alice = log_in(&target, "alice", "phone")?;
    enter(&mut alice, "alice")?;
    let room = format!("room@{}", service(&target.domain));
    alice.send(&format!(
        "<message to='{room}' type='groupchat' id='first'><body>hello</body></message>"
    ))?;
    // What is answered behind it shows that it is stored.
    alice.sync()?;
    server.kill_9()?;
    server.start_again()?;
    let mut bob = log_in(&server.target()?, "bob", "phone")?;
    let came = enter(&mut bob, "bob")?;
    ensure!(came == ["first"], "bob was given {came:?}");
    server.terminate()
}

/// Enters, and asks for nothing of the past. The ids of the messages that come.
fn enter(client: &mut Client, nick: &str) -> Outcome<Vec<String>> {
    let room = format!("room@{}", service(&client.target().domain));
    client.send(&format!(
        "<presence/><presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'>\
         <history maxstanzas='0'/></x></presence>"
    ))?;
    let came = client.stanzas()?;
    let messages = came.iter().filter(|stanza| stanza.name() == "message");
    let ids = messages.filter_map(|message| message.attr("id"));
    Ok(ids.map(str::to_owned).collect())
}
