//! A database that is in use, newer than the program, or damaged: the server says so and does not
//! touch it.

use std::fs;

use libtest_mimic::Trial;
use rusqlite::Connection;

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::server::{Server, ServerOptions};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        a_second_server_is_refused,
        a_newer_schema_is_refused,
        a_damaged_file_is_refused
    ]
}

fn a_second_server_is_refused() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let account = server.account("romeo")?;
    let output = server.command(&["serve"], "")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(1),
        "a second server on the same data: {}\n{said}",
        output.status
    );
    let names_it = said.contains(&server.pid()?.to_string()) || said.contains("data");
    ensure!(names_it, "the error does not say what is in use: {said}");
    Client::connect(&server.target()?, &account, None)?.disconnect()?;
    server.terminate()
}

fn a_newer_schema_is_refused() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    server.terminate()?;
    let path = server.database()?;
    let database = Connection::open(&path)?;
    database.execute(
        "UPDATE schema_version SET version = 9999 WHERE extension = 'core'",
        [],
    )?;
    drop(database);
    refused(&server, "newer")?;
    let version: i64 = Connection::open(&path)?.query_row(
        "SELECT version FROM schema_version WHERE extension = 'core'",
        [],
        |row| row.get(0),
    )?;
    ensure!(version == 9999, "the newer database was changed");
    Ok(())
}

fn a_damaged_file_is_refused() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    server.terminate()?;
    let path = server.database()?;
    let garbage = b"this was a database once".repeat(400);
    fs::write(&path, &garbage)?;
    refused(&server, "")?;
    ensure!(
        fs::read(&path)? == garbage,
        "the damaged file was written to"
    );
    Ok(())
}

/// `serve` ends with 1 and a line that contains the word.
fn refused(server: &Server, word: &str) -> Outcome {
    let output = server.command(&["serve"], "")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(1),
        "serve ended with {}\n{said}",
        output.status
    );
    let line = said.lines().last().unwrap_or_default();
    ensure!(
        !line.is_empty() && said.contains(word),
        "the error does not say {word:?}: {said}"
    );
    Ok(())
}
