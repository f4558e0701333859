//! The end of rows: an account does not own them any more, is removed, or they are too old.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::db::{DbError, Pending, Statement};

use super::index::State;
use super::read::ids;
use super::rows::{OwnedRow, id_at};
use super::tail::{Kind, Span, Tail};
use super::{Mailbox, forward, sql};

/// Rows that go at once with an account: so many that it is soon done, so few that other writes
/// pass between.
const PIECE: usize = 512;

impl Mailbox {
    /// Ends an account's ownership of these rows; those of others, and those that are not there, are
    /// passed over. A row goes when nobody owns it: neither is it owed to its recipient, nor does an
    /// archive show it. It is queued at once, behind every earlier [`append`](Self::append), and
    /// need not be awaited: after a failure the rows are as they were.
    pub fn remove(&self, account: i64, ids: Vec<i64>) -> Pending<()> {
        self.remove_by(
            ids,
            |ids, state| {
                let sole = |id: &i64| state.tail.is_sole_owner(*id, account);
                let shared = !ids.iter().all(sole);
                sql::release(account, ids, state.touched(), shared)
            },
            move |tail, id| tail.release(id, account),
        )
    }

    /// Removes these rows, whoever owns them. As with [`remove`](Self::remove), those that are not
    /// there are passed over, and it need not be awaited.
    pub fn remove_expired(&self, ids: Vec<i64>) -> Pending<()> {
        self.remove_by(ids, |ids, _| sql::expiry(ids), Tail::remove)
    }

    fn remove_by(
        &self,
        ids: Vec<i64>,
        statements: impl FnOnce(&[i64], &State) -> Vec<Statement>,
        forget: impl Fn(&mut Tail, i64) + Send + 'static,
    ) -> Pending<()> {
        let (reply, pending) = oneshot::channel();
        let mailbox = self.clone();
        let ids: Arc<[i64]> = ids.into();
        // The lock is held until all is queued: a piece of a move must come before this, or know of
        // it.
        let mut state = self.0.state.lock();
        let statements = statements(&ids, &state);
        let leaving = Arc::clone(&ids);
        let done = move |result: Result<(), DbError>| {
            let mut state = mailbox.0.state.lock();
            if result.is_ok() {
                leaving.iter().for_each(|id| forget(&mut state.tail, *id));
            }
            state.tail.left(&leaving);
            drop(state);
            forward(reply, result);
        };
        let queued = self.0.database.submit_with(statements, done);
        if queued.is_ok() {
            state.tail.leave(&ids);
        }
        drop(state);
        Pending::queued(queued, pending)
    }

    /// Removes all that an account owns and that was appended before this call, and its devices.
    /// Others keep their copies. Appending to it at the same time is the caller's to prevent. It
    /// goes in pieces: what is left after a failure goes when it is called again.
    pub async fn remove_account(&self, account: i64) -> Result<(), DbError> {
        // What was appended must be committed to be found.
        self.0.database.batch(Vec::new()).await?;
        for kind in Kind::ALL {
            let mut after = 0;
            loop {
                let span = Span::after(after, PIECE);
                let chosen = self.choose(account, &[kind], &span).await?;
                let Some((last, _)) = chosen.last() else {
                    break;
                };
                after = *last;
                self.remove(account, ids(&chosen)).await?;
            }
        }
        self.forget_cursors_of(account);
        let devices = Statement::new(sql::FORGET_ALL, [account.into()]);
        self.0.database.batch(vec![devices]).await?;
        Ok(())
    }

    /// Up to `limit` rows that were accepted before `before_ms` (milliseconds since 1970), oldest
    /// first, with those they belong to, so that the senders of what was not delivered can be told.
    pub async fn expired(&self, before_ms: i64, limit: usize) -> Result<Vec<OwnedRow>, DbError> {
        self.settle_cursors(None).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params = vec![id_at(before_ms).into(), limit.into()];
        let rows = self.0.database.query(sql::OLDER, params).await?;
        rows.into_iter().map(OwnedRow::try_from).collect()
    }

    /// One row, whoever owns it; `None`: there is none, or it is not committed.
    pub async fn find(&self, id: i64) -> Result<Option<OwnedRow>, DbError> {
        self.settle_cursors(None).await?;
        let rows = self.0.database.query(sql::FIND, vec![id.into()]).await?;
        rows.into_iter().next().map(OwnedRow::try_from).transpose()
    }
}
