//! What holds in every state that is reached by any users doing anything.

use std::collections::BTreeMap;

use proptest::prelude::*;
use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;
use waxwing_xmpp::Jid;

use super::world::{World, element, jid};
use crate::xep_0045_muc::USER;
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::config::Whois;
use crate::xep_0045_muc::effect::Effect;
use crate::xep_0045_muc::room::look::look;
use crate::xep_0045_muc::room::{Exit, Limits};

const USERS: [&str; 6] = ["owner@x", "a@x", "b@x", "c@y", "d@y", "e@y"];
/// Some look like others.
const NICKS: [&str; 7] = ["owner", "anna", "Anna", "аnna", "bob", "carl", "dora"];
const AFFILIATIONS: [&str; 5] = ["outcast", "none", "member", "admin", "owner"];
const ROLES: [&str; 4] = ["none", "visitor", "participant", "moderator"];
const SETTINGS: [(&str, &str); 16] = [
    ("membersonly", "1"),
    ("membersonly", "0"),
    ("moderatedroom", "1"),
    ("moderatedroom", "0"),
    ("whois", "anyone"),
    ("whois", "moderators"),
    ("presencebroadcast", "moderator"),
    ("presencebroadcast", "moderator participant"),
    ("presencebroadcast", "moderator participant visitor"),
    ("maxusers", "3"),
    ("maxusers", "5"),
    ("allowinvites", "1"),
    ("roomadmins", "a@x c@y"),
    ("roomowners", "owner@x b@x"),
    ("roomowners", "b@x"),
    ("roomname", "Coven"),
];

/// One thing that a user does: who, with which of its clients, and what.
#[derive(Clone, Debug)]
struct Step {
    user: usize,
    client: u8,
    act: Act,
}

#[derive(Clone, Debug)]
enum Act {
    Join(usize),
    Status(usize, u8),
    Exit,
    Vanish(u8),
    Say(u8),
    Whisper(usize),
    Invite(usize),
    Items(Vec<Item>),
    Configure(Vec<usize>),
    Register(usize),
    Unregister,
    Hat(usize),
    /// The account goes.
    Forget,
    Restart,
}

#[derive(Clone, Debug)]
enum Item {
    Affiliation(usize, usize),
    Role(usize, usize),
}

