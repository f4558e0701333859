//! §10.1, §10.2, §10.9.

use super::roles::court;
use super::world::{World, condition, element, jid};
use crate::xep_0004_data_forms::{Form, FormKind, NS as DATA};
use crate::xep_0045_muc::OWNER;
use crate::xep_0045_muc::effect::{Change, Effect};
use crate::xep_0045_muc::room::Limits;
use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;

/// §10.2.1: one code for each kind of change.
fn notices(world: &mut World) -> Vec<String> {
    let got = world.messages();
    got.iter()
        .filter(|got| got.to == "owner@x/1")
        .flat_map(super::world::Got::codes)
        .collect()
}

#[test]
fn changes_of_the_configuration_are_told() {
    let mut world = court();
    for (field, value, codes) in [
        ("roomname", "Coven", &["104"][..]),
        ("roomname", "Coven", &[]),
        ("enablearchiving", "0", &["171"]),
        ("enablearchiving", "1", &["170"]),
        ("whois", "anyone", &["172"]),
        ("whois", "moderators", &["173"]),
    ] {
        world
            .configure("owner@x/1", &[(field, value)])
            .expect("configures");
        assert_eq!(notices(&mut world), codes, "{field} {value}");
    }
    world
        .configure(
            "owner@x/1",
            &[
                ("enablearchiving", "0"),
                ("whois", "anyone"),
                ("publicroom", "1"),
            ],
        )
        .expect("configures");
    assert_eq!(notices(&mut world), ["171", "172", "104"]);
    assert!(world.stored.config.is_public);
    world.clear();
    world
        .owner("owner@x/1", "<x xmlns='jabber:x:data' type='cancel'/>")
        .expect("cancels");
    assert!(world.effects.is_empty());
}

/// §4.2: who spoke in a semi-anonymous room stays unknown to whom it was.
#[test]
fn a_room_that_becomes_non_anonymous_does_not_tell_who_spoke_before() {
    let mut world = court();
    let until = |world: &World, session| world.room.anonymous_until(&jid(session));
    for (newest, whois, stranger) in [
        (7, "moderators", i64::MAX),
        (8, "anyone", 8),
        (9, "anyone", 8),
        (10, "moderators", i64::MAX),
        (11, "anyone", 11),
    ] {
        world.newest = newest;
        world
            .configure("owner@x/1", &[("whois", whois)])
            .expect("configures");
        assert_eq!(until(&world, "n@x/1"), stranger);
        assert_eq!(until(&world, "stranger@x/1"), stranger);
        assert_eq!(until(&world, "owner@x/1"), 0);
    }
    world.restart();
    assert_eq!(until(&world, "n@x/1"), 11);
    let mut world = World::locked(Limits::default());
    world.newest = 7;
    world
        .configure("owner@x/1", &[("whois", "anyone")])
        .expect("creates");
    assert_eq!(until(&world, "stranger@x/1"), 0);
}

#[test]
fn configuring_is_for_owners() {
    let mut world = court();
    let query = element(&format!("<query xmlns='{OWNER}'/>"));
    let got = world
        .room
        .owner(&jid("ad@x/1"), Verb::Get, &query, Timestamp(0), 0);
    assert_eq!(condition(got), "forbidden");
    assert_eq!(
        condition(world.configure("ad@x/1", &[("roomname", "x")])),
        "forbidden"
    );
    assert_eq!(condition(world.owner("ad@x/1", "<destroy/>")), "forbidden");
    let got = world
        .room
        .owner(&jid("owner@x/9"), Verb::Get, &query, Timestamp(0), 0);
    let form = got.expect("a form").0.expect("a form");
    assert!(form.has_child("x", "jabber:x:data"));
    for wrong in [
        "",
        "<x xmlns='jabber:x:data' type='form'/>",
        "<x xmlns='jabber:x:data'/>",
    ] {
        assert_eq!(
            condition(world.owner("owner@x/1", wrong)),
            "bad-request",
            "{wrong}"
        );
    }
    assert_eq!(
        condition(world.configure("owner@x/1", &[("whois", "king")])),
        "not-acceptable"
    );
    assert!(world.effects.is_empty());
}

