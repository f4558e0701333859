//! Login by token: XEP-0484 (FAST).

use std::net::Ipv4Addr;

use libtest_mimic::Trial;
use minidom::Element;

use aged::Aged;

use super::{again, begin, expect_failure};
use crate::harness::Outcome;
use crate::harness::accounts::Account;
use crate::harness::client::Client;
use crate::harness::sasl;
use crate::harness::sasl2::{BIND, FAST, identity, no_token, request_token, token, user_agent};
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{SASL, show};
use crate::{ensure, trials};

mod aged;

const UNBOUND: &str = "HT-SHA-256-NONE";
/// An address from which nobody else connects.
const MALLORY: Ipv4Addr = Ipv4Addr::new(127, 66, 6, 7);

pub fn trials() -> Vec<Trial> {
    let mut trials = trials![
        a_token_lets_a_client_in,
        a_token_is_good_for_its_client_and_mechanism,
        no_token_unless_asked_for,
        a_new_token_replaces_one_that_was_not_used,
        counted_logins,
        invalidation,
        requests_that_make_no_sense,
        the_older_profile_has_no_tokens,
        guessing_is_slowed_down,
        a_token_that_is_gone_counts_as_no_failure,
        seventeen_clients,
    ];
    trials.extend(aged::trials());
    trials
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
    token(&client.scram2(account, &more)?)
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
            no_token(&success)?;
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
    let refused = |account: &Account, (mechanism, token), more: &str, condition| -> Outcome {
        let answer = again()?.token2(account, (mechanism, token), "", more)?;
        expect_failure(&answer, condition)
            .map_err(|error| format!("{mechanism} {more}: {error}").into())
    };
    // XEP-0484 §3.4: not even one that would accept it otherwise.
    for wrong in [
        (UNBOUND, &*given),
        ("HT-SHA-256-EXPR", &given),
        ("HT-SHA-256-ENDP", "guessed"),
        ("HT-SHA-256-ENDP", ""),
    ] {
        refused(&account, wrong, &more, "not-authorized")?;
    }
    // Who has no token is told so, whether or not there is such an account.
    let nobody = Account {
        user: "no-such-user".to_owned(),
        ..other.clone()
    };
    let right = ("HT-SHA-256-ENDP", &*given);
    refused(&account, right, &user_agent(), "credentials-expired")?;
    refused(&other, right, &more, "credentials-expired")?;
    refused(&nobody, right, &more, "credentials-expired")?;
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
        no_token(&success).map_err(|error| format!("{more}: {error}"))?;
    }
    // Not to somebody who does not get in.
    let wrong = sasl::plain("", &account.user, "wrong");
    let more = format!("{agent}{}", request_token(UNBOUND));
    let answer = again()?.authenticate("PLAIN", Some(&wrong), &more)?;
    expect_failure(&answer, "not-authorized")?;
    ensure!(!answer.has_child("token", FAST), "{}", show(&answer));
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
    let second = token(&success)?;
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
        no_token(&success)?;
        expect_failure(
            &use_token(&account, &agent, &given, "", "")?,
            "credentials-expired",
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
    let next = token(&success)?;
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
    let aged = Aged::start_with(&few_failures())?;
    for condition in ["not-authorized", "not-authorized", "temporary-auth-failure"] {
        let mut client = aged.stream_from(MALLORY)?;
        let answer = client.token2(&aged.account, (UNBOUND, "guess"), "", &aged.agent)?;
        expect_failure(&answer, condition)?;
    }
    aged.end()
}

/// A client whose token was revoked is no attacker: it does not keep out who shares its address,
/// nor its own user, who types the password next.
fn a_token_that_is_gone_counts_as_no_failure() -> Outcome {
    let aged = Aged::start_with(&few_failures())?;
    let agent = user_agent();
    for _ in 0..4 {
        let mut client = aged.stream_from(MALLORY)?;
        let answer = client.token2(&aged.account, (UNBOUND, &aged.token), "", &agent)?;
        expect_failure(&answer, "credentials-expired")?;
    }
    let success = aged.stream_from(MALLORY)?.scram2(&aged.account, &agent)?;
    identity(&success)?;
    aged.end()
}

fn few_failures() -> ServerOptions {
    ServerOptions::new().set("limits.auth_failures_per_address", 2)
}

/// The one that was not seen for longest makes room.
fn seventeen_clients() -> Outcome {
    let account = Server::shared_account("many")?;
    let client = || -> Outcome<(String, String)> {
        let agent = user_agent();
        let token = obtain(&account, &agent, UNBOUND)?;
        Ok((agent, token))
    };
    let login = |(agent, token): &(String, String)| use_token(&account, agent, token, "", "");
    let first = client()?;
    let mut others = Vec::new();
    for _ in 1..16 {
        others.push(client()?);
    }
    let all_in = |clients: &[(String, String)]| -> Outcome {
        for (number, client) in clients.iter().enumerate() {
            identity(&login(client)?).map_err(|error| format!("client {number}: {error}"))?;
        }
        Ok(())
    };
    all_in(&others)?;
    others.push(client()?);
    expect_failure(&login(&first)?, "credentials-expired")?;
    all_in(&others)
}
