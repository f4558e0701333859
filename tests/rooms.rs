//! Rooms under more than they take.

use std::collections::BTreeSet;
use std::thread;

use minidom::Element;

use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions, Target};
use crate::harness::xml::{CLIENT, show};
use crate::harness::{Outcome, unique};
use crate::{ensure, trials};

/// The tests of this module.
pub fn trials() -> Vec<libtest_mimic::Trial> {
    trials![a_flood, many_enter_at_once, three_hundred_enter_at_once]
}

/// Who floods a room is told so for each message that is not taken. What was taken everybody gets,
/// once and in order, and nothing else is in the archive.
fn a_flood() -> Outcome {
    let target = Server::shared()?;
    let room = format!("flood-{}@groups.{}", unique(), target.domain);
    let mut romeo = Client::online(&target, &Server::shared_account("romeo")?, None)?;
    let mut juliet = Client::online(&target, &Server::shared_account("juliet")?, None)?;
    romeo.create_room(&room, "Romeo", &Vec::new())?;
    juliet.enter_room(&room, "Juliet")?;
    romeo.stanzas()?;
    let message =
        |n| format!("<message to='{room}' type='groupchat' id='{n}'><body>{n}</body></message>");
    let flood: String = (0..300).map(message).collect();
    romeo.send(&flood)?;
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for stanza in romeo.stanzas()? {
        let id = stanza.attr("id").unwrap_or_default().to_owned();
        match stanza.attr("type") {
            Some("groupchat") => taken.push(id),
            _ => {
                let error = stanza.get_child("error", CLIENT);
                let is_wait = error.is_some_and(|error| error.attr("type") == Some("wait"));
                ensure!(is_wait, "not asked to wait: {}", show(&stanza));
                refused.push(id);
            }
        }
    }
    ensure!(taken.len() + refused.len() == 300, "some have no answer");
    ensure!(!taken.is_empty(), "nothing was taken");
    ensure!(!refused.is_empty(), "everything was taken");
    let heard = messages(&juliet.stanzas()?);
    ensure!(heard == taken, "heard {heard:?}, taken {taken:?}");
    juliet.send(&format!(
        "<iq type='set' id='q' to='{room}'><query xmlns='urn:xmpp:mam:2'>\
         <set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set></query></iq>"
    ))?;
    let answer = juliet.answer_to("q")?;
    let count = format!("<count>{}</count>", taken.len());
    ensure!(
        show(&answer).contains(&count),
        "not {count}: {}",
        show(&answer)
    );
    Ok(())
}

fn messages(stanzas: &[Element]) -> Vec<String> {
    let messages = stanzas.iter().filter(|stanza| stanza.is("message", CLIENT));
    messages
        .filter_map(|message| message.attr("id").map(str::to_owned))
        .collect()
}

