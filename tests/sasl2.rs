//! Login in one round trip: XEP-0388 (SASL2) and XEP-0386 (Bind 2). Tokens have a file of their own.

use libtest_mimic::Trial;
use minidom::Element;

use crate::harness::Outcome;
use crate::harness::accounts::Account;
use crate::harness::client::Client;
use crate::harness::login::{self, header};
use crate::harness::sasl::{self, Scram};
use crate::harness::sasl2::{
    BIND, BIND2, FAST, SASL2, authenticate, identity, no_token, request_token, user_agent,
};
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{self, SASL, SM, STREAM, show};
use crate::{ensure, trials};

mod binding;
mod resumption;
mod tokens;

/// The namespace of carbons.
const CARBONS: &str = "urn:xmpp:carbons:2";
/// The namespace of client state indication.
const CSI: &str = "urn:xmpp:csi:0";

pub fn trials() -> Vec<Trial> {
    let mut trials = trials![
        what_is_offered,
        without_tls,
        without_binding,
        scram_with_channel_binding,
        late_initial_response,
        abort,
        other_elements_during_authentication,
        a_second_authentication,
        requests_that_make_no_sense,
        too_large,
        wrong_passwords,
        another_identity_than_the_header_names,
        a_header_of_another_domain,
        disabled_account,
        anonymous,
    ];
    trials.extend(binding::trials());
    trials.extend(resumption::trials());
    trials.extend(tokens::trials());
    trials
}

/// A stream to the shared server and an account there.
fn begin(name: &str) -> Outcome<(Client, Account)> {
    let account = Server::shared_account(name)?;
    Ok((Client::stream(&Server::shared()?)?, account))
}

/// Another stream to the shared server.
fn again() -> Outcome<Client> {
    Client::stream(&Server::shared()?)
}

fn expect_failure(answer: &Element, condition: &str) -> Outcome {
    login::expect_failure(answer, SASL2, condition)
}

fn what_is_offered() -> Outcome {
    let mut client = Client::tcp(&Server::shared()?)?;
    let features = client.open()?;
    ensure!(
        !features.has_child("authentication", SASL2),
        "SASL2 without TLS: {}",
        show(&features)
    );
    client.encrypt()?;
    let features = client.open()?;
    let texts = |list: Option<&Element>, ns| -> Vec<String> {
        let children = list.into_iter().flat_map(Element::children);
        children
            .filter(|child| child.is("mechanism", ns))
            .map(Element::text)
            .collect()
    };
    let offered = features
        .get_child("authentication", SASL2)
        .ok_or("no SASL2")?;
    let (new, old) = (
        texts(Some(offered), SASL2),
        texts(features.get_child("mechanisms", SASL), SASL),
    );
    ensure!(new == old, "{new:?} by SASL2, {old:?} by SASL");
    let inline = offered
        .get_child("inline", SASL2)
        .ok_or("nothing is inline")?;
    let bind = inline.get_child("bind", BIND2).ok_or("no Bind 2")?;
    let features = bind.get_child("inline", BIND2).map(Element::children);
    let features: Vec<_> = features
        .into_iter()
        .flatten()
        .filter(|child| child.is("feature", BIND2))
        .filter_map(|feature| feature.attr("var"))
        .collect();
    ensure!(
        features == [SM, CSI, CARBONS, "urn:xmpp:mam:2"],
        "Bind 2 with {features:?}"
    );
    ensure!(inline.has_child("sm", SM), "no resumption in SASL2");
    let tokens = texts(inline.get_child("fast", FAST), FAST);
    ensure!(
        tokens == ["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"],
        "tokens for {tokens:?}"
    );
    Ok(())
}

/// XEP-0388 §3: not without TLS, even where the older profile is.
fn without_tls() -> Outcome {
    let mut server = Server::start(&ServerOptions::new().set("tls.require", false))?;
    let account = server.account("romeo")?;
    let mut client = Client::tcp(&server.target()?)?;
    let features = client.open()?;
    ensure!(
        features.has_child("mechanisms", SASL) && !features.has_child("authentication", SASL2),
        "{}",
        show(&features)
    );
    let more = format!("{}{BIND}", user_agent());
    expect_failure(&client.plain2(&account, &more)?, "encryption-required")?;
    client.log_in(&account)?;
    server.terminate()
}

