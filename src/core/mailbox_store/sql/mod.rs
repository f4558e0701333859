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

/// The kind of the recipient's entry for a row that it owns; `Kind::of_recipient` says the same.
macro_rules! kind_in {
    () => {
        "CASE flags & 3 WHEN 3 THEN 1 WHEN 2 THEN 2 ELSE 4 END"
    };
}

/// The kind of the sender's entry; `Kind::of_sender` says the same.
macro_rules! kind_out {
    () => {
        "CASE WHEN (flags & 4) <> 0 AND NOT (recipient = sender_account AND (flags & 2) <> 0) \
         THEN 3 ELSE 5 END"
    };
}

mod devices;
mod read;
mod write;

pub(super) use devices::*;
pub(super) use read::*;
pub(super) use write::*;

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

/// A statement for each chunk of the ids.
fn by_ids(sql: &'static str, ids: &[i64]) -> impl Iterator<Item = Statement> {
    chunks(ids).map(move |params| Statement::new(sql, params))
}
