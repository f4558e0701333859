//! The archive as a client sees it: rows in a real mailbox, requests as they are sent.

// A test that cannot go on fails where it stands.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use minidom::Element;
use waxwing_core::Session;
use waxwing_core::account::Account;
use waxwing_core::mailbox_store::{Flags, NewRow};
use waxwing_core::outbox::Wake;
use waxwing_core::powers::Inline;
use waxwing_xeps::xep_0313_mam::MessageArchive;
use waxwing_xmpp::Stanza;

use world::World;

#[allow(
    dead_code,
    reason = "the world of the core's tests, of which this needs a part"
)]
#[path = "../../src/core/tests/world/mod.rs"]
mod world;

const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
const FORWARD: &str = "urn:xmpp:forward:0";

/// A server with an archive and Juliet's session in it.
struct Archive {
    world: World,
    juliet: Arc<Session>,
}

/// The answer to a query and what came before it.
struct Answer {
    results: Vec<Element>,
    iq: Element,
}

impl Archive {
    async fn new() -> Archive {
        let world = World::with(waxwing_xeps::powers(), waxwing_xeps::migrations()).await;
        let juliet = world.online("juliet", "balcony").await;
        let archive = Archive { world, juliet };
        archive.written();
        archive
    }

    /// A message in Juliet's archive at that time; returns its id.
    fn put(&self, from: &str, to: &str, ms: i64, text: &str) -> String {
        let account = self.juliet.account.id;
        let is_sent = from.starts_with("juliet@localhost");
        let row = NewRow {
            recipient: if is_sent { 999 } else { account },
            sender_account: if is_sent { account } else { 0 },
            from: from.to_owned(),
            to_bare: to.split('/').next().unwrap().to_owned(),
            flags: if is_sent {
                Flags::SENT
            } else {
                Flags::INCOMING | Flags::ARCHIVED
            },
            received_at_ms: ms,
            key: 0,
            stream: 0,
            number: 0,
            body: format!(
                "<message from='{from}' to='{to}' type='chat'><body>{text}</body></message>"
            )
            .into(),
        };
        let id = self
            .world
            .exchange
            .mailbox
            .append(row, |_, done| done.unwrap());
        format!("{:016x}", id.unwrap())
    }

    /// Everything that waits to be written to Juliet.
    fn written(&self) -> Vec<Element> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut found = Vec::new();
        while let Poll::Ready(wake) = self.juliet.outbox.poll_take(&mut cx, 64, || i64::MAX) {
            if let Wake::Bytes(pieces) = wake {
                let stanzas = pieces
                    .into_iter()
                    .map(|piece| Stanza::parse(piece).unwrap());
                found.extend(stanzas.map(|stanza| stanza.to_element()));
            }
        }
        found
    }

    async fn ask(&self, kind: &str, child: &str) -> Answer {
        self.world
            .exchange
            .database
            .batch(Vec::new())
            .await
            .unwrap();
        let iq = format!("<iq type='{kind}' id='q'>{child}</iq>");
        self.world.presence(&self.juliet, &iq).await;
        let mut results = self.written();
        let iq = results.pop().unwrap();
        assert_eq!(iq.name(), "iq", "the answer comes last");
        Answer { results, iq }
    }

    /// A query with these fields and this page.
    async fn query(&self, fields: &[(&str, &str)], page: &str) -> Answer {
        let fields: String = fields
            .iter()
            .map(|(name, value)| format!("<field var='{name}'><value>{value}</value></field>"))
            .collect();
        let query = format!(
            "<query xmlns='{MAM}' queryid='&lt;f27&gt;'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{MAM}</value></field>{fields}</x>\
             <set xmlns='{RSM}'>{page}</set></query>"
        );
        self.ask("set", &query).await
    }
}

impl Answer {
    /// The texts of the results, in the order in which they came.
    fn texts(&self) -> Vec<String> {
        let text = |result: &Element| {
            let result = result.get_child("result", MAM).unwrap();
            let forwarded = result.get_child("forwarded", FORWARD).unwrap();
            let message = forwarded.get_child("message", "jabber:client").unwrap();
            message.get_child("body", "jabber:client").unwrap().text()
        };
        self.results.iter().map(text).collect()
    }

    fn fin(&self) -> &Element {
        self.iq.get_child("fin", MAM).unwrap()
    }

    fn is_complete(&self) -> bool {
        self.fin().attr("complete") == Some("true")
    }

    /// First and last id, and the count.
    fn set(&self) -> [Option<String>; 3] {
        let set = self.fin().get_child("set", RSM).unwrap();
        ["first", "last", "count"].map(|name| set.get_child(name, RSM).map(Element::text))
    }

