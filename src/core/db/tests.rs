//! The database against real files: writes and reads here, opening and failing disks beside.

mod failure;
mod opening;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;

const NOTES: Migrations = Migrations {
    extension: "notes",
    steps: &["CREATE TABLE note (id bigint PRIMARY KEY, text text NOT NULL, data blob);"],
};

const INSERT: &str = "INSERT INTO note (id, text) VALUES (?1, ?2)";

fn path(directory: &TempDir) -> PathBuf {
    directory.path().join("test.db")
}

fn open(directory: &TempDir) -> Database {
    open_with(directory, &Options::default())
}

fn open_with(directory: &TempDir, options: &Options) -> Database {
    Database::open(&path(directory), &[NOTES], options).unwrap()
}

fn insert(id: i64, text: &str) -> Statement {
    Statement::new(INSERT, [id.into(), text.into()])
}

async fn ids(database: &Database) -> Vec<i64> {
    let rows = database
        .query("SELECT id FROM note ORDER BY id", vec![])
        .await
        .unwrap();
    rows.iter().map(|row| row.int(0).unwrap()).collect()
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let sql = "INSERT INTO note (id, text, data) VALUES (?1, ?2, ?3)";
    let full = [i64::MIN.into(), "naïve 🦉".into(), vec![0u8, 255].into()];
    let empty = [2.into(), "".into(), Value::Null];
    let statements = vec![Statement::new(sql, full), Statement::new(sql, empty)];
    assert_eq!(database.batch(statements).await, Ok(vec![1, 1]));
    let rows = database
        .query("SELECT text, data FROM note ORDER BY id", vec![])
        .await
        .unwrap();
    assert_eq!(rows[0].text(0), Ok("naïve 🦉"));
    assert_eq!(rows[0].blob(1).as_deref(), Ok(&[0u8, 255][..]));
    assert_eq!(rows[1].text(0), Ok(""));
    assert_eq!(rows[1].opt_blob(1), Ok(None));
    database.close().await;
}

#[tokio::test]
async fn a_batch_tells_how_many_rows_each_statement_changed() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let statements = vec![
        insert(1, "a"),
        insert(2, "b"),
        Statement::new("UPDATE note SET text = ?1", ["c".into()]),
        Statement::new("DELETE FROM note WHERE id > ?1", [100.into()]),
        Statement::new("SELECT 1", []),
    ];
    assert_eq!(database.batch(statements).await, Ok(vec![1, 1, 2, 0, 0]));
    assert_eq!(database.batch(vec![]).await, Ok(vec![]));
    database.close().await;
}

#[tokio::test]
async fn returning_gives_rows() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let sql = "INSERT INTO note (id, text) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET text = note.text || excluded.text RETURNING id, text";
    let upsert = |text: &str| Statement::new(sql, [1.into(), text.into()]);
    let rows = database
        .batch_returning(vec![upsert("a"), upsert("b")])
        .await
        .unwrap();
    assert_eq!(rows[1], [Row::new(vec![1.into(), "ab".into()])]);
    database.close().await;
}

#[tokio::test]
async fn a_failing_batch_leaves_nothing_and_harms_no_other() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    // One group: they queue while the first commit runs.
    let pending: Vec<_> = (0..50)
        .map(|n| {
            let second = if n % 2 == 0 {
                insert(n * 2 + 1, "second")
            } else {
                insert(0, "taken")
            };
            database.submit(vec![insert(n * 2, "first"), second])
        })
        .collect();
    for (n, result) in pending.into_iter().enumerate() {
        match result.await {
            Ok(counts) => assert!(n % 2 == 0 && counts == [1, 1]),
            Err(error) => assert!(n % 2 == 1 && matches!(error, DbError::Constraint(_))),
        }
    }
    let expected: Vec<i64> = (0..50)
        .step_by(2)
        .flat_map(|n| [n * 2, n * 2 + 1])
        .collect();
    assert_eq!(ids(&database).await, expected);
    database.close().await;
}

/// Alone in its batch, and in the group of others, too.
#[tokio::test]
async fn a_statement_for_many_rows_is_carried_out_for_all_or_none() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let rows = |ids: [i64; 3]| {
        let sets = ids.map(|id| [id.into(), "many".into()]);
        vec![Statement::each(INSERT, sets)]
    };
    assert_eq!(database.batch(rows([1, 2, 3])).await, Ok(vec![3]));
    let taken = database.submit(rows([4, 5, 3]));
    let others = [database.submit(rows([6, 7, 8])), database.submit(vec![])];
    let taken = taken.await;
    assert!(matches!(taken, Err(DbError::Constraint(_))), "{taken:?}");
    let [many, none] = others;
    assert_eq!((many.await, none.await), (Ok(vec![3]), Ok(vec![])));
    let none: [[Value; 2]; 0] = [];
    let nothing = vec![Statement::each(INSERT, none), insert(9, "one")];
    assert_eq!(database.batch(nothing).await, Ok(vec![0, 1]));
    assert_eq!(ids(&database).await, [1, 2, 3, 6, 7, 8, 9]);
    database.close().await;
}

#[tokio::test]
async fn a_wrong_statement_is_an_error_of_its_own() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let wrong = [
        Statement::new("INSERT INTO nowhere VALUES (1)", []),
        Statement::new("nonsense", []),
        Statement::new(INSERT, [1.into()]),
    ];
    for statement in wrong {
        let result = database.batch(vec![insert(1, "x"), statement]).await;
        assert!(matches!(result, Err(DbError::Statement(_))), "{result:?}");
    }
    let query = database.query("SELECT nothing FROM note", vec![]).await;
    assert!(matches!(query, Err(DbError::Statement(_))));
    let write = database.query("DELETE FROM note", vec![]).await;
    assert!(write.is_err(), "a query cannot write");
    assert_eq!(ids(&database).await, [0; 0]);
    database.close().await;
}

