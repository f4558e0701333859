//! Accounts over XMPP (XEP-0077) and over the command line: made, changed, and gone without a trace.

use libtest_mimic::Trial;
use rusqlite::{Connection, types::ValueRef};

use crate::harness::Outcome;
use crate::harness::accounts::{Account, REGISTER, add_user, register, registration};
use crate::harness::client::Client;
use crate::harness::login::expect_failure;
use crate::harness::sasl::{self, Scram};
use crate::harness::server::{Server, ServerOptions};
use crate::harness::xml::{SASL, show};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        register_and_log_in,
        change_password,
        remove_account_leaves_nothing,
        delete_by_command_leaves_nothing,
        the_next_account_of_a_name,
        commands_without_a_server,
        refused_commands,
    ]
}

fn register_and_log_in() -> Outcome {
    let account = Account::named("fresh", "localhost");
    register(&Server::shared()?, &account)?;
    Client::connect(&Server::shared()?, &account, None)?.disconnect()
}

fn change_password() -> Outcome {
    let mut account = Server::shared_account("changing")?;
    let mut client = Client::connect(&Server::shared()?, &account, None)?;
    let old = sasl::plain("", &account.user, &account.password);
    account.password = "new secret".to_owned();
    client.send(&registration(&account))?;
    let answer = client.stanza()?;
    ensure!(answer.attr("type") == Some("result"), "{}", show(&answer));
    let mut again = Client::stream(&Server::shared()?)?;
    let refused = again.auth("PLAIN", &old)?;
    ensure!(refused.is("failure", SASL), "the old password still counts");
    again.log_in(&account)?;
    client.disconnect()
}

/// Gives an account something in every table that there is.
fn live_a_little(server: &Server, account: &Account, other: &Account) -> Outcome<Client> {
    let target = server.target()?;
    let mut friend = Client::online(&target, other, None)?;
    // Only who has asked for the roster is told of changes to it (RFC 6121 §3.3.3).
    friend.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")?;
    friend.sync()?;
    let mut client = Client::online(&target, account, Some("first"))?;
    client.send(&format!(
        "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='{0}' name='Friend'><group>All</group></item>\
         </query></iq><presence type='subscribe' to='{0}'/><presence type='subscribed' to='nobody@localhost'/>",
        other.jid()
    ))?;
    client.sync()?;
    friend.send(&format!(
        "<presence type='subscribed' to='{0}'/><presence type='subscribe' to='{0}'/>",
        account.jid()
    ))?;
    friend.sync()?;
    client.send("<presence type='unavailable'><status>gone</status></presence>")?;
    client.disconnect()?;
    friend.send(&format!(
        "<message to='{}' type='chat'><body>waiting</body></message>",
        account.jid()
    ))?;
    friend.sync()?;
    Ok(friend)
}

/// Who proves to be an account that is removed meanwhile gets no session of its successor's.
fn the_next_account_of_a_name() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let old = server.account("name")?;
    let mut logged_in = Client::stream(&server.target()?)?;
    logged_in.log_in(&old)?;
    let mut at_it = Client::stream(&server.target()?)?;
    let mut scram = Scram::new(&old.user, &old.password, "n,,", Vec::new());
    let first = at_it.auth("SCRAM-SHA-256", &sasl::encode(scram.first()))?;
    let removed = server.command(&["user", "delete", &old.jid()], "")?;
    ensure!(removed.status.success(), "it could not be removed");
    let new = Account {
        password: "another secret".to_owned(),
        ..old
    };
    add_user(&server.config(), &new)?;
    expect_failure(
        &at_it.scram_last(SASL, &first, &mut scram)?,
        SASL,
        "not-authorized",
    )?;
    ensure!(logged_in.bind(None).is_err(), "it was bound");
    Client::connect(&server.target()?, &new, None)?.disconnect()?;
    server.terminate()
}

