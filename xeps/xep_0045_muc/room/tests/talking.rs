//! §7.4, §7.5, §7.8, §7.13, §8.1, §8.6.

use super::world::{Got, World, condition, element, jid, stanza};
use crate::xep_0045_muc::USER;
use crate::xep_0045_muc::effect::{Change, Effect};
use crate::xep_0045_muc::room::Limits;
use waxwing_core::clock::Timestamp;
use waxwing_core::exchange::Rate;
use waxwing_core::powers::Kept;

fn room() -> World {
    let mut world = World::new();
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    world
}

fn children(got: &Got) -> Vec<String> {
    got.element
        .children()
        .map(|child| child.name().to_owned())
        .collect()
}

/// §7.4: the id stays, the sender is the room JID, and everybody gets the same.
#[test]
fn a_message_is_for_everybody() {
    let mut world = room();
    world
        .message(
            "a@x/1",
            None,
            "<message type='groupchat' id='hysf1v37' to='coven@chat.x' from='a@x/1' xml:lang='en'>\
             <body>Harpier &amp; cries</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/></message>",
        )
        .expect("speaks");
    let Some(Effect::Publish(published)) = world.effects.first() else {
        panic!("nothing is published");
    };
    let id = world.room.occupant_id(&jid("a@x"));
    assert_eq!(
        published.stanza.as_xml(),
        format!(
            "<message from='coven@chat.x/a' id='hysf1v37' type='groupchat' xml:lang='en'>\
             <body>Harpier &amp; cries</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>\
             <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{id}'/></message>"
        )
    );
    assert_eq!(published.sender, jid("a@x/1"));
    assert_eq!(published.kept, Kept::BOTH);
    let to: Vec<_> = world.messages().into_iter().map(|got| got.to).collect();
    assert_eq!(to, ["owner@x/1", "a@x/1"]);
}

#[test]
fn what_only_the_room_may_say_is_removed() {
    let mut world = room();
    let forged = "<message type='groupchat'><body>b</body>\
        <stanza-id xmlns='urn:xmpp:sid:0' by='Coven@chat.x' id='1'/>\
        <stanza-id xmlns='urn:xmpp:sid:0' by='a@x' id='2'/>\
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>\
        <x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>\
        <delay xmlns='urn:xmpp:delay' from='a@x' stamp='2002-09-10T23:08:25Z'/>\
        <addresses xmlns='http://jabber.org/protocol/address'/>\
        <retract xmlns='urn:xmpp:message-retract:1' id='1'>\
        <moderated xmlns='urn:xmpp:message-moderate:1' by='coven@chat.x/owner'/></retract></message>";
    world.message("a@x/1", None, forged).expect("speaks");
    assert_eq!(
        children(&world.messages()[0]),
        ["body", "stanza-id", "occupant-id"]
    );
    // §7.9: an owner brings an older conversation along.
    world.message("owner@x/1", None, forged).expect("speaks");
    assert_eq!(
        children(&world.messages()[0]),
        ["body", "stanza-id", "delay", "occupant-id"]
    );
    // A prefix of the start tag goes on to mean what it meant.
    world
        .message(
            "a@x/1",
            None,
            "<message type='groupchat' xmlns:p='urn:p'><p:thing/></message>",
        )
        .expect("speaks");
    assert!(world.messages()[0].element.has_child("thing", "urn:p"));
}

#[test]
fn who_may_not_speak_is_told_why() {
    let mut world = room();
    assert_eq!(condition(world.say("b@x/1", "hi")), "not-acceptable");
    assert_eq!(
        condition(world.message("a@x/1", None, "<message><body>b</body></message>")),
        "bad-request"
    );
    world
        .configure("owner@x/1", &[("moderatedroom", "1")])
        .expect("configures");
    assert_eq!(condition(world.say("a@x/1", "hi")), "forbidden");
    world.clear();
    assert_eq!(condition(world.say("a@x/1", "hi")), "forbidden");
    assert!(world.effects.is_empty());
}

/// A flood is refused, and nothing of it published.
#[test]
fn a_flood_is_refused() {
    let rate = |burst| Rate {
        per_second: 1,
        burst,
    };
    let mut world = World::with(Limits {
        messages_per_occupant: rate(3),
        messages_per_room: rate(5),
        ..Limits::default()
    });
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    let mut errors = Vec::new();
    for from in ["a@x/1", "owner@x/1"] {
        for _ in 0..4 {
            if let Err(error) = world.say(from, "b") {
                assert_eq!(error.kind.as_str(), "wait");
                errors.push(error.condition.name());
            }
        }
    }
    assert_eq!(
        errors,
        [
            "policy-violation",
            "resource-constraint",
            "resource-constraint"
        ]
    );
    assert_eq!(world.effects.len(), 5);
    world.now += 1000;
    world.say("a@x/1", "b").expect("after a pause");
}

