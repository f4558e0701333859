//! What is read, what is refused and how that is said.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Config, Vec<String>> {
    read_with(text, &[])
}

fn read_with(text: &str, env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    parse(text, Path::new("config.toml"), env)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn assert_problems(text: &str, expected: &[&str]) {
    assert_eq!(read(text).unwrap_err(), expected);
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(read("").unwrap(), Config::default());
}

/// The shipped file documents every key with its default, and nothing else. When this fails after
/// a change of the keys, run it once with WRITE_CONFIG_TOML=1 set.
#[test]
fn the_shipped_file_is_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    if std::env::var_os("WRITE_CONFIG_TOML").is_some() {
        fs::write(&path, reference()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), reference());
}

#[test]
fn the_reference_reads_as_the_defaults() {
    assert_eq!(read(&reference()).unwrap(), Config::default());
}

#[test]
fn every_table_is_in_the_list_of_sections() {
    let whole = diff::table(&Config::default());
    let keys = |table: &toml::Table| table.iter().filter(|(_, value)| !value.is_table()).count();
    let in_types = keys(&whole)
        + whole
            .values()
            .filter_map(|v| v.as_table())
            .map(keys)
            .sum::<usize>();
    let listed: Vec<_> = SECTIONS.iter().flat_map(|section| section.keys).collect();
    assert_eq!(listed.len(), in_types);
    for key in listed {
        assert_ne!(diff::text(&whole, key), "", "{}", key.path());
        assert!(!key.doc.is_empty(), "{}", key.path());
    }
}

#[test]
fn all_errors_are_reported_at_once_with_place_and_suggestion() {
    assert_problems(
        "domain = \"a@example.org\"\nadmin = []\nc2s = []\n\n[listen]\nc2s_tsl = []\n\
         c2s = [\"127.0.0.1:5222\", \"localhost\", 7]\n[auth]\nmechanisms = [\"SCRAM-SHA1\"]\n\
         anonymous = \"yes\"\n[limts]\n[limits]\nmailbox_bytes = \"50 MB\"\nstanza_bytes = 1\n",
        &[
            "config.toml:1:10: domain: `a@example.org` is an address, not a domain such as \
             example.org",
            "config.toml:2:1: admin: unknown key, did you mean `admins`?",
            "config.toml:3:1: c2s: unknown key, did you mean `listen.c2s`?",
            "config.toml:6:1: listen.c2s_tsl: unknown key, did you mean `c2s_tls`?",
            "config.toml:7:26: listen.c2s: `localhost` is not an address and port such as \
             0.0.0.0:5222",
            "config.toml:7:39: listen.c2s: must be a string, found integer 7",
            "config.toml:9:15: auth.mechanisms: unknown value `SCRAM-SHA1`, did you mean \
             `SCRAM-SHA-1`?",
            "config.toml:10:13: auth.anonymous: must be true or false, found string \"yes\"",
            "config.toml:11:2: limts: unknown key, did you mean `limits`?",
            "config.toml:13:17: limits.mailbox_bytes: must be a plain integer, found string \
             \"50 MB\"",
            "config.toml:14:16: limits.stanza_bytes: must be between 10000 and 16777216, found 1",
        ],
    );
}

#[test]
fn a_key_that_is_like_no_other_lists_the_valid_ones() {
    assert_problems(
        "[log]\ncolour = true\n",
        &["config.toml:2:1: log.colour: unknown key, valid are: level, format"],
    );
}

#[test]
fn wrong_shapes_are_named() {
    assert_problems(
        "listen = 5222\nadmins = \"a@b\"\nretention_days = 1.5\n[[tls]]\n",
        &[
            "config.toml:1:10: listen: is a table: write [listen] and its keys below",
            "config.toml:2:10: admins: must be a list of strings, found string \"a@b\"",
            "config.toml:3:18: retention_days: must be a plain integer, found float",
            "config.toml:4:1: tls: is a table: write [tls] and its keys below",
        ],
    );
}

#[test]
fn a_filter_of_the_log_means_what_it_says() {
    let level = |level: &str| {
        let read = read(&format!("[log]\nlevel = \"{level}\"\n"));
        read.map(|config| config.log.level)
    };
    let as_used = level(" info , waxwing=debug,waxwing::tls=off ").unwrap();
    assert_eq!(as_used, "info,waxwing=debug,waxwing::tls=off");
    for wrong in ["a=b=info", "=info", "a b=info", "waxwing =info"] {
        let problems = level(wrong).unwrap_err();
        assert!(problems[0].contains("neither a level"), "{problems:?}");
    }
    for wrong in ["info,", "", "waxwing= info", "INFO", "waxwing"] {
        let problems = level(wrong).unwrap_err();
        assert!(problems[0].contains("unknown level"), "{problems:?}");
    }
}

