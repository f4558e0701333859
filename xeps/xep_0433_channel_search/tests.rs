use proptest::prelude::*;

use super::*;
use crate::xep_0045_muc::store::Public;

const RSM: &str = "http://jabber.org/protocol/rsm";

fn wish(fields: &[(&str, &str)], set: &str) -> Result<Wish, String> {
    let mut form = Form::new(FormKind::Submit, PARAMS);
    for (var, value) in fields {
        form = form.field(Field::new(var, FieldKind::TextSingle).value(*value));
    }
    let form = String::from(&form.to_element());
    let xml = format!("<search xmlns='{NS}'>{set}{form}</search>");
    parse(&xml.parse().expect("well-formed")).map_err(|error| {
        let application = error.application.as_deref().map(Element::name);
        let (name, kind) = (error.condition.name(), error.kind.as_str());
        format!("{name} {kind} {}", application.unwrap_or_default())
    })
}

fn search(fields: &[(&str, &str)], set: &str) -> (Search, rsm::Request) {
    match wish(fields, set) {
        Ok(Wish::Search(search, request)) => (search, request),
        other => panic!("no search: {other:?}"),
    }
}

fn item(local: &str, users: u64) -> Item {
    Item {
        room: Public {
            local: local.to_owned(),
            name: "A room".into(),
            description: String::new(),
            lang: "en".into(),
            is_open: true,
            is_semi_anonymous: users == 1,
        },
        users,
    }
}

/// The addresses on a page, and the ids of its ends.
fn shown(fields: &[(&str, &str)], set: &str, items: &[Item]) -> (String, String, String) {
    let set = format!("<set xmlns='{RSM}'>{set}</set>");
    let (search, request) = search(fields, &set);
    let page = page(&search, items.to_vec(), &request, "x").expect("a page");
    let addresses = page.children().filter_map(|item| item.attr("address"));
    let addresses: Vec<&str> = addresses.collect();
    let end = |name| {
        let set = page.get_child("set", RSM).expect("a set");
        let end = set.get_child(name, RSM).map(Element::text);
        end.unwrap_or_default()
    };
    (addresses.join(" "), end("first"), end("last"))
}

#[test]
fn the_form_is_sent_to_who_asks_for_nothing() {
    assert_eq!(parse(&Element::bare("search", NS)), Ok(Wish::Form));
    let form = form();
    let form = Form::find(&form, PARAMS).expect("a form").expect("it");
    // What is submitted as it was sent, but for the words, is a search with the usual wishes.
    let mut filled = form.clone();
    filled.kind = FormKind::Submit;
    for field in &mut filled.fields {
        if field.var == "q" {
            field.values = vec!["Cave".into()];
        }
    }
    let element = Element::builder("search", NS).append(filled.to_element());
    let Ok(Wish::Search(from_form, _)) = parse(&element.build()) else {
        panic!("no search");
    };
    assert_eq!(from_form, search(&[("q", "cave")], "").0);
}

#[test]
fn words_are_looked_for_where_it_is_wished() {
    for (fields, local, name, description, expected) in [
        (vec![("q", "Dark  CAVE")], "coven", "A Dark Cave", "", true),
        (
            vec![("q", "dark spell")],
            "coven",
            "A Dark Cave",
            "Spells",
            true,
        ),
        (vec![("q", "dark spell")], "coven", "A Dark Cave", "", false),
        (vec![("q", "cov")], "coven", "", "", true),
        (
            vec![("q", "cov"), ("sinaddress", "0")],
            "coven",
            "",
            "",
            false,
        ),
        (vec![("q", "cov"), ("sinaddr", "0")], "coven", "", "", false),
        (vec![("q", "cov"), ("sinname", "0")], "", "cove", "", false),
        (
            vec![("q", "cov"), ("sindescription", "0")],
            "",
            "",
            "cove",
            false,
        ),
        (
            vec![("q", "cov"), ("types", "xep-0369")],
            "coven",
            "",
            "",
            false,
        ),
        (
            vec![("q", "cov"), ("types", "xep-0045")],
            "coven",
            "",
            "",
            true,
        ),
        (vec![("all", "1")], "coven", "", "", true),
        (vec![("all", "1"), ("q", "")], "coven", "", "", true),
    ] {
        let (search, _) = search(&fields, "");
        assert_eq!(
            search.matches(local, name, description),
            expected,
            "{fields:?}"
        );
    }
}

