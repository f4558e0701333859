use proptest::prelude::*;

use super::*;

const CAP: u16 = 256;

fn submitted(fields: &[(&str, &[&str])]) -> Form {
    let mut form = Form::new(FormKind::Submit, ROOM_CONFIG);
    for (var, values) in fields {
        let mut field = Field::new(var, FieldKind::TextSingle).values(values.iter().copied());
        field.kind = None;
        form = form.field(field);
    }
    form
}

fn applied(fields: &[(&str, &[&str])]) -> Result<Config, String> {
    let config = Config::instant(CAP);
    let applied = apply(&config, &submitted(fields), CAP);
    applied.map_err(|error| {
        assert_eq!(error.condition.name(), "not-acceptable");
        error.text.unwrap_or_default().into_owned()
    })
}

fn any_role() -> impl Strategy<Value = Role> {
    (0..ROLES.len()).prop_map(|role| ROLES[role].0)
}

fn any_config() -> impl Strategy<Value = Config> {
    let texts = (".{0,40}", ".{0,40}", "[a-zA-Z-]{0,8}", ".{0,20}");
    let switches = proptest::array::uniform9(any::<bool>());
    let choices = (0..WHOIS_CHOICES.len(), 0..PRIVATE_CHOICES.len());
    let numbers = (0..=MAX_HISTORY, 1..=CAP);
    let rest = (any_role(), any_role(), choices, numbers);
    (texts, switches, rest).prop_map(|(texts, switches, rest)| {
        let (member_list_from, presence_from, (whois, private), (history, max_members)) = rest;
        let mut config = Config {
            name: texts.0,
            description: texts.1,
            lang: texts.2,
            password: texts.3,
            whois: WHOIS_CHOICES[whois].0,
            private_messages: PRIVATE_CHOICES[private].0,
            member_list_from,
            presence_from,
            history,
            max_members,
            ..Config::instant(CAP)
        };
        for (switch, is_set) in SWITCHES.iter().zip(switches) {
            *(switch.place)(&mut config) = is_set;
        }
        config
    })
}

proptest! {
    /// Whoever gives the form back as it is changes nothing, and it makes any room the same.
    #[test]
    fn the_form_says_the_whole_configuration(config in any_config(), other in any_config()) {
        let form = Form::parse(&form(&config, CAP).to_element()).expect("a form");
        prop_assert_eq!(apply(&config, &form, CAP), Ok(config.clone()));
        prop_assert_eq!(apply(&other, &form, CAP), Ok(config));
    }

    #[test]
    fn any_value_is_borne(
        config in any_config(),
        field in 0_usize..32,
        values in proptest::collection::vec("[a-z0-9-]{0,5}", 0..3),
    ) {
        let mut submitted = Form::parse(&form(&config, CAP).to_element()).expect("a form");
        let place = field % submitted.fields.len();
        submitted.fields[place].values = values;
        if let Ok(applied) = apply(&config, &submitted, CAP) {
            prop_assert!((1..=CAP).contains(&applied.max_members));
            prop_assert!(applied.history <= MAX_HISTORY);
            let shown = Form::parse(&form(&applied, CAP).to_element()).expect("a form");
            prop_assert_eq!(apply(&config, &shown, CAP), Ok(applied));
        }
    }
}

#[test]
fn what_is_not_said_stays_and_what_is_not_known_is_ignored() {
    let config = Config::instant(CAP);
    assert_eq!(applied(&[]), Ok(config.clone()));
    let unknown = ("muc#roomconfig_enablelogging", &["1"][..]);
    assert_eq!(applied(&[unknown]), Ok(config.clone()));
    // §10.1.2: an instant room is accepted without a FORM_TYPE.
    let mut form = submitted(&[]);
    form.form_type = None;
    assert_eq!(apply(&config, &form, CAP), Ok(config.clone()));
    form.form_type = Some("urn:x".into());
    let error = apply(&config, &form, CAP).expect_err("another form");
    assert_eq!(error.condition.name(), "bad-request");
}

#[test]
fn a_private_group_is_made_as_clients_make_it() {
    let config = applied(&[
        ("muc#roomconfig_persistentroom", &["1"]),
        ("muc#roomconfig_membersonly", &["1"]),
        ("muc#roomconfig_publicroom", &["0"]),
        ("muc#roomconfig_whois", &["anyone"]),
        ("muc#roomconfig_changesubject", &["0"]),
        ("muc#roomconfig_allowinvites", &["0"]),
        ("muc#roomconfig_enablearchiving", &["1"]),
        ("mam", &["1"]),
        ("muc#roomconfig_mam", &["1"]),
        ("muc#roomconfig_enablelogging", &["false"]),
    ])
    .expect("a configuration");
    assert!(config.is_members_only && config.is_persistent && config.is_archived);
    assert!(!config.is_public && !config.may_change_subject && !config.may_invite);
    assert_eq!(config.whois, Whois::Anyone);
}

