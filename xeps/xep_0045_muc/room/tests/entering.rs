//! §7.2, §7.6, §7.7, §7.14, §11, §15.3.

use super::world::{World, condition, jid};
use crate::xep_0045_muc::effect::{Change, Effect};
use crate::xep_0045_muc::room::{Exit, Limits};
use waxwing_core::exchange::Rate;

/// §7.2.2: the others first, then oneself; §7.2.4: real JIDs for moderators.
#[test]
fn who_enters_is_told_of_everybody_and_then_of_itself() {
    let mut world = World::new();
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    world.join("b@x/1", "b").expect("enters");
    let jids: Vec<_> = world
        .got
        .iter()
        .map(|got| got.item().and_then(|i| i.attr("jid")))
        .collect();
    assert_eq!(
        jids,
        [Some("b@x/1"), None, None, None, Some("b@x/1")],
        "the moderator sees JIDs"
    );
    assert_eq!(
        world.presences(),
        [
            "owner@x/1 b available participant none",
            "a@x/1 b available participant none",
            "b@x/1 owner available moderator owner",
            "b@x/1 a available participant none",
            "b@x/1 b available participant none 110,170",
        ]
    );
    assert!(matches!(world.effects.last(), Some(Effect::Entered(e)) if e.nick == "b"));
    world.check_views();
}

/// The id of the wish comes back to its sender, versions and the occupant id with it.
#[test]
fn self_presence_says_what_it_has_to() {
    let mut world = World::new();
    world.join("a@x/1", "a & b").expect("enters");
    let last = world.got.last().expect("self-presence");
    assert_eq!(last.element.attr("id"), Some("j1"));
    assert!(
        last.element
            .has_child("occupant-id", "urn:xmpp:occupant-id:0")
    );
    let x = last
        .element
        .get_child("x", crate::xep_0045_muc::USER)
        .expect("x");
    let mav = x
        .get_child("mav", "urn:xmpp:muc:affiliations:1")
        .expect("mav");
    assert_eq!(mav.attr("until"), Some("5-1"));
}