#[test]
fn mistakes_are_told_as_the_specification_says() {
    let many = "a ".repeat(MAX_WORDS + 1);
    let long = "ä".repeat(MAX_LENGTH + 1);
    for (fields, expected) in [
        (vec![], "bad-request cancel no-search-conditions"),
        (
            vec![("all", "0")],
            "bad-request cancel no-search-conditions",
        ),
        (vec![("q", " ")], "bad-request modify invalid-search-terms"),
        (
            vec![("q", &many)],
            "bad-request modify invalid-search-terms",
        ),
        (
            vec![("q", &long)],
            "bad-request modify invalid-search-terms",
        ),
        (
            vec![("q", "a"), ("all", "1")],
            "bad-request modify conflicting-fields",
        ),
        (
            vec![("q", "a"), ("key", "name")],
            "feature-not-implemented modify invalid-sort-key",
        ),
        (vec![("q", "a"), ("min_users", "-1")], "bad-request modify "),
        (
            vec![("q", "a"), ("sinname", "so")],
            "not-acceptable modify ",
        ),
    ] {
        assert_eq!(wish(&fields, ""), Err(expected.to_owned()), "{fields:?}");
    }
}

#[test]
fn rooms_are_shown_in_pages() {
    let items = [item("a", 1), item("b", 5), item("c", 0), item("d", 5)];
    let by_users = [("all", "1")];
    let by_address = [("all", "1"), ("key", BY_ADDRESS), ("min_users", "1")];
    for (fields, set, addresses, first, last) in [
        (&by_users[..], "", "b@x d@x a@x c@x", "5:b", "0:c"),
        (&by_users, "<max>2</max>", "b@x d@x", "5:b", "5:d"),
        (
            &by_users,
            "<max>2</max><after>5:d</after>",
            "a@x c@x",
            "1:a",
            "0:c",
        ),
        // One that has lost its place meanwhile.
        (
            &by_users,
            "<max>1</max><after>4:z</after>",
            "a@x",
            "1:a",
            "1:a",
        ),
        (&by_users, "<max>2</max><before/>", "a@x c@x", "1:a", "0:c"),
        (
            &by_users,
            "<max>1</max><before>1:a</before>",
            "d@x",
            "5:d",
            "5:d",
        ),
        (&by_users, "<after>0:c</after>", "", "", ""),
        (&by_users, "<max>0</max>", "", "", ""),
        (&by_address, "", "a@x b@x d@x", "0:a", "0:d"),
        (&by_address, "<after>0:a</after>", "b@x d@x", "0:b", "0:d"),
    ] {
        let expected = (addresses.to_owned(), first.to_owned(), last.to_owned());
        assert_eq!(shown(fields, set, &items), expected, "{set}");
    }
    let (search, request) = search(
        &by_users,
        &format!("<set xmlns='{RSM}'><after>b</after></set>"),
    );
    let error = page(&search, items.to_vec(), &request, "x").expect_err("no id");
    assert_eq!(error.condition.name(), "item-not-found");
}

#[test]
fn an_item_says_what_is_known() {
    let (search, request) = search(&[("all", "1")], "");
    let found = page(
        &search,
        vec![item("coven", 1)],
        &request,
        "chat.shakespeare.lit",
    );
    assert_eq!(
        String::from(&found.expect("a page")),
        "<result xmlns='urn:xmpp:channel-search:0:search'>\
         <item address='coven@chat.shakespeare.lit'><name>A room</name><language>en</language>\
         <nusers>1</nusers><service-type>xep-0045</service-type><is-open>true</is-open>\
         <anonymity-mode>muc_semianonymous</anonymity-mode></item>\
         <set xmlns='http://jabber.org/protocol/rsm'><first index='0'>1:coven</first>\
         <last>1:coven</last><count>1</count></set></result>"
    );
}

proptest! {
    /// Pages follow one another without gaps or doubles, by either key.
    #[test]
    fn pages_are_the_whole(
        rooms in proptest::collection::btree_map("[a-f]{1,3}", 0_u64..4, 0..20),
        by_users: bool,
        max in 1_usize..5,
    ) {
        let items: Vec<Item> = rooms.iter().map(|(local, users)| item(local, *users)).collect();
        let fields = [("all", "1"), ("key", if by_users { BY_USERS } else { BY_ADDRESS })];
        let (whole, _, _) = shown(&fields, "<max>100</max>", &items);
        let mut pages = Vec::new();
        let mut after = String::new();
        loop {
            let set = format!("<max>{max}</max><after>{after}</after>");
            let (addresses, _, last) = shown(&fields, &set, &items);
            if last.is_empty() {
                break;
            }
            pages.push(addresses);
            after = last;
        }
        prop_assert_eq!(pages.join(" "), whole);
    }
}