    fn error(&self) -> &str {
        let error = self.iq.get_child("error", "jabber:client").unwrap();
        error.children().next().unwrap().name()
    }
}

/// §4.2 and §4.3, with messages received and sent, by id, time and address.
#[tokio::test]
async fn an_archive_is_searched_and_paged() {
    let archive = Archive::new().await;
    let romeo = "romeo@localhost/orchard";
    let own = "juliet@localhost/balcony";
    let ids = [
        archive.put(romeo, own, 1000, "1"),
        archive.put(own, "romeo@localhost", 2000, "2"),
        archive.put("nurse@localhost/a", own, 3000, "3"),
        archive.put("romeo@localhost/street", "juliet@localhost", 4000, "4"),
        archive.put(own, own, 5000, "5"),
    ];

    let all = archive.query(&[], "").await;
    assert_eq!(all.texts(), ["1", "2", "3", "4", "5"]);
    assert!(all.is_complete());
    assert_eq!(
        all.set(),
        [Some(&ids[0]), Some(&ids[4]), Some(&"5".to_owned())].map(Option::<&String>::cloned)
    );
    let first = &all.results[0];
    assert_eq!(
        (first.attr("from"), first.attr("to")),
        (Some("juliet@localhost"), Some(own))
    );
    let result = first.get_child("result", MAM).unwrap();
    assert_eq!(
        (result.attr("queryid"), result.attr("id")),
        (Some("<f27>"), Some(&*ids[0]))
    );
    let forwarded = result.get_child("forwarded", FORWARD).unwrap();
    let delay = forwarded.get_child("delay", "urn:xmpp:delay").unwrap();
    assert_eq!(delay.attr("stamp"), Some("1970-01-01T00:00:01.000Z"));

    for (fields, page, texts, complete) in [
        (vec![], "<max>2</max>".to_owned(), vec!["1", "2"], false),
        (
            vec![],
            format!("<max>2</max><after>{}</after>", ids[1]),
            vec!["3", "4"],
            false,
        ),
        (
            vec![],
            format!("<max>2</max><after>{}</after>", ids[3]),
            vec!["5"],
            true,
        ),
        (
            vec![],
            "<max>2</max><before/>".to_owned(),
            vec!["4", "5"],
            false,
        ),
        (
            vec![],
            format!("<max>3</max><before>{}</before>", ids[3]),
            vec!["1", "2", "3"],
            true,
        ),
        (
            vec![("with", "romeo@localhost")],
            String::new(),
            vec!["1", "2", "4"],
            true,
        ),
        (vec![("with", romeo)], String::new(), vec!["1"], true),
        (
            vec![("with", "juliet@localhost")],
            String::new(),
            vec!["5"],
            true,
        ),
        (
            vec![("with", "paris@localhost")],
            String::new(),
            vec![],
            true,
        ),
        (
            vec![
                ("start", "1970-01-01T00:00:02Z"),
                ("end", "1970-01-01T00:00:04Z"),
            ],
            String::new(),
            vec!["2", "3", "4"],
            true,
        ),
        (
            vec![("start", "1970-01-01T00:00:02.0001Z")],
            String::new(),
            vec!["3", "4", "5"],
            true,
        ),
        (
            vec![
                ("start", "1970-01-01T00:00:04Z"),
                ("end", "1970-01-01T00:00:02Z"),
            ],
            String::new(),
            vec![],
            true,
        ),
        (
            vec![("after-id", &*ids[0]), ("before-id", &*ids[3])],
            String::new(),
            vec!["2", "3"],
            true,
        ),
        (vec![("ids", &*ids[3])], String::new(), vec!["4"], true),
        (
            vec![("ids", &*ids[3]), ("with", "nurse@localhost")],
            String::new(),
            vec![],
            true,
        ),
    ] {
        let answer = archive.query(&fields, &page).await;
        assert_eq!(answer.texts(), texts, "{fields:?} {page}");
        assert_eq!(answer.is_complete(), complete, "{fields:?} {page}");
    }

    let flipped =
        format!("<query xmlns='{MAM}'><flip-page/><set xmlns='{RSM}'><max>3</max></set></query>");
    let flipped = archive.ask("set", &flipped).await;
    assert_eq!(flipped.texts(), ["3", "2", "1"]);
    assert_eq!(
        flipped.set(),
        [
            Some(ids[0].clone()),
            Some(ids[2].clone()),
            Some("5".to_owned())
        ]
    );

    let count = archive
        .query(&[("with", "romeo@localhost")], "<max>0</max>")
        .await;
    assert_eq!(count.set(), [None, None, Some("3".to_owned())]);
    assert!(count.results.is_empty() && !count.is_complete());
}

