//! The mailbox against real files.

mod model;

use std::path::Path;
use std::sync::mpsc;

use tempfile::TempDir;

use super::*;
use crate::db::Options;

const EVERYTHING: usize = usize::MAX;

async fn open(directory: &Path, move_at: usize) -> (Database, Mailbox) {
    open_with(directory, move_at, &Options::default()).await
}

async fn open_with(directory: &Path, move_at: usize, options: &Options) -> (Database, Mailbox) {
    let path = directory.join("test.db");
    let database = Database::open(&path, &[MIGRATIONS], options).unwrap();
    let mailbox = Mailbox::open_with(database.clone(), move_at).await.unwrap();
    (database, mailbox)
}

fn row(account: i64, text: &str) -> NewRow {
    NewRow {
        account,
        sender: format!("{account}@example.org/x"),
        received_at_ms: account * 1000,
        body: Bytes::copy_from_slice(text.as_bytes()),
    }
}

fn append(mailbox: &Mailbox, account: i64, text: &str) -> i64 {
    mailbox
        .append(row(account, text), |result| assert_eq!(result, Ok(())))
        .unwrap()
}

/// Waits until all that was queued so far is committed.
async fn settle(database: &Database) {
    database.batch(vec![]).await.unwrap();
}

async fn texts(mailbox: &Mailbox, account: i64) -> Vec<String> {
    let rows = mailbox
        .page(account, 0, EVERYTHING, EVERYTHING)
        .await
        .unwrap();
    rows.iter()
        .map(|row| String::from_utf8(row.body.to_vec()).unwrap())
        .collect()
}

/// The index says of every account what the table says, up to the id to which it is complete, and
/// holds no entry without a row.
async fn check_index(database: &Database) {
    let missing = "SELECT count(*) FROM mailbox m LEFT JOIN mailbox_index i
             ON i.account = m.account AND i.id = m.id
         WHERE m.id <= (SELECT value FROM mailbox_state WHERE name = 'indexed')
             AND (i.size IS NULL OR i.size <> m.size)";
    let dangling = "SELECT count(*) FROM mailbox_index i LEFT JOIN mailbox m ON m.id = i.id
         WHERE m.id IS NULL OR m.account <> i.account";
    for sql in [missing, dangling] {
        let rows = database.query(sql, vec![]).await.unwrap();
        assert_eq!(rows[0].int(0), Ok(0), "{sql}");
    }
}

#[tokio::test]
async fn a_row_comes_back_as_it_went_in() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    let (sender, receiver) = mpsc::channel();
    let id = mailbox
        .append(row(7, "hello"), move |result| sender.send(result).unwrap())
        .unwrap();
    settle(&database).await;
    assert_eq!(receiver.try_recv(), Ok(Ok(())));
    let page = mailbox.page(7, 0, 10, 1000).await.unwrap();
    let NewRow {
        sender,
        received_at_ms,
        body,
        ..
    } = row(7, "hello");
    assert_eq!(
        page,
        [StoredRow {
            id,
            sender,
            received_at_ms,
            body
        }]
    );
    assert_eq!(mailbox.page(8, 0, 10, 1000).await.unwrap(), []);
    assert_eq!(mailbox.page(7, id, 10, 1000).await.unwrap(), []);
    database.close().await;
}

#[tokio::test]
async fn a_page_keeps_to_its_limits() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 30).await;
    for n in 0..50 {
        append(&mailbox, 1, &format!("{n:010}"));
        append(&mailbox, 2, "other");
    }
    settle(&database).await;
    let size = async |limit, bytes| mailbox.page(1, 0, limit, bytes).await.unwrap().len();
    assert_eq!(size(7, EVERYTHING).await, 7);
    assert_eq!(size(EVERYTHING, 10 * 43).await, 43);
    assert_eq!(size(EVERYTHING, 10 * 43 - 1).await, 42);
    assert_eq!(size(EVERYTHING, 1).await, 1, "one row always comes");
    assert_eq!(size(0, 100).await, 0);
    let mut after = 0;
    let mut all = Vec::new();
    loop {
        let page = mailbox.page(1, after, 6, EVERYTHING).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        all.extend(page);
    }
    assert!(all.is_sorted_by_key(|row| row.id) && all.len() == 50);
    database.close().await;
}

#[tokio::test]
async fn rows_move_into_the_index_behind_the_commits() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 1000).await;
    for n in 0..5000 {
        append(&mailbox, n % 7, "x");
        if n % 3 == 0 {
            settle(&database).await;
        }
    }
    for _ in 0..20 {
        settle(&database).await;
    }
    check_index(&database).await;
    let rows = database
        .query("SELECT count(*) FROM mailbox_index", vec![])
        .await
        .unwrap();
    assert!(rows[0].int(0).unwrap() >= 4000, "{rows:?}");
    assert_eq!(
        mailbox.usage(3).await,
        Ok(Usage {
            count: 714,
            bytes: 714
        })
    );
    assert_eq!(mailbox.stats().await.unwrap().count, 5000);
    assert_eq!(texts(&mailbox, 3).await.len(), 714);
    database.close().await;
}