/// §10.2: status 322.
#[test]
fn who_is_no_member_leaves_a_room_for_members() {
    let mut world = court();
    world
        .configure("owner@x/1", &[("membersonly", "1")])
        .expect("configures");
    assert_eq!(
        world.got[0].short(),
        "n@x/1 n unavailable none none 110,322"
    );
    assert_eq!(world.room.occupant_count(), 5);
    world.check_views();
}

/// Who has to go does not get to see real JIDs in the same breath.
#[test]
fn who_goes_sees_no_real_jids() {
    let mut world = court();
    world
        .configure("owner@x/1", &[("membersonly", "1"), ("whois", "anyone")])
        .expect("configures");
    let strangers = ["n@x/1", "n2@x/1"];
    for (to, shown) in &world.shown {
        assert!(
            to == shown || !strangers.contains(&to.as_str()),
            "{to} {shown}"
        );
    }
    assert_eq!(notices(&mut world), ["172", "104"]);
}

#[test]
fn voices_follow_moderation() {
    let mut world = court();
    world
        .role("owner@x/1", "n2", "visitor")
        .expect("takes voice");
    world
        .configure("owner@x/1", &[("moderatedroom", "1")])
        .expect("configures");
    assert_eq!(world.room.role_of(&jid("n@x/1")).as_str(), "visitor");
    assert_eq!(world.room.role_of(&jid("m@x/1")).as_str(), "participant");
    world
        .configure("owner@x/1", &[("moderatedroom", "0")])
        .expect("configures");
    assert_eq!(world.room.role_of(&jid("n@x/1")).as_str(), "participant");
    assert_eq!(world.room.role_of(&jid("n2@x/1")).as_str(), "visitor");
    world.check_views();
}

/// §10.5, §10.8: the lists of the form are complete.
#[test]
fn owners_and_admins_by_form() {
    let mut world = court();
    assert_eq!(
        condition(world.configure("owner@x/1", &[("roomowners", "")])),
        "conflict"
    );
    world
        .configure(
            "owner@x/1",
            &[
                ("roomowners", "owner@x m@x"),
                ("roomadmins", "ad@x owner@x z@x"),
            ],
        )
        .expect("configures");
    let names = |jids: Vec<String>| jids.join(" ");
    assert_eq!(
        names(world.room.owners().map(ToString::to_string).collect()),
        "m@x owner@x"
    );
    assert_eq!(
        names(world.room.admins().map(ToString::to_string).collect()),
        "ad@x z@x"
    );
    assert_eq!(world.room.role_of(&jid("ad2@x/1")).as_str(), "participant");
    // From one list to the other.
    world
        .configure(
            "owner@x/1",
            &[("roomowners", "ad@x"), ("roomadmins", "owner@x")],
        )
        .expect("configures");
    assert_eq!(
        names(world.room.owners().map(ToString::to_string).collect()),
        "ad@x"
    );
    assert_eq!(
        names(world.room.admins().map(ToString::to_string).collect()),
        "owner@x"
    );
    world.check_views();
}

/// §10.1.3: the form shows the lists; whoever gives it back as it is changes nothing.
#[test]
fn the_form_shows_owners_and_admins() {
    let mut world = court();
    let query = element(&format!("<query xmlns='{OWNER}'/>"));
    let form = |world: &World| {
        let got = world
            .room
            .clone()
            .owner(&jid("owner@x/1"), Verb::Get, &query, Timestamp(0), 0);
        let query = got.expect("a form").0.expect("a form");
        Form::parse(query.get_child("x", DATA).expect("a form")).expect("a form")
    };
    let mut shown = form(&world);
    assert_eq!(shown.values("muc#roomconfig_roomowners"), ["owner@x"]);
    assert_eq!(shown.values("muc#roomconfig_roomadmins"), ["ad2@x", "ad@x"]);
    shown.kind = FormKind::Submit;
    let submitted = waxwing_xmpp::dom::serialize(&shown.to_element());
    world.owner("owner@x/1", &submitted).expect("configures");
    assert!(world.effects.is_empty(), "{:?}", world.effects);
    // All lines as one value.
    let lines = "<x xmlns='jabber:x:data' type='submit'>\
        <field var='muc#roomconfig_roomadmins'><value>ad@x\n\nm@x/1 \n</value></field></x>";
    world.owner("owner@x/1", lines).expect("configures");
    let shown = form(&world);
    assert_eq!(shown.values("muc#roomconfig_roomadmins"), ["ad@x", "m@x"]);
}

