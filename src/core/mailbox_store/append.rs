//! Taking messages in.

use crate::db::{DbError, Statement};

use super::rows::{Flags, NewRow};
use super::tail::TailRow;
use super::{Mailbox, sql};

impl Mailbox {
    /// Puts a message into the queue of the writer, without waiting, and returns its id. `done` is
    /// called with the id on the writer's thread after the fsync, or with the failure, and must be short; it
    /// is not called where this returns an error, such as [`DbError::Busy`] at the bound of the
    /// queue. Rows are committed in the order of the calls.
    pub fn append(
        &self,
        row: NewRow,
        done: impl FnOnce(i64, Result<(), DbError>) + Send + 'static,
    ) -> Result<i64, DbError> {
        debug_assert!(row.flags.any(Flags::OWNED), "a row needs an owner");
        debug_assert!(row.sender_account != 0 || !row.flags.any(Flags::SENT));
        let mut entry = TailRow::new(&row);
        // The lock makes the order of the ids the order of the queue.
        let mut state = self.0.state.lock();
        let id = state.next_id(row.received_at_ms);
        entry.owners.id = id;
        let params = vec![
            id.into(),
            row.recipient.into(),
            row.sender_account.into(),
            row.flags.into(),
            entry.peer_in.into(),
            entry.peer_out.into(),
            entry.size.into(),
            row.key.into(),
            row.stream.into(),
            row.number.into(),
            row.from.into(),
            row.body.into(),
        ];
        let mailbox = self.clone();
        let settle = move |result: Result<(), DbError>| {
            if result.is_ok() {
                mailbox.settled(id, true);
                done(id, result);
            } else {
                // Whoever has it in an outbox withdraws it before the watermark passes it.
                done(id, result);
                mailbox.settled(id, false);
            }
        };
        self.0
            .database
            .submit_one_with(Statement::new(sql::APPEND, params), settle)?;
        state.appended(&entry);
        Ok(id)
    }
}