/// An address in brackets, and a name to which nothing can be added.
#[test]
fn a_domain_that_rooms_cannot_be_below_is_refused() {
    let long = ["a".repeat(62).as_str(); 4].join(".");
    for domain in ["[::1]", long.as_str()] {
        let text = format!("domain = \"{domain}\"\n");
        let problems = read(&text).unwrap_err();
        let start = format!("config.toml: muc.domain: is empty, and `groups.{domain}` is not");
        assert!(
            problems.len() == 1 && problems[0].starts_with(&start),
            "{problems:?}"
        );
        let config = read(&format!("{text}[muc]\ndomain = \"rooms.example\"\n")).unwrap();
        assert_eq!(config.settings().domain.as_str(), domain);
    }
}

#[test]
fn variables_need_not_be_text() {
    let read = |name: &str| {
        let variable = (name.into(), OsStr::from_bytes(b"\xff").to_owned());
        let mut name = b"\xff".to_vec();
        name.extend(VARIABLE_PREFIX.as_bytes());
        let other = (OsStr::from_bytes(&name).to_owned(), "x".into());
        parse("", Path::new("config.toml"), [variable, other].into_iter())
    };
    assert_eq!(read("PATH").unwrap(), Config::default());
    let problems = read("WAXWING_DATA").unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].to_string(), "WAXWING_DATA: is not UTF-8");
}

#[test]
fn all_errors_of_syntax_are_reported_and_nothing_is_guessed() {
    let problems = read("domain = \n[listen\nc2s = [1,\n").unwrap_err();
    assert!(problems.len() > 1, "{problems:?}");
    assert!(problems[0].starts_with("config.toml:1:"), "{problems:?}");
    assert!(
        problems
            .iter()
            .all(|problem| !problem.contains("unknown key")),
        "{problems:?}"
    );
}

#[test]
fn a_file_that_is_not_there_is_one_problem() {
    let problems = load(Path::new("/nonexistent.toml"), std::iter::empty()).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .to_string()
            .starts_with("/nonexistent.toml: cannot be read: ")
    );
}

