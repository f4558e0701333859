//! Rooms (XEP-0045) with as many occupants as they can have: what a message costs each of them, and
//! what a room holds while nobody speaks. They are rooms for members only, in which it is known of
//! every member how far it has read.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Builder;
use waxwing::config::Config;
use waxwing_benches::counting;
use waxwing_core::Session;
use waxwing_core::db::Statement;
use waxwing_core::drain::Page;
use waxwing_core::feed::Feed;
use waxwing_core::outbox::Wake;
use waxwing_gates::{Figure, Kind};

use crate::cases::{Case, Step};
use crate::exchange::{Stage, TAKEN_EVERY, drive};
use crate::{Outcome, stage};

/// Members of a room, and all of them are in it.
const OCCUPANTS: u32 = 256;
/// Rooms that are weighed.
const ROOMS: usize = 5;
/// Rooms that only lie in the database.
const STORED: i64 = 100_000;

/// Time stands still, so that everything is said at once.
const CONFIG: &str = "[muc]\nmessages_burst = 1000000\noccupant_messages_burst = 1000000\n";

/// One message to a room.
pub const SPEAK: Case = Case {
    name: "speak",
    what: "A message to a room with 256 occupants, stored, for each of them",
    deliveries: OCCUPANTS,
    is_stored: true,
    prepare: speak,
};

fn speak() -> Step {
    let mut house = House::open().expect("an exchange");
    let room = house.room("room");
    let feeds: Vec<Arc<dyn Feed>> = house.sessions[0].feeds();
    let body = "Shall we meet at noon? ".repeat(11);
    let xml =
        format!("<message to='{room}' type='groupchat' id='m-1'><body>{body}</body></message>");
    let mut sent = 0;
    Box::new(move || {
        let House { stage, sessions } = &mut house;
        // A commit wakes everybody by a task of the runtime, which nobody runs here.
        let _inside = stage.runtime.enter();
        let speaker = &sessions[sent as usize % sessions.len()];
        drive::accept(&stage.exchange, &mut stage.framer, speaker, &xml);
        feeds.iter().for_each(|feed| feed.announce());
        sent += 1;
        for session in sessions.iter() {
            drive::take(session);
            if sent % TAKEN_EVERY == 0 {
                session.outbox.begin_probe(sent);
                assert!(stage.exchange.probe_answered(session, sent));
            }
        }
    })
}

/// Measures what a room takes beside its sessions.
pub fn measure() -> Outcome<Vec<Figure>> {
    let mut house = House::open()?;
    // The first makes the tables that all rooms share.
    let first = house.room("first");
    house.hear(&first);
    let mut least = i64::MAX;
    for number in 0..ROOMS {
        house.rest();
        let before = counting::live().bytes;
        let room = house.room(&format!("room{number}"));
        house.hear(&room);
        house.rest();
        least = least.min(counting::live().bytes - before);
    }
    // What the sessions keep of it is theirs. What the database and the mailbox keep for a while of
    // what was written is more in one room and less in another, and little beside so many members.
    let followed = size_of::<Arc<dyn Feed>>() as i64;
    let room = Figure {
        kind: Kind::Memory,
        name: "room_member_bytes".to_owned(),
        what: "bytes of a room for each of 256 members who are in it and say nothing".to_owned(),
        value: (least / i64::from(OCCUPANTS) - followed) as f64,
    };
    let stored = Figure {
        kind: Kind::Memory,
        name: "stored_room_bytes".to_owned(),
        what: "bytes of each of 100 000 rooms that are stored and that nobody has entered"
            .to_owned(),
        value: (stored()? / STORED) as f64,
    };
    Ok(vec![room, stored])
}

/// What a server holds more after its start if there are rooms.
fn stored() -> Outcome<i64> {
    let directory = tempfile::tempdir()?;
    let config = stage::config(directory.path(), "")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The first makes the tables, and what all of a process share.
        started(&config, None).await?;
        let without = started(&config, Some(ROOMS_FROM_NOWHERE)).await?;
        let with = started(&config, None).await?;
        Ok(with - without)
    })
}

/// Starts and ends a server. Returns what it held; `then` is written before the end.
async fn started(config: &Config, then: Option<&'static str>) -> Outcome<i64> {
    let before = counting::live().bytes;
    let exchange = stage::open(config).await?;
    exchange.services.start(&exchange).await?;
    exchange.services.tick(&exchange).await;
    exchange.database.batch(Vec::new()).await?;
    let held = counting::live().bytes - before;
    if let Some(sql) = then {
        let statement = Statement::new(sql, vec![STORED.into()]);
        exchange.database.batch(vec![statement]).await?;
    }
    exchange.database.clone().close().await;
    Ok(held)
}

