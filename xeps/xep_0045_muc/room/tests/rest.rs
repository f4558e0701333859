//! §7.10, §15.4, XEP-0410, XEP-0486, XEP-0317, and what a room is after a restart.

use super::roles::court;
use super::world::{World, condition, element, jid, stanza};
use crate::xep_0045_muc::room::{Limits, Room};
use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;
use waxwing_xmpp::{Element, Stanza, StanzaError};

fn register(
    world: &mut World,
    from: &str,
    verb: Verb,
    inside: &str,
) -> Result<Option<Element>, StanzaError> {
    let query = element(&format!(
        "<query xmlns='jabber:iq:register'>{inside}</query>"
    ));
    let answer = world.room.register(&jid(from), verb, &query, Timestamp(0));
    world.answer(answer)
}

fn form(nick: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#register</value></field>\
         <field var='muc#register_roomnick'><value>{nick}</value></field></x>"
    )
}

/// §7.10.
#[test]
fn a_user_registers_and_ends_that() {
    let mut world = World::new();
    world.join("a@x/1", "a").expect("enters");
    let got = register(&mut world, "a@x/1", Verb::Get, "")
        .expect("a form")
        .expect("a form");
    assert!(got.has_child("x", "jabber:x:data"));
    world.clear();
    register(&mut world, "a@x/1", Verb::Set, &form("Anna")).expect("registers");
    assert!(
        world
            .presences()
            .contains(&"owner@x/1 a available participant member".into())
    );
    assert_eq!(world.room.reserved_nick(&jid("a@x")), Some("Anna"));
    let got = register(&mut world, "a@x/1", Verb::Get, "")
        .expect("told")
        .expect("told");
    assert_eq!(
        got.get_child("username", "jabber:iq:register")
            .map(Element::text),
        Some("Anna".into())
    );
    assert_eq!(
        condition(register(&mut world, "b@x/1", Verb::Set, &form("anna"))),
        "conflict"
    );
    assert_eq!(
        condition(register(&mut world, "b@x/1", Verb::Set, "")),
        "bad-request"
    );
    assert_eq!(condition(world.join("b@x/1", "ANNA")), "conflict");
    register(&mut world, "a@x/1", Verb::Set, "<remove/>").expect("ends");
    assert_eq!(world.room.affiliation(&jid("a@x")).as_str(), "none");
    assert_eq!(
        condition(register(&mut world, "a@x/1", Verb::Set, "<remove/>")),
        "registration-required"
    );
    world
        .affiliate("owner@x/1", "bad@x", "outcast")
        .expect("bans");
    assert_eq!(
        condition(register(&mut world, "bad@x/1", Verb::Get, "")),
        "not-allowed"
    );
    world.check_views();
}

/// §5.1, §8.4: nobody undoes by registering what a moderator decided.
#[test]
fn who_has_no_voice_gets_none_by_registering() {
    let mut world = court();
    world
        .role("owner@x/1", "n", "visitor")
        .expect("takes voice");
    let role = |world: &World| world.room.role_of(&jid("n@x/1")).as_str();
    let says = "<message type='groupchat'><body>hi</body></message>";
    for inside in [form("N"), "<remove/>".to_owned(), form("N")] {
        register(&mut world, "n@x/1", Verb::Set, &inside).expect("is free to");
        assert_eq!(role(&world), "visitor");
        assert_eq!(condition(world.message("n@x/1", None, says)), "forbidden");
    }
    assert_eq!(world.room.affiliation(&jid("n@x")).as_str(), "member");
    world.exit("n@x/1").expect("leaves");
    world.join("n@x/1", "N").expect("comes back");
    assert_eq!(role(&world), "visitor");
    world.check_views();
    // What an admin decides begins anew.
    world.affiliate("ad@x/1", "n@x", "none").expect("decides");
    assert_eq!(role(&world), "participant");
}

