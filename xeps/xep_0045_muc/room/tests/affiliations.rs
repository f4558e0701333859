//! §9.1 to §9.5, §10.3 to §10.8, §15.4.

use super::roles::court;
use super::world::{World, condition, jid};
use crate::xep_0045_muc::effect::{Change, Effect};

/// §9.1.
#[test]
fn a_banned_user_goes() {
    let mut world = court();
    world
        .admin(
            "ad@x/1",
            "<item affiliation='outcast' jid='n@x/1'><reason>Treason</reason></item>",
        )
        .expect("bans");
    assert_eq!(
        world.got[0].short(),
        "n@x/1 n unavailable none outcast 110,301"
    );
    assert_eq!(
        world.got[1].short(),
        "owner@x/1 n unavailable none outcast 301"
    );
    assert!(matches!(&world.effects[0],
        Effect::Save(Change::Member { jid, member }) if jid.as_str() == "n@x" && member.reason == "Treason"));
    world.check_views();
    assert_eq!(condition(world.join("n@x/2", "n")), "forbidden");
    assert_eq!(
        world
            .list("ad@x/1", "affiliation='outcast'")
            .expect("a list"),
        ["n@x - - outcast"]
    );
    world.affiliate("ad@x/1", "n@x", "none").expect("lifts");
    world.join("n@x/2", "n").expect("enters");
    for (from, user, expected) in [
        ("m@x/1", "n@x", "forbidden"),
        ("ad@x/1", "owner@x", "not-allowed"),
        ("ad@x/1", "ad2@x", "not-allowed"),
        ("ad@x/1", "ad@x", "conflict"),
        ("owner@x/1", "owner@x", "conflict"),
        ("ad@x/1", "@", "jid-malformed"),
        ("owner@x/1", "ad@x", "done"),
    ] {
        assert_eq!(
            condition(world.affiliate(from, user, "outcast")),
            expected,
            "{from} {user}"
        );
    }
    world.check_views();
}

/// §9.2: a domain; and all of a request or nothing.
#[test]
fn a_banned_domain_goes_but_for_its_members() {
    let mut world = court();
    world.join("q@y/1", "q").expect("enters");
    world.affiliate("ad@x/1", "y", "outcast").expect("bans");
    assert!(!world.room.is_inside(&jid("q@y/1")));
    assert_eq!(condition(world.join("r@y/1", "r")), "forbidden");
    let both = "<item affiliation='outcast' jid='n@x'/><item affiliation='outcast' jid='owner@x'/>";
    assert_eq!(condition(world.admin("ad@x/1", both)), "not-allowed");
    assert!(world.room.is_inside(&jid("n@x/1")));
    world
        .affiliate("ad@x/1", "x", "outcast")
        .expect("bans its own domain");
    let left: Vec<_> = world
        .room
        .occupants()
        .map(|(nick, _)| nick.to_owned())
        .collect();
    assert_eq!(left, ["owner", "ad", "ad2", "m", "m2"]);
    world.check_views();
}

/// §9.3, §9.4.
#[test]
fn membership_is_granted_and_revoked() {
    let mut world = court();
    world
        .affiliate("ad@x/1", "n@x", "member")
        .expect("a member");
    let told = world.presences();
    assert!(
        told.contains(&"m@x/1 n available participant member".into()),
        "{told:?}"
    );
    world
        .affiliate("ad@x/1", "n@x", "member")
        .expect("nothing new");
    assert!(world.presences().is_empty());
    world.affiliate("ad@x/1", "n@x", "none").expect("no member");
    assert!(
        world
            .presences()
            .contains(&"n@x/1 n available participant none 110".into())
    );
    world
        .configure("owner@x/1", &[("membersonly", "1")])
        .expect("configures");
    world.clear();
    world.affiliate("ad@x/1", "m@x", "none").expect("no member");
    assert_eq!(
        world.presences()[0],
        "m@x/1 m unavailable none none 110,321"
    );
    assert_eq!(condition(world.join("m@x/1", "m")), "registration-required");
    world.check_views();
}

/// §10.3 to §10.8.
#[test]
fn owners_make_admins_and_owners() {
    let mut world = court();
    for (from, user, to, expected) in [
        ("ad@x/1", "m@x", "admin", "forbidden"),
        ("ad@x/1", "ad2@x", "member", "forbidden"),
        ("ad@x/1", "owner@x", "none", "forbidden"),
        ("owner@x/1", "owner@x", "admin", "conflict"),
        ("owner@x/1", "owner@x", "none", "conflict"),
        ("owner@x/1", "m@x", "owner", "done"),
        ("owner@x/1", "owner@x", "member", "done"),
        ("m@x/1", "ad@x", "none", "done"),
        ("m@x/1", "m@x", "none", "conflict"),
    ] {
        assert_eq!(
            condition(world.affiliate(from, user, to)),
            expected,
            "{from} {user} {to}"
        );
    }
    assert_eq!(
        world.room.role_of(&jid("owner@x/1")).as_str(),
        "participant"
    );
    assert_eq!(world.room.role_of(&jid("ad@x/1")).as_str(), "participant");
    assert_eq!(world.room.role_of(&jid("m@x/1")).as_str(), "moderator");
    world.check_views();
    // The last owner hands the room on in one request.
    let both = "<item affiliation='member' jid='m@x'/><item affiliation='owner' jid='n@x'/>";
    world.admin("m@x/1", both).expect("hands on");
    assert_eq!(
        world
            .room
            .owners()
            .map(waxwing_xmpp::Jid::as_str)
            .collect::<Vec<_>>(),
        ["n@x"]
    );
}

