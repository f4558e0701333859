//! XEP-0198 where it needs more than a play: races, floods, clients that acknowledge nothing.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use minidom::Element;

use crate::harness::Outcome;
use crate::harness::accounts::Account;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions, Target};
use crate::harness::xml::{CLIENT, Event, SM, STREAM, show};
use crate::{ensure, trials};

const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

pub fn trials() -> Vec<Trial> {
    trials![
        a_count_that_is_too_high_is_named,
        a_count_that_is_too_high_in_a_resumption,
        a_session_is_resumed_by_one_of_two,
        an_expired_session,
        a_client_that_acknowledges_nothing_loses_nothing,
        resumption_when_nothing_was_read,
        a_flood_of_requests_hinders_nobody,
        an_answer_covers_what_was_being_stored,
        elements_that_make_no_sense,
    ]
}

/// Enables stream management with resumption; the id.
fn enable(client: &mut Client) -> Outcome<String> {
    client.send(&format!("<enable xmlns='{SM}' resume='true'/>"))?;
    let enabled = client.expect("enabled", SM)?;
    Ok(enabled.attr("id").ok_or("no id")?.to_owned())
}

/// Asks to resume with that count, on a stream that is logged in; the answer.
fn resume(client: &mut Client, id: &str, h: u32) -> Outcome<Element> {
    client.send(&format!("<resume xmlns='{SM}' previd='{id}' h='{h}'/>"))?;
    client.stanza()
}

fn logged_in(target: &Target, account: &Account) -> Outcome<Client> {
    let mut client = Client::stream(target)?;
    client.log_in(account)?;
    Ok(client)
}

fn message(to: &Account, id: &str) -> String {
    format!(
        "<message to='{}' type='chat' id='{id}'><body>{id}</body></message>",
        to.jid()
    )
}

/// The ids of the messages among these.
fn ids(elements: &[Element]) -> Vec<&str> {
    let messages = elements
        .iter()
        .filter(|element| element.is("message", CLIENT));
    messages.filter_map(|message| message.attr("id")).collect()
}

/// All stanzas that come up to the answer to a ping, without what is no stanza.
fn stanzas(client: &mut Client) -> Outcome<Vec<Element>> {
    let mut all = client.stanzas()?;
    all.retain(|element| element.ns() == CLIENT);
    Ok(all)
}

/// §6: the error says what was claimed and what was sent.
fn expect_too_high(client: &mut Client, h: &str, sent: &str) -> Outcome {
    let mut error = client.stanza()?;
    while error.is("a", SM) {
        error = client.stanza()?;
    }
    ensure!(error.is("error", STREAM), "{}", show(&error));
    let details = error.get_child("handled-count-too-high", SM);
    let is_right = details.is_some_and(|details| {
        details.attr("h") == Some(h) && details.attr("send-count") == Some(sent)
    });
    ensure!(
        is_right && error.has_child("undefined-condition", STREAMS),
        "{}",
        show(&error)
    );
    client.expect_end()
}

fn a_count_that_is_too_high_is_named() -> Outcome {
    let target = Server::shared()?;
    let account = Server::shared_account("high")?;
    let mut client = Client::connect(&target, &account, None)?;
    enable(&mut client)?;
    // The answer to the ping is one stanza.
    client.sync()?;
    client.unread();
    client.send(&format!("<a xmlns='{SM}' h='1'/><a xmlns='{SM}' h='7'/>"))?;
    expect_too_high(&mut client, "7", "1")
}

fn a_count_that_is_too_high_in_a_resumption() -> Outcome {
    let target = Server::shared()?;
    let account = Server::shared_account("higher")?;
    let mut client = Client::connect(&target, &account, None)?;
    let id = enable(&mut client)?;
    client.vanish();
    let mut liar = logged_in(&target, &account)?;
    liar.send(&format!("<resume xmlns='{SM}' previd='{id}' h='4'/>"))?;
    expect_too_high(&mut liar, "4", "0")?;
    // The session is still there for one that counts better.
    let mut honest = logged_in(&target, &account)?;
    let answer = resume(&mut honest, &id, 0)?;
    ensure!(answer.is("resumed", SM), "{}", show(&answer));
    honest.disconnect()
}