#[tokio::test]
async fn waiting_batches_share_a_commit() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let pending: Vec<_> = (0..2000)
        .map(|n| database.submit(vec![insert(n, "x")]))
        .collect();
    for result in pending {
        assert_eq!(result.await, Ok(vec![1]));
    }
    let stats = database.stats();
    assert_eq!(stats.batches, 2000);
    assert!(stats.commits < 200, "{stats:?}");
    database.close().await;
}

#[tokio::test]
async fn batches_are_carried_out_in_the_order_of_the_calls() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let order = Arc::new(Mutex::new(Vec::new()));
    database.batch(vec![insert(1, "")]).await.unwrap();
    for n in 0..500 {
        let order = Arc::clone(&order);
        let sql = "UPDATE note SET text = text || ?1 WHERE id = 1";
        let append = Statement::new(sql, [format!("{n};").into()]);
        let done = move |result: Result<(), DbError>| order.lock().push(result.map(|()| n));
        if n % 2 == 0 {
            database.submit_with(vec![append], done).unwrap();
        } else {
            database.submit_one_with(append, done).unwrap();
        }
    }
    database.batch(vec![]).await.unwrap();
    let rows = database
        .query("SELECT text FROM note", vec![])
        .await
        .unwrap();
    let expected: String = (0..500).map(|n| format!("{n};")).collect();
    assert_eq!(rows[0].text(0), Ok(expected.as_str()));
    assert_eq!(*order.lock(), (0..500).map(Ok).collect::<Vec<_>>());
    database.close().await;
}

#[tokio::test]
async fn a_dropped_result_does_not_cancel_the_write() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    drop(database.submit(vec![insert(7, "x")]));
    database.batch(vec![]).await.unwrap();
    assert_eq!(ids(&database).await, [7]);
    database.close().await;
}

#[tokio::test]
async fn a_panicking_function_does_not_stop_the_writes() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    database
        .submit_one_with(insert(1, "x"), |_| panic!("on purpose"))
        .unwrap();
    assert_eq!(database.batch(vec![insert(2, "x")]).await, Ok(vec![1]));
    assert_eq!(ids(&database).await, [1, 2]);
    database.close().await;
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let directory = TempDir::new().unwrap();
    let database = open_with(
        &directory,
        &Options {
            queue_statements: 10,
            ..Options::default()
        },
    );
    let (release, hold) = std::sync::mpsc::channel::<()>();
    let wait = move |_| hold.recv().unwrap();
    database
        .submit_one_with(insert(0, "holds the writer"), wait)
        .unwrap();
    while database.stats().commits == 0 {
        tokio::task::yield_now().await;
    }
    let pending: Vec<_> = (1..=12)
        .map(|n| database.submit(vec![insert(n, "x")]))
        .collect();
    release.send(()).unwrap();
    let mut results = Vec::new();
    for result in pending {
        results.push(result.await);
    }
    assert_eq!(results[..10], vec![Ok(vec![1]); 10]);
    assert_eq!(results[10..], vec![Err(DbError::Busy); 2]);
    assert_eq!(ids(&database).await.len(), 11);
    database.close().await;
}

#[tokio::test]
async fn many_queries_wait_for_their_turn() {
    let directory = TempDir::new().unwrap();
    let database = open_with(
        &directory,
        &Options {
            queue_queries: 2,
            ..Options::default()
        },
    );
    database.batch(vec![insert(1, "x")]).await.unwrap();
    let queries: Vec<_> = (0..100)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { ids(&database).await })
        })
        .collect();
    for query in queries {
        assert_eq!(query.await.unwrap(), [1]);
    }
    database.close().await;
}

#[tokio::test]
async fn close_carries_out_what_has_queued_and_empties_the_log() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let other = database.clone();
    let pending: Vec<_> = (0..500)
        .map(|n| database.submit(vec![insert(n, "x")]))
        .collect();
    database.close().await;
    for result in pending {
        assert_eq!(result.await, Ok(vec![1]));
    }
    assert_eq!(
        other.batch(vec![insert(1000, "x")]).await,
        Err(DbError::Closed)
    );
    assert_eq!(other.query("SELECT 1", vec![]).await, Err(DbError::Closed));
    let log = directory.path().join("test.db-wal");
    assert_eq!(
        log.metadata().map_or(0, |log| log.len()),
        0,
        "nothing is left in the log"
    );
    assert_eq!(holder(&path(&directory)), None);
    let database = open(&directory);
    assert_eq!(ids(&database).await.len(), 500);
    database.close().await;
}

#[tokio::test]
async fn the_log_does_not_grow_without_end() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let text = "x".repeat(10_000);
    let log = directory.path().join("test.db-wal");
    let mut longest = 0;
    for round in 0..400i64 {
        let batch = |n| database.submit(vec![insert(round * 100 + n, &text)]);
        let pending: Vec<_> = (0..100).map(batch).collect();
        for result in pending {
            result.await.unwrap();
        }
        longest = longest.max(log.metadata().unwrap().len());
    }
    assert!(longest < 160 << 20, "{longest} bytes for 400 MB written");
    database.close().await;
}
