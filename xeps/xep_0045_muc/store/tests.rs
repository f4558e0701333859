// A test that cannot go on fails where it stands.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use tempfile::TempDir;
use waxwing_core::db::Options;

use super::*;
use crate::xep_0059_rsm::Start;

const A: i64 = ROOM_BASE + 1;
const B: i64 = ROOM_BASE + 2;

fn open(directory: &Path) -> Database {
    let path = directory.join("test.db");
    Database::open(&path, &[migrations()], &Options::default()).unwrap()
}

async fn write(database: &Database, id: i64, local: &str, change: Change) {
    let statements = statements(id, local, &change);
    assert!(!statements.is_empty());
    database.batch(statements).await.unwrap();
}

async fn create(database: &Database, id: i64, local: &str, config: Config) {
    write(database, id, local, Change::Created(Box::new(config))).await;
}

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn member(affiliation: Affiliation, version: i64) -> Member {
    Member {
        affiliation,
        version,
        ..Member::default()
    }
}

async fn know(database: &Database, id: i64, who: &str, member: Member) {
    let change = Change::Member {
        jid: jid(who),
        member,
    };
    write(database, id, "-", change).await;
}

fn public(name: &str) -> Config {
    Config {
        name: name.to_owned(),
        is_public: true,
        ..Config::instant(256)
    }
}

#[tokio::test]
async fn a_room_is_read_as_it_was_written() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    assert_eq!(load(&database, "coven").await, Ok(None));
    create(&database, A, "coven", Config::instant(256)).await;
    let mut expected = Stored {
        id: A,
        config: Config::instant(256),
        subject: Subject::default(),
        members: Vec::new(),
        version: 0,
        avatar: String::new(),
    };
    assert_eq!(load(&database, "coven").await, Ok(Some(expected.clone())));

    expected.config = Config {
        name: "A Dark Cave".into(),
        description: "Witches'\nplace".into(),
        lang: "en".into(),
        is_persistent: false,
        is_public: true,
        is_members_only: true,
        is_moderated: true,
        password: "cauldronburn".into(),
        whois: Whois::Anyone,
        anonymous_until: 1 << 60,
        private_messages: PrivateMessages::Nobody,
        may_change_subject: true,
        may_invite: false,
        may_request_voice: false,
        may_register: false,
        member_list_from: Role::Visitor,
        presence_from: Role::Moderator,
        is_archived: false,
        history: 7,
        max_members: 12,
    };
    expected.subject = Subject {
        text: "Spells".into(),
        nick: "thirdwitch".into(),
        at: 5,
    };
    expected.avatar = "<vCard xmlns='vcard-temp'/>".into();
    expected.members = vec![
        (jid("crone1@x"), member(Affiliation::Owner, 1)),
        (
            jid("hag66@x"),
            Member {
                affiliation: Affiliation::Member,
                nick: "thirdwitch".into(),
                reason: "why not".into(),
                version: 2,
                hats: vec![
                    ("urn:hats:1".into(), "Host".into()),
                    ("urn:hats:2".into(), String::new()),
                ],
            },
        ),
    ];
    expected.version = 2;
    let configured = Change::Configured(Box::new(expected.config.clone()));
    write(&database, A, "coven", configured).await;
    let subject = Change::Subject(expected.subject.clone());
    write(&database, A, "coven", subject).await;
    let avatar = Change::Avatar(expected.avatar.clone());
    write(&database, A, "coven", avatar).await;
    for (jid, member) in &expected.members {
        know(&database, A, jid.as_str(), member.clone()).await;
    }
    database.close().await;
    let database = open(directory.path());
    assert_eq!(load(&database, "coven").await, Ok(Some(expected.clone())));

    write(&database, A, "coven", Change::Avatar(String::new())).await;
    expected.avatar = String::new();
    assert_eq!(load(&database, "coven").await, Ok(Some(expected)));
    assert_eq!(newest_id(&database).await, Ok(A));
}

#[tokio::test]
async fn two_rooms_cannot_have_one_name() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    create(&database, A, "coven", Config::instant(256)).await;
    let change = Change::Created(Box::new(Config::instant(256)));
    let again = database.batch(statements(B, "coven", &change)).await;
    assert!(matches!(again, Err(DbError::Constraint(_))), "{again:?}");
}