#[test]
fn variables_override_the_file() {
    let config = read_with(
        "domain = \"example.org\"\n[auth]\nanonymous = true\n",
        &[
            ("WAXWING_DOMAIN", "Example.NET"),
            ("WAXWING_LISTEN_C2S", "[::1]:0, 127.0.0.1:0"),
            ("WAXWING_LISTEN_C2S_TLS", ""),
            ("WAXWING_AUTH_ANONYMOUS", "false"),
            ("WAXWING_LIMITS_PING_TIMEOUT", "7"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.domain, "example.net");
    assert_eq!(
        config.listen.c2s,
        ["[::1]:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()]
    );
    assert_eq!(config.listen.c2s_tls, []);
    assert!(!config.auth.anonymous);
    assert_eq!(config.limits.ping_timeout, Duration::from_secs(7));
}

#[test]
fn wrong_variables_are_problems_too() {
    let problems = read_with(
        "",
        &[
            ("WAXWING_LISTEN_C2S_TSL", ""),
            ("WAXWING_XYZ", ""),
            ("WAXWING_RETENTION_DAYS", "a month"),
            ("WAXWING_REGISTRATION_MODE", "opn"),
        ],
    );
    assert_eq!(
        problems.unwrap_err(),
        [
            "WAXWING_LISTEN_C2S_TSL: unknown variable, did you mean `WAXWING_LISTEN_C2S_TLS`?",
            "WAXWING_REGISTRATION_MODE: registration.mode: unknown value `opn`, did you mean \
             `open`?",
            "WAXWING_RETENTION_DAYS: retention_days: must be a plain integer, found string \
             \"a month\"",
            "WAXWING_XYZ: unknown variable",
        ]
    );
}

#[test]
fn what_is_wrong_only_together_is_reported_with_its_place() {
    assert_problems(
        "[listen]\nc2s = [\"0.0.0.0:5222\"]\nc2s_tls = [\"0.0.0.0:5222\"]\n[tls]\nkey = \"k\"\n\
         [auth]\nmechanisms = []\n[limits]\noutbox_bytes = 20000\n",
        &[
            "config.toml:3:1: listen.c2s_tls: `0.0.0.0:5222` is listed twice",
            "config.toml:5:1: tls.key: is given without tls.certificate",
            "config.toml:7:1: auth.mechanisms: is empty: nobody could log in",
            "config.toml:9:1: limits.outbox_bytes: must be at least limits.stanza_bytes, 262144",
        ],
    );
}

#[test]
fn the_certificate_is_looked_at() {
    assert_problems(
        "[tls]\ncertificate = \"no.pem\"\nkey = \"no.key\"\n",
        &[
            "config.toml:2:1: tls.certificate: cannot read the certificate no.pem: No such file or \
           directory (os error 2)",
        ],
    );
}

#[test]
fn a_log_filter_is_levels_and_targets() {
    assert!(read("[log]\nlevel = \"warn,waxwing::tls=debug\"\n").is_ok());
    assert_problems(
        "[log]\nlevel = \"inof\"\n",
        &["config.toml:2:9: log.level: unknown level `inof`, did you mean `info`?"],
    );
}

#[test]
fn contacts_are_uris() {
    assert!(read("[contact]\nabuse = [\"mailto:a@b\", \"https://b/\"]\n").is_ok());
    assert_problems(
        "[contact]\nabuse = [\"a@example.org\"]\n",
        &[
            "config.toml:2:10: contact.abuse: `a@example.org` is not a URI such as \
           mailto:admin@example.org",
        ],
    );
}

#[test]
fn addresses_are_normalised_and_must_be_bare() {
    let config = read("domain = \"EXAMPLE.org\"\nadmins = [\"Alice@Example.org\"]\n").unwrap();
    assert_eq!(config.domain, "example.org");
    assert_eq!(config.admins, ["alice@example.org"]);
    assert_problems(
        "admins = [\"alice@example.org/phone\", \"example.org\"]\n",
        &[
            "config.toml:1:11: admins: `alice@example.org/phone` is not a bare JID such as \
             alice@example.org",
            "config.toml:1:38: admins: `example.org` is not a bare JID such as alice@example.org",
        ],
    );
}

#[test]
fn paths_are_relative_to_the_file() {
    let path = Path::new("/etc/waxwing/config.toml");
    let config = parse("", path, std::iter::empty()).unwrap();
    assert_eq!(config.data, Path::new("/etc/waxwing/data"));
    assert_eq!(config.tls.certificate, Path::new(""));
    let config = parse("data = \"/var/lib/waxwing\"", path, std::iter::empty()).unwrap();
    assert_eq!(config.data, Path::new("/var/lib/waxwing"));
}

#[test]
fn a_reload_says_what_changes_and_what_needs_a_restart() {
    let old = Config::default();
    assert_eq!(diff(&old, &old), []);
    let mut new = old.clone();
    new.limits.ping_timeout = Duration::from_secs(5);
    new.listen.c2s.clear();
    let changes: Vec<_> = diff(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "listen.c2s: [\"127.0.0.1:5222\", \"[::1]:5222\"] -> [] (at the next start)",
            "limits.ping_timeout: 25 -> 5",
        ]
    );
}

#[test]
fn after_a_reload_the_values_that_need_a_restart_are_the_old_ones() {
    let old = Config::default();
    let mut new = old.clone();
    new.domain = "example.org".to_owned();
    new.listen.c2s.clear();
    new.log = Log {
        level: "debug".to_owned(),
        format: LogFormat::Json,
    };
    new.limits.ping_timeout = Duration::from_secs(5);
    let mut expected = old.clone();
    expected.log.level = "debug".to_owned();
    expected.limits.ping_timeout = Duration::from_secs(5);
    assert_eq!(reloaded(&old, &new), expected);
    assert_eq!(reloaded(&old, &old), old);
}

#[test]
fn names_of_variables_are_unique() {
    let mut names: Vec<_> = SECTIONS
        .iter()
        .flat_map(|section| section.keys)
        .map(Key::variable)
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

proptest! {
    /// Whatever the file holds, it is read or refused with reasons.
    #[test]
    fn no_file_makes_it_panic(text in "[\\[\\]a-z_=\"0-9,.#\n é\u{1F600}-]{0,120}") {
        if let Err(problems) = read(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    /// One changed key of the reference, by whatever value, is reported at its own line at most.
    #[test]
    fn a_wrong_value_is_reported_at_its_line(line in 0usize..200, value in "[a-z0-9]{1,8}|\"[a-z0-9]{0,8}\"") {
        let reference = reference();
        let mut lines: Vec<_> = reference.lines().map(str::to_owned).collect();
        let line = line % lines.len();
        if let Some((key, _)) = lines[line].clone().split_once(" = ")
            && !key.starts_with('#')
            // These are also compared with other keys.
            && key != "stanza_bytes"
        {
            lines[line] = format!("{key} = {value}");
            if let Err(problems) = read(&lines.join("\n")) {
                let place = format!("config.toml:{}:", line + 1);
                prop_assert!(problems.iter().all(|p| p.starts_with(&place)), "{problems:?}");
            }
        }
    }
}
