//! The statements of the mailbox.
//!
//! Statements over several ids take a fixed number of them, so that each is prepared once; the
//! places that are left over repeat the last id.

use crate::db::{Statement, Value};

/// Ids that one statement takes.
const CHUNK: usize = 32;

/// The places `?1` to `?32`.
macro_rules! ids {
    () => {
        "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
         ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32"
    };
}

pub(super) const APPEND: &str = "INSERT INTO mailbox (id, account, size, received_at, sender, body)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

pub(super) const STATE: &str = "SELECT value FROM mailbox_state WHERE name = ?1";

pub(super) const SET_STATE: &str = "UPDATE mailbox_state SET value = ?2 WHERE name = ?1";

pub(super) const NEWEST: &str = "SELECT coalesce(max(id), 0) FROM mailbox";

/// Rows beyond an id, without their stanzas.
pub(super) const BEYOND: &str =
    "SELECT account, id, size FROM mailbox WHERE id > ?1 ORDER BY id LIMIT ?2";

pub(super) const USAGE: &str =
    "SELECT count(*), coalesce(sum(size), 0) FROM mailbox_index WHERE account = ?1 AND id <= ?2";

pub(super) const INDEXED: &str =
    "SELECT id, size FROM mailbox_index WHERE account = ?1 AND id > ?2 AND id <= ?3
     ORDER BY id LIMIT ?4";

pub(super) const BODIES: &str = concat!(
    "SELECT account, id, sender, received_at, body FROM mailbox WHERE id IN (",
    ids!(),
    ")"
);

/// What is in the table at that moment is what is indexed: a row that was removed before leaves no
/// entry behind.
const INDEX: &str = concat!(
    "INSERT INTO mailbox_index (account, id, size)
     SELECT account, id, size FROM mailbox WHERE id IN (",
    ids!(),
    ") ON CONFLICT (account, id) DO NOTHING"
);

const REMOVE_ONE: &str = "DELETE FROM mailbox WHERE id = ?1 AND account = ?2";

const UNINDEX_ONE: &str = "DELETE FROM mailbox_index WHERE id = ?1 AND account = ?2";

const REMOVE: &str = concat!(
    "DELETE FROM mailbox WHERE id IN (",
    ids!(),
    ") AND account = ?33"
);

const UNINDEX: &str = concat!(
    "DELETE FROM mailbox_index WHERE id IN (",
    ids!(),
    ") AND account = ?33"
);

/// The lowest ids, without their stanzas.
pub(super) const LOWEST: &str = "SELECT id, received_at FROM mailbox ORDER BY id LIMIT ?1";

pub(super) const OLDEST: &str = "SELECT received_at FROM mailbox ORDER BY id LIMIT 1";

pub(super) const TOTAL: &str = "SELECT count(*), coalesce(sum(size), 0) FROM mailbox_index
     WHERE id <= ?1 OR (id <= ?2 AND (account < ?3 OR (account = ?3 AND id <= ?4)))";

/// The ids in parameter lists of [`CHUNK`].
pub(super) fn chunks(ids: &[i64]) -> impl Iterator<Item = Vec<Value>> {
    ids.chunks(CHUNK).map(|chunk| {
        let mut params: Vec<Value> = Vec::with_capacity(CHUNK + 1);
        params.extend(chunk.iter().map(|id| Value::Int(*id)));
        let last = chunk.last().copied().unwrap_or(0);
        params.resize(CHUNK, last.into());
        params
    })
}

/// Enters these rows into the index.
pub(super) fn indexing(ids: &[i64]) -> Vec<Statement> {
    chunks(ids)
        .map(|params| Statement::new(INDEX, params))
        .collect()
}

/// Removes these rows. Those above `touched` are certain to have no entry in the index.
pub(super) fn removal(account: i64, ids: &[i64], touched: i64) -> Vec<Statement> {
    let indexed: Vec<i64> = ids.iter().copied().filter(|id| *id <= touched).collect();
    let mut statements = by_id(account, ids, REMOVE_ONE, REMOVE);
    statements.extend(by_id(account, &indexed, UNINDEX_ONE, UNINDEX));
    statements
}

fn by_id(account: i64, ids: &[i64], one: &'static str, many: &'static str) -> Vec<Statement> {
    if let [id] = ids {
        return vec![Statement::new(one, [(*id).into(), account.into()])];
    }
    let with_account = |mut params: Vec<Value>| {
        params.push(account.into());
        Statement::new(many, params)
    };
    chunks(ids).map(with_account).collect()
}

/// Removes all rows of an account, those included that are queued before it.
pub(super) fn account_removal(account: i64) -> Vec<Statement> {
    const INDEXED: &str =
        "DELETE FROM mailbox WHERE id IN (SELECT id FROM mailbox_index WHERE account = ?1)";
    const BEYOND: &str = "DELETE FROM mailbox WHERE account = ?1
         AND id > (SELECT value FROM mailbox_state WHERE name = 'indexed')";
    const ENTRIES: &str = "DELETE FROM mailbox_index WHERE account = ?1";
    [INDEXED, BEYOND, ENTRIES]
        .map(|sql| Statement::new(sql, [account.into()]))
        .into()
}
