//! SQLite connections: how they are set up, and how one statement runs on them.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, ToSql};

use super::{Options, Row, Statement, Value};

/// How long a connection waits for a lock of another one before it reports an error.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Distinct statements kept prepared per connection.
const PREPARED: usize = 512;

/// Creates the file where there is none, for its owner alone: there are passwords and messages in it.
/// SQLite makes what it puts beside it alike.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop)
}

/// The connection that writes.
pub(super) fn open_writer(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let connection = open_existing(path)?;
    // FULL makes every commit an fsync of the log. NORMAL would lose commits with the power.
    // Checkpoints have a thread of their own, so that no commit has to wait for one.
    // The cache is small because SQLite looks through all of it in every commit that has divided
    // pages of an index; of a large index it holds the upper pages either way.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -8192;",
    )?;
    empty_log(&connection)?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(connection)
}

/// Empties the log that a crash left, and its file. Its index is made anew as long as what is in it,
/// but the file may have room for more: should the disk be full when the index has to grow, SQLite
/// reports a disk that failed (`SQLITE_IOERR_SHMSIZE`), and nobody knows whether that commit is in
/// the log. A file that is as long as its contents is refused by a full disk first.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    match emptied {
        // The log keeps every commit.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => Ok(()),
        emptied => emptied,
    }
}

/// A connection that reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_existing(path)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4096;")?;
    Ok(connection)
}

/// The connection that moves the log into the database file.
pub(super) fn open_checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_existing(path)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
    Ok(connection)
}

fn open_existing(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    set_up(&connection)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // A plan must not depend on the parameters: SQLite would prepare some statements anew each time
    // they are bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The last connection that closes would copy the log into the file and delete it, after a failed
    // fsync too, when pages that were copied may be gone. An orderly end empties the log by itself.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(())
}

/// Runs statements on a connection, and keeps the last one at hand: in a queue of equal statements
/// only the first is looked up.
pub(super) struct Runner<'c> {
    connection: &'c Connection,
    last: Option<(&'static str, CachedStatement<'c>)>,
}

impl<'c> Runner<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Runner {
            connection,
            last: None,
        }
    }

    /// Runs a statement to its end. `None` where the number of changed rows is enough.
    pub(super) fn run(
        &mut self,
        sql: &'static str,
        params: &[Value],
        mut rows: Option<&mut Vec<Row>>,
    ) -> rusqlite::Result<usize> {
        if !self
            .last
            .as_ref()
            .is_some_and(|(last, _)| std::ptr::eq(*last, sql))
        {
            self.last = None;
            self.last = Some((sql, self.connection.prepare_cached(sql)?));
        }
        let Some((_, prepared)) = &mut self.last else {
            unreachable!("set above")
        };
        if prepared.parameter_count() != params.len() {
            let (given, wanted) = (params.len(), prepared.parameter_count());
            return Err(rusqlite::Error::InvalidParameterCount(given, wanted));
        }
        for (index, value) in params.iter().enumerate() {
            prepared.raw_bind_parameter(index + 1, value)?;
        }
        let columns = prepared.column_count();
        let mut result = prepared.raw_query();
        while let Some(row) = result.next()? {
            if let Some(rows) = &mut rows {
                rows.push(owned(row, columns)?);
            }
        }
        drop(result);
        // `changes` keeps the count of the last writing statement.
        let changed = if prepared.readonly() {
            0
        } else {
            self.connection.changes()
        };
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Whether no transaction is open.
    pub(super) fn is_autocommit(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// Runs a statement, as many times as it says, for the number of rows it changed.
    pub(super) fn execute(&mut self, statement: &Statement) -> rusqlite::Result<usize> {
        let mut changed = 0;
        for params in statement.sets() {
            changed += self.run(statement.sql, params, None)?;
        }
        Ok(changed)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

fn owned(row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<Row> {
    let mut values = Vec::with_capacity(columns);
    for index in 0..columns {
        values.push(match row.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => Value::Int(value),
            ValueRef::Text(_) => Value::Text(row.get(index)?),
            ValueRef::Blob(value) => Value::Blob(Bytes::copy_from_slice(value)),
            // No table has such a column, and PostgreSQL would hand out another type.
            ValueRef::Real(_) => {
                let kind = rusqlite::types::Type::Real;
                return Err(rusqlite::Error::InvalidColumnType(
                    index,
                    "real".to_owned(),
                    kind,
                ));
            }
        });
    }
    Ok(Row::new(values))
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// The second `?1` is what tempts SQLite.
    #[test]
    fn a_statement_is_prepared_once() -> rusqlite::Result<()> {
        let directory = tempfile::TempDir::new().expect("a directory");
        let path = directory.path().join("db");
        create_private(&path).expect("a file");
        let writer = open_writer(&path, &Options::default())?;
        writer.execute_batch("CREATE TABLE t (a INTEGER, b INTEGER, PRIMARY KEY (a, b))")?;
        let mut statement = writer.prepare_cached(
            "DELETE FROM t WHERE a = ?1 AND b <> ?2
                 AND b = (SELECT min(b) FROM t WHERE a = ?1 AND b <> ?2)",
        )?;
        for value in 0..3 {
            statement.execute([value, value])?;
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        Ok(())
    }
}