#[test]
fn other_names_count_where_the_own_one_is_missing() {
    for var in ["mam", "muc#roomconfig_mam"] {
        assert!(
            !applied(&[(var, &["0"])])
                .expect("a configuration")
                .is_archived
        );
        let both = applied(&[(var, &["0"]), ("muc#roomconfig_enablearchiving", &["1"])]);
        assert!(both.expect("a configuration").is_archived);
    }
    let member_invites = "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites";
    assert!(
        !applied(&[(member_invites, &["0"])])
            .expect("a configuration")
            .may_invite
    );
    let history = applied(&[("muc#roomconfig_historylength", &["7"])]);
    assert_eq!(history.expect("a configuration").history, 7);
}

#[test]
fn a_password_is_set_kept_and_removed() {
    let mut config = Config::instant(CAP);
    for (fields, expected) in [
        (&[(SECRET, &["a"][..])][..], Ok("a")),
        (&[(PROTECTED, &["1"])], Ok("a")),
        (&[(PROTECTED, &["1"]), (SECRET, &["b"])], Ok("b")),
        (
            &[(PROTECTED, &["1"]), (SECRET, &[""])],
            Err("muc#roomconfig_roomsecret is empty"),
        ),
        (&[(PROTECTED, &["0"]), (SECRET, &["b"])], Ok("")),
        (
            &[(PROTECTED, &["1"])],
            Err("muc#roomconfig_roomsecret is missing"),
        ),
        (&[(PROTECTED, &["true"]), (SECRET, &["c"])], Ok("c")),
        (&[(SECRET, &[])], Ok("")),
    ] {
        match apply(&config, &submitted(fields), CAP) {
            Ok(applied) => {
                assert_eq!(Ok(applied.password.as_str()), expected, "{fields:?}");
                config = applied;
            }
            Err(error) => assert_eq!(Err(error.text.unwrap_or_default().as_ref()), expected),
        }
    }
}

#[test]
fn a_room_is_never_larger_than_the_server_allows() {
    for (value, expected) in [("none", 256), ("256", 256), ("1", 1), (" 30 ", 30)] {
        let config = applied(&[(MAX_USERS, &[value])]).expect("a configuration");
        assert_eq!(config.max_members, expected);
    }
    let config = Config::instant(CAP);
    let lower = apply(&config, &submitted(&[]), 40).expect("a configuration");
    assert_eq!(lower.max_members, 40);
    let shown = Form::parse(&form(&config, 40).to_element()).expect("a form");
    assert_eq!(shown.value(MAX_USERS), Some("40"));
    let options = &shown.get(MAX_USERS).expect("a field").options;
    let options: Vec<&str> = options.iter().map(|(value, _)| value.as_str()).collect();
    assert_eq!(options, ["10", "20", "30", "40"]);
}

#[test]
fn a_mistake_names_the_field() {
    let long = "x".repeat(1024);
    for (var, values, expected) in [
        (
            "muc#roomconfig_roomname",
            &[long.as_str()][..],
            "is too long",
        ),
        ("muc#roomconfig_lang", &["en us"], "is no language"),
        ("muc#roomconfig_publicroom", &["maybe"], "is no boolean"),
        ("muc#roomconfig_publicroom", &[], "is no boolean"),
        ("mam", &["roster"], "is no boolean"),
        (WHOIS, &["none"], "is none of the options"),
        (WHOIS, &["anyone", "moderators"], "has more than one value"),
        (PRIVATE, &[""], "is none of the options"),
        (MAX_USERS, &["0"], "is no number from 1 to 256"),
        (MAX_USERS, &["257"], "is no number from 1 to 256"),
        (HISTORY[0], &["101"], "is no number from 0 to 100"),
        (HISTORY[1], &["-1"], "is no number from 0 to 100"),
        (PRESENCE_FROM, &[], "names no role"),
        (PRESENCE_FROM, &["owner"], "has a value that is no role"),
        (PRESENCE_FROM, &["none"], "has a value that is no role"),
        (LIST_FROM, &["visitor"], "leaves out a role above another"),
    ] {
        assert_eq!(applied(&[(var, values)]), Err(format!("{var} {expected}")));
    }
}
