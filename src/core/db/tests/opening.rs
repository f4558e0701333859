//! Opening: locks, versions, backups, and files that are no database.

use std::os::unix::fs::PermissionsExt;

use super::*;

const NEXT: Migrations = Migrations {
    extension: "notes",
    steps: &[NOTES.steps[0], "ALTER TABLE note ADD COLUMN colour text;"],
};

const BROKEN: Migrations = Migrations {
    extension: "notes",
    steps: &[NOTES.steps[0], "ALTER TABLE nowhere DROP x;"],
};

fn reopen(directory: &TempDir, migrations: &[Migrations]) -> Result<Database, OpenError> {
    Database::open(&path(directory), migrations, &Options::default())
}

fn backups(directory: &TempDir) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.path()).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.to_string_lossy().contains(".backup-"));
    found.sort();
    found
}

#[tokio::test]
async fn one_process_at_a_time() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let error = reopen(&directory, &[NOTES]).err().unwrap();
    let own = Some(std::process::id());
    assert!(
        matches!(error, OpenError::Locked { pid, .. } if pid == own),
        "{error}"
    );
    assert!(
        error.to_string().contains("locked by another process"),
        "{error}"
    );
    assert_eq!(holder(&path(&directory)), Some(own));
    database.close().await;
    reopen(&directory, &[NOTES]).unwrap().close().await;
    assert_eq!(holder(&path(&directory)), None);
}

#[tokio::test]
async fn dropping_the_last_clone_closes() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    database.batch(vec![insert(1, "x")]).await.unwrap();
    drop(database);
    for _ in 0..200 {
        if let Ok(database) = reopen(&directory, &[NOTES]) {
            assert_eq!(ids(&database).await, [1]);
            return database.close().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the lock was not freed");
}

#[tokio::test]
async fn migrations_keep_what_is_there_and_back_it_up() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    database.batch(vec![insert(1, "x")]).await.unwrap();
    database.close().await;
    reopen(&directory, &[NOTES]).unwrap().close().await;
    assert!(
        backups(&directory).is_empty(),
        "nothing to migrate, nothing to back up"
    );

    let database = reopen(&directory, &[NEXT]).unwrap();
    let rows = database
        .query("SELECT id, colour FROM note", vec![])
        .await
        .unwrap();
    assert_eq!(rows, [Row::new(vec![1.into(), Value::Null])]);
    database.close().await;
    let [backup] = &backups(&directory)[..] else {
        panic!("one backup")
    };
    let old = rusqlite::Connection::open(backup).unwrap();
    let version = "SELECT version FROM schema_version WHERE extension = 'notes'";
    assert_eq!(
        old.query_row(version, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        1
    );
    assert_eq!(
        old.query_row("SELECT count(*) FROM note", [], |row| row.get::<_, i64>(0)),
        Ok(1)
    );
}

#[tokio::test]
async fn nobody_else_may_read_any_of_it() {
    let directory = TempDir::new().unwrap();
    let open_to_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open_to_all).unwrap();
    open(&directory).close().await;
    let database = reopen(&directory, &[NEXT]).unwrap();
    database.batch(vec![insert(1, "x")]).await.unwrap();
    let mut seen = backups(&directory);
    assert_eq!(seen.len(), 1);
    seen.extend(["test.db", "test.db-wal", "test.db-shm"].map(|name| directory.path().join(name)));
    for file in seen {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", file.display());
    }
    database.close().await;
}

#[tokio::test]
async fn three_backups_are_kept() {
    let directory = TempDir::new().unwrap();
    let extensions = ["notes", "a", "b", "c", "d", "e"];
    let mut migrations = Vec::new();
    for extension in extensions {
        let mut one = NOTES;
        if extension != "notes" {
            one = Migrations {
                extension,
                steps: &["SELECT 1;"],
            };
        }
        migrations.push(one);
        reopen(&directory, &migrations).unwrap().close().await;
    }
    let newest = backups(&directory).pop().unwrap();
    assert_eq!(backups(&directory).len(), 3);
    let old = rusqlite::Connection::open(newest).unwrap();
    let count = "SELECT count(*) FROM schema_version";
    assert_eq!(old.query_row(count, [], |row| row.get::<_, i64>(0)), Ok(5));
}

