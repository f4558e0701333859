//! What becomes of a token with time, and with its account: renewal, expiry, revocation.

use std::net::Ipv4Addr;

use libtest_mimic::Trial;
use minidom::Element;
use rusqlite::Connection;

use super::super::expect_failure;
use super::{UNBOUND, obtain_from};
use crate::harness::Outcome;
use crate::harness::accounts::{Account, registration};
use crate::harness::client::Client;
use crate::harness::sasl2::{identity, no_token, token, user_agent};
use crate::harness::server::{Server, ServerOptions};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        an_old_token_is_renewed,
        an_expired_token,
        a_new_password_revokes,
        a_refused_account_and_a_removed_one,
    ]
}

/// A server of its own, a client there with a token, and how to make time pass.
pub struct Aged {
    pub server: Server,
    pub account: Account,
    pub agent: String,
    pub token: String,
}

impl Aged {
    fn start() -> Outcome<Aged> {
        Aged::start_with(&ServerOptions::new())
    }

    pub fn start_with(options: &ServerOptions) -> Outcome<Aged> {
        let server = Server::start(options)?;
        let (account, agent) = (server.account("romeo")?, user_agent());
        let stream = Client::stream(&server.target()?)?;
        let token = obtain_from(stream, &account, &agent, UNBOUND)?;
        Ok(Aged {
            server,
            account,
            agent,
            token,
        })
    }

    /// A stream from that address.
    pub fn stream_from(&self, source: Ipv4Addr) -> Outcome<Client> {
        Client::tcp_from(&self.server.target()?, source)?.start_tls()
    }

    pub fn end(mut self) -> Outcome {
        self.server.terminate()
    }

    /// Makes all tokens older.
    fn wait(&mut self, days: i64) -> Outcome {
        self.server.terminate()?;
        Connection::open(self.server.database()?)?.execute(
            "UPDATE fast_token SET created_at = created_at - ?1, seen_at = seen_at - ?1, \
             expires_at = expires_at - ?1",
            [days * 86_400_000],
        )?;
        self.server.start_again()
    }

    fn login(&self, token: &str) -> Outcome<Element> {
        let mut client = Client::stream(&self.server.target()?)?;
        client.token2(&self.account, (UNBOUND, token), "", &self.agent)
    }

    fn administer(&self, arguments: &[&str], input: &str) -> Outcome {
        let output = self.server.command(arguments, input)?;
        ensure!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

fn an_old_token_is_renewed() -> Outcome {
    let mut aged = Aged::start()?;
    let first = aged.token.clone();
    identity(&aged.login(&first)?)?;
    aged.wait(2)?;
    let success = aged.login(&first)?;
    let second = token(&success)?;
    // It may not have arrived: the old one is good until the new one is used.
    let success = aged.login(&first)?;
    let third = token(&success)?;
    expect_failure(&aged.login(&second)?, "not-authorized")?;
    let success = aged.login(&third)?;
    no_token(&success)?;
    expect_failure(&aged.login(&first)?, "not-authorized")?;
    aged.end()
}

fn an_expired_token() -> Outcome {
    let mut aged = Aged::start()?;
    aged.wait(29)?;
    identity(&aged.login(&aged.token)?)?;
    aged.wait(1)?;
    expect_failure(&aged.login(&aged.token)?, "credentials-expired")?;
    aged.end()
}

fn a_new_password_revokes() -> Outcome {
    let mut aged = Aged::start()?;
    let jid = aged.account.jid();
    let arguments = ["user", "passwd", &jid, "--password-stdin"];
    aged.administer(&arguments, "another\n")?;
    expect_failure(&aged.login(&aged.token)?, "credentials-expired")?;
    // The same if its owner changes it.
    aged.account.password = "another".to_owned();
    let stream = Client::stream(&aged.server.target()?)?;
    let token = obtain_from(stream, &aged.account, &aged.agent, UNBOUND)?;
    identity(&aged.login(&token)?)?;
    let mut client = Client::connect(&aged.server.target()?, &aged.account, None)?;
    aged.account.password = "a third".to_owned();
    client.send(&registration(&aged.account))?;
    client.sync()?;
    expect_failure(&aged.login(&token)?, "credentials-expired")?;
    aged.end()
}

fn a_refused_account_and_a_removed_one() -> Outcome {
    let mut aged = Aged::start()?;
    let jid = aged.account.jid();
    aged.administer(&["user", "disable", &jid], "")?;
    aged.administer(&["user", "enable", &jid], "")?;
    expect_failure(&aged.login(&aged.token)?, "credentials-expired")?;
    let stream = Client::stream(&aged.server.target()?)?;
    let token = obtain_from(stream, &aged.account, &aged.agent, UNBOUND)?;
    aged.administer(&["user", "delete", &jid], "")?;
    expect_failure(&aged.login(&token)?, "credentials-expired")?;
    aged.server.terminate()?;
    let rows: i64 = Connection::open(aged.server.database()?)?.query_row(
        "SELECT COUNT(*) FROM fast_token",
        [],
        |row| row.get(0),
    )?;
    ensure!(rows == 0, "{rows} tokens of a removed account are left");
    Ok(())
}
