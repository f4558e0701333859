//! What waits in the queue of the writer: a batch of statements and the one who waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::queue::Weigh;
use super::{DbError, Row, Statement};

/// Statements that are carried out together or not at all.
pub(super) enum Work {
    One(Statement),
    Many(Vec<Statement>),
}

impl Work {
    pub(super) fn statements(&self) -> &[Statement] {
        match self {
            Work::One(statement) => std::slice::from_ref(statement),
            Work::Many(statements) => statements,
        }
    }

    /// Whether it cannot fail half-way.
    pub(super) fn is_atomic(&self) -> bool {
        match self.statements() {
            [] => true,
            [statement] => statement.is_atomic(),
            _ => false,
        }
    }
}

/// Where the result goes.
pub(super) enum Reply {
    /// The number of rows each statement changed.
    Counts(oneshot::Sender<Result<Vec<usize>, DbError>>),
    /// The rows that each statement returned.
    Rows(oneshot::Sender<Result<Vec<Vec<Row>>, DbError>>),
    /// A short function, called on the writer's thread.
    Call(Box<dyn FnOnce(Result<(), DbError>) + Send>),
}

pub(super) struct Job {
    pub(super) work: Work,
    pub(super) reply: Reply,
    bytes: usize,
}

/// What a batch has brought so far.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) counts: Vec<usize>,
    pub(super) rows: Vec<Vec<Row>>,
}

impl Job {
    pub(super) fn new(work: Work, reply: Reply) -> Self {
        let bytes = work.statements().iter().map(Statement::weight).sum();
        Job { work, reply, bytes }
    }

    /// Tells the result to whoever waits. A failure that nobody awaits goes to the log.
    pub(super) fn finish(self, result: Result<Outcome, DbError>) {
        let failure = result.as_ref().err().cloned();
        let heard = match self.reply {
            Reply::Counts(sender) => sender.send(result.map(|outcome| outcome.counts)).is_ok(),
            Reply::Rows(sender) => sender.send(result.map(|outcome| outcome.rows)).is_ok(),
            Reply::Call(function) => {
                // A panic of one caller must not stop the writes of all others.
                let call = AssertUnwindSafe(|| function(result.map(|_| ())));
                if catch_unwind(call).is_err() {
                    tracing::error!("a function called after a commit panicked");
                }
                true
            }
        };
        if let Some(error) = failure.filter(|_| !heard) {
            tracing::error!(%error, "a write that nobody waits for was not carried out");
        }
    }
}

impl Weigh for Job {
    fn statements(&self) -> usize {
        self.work.statements().len().max(1)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
