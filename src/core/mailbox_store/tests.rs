//! The mailbox against real files.

mod archive;
mod devices;
mod migration;
mod model;
mod ownership;
mod plans;
mod refusals;

use std::path::Path;
use std::sync::mpsc;

use bytes::Bytes;
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

fn bare(account: i64) -> String {
    format!("{account}@example.org")
}

/// What a stranger sends to an account: owed to it, in no archive.
fn row(account: i64, text: &str) -> NewRow {
    NewRow {
        recipient: account,
        sender_account: 0,
        from: "stranger@example.com/x".to_owned(),
        to_bare: bare(account),
        flags: Flags::INCOMING,
        received_at_ms: account * 1000,
        key: 0,
        stream: 0,
        number: 0,
        body: Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// What one account sends to another, in both archives.
fn chat(from: i64, to: i64, text: &str) -> NewRow {
    NewRow {
        sender_account: from,
        from: format!("{}/x", bare(from)),
        flags: Flags::INCOMING | Flags::ARCHIVED | Flags::SENT,
        received_at_ms: 1000,
        ..row(to, text)
    }
}

fn put(mailbox: &Mailbox, row: NewRow) -> i64 {
    let done = |_, result| assert_eq!(result, Ok(()));
    mailbox.append(row, done).unwrap()
}

fn append(mailbox: &Mailbox, account: i64, text: &str) -> i64 {
    put(mailbox, row(account, text))
}

/// Waits until all that was queued so far is committed.
async fn settle(database: &Database) {
    database.batch(vec![]).await.unwrap();
}

/// Waits until a move that is due is over.
async fn settle_moves(database: &Database) {
    for _ in 0..300 {
        settle(database).await;
    }
}

fn text(row: &StoredRow) -> String {
    String::from_utf8(row.body.to_vec()).unwrap()
}

async fn queue(mailbox: &Mailbox, account: i64) -> Vec<StoredRow> {
    let page = mailbox.page(account, 0, EVERYTHING, EVERYTHING).await;
    page.unwrap()
}

async fn texts(mailbox: &Mailbox, account: i64) -> Vec<String> {
    queue(mailbox, account).await.iter().map(text).collect()
}

async fn count(database: &Database, sql: &'static str) -> i64 {
    let rows = database.query(sql, vec![]).await.unwrap();
    rows[0].int(0).unwrap()
}

/// The index says of every account what the table says, up to the id to which it is complete, and
/// holds no entry without a row; there is no row without an owner.
async fn check_index(database: &Database) {
    const KIND_IN: &str = "CASE flags & 3 WHEN 3 THEN 1 WHEN 2 THEN 2 ELSE 4 END";
    const KIND_OUT: &str = "CASE WHEN (flags & 4) <> 0
        AND NOT (recipient = sender_account AND (flags & 2) <> 0) THEN 3 ELSE 5 END";
    let missing = |account: &str, kind: &str, peer: &str, owned: &str| {
        format!(
            "SELECT count(*) FROM message m LEFT JOIN message_index i
                 ON i.account = m.{account} AND i.kind = ({kind}) AND i.id = m.id
             WHERE m.id <= (SELECT value FROM mailbox_state WHERE name = 'indexed') AND {owned}
                 AND (i.size IS NULL OR i.size <> m.size OR i.peer <> m.{peer})"
        )
    };
    let wrong = [
        missing("recipient", KIND_IN, "peer_in", "(flags & 3) <> 0"),
        missing(
            "sender_account",
            KIND_OUT,
            "peer_out",
            "sender_account <> 0",
        ),
        format!(
            "SELECT count(*) FROM message_index i LEFT JOIN message m ON m.id = i.id
             WHERE m.id IS NULL OR NOT (
                 (recipient = i.account AND (flags & 3) <> 0 AND i.kind = ({KIND_IN}))
                 OR (sender_account <> 0 AND sender_account = i.account AND i.kind = ({KIND_OUT})))"
        ),
        "SELECT count(*) FROM message WHERE (flags & 7) = 0".to_owned(),
    ];
    for sql in wrong {
        assert_eq!(count(database, sql.leak()).await, 0);
    }
}

#[tokio::test]
async fn a_row_comes_back_as_it_went_in() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    let (sender, receiver) = mpsc::channel();
    let watched = mailbox.clone();
    let done = move |_, result| sender.send((result, watched.committed())).unwrap();
    let new = NewRow {
        flags: Flags::INCOMING | Flags::DIRECTED,
        ..row(7, "hello")
    };
    let id = mailbox.append(new.clone(), done).unwrap();
    settle(&database).await;
    assert_eq!(
        receiver.try_recv(),
        Ok((Ok(()), id)),
        "the watermark is set before the call"
    );
    let page = mailbox.page(7, 0, 10, 1000).await.unwrap();
    let expected = StoredRow {
        id,
        from: new.from,
        flags: new.flags,
        body: new.body,
    };
    assert_eq!(page, [expected]);
    assert_eq!(page[0].received_at_ms(), new.received_at_ms);
    assert_eq!(mailbox.page(8, 0, 10, 1000).await.unwrap(), []);
    assert_eq!(mailbox.page(7, id, 10, 1000).await.unwrap(), []);
    database.close().await;
}

#[tokio::test]
async fn ids_carry_the_time_and_only_grow() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    let at = |ms| NewRow {
        received_at_ms: ms,
        ..row(1, "x")
    };
    let ids = [5000, 5000, 4000, 6000, -1].map(|ms| put(&mailbox, at(ms)));
    assert_eq!(ids[0], id_at(5000));
    assert_eq!((ids[1], ids[2]), (ids[0] + 1, ids[0] + 2));
    assert_eq!((ids[3], ids[4]), (id_at(6000), id_at(6000) + 1));
    assert_eq!((id_at(-5), id_at(i64::MAX) >> 63), (0, 0));
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
        let left = mailbox.usage(1, after).await.unwrap().count;
        assert_eq!(left, 50 - all.len() as u64);
    }
    assert!(all.is_sorted_by_key(|row| row.id) && all.len() == 50);
    database.close().await;
}