#[tokio::test]
async fn nothing_stays_of_a_room_that_is_gone() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    for (id, local) in [(A, "a"), (B, "b")] {
        create(&database, id, local, public("")).await;
        know(&database, id, "u@x", member(Affiliation::Owner, 1)).await;
        write(&database, id, local, Change::Avatar("<vCard/>".into())).await;
        let statements = vec![
            set_cursor(id, &cursor("u@x", "d", 1)),
            save_seat(id, &seat(1)),
        ];
        database.batch(statements).await.unwrap();
    }
    let tables = "SELECT (SELECT count(*) FROM muc_room), (SELECT count(*) FROM muc_avatar), \
         (SELECT count(*) FROM muc_member), (SELECT count(*) FROM muc_cursor), \
         (SELECT count(*) FROM muc_occupant)";
    for left in [1, 0] {
        let (id, local) = if left == 1 { (A, "a") } else { (B, "b") };
        write(&database, id, local, Change::Destroyed).await;
        let rows = database.query(tables, Vec::new()).await.unwrap();
        let counts: Vec<i64> = (0..5).map(|table| rows[0].int(table).unwrap()).collect();
        assert_eq!(counts, [left; 5]);
        assert_eq!(load(&database, local).await, Ok(None));
    }
}

#[tokio::test]
async fn the_newest_of_those_who_were_forgotten_are_remembered() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    create(&database, A, "a", Config::instant(256)).await;
    know(&database, A, "u@x", member(Affiliation::Member, 1)).await;
    know(&database, A, "banned@x", member(Affiliation::Outcast, 2)).await;
    let all = (3..3 + KEPT_FORGOTTEN).flat_map(|version| {
        let change = Change::Member {
            jid: jid(&format!("u{version}@x")),
            member: member(Affiliation::None, version),
        };
        statements(A, "a", &change)
    });
    database.batch(all.collect()).await.unwrap();
    let known = async || {
        let room = load(&database, "a").await.unwrap().unwrap();
        let forgotten = room.members.iter();
        let forgotten = forgotten.filter(|(_, known)| known.affiliation == Affiliation::None);
        let versions: Vec<i64> = forgotten.map(|(_, known)| known.version).collect();
        let oldest = versions.iter().min().copied();
        (room.members.len(), versions.len(), oldest, room.version)
    };
    let (kept, newest) = (KEPT_FORGOTTEN as usize, KEPT_FORGOTTEN + 3);
    assert_eq!(known().await, (kept + 2, kept, Some(3), newest - 1));
    know(&database, A, "late@x", member(Affiliation::None, newest)).await;
    assert_eq!(known().await, (kept + 2, kept, Some(4), newest));
    // What is written again later changes nothing of the count.
    know(&database, A, "u@x", member(Affiliation::Member, 1)).await;
    assert_eq!(known().await.3, newest);
}

fn cursor(who: &str, device: &str, cursor: i64) -> Cursor {
    Cursor {
        jid: jid(who),
        device: device.to_owned(),
        cursor,
        seen_at: Timestamp(cursor * 10),
    }
}

#[tokio::test]
async fn cursors_belong_to_members_and_never_go_back() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    create(&database, A, "a", Config::instant(256)).await;
    for who in ["u@x", "v@x"] {
        know(&database, A, who, member(Affiliation::Member, 1)).await;
    }
    let (phone, tablet) = (cursor("u@x", "phone", 7), cursor("u@x", "tablet", 3));
    let other = cursor("v@x", "", 5);
    for cursor in [&other, &tablet, &phone] {
        database.batch(vec![set_cursor(A, cursor)]).await.unwrap();
    }
    let mut back = cursor("u@x", "phone", 2);
    back.seen_at = Timestamp(99);
    database.batch(vec![set_cursor(A, &back)]).await.unwrap();
    let phone = Cursor {
        seen_at: Timestamp(99),
        ..phone
    };
    let all = vec![phone.clone(), tablet, other.clone()];
    assert_eq!(cursors(&database, A).await, Ok(all));
    assert_eq!(cursors(&database, B).await, Ok(Vec::new()));

    database
        .batch(vec![forget_cursors(A, Timestamp(50))])
        .await
        .unwrap();
    assert_eq!(cursors(&database, A).await, Ok(vec![phone, other.clone()]));
    know(&database, A, "u@x", member(Affiliation::None, 2)).await;
    assert_eq!(cursors(&database, A).await, Ok(vec![other]));
}

