//! Login by token: XEP-0484 (FAST).

use libtest_mimic::Trial;
use minidom::Element;
use rusqlite::Connection;

use super::{again, begin, expect_failure};
use crate::harness::Outcome;
use crate::harness::accounts::Account;
use crate::harness::client::Client;
use crate::harness::sasl;
use crate::harness::sasl2::{BIND, FAST, identity, request_token, token, user_agent};
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{SASL, show};
use crate::{ensure, trials};

const UNBOUND: &str = "HT-SHA-256-NONE";

pub fn trials() -> Vec<Trial> {
    trials![
        a_token_lets_a_client_in,
        a_token_is_good_for_its_client_and_mechanism,
        no_token_unless_asked_for,
        a_new_token_replaces_one_that_was_not_used,
        counted_logins,
        invalidation,
        requests_that_make_no_sense,
        the_older_profile_has_no_tokens,
        guessing_is_slowed_down,
        an_old_token_is_renewed,
        an_expired_token,
        a_new_password_revokes,
        a_refused_account_and_a_removed_one,
        seventeen_clients,
    ]
}

/// A token for that user agent on the shared server.
fn obtain(account: &Account, agent: &str, mechanism: &str) -> Outcome<String> {
    obtain_from(again()?, account, agent, mechanism)
}

fn obtain_from(
    mut client: Client,
    account: &Account,
    agent: &str,
    mechanism: &str,
) -> Outcome<String> {
    let more = format!("{agent}{}", request_token(mechanism));
    let success = client.scram2(account, &more)?;
    Ok(token(&success).ok_or_else(|| format!("no token in {}", show(&success)))?)
}

/// A login by token over a new stream to the shared server.
fn use_token(
    account: &Account,
    agent: &str,
    token: &str,
    fast: &str,
    more: &str,
) -> Outcome<Element> {
    again()?.token2(account, (UNBOUND, token), fast, &format!("{agent}{more}"))
}

fn a_token_lets_a_client_in() -> Outcome {
    for mechanism in ["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", UNBOUND] {
        let (client, account) = begin("token")?;
        let agent = user_agent();
        let given = obtain_from(client, &account, &agent, mechanism)?;
        // As often as it likes.
        for _ in 0..2 {
            let mut client = again()?;
            let success =
                client.token2(&account, (mechanism, &given), "", &format!("{agent}{BIND}"))?;
            ensure!(
                token(&success).is_none(),
                "another token unasked: {}",
                show(&success)
            );
            client
                .bound2(&success)
                .map_err(|error| format!("{mechanism}: {error}"))?;
            client.sync()?;
        }
    }
    Ok(())
}

fn a_token_is_good_for_its_client_and_mechanism() -> Outcome {
    let (client, account) = begin("bound-token")?;
    let other = Server::shared_account("other")?;
    let agent = user_agent();
    let given = obtain_from(client, &account, &agent, "HT-SHA-256-ENDP")?;
    let more = format!("{agent}{BIND}");
    let refused = |account: &Account, mechanism, token: &str, more: &str| -> Outcome {
        let answer = again()?.token2(account, (mechanism, token), "", more)?;
        expect_failure(&answer, "not-authorized")
            .map_err(|error| format!("{mechanism} {more}: {error}").into())
    };
    // XEP-0484 §3.4: not even one that would accept it otherwise.
    refused(&account, UNBOUND, &given, &more)?;
    refused(&account, "HT-SHA-256-EXPR", &given, &more)?;
    refused(&account, "HT-SHA-256-ENDP", "guessed", &more)?;
    refused(&account, "HT-SHA-256-ENDP", "", &more)?;
    refused(&account, "HT-SHA-256-ENDP", &given, &user_agent())?;
    refused(&other, "HT-SHA-256-ENDP", &given, &more)?;
    let nobody = Account {
        user: "no-such-user".to_owned(),
        ..other
    };
    refused(&nobody, "HT-SHA-256-ENDP", &given, &more)?;
    let answer = again()?.token2(&account, ("HT-SHA-256-ENDP", &given), "", &more)?;
    identity(&answer).map(drop)
}

fn no_token_unless_asked_for() -> Outcome {
    let account = Server::shared_account("unasked")?;
    let agent = user_agent();
    for more in [
        agent.clone(),
        // Without an id nobody could be known again.
        request_token(UNBOUND),
        format!(
            "<user-agent><software>Test</software></user-agent>{}",
            request_token(UNBOUND)
        ),
        // Not on offer.
        format!("{agent}{}", request_token("HT-SHA-256-UNIQ")),
        format!("{agent}{}", request_token("PLAIN")),
    ] {
        let success = again()?.scram2(&account, &more)?;
        identity(&success)?;
        ensure!(token(&success).is_none(), "{more}: {}", show(&success));
    }
    // Not to somebody who does not get in.
    let wrong = sasl::plain("", &account.user, "wrong");
    let more = format!("{agent}{}", request_token(UNBOUND));
    let answer = again()?.authenticate("PLAIN", Some(&wrong), &more)?;
    expect_failure(&answer, "not-authorized")?;
    ensure!(token(&answer).is_none(), "{}", show(&answer));
    Ok(())
}

