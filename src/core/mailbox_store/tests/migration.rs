//! A database of the first version of the tables.

use super::*;
use crate::db::{Row, Statement};

const FIRST: Migrations = Migrations {
    extension: "mailbox",
    steps: &[include_str!("../../migrations/mailbox_1.sql")],
};

/// (account, received at, stanza), in the order of the ids. The clock was set back once.
const OLD: [(i64, i64, &str); 6] = [
    (2, 1_700_000_000_000, "a"),
    (1, 1_700_000_000_000, "bb"),
    (2, 1_700_000_000_005, "c"),
    (2, 1_600_000_000_000, "d"),
    (1, 1_700_000_000_005, "e"),
    (2, 1_700_000_000_006, "f"),
];

fn old_row((id, (account, received, text)): (i64, &(i64, i64, &str))) -> Statement {
    let sql = "INSERT INTO mailbox (id, account, size, received_at, sender, body)
        VALUES (?1, ?2, ?3, ?4, 'romeo@example.org/x', ?5)";
    let size = i64::try_from(text.len()).unwrap();
    let params = [
        id.into(),
        (*account).into(),
        size.into(),
        (*received).into(),
        text.as_bytes().into(),
    ];
    Statement::new(sql, params)
}

#[tokio::test]
async fn what_waited_still_waits_in_the_same_order() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("test.db");
    let database = Database::open(&path, &[FIRST], &Options::default()).unwrap();
    let mut statements: Vec<_> = (3..).step_by(2).zip(&OLD).map(old_row).collect();
    statements.push(Statement::new(
        "INSERT INTO mailbox_index (account, id, size) VALUES (2, 3, 1)",
        Vec::new(),
    ));
    statements.push(Statement::new(
        "UPDATE mailbox_state SET value = 1000000 WHERE name = 'reserved'",
        Vec::new(),
    ));
    database.batch(statements).await.unwrap();
    database.close().await;

    let (database, mailbox) = open(directory.path(), 10).await;
    check_index(&database).await;
    assert_eq!(texts(&mailbox, 1).await, ["bb", "e"]);
    let rows = queue(&mailbox, 2).await;
    assert_eq!(
        rows.iter().map(text).collect::<Vec<_>>(),
        ["a", "c", "d", "f"]
    );
    // The id of the row that came while the clock was wrong is that of its time as it seemed.
    let times: Vec<i64> = rows.iter().map(StoredRow::received_at_ms).collect();
    let start = 1_700_000_000_000;
    assert_eq!(times, [start, start + 5, start + 5, start + 6]);
    assert!(rows.iter().all(|row| row.from == "romeo@example.org/x"));
    assert!(rows.iter().all(|row| row.flags == Flags::INCOMING));
    let usage = Usage { count: 2, bytes: 3 };
    assert_eq!(mailbox.usage(1, 0).await, Ok(usage));
    assert_eq!(mailbox.stats().await.unwrap().count, 6);
    let newest = rows.last().unwrap().id;
    assert!(append(&mailbox, 1, "new") > newest);
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'mailbox%'";
    let tables = database.query(tables, vec![]).await.unwrap();
    assert_eq!(tables, [Row::new(vec!["mailbox_state".into()])]);
    database.close().await;
}

#[tokio::test]
async fn an_empty_mailbox_migrates_too() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("test.db");
    let database = Database::open(&path, &[FIRST], &Options::default()).unwrap();
    database.close().await;
    let (database, mailbox) = open(directory.path(), 10).await;
    assert_eq!(append(&mailbox, 1, "x"), id_at(1000));
    settle(&database).await;
    assert_eq!(texts(&mailbox, 1).await, ["x"]);
    database.close().await;
}
