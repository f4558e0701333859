//! Moving the log (WAL) into the database file, beside the commits and not inside them.
//!
//! A thread copies the pages as soon as the log has grown by [`STEP_PAGES`]; commits go on
//! meanwhile. Such a copy never quite catches up with a busy writer, and SQLite starts the log anew
//! only when all of it is copied: beyond [`LIMIT_PAGES`] the writer itself copies the small rest
//! between two commits, and at twice that length it does so whatever the rest is. When no one writes,
//! the log is emptied.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::Thread;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::error::Fault;
use super::shared::Shared;

/// Growth of the log, in pages of 4 KiB, after which it is copied.
const STEP_PAGES: usize = 1024;

/// Length of the log, in pages of 4 KiB, at which the writer helps.
const LIMIT_PAGES: usize = 16 * STEP_PAGES;

/// Bytes the writer commits between two looks at the length of the log.
const LOOK_EVERY: usize = 512 << 10;

/// Time without a commit after which the log is emptied.
const IDLE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Mode {
    Noop,
    Passive,
    Truncate,
}

/// Length of the log and how much of it is copied, in pages.
struct Log {
    pages: usize,
    copied: usize,
}

/// What the writer and the checkpointing thread tell each other.
#[derive(Default)]
pub(super) struct Checkpoints {
    /// Bytes committed since the writer last looked at the log.
    unseen: AtomicUsize,
    /// Pages of the log that are not yet copied, as last seen.
    waiting: AtomicUsize,
    /// Commits since the log was last emptied.
    commits: AtomicUsize,
    /// Held while pages are copied: SQLite lets one connection do it and turns a second away.
    copying: Mutex<()>,
    thread: Mutex<Option<Thread>>,
}

impl Checkpoints {
    pub(super) fn set_thread(&self, thread: &Thread) {
        *self.thread.lock() = Some(thread.clone());
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = &*self.thread.lock() {
            thread.unpark();
        }
    }
}

/// Called by the writer after each commit of about `bytes`.
pub(super) fn committed(writer: &Connection, shared: &Shared, bytes: usize) {
    let checkpoints = &shared.checkpoints;
    if checkpoints.commits.fetch_add(1, Relaxed) == 0 {
        checkpoints.wake();
    }
    // Each commit writes whole pages.
    let grown = bytes + 8192;
    if checkpoints.unseen.fetch_add(grown, Relaxed) + grown < LOOK_EVERY {
        return;
    }
    checkpoints.unseen.store(0, Relaxed);
    let Some(log) = checkpoint(writer, shared, Mode::Noop) else {
        return;
    };
    let waiting = log.pages.saturating_sub(log.copied);
    checkpoints.waiting.store(waiting, Relaxed);
    if log.pages >= 2 * LIMIT_PAGES {
        let _turn = checkpoints.copying.lock();
        checkpoint(writer, shared, Mode::Passive);
    } else if log.pages >= LIMIT_PAGES && waiting < 2 * STEP_PAGES {
        if let Some(_turn) = checkpoints.copying.try_lock() {
            checkpoint(writer, shared, Mode::Passive);
        }
    } else if waiting >= STEP_PAGES {
        checkpoints.wake();
    }
}

/// The thread; ends when the writer has ended, and leaves an empty log if nothing failed.
pub(super) fn run(connection: &Connection, shared: &Arc<Shared>) {
    let checkpoints = &shared.checkpoints;
    let mut seen = 0;
    while !shared.writer_ended() {
        if checkpoints.waiting.swap(0, Relaxed) >= STEP_PAGES {
            let _turn = checkpoints.copying.lock();
            checkpoint(connection, shared, Mode::Passive);
            continue;
        }
        let commits = checkpoints.commits.load(Relaxed);
        if commits == 0 {
            std::thread::park();
        } else if commits != seen {
            seen = commits;
            std::thread::park_timeout(IDLE);
        } else if empty(connection, shared) {
            // A commit in between leaves the count above zero, and the next round sees it.
            checkpoints.commits.fetch_sub(commits, Relaxed);
            seen = 0;
        } else {
            std::thread::park_timeout(IDLE);
        }
    }
    empty(connection, shared);
}

fn empty(connection: &Connection, shared: &Shared) -> bool {
    let _turn = shared.checkpoints.copying.lock();
    checkpoint(connection, shared, Mode::Passive);
    checkpoint(connection, shared, Mode::Truncate).is_some_and(|log| log.pages == 0)
}

fn checkpoint(connection: &Connection, shared: &Shared, mode: Mode) -> Option<Log> {
    // After a failed fsync of the database file the next one may succeed although pages are gone;
    // the log must not be started anew on top of that.
    if shared.failure().is_some() {
        return None;
    }
    let sql = match mode {
        Mode::Noop => "PRAGMA wal_checkpoint(NOOP)",
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(2)?));
    let lengths = connection
        .prepare_cached(sql)
        .and_then(|mut pragma| pragma.query_row([], read));
    match lengths {
        Ok((pages, copied)) => {
            let size = |value: i64| usize::try_from(value).unwrap_or(0);
            Some(Log {
                pages: size(pages),
                copied: size(copied),
            })
        }
        Err(error) => {
            match Fault::of(&error) {
                Fault::Fatal(cause) => drop(shared.fail(&cause)),
                // The log keeps every commit; the next call tries again.
                _ => tracing::warn!(%error, "the log was not copied into the database file"),
            }
            None
        }
    }
}