/// RFC 9266 and RFC 5929, as with the older profile.
fn scram_with_channel_binding() -> Outcome {
    let account = Server::shared_account("plus")?;
    for kind in ["tls-exporter", "tls-server-end-point"] {
        for is_altered in [false, true] {
            let mut client = again()?;
            let mut data = match kind {
                "tls-exporter" => client.transport()?.exporter()?,
                _ => client.end_point()?,
            };
            data[0] ^= u8::from(is_altered);
            let gs2 = format!("p={kind},,");
            let scram = Scram::new(&account.user, &account.password, &gs2, data);
            let answer = client.scram2_by("SCRAM-SHA-256-PLUS", scram, BIND)?;
            match is_altered {
                false => client.bound2(&answer).map(drop)?,
                true => expect_failure(&answer, "not-authorized")?,
            }
        }
    }
    Ok(())
}

fn without_binding() -> Outcome {
    let (mut client, account) = begin("unbound")?;
    let success = client.scram2(&account, "")?;
    ensure!(
        identity(&success)? == account.jid(),
        "not {}: {}",
        account.jid(),
        show(&success)
    );
    let features = client.expect("features", STREAM)?;
    ensure!(
        features.has_child("bind", xml::BIND),
        "no binding in {}",
        show(&features)
    );
    ensure!(
        client.bind(Some("desk"))? == format!("{}/desk", account.jid()),
        "bound as {}",
        client.full()
    );
    client.sync()
}

/// A session, and what ends it if it is asked for in another login: the same client binds.
fn bound_before(account: &Account) -> Outcome<(Client, String)> {
    let asked = user_agent() + BIND;
    let mut client = again()?;
    let success = client.scram2(account, &asked)?;
    client.bound2(&success)?;
    Ok((client, asked))
}

fn late_initial_response() -> Outcome {
    let (mut client, account) = begin("late")?;
    let asked = client.authenticate("PLAIN", None, BIND)?;
    ensure!(asked.is("challenge", SASL2), "{}", show(&asked));
    let plain = sasl::plain("", &account.user, &account.password);
    client.send(&format!("<response xmlns='{SASL2}'>{plain}</response>"))?;
    let success = client.stanza()?;
    client.bound2(&success).map(drop)
}

fn abort() -> Outcome {
    let account = Server::shared_account("abort")?;
    let (mut first, asked) = bound_before(&account)?;
    let mut client = again()?;
    client.authenticate("PLAIN", None, &asked)?;
    client.send(&format!(
        "<abort xmlns='{SASL2}'><text>I changed my mind.</text></abort>"
    ))?;
    expect_failure(&client.stanza()?, "aborted")?;
    // What the failed request asked for is forgotten, and the older profile is there as before.
    client.log_in(&account)?;
    client.bind(Some("desk"))?;
    first.sync()
}

/// XEP-0388 §2.4.
fn other_elements_during_authentication() -> Outcome {
    for other in [
        "<presence/>".to_owned(),
        format!("<response xmlns='{SASL}'/>"),
        format!("<next xmlns='{SASL2}' task='X'/>"),
        authenticate("PLAIN", None, ""),
    ] {
        let (mut client, _) = begin("other")?;
        client.authenticate("PLAIN", None, "")?;
        client.send(&other)?;
        client
            .expect_error("not-authorized")
            .map_err(|error| format!("{other}: {error}"))?;
    }
    Ok(())
}

/// XEP-0388 §4.8.
fn a_second_authentication() -> Outcome {
    for more in ["", BIND] {
        let (mut client, account) = begin("second")?;
        identity(&client.plain2(&account, more)?)?;
        client.expect("features", STREAM)?;
        client.send(&authenticate("PLAIN", None, ""))?;
        client.expect_error("unsupported-stanza-type")?;
    }
    Ok(())
}

fn requests_that_make_no_sense() -> Outcome {
    let account = Server::shared_account("nonsense")?;
    let (mut first, asked) = bound_before(&account)?;
    let plain: &str = &sasl::plain("", &account.user, &account.password);
    let twice = |part: &str| format!("{asked}{part}{part}");
    let agent = |id: &str| format!("<user-agent id='{id}'/>{BIND}");
    for (mechanism, initial, more, condition) in [
        ("PLAIN", plain, agent("my phone"), "malformed-request"),
        ("PLAIN", plain, agent(""), "malformed-request"),
        (
            "PLAIN",
            plain,
            format!("{asked}{BIND}"),
            "malformed-request",
        ),
        (
            "PLAIN",
            plain,
            format!("{asked}{}", user_agent()),
            "malformed-request",
        ),
        (
            "PLAIN",
            plain,
            format!("{asked}<initial-response/>"),
            "malformed-request",
        ),
        (
            "PLAIN",
            plain,
            twice("<resume xmlns='urn:xmpp:sm:3' previd='1' h='0'/>"),
            "malformed-request",
        ),
        (
            "PLAIN",
            plain,
            twice(&request_token("HT-SHA-256-NONE")),
            "malformed-request",
        ),
        ("PLAIN", "=", asked.clone(), "incorrect-encoding"),
        ("PLAIN", "!!!!", asked.clone(), "incorrect-encoding"),
        ("PLAIN", "", asked.clone(), "malformed-request"),
        ("", plain, asked.clone(), "invalid-mechanism"),
        ("X-NOBODY", plain, asked.clone(), "invalid-mechanism"),
        ("ANONYMOUS", plain, asked.clone(), "invalid-mechanism"),
    ] {
        let mut client = again()?;
        let answer = client.authenticate(mechanism, Some(initial), &more)?;
        expect_failure(&answer, condition)
            .map_err(|error| format!("{mechanism} {initial} {more}: {error}"))?;
        // Nothing of it was carried out, and the stream is still good.
        first
            .sync()
            .map_err(|error| format!("{mechanism} {initial} {more}: {error}"))?;
        client.log_in(&account)?;
    }
    Ok(())
}