/// §5.1.2: in a moderated room voice is given, not taken; who has it registers as anywhere.
#[test]
fn a_visitor_of_a_moderated_room_waits_to_be_a_member() {
    let mut world = court();
    world
        .configure("owner@x/1", &[("moderatedroom", "1")])
        .expect("configures");
    world.role("owner@x/1", "n2", "participant").expect("gives");
    world.clear();
    for (session, nick) in [("n@x/1", "N"), ("outside@x/1", "Outside")] {
        register(&mut world, session, Verb::Set, &form(nick)).expect("is received");
        let asked: Vec<String> = world.messages().into_iter().map(|got| got.to).collect();
        assert_eq!(asked, ["owner@x/1", "ad@x/1", "ad2@x/1"]);
        assert_eq!(world.room.affiliation(&jid(session)).as_str(), "none");
    }
    assert_eq!(world.room.role_of(&jid("n@x/1")).as_str(), "visitor");
    register(&mut world, "n2@x/1", Verb::Set, &form("N2")).expect("registers");
    assert_eq!(world.room.affiliation(&jid("n2@x")).as_str(), "member");
    let allows = approval("n@x", "N", "1");
    world.message("ad@x/1", None, &allows).expect("approves");
    assert_eq!(world.room.role_of(&jid("n@x/1")).as_str(), "participant");
    // A member changes its nickname without being approved again.
    register(&mut world, "n@x/1", Verb::Set, &form("N3")).expect("registers");
    assert_eq!(world.room.reserved_nick(&jid("n@x")), Some("N3"));
    world.check_views();
}

/// The answer of an admin (§9.9).
fn approval(user: &str, nick: &str, allow: &str) -> String {
    format!(
        "<message><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#register</value></field>\
         <field var='x-muc#register_jid'><value>{user}</value></field>\
         <field var='muc#register_roomnick'><value>{nick}</value></field>\
         <field var='muc#register_allow'><value>{allow}</value></field></x></message>"
    )
}

/// §9.9.
#[test]
fn an_admin_approves_who_registers_with_a_room_for_members() {
    let mut world = court();
    world
        .configure("owner@x/1", &[("membersonly", "1")])
        .expect("configures");
    world.clear();
    register(&mut world, "b@x/1", Verb::Set, &form("B")).expect("is received");
    let asked: Vec<String> = world.messages().into_iter().map(|got| got.to).collect();
    assert_eq!(asked, ["owner@x/1", "ad@x/1", "ad2@x/1"]);
    assert_eq!(world.room.affiliation(&jid("b@x")).as_str(), "none");
    for (from, user, nick, allow, expected) in [
        ("m@x/1", "b@x", "B", "1", "forbidden"),
        ("b@x/1", "b@x", "B", "1", "forbidden"),
        ("ad@x/1", "b@x", "m2", "1", "conflict"),
        ("ad@x/1", "b@x", "", "1", "bad-request"),
        ("ad@x/1", "b@x", "B", "0", "done"),
    ] {
        let answer = approval(user, nick, allow);
        assert_eq!(condition(world.message(from, None, &answer)), expected);
        assert_eq!(world.room.affiliation(&jid("b@x")).as_str(), "none");
    }
    let allows = approval("b@x", "B", "true");
    // From another client, that is not in the room.
    world.message("ad@x/9", None, &allows).expect("approves");
    assert_eq!(world.room.affiliation(&jid("b@x")).as_str(), "member");
    assert_eq!(world.room.reserved_nick(&jid("b@x")), Some("B"));
    assert!(world.messages().iter().any(|got| got.to == "b@x"));
    let versions = world.stored.version;
    let other = approval("b@x", "Other", "true");
    world
        .message("owner@x/1", None, &other)
        .expect("was slower");
    assert_eq!(world.stored.version, versions);
    assert_eq!(world.room.reserved_nick(&jid("b@x")), Some("B"));
    world.affiliate("ad@x/1", "b@x", "outcast").expect("bans");
    assert_eq!(
        condition(world.message("owner@x/1", None, &allows)),
        "not-allowed"
    );
    world.check_views();
}

/// §9.9.
#[test]
fn a_registration_waits_for_admins_that_are_not_there() {
    let mut world = court();
    world
        .configure("owner@x/1", &[("membersonly", "1")])
        .expect("configures");
    for session in ["owner@x/1", "ad@x/1", "ad2@x/1"] {
        world.exit(session).expect("leaves");
    }
    world.clear();
    register(&mut world, "b@x/1", Verb::Set, &form("B")).expect("is received");
    let asked: Vec<String> = world.messages().into_iter().map(|got| got.to).collect();
    assert_eq!(asked, ["ad2@x", "ad@x", "owner@x"]);
}

/// §9.9: neither is a full room promised to anybody, nor are its admins asked without an end.
#[test]
fn requests_for_registration_are_bounded() {
    let mut world = World::with(Limits {
        max_members: 3,
        ..Limits::default()
    });
    world
        .configure("owner@x/1", &[("membersonly", "1")])
        .expect("configures");
    world.affiliate("owner@x/1", "m@x", "member").expect("one");
    let burst = Limits::default().registrations_per_room.burst;
    for _ in 0..burst {
        register(&mut world, "b@x/1", Verb::Set, &form("B")).expect("is received");
    }
    let asks = register(&mut world, "b@x/1", Verb::Set, &form("B"));
    assert_eq!(condition(asks), "resource-constraint");
    world.affiliate("owner@x/1", "m2@x", "member").expect("two");
    let allows = approval("b@x", "B", "1");
    assert_eq!(
        condition(world.message("owner@x/1", None, &allows)),
        "resource-constraint"
    );
}