/// Of many that enter at once as many come in as there is place for, and everybody is told which.
fn many_enter_at_once() -> Outcome {
    const PLACES: usize = 8;
    const GUESTS: usize = 15;
    let server = Server::start(&ServerOptions::new().set("muc.max_members", PLACES))?;
    let target = server.target()?;
    let room = format!("full@groups.{}", target.domain);
    let mut host = Client::online(&target, &server.account("host")?, None)?;
    host.create_room(&room, "Host", &Vec::new())?;
    let mut guests = Vec::new();
    for _ in 0..GUESTS {
        guests.push(Client::online(&target, &server.account("guest")?, None)?);
    }
    for (number, guest) in guests.iter_mut().enumerate() {
        guest.send(&format!(
            "<presence to='{room}/guest {number}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))?;
    }
    let mut inside = 0;
    for guest in &mut guests {
        let came = guest.stanzas()?;
        let refused = came
            .iter()
            .find(|stanza| stanza.attr("type") == Some("error"));
        match refused {
            None => inside += 1,
            Some(error) => ensure!(
                show(error).contains("service-unavailable") && came.len() == 1,
                "refused otherwise: {came:?}"
            ),
        }
    }
    ensure!(inside == PLACES - 1, "{inside} came in");
    let seen = host.stanzas()?;
    ensure!(seen.len() == inside, "the host has seen {}", seen.len());
    Ok(())
}

/// Of 300 that enter at once as many are let in as a room takes, in all of whose eyes the same are
/// inside. What is said then reaches each of them once, and nobody else.
fn three_hundred_enter_at_once() -> Outcome {
    const PLACES: usize = 256;
    const GUESTS: usize = 299;
    // Rooms take as many as they do by default. Without TLS and passwords most of the time is spent
    // in the room.
    let options = ServerOptions::new()
        .set("tls.require", false)
        .set("auth.anonymous", true);
    let server = Server::start(&options)?;
    let target = server.target()?;
    let room = format!("full@groups.{}", target.domain);
    let mut host = Client::online(&target, &server.account("host")?, None)?;
    host.create_room(&room, "host", &Vec::new())?;
    host.send(&format!("<presence type='unavailable' to='{room}/host'/>"))?;
    host.stanzas()?;
    let mut clients = vec![host];
    for _ in 0..GUESTS {
        clients.push(guest(&target)?);
    }
    enter_from_two_threads(&mut clients, &room)?;
    let mut came = Vec::new();
    // When each has its answer, all that the last of them brought about is under way.
    for client in &mut clients {
        came.push(client.stanzas()?);
    }
    for (client, came) in clients.iter_mut().zip(&mut came) {
        came.extend(client.stanzas()?);
    }
    let mut inside = Vec::new();
    for (number, came) in came.iter().enumerate() {
        if let [error] = &came[..] {
            let condition = "service-unavailable";
            ensure!(show(error).contains(condition), "{}", show(error));
        } else {
            inside.push(number);
        }
    }
    ensure!(inside.len() == PLACES, "{} came in", inside.len());
    ensure!(inside[0] == 0, "the owner did not come in");
    let nicks: BTreeSet<String> = inside.iter().map(|number| nick(*number)).collect();
    for number in &inside {
        let seen = present(&came[*number]);
        ensure!(seen == nicks, "{} sees {seen:?}", nick(*number));
    }
    clients[0].send(&format!(
        "<message to='{room}' type='groupchat' id='all'><body>all</body></message>"
    ))?;
    // Its answer comes when the message is stored: nothing that is asked later overtakes it.
    clients[0].sync()?;
    for (number, client) in clients.iter_mut().enumerate() {
        let heard = messages(&client.stanzas()?);
        let wanted: &[&str] = match inside.contains(&number) {
            true => &["all"],
            false => &[],
        };
        ensure!(heard == wanted, "{} has heard {heard:?}", nick(number));
    }
    Ok(())
}

/// A user without an account, over TCP alone.
fn guest(target: &Target) -> Outcome<Client> {
    let mut client = Client::tcp(target)?;
    client.open()?;
    client.auth("ANONYMOUS", "")?;
    client.open()?;
    client.bind(None)?;
    Ok(client)
}

fn nick(number: usize) -> String {
    match number {
        0 => "host".into(),
        _ => format!("guest {number}"),
    }
}

/// All ask to enter, and nobody waits for an answer.
fn enter_from_two_threads(clients: &mut [Client], room: &str) -> Outcome {
    let middle = clients.len() / 2;
    let enter = |first: usize, clients: &mut [Client]| {
        for (number, client) in clients.iter_mut().enumerate() {
            let nick = nick(first + number);
            let asked = client.send(&format!(
                "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ));
            asked.map_err(|error| error.to_string())?;
        }
        Ok::<(), String>(())
    };
    let (left, right) = clients.split_at_mut(middle);
    thread::scope(|scope| {
        let other = scope.spawn(|| enter(0, left));
        enter(middle, right)?;
        other.join().map_err(|_| "a thread has panicked")??;
        Ok(())
    })
}

/// The nicknames of those who are inside after these stanzas.
fn present(stanzas: &[Element]) -> BTreeSet<String> {
    let mut present = BTreeSet::new();
    let presences = stanzas.iter().filter(|s| s.is("presence", CLIENT));
    for presence in presences {
        let from = presence.attr("from").unwrap_or_default();
        let nick = from.split_once('/').map_or("", |(_, nick)| nick).to_owned();
        match presence.attr("type") {
            None => present.insert(nick),
            Some(_) => present.remove(&nick),
        };
    }
    present
}
