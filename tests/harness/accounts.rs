//! Accounts and the two ways to make one.

use std::path::Path;

use super::Outcome;
use super::client::Client;
use super::server::{Target, run};

/// The namespace of in-band registration.
pub const REGISTER: &str = "jabber:iq:register";

/// An account and how to log in to it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The local part.
    pub user: String,
    /// The domain.
    pub domain: String,
    /// The password.
    pub password: String,
}

impl Account {
    /// The bare JID.
    pub fn jid(&self) -> String {
        format!("{}@{}", self.user, self.domain)
    }

    /// An account whose name begins with that and is taken by nobody else in this run.
    pub fn named(name: &str, domain: &str) -> Account {
        let user = format!("{name}-{}-{}", std::process::id(), super::unique());
        Account {
            user,
            domain: domain.to_owned(),
            password: format!("secret of {name}"),
        }
    }
}

/// Makes an account with `waxwing user add`.
pub fn add_user(config: &Path, account: &Account) -> Outcome {
    let arguments = ["user", "add", &account.jid(), "--password-stdin"];
    let output = run(config, &arguments, &format!("{}\n", account.password))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "user add {}: {}",
        account.jid(),
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

/// The request by which a client makes that account, or changes its password.
pub fn registration(account: &Account) -> String {
    format!(
        "<iq type='set' id='register' to='{}'><query xmlns='{REGISTER}'>\
         <username>{}</username><password>{}</password></query></iq>",
        account.domain, account.user, account.password
    )
}

/// Makes an account by in-band registration, XEP-0077.
pub fn register(target: &Target, account: &Account) -> Outcome {
    let mut client = Client::stream(target)?;
    client.send(&registration(account))?;
    let answer = client.stanza()?;
    if answer.attr("type") != Some("result") {
        return Err(format!("registration: {}", super::xml::show(&answer)).into());
    }
    client.disconnect()
}
