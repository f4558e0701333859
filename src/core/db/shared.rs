//! What the handle and the threads of a database share: queues, counters, and the state that ends
//! it all.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::checkpoint::Checkpoints;
use super::job::Job;
use super::queue::Queue;
use super::reader::Query;
use super::{DbError, Options};

#[derive(Default)]
pub(super) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) batches: AtomicU64,
}

pub(super) struct Shared {
    pub(super) writes: Queue<Job>,
    pub(super) queries: Arc<Queue<Query>>,
    pub(super) query_places: Arc<Semaphore>,
    pub(super) counters: Counters,
    pub(super) checkpoints: Checkpoints,
    failure: watch::Sender<Option<DbError>>,
    writer_ended: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Shared {
    pub(super) fn new(options: &Options) -> Self {
        let queries = options.queue_queries.max(1);
        Shared {
            writes: Queue::new(options.queue_statements, options.queue_bytes),
            // The semaphore is the bound.
            queries: Arc::new(Queue::new(usize::MAX, usize::MAX)),
            query_places: Arc::new(Semaphore::new(queries)),
            counters: Counters::default(),
            checkpoints: Checkpoints::default(),
            failure: watch::Sender::new(None),
            writer_ended: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
        }
    }

    /// Marks the database as failed: no write is taken from now on. The first cause stays.
    pub(super) fn fail(&self, cause: &str) -> DbError {
        let error = DbError::Failed(cause.into());
        let first = self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| error.clone());
            first
        });
        if first {
            tracing::error!(cause, "the database failed; no write is accepted any more");
        }
        self.writes.close(error.clone());
        error
    }

    pub(super) fn failure(&self) -> Option<DbError> {
        self.failure.borrow().clone()
    }

    pub(super) async fn failed(&self) -> DbError {
        let mut receiver = self.failure.subscribe();
        match receiver.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(error)) => error.clone(),
            // The sender is in `self`, which is borrowed here.
            _ => DbError::Closed,
        }
    }

    pub(super) fn keep(&self, thread: JoinHandle<()>) {
        self.threads.lock().push(thread);
    }

    pub(super) fn close(&self) {
        self.writes.close(DbError::Closed);
        self.queries.close(DbError::Closed);
        self.query_places.close();
    }

    /// Waits for the threads to end.
    pub(super) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the database ended unexpectedly");
            }
        }
    }

    pub(super) fn writer_ended(&self) -> bool {
        self.writer_ended.load(Acquire)
    }

    pub(super) fn end_checkpoints(&self) {
        self.writer_ended.store(true, Release);
        self.checkpoints.wake();
    }
}