fn remove_account_leaves_nothing() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let (leaver, other) = (server.account("leaver")?, server.account("stayer")?);
    let mut friend = live_a_little(&server, &leaver, &other)?;
    let mut client = Client::connect(&server.target()?, &leaver, None)?;
    let mut second = Client::connect(&server.target()?, &leaver, None)?;
    client.send(&format!(
        "<iq type='set' id='gone' to='localhost'><query xmlns='{REGISTER}'><remove/></query></iq>"
    ))?;
    let answer = client.stanza()?;
    ensure!(answer.attr("type") == Some("result"), "{}", show(&answer));
    client.expect_error("not-authorized")?;
    second.expect_error("not-authorized")?;
    // XEP-0077 §3.2: those who saw its presence are unsubscribed.
    let told = friend.stanzas()?;
    let unsubscribed = told.iter().any(|stanza| {
        stanza.attr("from") == Some(&leaver.jid())
            && matches!(stanza.attr("type"), Some("unsubscribe" | "unsubscribed"))
    });
    ensure!(
        unsubscribed,
        "the contact was told: {:?}",
        told.iter().map(show).collect::<Vec<_>>()
    );
    let mut again = Client::stream(&server.target()?)?;
    let answer = again.auth("PLAIN", &sasl::plain("", &leaver.user, &leaver.password))?;
    ensure!(
        answer.has_child("not-authorized", SASL),
        "{}",
        show(&answer)
    );
    forget_contact(&mut friend, &leaver)?;
    server.terminate()?;
    nothing_left(&server, &leaver.user)
}

fn delete_by_command_leaves_nothing() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let (leaver, other) = (server.account("leaver")?, server.account("stayer")?);
    let mut friend = live_a_little(&server, &leaver, &other)?;
    let mut session = Client::connect(&server.target()?, &leaver, None)?;
    let output = server.command(&["user", "delete", &leaver.jid()], "")?;
    ensure!(
        output.status.success(),
        "user delete: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    session.expect_error("not-authorized")?;
    forget_contact(&mut friend, &leaver)?;
    server.terminate()?;
    nothing_left(&server, &leaver.user)
}

/// The contact's own roster is the contact's: it removes the entry itself.
fn forget_contact(friend: &mut Client, leaver: &Account) -> Outcome {
    friend.send(&format!(
        "<iq type='set' id='f'><query xmlns='jabber:iq:roster'><item jid='{}' subscription='remove'/></query></iq>",
        leaver.jid()
    ))?;
    friend.sync()
}

/// No row of any table holds the name, except messages that show in the archive of their sender
/// alone (flag 4): those are the sender's.
fn nothing_left(server: &Server, name: &str) -> Outcome {
    let database = Connection::open(server.database()?)?;
    let mut tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    ensure!(tables.len() > 3, "only these tables: {tables:?}");
    for table in tables {
        let others = if table == "message" {
            "WHERE flags <> 4"
        } else {
            ""
        };
        let mut select = database.prepare(&format!("SELECT * FROM \"{table}\" {others}"))?;
        let columns = select.column_count();
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = row.get_ref(column)? else {
                    continue;
                };
                let found = bytes
                    .windows(name.len())
                    .any(|part| part == name.as_bytes());
                ensure!(
                    !found,
                    "{table} still holds {name}: {:?}",
                    String::from_utf8_lossy(bytes)
                );
            }
        }
    }
    Ok(())
}

/// The database is used directly where no server runs.
fn commands_without_a_server() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    server.terminate()?;
    let mut account = server.account("offline")?;
    let listed = server.command(&["user", "list"], "")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    ensure!(listed.contains(&account.jid()), "user list: {listed}");
    let output = server.command(
        &["user", "passwd", &account.jid(), "--password-stdin"],
        "another one\n",
    )?;
    ensure!(
        output.status.success(),
        "user passwd: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    account.password = "another one".to_owned();
    server.start_again()?;
    Client::connect(&server.target()?, &account, None)?.disconnect()?;
    server.terminate()
}

/// Exit code 1 and one line that says why; 2 for wrong usage.
fn refused_commands() -> Outcome {
    let mut server = Server::start(&ServerOptions::new())?;
    let account = server.account("twice")?;
    let jid = account.jid();
    let cases: [(&[&str], i32); 6] = [
        (&["user", "add", &jid, "--password-stdin"], 1),
        (
            &[
                "user",
                "add",
                "someone@elsewhere.example",
                "--password-stdin",
            ],
            1,
        ),
        (&["user", "add", "a b@localhost", "--password-stdin"], 2),
        (&["user", "delete", "nobody@localhost"], 1),
        (&["user", "ad", &jid], 2),
        (&["--no-such-option"], 2),
    ];
    for (arguments, code) in cases {
        let output = server.command(arguments, "a password\n")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(code),
            "{arguments:?}: {}: {said}",
            output.status
        );
        ensure!(!said.trim().is_empty(), "{arguments:?} said nothing");
        ensure!(
            code != 1 || said.trim().lines().count() == 1,
            "{arguments:?} said {said}"
        );
    }
    server.terminate()
}