/// §4.1.3, §4.3.2: whatever id is named must be there.
#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let archive = Archive::new().await;
    let there = archive.put("romeo@localhost/a", "juliet@localhost", 1000, "1");
    let gone = "0000000000000001";
    for (fields, page) in [
        (vec![("after-id", gone)], String::new()),
        (vec![("before-id", gone)], String::new()),
        (vec![("ids", gone)], String::new()),
        (vec![], format!("<after>{gone}</after>")),
        (vec![], format!("<before>{gone}</before>")),
    ] {
        let answer = archive.query(&fields, &page).await;
        assert_eq!(answer.error(), "item-not-found", "{fields:?} {page}");
    }
    let after = archive.query(&[], &format!("<after>{there}</after>")).await;
    assert!(after.texts().is_empty() && after.is_complete());
}

/// XEP-0059 §2.2: the number of all that match stands beside each page, unless they are too many.
#[tokio::test]
async fn a_page_says_how_much_there_is() {
    let archive = Archive::new().await;
    let count = async |fields: &[(&str, &str)], page: &str| {
        let [.., count] = archive.query(fields, page).await.set();
        count
    };
    let mut last = String::new();
    for ms in 1..=999 {
        last = archive.put("romeo@localhost/a", "juliet@localhost", ms, "m");
    }
    let (all, romeo) = (Some("999".to_owned()), [("with", "romeo@localhost")]);
    assert_eq!(count(&[], "<max>2</max>").await, all);
    assert_eq!(count(&[], "<max>2</max><before/>").await, all);
    assert_eq!(count(&[], &format!("<after>{last}</after>")).await, all);
    assert_eq!(count(&romeo, "<max>2</max>").await, all);
    // Who is full is looked for in each message.
    let full = [("with", "romeo@localhost/a")];
    assert_eq!(count(&full, "<max>2</max>").await, None);
    archive.put("nurse@localhost/a", "juliet@localhost", 1000, "m");
    assert_eq!(count(&[], "<max>2</max>").await, None);
    assert_eq!(count(&[], "<max>0</max>").await, Some("1000".to_owned()));
    assert_eq!(count(&romeo, "<max>2</max>").await, all);
}

/// Whatever range and size is asked for, the answer is a page that is bounded, or an error.
#[tokio::test]
async fn absurd_ranges_and_sizes_have_an_answer() {
    const COUNT: usize = 300;
    const LARGEST: usize = 250;
    let archive = Archive::new().await;
    let mut ids = Vec::new();
    for ms in 1..=COUNT {
        let ms = i64::try_from(ms).unwrap();
        ids.push(archive.put("romeo@localhost/a", "juliet@localhost", ms, "m"));
    }
    let last = ids.last().unwrap().as_str();
    for (fields, page, found) in [
        (vec![("start", "0001-01-01T00:00:00Z")], "", 50),
        (vec![("start", "9999-12-31T23:59:59.999Z")], "", 0),
        (vec![("end", "0001-01-01T00:00:00+23:59")], "", 0),
        (vec![("end", "9999-12-31T23:59:59.999-23:59")], "", 50),
        (vec![("after-id", last), ("before-id", &*ids[0])], "", 0),
        (vec![("ids", last), ("end", "1969-01-01T00:00:00Z")], "", 0),
        (vec![], "<max>251</max>", LARGEST),
        (vec![], "<max>18446744073709551616</max><before/>", LARGEST),
    ] {
        let answer = archive.query(&fields, page).await;
        assert_eq!(answer.iq.attr("type"), Some("result"), "{fields:?} {page}");
        assert_eq!(answer.results.len(), found, "{fields:?} {page}");
        assert_eq!(answer.is_complete(), found == 0, "{fields:?} {page}");
    }
    for page in ["<max>-1</max>", "<max>1.5</max>", "<max/>"] {
        assert_eq!(
            archive.query(&[], page).await.error(),
            "bad-request",
            "{page}"
        );
    }
    for start in [
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "9999-99-99T99:99:99Z",
    ] {
        let answer = archive.query(&[("start", start)], "").await;
        assert_eq!(answer.error(), "bad-request", "{start}");
    }
}

