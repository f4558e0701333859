//! Messages that waited too long go, and their senders are told.

use libtest_mimic::Trial;
use rusqlite::Connection;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{CLIENT, show};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![an_old_message_is_returned]
}

fn an_old_message_is_returned() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::connect(&server.target()?, &romeo, None)?;
    for id in ["old", "young"] {
        sender.send(&format!(
            "<message to='{}' type='chat' id='{id}'><body>{id}</body></message>",
            juliet.jid()
        ))?;
    }
    sender.sync()?;
    server.terminate()?;
    let database = Connection::open(server.database()?)?;
    let day: i64 = 24 * 60 * 60 * 1000;
    let aged = database.execute(
        "UPDATE message SET id = id - (?1 << 21) WHERE instr(body, '<body>old</body>') > 0",
        [31 * day],
    )?;
    ensure!(aged == 1, "{aged} rows hold the old message");
    drop(database);
    server.start_again()?;

    // The notice waits for the sender as a message would, from the recipient, with its id.
    let mut sender = Client::connect(&server.target()?, &romeo, None)?;
    sender.send("<presence/>")?;
    let notice = loop {
        let stanza = sender.stanza()?;
        if stanza.name() == "message" {
            break stanza;
        }
    };
    let text = show(&notice);
    ensure!(notice.attr("type") == Some("error"), "{text}");
    ensure!(
        notice.attr("id") == Some("old") && notice.attr("from") == Some(&juliet.jid()),
        "{text}"
    );
    ensure!(notice.get_child("error", CLIENT).is_some(), "{text}");

    let mut recipient = Client::connect(&server.target()?, &juliet, None)?;
    recipient.send("<presence/>")?;
    let came = recipient.stanzas()?;
    let ids: Vec<&str> = came.iter().filter_map(|stanza| stanza.attr("id")).collect();
    ensure!(ids == ["young"], "the recipient got {ids:?}");
    server.terminate()
}