fn act() -> impl Strategy<Value = Act> {
    let item = prop_oneof![
        (0..USERS.len(), 0..AFFILIATIONS.len()).prop_map(|(u, a)| Item::Affiliation(u, a)),
        (0..NICKS.len(), 0..ROLES.len()).prop_map(|(n, r)| Item::Role(n, r)),
    ];
    prop_oneof![
        8 => (0..NICKS.len()).prop_map(Act::Join),
        3 => (0..NICKS.len(), any::<u8>()).prop_map(|(n, s)| Act::Status(n, s)),
        2 => Just(Act::Exit),
        1 => (0..3_u8).prop_map(Act::Vanish),
        2 => (0..3_u8).prop_map(Act::Say),
        1 => (0..NICKS.len()).prop_map(Act::Whisper),
        1 => (0..USERS.len()).prop_map(Act::Invite),
        8 => prop::collection::vec(item, 1..4).prop_map(Act::Items),
        4 => prop::collection::vec(0..SETTINGS.len(), 1..3).prop_map(Act::Configure),
        1 => (0..NICKS.len()).prop_map(Act::Register),
        1 => Just(Act::Unregister),
        1 => (0..USERS.len()).prop_map(Act::Hat),
        1 => Just(Act::Forget),
        1 => Just(Act::Restart),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    // The owner acts more often than others, or little would happen.
    let user = prop_oneof![2 => Just(0), 3 => 0..USERS.len()];
    (user, 1..3_u8, act()).prop_map(|(user, client, act)| Step { user, client, act })
}

/// Does it; whether it was refused does not matter here.
fn perform(world: &mut World, step: &Step) {
    let from = format!("{}/{}", USERS[step.user], step.client);
    let session = jid(&from);
    let _refused = match &step.act {
        Act::Join(nick) => world.join(&from, NICKS[*nick]),
        Act::Status(nick, status) => {
            let own = world.room.nick_of(&session).map(str::to_owned);
            let own = own.filter(|_| status % 2 == 0);
            let nick = own.unwrap_or_else(|| NICKS[*nick].to_owned());
            let xml = format!("<presence><status>{status}</status></presence>");
            world.presence(&from, Some(&nick), &xml)
        }
        Act::Exit => world.exit(&from),
        Act::Vanish(why) => {
            let why = [Exit::Gone, Exit::Fault, Exit::Shutdown][usize::from(*why)];
            let effects = world.room.leave(&session, why, Timestamp(0));
            world.take(effects);
            Ok(())
        }
        Act::Say(0) => world.message(
            &from,
            None,
            "<message type='groupchat'><subject>s</subject></message>",
        ),
        Act::Say(_) => world.say(&from, "b"),
        Act::Whisper(nick) => world.message(
            &from,
            Some(NICKS[*nick]),
            "<message type='chat'><body>b</body></message>",
        ),
        Act::Invite(user) => {
            let to = USERS[*user];
            let xml = format!("<message><x xmlns='{USER}'><invite to='{to}'/></x></message>");
            world.message(&from, None, &xml)
        }
        Act::Items(items) => {
            let xml: String = items.iter().map(item_xml).collect();
            world.admin(&from, &xml)
        }
        Act::Configure(settings) => {
            let fields: Vec<_> = settings.iter().map(|index| SETTINGS[*index]).collect();
            world.configure(&from, &fields)
        }
        Act::Register(nick) => register(world, &session, &form(NICKS[*nick])),
        Act::Unregister => register(world, &session, "<remove/>"),
        Act::Hat(user) => {
            let user = jid(USERS[*user]);
            let done = world
                .room
                .set_hat(&session, &user, "urn:h", Some("Host"), Timestamp(0));
            done.map(|effects| world.take(effects))
        }
        Act::Forget => {
            let own: Vec<Jid> = world.room.all_sessions().cloned().collect();
            for session in own.iter().filter(|own| own.bare() == session.bare()) {
                let effects = world.room.leave(session, Exit::Gone, Timestamp(0));
                world.take(effects);
            }
            if let Some(heir) = world.room.heirs(&session).first() {
                let effects = world.room.forget(&session, Some(heir), Timestamp(0));
                world.take(effects);
            }
            Ok(())
        }
        Act::Restart => {
            world.restart();
            Ok(())
        }
    };
}

fn item_xml(item: &Item) -> String {
    match item {
        Item::Affiliation(user, to) => {
            format!(
                "<item affiliation='{}' jid='{}'/>",
                AFFILIATIONS[*to], USERS[*user]
            )
        }
        Item::Role(nick, to) => format!("<item role='{}' nick='{}'/>", ROLES[*to], NICKS[*nick]),
    }
}

fn form(nick: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#register</value></field>\
         <field var='muc#register_roomnick'><value>{nick}</value></field></x>"
    )
}

fn register(world: &mut World, from: &Jid, inside: &str) -> super::world::Done {
    let query = element(&format!(
        "<query xmlns='jabber:iq:register'>{inside}</query>"
    ));
    let answer = world.room.register(from, Verb::Set, &query, Timestamp(0));
    world.answer(answer).map(|_| ())
}

/// What a law compares before and after.
struct Before {
    affiliations: Vec<Affiliation>,
    inside: Vec<(String, Jid)>,
    sees_jids: BTreeMap<Jid, bool>,
}

/// §7.2.3, §7.2.4, said again.
fn sees_jids(world: &World) -> BTreeMap<Jid, bool> {
    let is_open = world.room.config().whois == Whois::Anyone;
    let sessions = world.room.all_sessions();
    sessions
        .map(|session| {
            let is_moderator = world.room.role_of(session) == Role::Moderator;
            (session.clone(), is_open || is_moderator)
        })
        .collect()
}

