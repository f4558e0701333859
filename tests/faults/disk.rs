//! A disk that is full: what cannot be kept is answered with an error, what was kept stays.

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::disk::Disk;
use crate::harness::server::{Server, ServerOptions};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    match Disk::can_be_mounted() {
        true => trials![a_full_disk],
        false => {
            eprintln!("faults::disk: skipped, this user may not mount a file system of its own");
            Vec::new()
        }
    }
}

fn a_full_disk() -> Outcome {
    let options = ServerOptions::new()
        .set("limits.bytes_burst", 100_000_000)
        .disk_megabytes(6);
    let mut server = Server::start(&options)?;
    let (romeo, juliet) = (server.account("romeo")?, server.account("juliet")?);
    let mut sender = Client::connect(&server.target()?, &romeo, None)?;
    let text = "x".repeat(100_000);
    let mut kept = Vec::new();
    let mut refused = 0;
    for id in (0..200).map(|n| n.to_string()) {
        sender.send(&format!(
            "<message to='{}' type='chat' id='{id}'><body>{text}</body></message>",
            juliet.jid()
        ))?;
        let answers = sender.stanzas()?;
        match answers.first() {
            None => kept.push(id),
            Some(error) => {
                let is_error = error.attr("type") == Some("error") && error.attr("id") == Some(&id);
                ensure!(is_error, "{}", crate::harness::xml::show(error));
                refused += 1;
            }
        }
        if refused == 3 {
            break;
        }
    }
    ensure!(refused == 3, "200 messages of 100 kB fit on a disk of 6 MB");
    ensure!(!kept.is_empty(), "nothing was kept");

    // What was accepted is there, in order, although nothing can be written.
    let mut reader = Client::connect(&server.target()?, &juliet, None)?;
    reader.send("<presence/>")?;
    let came = reader.stanzas()?;
    let ids: Vec<&str> = came.iter().filter_map(|stanza| stanza.attr("id")).collect();
    ensure!(ids == kept, "kept {kept:?}, came {ids:?}");
    server.terminate()
}
