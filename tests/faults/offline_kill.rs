//! `kill -9` while messages for absent accounts are accepted: what its sender has seen a later
//! answer for is there after the restart, once, and in order.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::harness::accounts::Account;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions, Target};
use crate::{ensure, trials};

const ROUNDS: u32 = 20;
/// Rounds after which the recipient comes and takes what waits. In between the mailbox has to
/// survive several crashes.
const COLLECT_EVERY: u32 = 4;
const SENDERS: usize = 3;
/// Messages between two pings of a sender.
const BURST: usize = 7;

pub fn trials() -> Vec<Trial> {
    trials![nothing_answered_is_lost]
}

/// What one sender knows at the end of a round.
struct Log {
    /// The ids of messages it wrote, in order.
    sent: Vec<String>,
    /// How many of them were followed by a ping that was answered.
    answered: usize,
}

fn nothing_answered_is_lost() -> Outcome {
    let options = ServerOptions::new()
        .set("limits.stanzas_burst", 1_000_000)
        .set("limits.mailbox_messages", 1_000_000);
    let mut server = Server::start(&options)?;
    let senders: Vec<Account> = (0..SENDERS)
        .map(|n| server.account(&format!("sender{n}")))
        .collect::<Outcome<_>>()?;
    let recipient = server.account("absent")?;
    let (mut answered, mut logs) = (0, Vec::new());
    for round in 1..=ROUNDS {
        logs.extend(round_of_sending(&mut server, round, &senders, &recipient)?);
        server.start_again()?;
        if round % COLLECT_EVERY == 0 {
            let came = collect(&server.target()?, &recipient)?;
            check(&logs, &came).map_err(|error| format!("after round {round}: {error}"))?;
            answered += logs.drain(..).map(|log| log.answered).sum::<usize>();
        }
    }
    ensure!(
        answered > ROUNDS as usize,
        "only {answered} messages were answered in all rounds"
    );
    server.terminate()
}

/// Everybody sends until the server is killed, a little later in every round.
fn round_of_sending(
    server: &mut Server,
    round: u32,
    senders: &[Account],
    recipient: &Account,
) -> Outcome<Vec<Log>> {
    let target = server.target()?;
    let clients: Vec<Client> = senders
        .iter()
        .map(|sender| Client::connect(&target, sender, None))
        .collect::<Outcome<_>>()?;
    thread::scope(|scope| {
        let running: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(number, client)| {
                let prefix = format!("{round}-{number}");
                scope.spawn(move || send_until_the_end(client, &prefix, recipient))
            })
            .collect();
        // Not a wait for something, but the moment of the fault.
        thread::sleep(Duration::from_millis(u64::from(5 + round * 7)));
        server.kill_9()?;
        running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a sender panicked".into()))
            .collect()
    })
}

fn send_until_the_end(mut client: Client, prefix: &str, recipient: &Account) -> Log {
    let mut log = Log {
        sent: Vec::new(),
        answered: 0,
    };
    loop {
        let ids: Vec<String> = (0..BURST)
            .map(|n| format!("{prefix}-{}", log.sent.len() + n))
            .collect();
        let burst: String = ids
            .iter()
            .map(|id| {
                format!(
                    "<message to='{}' type='chat' id='{id}'><body>{id}</body></message>",
                    recipient.jid()
                )
            })
            .collect();
        log.sent.extend(ids);
        if client.send(&burst).and_then(|()| client.sync()).is_err() {
            return log;
        }
        log.answered = log.sent.len();
    }
}

/// The ids of all that waited for the recipient, as they come.
fn collect(target: &Target, recipient: &Account) -> Outcome<Vec<String>> {
    let mut client = Client::connect(target, recipient, None)?;
    client.send("<presence/>")?;
    client.sync()?;
    // Of a large mailbox more comes when the client has taken what it was given.
    let mut came = Vec::new();
    loop {
        client.take_all()?;
        let stanzas = client.stanzas()?;
        if stanzas.is_empty() {
            break;
        }
        came.extend(stanzas);
    }
    client.disconnect()?;
    Ok(came
        .iter()
        .filter(|stanza| stanza.name() == "message")
        .filter_map(|stanza| stanza.attr("id"))
        .map(str::to_owned)
        .collect())
}

fn check(logs: &[Log], came: &[String]) -> Outcome {
    let mut times = HashMap::<&str, usize>::new();
    for id in came {
        *times.entry(id).or_default() += 1;
    }
    if let Some((id, count)) = times.iter().find(|(_, count)| **count > 1) {
        return Err(format!("{id} came {count} times").into());
    }
    let mut known = HashSet::new();
    for log in logs {
        for id in &log.sent[..log.answered] {
            ensure!(
                times.contains_key(id.as_str()),
                "{id} was answered for and is lost"
            );
        }
        let own: HashSet<&String> = log.sent.iter().collect();
        let wanted = log.sent.iter().filter(|id| times.contains_key(id.as_str()));
        let got: Vec<&String> = came.iter().filter(|id| own.contains(id)).collect();
        ensure!(wanted.eq(got.iter().copied()), "order: {got:?}");
        known.extend(own);
    }
    let strange: Vec<&String> = came.iter().filter(|id| !known.contains(id)).collect();
    ensure!(
        strange.is_empty(),
        "never sent, or taken before: {strange:?}"
    );
    Ok(())
}