/// Two connections ask at the same time, again and again. One has the session in the end, the other
/// was sent away, and a message comes once.
fn a_session_is_resumed_by_one_of_two() -> Outcome {
    let target = Server::shared()?;
    let romeo = Server::shared_account("romeo")?;
    let mut sender = Client::connect(&target, &romeo, None)?;
    for round in 0..10 {
        let juliet = Server::shared_account("juliet")?;
        let mut client = Client::connect(&target, &juliet, None)?;
        let id = enable(&mut client)?;
        client.send("<presence/>")?;
        // Two stanzas: the own presence and the answer to the ping.
        client.sync()?;
        client.vanish();
        let mut rivals = [logged_in(&target, &juliet)?, logged_in(&target, &juliet)?];
        for (number, rival) in rivals.iter_mut().enumerate() {
            rival.jid = Some(format!("rival {number}"));
            rival.send(&format!("<resume xmlns='{SM}' previd='{id}' h='2'/>"))?;
        }
        let word = format!("word-{round}");
        sender.send(&message(&juliet, &word))?;
        sender.sync()?;
        let mut answers = Vec::new();
        for rival in &mut rivals {
            let answer = rival.stanza()?;
            let is_conflict = answer.is("error", STREAM) && answer.has_child("conflict", STREAMS);
            ensure!(
                is_conflict || answer.is("resumed", SM) || answer.is("failed", SM),
                "{}",
                show(&answer)
            );
            answers.push(answer);
        }
        let mut winners = 0;
        for (rival, answer) in rivals.iter_mut().zip(&answers) {
            if !answer.is("resumed", SM) || is_sent_away(rival)? {
                continue;
            }
            winners += 1;
            let came = stanzas(rival)?;
            ensure!(ids(&came) == [word.as_str()], "{:?}", ids(&came));
            rival.disconnect()?;
        }
        ensure!(winners == 1, "{winners} of two have the session");
    }
    Ok(())
}

/// Whether the stream ends with `conflict` before it answers a ping. What comes stays to be read.
fn is_sent_away(client: &mut Client) -> Outcome<bool> {
    if client.sync().is_ok() {
        return Ok(false);
    }
    for event in client.unread() {
        match event {
            Event::Element(error) if error.is("error", STREAM) => {
                ensure!(error.has_child("conflict", STREAMS), "{}", show(&error));
                return Ok(true);
            }
            _ => {}
        }
    }
    Err("the stream ended without a word".into())
}

/// §4 and §5: of a session that is over the count is known, and its messages are not lost.
fn an_expired_session() -> Outcome {
    let mut server = Server::start(&ServerOptions::new().set("limits.resume_timeout", 1))?;
    let target = server.target()?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut watcher = Client::online(&target, &romeo, None)?;
    let mut client = Client::connect(&target, &juliet, Some("balcony"))?;
    let id = enable(&mut client)?;
    // Who was sent presence is told of the end.
    client.send(&format!("<presence/><presence to='{}'/>", watcher.full()))?;
    client.send(&message(&romeo, "from-juliet"))?;
    client.sync()?;
    client.vanish();
    watcher.send(&message(&juliet, "to-juliet"))?;
    loop {
        let stanza = watcher.stanza()?;
        if stanza.is("presence", CLIENT) && stanza.attr("type") == Some("unavailable") {
            break;
        }
    }
    let mut back = logged_in(&target, &juliet)?;
    let answer = resume(&mut back, &id, 1)?;
    ensure!(
        answer.is("failed", SM) && answer.has_child("item-not-found", STANZAS),
        "{}",
        show(&answer)
    );
    // If the count is there, it covers the message and not more than was sent.
    let h = answer.attr("h").map(str::parse::<u32>).transpose()?;
    ensure!(h.is_none_or(|h| (3..=4).contains(&h)), "{}", show(&answer));
    back.bind(Some("balcony"))?;
    back.send("<presence/>")?;
    let came = stanzas(&mut back)?;
    ensure!(ids(&came) == ["to-juliet"], "{:?}", ids(&came));
    server.terminate()
}

/// A client that answers neither requests nor pings is given up after a while, and its session
/// waits for it with all that it did not take. Its sender is told of no failure.
fn a_client_that_acknowledges_nothing_loses_nothing() -> Outcome {
    let options = ServerOptions::new()
        .set("limits.ping_after_silence", 1)
        .set("limits.ping_timeout", 1);
    let mut server = Server::start(&options)?;
    let target = server.target()?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::connect(&target, &romeo, None)?;
    let mut silent = Client::connect(&target, &juliet, None)?;
    silent.answers_pings = false;
    let id = enable(&mut silent)?;
    silent.send("<presence/>")?;
    let own = silent.stanza()?;
    ensure!(own.is("presence", CLIENT), "{}", show(&own));
    sender.send(&(message(&juliet, "1") + &message(&juliet, "2")))?;
    let mut seen = Vec::new();
    loop {
        match silent.recv()? {
            Event::Element(element) => seen.push(element),
            Event::Closed => break,
            Event::Header(_) | Event::End => {}
        }
    }
    ensure!(ids(&seen) == ["1", "2"], "{:?}", ids(&seen));
    sender.send(&message(&juliet, "3"))?;
    let told = sender.stanzas()?;
    ensure!(told.is_empty(), "{}", show(&told[0]));
    let mut back = logged_in(&target, &juliet)?;
    let answer = resume(&mut back, &id, 1)?;
    ensure!(answer.is("resumed", SM), "{}", show(&answer));
    let came = stanzas(&mut back)?;
    ensure!(ids(&came) == ["1", "2", "3"], "{:?}", ids(&came));
    server.terminate()
}