/// §10.2: what cannot be is refused as a whole.
#[test]
fn lists_that_cannot_be_are_refused() {
    let mut world = World::with(Limits {
        max_members: 3,
        extra_for_admins: 1,
        ..Limits::default()
    });
    for (named, expected) in [
        ("@", "jid-malformed"),
        ("chat.x", "jid-malformed"),
        ("a@x b@x c@x d@x", "resource-constraint"),
    ] {
        let fields = [("roomname", "other"), ("roomadmins", named)];
        let configures = world.configure("owner@x/1", &fields);
        let error = configures.expect_err("is refused");
        assert_eq!(error.condition.name(), expected);
        assert!(error.text.is_some());
        assert!(world.effects.is_empty());
    }
    world
        .configure("owner@x/1", &[("roomadmins", "a@x b@x c@x")])
        .expect("as many as there may be");
}

/// What Conversations sends for a private group.
#[test]
fn a_private_group_as_clients_create_it() {
    let mut world = World::locked(Limits::default());
    world
        .configure(
            "owner@x/1",
            &[
                ("persistentroom", "1"),
                ("membersonly", "1"),
                ("publicroom", "0"),
                ("whois", "anyone"),
                ("changesubject", "0"),
                ("allowinvites", "0"),
                ("enablearchiving", "1"),
                ("mam", "1"),
                ("enablelogging", "0"),
            ],
        )
        .expect("a group");
    assert!(!world.room.is_locked());
    world.clear();
    world
        .admin(
            "owner@x/1",
            "<item affiliation='member' jid='a@x'/><item affiliation='member' jid='b@x'/>",
        )
        .expect("members");
    let invited: Vec<_> = world
        .messages()
        .into_iter()
        .map(|got| got.to)
        .filter(|to| !to.contains('/'))
        .collect();
    assert_eq!(invited, ["a@x", "b@x"]);
    world.join("a@x/1", "a").expect("enters");
    let own = world.got.last().expect("self-presence");
    assert_eq!(own.codes(), ["100", "110", "170"]);
    assert_eq!(
        world
            .list("a@x/1", "affiliation='member'")
            .expect("a list")
            .len(),
        2
    );
    assert!(world.room.may_read_archive(&jid("b@x")));
    assert!(!world.room.may_read_archive(&jid("c@x")));
    world.say("a@x/1", "hi").expect("speaks");
}

/// §10.9.
#[test]
fn a_room_is_destroyed() {
    let mut world = court();
    world
        .owner("owner@x/1", "<destroy jid='cave@chat.x'><password>pw</password><reason>Macbeth doth come.</reason></destroy>")
        .expect("destroys");
    assert_eq!(world.got.len(), 7, "one presence for each");
    let got = &world.got[1];
    assert_eq!(got.short(), "ad@x/1 ad unavailable none none 110");
    assert!(waxwing_xmpp::dom::serialize(&got.element).contains(
        "<destroy jid='cave@chat.x'><password>pw</password><reason>Macbeth doth come.</reason></destroy>"
    ));
    assert!(matches!(
        world.effects.last(),
        Some(Effect::Save(Change::Destroyed))
    ));
    assert!(world.views.is_empty());
    let gone = world.join("z@x/1", "z").expect_err("gone");
    assert_eq!(gone.condition.name(), "gone");
    assert_eq!(gone.condition.address(), Some("xmpp:cave@chat.x?join"));
    assert_eq!(condition(world.say("owner@x/1", "still there?")), "gone");
    assert_eq!(
        condition(world.affiliate("owner@x/1", "a@x", "member")),
        "item-not-found"
    );
    assert_eq!(
        condition(world.owner("owner@x/1", "<destroy/>")),
        "item-not-found"
    );
    assert_eq!(condition(world.exit("ad@x/1")), "done");
}

/// §7.14.
#[test]
fn a_room_that_does_not_stay_goes_with_the_last() {
    let mut world = World::new();
    world
        .configure("owner@x/1", &[("persistentroom", "0")])
        .expect("configures");
    world.join("a@x/1", "a").expect("enters");
    world.exit("owner@x/1").expect("leaves");
    assert!(!world.room.is_destroyed());
    world.exit("a@x/1").expect("leaves");
    assert!(world.room.is_destroyed());
    assert!(matches!(
        world.effects.last(),
        Some(Effect::Save(Change::Destroyed))
    ));
}