/// §8.1.
#[test]
fn the_subject_is_changed_by_those_who_may() {
    let mut world = room();
    let subject = |text: &str| {
        format!("<message type='groupchat' id='s1'><subject>{text}</subject></message>")
    };
    assert_eq!(
        condition(world.message("a@x/1", None, &subject("no"))),
        "forbidden"
    );
    world
        .message("owner@x/1", None, &subject("Fire &amp; Burn"))
        .expect("changes");
    assert_eq!(world.room.subject().text, "Fire & Burn");
    assert_eq!(
        (&*world.room.subject().nick, world.room.subject().at),
        ("owner", world.now)
    );
    assert!(matches!(world.effects[1], Effect::Save(Change::Subject(_))));
    assert_eq!(world.messages().len(), 2);
    // With a text it is a message.
    world
        .message(
            "owner@x/1",
            None,
            "<message type='groupchat'><subject>x</subject><body>b</body></message>",
        )
        .expect("speaks");
    assert_eq!(world.room.subject().text, "Fire & Burn");
    assert_eq!(
        condition(world.message("owner@x/1", None, &subject(&"s".repeat(2049)))),
        "not-acceptable"
    );
    world
        .configure("owner@x/1", &[("changesubject", "1")])
        .expect("configures");
    world
        .message(
            "a@x/1",
            None,
            "<message type='groupchat'><subject/></message>",
        )
        .expect("clears");
    assert_eq!(
        (&*world.room.subject().text, &*world.room.subject().nick),
        ("", "a")
    );
}

