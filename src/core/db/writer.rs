//! The one thread that writes.
//!
//! Whatever has queued while the last commit ran becomes the next transaction: the running fsync is
//! the window in which a group gathers, so no timer is needed. Before it takes the queue the thread
//! yields, as long as that makes it longer: on a core that it shares with those who queue they come
//! first, and their writes into the same group; on one of its own that costs nothing.
//!
//! If a batch of several statements fails, which is rare, everything is undone and done once more
//! with a savepoint for each batch, so that it takes nothing with it: a savepoint copies each page
//! that is written. When the transaction as a whole cannot be committed (a full disk), it is halved
//! until what fits is in, in the order of the queue.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::connection::Runner;
use super::error::Fault;
use super::job::{Job, Outcome, Reply};
use super::shared::Shared;
use super::{DbError, Statement, checkpoint};

/// Statements of one transaction.
const MAX_STATEMENTS: usize = 4096;

/// Times that the thread lets others go first before it begins a transaction.
const MAX_YIELDS: u32 = 8;

/// Bytes of parameters of one transaction.
const MAX_BYTES: usize = 4 << 20;

/// The thread's own things. The lock file is among them because the database is free for another
/// process only when the last write is done.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) lock: File,
    pub(super) checkpoints: JoinHandle<()>,
    pub(super) shared: Arc<Shared>,
}

/// Whether batches of several statements are kept whole one by one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Savepoints {
    None,
    Each,
}

type Finished = Vec<Result<Outcome, DbError>>;

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(self) {
        // Should this thread end in a way nobody foresaw, no write may wait for ever.
        let guard = FailOnPanic(&self.shared);
        let mut jobs = Vec::new();
        let writes = &self.shared.writes;
        while writes.wait() {
            self.gather();
            writes.take(&mut jobs, MAX_STATEMENTS, MAX_BYTES);
            self.group(std::mem::take(&mut jobs));
        }
        std::mem::forget(guard);
        drop(self.connection);
        self.shared.end_checkpoints();
        if self.checkpoints.join().is_err() {
            tracing::error!("the thread that copies the log ended unexpectedly");
        }
        drop(self.lock);
    }

    /// Lets others go first as long as that makes the group larger.
    fn gather(&self) {
        let mut waiting = 0;
        for _ in 0..MAX_YIELDS {
            std::thread::yield_now();
            let now = self.shared.writes.len();
            if now == waiting {
                break;
            }
            waiting = now;
        }
    }

    fn group(&self, jobs: Vec<Job>) {
        if let Some(error) = self.shared.failure() {
            return refuse(jobs, &error);
        }
        match self.transaction(&jobs) {
            Ok(results) => {
                let counters = &self.shared.counters;
                counters.commits.fetch_add(1, Relaxed);
                counters.batches.fetch_add(jobs.len() as u64, Relaxed);
                let statements = jobs.iter().flat_map(|job| job.work.statements());
                let bytes = statements.map(Statement::grows_log_by).sum();
                for (job, result) in jobs.into_iter().zip(results) {
                    job.finish(result);
                }
                checkpoint::committed(&self.connection, &self.shared, bytes);
            }
            Err(Fault::Fatal(cause)) => {
                let error = self.shared.fail(&cause);
                refuse(jobs, &error);
            }
            // An outside process holds the write lock: a smaller transaction would wait as long.
            Err(Fault::Transaction(DbError::Busy)) => refuse(jobs, &DbError::Busy),
            Err(Fault::Transaction(error) | Fault::Statement(error)) => self.halve(jobs, &error),
        }
    }

    fn halve(&self, mut jobs: Vec<Job>, error: &DbError) {
        if jobs.len() == 1 {
            return refuse(jobs, error);
        }
        let second = jobs.split_off(jobs.len() / 2);
        self.group(jobs);
        self.group(second);
    }

    /// Carries out all jobs and commits. On an error nothing was written.
    fn transaction(&self, jobs: &[Job]) -> Result<Finished, Fault> {
        match self.attempt(jobs, Savepoints::None) {
            Err(Fault::Statement(_)) => self.attempt(jobs, Savepoints::Each),
            done => done,
        }
    }

    /// The same; without savepoints a batch of which a part is done may fail with
    /// [`Fault::Statement`], and takes the others with it.
    fn attempt(&self, jobs: &[Job], savepoints: Savepoints) -> Result<Finished, Fault> {
        let mut runner = Runner::new(&self.connection);
        control(&mut runner, "BEGIN IMMEDIATE")?;
        let done = self.carry_out(&mut runner, jobs, savepoints);
        let done = done.and_then(|results| {
            control(&mut runner, "COMMIT")?;
            Ok(results)
        });
        if done.is_err() && !self.connection.is_autocommit() {
            control(&mut runner, "ROLLBACK")?;
        }
        done
    }

    fn carry_out(
        &self,
        runner: &mut Runner<'_>,
        jobs: &[Job],
        savepoints: Savepoints,
    ) -> Result<Finished, Fault> {
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            let is_whole = savepoints == Savepoints::Each || job.work.is_atomic();
            results.push(match batch(runner, job, savepoints) {
                Ok(outcome) => Ok(outcome),
                // Some errors undo the whole transaction; the others in it must run again.
                Err(Fault::Statement(error)) if self.connection.is_autocommit() => {
                    return Err(Fault::Transaction(error));
                }
                Err(Fault::Statement(error)) if is_whole => Err(error),
                Err(fault) => return Err(fault),
            });
        }
        Ok(results)
    }
}

