//! Rooms under more than they take.

use minidom::Element;

use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{CLIENT, show};
use crate::harness::{Outcome, unique};
use crate::{ensure, trials};

/// The tests of this module.
pub fn trials() -> Vec<libtest_mimic::Trial> {
    trials![a_flood, many_enter_at_once]
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
