//! SASL on a stream: RFC 6120 §6, RFC 5802, RFC 9266, XEP-0440, XEP-0474.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use minidom::Element;
use sha2::{Digest, Sha256};

use crate::harness::Outcome;
use crate::harness::client::Client;
use crate::harness::login;
use crate::harness::sasl::{self, Scram};
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{SASL, show};
use crate::{ensure, trials};

const CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";

pub fn trials() -> Vec<Trial> {
    trials![
        every_mechanism_is_offered,
        scram_with_exporter,
        scram_with_client_that_sees_no_binding,
        altered_binding,
        altered_nonce,
        altered_proof,
        malformed_messages,
        bad_base64,
        unknown_mechanism,
        abort,
        foreign_authzid,
        own_authzid,
        unknown_user_is_like_a_wrong_password,
        plain,
        too_many_failures_on_a_stream,
        back_off_by_address,
        disabled_account,
        downgrade_hash,
    ]
}

/// A stream that is ready for authentication, and what it offers.
fn stream() -> Outcome<(Client, Element)> {
    let mut client = Client::tcp(&Server::shared()?)?;
    client.open()?;
    client.encrypt()?;
    let features = client.open()?;
    Ok((client, features))
}

fn mechanisms(features: &Element) -> Vec<String> {
    let list = features.get_child("mechanisms", SASL);
    list.map(|list| list.children().map(Element::text).collect())
        .unwrap_or_default()
}

fn bindings(features: &Element) -> Vec<String> {
    let list = features.get_child("sasl-channel-binding", CHANNEL_BINDING);
    let types = list
        .into_iter()
        .flat_map(Element::children)
        .filter_map(|child| child.attr("type"));
    types.map(str::to_owned).collect()
}

fn expect_failure(answer: &Element, condition: &str) -> Outcome {
    login::expect_failure(answer, SASL, condition)
}

fn expect_success(answer: &Element) -> Outcome {
    ensure!(
        answer.is("success", SASL),
        "success was expected, not {}",
        show(answer)
    );
    Ok(())
}

fn every_mechanism_is_offered() -> Outcome {
    let (_, features) = stream()?;
    let offered = mechanisms(&features);
    for family in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for name in [family.to_owned(), format!("{family}-PLUS")] {
            ensure!(offered.contains(&name), "{name} is not in {offered:?}");
        }
    }
    ensure!(
        offered.contains(&"PLAIN".to_owned()),
        "PLAIN is not in {offered:?}"
    );
    ensure!(
        !offered.contains(&"ANONYMOUS".to_owned()),
        "ANONYMOUS is in {offered:?}"
    );
    let mut types = bindings(&features);
    types.sort();
    ensure!(
        types == ["tls-exporter", "tls-server-end-point"],
        "XEP-0440: {types:?}"
    );
    Ok(())
}

fn scram_with_exporter() -> Outcome {
    let account = Server::shared_account("plus")?;
    let (mut client, _) = stream()?;
    let exported = client.transport()?.exporter()?;
    let mut scram = Scram::new(
        &account.user,
        &account.password,
        "p=tls-exporter,,",
        exported,
    );
    let success = client.scram("SCRAM-SHA-256-PLUS", &mut scram)?;
    expect_success(&success)?;
    ensure!(
        scram.verify(&sasl::decode(&success.text())?),
        "the server's signature is wrong"
    );
    Ok(())
}

/// RFC 5802 §6: the flag `y` says that the client could bind and saw no offer. Here there was one,
/// so somebody removed it.
fn scram_with_client_that_sees_no_binding() -> Outcome {
    let account = Server::shared_account("downgraded")?;
    let (mut client, _) = stream()?;
    let mut scram = Scram::new(&account.user, &account.password, "y,,", Vec::new());
    expect_failure(
        &client.scram("SCRAM-SHA-256", &mut scram)?,
        "not-authorized",
    )
}

fn altered_binding() -> Outcome {
    let account = Server::shared_account("binding")?;
    let (mut client, _) = stream()?;
    let mut exported = client.transport()?.exporter()?;
    exported[0] ^= 1;
    let mut scram = Scram::new(
        &account.user,
        &account.password,
        "p=tls-exporter,,",
        exported,
    );
    expect_failure(
        &client.scram("SCRAM-SHA-256-PLUS", &mut scram)?,
        "not-authorized",
    )
}

fn altered_nonce() -> Outcome {
    alter("nonce", |last| last.replacen(",r=", ",r=A", 1))
}