/// Who enters may ask everybody once or twice; who does nothing else is told to wait.
#[test]
fn requests_to_others_are_counted() {
    let mut world = court();
    let ask = stanza("<iq type='get' id='v'><query xmlns='jabber:iq:version'/></iq>");
    let ping = stanza("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    let mut asks = |nick: &str, iq: &Stanza, at: i64| {
        let relayed = world.room.relay_iq(&jid("n@x/1"), nick, iq, Timestamp(at));
        condition(relayed)
    };
    let burst = 8 * Limits::default().messages_per_occupant.burst;
    for _ in 0..burst {
        assert_eq!(asks("m", &ask, 0), "done");
        // What the room answers itself is not counted.
        assert_eq!(asks("n", &ping, 0), "done");
    }
    assert_eq!(asks("m", &ask, 0), "policy-violation");
    assert_eq!(asks("n", &ping, 0), "done");
    assert_eq!(asks("m", &ask, 1000), "done");
    // Nobody else has to wait for that.
    let other = world.room.relay_iq(&jid("n2@x/1"), "m", &ask, Timestamp(0));
    assert_eq!(condition(other), "done");
}

/// §15.4.
#[test]
fn requests_go_from_occupant_to_occupant_and_back() {
    let mut world = court();
    world.join("n@x/2", "n").expect("enters");
    let ask = stanza(
        "<iq type='get' id='v 1' from='m@x/1' to='coven@chat.x/n'><query xmlns='jabber:iq:version'/></iq>",
    );
    let (to, asked) = world
        .room
        .relay_iq(&jid("m@x/1"), "n", &ask, Timestamp(0))
        .expect("goes on");
    assert_eq!(to, jid("n@x/2"));
    assert_eq!(asked.from().as_deref(), Some("coven@chat.x/m"));
    assert!(!asked.as_xml().contains("m@x"), "no real JID: {asked:?}");
    // The answer finds the session that asked among more.
    world.join("m@x/2", "m").expect("enters");
    let id = asked.id().expect("an id").into_owned();
    let answer = stanza(&format!("<iq type='result' id='{id}'/>"));
    let (to, answered) = world
        .room
        .relay_iq(&to, "m", &answer, Timestamp(0))
        .expect("comes back");
    assert_eq!(to, jid("m@x/1"));
    assert_eq!(
        answered.as_xml(),
        "<iq from='coven@chat.x/n' id='v 1' type='result'></iq>"
    );
    let unasked = stanza("<iq type='result' id='v1'/>");
    assert_eq!(
        condition(
            world
                .room
                .relay_iq(&jid("n@x/2"), "m", &unasked, Timestamp(0))
        ),
        "item-not-found"
    );
    assert_eq!(
        condition(world.room.relay_iq(&jid("z@x/1"), "n", &ask, Timestamp(0))),
        "not-acceptable"
    );
    assert_eq!(
        condition(
            world
                .room
                .relay_iq(&jid("m@x/1"), "nobody", &ask, Timestamp(0))
        ),
        "item-not-found"
    );
    // A vCard is the account's; its answer comes from there.
    let vcard = stanza("<iq type='get' id='1'><vCard xmlns='vcard-temp'/></iq>");
    let (to, asked) = world
        .room
        .relay_iq(&jid("m@x/1"), "n", &vcard, Timestamp(0))
        .expect("goes on");
    assert_eq!(to, jid("n@x"));
    let id = asked.id().expect("an id").into_owned();
    let answer = stanza(&format!(
        "<iq type='result' id='{id}'><vCard xmlns='vcard-temp'/></iq>"
    ));
    let (to, _) = world
        .room
        .relay_iq(&to, "m", &answer, Timestamp(0))
        .expect("comes back");
    assert_eq!(to, jid("m@x/1"));
}

