//! Disks that are full, disks that fail, and a process that is killed.

use std::process::Command;

use super::*;

const SIZE: usize = 4000;

fn large(id: i64) -> Statement {
    insert(id, &"x".repeat(SIZE))
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_goes_on() {
    let directory = TempDir::new().unwrap();
    let database = open_with(
        &directory,
        &Options {
            max_pages: Some(64),
            ..Options::default()
        },
    );
    let pending: Vec<_> = (0..200).map(|n| database.submit(vec![large(n)])).collect();
    let mut stored = Vec::new();
    for (n, result) in (0..).zip(pending) {
        match result.await {
            Ok(counts) => {
                assert_eq!(counts, [1]);
                stored.push(n);
            }
            Err(error) => assert_eq!(error, DbError::Full),
        }
    }
    assert!((20..64).contains(&stored.len()), "{} fit", stored.len());
    assert_eq!(
        ids(&database).await,
        stored,
        "what was acknowledged is there, and nothing else"
    );

    let delete = Statement::new("DELETE FROM note WHERE id < ?1", [10.into()]);
    assert_eq!(database.batch(vec![delete]).await, Ok(vec![10]));
    assert_eq!(
        database.batch(vec![large(1000)]).await,
        Ok(vec![1]),
        "there is room again"
    );
    database.close().await;
}

#[tokio::test]
async fn a_batch_that_does_not_fit_takes_no_other_with_it() {
    let directory = TempDir::new().unwrap();
    let database = open_with(
        &directory,
        &Options {
            max_pages: Some(64),
            ..Options::default()
        },
    );
    let small = |n| database.submit(vec![insert(n, "x")]);
    let before: Vec<_> = (0..20).map(small).collect();
    let large = database.submit((100..200).map(large).collect());
    let after: Vec<_> = (20..40).map(small).collect();
    assert_eq!(large.await, Err(DbError::Full));
    for result in before.into_iter().chain(after) {
        assert_eq!(result.await, Ok(vec![1]));
    }
    assert_eq!(ids(&database).await, (0..40).collect::<Vec<_>>());
    database.close().await;
}

fn log_length(directory: &TempDir) -> u64 {
    let log = directory.path().join("test.db-wal");
    log.metadata().map_or(0, |data| data.len())
}

#[tokio::test]
async fn a_failed_database_leaves_its_log_to_the_next_start() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    database.batch(vec![insert(1, "x")]).await.unwrap();
    database
        .0
        .shared
        .fail("fsync of the database file, says the test");
    database.close().await;
    assert!(log_length(&directory) > 0, "the log is gone");
    let database = open(&directory);
    assert_eq!(ids(&database).await, [1]);
    database.close().await;
}

#[tokio::test]
async fn an_orderly_end_leaves_an_empty_log() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    database.batch(vec![insert(1, "x")]).await.unwrap();
    assert!(log_length(&directory) > 0);
    database.close().await;
    assert_eq!(log_length(&directory), 0);
    // The file alone is all of it.
    let copy = TempDir::new().unwrap();
    std::fs::copy(path(&directory), path(&copy)).unwrap();
    let database = open(&copy);
    assert_eq!(ids(&database).await, [1]);
    database.close().await;
}

/// A limit on the size of files makes writes fail in the middle; it needs a process of its own.
#[test]
fn a_failing_disk_refuses_all_further_writes() {
    let directory = TempDir::new().unwrap();
    let own = std::env::current_exe().unwrap();
    let status = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 1024; exec \"$0\" --ignored --exact \"$1\"",
        ])
        .arg(own)
        .arg(format!(
            "{}::writes_until_the_disk_fails",
            module_path!().split_once("::").unwrap().1
        ))
        .env("TEST_DIRECTORY", directory.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&status.stdout);
    assert!(
        status.status.success() && output.contains("1 passed"),
        "{output}"
    );
}

#[tokio::test]
#[ignore = "run by a_failing_disk_refuses_all_further_writes"]
async fn writes_until_the_disk_fails() {
    let directory = PathBuf::from(std::env::var_os("TEST_DIRECTORY").unwrap());
    let path = directory.join("test.db");
    let database = Database::open(&path, &[NOTES], &Options::default()).unwrap();
    let mut stored = Vec::new();
    let error = loop {
        let id = i64::try_from(stored.len()).unwrap();
        match database.batch(vec![large(id)]).await {
            Ok(_) => stored.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, DbError::Failed(_)), "{error}");
    assert_eq!(database.failed().await, error);
    assert!(matches!(
        database.batch(vec![insert(-1, "x")]).await,
        Err(DbError::Failed(_))
    ));
    assert_eq!(ids(&database).await, stored, "queries still answer");
    database.close().await;
}

/// The files as they are at some moment are what a killed process leaves.
#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let acknowledged = Arc::new(Mutex::new(0usize));
    for n in 0..3000usize {
        let acknowledged = Arc::clone(&acknowledged);
        let done = move |result: Result<(), DbError>| {
            result.unwrap();
            *acknowledged.lock() = n + 1;
        };
        let id = 2 * i64::try_from(n).unwrap();
        database
            .submit_with(vec![insert(id, "x"), insert(id + 1, "x")], done)
            .unwrap();
    }
    for round in 0..5 {
        let copy = TempDir::new().unwrap();
        let before = *acknowledged.lock();
        // The file first: what a checkpoint moves into it meanwhile is in the log still.
        for name in ["test.db", "test.db-wal"] {
            std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
        }
        let survivor = open(&copy);
        let found = ids(&survivor).await;
        assert_eq!(
            found,
            (0..i64::try_from(found.len()).unwrap()).collect::<Vec<_>>()
        );
        assert!(found.len() % 2 == 0, "whole batches only");
        assert!(
            found.len() >= before * 2,
            "round {round}: {} of {before}",
            found.len()
        );
        survivor.close().await;
    }
    database.close().await;
}