/// §7.2.3, §7.2.5 to §7.2.10.
#[test]
fn who_may_not_enter_is_told_why() {
    let mut world = World::new();
    world
        .affiliate("owner@x/1", "bad@x", "outcast")
        .expect("bans");
    assert_eq!(condition(world.join("bad@x/1", "bad")), "forbidden");
    assert_eq!(
        condition(world.presence(
            "a@x/1",
            None,
            "<presence><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )),
        "jid-malformed"
    );
    for nick in ["owner", "Owner", "ownеr", "0wner "] {
        assert_eq!(condition(world.join("a@x/1", nick)), "conflict", "{nick}");
    }
    for nick in [" ", "\u{200b}", &"n".repeat(257)] {
        assert_eq!(condition(world.join("a@x/1", nick)), "not-acceptable");
    }
    world
        .configure(
            "owner@x/1",
            &[("passwordprotectedroom", "1"), ("roomsecret", "pw")],
        )
        .expect("configures");
    assert_eq!(condition(world.join("a@x/1", "a")), "not-authorized");
    assert_eq!(
        condition(world.join_with("a@x/1", "a", "<password>no</password>")),
        "not-authorized"
    );
    assert_eq!(
        condition(world.join_with("a@x/1", "a", "<password>pw</password>")),
        "done"
    );
    world
        .configure("owner@x/1", &[("membersonly", "1")])
        .expect("configures");
    assert_eq!(condition(world.join("b@x/1", "b")), "registration-required");
    world.check_views();
}

/// §7.2.9.
#[test]
fn a_full_room_takes_members_only() {
    let mut world = World::with(Limits {
        max_members: 3,
        extra_for_admins: 1,
        ..Limits::default()
    });
    world
        .affiliate("owner@x/1", "m@x", "member")
        .expect("a member");
    world.join("a@x/1", "a").expect("the third");
    let refused = world.join("b@x/1", "b").expect_err("full");
    assert_eq!(refused.condition.name(), "service-unavailable");
    assert_eq!(refused.kind.as_str(), "wait");
    world.join("m@x/1", "m").expect("is counted");
    world.join("a@x/2", "a").expect("the same user");
    assert_eq!(
        condition(world.affiliate("owner@x/1", "c@x", "member")),
        "resource-constraint"
    );
    world
        .affiliate("owner@x/1", "c@x", "admin")
        .expect("one more");
    assert_eq!(
        condition(world.affiliate("owner@x/1", "d@x", "owner")),
        "resource-constraint"
    );
    assert_eq!(
        condition(world.affiliate("owner@x/1", "a@x", "member")),
        "done"
    );
    world.join("c@x/1", "c").expect("an admin");
    assert_eq!(
        condition(world.configure("owner@x/1", &[("maxusers", "2")])),
        "not-acceptable"
    );
    world.check_views();
}

#[test]
fn three_hundred_at_once_fill_the_room_and_no_more() {
    let mut world = World::new();
    let mut inside = 0;
    for number in 0..300 {
        match condition(world.join(&format!("u{number}@x/1"), &format!("u{number}"))) {
            "done" => inside += 1,
            other => assert_eq!(other, "service-unavailable"),
        }
    }
    assert_eq!(inside, 255);
    world.check_views();
}

/// §7.2.11, §10.1.
#[test]
fn a_locked_room_is_for_its_creator() {
    let mut world = World::locked(Limits::default());
    assert_eq!(
        world.presences(),
        ["owner@x/1 owner available moderator owner 110,170,201"]
    );
    assert_eq!(condition(world.join("a@x/1", "a")), "item-not-found");
    assert_eq!(
        condition(world.message(
            "a@x/1",
            None,
            "<message type='groupchat'><body>a</body></message>"
        )),
        "item-not-found"
    );
    world
        .owner("owner@x/1", "<x xmlns='jabber:x:data' type='submit'/>")
        .expect("unlocks");
    assert!(!world.room.is_locked());
    assert_eq!(condition(world.join("a@x/1", "a")), "done");
}

/// §10.1.3.
#[test]
fn a_locked_room_goes_with_its_creator() {
    for leaves in [true, false] {
        let mut world = World::locked(Limits::default());
        world.clear();
        if leaves {
            world.exit("owner@x/1").expect("leaves");
        } else {
            world
                .owner("owner@x/1", "<x xmlns='jabber:x:data' type='cancel'/>")
                .expect("cancels");
        }
        assert!(world.room.is_destroyed());
        let x = world.got[0]
            .element
            .get_child("x", crate::xep_0045_muc::USER)
            .expect("x");
        assert!(x.has_child("destroy", crate::xep_0045_muc::USER));
        assert!(matches!(
            world.effects.last(),
            Some(Effect::Save(Change::Destroyed))
        ));
        assert_eq!(condition(world.join("a@x/1", "a")), "gone");
    }
}

/// §7.2.16: presence from who is not inside.
#[test]
fn who_lost_track_is_told_so() {
    let mut world = World::new();
    world
        .presence("a@x/1", Some("a"), "<presence/>")
        .expect("an answer");
    assert_eq!(
        world.got[0].short(),
        "a@x/1 a unavailable none none 110,307,333"
    );
    assert!(!world.room.is_inside(&jid("a@x/1")));
    // §15.3.
    world.clear();
    world.exit("a@x/1").expect("silence");
    world
        .presence("a@x/1", Some("a"), "<presence type='probe'/>")
        .expect("silence");
    world
        .presence("a@x/1", Some("a"), "<presence type='subscribe'/>")
        .expect("silence");
    assert!(world.got.is_empty());
}

/// §7.2.1, §15.3.
#[test]
fn to_enter_again_is_to_be_told_everything_again() {
    let mut world = World::new();
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    world.join("a@x/1", "a").expect("again");
    assert_eq!(
        world.presences(),
        [
            "a@x/1 owner available moderator owner",
            "a@x/1 a available participant none 110,170",
        ]
    );
    assert!(matches!(world.effects.last(), Some(Effect::Entered(_))));
}

/// §7.2.8: more sessions with one nickname.
#[test]
fn clients_of_one_user_share_a_nickname() {
    let mut world = World::new();
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    world.join("a@x/2", "a").expect("enters");
    assert_eq!(
        world.presences(),
        [
            "owner@x/1 a available participant none",
            "a@x/1 a available participant none 110",
            "a@x/2 owner available moderator owner",
            "a@x/2 a available participant none 110,170",
        ]
    );
    world.say("a@x/1", "both get it").expect("speaks");
    assert_eq!(world.messages().len(), 3);
    world
        .message(
            "owner@x/1",
            Some("a"),
            "<message type='chat'><body>b</body></message>",
        )
        .expect("whispers");
    assert_eq!(world.messages().len(), 2);
    world.exit("a@x/2").expect("leaves");
    assert_eq!(
        world.presences(),
        [
            "a@x/2 a unavailable none none 110",
            "owner@x/1 a available participant none",
            "a@x/1 a available participant none 110",
        ]
    );
    world.check_views();
    world.exit("a@x/1").expect("leaves");
    assert_eq!(world.room.occupant_count(), 1);
    world.check_views();
    assert_eq!(
        condition((0..17).try_for_each(|n| world.join(&format!("b@x/{n}"), "b"))),
        "resource-constraint"
    );
}

/// §7.6.
#[test]
fn a_nickname_is_changed() {
    let mut world = World::new();
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    world
        .presence("a@x/1", Some("c"), "<presence><show>away</show></presence>")
        .expect("renames");
    let item = world.got[0].item().expect("an item");
    assert_eq!(
        (item.attr("nick"), item.attr("role")),
        (Some("c"), Some("participant"))
    );
    assert_eq!(
        world.presences(),
        [
            "a@x/1 a unavailable participant none 110,303",
            "owner@x/1 a unavailable participant none 303",
            "owner@x/1 c available participant none",
            "a@x/1 c available participant none 110",
        ]
    );
    assert_eq!(
        condition(world.presence("a@x/1", Some("OWNER"), "<presence/>")),
        "conflict"
    );
    // To the same letters in another case.
    world
        .presence("a@x/1", Some("C"), "<presence/>")
        .expect("renames");
    // One of more sessions becomes somebody else, and comes back.
    world.join("a@x/2", "C").expect("enters");
    world
        .presence("a@x/2", Some("d"), "<presence/>")
        .expect("renames");
    assert_eq!(world.room.occupant_count(), 3);
    world.check_views();
    world
        .presence("a@x/2", Some("C"), "<presence/>")
        .expect("renames");
    assert_eq!(world.room.occupant_count(), 2);
    world.check_views();
}

/// §7.7, §15.3: what only the room may say is not passed on.
#[test]
fn availability_is_passed_on_without_what_is_forged() {
    let mut world = World::new();
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    let forged = "<presence xml:lang='de'><show>dnd</show>\
        <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>\
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>\
        <hats xmlns='urn:xmpp:hats:0'><hat uri='u' title='King'/></hats>\
        <delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>\
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/></presence>";
    world.presence("a@x/1", Some("a"), forged).expect("changes");
    let got = &world.got[0].element;
    assert_eq!(got.attr("xml:lang").or(Some("de")), Some("de"));
    let names: Vec<_> = got.children().map(minidom::Element::name).collect();
    assert_eq!(names, ["show", "c", "x", "occupant-id"]);
    let id = got
        .get_child("occupant-id", "urn:xmpp:occupant-id:0")
        .and_then(|id| id.attr("id"));
    assert_eq!(id, Some(&*world.room.occupant_id(&jid("a@x"))));
    // Who enters sees it as it is now.
    world.clear();
    world.join("b@x/1", "b").expect("enters");
    let a = world
        .got
        .iter()
        .find(|got| got.to == "b@x/1" && got.nick() == "a")
        .expect("a");
    assert!(a.element.has_child("show", "jabber:client"));
    // The same again says nothing.
    world.clear();
    world
        .presence("a@x/1", Some("a"), forged)
        .expect("changes nothing");
    assert!(world.got.is_empty());
    let long = format!("<presence><status>{}</status></presence>", "s".repeat(8192));
    assert_eq!(
        condition(world.presence("a@x/1", Some("a"), &long)),
        "policy-violation"
    );
}

/// Presence that goes back and forth is refused, and changes nothing.
#[test]
fn too_much_presence_is_refused() {
    let mut world = World::with(Limits {
        presence_per_occupant: Rate {
            per_second: 1,
            burst: 3,
        },
        ..Limits::default()
    });
    let mut changes = 0;
    for number in 0..10 {
        let xml = format!("<presence><priority>{number}</priority></presence>");
        match condition(world.presence("owner@x/1", Some("owner"), &xml)) {
            "done" => changes += 1,
            other => assert_eq!(other, "policy-violation"),
        }
    }
    assert_eq!(changes, 3);
    world.now += 1000;
    world
        .presence("owner@x/1", Some("owner"), "<presence/>")
        .expect("after a pause");
}

/// §7.14, §11.
#[test]
fn those_that_leave_are_told_of_with_the_reason() {
    let mut world = World::new();
    for (why, own, others) in [
        (Exit::Gone, None, ""),
        (
            Exit::Fault,
            Some("a@x/1 a unavailable none none 110,333"),
            " 333",
        ),
        (
            Exit::Shutdown,
            Some("a@x/1 a unavailable none none 110,332"),
            " 332",
        ),
    ] {
        world.join("a@x/1", "a").expect("enters");
        world.clear();
        let effects = world
            .room
            .leave(&jid("a@x/1"), why, waxwing_core::clock::Timestamp(0));
        world.take(effects);
        let mut expected: Vec<String> = own.map(str::to_owned).into_iter().collect();
        expected.push(format!("owner@x/1 a unavailable none none{others}"));
        assert_eq!(world.presences(), expected);
        world.check_views();
    }
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    world
        .presence(
            "a@x/1",
            Some("a"),
            "<presence type='unavailable'><status>bye</status></presence>",
        )
        .expect("leaves");
    for got in &world.got {
        assert_eq!(
            got.element
                .get_child("status", "jabber:client")
                .map(minidom::Element::text),
            Some("bye".into())
        );
    }
}

/// §17.1.2.
#[test]
fn ghosts_are_removed() {
    let error = |condition| {
        format!(
            "<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        )
    };
    let mut world = World::new();
    for kind in ["presence", "message"] {
        world.join("a@x/1", "a").expect("enters");
        let send = |world: &mut World, condition| {
            let xml = format!("<{kind} type='error'>{}</{kind}>", error(condition));
            match kind {
                "presence" => world.presence("a@x/1", Some("a"), &xml),
                _ => world.message("a@x/1", None, &xml),
            }
        };
        send(&mut world, "policy-violation").expect("silence");
        assert!(world.room.is_inside(&jid("a@x/1")));
        world.clear();
        send(&mut world, "recipient-unavailable").expect("removed");
        assert_eq!(
            world.presences(),
            [
                "a@x/1 a unavailable none none 110,333",
                "owner@x/1 a unavailable none none 333"
            ]
        );
        assert!(!world.room.is_inside(&jid("a@x/1")));
        send(&mut world, "recipient-unavailable").expect("silence");
    }
}

/// XEP-0463 §5.2.1.
#[test]
fn affiliations_are_told_before_presence() {
    let mut world = World::new();
    world
        .affiliate("owner@x/1", "m@x", "member")
        .expect("a member");
    world.clear();
    let mav = |since: &str| format!("<mav xmlns='urn:xmpp:muc:affiliations:1'{since}/>");
    world.join_with("m@x/1", "m", &mav("")).expect("enters");
    let refused = world.messages();
    assert_eq!(refused[0].element.attr("type"), Some("error"));
    world
        .configure("owner@x/1", &[("whois", "anyone")])
        .expect("configures");
    world.clear();
    world.join_with("m@x/1", "m", &mav("")).expect("enters");
    assert_eq!(world.got[0].element.name(), "message");
    let items = |got: &super::world::Got| -> Vec<String> {
        let x = got
            .element
            .get_child("x", crate::xep_0045_muc::USER)
            .expect("x");
        x.children()
            .map(String::from)
            .map(|xml| xml.replace(" xmlns=\"http://jabber.org/protocol/muc#user\"", ""))
            .collect()
    };
    assert_eq!(
        items(&world.got[0])[1..],
        [
            "<item xmlns='http://jabber.org/protocol/muc#user' affiliation='owner' jid='owner@x'/>",
            "<item xmlns='http://jabber.org/protocol/muc#user' affiliation='member' jid='m@x'/>",
        ]
    );
    world.clear();
    world
        .join_with("m@x/1", "m", &mav(" since='5-2'"))
        .expect("enters");
    assert!(world.messages().is_empty(), "knows all");
    world
        .affiliate("owner@x/1", "n@x", "member")
        .expect("a member");
    world
        .affiliate("owner@x/1", "n@x", "none")
        .expect("no member");
    world.clear();
    world
        .join_with("m@x/1", "m", &mav(" since='5-2'"))
        .expect("enters");
    let told = world.messages();
    assert_eq!(items(&told[0]).len(), 2, "{told:?}");
    assert!(items(&told[0])[0].contains("since='5-2'"));
    world
        .join_with("m@x/1", "m", &mav(" since='6-2'"))
        .expect("enters");
    assert!(
        !items(&world.messages()[0])[0].contains("since="),
        "another room's version"
    );
}

/// `muc#roomconfig_presencebroadcast`.
#[test]
fn visitors_may_be_unseen() {
    let mut world = World::new();
    world
        .configure(
            "owner@x/1",
            &[
                ("moderatedroom", "1"),
                ("presencebroadcast", "moderator participant"),
            ],
        )
        .expect("configures");
    world.clear();
    world.join("v@x/1", "v").expect("enters");
    assert_eq!(
        world.presences(),
        [
            "v@x/1 owner available moderator owner",
            "v@x/1 v available visitor none 110,170"
        ]
    );
    world.check_views();
    world
        .role("owner@x/1", "v", "participant")
        .expect("gives voice");
    world.check_views();
    world
        .role("owner@x/1", "v", "visitor")
        .expect("takes voice");
    world.check_views();
    world
        .configure(
            "owner@x/1",
            &[("presencebroadcast", "moderator participant visitor")],
        )
        .expect("configures");
    world.check_views();
    world
        .configure("owner@x/1", &[("presencebroadcast", "moderator")])
        .expect("configures");
    world.check_views();
    world.exit("v@x/1").expect("leaves");
    world.check_views();
}
