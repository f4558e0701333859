//! The ways of a stanza through the exchange, with the extensions of the server: one message to one
//! session, one to all sessions of an account, one presence to all contacts.
//!
//! Accounts are put into the registry as if they had been loaded: hashing their passwords under
//! callgrind would take minutes.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use waxwing_benches::stanzas;
use waxwing_core::account::{Account, Mail};
use waxwing_core::binding::Binding;
use waxwing_core::roster::{Item, Roster};
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::Jid;
use waxwing_xmpp::framing::Framer;
use waxwing_xmpp::subscription::{State, Subscription};

use crate::cases::{Case, Step};
use crate::{Outcome, stage};

#[path = "../../../src/core/benches/drive/mod.rs"]
pub mod drive;

/// Sessions of the account that a message is fanned out to.
const RESOURCES: u32 = 4;
/// Contacts that see a presence: the mean of a large service.
const CONTACTS: u32 = 18;
/// Messages after which a client shows what it has taken.
pub const TAKEN_EVERY: u64 = 32;

/// One message.
pub const ROUTE: Case = Case {
    name: "route",
    what: "A message to one session: framed, stamped, routed, queued, taken for writing",
    deliveries: 1,
    is_stored: false,
    prepare: || message(1, "juliet@localhost/0"),
};

/// One message to several sessions.
pub const FAN_OUT: Case = Case {
    name: "fan_out",
    what: "A message to the bare JID of an account with 4 sessions, for each of them",
    deliveries: RESOURCES,
    is_stored: false,
    prepare: || message(RESOURCES, "juliet@localhost"),
};

/// One presence to many.
pub const BROADCAST: Case = Case {
    name: "broadcast",
    what: "A presence to 18 contacts and its own session, for each of the 19",
    deliveries: CONTACTS + 1,
    is_stored: false,
    prepare: broadcast,
};

/// An exchange without archive of its own, and who is on it.
pub struct Stage {
    pub exchange: Arc<Exchange>,
    pub runtime: Runtime,
    pub framer: Framer,
    _directory: tempfile::TempDir,
}

impl Stage {
    pub fn open(more: &str) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let config = format!("[archive]\nenabled = false\n{more}");
        let config = stage::config(directory.path(), &config)?;
        Ok(Stage {
            exchange: runtime.block_on(stage::open(&config))?,
            runtime,
            framer: drive::opened(),
            _directory: directory,
        })
    }

    /// Makes an account with contacts that see its presence and whose presence it sees.
    pub fn account(&self, id: i64, name: &str, contacts: &[&str]) -> Jid {
        let mut roster = Roster::default();
        for contact in contacts {
            let state = State {
                subscription: Subscription::Both,
                ..State::default()
            };
            let item = Item {
                state,
                listed: true,
                ..Item::default()
            };
            drop(roster.put(id, &address(contact), item));
        }
        let account = Account::new(id, address(name), roster, Mail::default());
        self.exchange.registry.insert(account).jid.clone()
    }

    /// A session that has sent its initial presence.
    pub fn online(&self, account: &Jid, resource: &str) -> Arc<Session> {
        self.runtime.block_on(async {
            let binding = Binding {
                resource: Some(resource),
                ..Binding::default()
            };
            let known = self.exchange.account(account.as_str()).await;
            let known = known.ok().flatten().expect("an account");
            let session = self.exchange.bind(&known, binding).expect("a session");
            let mut framer = drive::opened();
            drive::send(&self.exchange, &mut framer, &session, "<presence/>").await;
            drive::begin(&self.exchange, &mut framer, &session).await;
            session
        })
    }

    pub fn send(&mut self, session: &Arc<Session>, xml: &str) {
        drive::accept(&self.exchange, &mut self.framer, session, xml);
    }
}

fn address(text: &str) -> Jid {
    Jid::parse(text).expect("an address")
}

fn message(resources: u32, to: &str) -> Step {
    let mut stage = Stage::open("").expect("an exchange");
    let romeo = stage.account(1, "romeo@localhost", &[]);
    let romeo = stage.online(&romeo, "0");
    let juliet = stage.account(2, "juliet@localhost", &[]);
    let sessions: Vec<Arc<Session>> = (0..resources)
        .map(|resource| stage.online(&juliet, &resource.to_string()))
        .collect();
    for session in &sessions {
        drive::take(session);
    }
    let xml = stanzas::routed(to);
    let mut sent = 0;
    Box::new(move || {
        stage.send(&romeo, &xml);
        sent += 1;
        for session in &sessions {
            drive::take(session);
            if sent % TAKEN_EVERY == 0 {
                drive::show_taken(session, sent);
            }
        }
    })
}

fn broadcast() -> Step {
    let mut stage = Stage::open("").expect("an exchange");
    let names: Vec<String> = (0..CONTACTS)
        .map(|contact| format!("contact{contact}@localhost"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let juliet = stage.account(1, "juliet@localhost", &names);
    let mut sessions = Vec::new();
    for (id, name) in (2..).zip(&names) {
        let contact = stage.account(id, name, &["juliet@localhost"]);
        sessions.push(stage.online(&contact, "0"));
    }
    let juliet = stage.online(&juliet, "0");
    sessions.push(Arc::clone(&juliet));
    for session in &sessions {
        drive::take(session);
    }
    Box::new(move || {
        stage.send(&juliet, stanzas::PRESENCE);
        for session in &sessions {
            drive::take(session);
        }
    })
}