/// §5: `h='0'` of a client that read nothing. All of it comes again, in order and once.
fn resumption_when_nothing_was_read() -> Outcome {
    const COUNT: usize = 100;
    let target = Server::shared()?;
    let (romeo, juliet) = (
        Server::shared_account("romeo")?,
        Server::shared_account("juliet")?,
    );
    let mut sender = Client::connect(&target, &romeo, None)?;
    let mut deaf = Client::connect(&target, &juliet, None)?;
    let id = enable(&mut deaf)?;
    deaf.send("<presence/>")?;
    let all: Vec<String> = (0..COUNT).map(|number| format!("m{number}")).collect();
    for id in &all {
        sender.send(&message(&juliet, id))?;
    }
    sender.sync()?;
    deaf.vanish();
    let mut back = logged_in(&target, &juliet)?;
    let answer = resume(&mut back, &id, 0)?;
    ensure!(answer.is("resumed", SM), "{}", show(&answer));
    // The presence was handled or was not: a client sends it again then.
    if answer.attr("h") == Some("0") {
        back.send("<presence/>")?;
    }
    let came = stanzas(&mut back)?;
    ensure!(ids(&came) == all, "{:?}", ids(&came));
    let presences = came.iter().filter(|stanza| stanza.is("presence", CLIENT));
    ensure!(presences.count() == 1, "the own presence did not come once");
    back.disconnect()
}

/// Requests are answered, with the true count, and others do not wait.
fn a_flood_of_requests_hinders_nobody() -> Outcome {
    const COUNT: usize = 50_000;
    let options = ServerOptions::new().set("limits.stanzas_burst", 1_000_000);
    let mut server = Server::start(&options)?;
    let target = server.target()?;
    let (account, other) = (server.account("asker")?, server.account("other")?);
    let mut beside = Client::connect(&target, &other, None)?;
    let mut client = Client::connect(&target, &account, None)?;
    enable(&mut client)?;
    let flood = format!("<r xmlns='{SM}'/>").repeat(COUNT);
    client.send(&flood)?;
    let begun = Instant::now();
    beside.sync()?;
    ensure!(
        begun.elapsed() < Duration::from_secs(5),
        "the others waited {:?}",
        begun.elapsed()
    );
    let came = client.stanzas()?;
    let answers = came.iter().filter(|element| element.is("a", SM));
    let counts: Vec<Option<&str>> = answers.map(|answer| answer.attr("h")).collect();
    ensure!(
        !counts.is_empty() && counts.len() <= COUNT + 1,
        "{} answers",
        counts.len()
    );
    ensure!(
        counts.iter().all(|h| matches!(h, Some("0" | "1"))),
        "{:?}",
        counts.last()
    );
    server.terminate()
}

/// §4: who asks behind a message is answered once, with that message: the commit is waited for.
fn an_answer_covers_what_was_being_stored() -> Outcome {
    let target = Server::shared()?;
    let (romeo, juliet) = (
        Server::shared_account("romeo")?,
        Server::shared_account("juliet")?,
    );
    let mut sender = Client::connect(&target, &romeo, None)?;
    enable(&mut sender)?;
    for round in 1..=20 {
        let asking = format!("{}<r xmlns='{SM}'/>", message(&juliet, "m"));
        sender.send(&asking)?;
        let answer = sender.expect("a", SM)?;
        ensure!(
            answer.attr("h") == Some(&*round.to_string()),
            "round {round}: {}",
            show(&answer)
        );
    }
    sender.disconnect()
}

/// Each is answered with `<failed/>` or ends the stream; none is passed over, and the server and
/// its other clients go on.
fn elements_that_make_no_sense() -> Outcome {
    let target = Server::shared()?;
    let account = Server::shared_account("nonsense")?;
    for text in [
        "<a xmlns='urn:xmpp:sm:3'/>",
        "<a xmlns='urn:xmpp:sm:3' h='-1'/>",
        "<a xmlns='urn:xmpp:sm:3' h='many'/>",
        "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>",
        "<a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
        "<resume xmlns='urn:xmpp:sm:3' previd='0000000000000001' h='0'/>",
        "<resume xmlns='urn:xmpp:sm:3'/>",
        "<enabled xmlns='urn:xmpp:sm:3'/>",
        "<enable xmlns='urn:xmpp:sm:3' resume='perhaps'/>",
        "<failed xmlns='urn:xmpp:sm:3'/>",
        "<throttle xmlns='urn:xmpp:sm:3'/>",
    ] {
        let mut client = Client::connect(&target, &account, None)?;
        enable(&mut client)?;
        client.send(text)?;
        let answer = client.stanza()?;
        ensure!(
            answer.is("failed", SM) || answer.is("error", STREAM),
            "{text} is answered with {}",
            show(&answer)
        );
        match answer.is("failed", SM) {
            true => client.sync()?,
            false => client.expect_end()?,
        }
    }
    Ok(())
}
