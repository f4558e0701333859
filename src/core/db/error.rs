//! What can go wrong with a statement and at opening.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why a statement was not carried out. Nothing of it was written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DbError {
    /// The queue of writes is full, or another process holds the write lock: refuse the work.
    #[error("the database has more to write than it can take")]
    Busy,
    /// No room left on the disk. The database goes on with what fits.
    #[error("the disk that holds the database is full")]
    Full,
    /// The disk failed (text: how). No write is accepted any more and the server has to stop: after
    /// a failed fsync nobody knows what is on the disk.
    #[error("the database failed: {0}")]
    Failed(Arc<str>),
    /// The database is being closed.
    #[error("the database is closed")]
    Closed,
    /// The data break a constraint of the schema (text: which).
    #[error("refused by a constraint: {0}")]
    Constraint(Arc<str>),
    /// The statement itself is wrong (text: how).
    #[error("wrong statement: {0}")]
    Statement(Arc<str>),
    /// A row does not hold what was asked of it.
    #[error("column {index} holds {found}, not {wanted}")]
    Column {
        /// Column, counted from 0.
        index: usize,
        /// The type that was asked for.
        wanted: &'static str,
        /// The type that is there.
        found: &'static str,
    },
    /// What is stored makes no sense (text: what).
    #[error("the stored {0} makes no sense")]
    Unexpected(&'static str),
}

impl DbError {
    /// [`DbError::Unexpected`]: `what` was read, and is not what the program writes.
    #[must_use]
    pub fn unexpected(what: &'static str) -> DbError {
        DbError::Unexpected(what)
    }
}

/// What an error of SQLite means for the transaction it happened in.
#[derive(Debug)]
pub(super) enum Fault {
    /// Only this statement failed; the transaction goes on without its batch.
    Statement(DbError),
    /// The transaction cannot go on, but a smaller one may.
    Transaction(DbError),
    /// The disk or the file is broken.
    Fatal(String),
}

impl Fault {
    pub(super) fn of(error: &rusqlite::Error) -> Fault {
        let text = || Arc::from(error.to_string());
        let extended = error.sqlite_error().map_or(0, |known| known.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Fault::Statement(DbError::Constraint(text())),
            Some(ErrorCode::DiskFull) => Fault::Transaction(DbError::Full),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Fault::Transaction(DbError::Busy)
            }
            Some(ErrorCode::OutOfMemory | ErrorCode::OperationInterrupted) => {
                Fault::Transaction(DbError::Statement(text()))
            }
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed,
            ) => Fault::Fatal(format!("{error} ({extended})")),
            _ => Fault::Statement(DbError::Statement(text())),
        }
    }

    pub(super) fn into_error(self) -> DbError {
        match self {
            Fault::Statement(error) | Fault::Transaction(error) => error,
            Fault::Fatal(cause) => DbError::Failed(cause.into()),
        }
    }
}

/// Why the database could not be opened, and what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{path}: the database is locked by another process{}; stop that one first",
        process(*pid)
    )]
    Locked {
        /// The database.
        path: PathBuf,
        /// The process that holds it, when it said so.
        pid: Option<u32>,
    },
    /// It was written by a newer program.
    #[error(
        "{path}: the tables of {extension} have version {found}, and this program knows versions \
         up to {known}; run the newer program again, or restore a backup"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The extension whose tables are newer.
        extension: String,
        /// The version found.
        found: i64,
        /// The newest version this program has.
        known: i64,
    },
    /// The file is something else, or damaged.
    #[error(
        "{path}: not a database, or a damaged one ({cause}); restore a backup, or move the file \
         away to start with an empty database"
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        cause: String,
    },
    /// The file or its directory cannot be written.
    #[error(
        "{path}: cannot be opened for writing ({cause}); check that the directory exists and \
         belongs to the user that runs the server"
    )]
    Unwritable {
        /// The database, its lock or its backup.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// No room.
    #[error("{path}: the disk is full; free some space and start again")]
    Full {
        /// The database or its backup.
        path: PathBuf,
    },
    /// A migration failed; the database is as it was.
    #[error(
        "{path}: cannot bring the tables of {extension} to version {version} ({cause}); nothing \
         was changed"
    )]
    Migration {
        /// The database.
        path: PathBuf,
        /// The extension that owns the step.
        extension: &'static str,
        /// The version the step leads to.
        version: i64,
        /// What SQLite says.
        cause: String,
    },
    /// Anything else.
    #[error("{path}: {cause}")]
    Other {
        /// The database.
        path: PathBuf,
        /// What SQLite or the system says.
        cause: String,
    },
}

impl OpenError {
    pub(super) fn of(path: &std::path::Path, error: &rusqlite::Error) -> OpenError {
        let (path, cause) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                OpenError::Locked { path, pid: None }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                OpenError::Corrupt { path, cause }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                OpenError::Unwritable { path, cause }
            }
            Some(ErrorCode::DiskFull) => OpenError::Full { path },
            _ => OpenError::Other { path, cause },
        }
    }

    pub(super) fn of_io(path: &std::path::Path, error: &std::io::Error) -> OpenError {
        let (path, cause) = (path.to_owned(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::StorageFull => OpenError::Full { path },
            _ => OpenError::Unwritable { path, cause },
        }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" ({pid})")).unwrap_or_default()
}