/// §7.5.
#[test]
fn a_private_message_is_for_one() {
    let mut world = room();
    let chat = "<message type='chat' id='p1'><body>b</body></message>";
    world
        .message("a@x/1", Some("owner"), chat)
        .expect("whispers");
    assert!(matches!(world.effects[..], [Effect::Private { .. }]));
    let got = world.messages();
    assert_eq!(got[0].to, "owner@x/1");
    assert_eq!(got[0].element.attr("from"), Some("coven@chat.x/a"));
    assert_eq!(got[0].element.attr("id"), Some("p1"));
    assert_eq!(children(&got[0]), ["body", "x", "occupant-id"]);
    let groupchat = "<message type='groupchat'><body>b</body></message>";
    for (from, nick, xml, expected) in [
        ("a@x/1", "owner", groupchat, "bad-request"),
        ("a@x/1", "nobody", chat, "item-not-found"),
        ("b@x/1", "owner", chat, "not-acceptable"),
    ] {
        assert_eq!(condition(world.message(from, Some(nick), xml)), expected);
    }
    for (setting, a, owner) in [
        ("participants", "done", "done"),
        ("moderators", "forbidden", "done"),
        ("none", "forbidden", "forbidden"),
    ] {
        world
            .configure("owner@x/1", &[("allowpm", setting)])
            .expect("configures");
        assert_eq!(
            condition(world.message("a@x/1", Some("owner"), chat)),
            a,
            "{setting}"
        );
        assert_eq!(
            condition(world.message("owner@x/1", Some("a"), chat)),
            owner,
            "{setting}"
        );
    }
    // An error finds its way back.
    world.clear();
    world
        .message(
            "owner@x/1",
            Some("a"),
            "<message type='error' id='p1'><error type='auth'>\
             <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        )
        .expect("an error");
    let got = world.messages();
    assert_eq!(
        (&*got[0].to, got[0].element.attr("type")),
        ("a@x/1", Some("error"))
    );
    assert!(world.room.is_inside(&jid("owner@x/1")));
}

/// §7.8.2.
#[test]
fn an_invitation_is_mediated() {
    let mut world = room();
    let invite = |to: &str| {
        format!(
            "<message id='i1'><x xmlns='{USER}'><invite to='{to}'><reason>Hey</reason>\
             <continue thread='t'/></invite></x></message>"
        )
    };
    world
        .message("a@x/1", None, &invite("hecate@x/broom"))
        .expect("invites");
    let got = world.messages();
    assert_eq!(got[0].to, "hecate@x/broom");
    assert_eq!(
        waxwing_xmpp::dom::serialize(&got[0].element),
        format!(
            "<message from='coven@chat.x' id='i1'><x xmlns='{USER}'><invite from='a@x'>\
             <reason>Hey</reason><continue thread='t'/></invite></x></message>"
        )
    );
    for (from, to, expected) in [
        ("hecate@x/broom", "c@x", "not-acceptable"),
        ("a@x/1", "@", "jid-malformed"),
        ("a@x/1", "coven@chat.x/owner", "item-not-found"),
    ] {
        assert_eq!(condition(world.message(from, None, &invite(to))), expected);
    }
    // Refused, and that to no stranger.
    let decline = |to: &str| {
        format!(
            "<message><x xmlns='{USER}'><decline to='{to}'><reason>No</reason></decline></x></message>"
        )
    };
    world.clear();
    world
        .message("hecate@x/broom", None, &decline("a@x"))
        .expect("declines");
    let got = world.messages();
    assert_eq!(got[0].to, "a@x");
    assert!(
        waxwing_xmpp::dom::serialize(&got[0].element)
            .contains("<decline from='hecate@x'><reason>No</reason></decline>")
    );
    world
        .message("hecate@x/broom", None, &decline("coven@chat.x/a"))
        .expect("declines");
    assert_eq!(world.messages()[0].to, "a@x");
    // To a stranger an error would tell who is known here.
    world
        .message("hecate@x/broom", None, &decline("stranger@y"))
        .expect("is not answered");
    assert!(world.messages().is_empty());
    assert_eq!(
        condition(world.message("a@x/1", None, &decline("stranger@y"))),
        "item-not-found"
    );
}

/// §7.8.2, §9.5.
#[test]
fn an_invitation_to_a_members_only_room_makes_a_member() {
    let mut world = room();
    world
        .affiliate("owner@x/1", "a@x", "member")
        .expect("a member");
    world
        .configure(
            "owner@x/1",
            &[
                ("membersonly", "1"),
                ("passwordprotectedroom", "1"),
                ("roomsecret", "pw"),
            ],
        )
        .expect("configures");
    world.clear();
    let invite = |to: &str| format!("<message><x xmlns='{USER}'><invite to='{to}'/></x></message>");
    world
        .message("a@x/1", None, &invite("hecate@x"))
        .expect("invites");
    let got: Vec<_> = world
        .messages()
        .into_iter()
        .filter(|got| got.to == "hecate@x")
        .collect();
    assert_eq!(got.len(), 1);
    assert!(waxwing_xmpp::dom::serialize(&got[0].element).contains("<password>pw</password>"));
    assert_eq!(world.room.affiliation(&jid("hecate@x")).as_str(), "member");
    world
        .affiliate("owner@x/1", "bad@x", "outcast")
        .expect("bans");
    assert_eq!(
        condition(world.message("a@x/1", None, &invite("bad@x"))),
        "forbidden"
    );
    world
        .configure("owner@x/1", &[("allowinvites", "0")])
        .expect("configures");
    assert_eq!(
        condition(world.message("a@x/1", None, &invite("c@x"))),
        "forbidden"
    );
    assert_eq!(
        condition(world.message("owner@x/1", None, &invite("c@x"))),
        "done"
    );
    // §9.5: to become a member is to be invited.
    world.clear();
    world
        .affiliate("owner@x/1", "d@x", "member")
        .expect("a member");
    let got: Vec<_> = world
        .messages()
        .into_iter()
        .filter(|got| got.to == "d@x")
        .collect();
    assert!(
        waxwing_xmpp::dom::serialize(&got[0].element)
            .contains("<invite from='owner@x'/><password>pw</password>")
            || waxwing_xmpp::dom::serialize(&got[0].element)
                .contains("<invite from='owner@x'></invite><password>pw</password>"),
        "{got:?}"
    );
}

/// §7.13, §8.6.
#[test]
fn voice_is_asked_for_and_granted() {
    let mut world = room();
    world
        .configure("owner@x/1", &[("moderatedroom", "1")])
        .expect("configures");
    world.clear();
    let form = |fields: &str| {
        format!(
            "<message><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#request</value></field>\
             <field var='muc#role'><value>participant</value></field>{fields}</x></message>"
        )
    };
    let answer = |nick: &str, jid: &str, allow: &str| {
        form(&format!(
            "<field var='muc#roomnick'><value>{nick}</value></field>\
             <field var='muc#jid'><value>{jid}</value></field>\
             <field var='muc#request_allow'><value>{allow}</value></field>"
        ))
    };
    world.message("a@x/1", None, &form("")).expect("asks");
    let got = world.messages();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].to, "owner@x/1");
    assert_eq!(
        condition(world.message("a@x/1", None, &answer("a", "a@x/1", "1"))),
        "forbidden"
    );
    assert_eq!(
        condition(world.message("owner@x/1", None, &answer("a", "b@x/1", "1"))),
        "item-not-found"
    );
    world
        .message("owner@x/1", None, &answer("a", "a@x/1", "0"))
        .expect("refuses");
    assert!(world.presences().is_empty());
    world
        .message("owner@x/1", None, &answer("a", "a@x/1", "1"))
        .expect("grants");
    assert_eq!(
        world.presences(),
        [
            "owner@x/1 a available participant none",
            "a@x/1 a available participant none 110"
        ]
    );
    world.say("a@x/1", "at last").expect("speaks");
    // It is kept when it leaves and comes back.
    world.exit("a@x/1").expect("leaves");
    world.join("a@x/1", "a").expect("enters");
    world.say("a@x/1", "again").expect("speaks");
}