/// A page never fills what may wait for a session, however long the messages are.
#[tokio::test]
async fn a_page_fits_into_the_outbox() {
    let archive = Archive::new().await;
    let long = "x".repeat(100_000);
    for ms in 1..=30 {
        archive.put("romeo@localhost/a", "juliet@localhost", ms, &long);
    }
    let mut seen = 0;
    let mut page = "<max>30</max>".to_owned();
    loop {
        let answer = archive.query(&[], &page).await;
        assert!((1..=6).contains(&answer.results.len()));
        seen += answer.results.len();
        if answer.is_complete() {
            break;
        }
        let [_, last, _] = answer.set();
        page = format!("<max>30</max><after>{}</after>", last.unwrap());
    }
    assert_eq!(seen, 30);
    assert!(!archive.juliet.outbox.is_detached());
}

/// §5.
#[tokio::test]
async fn metadata_names_the_ends() {
    let archive = Archive::new().await;
    let metadata = format!("<metadata xmlns='{MAM}'/>");
    let empty = archive.ask("get", &metadata).await.iq;
    assert_eq!(
        empty.get_child("metadata", MAM).unwrap().children().count(),
        0
    );
    let first = archive.put("romeo@localhost/a", "juliet@localhost", 1000, "1");
    archive.put("romeo@localhost/a", "juliet@localhost", 2000, "2");
    let last = archive.put("juliet@localhost/b", "romeo@localhost", 3000, "3");
    let iq = archive.ask("get", &metadata).await.iq;
    let metadata = iq.get_child("metadata", MAM).unwrap();
    for (name, id, timestamp) in [
        ("start", &first, "1970-01-01T00:00:01.000Z"),
        ("end", &last, "1970-01-01T00:00:03.000Z"),
    ] {
        let end = metadata.get_child(name, MAM).unwrap();
        assert_eq!(end.attr("id"), Some(id.as_str()));
        assert_eq!(end.attr("timestamp"), Some(timestamp));
    }
    // XEP-0386: a client that binds is told without having to ask.
    let told = MessageArchive.always(&archive.world.exchange, &archive.juliet);
    let xml = told.unwrap().await.unwrap();
    assert_eq!(xml.parse::<Element>().unwrap(), *metadata);
}

/// XEP-0441: what is said holds at once, and when the account is loaded again.
#[tokio::test]
async fn preferences_are_kept() {
    let archive = Archive::new().await;
    let peer = |text| world::jid(text);
    let account = Arc::clone(&archive.juliet.account);
    assert!(account.archives(&peer("paris@localhost/a")));
    let prefs = "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always/>\
                 <never><jid>paris@localhost</jid></never></prefs>";
    let answer = archive.ask("set", prefs).await.iq;
    assert_eq!(
        *answer.get_child("prefs", MAM).unwrap(),
        prefs.parse::<Element>().unwrap()
    );
    assert!(!account.archives(&peer("paris@localhost/a")));
    assert!(!account.archives(&peer("nurse@localhost")));

    let exchange = &archive.world.exchange;
    exchange.unbind(&archive.juliet);
    exchange.registry.remove("juliet@localhost");
    let loaded = exchange.account("juliet@localhost").await.unwrap().unwrap();
    assert!(!Arc::ptr_eq(&loaded, &account));
    assert_eq!(loaded.preferences(), account.preferences());
    assert!(loaded.preferences().is_some());
}

/// Two clients set preferences at the same moment, and one of the writes fails.
#[tokio::test]
async fn preferences_that_are_not_written_do_not_hold() {
    let archive = Archive::new().await;
    let exchange = &archive.world.exchange;
    let tables = [
        "DROP TABLE archive_preference",
        "CREATE TABLE archive_preference (account BIGINT NOT NULL, jid TEXT NOT NULL CHECK (jid \
         <> 'paris@localhost'), rule TEXT NOT NULL, PRIMARY KEY (account, jid))",
    ];
    let tables = tables.map(|sql| waxwing_core::db::Statement::new(sql, Vec::new()));
    exchange.database.batch(tables.into()).await.unwrap();
    let account = Arc::clone(&archive.juliet.account);
    let prefs = |never: &str| {
        format!(
            "<iq type='set' id='q'><prefs xmlns='{MAM}' default='always'><always/>\
             <never><jid>{never}</jid></never></prefs></iq>"
        )
    };
    let (bad, good) = (prefs("paris@localhost"), prefs("nurse@localhost"));
    let chamber = archive.world.online("juliet", "chamber").await;
    archive.written();
    tokio::join!(
        archive.world.presence(&archive.juliet, &bad),
        archive.world.presence(&chamber, &good)
    );
    assert_eq!(archive.written()[0].attr("type"), Some("error"));
    let never = |account: &Account| account.preferences().unwrap().never.clone();
    assert_eq!(never(&account), [world::jid("nurse@localhost")]);
    archive.world.presence(&archive.juliet, &bad).await;
    assert_eq!(never(&account), [world::jid("nurse@localhost")]);
}