fn too_large() -> Outcome {
    let (mut client, account) = begin("large")?;
    let long = sasl::encode("x".repeat(5000));
    let answer = client.authenticate("PLAIN", Some(&long), "")?;
    expect_failure(&answer, "malformed-request")?;
    let device = "x".repeat(20_000);
    let more = format!("<user-agent><device>{device}</device></user-agent>");
    let plain = sasl::plain("", &account.user, &account.password);
    client.send(&authenticate("PLAIN", Some(&plain), &more))?;
    client.expect_error("policy-violation")
}

/// The same limits as with the older profile, whichever of them is used.
fn wrong_passwords() -> Outcome {
    let mut client = again()?;
    for attempt in 1..=5 {
        let wrong = sasl::plain("", &format!("guess-{attempt}"), "wrong");
        if attempt % 2 == 0 {
            let answer = client.auth("PLAIN", &wrong)?;
            ensure!(
                answer.is("failure", SASL) && answer.has_child("not-authorized", SASL),
                "{}",
                show(&answer)
            );
        } else {
            let answer = client.authenticate("PLAIN", Some(&wrong), BIND)?;
            expect_failure(&answer, "not-authorized")?;
        }
    }
    client.expect_error("policy-violation")
}

/// An encrypted connection, and a header that says who is there.
fn stream_from(from: &str) -> Outcome<(Client, String)> {
    let mut client = Client::tcp(&Server::shared()?)?;
    client.open()?;
    client.encrypt()?;
    let header = header(&client.target().domain);
    let header = header.replace(" to=", &format!(" from='{from}' to="));
    Ok((client, header))
}

fn another_identity_than_the_header_names() -> Outcome {
    let account = Server::shared_account("named")?;
    let other = Server::shared_account("other")?;
    let opened = |from: &str| -> Outcome<Client> {
        let (mut client, header) = stream_from(from)?;
        client.open_with(&header)?;
        Ok(client)
    };
    let mut client = opened(&account.jid())?;
    expect_failure(&client.scram2(&other, BIND)?, "invalid-authzid")?;
    let mut scram = Scram::new(&other.user, &other.password, "n,,", Vec::new());
    let success = client.scram("SCRAM-SHA-256", &mut scram)?;
    ensure!(
        success.is("success", SASL),
        "RFC 6120 compares nothing: {}",
        show(&success)
    );
    for from in [
        format!("{}/desk", account.jid()),
        account.jid().to_uppercase(),
    ] {
        let mut client = opened(&from.replace("LOCALHOST", "localhost"))?;
        identity(&client.scram2(&account, BIND)?)?;
    }
    Ok(())
}

/// XEP-0388 §2.1.
fn a_header_of_another_domain() -> Outcome {
    let (mut client, header) = stream_from("juliet@example.com")?;
    client.send(&header)?;
    client.expect_error("invalid-from")
}

fn disabled_account() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let account = server.account("romeo")?;
    server.command(&["user", "disable", &account.jid()], "")?;
    let mut client = Client::stream(&server.target()?)?;
    expect_failure(&client.scram2(&account, BIND)?, "account-disabled")?;
    server.terminate()
}

fn anonymous() -> Outcome {
    let options = ServerOptions::new().set("auth.anonymous", true);
    let mut server = Server::start(&options)?;
    let mut client = Client::stream(&server.target()?)?;
    let more = format!("{}{BIND}{}", user_agent(), request_token("HT-SHA-256-NONE"));
    let success = client.authenticate("ANONYMOUS", None, &more)?;
    no_token(&success)?;
    client.bound2(&success)?;
    client.sync()?;
    server.terminate()
}
