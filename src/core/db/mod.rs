//! The database: one small facade over SQLite, made so that PostgreSQL can take its place.
//!
//! - A write is a batch of statements that is carried out as a whole or not at all, in the order of
//!   [`submit`](Database::submit), by one thread; its result comes after the fsync. What queues
//!   while a commit runs shares the next one.
//! - A read goes to a pool of threads and sees everything that was committed before it.
//! - SQL is the subset that SQLite and PostgreSQL 15 share: upsert, `RETURNING`, common table
//!   expressions; no triggers, no `INSERT OR …`, no `rowid`. Parameters are `?1`, `?2`, ….
//! - There are no interactive transactions. A change that depends on what was read says so in its
//!   `WHERE` and looks at the number of changed rows.

mod checkpoint;
mod connection;
mod error;
mod job;
mod lock;
mod migrate;
mod queue;
mod reader;
mod shared;
#[cfg(test)]
mod tests;
mod value;
mod writer;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

pub use error::{DbError, OpenError};
pub use lock::holder;
pub use migrate::Migrations;
pub use value::{Row, Statement, Value};

use job::{Job, Reply, Work};
use reader::Query;
use shared::Shared;
use writer::Writer;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that read.
    pub readers: usize,
    /// Statements that may wait to be written; beyond, writes are [`DbError::Busy`].
    pub queue_statements: usize,
    /// Bytes of parameters that may wait to be written; beyond, writes are [`DbError::Busy`].
    pub queue_bytes: usize,
    /// Queries that may wait; beyond, [`Database::query`] itself waits.
    pub queue_queries: usize,
    /// Pages of 4 KiB the database file may have; beyond, writes are [`DbError::Full`]. `None`: as
    /// many as the disk holds.
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            readers: 2,
            queue_statements: 65_536,
            queue_bytes: 64 << 20,
            queue_queries: 1024,
            max_pages: None,
        }
    }
}

/// Counts since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commits, each with one fsync.
    pub commits: u64,
    /// Batches in them.
    pub batches: u64,
    /// Statements that wait to be written now.
    pub waiting: usize,
}

/// An open database. Clones are the same database; it is closed by [`close`](Self::close), or in
/// the background when the last clone is dropped.
#[derive(Clone)]
pub struct Database(Arc<Handle>);

struct Handle {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Database {
    /// Opens or creates the database at `path`, takes its lock and brings its tables to the newest
    /// version. Blocks: to be called at start, before there is anything else to do.
    pub fn open(
        path: &Path,
        migrations: &[Migrations],
        options: &Options,
    ) -> Result<Database, OpenError> {
        let failed = |error| OpenError::of(path, &error);
        let lock = lock::take(path)?;
        connection::create_private(path).map_err(|error| OpenError::of_io(path, &error))?;
        let mut connection = connection::open_writer(path, options).map_err(failed)?;
        migrate::migrate(&mut connection, path, migrations)?;
        let checkpointer = connection::open_checkpointer(path).map_err(failed)?;
        let readers: Vec<_> = (0..options.readers.max(1))
            .map(|_| connection::open_reader(path).map_err(failed))
            .collect::<Result<_, _>>()?;

        let shared = Arc::new(Shared::new(options));
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let builder = std::thread::Builder::new().name(name.to_owned());
            builder
                .spawn(work)
                .map_err(|error| OpenError::of_io(path, &error))
        };
        // Should a thread not start, the drop of the handle ends the ones before it.
        let database = Database(Arc::new(Handle {
            path: path.to_owned(),
            shared: Arc::clone(&shared),
        }));
        for reader in readers {
            let queue = Arc::clone(&shared.queries);
            shared.keep(spawn(
                "db-read",
                Box::new(move || reader::run(&reader, &queue)),
            )?);
        }
        let mine = Arc::clone(&shared);
        let work = Box::new(move || checkpoint::run(&checkpointer, &mine));
        let checkpoints = spawn("db-checkpoint", work)?;
        shared.checkpoints.set_thread(checkpoints.thread());
        let writer = Writer {
            connection,
            lock,
            checkpoints,
            shared: Arc::clone(&shared),
        };
        shared.keep(spawn("db-write", Box::new(move || writer.run()))?);
        Ok(database)
    }

    /// Runs a query and returns its rows. Waits for a place in the queue where that is full.
    pub async fn query(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let shared = &self.0.shared;
        let places = Arc::clone(&shared.query_places);
        let place = places.acquire_owned().await.map_err(|_| DbError::Closed)?;
        let (reply, rows) = oneshot::channel();
        let query = Query {
            sql,
            params,
            reply,
            _place: place,
        };
        shared.queries.push(query).map_err(|(_, error)| error)?;
        rows.await.unwrap_or(Err(DbError::Closed))
    }

    /// Carries the statements out as one unit and returns, after the fsync, how many rows each of
    /// them changed.
    pub async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<usize>, DbError> {
        self.submit(statements).await
    }