#[tokio::test]
async fn rows_move_into_the_index_behind_the_commits() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 1000).await;
    for n in 0..5000 {
        append(&mailbox, n % 7 + 1, "x");
        if n % 3 == 0 {
            settle(&database).await;
        }
    }
    settle_moves(&database).await;
    check_index(&database).await;
    let entries = count(&database, "SELECT count(*) FROM message_index").await;
    assert!(entries >= 4000, "{entries}");
    let usage = Usage {
        count: 714,
        bytes: 714,
    };
    assert_eq!(mailbox.usage(4, 0).await, Ok(usage));
    assert_eq!(mailbox.stats().await.unwrap().count, 5000);
    assert_eq!(texts(&mailbox, 4).await.len(), 714);
    database.close().await;
}

#[tokio::test]
async fn a_page_is_whole_at_every_moment_of_a_move() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 2000).await;
    let mut newest = 0;
    for n in 0..30_000 {
        let id = put(&mailbox, chat(n % 5 + 1, (n + 2) % 5 + 1, "x"));
        if n % 5 == 2 {
            newest = id;
        }
        if n % 500 == 499 {
            settle(&database).await;
            let count = usize::try_from((n + 1) / 5).unwrap();
            let page = queue(&mailbox, 5).await;
            assert_eq!((page.len(), page.last().unwrap().id), (count, newest));
            assert_eq!(mailbox.usage(5, 0).await.unwrap().count, count as u64);
            for with in [None, Some(peer_hash(&bare(3)))] {
                let filter = Filter {
                    with,
                    ..Filter::default()
                };
                let expected = if with.is_some() { count } else { 2 * count };
                let archive = mailbox.archive_page(5, &filter, false, EVERYTHING).await;
                assert_eq!(archive.unwrap().len(), expected);
                let counted = mailbox.archive_count(5, &filter, u64::MAX).await;
                assert_eq!(counted, Ok(expected as u64));
            }
        }
    }
    settle_moves(&database).await;
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
    assert_eq!((expired[0].recipient, expired[0].row.id), (1, ids[0]));
    let old = expired.iter().map(|owned| owned.row.id).collect();
    mailbox.remove_expired(old).await.unwrap();
    assert_eq!(mailbox.expired(50_001, 40).await.unwrap().len(), 10);
    assert_eq!(mailbox.expired(1000, 40).await.unwrap(), []);
    settle_moves(&database).await;
    check_index(&database).await;
    assert_eq!(mailbox.find(ids[0]).await, Ok(None));
    assert_eq!(mailbox.find(ids[99]).await.unwrap().unwrap().recipient, 100);
    database.close().await;
}

#[tokio::test]
async fn no_id_is_given_below_a_row_or_a_cursor() {
    let directory = TempDir::new().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let (database, mailbox) = open(directory.path(), 10).await;
        assert!(mailbox.committed() >= last);
        let id = append(&mailbox, 1, "x");
        assert!(id > last);
        last = id;
        mailbox.acknowledge(1, None, id, 0);
        mailbox.write_cursors();
        mailbox.remove(1, vec![id]).await.unwrap();
        database.close().await;
    }
}
