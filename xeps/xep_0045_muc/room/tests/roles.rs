//! §8.2 to §8.5, §9.6 to §9.8.

use super::world::{World, condition, jid};

/// An owner, two admins, members and others, all inside.
pub(super) fn court() -> World {
    let mut world = World::new();
    for (user, affiliation) in [
        ("ad", "admin"),
        ("ad2", "admin"),
        ("m", "member"),
        ("m2", "member"),
    ] {
        world
            .affiliate("owner@x/1", &format!("{user}@x"), affiliation)
            .expect("an affiliation");
    }
    for user in ["ad", "ad2", "m", "m2", "n", "n2"] {
        world.join(&format!("{user}@x/1"), user).expect("enters");
    }
    world.clear();
    world
}

/// §8.2.
#[test]
fn a_moderator_kicks() {
    let mut world = court();
    world
        .admin(
            "ad@x/1",
            "<item role='none' nick='n'><reason>Avaunt!</reason></item>",
        )
        .expect("kicks");
    let first = &world.got[0];
    assert_eq!(first.short(), "n@x/1 n unavailable none none 110,307");
    let item = waxwing_xmpp::dom::serialize(first.item().expect("an item"));
    assert!(
        item.contains("<actor nick='ad'/><reason>Avaunt!</reason>"),
        "{item}"
    );
    assert_eq!(
        world.got[1].short(),
        "owner@x/1 n unavailable none none 307"
    );
    assert_eq!(world.got.len(), 7);
    world.check_views();
    world.join("n@x/1", "n").expect("may come back");
    for (from, nick, expected) in [
        ("m@x/1", "n", "forbidden"),
        ("ad@x/1", "owner", "not-allowed"),
        ("ad@x/1", "nobody", "item-not-found"),
        ("ad@x/1", "ad", "conflict"),
        ("ad@x/1", "ad2", "done"),
        ("owner@x/1", "ad", "done"),
    ] {
        assert_eq!(
            condition(world.role(from, nick, "none")),
            expected,
            "{from} {nick}"
        );
    }
    world.check_views();
}

/// §8.3, §8.4.
#[test]
fn voice_is_given_and_taken() {
    let mut world = court();
    world
        .configure("owner@x/1", &[("moderatedroom", "1")])
        .expect("configures");
    assert_eq!(world.room.role_of(&jid("n@x/1")).as_str(), "visitor");
    world.clear();
    world
        .role("ad@x/1", "n", "participant")
        .expect("gives voice");
    assert!(
        world
            .presences()
            .contains(&"n@x/1 n available participant none 110".into())
    );
    world
        .role("ad@x/1", "n2", "moderator")
        .expect("a moderator");
    for (from, nick, to, expected) in [
        ("n2@x/1", "n", "visitor", "done"),
        ("n2@x/1", "n", "participant", "done"),
        ("n2@x/1", "m", "visitor", "not-allowed"),
        ("n2@x/1", "owner", "visitor", "not-allowed"),
        ("owner@x/1", "ad", "visitor", "not-allowed"),
        ("owner@x/1", "ad", "participant", "not-allowed"),
        ("n2@x/1", "n", "moderator", "forbidden"),
        ("n@x/1", "m", "visitor", "forbidden"),
        ("ad@x/1", "m", "visitor", "done"),
    ] {
        assert_eq!(
            condition(world.role(from, nick, to)),
            expected,
            "{from} {nick} {to}"
        );
    }
    // To leave and come back changes nothing.
    world.exit("m@x/1").expect("leaves");
    world.join("m@x/1", "m").expect("enters");
    assert_eq!(world.room.role_of(&jid("m@x/1")).as_str(), "visitor");
    world.check_views();
}

/// §9.6, §9.7; a new moderator learns real JIDs.
#[test]
fn moderators_are_made_by_admins() {
    let mut world = court();
    world.role("ad@x/1", "m", "moderator").expect("a moderator");
    let learnt: Vec<_> = world
        .got
        .iter()
        .filter(|got| got.to == "m@x/1" && got.item().is_some_and(|i| i.attr("jid").is_some()))
        .map(super::world::Got::nick)
        .collect();
    assert_eq!(learnt, ["m", "owner", "ad", "ad2", "m2", "n", "n2"]);
    assert_eq!(
        condition(world.role("m@x/1", "m2", "moderator")),
        "forbidden"
    );
    assert_eq!(
        condition(world.role("m@x/1", "ad", "participant")),
        "not-allowed"
    );
    world
        .role("ad@x/1", "m", "participant")
        .expect("no moderator");
    world.role("ad@x/1", "m", "moderator").expect("a moderator");
    world.exit("m@x/1").expect("leaves");
    world.join("m@x/1", "m").expect("enters");
    assert_eq!(world.room.role_of(&jid("m@x/1")).as_str(), "participant");
    world.check_views();
}

/// §8.5, §9.8.
#[test]
fn lists_by_role() {
    let mut world = court();
    assert_eq!(
        world.list("ad@x/1", "role='participant'").expect("a list")[0],
        "m@x/1 m participant member"
    );
    assert_eq!(
        world
            .list("ad@x/1", "role='moderator'")
            .expect("a list")
            .len(),
        3
    );
    assert_eq!(
        condition(world.list("m@x/1", "role='participant'")),
        "forbidden"
    );
    assert_eq!(
        condition(world.list("m@x/1", "role='moderator'")),
        "forbidden"
    );
    for item in [
        "role='none'",
        "role='king'",
        "",
        "affiliation='none'",
        "role='visitor' affiliation='member'",
    ] {
        assert_eq!(
            condition(world.list("owner@x/1", item)),
            "bad-request",
            "{item}"
        );
    }
}