#[tokio::test]
async fn a_page_is_whole_at_every_moment_of_a_move() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 2000).await;
    let mut newest = 0;
    for n in 0..30_000 {
        let id = append(&mailbox, n % 5, "x");
        if n % 5 == 2 {
            newest = id;
        }
        if n % 500 == 499 {
            settle(&database).await;
            let count = usize::try_from((n + 1) / 5).unwrap();
            let page = mailbox.page(2, 0, EVERYTHING, EVERYTHING).await.unwrap();
            assert_eq!((page.len(), page.last().unwrap().id), (count, newest));
            assert_eq!(mailbox.usage(2).await.unwrap().count, count as u64);
        }
    }
    check_index(&database).await;
    database.close().await;
}

#[tokio::test]
async fn removing_twice_or_what_is_another_accounts_does_no_harm() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 50).await;
    let ids: Vec<i64> = (0..200)
        .map(|n| append(&mailbox, n % 2, &n.to_string()))
        .collect();
    mailbox.remove(0, ids.clone()).await.unwrap();
    mailbox.remove(0, ids.clone()).await.unwrap();
    mailbox.remove(0, vec![]).await.unwrap();
    mailbox.remove(1, vec![ids[1]]).await.unwrap();
    assert_eq!(mailbox.usage(0).await, Ok(Usage::default()));
    assert_eq!(mailbox.usage(1).await.unwrap().count, 99);
    assert_eq!(texts(&mailbox, 1).await[0], "3");
    check_index(&database).await;
    database.close().await;
}

#[tokio::test]
async fn an_account_goes_with_all_it_has() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 100).await;
    for n in 0..350 {
        append(&mailbox, n % 2, "x");
        if n == 200 {
            settle(&database).await;
        }
    }
    mailbox.remove_account(0).await.unwrap();
    assert_eq!(mailbox.usage(0).await, Ok(Usage::default()));
    assert_eq!(mailbox.usage(1).await.unwrap().count, 175);
    let rows = database
        .query("SELECT count(*) FROM mailbox", vec![])
        .await
        .unwrap();
    assert_eq!(rows[0].int(0), Ok(175));
    check_index(&database).await;
    database.close().await;
}

#[tokio::test]
async fn what_waits_too_long_is_found_oldest_first() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    let ids: Vec<i64> = (1..=100)
        .map(|account| append(&mailbox, account, "x"))
        .collect();
    settle(&database).await;
    assert_eq!(mailbox.stats().await.unwrap().oldest_ms, Some(1000));
    let expired = mailbox.expired(50_001, 40).await.unwrap();
    assert_eq!(expired.len(), 40);
    assert_eq!((expired[0].0, expired[0].1.id), (1, ids[0]));
    for (account, row) in expired {
        mailbox.remove(account, vec![row.id]).await.unwrap();
    }
    assert_eq!(mailbox.expired(50_001, 40).await.unwrap().len(), 10);
    assert_eq!(mailbox.expired(1000, 40).await.unwrap(), []);
    database.close().await;
}

#[tokio::test]
async fn no_id_is_given_twice() {
    let directory = TempDir::new().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let (database, mailbox) = open(directory.path(), 10).await;
        let id = append(&mailbox, 1, "x");
        assert!(id > last);
        last = id;
        mailbox.remove(1, vec![id]).await.unwrap();
        database.close().await;
    }
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_and_the_others_stay_in_order() {
    let directory = TempDir::new().unwrap();
    let options = Options {
        max_pages: Some(300),
        ..Options::default()
    };
    let (database, mailbox) = open_with(directory.path(), 20, &options).await;
    let (sender, receiver) = mpsc::channel();
    for n in 0..1000 {
        let sender = sender.clone();
        let text = "x".repeat(if n % 10 == 0 { 30_000 } else { 1000 });
        let row = row(n % 3, &text);
        let id = std::sync::Arc::new(Mutex::new(0));
        let given = std::sync::Arc::clone(&id);
        let done = move |result: Result<(), DbError>| sender.send((given, result)).unwrap();
        *id.lock() = mailbox.append(row, done).unwrap();
    }
    settle(&database).await;
    let results: Vec<_> = receiver.try_iter().collect();
    assert_eq!(results.len(), 1000);
    assert!(
        results.is_sorted_by_key(|(id, _)| *id.lock()),
        "results come in the order of the ids"
    );
    let is_stored = |result: &Result<(), DbError>| match result {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(*error, DbError::Full);
            false
        }
    };
    let mut stored: Vec<i64> = results
        .iter()
        .filter(|(_, result)| is_stored(result))
        .map(|(id, _)| *id.lock())
        .collect();
    assert!(!stored.is_empty() && stored.len() < 1000);
    let mut found = Vec::new();
    for account in 0..3 {
        let rows = mailbox
            .page(account, 0, EVERYTHING, EVERYTHING)
            .await
            .unwrap();
        assert!(rows.is_sorted_by_key(|row| row.id));
        assert_eq!(
            mailbox.usage(account).await.unwrap().count,
            rows.len() as u64
        );
        found.extend(rows.iter().map(|row| row.id));
    }
    found.sort_unstable();
    stored.sort_unstable();
    assert_eq!(found, stored);
    check_index(&database).await;
    database.close().await;
}
