//! Bringing the tables of every extension to the version that this program knows.
//!
//! The versions are in the table `schema_version`. All steps that are missing run in one
//! transaction, after a backup of the database where it already held something.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::backup::Backup;
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::OpenError;
use super::connection::create_private;

/// Backups kept next to the database; older ones are deleted when a new one is made.
const BACKUPS: usize = 3;

/// The tables of one extension: step `n`, counted from 1, leads from version `n - 1` to `n`.
///
/// Steps are SQL that SQLite and PostgreSQL 15 share; they are never changed once released.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// Whose tables these are, `core` or the name of the extension.
    pub extension: &'static str,
    /// The steps, oldest first.
    pub steps: &'static [&'static str],
}

impl Migrations {
    fn newest(&self) -> i64 {
        i64::try_from(self.steps.len()).unwrap_or(i64::MAX)
    }
}

pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    all: &[Migrations],
) -> Result<(), OpenError> {
    let failed = |error| OpenError::of(path, &error);
    let found = versions(connection).map_err(failed)?;
    let version = |extension: &str| found.get(extension).copied().unwrap_or(0);
    for one in all {
        if version(one.extension) > one.newest() {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                extension: one.extension.to_owned(),
                found: version(one.extension),
                known: one.newest(),
            });
        }
    }
    if all.iter().all(|one| version(one.extension) == one.newest()) {
        return Ok(());
    }
    if !found.is_empty() {
        back_up(connection, path)?;
    }
    let transaction = connection.transaction().map_err(failed)?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_version (
                 extension text PRIMARY KEY,
                 version bigint NOT NULL
             );",
        )
        .map_err(failed)?;
    for one in all {
        apply(&transaction, path, one, version(one.extension))?;
    }
    transaction.commit().map_err(failed)
}

/// The version of each extension; nothing for a new database.
fn versions(connection: &Connection) -> rusqlite::Result<HashMap<String, i64>> {
    let exists = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'",
            [],
            |_| Ok(()),
        )
        .optional()?;
    if exists.is_none() {
        return Ok(HashMap::new());
    }
    connection
        .prepare("SELECT extension, version FROM schema_version")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn apply(
    transaction: &Transaction<'_>,
    path: &Path,
    one: &Migrations,
    from: i64,
) -> Result<(), OpenError> {
    for (version, step) in (1..).zip(one.steps).filter(|(version, _)| *version > from) {
        let failed = |error: rusqlite::Error| match OpenError::of(path, &error) {
            OpenError::Other { path, cause } => OpenError::Migration {
                path,
                extension: one.extension,
                version,
                cause,
            },
            plain => plain,
        };
        transaction.execute_batch(step).map_err(failed)?;
        transaction
            .execute(
                "INSERT INTO schema_version (extension, version) VALUES (?1, ?2)
                 ON CONFLICT (extension) DO UPDATE SET version = excluded.version",
                (one.extension, version),
            )
            .map_err(failed)?;
        tracing::info!(extension = one.extension, version, "migrated the database");
    }
    Ok(())
}

/// Copies the database to `<path>.backup-<milliseconds since 1970>` and keeps the newest few. Until it
/// is whole a copy has another name, so that it never takes the place of a good one.
fn back_up(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let target = backup_of(path, now.as_millis());
    let part = sibling(path, ".backup.new");
    let copied = copy(connection, &part).and_then(|()| {
        std::fs::rename(&part, &target)
            .and_then(|()| std::fs::File::open(directory(path))?.sync_all())
            .map_err(|error| OpenError::of_io(&target, &error))
    });
    if copied.is_err() {
        remove(&part);
    }
    copied?;
    tracing::info!(backup = %target.display(), "backed the database up before migrating it");
    for old in backups(path).into_iter().rev().skip(BACKUPS) {
        remove(&old);
    }
    Ok(())
}

/// Copies the database to a new file, down to the disk.
fn copy(connection: &Connection, part: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::of(part, &error);
    // A crash may have left one.
    remove(part);
    create_private(part).map_err(|error| OpenError::of_io(part, &error))?;
    let mut copy = Connection::open(part).map_err(failed)?;
    // Of what a crash interrupts nothing is used.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        .map_err(failed)?;
    Backup::new(connection, &mut copy)
        .and_then(|backup| backup.run_to_completion(1024, Duration::ZERO, None))
        .map_err(failed)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    let synced = std::fs::File::open(part).and_then(|file| file.sync_all());
    synced.map_err(|error| OpenError::of_io(part, &error))
}

fn remove(backup: &Path) {
    match std::fs::remove_file(backup) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, backup = %backup.display(), "an old backup stays");
        }
        _ => {}
    }
}

/// Removes the backups that were made before that moment, in milliseconds since 1970.
pub(super) fn remove_backups(path: &Path, before_ms: i64) {
    let bound = backup_of(path, u128::try_from(before_ms).unwrap_or(0));
    for old in backups(path).iter().take_while(|backup| **backup < bound) {
        remove(old);
    }
}

fn backup_of(path: &Path, ms: u128) -> PathBuf {
    sibling(path, &format!(".backup-{ms:013}"))
}

/// The backups of the database at `path`, oldest first.
fn backups(path: &Path) -> Vec<PathBuf> {
    let prefix = sibling(path, ".backup-");
    let prefix = prefix.file_name().unwrap_or_default().to_string_lossy();
    let is_backup = |name: &str| {
        let moment = name.strip_prefix(&*prefix);
        moment.is_some_and(|ms| ms.len() == 13 && ms.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory(path))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| is_backup(&name.to_string_lossy()))
        .map(|name| path.with_file_name(name))
        .collect();
    found.sort();
    found
}

fn directory(path: &Path) -> &Path {
    let parent = path.parent();
    let named = parent.filter(|parent| !parent.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}

/// `path` with `suffix` at its end: `data/waxwing.db` and `.lock` give `data/waxwing.db.lock`.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
