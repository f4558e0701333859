//! Sessions and rooms that end while something else goes on.

use std::time::Instant;

use libtest_mimic::Trial;
use rusqlite::Connection;

use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::transport::DEADLINE;
use crate::harness::xml::{Event, show};
use crate::harness::{Outcome, unique};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![who_is_replaced_leaves, a_room_that_comes_again_at_once]
}

/// A client that enters rooms while another connection takes its place is in none of them.
fn who_is_replaced_leaves() -> Outcome {
    const ROOMS: usize = 30;
    let target = Server::shared()?;
    let guest = Server::shared_account("guest")?;
    let mut host = Client::online(&target, &Server::shared_account("host")?, None)?;
    let first = unique();
    let room = |n: usize| format!("replaced-{first}-{n}@groups.{}", target.domain);
    let rooms: Vec<String> = (0..ROOMS).map(room).collect();
    for room in &rooms {
        host.create_room(room, "Host", &Vec::new())?;
    }
    let enter = |room: &String| {
        format!(
            "<presence to='{room}/Guest'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
    };
    let all: String = rooms.iter().map(enter).collect();
    for _ in 0..10 {
        let mut replaced = Client::connect(&target, &guest, Some("here"))?;
        replaced.send(&all)?;
        let _next = Client::connect(&target, &guest, Some("here"))?;
        while !matches!(replaced.recv()?, Event::Closed) {}
    }
    Client::connect(&target, &guest, Some("here"))?.disconnect()?;
    host.stanzas()?;
    for room in &rooms {
        host.send(&format!(
            "<iq type='get' id='{room}' to='{room}'>\
             <query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
        ))?;
        let answer = host.answer_to(room)?;
        let nicks = show(&answer).matches("<item ").count();
        ensure!(nicks == 1, "{}", show(&answer));
    }
    Ok(())
}

/// What was said in a room that is gone goes with it, also where a new one has its address at once.
fn a_room_that_comes_again_at_once() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let target = server.target()?;
    let mut romeo = Client::online(&target, &server.account("romeo")?, None)?;
    let room = format!("hall@groups.{}", target.domain);
    romeo.create_room(&room, "Romeo", &Vec::new())?;
    romeo.send(&format!(
        "<message to='{room}' type='groupchat' id='1'><body>forget it</body></message>\
         <iq type='set' id='d' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <destroy/></query></iq>\
         <presence to='{room}/Romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    ))?;
    let came = romeo.stanzas()?;
    let is_new = |stanza: &minidom::Element| {
        show(stanza).contains("'201'") || show(stanza).contains("\"201\"")
    };
    ensure!(came.iter().any(is_new), "{came:?}");
    let database = Connection::open(server.database()?)?;
    let left = "SELECT count(*) FROM message WHERE instr(body, 'forget it') > 0";
    let end = Instant::now() + DEADLINE;
    while database.query_row(left, [], |row| row.get::<_, i64>(0))? > 0 {
        ensure!(Instant::now() < end, "what was said is still there");
    }
    server.terminate()
}