/// XEP-0484 §3.5: one that did not arrive must not stay good; the one in use must, until the next
/// is used.
fn a_new_token_replaces_one_that_was_not_used() -> Outcome {
    let account = Server::shared_account("slots")?;
    let agent = user_agent();
    let lost = obtain(&account, &agent, UNBOUND)?;
    let first = obtain(&account, &agent, UNBOUND)?;
    expect_failure(
        &use_token(&account, &agent, &lost, "", "")?,
        "not-authorized",
    )?;
    let success = use_token(&account, &agent, &first, "", &request_token(UNBOUND))?;
    let second = token(&success).ok_or_else(|| format!("no token in {}", show(&success)))?;
    identity(&use_token(&account, &agent, &first, "", "")?)?;
    identity(&use_token(&account, &agent, &second, "", "")?)?;
    expect_failure(
        &use_token(&account, &agent, &first, "", "")?,
        "not-authorized",
    )?;
    identity(&use_token(&account, &agent, &second, "", "")?).map(drop)
}

fn counted_logins() -> Outcome {
    let account = Server::shared_account("count")?;
    let agent = user_agent();
    let given = obtain(&account, &agent, UNBOUND)?;
    let login = |fast: &str| use_token(&account, &agent, &given, fast, "");
    identity(&login("count='1'")?)?;
    identity(&login("count='5'")?)?;
    for replayed in ["count='5'", "count='4'", "count='0'"] {
        expect_failure(&login(replayed)?, "not-authorized")
            .map_err(|error| format!("{replayed}: {error}"))?;
    }
    identity(&login("count='6'")?)?;
    // Only TLS 0-RTT needs it, which there is not.
    identity(&login("")?).map(drop)
}

fn invalidation() -> Outcome {
    let account = Server::shared_account("logout")?;
    let agent = user_agent();
    for invalidate in ["invalidate='true'", "invalidate='1'"] {
        let given = obtain(&account, &agent, UNBOUND)?;
        identity(&use_token(
            &account,
            &agent,
            &given,
            "invalidate='false'",
            "",
        )?)?;
        let success = use_token(&account, &agent, &given, invalidate, "")?;
        identity(&success)?;
        ensure!(token(&success).is_none(), "{}", show(&success));
        expect_failure(
            &use_token(&account, &agent, &given, "", "")?,
            "not-authorized",
        )?;
    }
    // Unless it asks for another.
    let given = obtain(&account, &agent, UNBOUND)?;
    let success = use_token(
        &account,
        &agent,
        &given,
        "invalidate='1'",
        &request_token(UNBOUND),
    )?;
    let next = token(&success).ok_or_else(|| format!("no token in {}", show(&success)))?;
    expect_failure(
        &use_token(&account, &agent, &given, "", "")?,
        "not-authorized",
    )?;
    identity(&use_token(&account, &agent, &next, "", "")?).map(drop)
}

fn requests_that_make_no_sense() -> Outcome {
    let account = Server::shared_account("nonsense")?;
    let agent = user_agent();
    let given = obtain(&account, &agent, UNBOUND)?;
    for fast in ["count='-1'", "count='many'", "count=''", "invalidate='yes'"] {
        expect_failure(
            &use_token(&account, &agent, &given, fast, "")?,
            "malformed-request",
        )
        .map_err(|error| format!("{fast}: {error}"))?;
    }
    expect_failure(
        &use_token(&account, "", &given, "", "")?,
        "malformed-request",
    )?;
    let fast: &str = &format!("<fast xmlns='{FAST}'/>{agent}");
    let (proof, _) = sasl::hashed_token(&account.user, &given, b"");
    for (mechanism, initial, more, condition) in [
        (UNBOUND, Some(&*proof), agent.as_str(), "malformed-request"),
        (UNBOUND, None, fast, "malformed-request"),
        (UNBOUND, Some("AAAA"), fast, "malformed-request"),
        ("HT-SHA-256-UNIQ", Some(&*proof), fast, "invalid-mechanism"),
        ("HT-SHA-512-NONE", Some(&*proof), fast, "invalid-mechanism"),
    ] {
        let answer = again()?.authenticate(mechanism, initial, more)?;
        expect_failure(&answer, condition)
            .map_err(|error| format!("{mechanism} {initial:?} {more}: {error}"))?;
    }
    identity(&use_token(&account, &agent, &given, "", "")?).map(drop)
}