/// §5.2.1, §9.5, §10.5, §10.8.
#[test]
fn lists_by_affiliation() {
    let mut world = court();
    for (whois, from, list, expected) in [
        ("moderators", "owner@x/1", "owner", "done"),
        ("moderators", "ad@x/1", "owner", "forbidden"),
        ("moderators", "ad@x/1", "member", "done"),
        ("moderators", "ad@x/1", "outcast", "done"),
        ("moderators", "m@x/1", "member", "forbidden"),
        ("moderators", "n@x/1", "member", "forbidden"),
        ("anyone", "m@x/1", "owner", "done"),
        ("anyone", "m@x/9", "admin", "done"),
        ("anyone", "m@x/9", "member", "done"),
        ("anyone", "m@x/9", "outcast", "forbidden"),
        ("anyone", "n@x/1", "member", "forbidden"),
        ("anyone", "z@x/1", "owner", "forbidden"),
    ] {
        world
            .configure("owner@x/1", &[("whois", whois)])
            .expect("configures");
        let item = format!("affiliation='{list}'");
        assert_eq!(
            condition(world.list(from, &item)),
            expected,
            "{whois} {from} {list}"
        );
    }
    assert_eq!(
        world
            .list("owner@x/1", "affiliation='member'")
            .expect("a list"),
        ["m2@x - - member", "m@x - - member"]
    );
    world
        .configure("owner@x/1", &[("getmemberlist", "moderator participant")])
        .expect("configures");
    assert_eq!(
        condition(world.list("n@x/1", "affiliation='member'")),
        "done"
    );
}

/// §15.4.
#[test]
fn requests_that_are_none_change_nothing() {
    let mut world = court();
    for items in [
        "",
        "<item/>",
        "<item nick='n'/>",
        "<item affiliation='king' jid='n@x'/>",
        "<item role='king' nick='n'/>",
        "<item role='visitor'/>",
        "<item affiliation='member'/>",
        "<item role='visitor' affiliation='member' nick='n' jid='n@x'/>",
        "<item affiliation='member' jid='n@x'/><item/>",
        "<item affiliation='admin' jid='n@x'/><item affiliation='none' jid='n@x/1'/>",
        "<item affiliation='admin' jid='n@x'/><item role='visitor' nick='n'/>",
        "<item role='moderator' nick='n'/><item role='visitor' nick='n'/>",
    ] {
        assert_eq!(
            condition(world.admin("owner@x/1", items)),
            "bad-request",
            "{items}"
        );
    }
    let long = format!(
        "<item role='none' nick='n'><reason>{}</reason></item>",
        "r".repeat(1025)
    );
    assert_eq!(condition(world.admin("owner@x/1", &long)), "not-acceptable");
    assert!(world.effects.is_empty());
    // By nickname, as clients of old do.
    world
        .admin("ad@x/1", "<item affiliation='member' nick='n'/>")
        .expect("a member");
    assert_eq!(world.room.affiliation(&jid("n@x")).as_str(), "member");
}

/// XEP-0463 §5.2.2, XEP-0045 §17.1: users that are not there.
#[test]
fn changes_of_the_absent_are_told() {
    let mut world = World::new();
    world.join("a@x/1", "a").expect("enters");
    world.clear();
    world
        .affiliate("owner@x/1", "m@y", "member")
        .expect("a member");
    let got = world.messages();
    assert_eq!(
        got.iter().map(|got| &*got.to).collect::<Vec<_>>(),
        ["owner@x/1"],
        "who sees JIDs"
    );
    let xml = waxwing_xmpp::dom::serialize(&got[0].element);
    assert!(
        xml.contains("<mav xmlns='urn:xmpp:muc:affiliations:1' since='5-1' until='5-2'/>"),
        "{xml}"
    );
    assert!(
        xml.contains("<item affiliation='member' jid='m@y' role='none'/>"),
        "{xml}"
    );
    world
        .affiliate("owner@x/1", "m@y", "none")
        .expect("no member");
    let got = world.messages();
    assert_eq!(got[1].to, "m@y");
    assert_eq!(got[1].codes(), ["101"]);
    world
        .affiliate("owner@x/1", "m@y", "outcast")
        .expect("bans a stranger");
    assert_eq!(world.messages().len(), 1, "who is not written to");
}

/// §9.3, §9.5, §7.2.8.
#[test]
fn a_nickname_is_reserved_with_membership() {
    let mut world = World::new();
    world
        .admin(
            "owner@x/1",
            "<item affiliation='member' jid='m@x' nick='Merlin'/>",
        )
        .expect("a member");
    assert_eq!(world.room.reserved_nick(&jid("m@x/1")), Some("Merlin"));
    assert_eq!(condition(world.join("a@x/1", "merlin")), "conflict");
    assert_eq!(
        condition(world.admin(
            "owner@x/1",
            "<item affiliation='member' jid='b@x' nick='MERLIN'/>"
        )),
        "conflict"
    );
    let two = "<item affiliation='member' jid='b@x' nick='twin'/><item affiliation='member' jid='c@x' nick='Twin'/>";
    assert_eq!(condition(world.admin("owner@x/1", two)), "conflict");
    world.join("m@x/1", "Merlin").expect("enters");
    assert_eq!(
        world
            .list("owner@x/1", "affiliation='member'")
            .expect("a list"),
        ["m@x Merlin - member"]
    );
    world
        .admin(
            "owner@x/1",
            "<item affiliation='member' jid='m@x' nick=''/>",
        )
        .expect("given back");
    assert_eq!(world.room.reserved_nick(&jid("m@x")), None);
    world
        .admin(
            "owner@x/1",
            "<item affiliation='member' jid='m@x' nick='Merlin'/>",
        )
        .expect("again");
    world
        .affiliate("owner@x/1", "m@x", "outcast")
        .expect("bans");
    assert_eq!(world.room.reserved_nick(&jid("m@x")), None, "§9.1");
    world.check_views();
}