#[tokio::test]
async fn who_was_told_of_a_room_is_told_once() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    create(&database, A, "a", Config::instant(256)).await;
    know(&database, A, "u@x", member(Affiliation::Member, 1)).await;
    let mark = |at| vec![set_invited(A, &jid("u@x/phone"), Timestamp(at))];
    database.batch(mark(7)).await.unwrap();
    assert_eq!(invited(&database, A).await, Ok(vec![jid("u@x")]));
    // Another affiliation keeps the mark, none removes it.
    know(&database, A, "u@x", member(Affiliation::Admin, 2)).await;
    assert_eq!(invited(&database, A).await, Ok(vec![jid("u@x")]));
    know(&database, A, "u@x", member(Affiliation::None, 3)).await;
    know(&database, A, "u@x", member(Affiliation::Member, 4)).await;
    assert_eq!(invited(&database, A).await, Ok(Vec::new()));
}

fn seat(stream: i64) -> Seat {
    Seat {
        stream,
        nick: format!("n{stream}"),
        role: Role::Participant,
        payload: Bytes::from_static(b"<show>away</show>"),
        cursor: stream * 2,
    }
}

#[tokio::test]
async fn occupants_come_back_once() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    create(&database, B, "b", Config::instant(256)).await;
    create(&database, A, "a", Config::instant(256)).await;
    let mut changed = seat(1);
    changed.nick = "other".into();
    let saved = [
        (B, seat(1)),
        (A, seat(2)),
        (A, seat(1)),
        (A, changed.clone()),
    ];
    let saved = saved
        .iter()
        .map(|(id, seat)| save_seat(*id, seat))
        .collect();
    database.batch(saved).await.unwrap();
    let expected = vec![
        ("a".to_owned(), A, changed),
        ("a".to_owned(), A, seat(2)),
        ("b".to_owned(), B, seat(1)),
    ];
    assert_eq!(seats(&database).await, Ok(expected));
    database.batch(vec![clear_seats()]).await.unwrap();
    assert_eq!(seats(&database).await, Ok(Vec::new()));
}

#[tokio::test]
async fn rooms_that_did_not_outlive_their_occupants_are_found() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    let brief = Config {
        is_persistent: false,
        ..Config::instant(256)
    };
    create(&database, A, "left", brief.clone()).await;
    create(&database, B, "kept", Config::instant(256)).await;
    create(&database, B + 1, "seated", brief).await;
    let statements = vec![save_seat(B + 1, &seat(1))];
    database.batch(statements).await.unwrap();
    assert_eq!(temporary(&database).await, Ok(vec![(A, "left".to_owned())]));
}

#[tokio::test]
async fn a_user_that_is_deleted_is_known_to_no_room() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    create(&database, A, "a", Config::instant(256)).await;
    create(&database, B, "b", Config::instant(256)).await;
    for id in [A, B] {
        know(&database, id, "u@x", member(Affiliation::Owner, 1)).await;
        know(&database, id, "v@x", member(Affiliation::Member, 2)).await;
        let cursors = ["u@x", "v@x"].map(|who| set_cursor(id, &cursor(who, "d", 1)));
        database.batch(cursors.to_vec()).await.unwrap();
    }
    know(&database, B, "u@x", member(Affiliation::None, 3)).await;
    let rooms = rooms_of(&database, &jid("u@x/phone")).await;
    assert_eq!(rooms, Ok(vec![(A, "a".to_owned(), Affiliation::Owner)]));

    // Once more changes nothing.
    for _ in 0..2 {
        database.batch(remove_user(&jid("u@x"))).await.unwrap();
        assert_eq!(rooms_of(&database, &jid("u@x")).await, Ok(Vec::new()));
        let (a, b) = (load(&database, "a").await, load(&database, "b").await);
        let (a, b) = (a.unwrap().unwrap(), b.unwrap().unwrap());
        assert_eq!((a.version, b.version), (3, 3));
        let gone = (jid("u@x"), member(Affiliation::None, 3));
        assert_eq!((&a.members[0], &b.members[0]), (&gone, &gone));
        assert_eq!(a.members[1].1, member(Affiliation::Member, 2));
        let left = cursors(&database, A).await;
        assert_eq!(left, Ok(vec![cursor("v@x", "d", 1)]));
    }
}

#[test]
fn ids_are_never_given_twice() {
    let now = Timestamp(1_700_000_000_000);
    let first = next_id(0, now);
    assert!(first > ROOM_BASE);
    assert_eq!(next_id(first, now), first + 1);
    // The clock was set back.
    assert_eq!(next_id(first, Timestamp(5)), first + 1);
    assert!(next_id(first, Timestamp(now.0 + 10)) > first + 1);
    assert_eq!(next_id(0, Timestamp(-1)), ROOM_BASE);
}

mod lists;
mod plans;