/// XEP-0410 §3.3.
#[test]
fn a_ping_to_oneself_says_whether_one_is_inside() {
    let mut world = court();
    let ping = stanza("<iq type='get' id='s2c1'><ping xmlns='urn:xmpp:ping'/></iq>");
    let (to, pong) = world
        .room
        .relay_iq(&jid("m@x/1"), "m", &ping, Timestamp(0))
        .expect("inside");
    assert_eq!(to, jid("m@x/1"));
    assert_eq!(
        pong.as_xml(),
        "<iq from='coven@chat.x/m' id='s2c1' type='result'/>"
    );
    assert_eq!(
        condition(world.room.relay_iq(&jid("m@x/2"), "m", &ping, Timestamp(0))),
        "not-acceptable"
    );
    let (to, _) = world
        .room
        .relay_iq(&jid("m@x/1"), "n", &ping, Timestamp(0))
        .expect("another's");
    assert_eq!(to, jid("n@x/1"));
}

/// XEP-0486.
#[test]
fn owners_set_the_avatar() {
    let mut world = court();
    let photo = element(
        "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO></vCard>",
    );
    let empty = element("<vCard xmlns='vcard-temp'/>");
    let ask = |world: &mut World, from: &str, verb, payload: &Element| {
        let answer = world.room.vcard(&jid(from), verb, payload, Timestamp(0));
        world.answer(answer)
    };
    assert_eq!(
        condition(ask(&mut world, "ad@x/1", Verb::Set, &photo)),
        "forbidden"
    );
    ask(&mut world, "owner@x/1", Verb::Set, &photo).expect("sets");
    assert_eq!(world.got[0].codes(), ["104"]);
    assert_eq!(
        ask(&mut world, "z@x/1", Verb::Get, &empty).expect("shown"),
        Some(photo.clone())
    );
    world
        .configure("owner@x/1", &[("membersonly", "1")])
        .expect("configures");
    assert_eq!(
        condition(ask(&mut world, "z@x/1", Verb::Get, &empty)),
        "forbidden"
    );
    assert_eq!(
        ask(&mut world, "m@x/9", Verb::Get, &empty).expect("shown"),
        Some(photo)
    );
    ask(&mut world, "owner@x/1", Verb::Set, &empty).expect("takes it away");
    assert_eq!(world.room.avatar(), "");
    let long = format!(
        "<vCard xmlns='vcard-temp'><NOTE>{}</NOTE></vCard>",
        "n".repeat(131_072)
    );
    assert_eq!(
        condition(ask(&mut world, "owner@x/1", Verb::Set, &element(&long))),
        "not-acceptable"
    );
}

/// XEP-0317.
#[test]
fn hats_are_worn() {
    let mut world = court();
    let now = Timestamp(0);
    let refused = world
        .room
        .set_hat(&jid("m@x/1"), &jid("m@x"), "urn:h", Some("Host"), now);
    assert_eq!(condition(refused), "forbidden");
    let done = world
        .room
        .set_hat(&jid("ad@x/1"), &jid("m@x"), "urn:h", Some("Host"), now);
    world.take(done.expect("a hat"));
    let hats = world.got[0]
        .element
        .get_child("hats", "urn:xmpp:hats:0")
        .cloned();
    assert_eq!(
        hats.map(|hats| waxwing_xmpp::dom::serialize(&hats)),
        Some("<hats xmlns='urn:xmpp:hats:0'><hat title='Host' uri='urn:h'/></hats>".into())
    );
    let done = world
        .room
        .set_hat(&jid("ad@x/1"), &jid("m@x"), "urn:h", None, now);
    world.take(done.expect("no hat"));
    assert!(world.room.hats(&jid("m@x")).is_empty());
    let missing = world
        .room
        .set_hat(&jid("ad@x/1"), &jid("m@x"), "urn:h", None, now);
    assert_eq!(condition(missing), "item-not-found");
}

#[test]
fn a_restart_changes_nothing() {
    let mut world = court();
    world
        .role("owner@x/1", "n", "visitor")
        .expect("takes voice");
    world.join("m@x/2", "m").expect("enters");
    let before: Vec<_> = world
        .room
        .occupants()
        .map(|(n, r)| (n.to_owned(), r))
        .collect();
    world.restart();
    let after: Vec<_> = world
        .room
        .occupants()
        .map(|(n, r)| (n.to_owned(), r))
        .collect();
    assert_eq!(before, after);
    world.check_views();
    // Who may not be inside any more is not.
    let was = world.room.occupancy(&jid("n@x/1")).expect("is inside");
    world
        .affiliate("owner@x/1", "n@x", "outcast")
        .expect("bans");
    let mut room = Room::new(
        jid(super::world::ROOM),
        world.stored.clone(),
        Limits::default(),
        crate::xep_0421_occupant_ids::OccupantKey::new([7; 32]),
    );
    assert!(!room.restore(&jid("n@x/1"), &was.nick, was.role, &was.payload));
}
