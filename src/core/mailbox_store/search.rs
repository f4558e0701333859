//! Looking through the rows of all accounts, for those who administer the server.

use crate::db::DbError;

use super::rows::OwnedRow;
use super::{Mailbox, sql};

impl Mailbox {
    /// The newest rows with ids below `before`, newest first, at most `limit`. Only what is
    /// committed.
    pub async fn newest(&self, before: i64, limit: usize) -> Result<Vec<OwnedRow>, DbError> {
        self.settle_cursors(None).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params = vec![before.into(), limit.into()];
        let rows = self.0.database.query(sql::NEWEST_ROWS, params).await?;
        rows.into_iter().map(OwnedRow::try_from).collect()
    }
}
