//! Messages that waited too long go, and their senders are told.

use libtest_mimic::Trial;
use rusqlite::Connection;

use crate::harness::Outcome;
use crate::harness::accounts::Account;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{CLIENT, show};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        an_old_message_is_returned,
        what_a_dead_session_was_sent_is_returned,
        what_was_delivered_goes_without_a_word,
    ]
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
    age_the_old_message(&server)?;
    server.start_again()?;

    expect_notice(&server, &romeo, &juliet.jid())?;

    let mut recipient = Client::connect(&server.target()?, &juliet, None)?;
    recipient.send("<presence/>")?;
    let came = recipient.stanzas()?;
    let ids: Vec<&str> = came.iter().filter_map(|stanza| stanza.attr("id")).collect();
    ensure!(ids == ["young"], "the recipient got {ids:?}");
    server.terminate()
}

/// Makes it one day older than messages may be. The server is stopped.
fn age_the_old_message(server: &Server) -> Outcome {
    let database = Connection::open(server.database()?)?;
    let day: i64 = 24 * 60 * 60 * 1000;
    let aged = database.execute(
        "UPDATE message SET id = id - (?1 << 21) WHERE instr(body, '<body>old</body>') > 0",
        [31 * day],
    )?;
    ensure!(aged == 1, "{aged} rows hold the old message");
    database.execute(
        "UPDATE stray SET mailbox = mailbox - (?1 << 21)
         WHERE mailbox NOT IN (SELECT id FROM message)",
        [31 * day],
    )?;
    Ok(())
}

fn what_was_delivered_goes_without_a_word() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::online(&server.target()?, &romeo, None)?;
    let mut recipient = Client::online(&server.target()?, &juliet, None)?;
    sender.send(&format!(
        "<message to='{}' type='chat' id='old'><body>old</body></message>",
        juliet.jid()
    ))?;
    sender.sync()?;
    recipient.take_all()?;
    server.terminate()?;
    age_the_old_message(&server)?;
    server.start_again()?;

    let archive = "<iq type='set' id='all'><query xmlns='urn:xmpp:mam:2'/></iq>";
    for account in [&romeo, &juliet] {
        let mut client = Client::online(&server.target()?, account, None)?;
        client.send(archive)?;
        for stanza in client.stanzas()? {
            ensure!(stanza.name() != "message", "{}", show(&stanza));
        }
    }
    server.await_log("expired=1")?;
    server.terminate()
}

/// It waits for the sender as a message would, from the recipient, with its id.
fn expect_notice(server: &Server, sender: &Account, recipient: &str) -> Outcome {
    let mut sender = Client::connect(&server.target()?, sender, None)?;
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
        notice.attr("id") == Some("old") && notice.attr("from") == Some(recipient),
        "{text}"
    );
    ensure!(notice.get_child("error", CLIENT).is_some(), "{text}");
    Ok(())
}

/// The account's other client is beyond it, and yet nobody has it.
fn what_a_dead_session_was_sent_is_returned() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::online(&server.target()?, &romeo, None)?;
    let mut dead = Client::online(&server.target()?, &juliet, Some("balcony"))?;
    let full = dead.full().to_owned();
    let message = |to: &str, id: &str| {
        format!("<message to='{to}' type='chat' id='{id}'><body>{id}</body></message>")
    };
    sender.send(&message(&full, "old"))?;
    sender.sync()?;
    let mut other = Client::online(&server.target()?, &juliet, Some("chamber"))?;
    sender.send(&message(&juliet.jid(), "young"))?;
    sender.sync()?;
    other.take_all()?;
    other.disconnect()?;
    dead.vanish();
    server.terminate()?;
    age_the_old_message(&server)?;
    server.start_again()?;
    expect_notice(&server, &romeo, &full)?;
    server.terminate()
}