fn the_older_profile_has_no_tokens() -> Outcome {
    let account = Server::shared_account("older")?;
    let given = obtain(&account, &user_agent(), UNBOUND)?;
    let (proof, _) = sasl::hashed_token(&account.user, &given, b"");
    let answer = again()?.auth(UNBOUND, &proof)?;
    ensure!(
        answer.is("failure", SASL) && answer.has_child("invalid-mechanism", SASL),
        "{}",
        show(&answer)
    );
    Ok(())
}

/// A wrong token counts as a wrong password does.
fn guessing_is_slowed_down() -> Outcome {
    let options = ServerOptions::new().set("limits.auth_failures_per_address", 2);
    let mut server = Server::start(&options)?;
    let account = server.account("romeo")?;
    let mallory = "127.66.6.7".parse()?;
    for condition in ["not-authorized", "not-authorized", "temporary-auth-failure"] {
        let mut client = Client::tcp_from(&server.target()?, mallory)?.start_tls()?;
        let answer = client.token2(&account, (UNBOUND, "guess"), "", &user_agent())?;
        expect_failure(&answer, condition)?;
    }
    server.terminate()
}

/// A server of its own, a client there with a token, and how to make time pass.
struct Aged {
    server: Server,
    account: Account,
    agent: String,
    token: String,
}

impl Aged {
    fn start() -> Outcome<Aged> {
        let server = Server::start(&ServerOptions::new())?;
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
    let second = token(&success).ok_or_else(|| format!("no token in {}", show(&success)))?;
    // It may not have arrived: the old one is good until the new one is used.
    let success = aged.login(&first)?;
    let third = token(&success).ok_or_else(|| format!("no token in {}", show(&success)))?;
    expect_failure(&aged.login(&second)?, "not-authorized")?;
    let success = aged.login(&third)?;
    ensure!(token(&success).is_none(), "{}", show(&success));
    identity(&success)?;
    expect_failure(&aged.login(&first)?, "not-authorized")?;
    aged.server.terminate()
}

fn an_expired_token() -> Outcome {
    let mut aged = Aged::start()?;
    aged.wait(29)?;
    identity(&aged.login(&aged.token)?)?;
    aged.wait(1)?;
    expect_failure(&aged.login(&aged.token)?, "credentials-expired")?;
    aged.server.terminate()
}

fn a_new_password_revokes() -> Outcome {
    let mut aged = Aged::start()?;
    let jid = aged.account.jid();
    let arguments = ["user", "passwd", &jid, "--password-stdin"];
    aged.administer(&arguments, "another\n")?;
    expect_failure(&aged.login(&aged.token)?, "not-authorized")?;
    // The same if its owner changes it.
    aged.account.password = "another".to_owned();
    let stream = Client::stream(&aged.server.target()?)?;
    let token = obtain_from(stream, &aged.account, &aged.agent, UNBOUND)?;
    identity(&aged.login(&token)?)?;
    let mut client = Client::connect(&aged.server.target()?, &aged.account, None)?;
    client.send(&format!(
        "<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>{}</username>\
         <password>a third</password></query></iq>",
        aged.account.user
    ))?;
    client.sync()?;
    expect_failure(&aged.login(&token)?, "not-authorized")?;
    aged.server.terminate()
}

fn a_refused_account_and_a_removed_one() -> Outcome {
    let mut aged = Aged::start()?;
    let jid = aged.account.jid();
    aged.administer(&["user", "disable", &jid], "")?;
    aged.administer(&["user", "enable", &jid], "")?;
    expect_failure(&aged.login(&aged.token)?, "not-authorized")?;
    let stream = Client::stream(&aged.server.target()?)?;
    let token = obtain_from(stream, &aged.account, &aged.agent, UNBOUND)?;
    aged.administer(&["user", "delete", &jid], "")?;
    expect_failure(&aged.login(&token)?, "not-authorized")?;
    aged.server.terminate()?;
    let rows: i64 = Connection::open(aged.server.database()?)?.query_row(
        "SELECT COUNT(*) FROM fast_token",
        [],
        |row| row.get(0),
    )?;
    ensure!(rows == 0, "{rows} tokens of a removed account are left");
    Ok(())
}

fn seventeen_clients() -> Outcome {
    let account = Server::shared_account("many")?;
    let mut clients = Vec::new();
    for _ in 0..17 {
        let agent = user_agent();
        let token = obtain(&account, &agent, UNBOUND)?;
        clients.push((agent, token));
    }
    for (number, (agent, token)) in clients.iter().enumerate() {
        let answer = use_token(&account, agent, token, "", "")?;
        if number == 0 {
            expect_failure(&answer, "not-authorized")?;
        } else {
            identity(&answer).map_err(|error| format!("client {number}: {error}"))?;
        }
    }
    Ok(())
}