#[tokio::test]
async fn part_of_a_backup_is_none() {
    let directory = TempDir::new().unwrap();
    open(&directory).close().await;
    let part = directory.path().join("test.db.backup.new");
    std::fs::write(&part, "what a crash left").unwrap();
    reopen(&directory, &[NEXT]).unwrap().close().await;
    assert!(!part.exists());
    let [backup] = &backups(&directory)[..] else {
        panic!("one backup")
    };
    let old = rusqlite::Connection::open(backup).unwrap();
    let check = old.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(check.as_deref(), Ok("ok"));
}

#[tokio::test]
async fn backups_go_with_their_age() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let names = ["0000000001000", "0000000002000", "of-my-own"];
    let paths = names.map(|name| directory.path().join(format!("test.db.backup-{name}")));
    for path in &paths {
        std::fs::write(path, "").unwrap();
    }
    database.remove_backups(2000).await;
    assert_eq!(backups(&directory), paths[1..]);
    database.close().await;
}

#[tokio::test]
async fn a_failing_migration_changes_nothing() {
    let directory = TempDir::new().unwrap();
    open(&directory).close().await;
    let other = Migrations {
        extension: "other",
        steps: &["CREATE TABLE other (x text);"],
    };
    let error = reopen(&directory, &[other, BROKEN]).err().unwrap();
    let step = (
        error.to_string(),
        matches!(error, OpenError::Migration { version: 2, .. }),
    );
    assert!(step.1 && step.0.contains("notes"), "{}", step.0);
    let database = reopen(&directory, &[NOTES]).unwrap();
    assert!(database.query("SELECT * FROM other", vec![]).await.is_err());
    database.close().await;
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let directory = TempDir::new().unwrap();
    reopen(&directory, &[NEXT]).unwrap().close().await;
    let error = reopen(&directory, &[NOTES]).err().unwrap();
    assert!(
        matches!(
            error,
            OpenError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("notes have version 2"),
        "{error}"
    );
    reopen(&directory, &[NEXT]).unwrap().close().await;
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let text = "This is not a database. ".repeat(100);
    std::fs::write(path(&directory), &text).unwrap();
    let error = reopen(&directory, &[NOTES]).err().unwrap();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(path(&directory)).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_schema_is_refused() {
    let directory = TempDir::new().unwrap();
    open(&directory).close().await;
    let mut bytes = std::fs::read(path(&directory)).unwrap();
    bytes[100..4096].fill(0xA5);
    std::fs::write(path(&directory), bytes).unwrap();
    let error = reopen(&directory, &[NOTES]).err().unwrap();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_or_closed_directory_is_named() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("missing/test.db");
    let error = Database::open(&missing, &[NOTES], &Options::default())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error}");
    assert!(error.to_string().contains("missing/test.db"), "{error}");

    let closed = directory.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(closed.join("probe"), "").is_ok() {
        return; // The superuser may write everywhere.
    }
    let error = Database::open(&closed.join("test.db"), &[NOTES], &Options::default());
    assert!(matches!(error.err().unwrap(), OpenError::Unwritable { .. }));
}

#[tokio::test]
async fn a_disk_that_is_full_at_start_is_named() {
    let directory = TempDir::new().unwrap();
    let options = Options {
        max_pages: Some(2),
        ..Options::default()
    };
    let error = Database::open(&path(&directory), &[NOTES], &options)
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Full { .. }), "{error}");
}

#[tokio::test]
async fn a_process_that_writes_beside_us_makes_busy_and_not_lost() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory);
    let outside = rusqlite::Connection::open(path(&directory)).unwrap();
    outside.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(
        database.batch(vec![insert(1, "x")]).await,
        Err(DbError::Busy)
    );
    outside.execute_batch("ROLLBACK").unwrap();
    assert_eq!(database.batch(vec![insert(2, "x")]).await, Ok(vec![1]));
    assert_eq!(ids(&database).await, [2]);
    database.close().await;
}