const ROOMS_FROM_NOWHERE: &str = "INSERT INTO muc_room (id, local, title, description, lang, \
    persistent, public, members_only, moderated, password, whois, private_messages, \
    change_subject, invite, request_voice, register, member_list_from, presence_from, archived, \
    history, max_members, anonymous_until) WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL \
    SELECT n + 1 FROM number WHERE n < ?1) SELECT (1 << 48) + n, 'room' || n, 'Room', '', '', 1, 0, 1, 0, \
    '', 'anyone', 'anyone', 0, 1, 0, 0, 'moderator', 'visitor', 1, 20, 256, 0 FROM number";

/// Everybody who enters rooms.
struct House {
    stage: Stage,
    sessions: Vec<Arc<Session>>,
}

impl House {
    fn open() -> Outcome<House> {
        let stage = Stage::open(CONFIG)?;
        let mut sessions = Vec::new();
        for number in 0..OCCUPANTS {
            let name = format!("occupant{number}@localhost");
            let account = stage.account(i64::from(number) + 1, &name, &[]);
            sessions.push(stage.online(&account, "phone"));
        }
        Ok(House { stage, sessions })
    }

    /// A room for members only that everybody has entered. Returns its address.
    fn room(&mut self, name: &str) -> String {
        let room = format!("{name}@groups.localhost");
        self.enter(0, &room);
        self.ask(&room, "owner", OWNERS_WISH);
        let members = self.sessions.iter().skip(1);
        let grants = members.map(|session| {
            let jid = session.account.jid.as_str();
            format!("<item affiliation='member' jid='{jid}'/>")
        });
        let grants: Vec<String> = grants.collect();
        for part in grants.chunks(50) {
            self.ask(&room, "admin", &part.concat());
        }
        for place in 1..self.sessions.len() {
            self.enter(place, &room);
        }
        room
    }

    fn enter(&mut self, place: usize, room: &str) {
        let presence = format!(
            "<presence to='{room}/nick{place}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        );
        let House { stage, sessions } = self;
        let session = &sessions[place];
        stage.runtime.block_on(async {
            drive::send(&stage.exchange, &mut stage.framer, session, &presence).await;
            while let Ok(Page::More) = stage.exchange.drain_page(session).await {}
        });
        sessions.iter().for_each(|session| take_all(session));
    }

    /// Something that the owner asks of the room.
    fn ask(&mut self, room: &str, who: &str, what: &str) {
        let iq = format!(
            "<iq type='set' id='i' to='{room}'>\
             <query xmlns='http://jabber.org/protocol/muc#{who}'>{what}</query></iq>"
        );
        let House { stage, sessions } = self;
        let asking = drive::send(&stage.exchange, &mut stage.framer, &sessions[0], &iq);
        stage.runtime.block_on(asking);
        sessions.iter().for_each(|session| take_all(session));
    }

    /// Everybody hears a message, and shows it: the room knows of everybody's device.
    fn hear(&mut self, room: &str) {
        let xml =
            format!("<message to='{room}' type='groupchat'><body>Good morning</body></message>");
        let House { stage, sessions } = self;
        let said = drive::send(&stage.exchange, &mut stage.framer, &sessions[0], &xml);
        stage.runtime.block_on(said);
        for session in sessions.iter() {
            take_all(session);
            session.outbox.begin_probe(1);
            assert!(stage.exchange.probe_answered(session, 1));
        }
    }

    /// Waits until everything is written down, and gives back what nobody uses.
    fn rest(&self) {
        let Stage {
            exchange, runtime, ..
        } = &self.stage;
        runtime.block_on(async {
            exchange.services.tick(exchange).await;
            for _ in 0..3 {
                exchange
                    .database
                    .batch(Vec::new())
                    .await
                    .expect("a database");
                tokio::task::yield_now().await;
            }
        });
        for session in &self.sessions {
            take_all(session);
            session.outbox.shrink();
        }
    }
}

const OWNERS_WISH: &str = "<x xmlns='jabber:x:data' type='submit'>\
    <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
    <field var='muc#roomconfig_membersonly'><value>1</value></field></x>";

/// Takes what waits to be written to a client.
fn take_all(session: &Session) {
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Wake::Bytes(_) | Wake::Tick) =
        session.outbox.poll_take(&mut cx, 64, || i64::MAX)
    {}
}
