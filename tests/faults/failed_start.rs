//! A start that fails: the next one finds everything as the last stop left it.

use std::net::TcpListener;

use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{SM, show};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![sessions_outlive_a_start_that_fails]
}

fn sessions_outlive_a_start_that_fails() -> Outcome {
    let options = ServerOptions::new();
    let mut server = Server::start(&options)?;
    let account = server.account("romeo")?;
    let mut client = Client::connect(&server.target()?, &account, None)?;
    client.send(&format!("<enable xmlns='{SM}' resume='true'/>"))?;
    let enabled = client.expect("enabled", SM)?;
    let id = enabled.attr("id").ok_or("no id")?;
    server.terminate()?;

    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    server.configure(
        &options
            .clone()
            .set("listen.c2s", format!("[\"{address}\"]")),
    )?;
    let failed = server.command(&["serve"], "")?;
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    ensure!(
        failed.status.code() == Some(1) && said.contains(&address.to_string()),
        "{}: {said}",
        failed.status
    );

    server.configure(&options)?;
    server.start_again()?;
    let mut back = Client::stream(&server.target()?)?;
    back.log_in(&account)?;
    back.send(&format!("<resume xmlns='{SM}' previd='{id}' h='0'/>"))?;
    let answer = back.stanza()?;
    ensure!(answer.is("resumed", SM), "{}", show(&answer));
    server.terminate()
}
