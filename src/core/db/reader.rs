//! The threads that read, each with a connection of its own. A query sees all that was committed
//! before it began.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::connection::Runner;
use super::error::Fault;
use super::queue::{Queue, Weigh};
use super::{DbError, Row, Value};

pub(super) struct Query {
    pub(super) sql: &'static str,
    pub(super) params: Vec<Value>,
    pub(super) reply: oneshot::Sender<Result<Vec<Row>, DbError>>,
    /// The place in the queue; free again when the query is done.
    pub(super) _place: OwnedSemaphorePermit,
}

impl Weigh for Query {
    fn statements(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        self.params.iter().map(Value::weight).sum()
    }
}

/// Works until the queue is closed and empty.
pub(super) fn run(connection: &Connection, queue: &Arc<Queue<Query>>) {
    let mut taken = Vec::with_capacity(1);
    while queue.take(&mut taken, 1, usize::MAX) {
        for query in taken.drain(..) {
            // Who has gone away in the meantime needs no answer.
            if query.reply.is_closed() {
                continue;
            }
            let mut rows = Vec::new();
            let result = Runner::new(connection)
                .run(query.sql, &query.params, Some(&mut rows))
                .map(|_| rows)
                .map_err(|error| Fault::of(&error).into_error());
            if let Err(error) = &result {
                tracing::error!(%error, sql = query.sql, "a query failed");
            }
            // A caller that does not wait any more does not want the rows either.
            let _ = query.reply.send(result);
        }
    }
}
