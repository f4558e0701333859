//! An exchange on a database of its own, with sessions that nobody reads from but the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use waxwing_core::accounts::Accounts;
use waxwing_core::binding::Binding;
use waxwing_core::clock::{Clock, Ids, SystemClock, SystemIds, Timestamp};
use waxwing_core::db::{Database, Migrations, Options};
use waxwing_core::exchange::{Rate, Receipt};
use waxwing_core::mailbox_store::{self, Mailbox};
use waxwing_core::outbox::Wake;
use waxwing_core::powers::{IqTable, Powers};
use waxwing_core::registry::Registry;
use waxwing_core::{Exchange, MIGRATIONS, Session, Settings};
use waxwing_xmpp::framing::{Framer, Limits, Unit};
use waxwing_xmpp::stanza::Kind;
use waxwing_xmpp::{Jid, Stanza};

const HEADER: &[u8] = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// See the [module](self).
pub struct World {
    pub exchange: Arc<Exchange>,
    /// The wall clock is ahead of the machine's by so many milliseconds.
    pub ahead_ms: Arc<AtomicI64>,
    _directory: tempfile::TempDir,
}

#[derive(Default)]
struct AheadClock {
    machine: SystemClock,
    ahead_ms: Arc<AtomicI64>,
}

impl Clock for AheadClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.machine.now().0 + self.ahead_ms.load(Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.machine.elapsed()
    }
}

pub fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// The ids of the messages that wait to be written to a session.
pub fn ids(session: &Session) -> Vec<String> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut ids = Vec::new();
    while let Poll::Ready(wake) = session.outbox.poll_take(&mut cx, 64, || i64::MAX) {
        let Wake::Bytes(pieces) = wake else { continue };
        let stanzas = pieces
            .into_iter()
            .map(|piece| Stanza::parse(piece).unwrap());
        ids.extend(
            stanzas
                .filter(|stanza| stanza.kind() == Kind::Message)
                .filter_map(|stanza| Some(stanza.id()?.into_owned())),
        );
    }
    ids
}

impl World {
    pub async fn new() -> World {
        World::with(Powers::default(), Vec::new()).await
    }

    /// With extensions and their tables.
    pub async fn with(powers: Powers, tables: Vec<Migrations>) -> World {
        let directory = tempfile::tempdir().unwrap();
        let mut migrations = vec![MIGRATIONS, mailbox_store::MIGRATIONS];
        migrations.extend(tables);
        let path = directory.path().join("test.db");
        let database = Database::open(&path, &migrations, &Options::default()).unwrap();
        let ahead_ms = Arc::<AtomicI64>::default();
        let clock = AheadClock {
            ahead_ms: Arc::clone(&ahead_ms),
            ..AheadClock::default()
        };
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) =
            (Arc::new(clock), Arc::new(SystemIds::default()));
        let accounts = Accounts::open(
            database.clone(),
            Arc::clone(&clock),
            Arc::clone(&ids),
            vec![],
        )
        .await;
        let exchange = Arc::new(Exchange {
            domain: jid("localhost"),
            settings: ArcSwap::from_pointee(settings()),
            mailbox: Mailbox::open(database.clone()).await.unwrap(),
            accounts: accounts.unwrap(),
            database,
            registry: Registry::default(),
            iq_table: IqTable::new(&powers.answer).unwrap(),
            services: waxwing_core::powers::Services::new(&powers.serve, &settings()),
            powers,
            clock,
            ids,
            epoch: 1,
            streams: waxwing_core::streams::Streams::default(),
            watched: waxwing_core::deliver::Watched::default(),
        });
        World {
            exchange,
            ahead_ms,
            _directory: directory,
        }
    }

    /// Makes an account unless it is there.
    pub async fn account(&self, local: &str) -> Jid {
        let bare = jid(&format!("{local}@localhost"));
        // A second session of the account finds it made.
        drop(self.exchange.accounts.create(&bare, "secret", false).await);
        bare
    }

    /// A session that has sent nothing.
    pub async fn bind(&self, bare: &Jid, binding: Binding<'_>) -> Arc<Session> {
        let account = self.exchange.account(bare.as_str()).await.unwrap();
        self.exchange.bind(&account.unwrap(), binding).unwrap()
    }

    /// A session that has sent initial presence.
    pub async fn online(&self, local: &str, resource: &str) -> Arc<Session> {
        let bare = self.account(local).await;
        let binding = Binding {
            resource: Some(resource),
            ..Binding::default()
        };
        let session = self.bind(&bare, binding).await;
        self.presence(&session, "<presence/>").await;
        session
    }

    /// What a client sends.
    pub async fn presence(&self, session: &Arc<Session>, xml: &str) {
        let mut framer = Framer::new(Limits::AFTER_LOGIN);
        let mut header = HEADER;
        assert!(matches!(
            framer.next(&mut header),
            Ok(Some(Unit::Header(_)))
        ));
        let mut input = xml.as_bytes();
        let Ok(Some(Unit::Stanza(frame))) = framer.next(&mut input) else {
            panic!("not a stanza: {xml}");
        };
        if let Some(rest) = self.exchange.accept(session, frame).unwrap() {
            rest.await;
        }
    }

    /// A message for an address, as if stamped.
    pub async fn send(&self, to: &str, stanza: &Stanza) -> Receipt {
        self.exchange.route_message(stanza, &jid(to), None).await
    }

    /// The ids of what waits in a mailbox, in order.
    pub async fn waiting(&self, local: &str) -> Vec<String> {
        let account = self
            .exchange
            .accounts
            .find(&format!("{local}@localhost"))
            .await
            .unwrap();
        self.exchange.database.batch(Vec::new()).await.unwrap();
        let rows = self
            .exchange
            .mailbox
            .page(account.unwrap().id, 0, 100, 1 << 20)
            .await
            .unwrap();
        rows.into_iter()
            .filter_map(|row| Some(Stanza::parse(row.body).unwrap().id()?.into_owned()))
            .collect()
    }

    /// How many rows an account has.
    pub async fn rows(&self, account: i64) -> usize {
        self.exchange.database.batch(Vec::new()).await.unwrap();
        self.exchange
            .mailbox
            .page(account, 0, 100, 1 << 20)
            .await
            .unwrap()
            .len()
    }
}

fn settings() -> Settings {
    let rate = Rate {
        per_second: 1000,
        burst: 1000,
    };
    Settings {
        domain: jid("localhost"),
        admins: Vec::new(),
        retention_days: 30,
        sessions_per_account: 10,
        outbox_bytes: 1 << 20,
        roster_items: 1000,
        mailbox_messages: 10_000,
        mailbox_bytes: 50 << 20,
        contacts: Vec::new(),
        open_registration: false,
        registrations_per_hour: 10,
        stanza_bytes_before_login: 10_000,
        stanza_bytes: 262_144,
        negotiation_seconds: 30,
        idle_seconds: 30,
        anonymous: true,
        archive: false,
        resume_seconds: 600,
        groups_domain: jid("groups.localhost"),
        room_members: 256,
        room_messages: rate,
        occupant_messages: rate,
    }
}
