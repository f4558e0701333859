//! What holds for every address.

use proptest::prelude::*;

use super::super::{Jid, JidError, MAX_PART_BYTES, prepare, prepare_domain, split};

/// The slow path for all three parts, whatever they look like.
fn parse_without_fast_path(text: &str) -> Result<Jid, JidError> {
    let (local, domain, resource) = split(text);
    // A final dot, which preparation removes, keeps the domain off the fast path.
    let dotted = format!("{domain}.");
    let domain = prepare_domain(&dotted)?;
    let local = local.map(prepare::prepare_local_slowly).transpose()?;
    let resource = resource.map(prepare::prepare_resource_slowly).transpose()?;
    Ok(Jid::join(local.as_deref(), &domain, resource.as_deref()))
}

/// Texts that look like addresses, from characters where the rules differ.
fn address_like() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => proptest::char::range('a', 'z'),
        2 => proptest::char::range('!', '~'),
        1 => prop::sample::select("ßςσΣſⅣ♔😀éÉ\u{301}\u{200D}\u{FE0F}ＡｊᏼאبÅ。．İıǅㅏ가ᄀ".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    let part = |range| prop::collection::vec(character.clone(), range).prop_map(String::from_iter);
    (part(0..8), part(1..12), part(0..8), any::<[bool; 2]>()).prop_map(
        |(local, domain, resource, [has_local, has_resource])| {
            let local = if has_local {
                format!("{local}@")
            } else {
                String::new()
            };
            let resource = if has_resource {
                format!("/{resource}")
            } else {
                String::new()
            };
            format!("{local}{domain}{resource}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn parsing_is_idempotent(text in address_like()) {
        if let Ok(jid) = Jid::parse(&text) {
            prop_assert_eq!(&Jid::parse(jid.as_str()).unwrap(), &jid);
            prop_assert_eq!(&Jid::parse_tolerant(&text).unwrap(), &jid);
        }
        if let Ok(jid) = Jid::parse_tolerant(&text) {
            prop_assert_eq!(&Jid::parse_tolerant(jid.as_str()).unwrap(), &jid);
        }
    }

    #[test]
    fn the_parts_make_the_whole(text in address_like()) {
        if let Ok(jid) = Jid::parse(&text) {
            let again = Jid::from_parts(jid.local(), jid.domain(), jid.resource()).unwrap();
            prop_assert_eq!(&again, &jid);
            prop_assert_eq!((again.local(), again.domain()), (jid.local(), jid.domain()));
            let bare = jid.to_bare();
            prop_assert_eq!(bare.as_str(), jid.bare());
            for part in [jid.local(), Some(jid.domain()), jid.resource()].into_iter().flatten() {
                prop_assert!((1..=MAX_PART_BYTES).contains(&part.len()));
            }
        }
    }

    #[test]
    fn the_fast_path_agrees_with_the_slow(text in "[a-zA-Z0-9!#$%*.\\-_~ ]{0,6}@?[a-z0-9.\\-]{0,11}[a-z0-9\\-](/[ -~]{0,5})?") {
        prop_assert_eq!(Jid::parse(&text).ok(), parse_without_fast_path(&text).ok());
    }

    #[test]
    fn case_does_not_matter_before_the_slash(text in "[a-z0-9éüß]{1,8}@[a-z0-9é]{1,8}\\.example") {
        let upper: String = text.chars()
            .map(|c| if c == 'ß' { c } else { c.to_uppercase().next().unwrap() }).collect();
        prop_assert_eq!(Jid::parse(&upper), Jid::parse(&text));
    }

    #[test]
    fn both_forms_of_a_name_are_equal(label in "[a-zäöüßéèñλжд]{1,12}") {
        let unicode = format!("{label}.example");
        let ascii = idna::domain_to_ascii_strict(&unicode).unwrap();
        prop_assert_eq!(Jid::parse(&ascii), Jid::parse(&unicode));
    }

    #[test]
    fn arbitrary_text_does_no_harm(text in any::<String>(), more in "\\PC{0,40}") {
        for text in [&text, &more] {
            let _ = Jid::parse(text);
            if let Ok(jid) = Jid::parse_tolerant(text) {
                prop_assert!(jid.same_entity_tolerant(&jid));
            }
        }
    }

    #[test]
    fn sameness_is_symmetric(left in address_like(), right in address_like()) {
        if let (Ok(left), Ok(right)) = (Jid::parse_tolerant(&left), Jid::parse_tolerant(&right)) {
            prop_assert_eq!(left.same_entity_tolerant(&right), right.same_entity_tolerant(&left));
        }
    }
}