    /// As [`batch`](Self::batch), and returns the rows of each statement's `RETURNING`.
    pub async fn batch_returning(
        &self,
        statements: Vec<Statement>,
    ) -> Result<Vec<Vec<Row>>, DbError> {
        let (reply, rows) = oneshot::channel();
        self.enqueue(Job::new(Work::Many(statements), Reply::Rows(reply)));
        rows.await.unwrap_or(Err(DbError::Closed))
    }

    /// Puts a batch into the queue at once, without waiting: batches are carried out in the order
    /// of these calls. Dropping the result does not cancel the write. At the bound of the queue the
    /// result is [`DbError::Busy`] and nothing is written.
    pub fn submit(&self, statements: Vec<Statement>) -> Pending<Vec<usize>> {
        let (reply, pending) = oneshot::channel();
        self.enqueue(Job::new(Work::Many(statements), Reply::Counts(reply)));
        Pending(pending)
    }

    /// As [`submit`](Self::submit), with a function instead of a future: it is called on the
    /// writer's thread after the fsync or the failure, in the order of the queue, and so must be
    /// short. It is not called where this returns an error.
    pub fn submit_with(
        &self,
        statements: Vec<Statement>,
        done: impl FnOnce(Result<(), DbError>) + Send + 'static,
    ) -> Result<(), DbError> {
        self.push(Work::Many(statements), Box::new(done))
    }

    /// As [`submit_with`](Self::submit_with) for one statement, which costs less.
    pub fn submit_one_with(
        &self,
        statement: Statement,
        done: impl FnOnce(Result<(), DbError>) + Send + 'static,
    ) -> Result<(), DbError> {
        self.push(Work::One(statement), Box::new(done))
    }

    /// Waits until the disk fails, and returns how. From then on every write is refused and the
    /// server has to stop.
    pub async fn failed(&self) -> DbError {
        self.0.shared.failed().await
    }

    /// Counts for metrics and tests.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.0.shared;
        Stats {
            commits: shared.counters.commits.load(Relaxed),
            batches: shared.counters.batches.load(Relaxed),
            waiting: shared.writes.len(),
        }
    }

    /// Bytes on the disk: the file and its log.
    #[must_use]
    pub fn size_on_disk(&self) -> u64 {
        let length = |path: &Path| path.metadata().map_or(0, |data| data.len());
        length(&self.0.path) + length(&migrate::sibling(&self.0.path, "-wal"))
    }

    /// Removes the backups that were made before that moment, in milliseconds since 1970: they hold
    /// what has been removed here since.
    pub async fn remove_backups(&self, before_ms: i64) {
        let path = self.0.path.clone();
        let removed =
            tokio::task::spawn_blocking(move || migrate::remove_backups(&path, before_ms)).await;
        if removed.is_err() {
            tracing::error!("old backups could not be looked for");
        }
    }

    /// Refuses new work, carries out what has queued, empties the log, ends the threads and frees
    /// the lock. Other clones get [`DbError::Closed`] from now on.
    pub async fn close(self) {
        let shared = Arc::clone(&self.0.shared);
        shared.close();
        // The threads may need as long as a disk needs: not to be waited for on a runtime thread.
        let joined = tokio::task::spawn_blocking(move || shared.join()).await;
        if joined.is_err() {
            tracing::error!("a thread of the database ended unexpectedly");
        }
    }

    fn push(
        &self,
        work: Work,
        done: Box<dyn FnOnce(Result<(), DbError>) + Send>,
    ) -> Result<(), DbError> {
        let job = Job::new(work, Reply::Call(done));
        self.0.shared.writes.push(job).map_err(|(_, error)| error)
    }

    fn enqueue(&self, job: Job) {
        if let Err((job, error)) = self.0.shared.writes.push(job) {
            job.finish(Err(error));
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// The result of a write that is under way. To drop it does not cancel the write; a failure that
/// nobody awaited goes to the log.
#[must_use = "await it, or drop it explicitly where the log is enough"]
pub struct Pending<T = Vec<usize>>(oneshot::Receiver<Result<T, DbError>>);

impl<T> Pending<T> {
    /// The result that comes through `receiver`, or the error for which nothing was queued.
    pub(crate) fn queued(
        queued: Result<(), DbError>,
        receiver: oneshot::Receiver<Result<T, DbError>>,
    ) -> Self {
        let Err(error) = queued else {
            return Pending(receiver);
        };
        let (sender, receiver) = oneshot::channel();
        // The receiver is the next line's.
        let _ = sender.send(Err(error));
        Pending(receiver)
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Ok(Err(error)) = self.0.try_recv() {
            tracing::error!(%error, "a write that nobody waits for was not carried out");
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, DbError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let received = Pin::new(&mut self.0).poll(context);
        received.map(|result| result.unwrap_or(Err(DbError::Closed)))
    }
}