/// XEP-0425 §4, §5.
#[test]
fn a_moderator_retracts() {
    let mut world = room();
    world.say("a@x/1", "buy").expect("speaks");
    let Effect::Publish(published) = &world.effects[0] else {
        panic!("nothing is published");
    };
    let target = published.stanza.clone();
    let wish = element(
        "<moderate xmlns='urn:xmpp:message-moderate:1' id='00000000000000ff'>\
         <retract xmlns='urn:xmpp:message-retract:1'/><reason>Spam</reason></moderate>",
    );
    let now = Timestamp(1_000);
    world.clear();
    let refused = world
        .room
        .moderate(&jid("a@x/1"), &wish, Some(&target), now);
    assert_eq!(condition(refused), "forbidden");
    let refused = world.room.moderate(&jid("owner@x/1"), &wish, None, now);
    assert_eq!(condition(refused), "item-not-found");
    let done = world
        .room
        .moderate(&jid("owner@x/1"), &wish, Some(&target), now);
    world.answer(done).expect("retracts");
    let author = world.room.occupant_id(&jid("a@x"));
    let moderator = world.room.occupant_id(&jid("owner@x"));
    let got = world.got[0].element.clone();
    let by = format!(
        "<moderated xmlns='urn:xmpp:message-moderate:1' by='coven@chat.x/owner'>\
         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{moderator}'/></moderated>"
    );
    let notice = waxwing_xmpp::dom::serialize(&got);
    assert!(notice.contains(&by), "{notice}");
    assert!(notice.contains("id='moderation-00000000000000ff'"));
    let Effect::Save(Change::Tombstone { id, stanza: kept }) = &world.effects[1] else {
        panic!("no tombstone");
    };
    assert_eq!(id, "00000000000000ff");
    assert!(!kept.as_xml().contains("buy"));
    assert!(kept.as_xml().contains(&author));
    assert!(kept.as_xml().contains("from='coven@chat.x/a'"));
    assert!(kept.as_xml().contains("stamp='1970-01-01T00:00:01.000Z'"));
    // A second time there is nothing to do.
    let kept = kept.clone();
    let again = world
        .room
        .moderate(&jid("owner@x/1"), &wish, Some(&kept), now);
    assert!(again.expect("an answer").1.is_empty());
}

/// XEP-0424 §5.
#[test]
fn an_author_retracts_its_own_alone() {
    let mut world = room();
    let text = |from: &str, world: &mut World, inner: &str| {
        world.clear();
        let xml = format!("<message type='groupchat' id='r1'>{inner}</message>");
        world.message(from, None, &xml).expect("speaks");
        let Effect::Publish(published) = &world.effects[0] else {
            panic!("nothing is published");
        };
        published.stanza.clone()
    };
    let target = text("a@x/1", &mut world, "<body>b</body>");
    let retract = "<retract xmlns='urn:xmpp:message-retract:1' id='0f'/>";
    let own = text("a@x/1", &mut world, retract);
    let other = text("owner@x/1", &mut world, retract);
    let kept = world.room.retracted(&own, "0f", &target, Timestamp(0));
    assert!(matches!(kept, Some(Effect::Save(Change::Tombstone { .. }))));
    assert!(
        world
            .room
            .retracted(&own, "0e", &target, Timestamp(0))
            .is_none()
    );
    assert!(
        world
            .room
            .retracted(&other, "0f", &target, Timestamp(0))
            .is_none()
    );
    assert!(
        world
            .room
            .retracted(&own, "0f", &stanza("<message/>"), Timestamp(0))
            .is_none()
    );
}