fn altered_proof() -> Outcome {
    alter("proof", |last| {
        let (message, proof) = last.rsplit_once("p=").unwrap_or((last, ""));
        let first = if proof.starts_with('A') { "B" } else { "A" };
        format!("{message}p={first}{}", &proof[1..])
    })
}

/// Runs SCRAM with the client's final message changed on its way.
fn alter(name: &str, change: fn(&str) -> String) -> Outcome {
    let account = Server::shared_account(name)?;
    let (mut client, _) = stream()?;
    let mut scram = Scram::new(&account.user, &account.password, "n,,", Vec::new());
    let first = client.auth("SCRAM-SHA-256", &sasl::encode(scram.first()))?;
    let last = scram.last(&sasl::decode(&first.text())?)?;
    expect_failure(
        &client.response(&sasl::encode(change(&last)))?,
        "not-authorized",
    )?;
    // The stream is still good for an honest try.
    client.log_in(&account).map(drop)
}

fn malformed_messages() -> Outcome {
    for message in [
        "",
        "n",
        "n,,",
        "n,,n=",
        "x,,n=a,r=b",
        "n,,n=a",
        "n,,m=ext,n=a,r=b",
        "n,,n=a=,r=b",
    ] {
        let (mut client, _) = stream()?;
        let text = if message.is_empty() {
            "=".to_owned()
        } else {
            sasl::encode(message)
        };
        let answer = client.auth("SCRAM-SHA-256", &text)?;
        let refused = answer.is("failure", SASL)
            && ["malformed-request", "not-authorized", "invalid-authzid"]
                .iter()
                .any(|condition| answer.has_child(*condition, SASL));
        ensure!(refused, "{message:?} was answered with {}", show(&answer));
    }
    Ok(())
}

fn bad_base64() -> Outcome {
    let (mut client, _) = stream()?;
    for text in ["!!!!", "AGEAYg", "AGE AYg==", "=AAA"] {
        let answer = client.auth("PLAIN", text)?;
        expect_failure(&answer, "incorrect-encoding")
            .map_err(|error| format!("{text:?}: {error}"))?;
    }
    Ok(())
}

fn unknown_mechanism() -> Outcome {
    let (mut client, _) = stream()?;
    expect_failure(&client.auth("X-NOBODY", "")?, "invalid-mechanism")?;
    expect_failure(&client.auth("", "")?, "invalid-mechanism")
}

fn abort() -> Outcome {
    let account = Server::shared_account("abort")?;
    let (mut client, _) = stream()?;
    let scram = Scram::new(&account.user, &account.password, "n,,", Vec::new());
    client.auth("SCRAM-SHA-256", &sasl::encode(scram.first()))?;
    client.send(&format!("<abort xmlns='{SASL}'/>"))?;
    expect_failure(&client.stanza()?, "aborted")?;
    client.log_in(&account).map(drop)
}

fn foreign_authzid() -> Outcome {
    let account = Server::shared_account("authzid")?;
    let other = Server::shared_account("victim")?;
    let (mut client, _) = stream()?;
    let plain = sasl::plain(&other.jid(), &account.user, &account.password);
    expect_failure(&client.auth("PLAIN", &plain)?, "invalid-authzid")?;
    let gs2 = format!("n,a={},", other.jid());
    let mut scram = Scram::new(&account.user, &account.password, &gs2, Vec::new());
    expect_failure(
        &client.scram("SCRAM-SHA-256", &mut scram)?,
        "invalid-authzid",
    )
}

fn own_authzid() -> Outcome {
    let account = Server::shared_account("self")?;
    let (mut client, _) = stream()?;
    let plain = sasl::plain(&account.jid(), &account.user, &account.password);
    expect_success(&client.auth("PLAIN", &plain)?)
}

/// RFC 6120 §13.11 and §6.5.10: nothing tells a stranger which accounts exist, neither the answers
/// nor the salt of SCRAM, which must be the same for a name each time.
fn unknown_user_is_like_a_wrong_password() -> Outcome {
    let account = Server::shared_account("known")?;
    for user in [account.user.as_str(), "no-such-user"] {
        let (mut client, _) = stream()?;
        let plain = sasl::plain("", user, "wrong password");
        expect_failure(&client.auth("PLAIN", &plain)?, "not-authorized")?;
        let mut salts = Vec::new();
        for _ in 0..2 {
            let mut scram = Scram::new(user, "wrong password", "n,,", Vec::new());
            let first = client.auth("SCRAM-SHA-256", &sasl::encode(scram.first()))?;
            let first = sasl::decode(&first.text())?;
            salts.push(sasl::attribute(&first, "s").map(str::to_owned));
            let answer = client.response(&sasl::encode(scram.last(&first)?))?;
            expect_failure(&answer, "not-authorized")?;
        }
        ensure!(salts[0] == salts[1], "{user} has another salt each time");
    }
    Ok(())
}

