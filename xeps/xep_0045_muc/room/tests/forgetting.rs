//! §10: who owns a room after its last owner.

use super::roles::court;
use super::world::{World, jid};
use crate::xep_0045_muc::effect::{Change, Effect};
use crate::xep_0045_muc::room::Exit;
use waxwing_core::clock::Timestamp;
use waxwing_xmpp::Jid;

/// The account of a user goes, as the service has a room know it.
fn goes(world: &mut World, user: &str) {
    let user = jid(user);
    let inside: Vec<_> = world.room.all_sessions().cloned().collect();
    for session in inside.iter().filter(|inside| inside.bare() == user.bare()) {
        let effects = world.room.leave(session, Exit::Gone, Timestamp(0));
        world.take(effects);
    }
    world.clear();
    let heir = world.room.heirs(&user).into_iter().next();
    let effects = world.room.forget(&user, heir.as_ref(), Timestamp(0));
    world.take(effects);
}

fn owners(world: &World) -> Vec<String> {
    world.room.owners().map(ToString::to_string).collect()
}

#[test]
fn admins_come_before_members_and_members_before_others() {
    let mut world = court();
    let heirs = world.room.heirs(&jid("owner@x"));
    let heirs: Vec<&str> = heirs.iter().map(Jid::as_str).collect();
    // In the order of their affiliation, and of how long they have it.
    assert_eq!(heirs, ["ad@x", "ad2@x", "m@x", "m2@x", "n@x", "n2@x"]);
    world
        .affiliate("owner@x/1", "ad@x", "member")
        .expect("demotes");
    world.affiliate("owner@x/1", "ad@x", "admin").expect("back");
    let heirs = world.room.heirs(&jid("owner@x"));
    assert_eq!(heirs[..2], [jid("ad2@x"), jid("ad@x")]);
}

#[test]
fn another_owner_takes_over_and_everybody_is_told() {
    let mut world = court();
    goes(&mut world, "owner@x");
    assert_eq!(owners(&world), ["ad@x"]);
    let told = world.presences();
    for to in ["ad2@x/1", "m@x/1", "n@x/1"] {
        let shown = format!("{to} ad available moderator owner");
        assert!(told.contains(&shown), "{told:?}");
    }
    // What is written down is what is so.
    world.restart();
    assert_eq!(owners(&world), ["ad@x"]);
    assert_eq!(world.room.affiliation(&jid("owner@x")).as_str(), "none");
    world.check_views();
}

#[test]
fn an_owner_among_more_is_only_forgotten() {
    let mut world = court();
    world.affiliate("owner@x/1", "m@x", "owner").expect("two");
    goes(&mut world, "owner@x");
    assert_eq!(owners(&world), ["m@x"]);
    assert_eq!(world.room.affiliation(&jid("ad@x")).as_str(), "admin");
}

#[test]
fn a_member_is_told_that_it_owns_a_room_where_it_is_not() {
    let mut world = World::new();
    world.affiliate("owner@x/1", "m@x", "member").expect("one");
    goes(&mut world, "owner@x");
    assert_eq!(owners(&world), ["m@x"]);
    let got = world.messages();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].to, "m@x");
    assert_eq!(
        got[0].item().and_then(|i| i.attr("affiliation")),
        Some("owner")
    );
}

#[test]
fn a_room_without_anybody_goes() {
    let mut world = World::new();
    world
        .affiliate("owner@x/1", "bad@x", "outcast")
        .expect("bans");
    goes(&mut world, "owner@x");
    assert!(world.room.is_destroyed());
    assert!(matches!(
        world.effects[..],
        [Effect::Save(Change::Destroyed)]
    ));
}

#[test]
fn who_is_inside_of_a_room_without_heirs_is_told_that_it_goes() {
    let mut world = World::new();
    world.join("n@x/1", "n").expect("enters");
    world.exit("owner@x/1").expect("leaves");
    world.clear();
    let effects = world.room.forget(&jid("owner@x"), None, Timestamp(0));
    world.take(effects);
    assert!(world.room.is_destroyed());
    assert_eq!(world.presences(), ["n@x/1 n unavailable none none 110"]);
}
