//! Rows for one resource that its session left behind: who notes them, and who forgets them.
//!
//! The cursors of other devices may be beyond such a row, so that it is written down by itself until
//! anybody has acknowledged it.

use crate::db::{Database, DbError, Statement};

/// The statement that notes a row.
pub(crate) fn entry(account: i64, row: i64) -> Statement {
    Statement::new(
        "INSERT INTO stray (account, mailbox) VALUES (?1, ?2) ON CONFLICT (account, mailbox) DO NOTHING",
        [account.into(), row.into()],
    )
}

/// The statement that forgets one.
pub(crate) fn removal(account: i64, row: i64) -> Statement {
    Statement::new(
        "DELETE FROM stray WHERE account = ?1 AND mailbox = ?2",
        [account.into(), row.into()],
    )
}

/// The statement that forgets those below that id whose rows have expired.
pub(crate) fn removal_of_expired(below: i64) -> Statement {
    Statement::new(
        "DELETE FROM stray WHERE mailbox < ?1
         AND NOT EXISTS (SELECT 1 FROM message WHERE message.id = stray.mailbox)",
        [below.into()],
    )
}

/// Those of an account, oldest first. Rows that have expired since the last sweep are among them.
pub(crate) async fn load(database: &Database, account: i64) -> Result<Vec<i64>, DbError> {
    let select = "SELECT mailbox FROM stray WHERE account = ?1 ORDER BY mailbox";
    let rows = database.query(select, vec![account.into()]).await?;
    rows.iter().map(|row| row.int(0)).collect()
}