fn plain() -> Outcome {
    let account = Server::shared_account("plain")?;
    let (mut client, _) = stream()?;
    let wrong = sasl::plain("", &account.user, "wrong");
    expect_failure(&client.auth("PLAIN", &wrong)?, "not-authorized")?;
    for text in ["user", "\0user", "\0\0password", "a\0b\0c\0d"] {
        let answer = client.auth("PLAIN", &sasl::encode(text))?;
        ensure!(
            answer.is("failure", SASL),
            "{text:?} was answered with {}",
            show(&answer)
        );
        let (next, _) = stream()?;
        client = next;
    }
    // RFC 6120 §6.4.2: without an initial response the server asks for it.
    let asked = client.auth("PLAIN", "")?;
    ensure!(asked.is("challenge", SASL), "{}", show(&asked));
    let right = sasl::plain("", &account.user, &account.password);
    expect_success(&client.response(&right)?)
}

/// RFC 6120 §6.4.5: two to five tries, then the stream ends.
fn too_many_failures_on_a_stream() -> Outcome {
    let (mut client, _) = stream()?;
    for attempt in 1..=10 {
        let wrong = sasl::plain("", &format!("guess-{attempt}"), "wrong");
        expect_failure(&client.auth("PLAIN", &wrong)?, "not-authorized")?;
        if attempt == 5 {
            return client.expect_error("policy-violation");
        }
    }
    Ok(())
}

fn back_off_by_address() -> Outcome {
    let options = ServerOptions::new().set("limits.auth_failures_per_address", 2);
    let mut server = Server::start(&options)?;
    let account = server.account("romeo")?;
    let mallory = "127.66.6.6".parse()?;
    for _ in 0..2 {
        let mut client = Client::tcp_from(&server.target()?, mallory)?.start_tls()?;
        let wrong = sasl::plain("", &account.user, "wrong");
        expect_failure(&client.auth("PLAIN", &wrong)?, "not-authorized")?;
    }
    let mut client = Client::tcp_from(&server.target()?, mallory)?.start_tls()?;
    let begun = Instant::now();
    let right = sasl::plain("", &account.user, &account.password);
    expect_failure(&client.auth("PLAIN", &right)?, "temporary-auth-failure")?;
    ensure!(begun.elapsed().as_secs() < 5, "the refusal itself is slow");
    // Others come in as before.
    Client::connect(&server.target()?, &account, None)?;
    server.terminate()
}

fn disabled_account() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let account = server.account("romeo")?;
    let mut session = Client::connect(&server.target()?, &account, None)?;
    let output = server.command(&["user", "disable", &account.jid()], "")?;
    ensure!(
        output.status.success(),
        "user disable: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Who is logged in is not any more.
    session.expect_error("not-authorized")?;
    let mut client = Client::stream(&server.target()?)?;
    let mut scram = Scram::new(&account.user, &account.password, "n,,", Vec::new());
    expect_failure(
        &client.scram("SCRAM-SHA-256", &mut scram)?,
        "account-disabled",
    )?;
    let wrong = sasl::plain("", &account.user, "wrong");
    expect_failure(&client.auth("PLAIN", &wrong)?, "not-authorized")?;
    // What is read from the database says the same.
    server.terminate()?;
    server.start_again()?;
    let mut client = Client::stream(&server.target()?)?;
    let right = sasl::plain("", &account.user, &account.password);
    expect_failure(&client.auth("PLAIN", &right)?, "account-disabled")?;
    let output = server.command(&["user", "enable", &account.jid()], "")?;
    ensure!(
        output.status.success(),
        "user enable: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    client.log_in(&account)?;
    server.terminate()
}

/// XEP-0474: the hash of what was offered is in the server's first message.
fn downgrade_hash() -> Outcome {
    let account = Server::shared_account("hash")?;
    let (mut client, features) = stream()?;
    let (mut names, mut types) = (mechanisms(&features), bindings(&features));
    names.sort();
    types.sort();
    let offered = format!("{}\x1f{}", names.join("\x1e"), types.join("\x1e"));
    let scram = Scram::new(&account.user, &account.password, "n,,", Vec::new());
    let first = client.auth("SCRAM-SHA-256", &sasl::encode(scram.first()))?;
    let first = sasl::decode(&first.text())?;
    let wanted = STANDARD.encode(Sha256::digest(offered));
    ensure!(
        sasl::attribute(&first, "h") == Some(&wanted),
        "h={wanted} is not in {first}"
    );
    Ok(())
}