/// Carries out one batch: with savepoints all of it or, on [`Fault::Statement`], nothing.
fn batch(runner: &mut Runner<'_>, job: &Job, savepoints: Savepoints) -> Result<Outcome, Fault> {
    let statements = job.work.statements();
    let several = !job.work.is_atomic() && savepoints == Savepoints::Each;
    if several {
        control(runner, "SAVEPOINT batch")?;
    }
    let mut outcome = Outcome::default();
    for statement in statements {
        let done = match job.reply {
            Reply::Call(_) => runner.execute(statement).map(|_| ()),
            Reply::Counts(_) => runner
                .execute(statement)
                .map(|count| outcome.counts.push(count)),
            Reply::Rows(_) => {
                let mut rows = Vec::new();
                statement
                    .sets()
                    .try_for_each(|params| {
                        runner.run(statement.sql, params, Some(&mut rows)).map(drop)
                    })
                    .map(|()| outcome.rows.push(rows))
            }
        };
        if let Err(error) = done {
            let fault = Fault::of(&error);
            if several && matches!(fault, Fault::Statement(_)) && !runner.is_autocommit() {
                control(runner, "ROLLBACK TO batch")?;
                control(runner, "RELEASE batch")?;
            }
            return Err(fault);
        }
    }
    if several {
        control(runner, "RELEASE batch")?;
    }
    Ok(outcome)
}

/// Runs a statement that steers the transaction. A failing one concerns all of it.
fn control(runner: &mut Runner<'_>, sql: &'static str) -> Result<(), Fault> {
    match runner
        .run(sql, &[], None)
        .map_err(|error| Fault::of(&error))
    {
        Ok(_) => Ok(()),
        Err(Fault::Statement(error)) => Err(Fault::Transaction(error)),
        Err(fault) => Err(fault),
    }
}

fn refuse(jobs: Vec<Job>, error: &DbError) {
    for job in jobs {
        job.finish(Err(error.clone()));
    }
}

struct FailOnPanic<'a>(&'a Shared);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        let error = self.0.fail("the thread that writes ended unexpectedly");
        let mut jobs = Vec::new();
        while self.0.writes.take(&mut jobs, MAX_STATEMENTS, MAX_BYTES) {
            refuse(std::mem::take(&mut jobs), &error);
        }
    }
}