fn before(world: &World) -> Before {
    let affiliation = |user: &&str| world.room.affiliation(&jid(user));
    let inside = world.room.all_sessions().map(|session| {
        let nick = world.room.nick_of(session).expect("is inside");
        (nick.to_owned(), session.clone())
    });
    Before {
        affiliations: USERS.iter().map(affiliation).collect(),
        inside: inside.collect(),
        sees_jids: sees_jids(world),
    }
}

fn check(world: &World, step: &Step, before: &Before) {
    // (f) Every client believes what is so.
    world.check_views();
    // (a) Real JIDs are shown to those who may see them; everybody sees its own.
    let after = sees_jids(world);
    for (to, shown) in &world.shown {
        let may = |seen: &BTreeMap<Jid, bool>| seen.get(to) == Some(&true);
        assert!(
            to.bare() == shown.bare() || may(&before.sees_jids) || may(&after),
            "{to} is shown {shown}"
        );
    }
    // (b) There is a place for everybody.
    assert!(
        world.room.fits(world.room.count()),
        "{:?}",
        world.room.count()
    );
    // (c) There is an owner.
    assert!(world.room.owners().next().is_some());
    check_occupants(world);
    check_ranks(world, step, before);
    // What is written down is what is so.
    assert_eq!(world.stored.config, *world.room.config());
    assert_eq!(world.stored.subject, *world.room.subject());
    for (user, member) in &world.stored.members {
        assert_eq!(world.room.members.member(user.as_str()), *member, "{user}");
    }
    let written = |user: &&Jid| world.stored.members.iter().any(|(known, _)| known == *user);
    assert!(world.room.member_jids().all(|user| written(&user)));
    assert_eq!(world.stored.version, world.room.members.version());
}

/// (d), (e).
fn check_occupants(world: &World) {
    let mut looks: BTreeMap<String, String> = BTreeMap::new();
    for occupant in world.room.occupants.iter() {
        let affiliation = world.room.members.affiliation(occupant.bare());
        assert!(affiliation != Affiliation::Outcast);
        assert!(affiliation.is_member() || !world.room.config().is_members_only);
        let usual = world.room.usual_role(occupant.bare());
        if affiliation >= Affiliation::Admin {
            assert_eq!(occupant.role, Role::Moderator);
        } else {
            assert!(occupant.role != Role::None);
        }
        assert!(usual != Role::None);
        assert!(
            occupant
                .sessions()
                .all(|session| session.bare() == occupant.bare())
        );
        let other = looks.insert(look(&occupant.nick), occupant.bare().to_owned());
        assert!(
            other.is_none_or(|other| other == occupant.bare()),
            "{}",
            occupant.nick
        );
        if let Some(holder) = world.room.members.holder_of(&look(&occupant.nick)) {
            assert_eq!(holder.as_str(), occupant.bare());
        }
    }
}

/// (g) Nobody is kicked, banned or demoted by a lesser one.
fn check_ranks(world: &World, step: &Step, before: &Before) {
    let actor = before.affiliations[step.user];
    for (user, was) in before.affiliations.iter().enumerate() {
        let now = world.room.affiliation(&jid(USERS[user]));
        if user != step.user && now < *was {
            assert!(actor >= Affiliation::Admin && actor >= *was);
            assert!(actor == Affiliation::Owner || *was < Affiliation::Admin);
        }
    }
    let own = USERS[step.user];
    for effect in &world.effects {
        let Effect::Left { session } = effect else {
            continue;
        };
        let user = USERS
            .iter()
            .position(|user| *user == session.bare())
            .expect("a user");
        let is_moderator = before.inside.iter().any(|(_, inside)| inside.bare() == own);
        if session.bare() != own {
            assert!(actor >= before.affiliations[user], "{session} by {own}");
            assert!(actor >= Affiliation::Admin || is_moderator);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_laws_hold(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::with(Limits {
            max_members: 4,
            extra_for_admins: 1,
            sessions_per_user: 3,
            ..Limits::default()
        });
        for step in &steps {
            world.clear();
            world.now += 1000;
            let before = before(&world);
            perform(&mut world, step);
            check(&world, step, &before);
        }
    }
}
