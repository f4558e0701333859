//! What is written to the rows and to their index.

use crate::db::{Statement, Value};

use super::super::tail::{Entry, Told};
use super::{by_ids, chunks};

pub(in super::super) const APPEND: &str =
    "INSERT INTO message (id, recipient, sender_account, flags, peer_in, peer_out, size, key,
                          stream, number, sender, body)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

pub(in super::super) const REPLACE: &str =
    "UPDATE message SET body = ?3 WHERE id = ?1 AND recipient = ?2";

pub(in super::super) const SET_STATE: &str = "UPDATE mailbox_state SET value = ?2 WHERE name = ?1";

/// Makes an entry of which all is known.
pub(in super::super) const INDEX: &str =
    "INSERT INTO message_index (account, kind, id, peer, size) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (account, kind, id) DO NOTHING";

/// What is in the table at that moment is what is indexed: a row that was removed before leaves no
/// entry behind.
pub(in super::super) const INDEX_IN: &str = concat!(
    "INSERT INTO message_index (account, kind, id, peer, size)
     SELECT recipient, ",
    kind_in!(),
    ", id, peer_in, size FROM message WHERE id IN (",
    ids!(),
    ") AND (flags & 3) <> 0 ON CONFLICT (account, kind, id) DO NOTHING"
);

/// As [`INDEX_IN`], for the senders.
pub(in super::super) const INDEX_OUT: &str = concat!(
    "INSERT INTO message_index (account, kind, id, peer, size)
     SELECT sender_account, ",
    kind_out!(),
    ", id, peer_out, size FROM message WHERE id IN (",
    ids!(),
    ") AND sender_account <> 0 ON CONFLICT (account, kind, id) DO NOTHING"
);

/// The statements that end one account's ownership of rows, in the order in which they run: the
/// first two need the rows as they were.
pub(in super::super) struct Release {
    /// Takes the account's entries as recipient out of the index.
    pub(in super::super) unindex_in: &'static str,
    /// Takes the sender's entries out: its own, or those of rows that go with the recipient.
    pub(in super::super) unindex_out: &'static str,
    /// Removes the rows that nobody else owns.
    pub(in super::super) delete: &'static str,
    /// Takes the account off the others.
    pub(in super::super) disown: &'static str,
}

macro_rules! release {
    ($ids:expr, $account:literal) => {
        Release {
            unindex_in: concat!(
                "DELETE FROM message_index WHERE (account, kind, id) IN (SELECT recipient, ",
                kind_in!(),
                ", id FROM message WHERE id IN (",
                $ids,
                ") AND recipient = ",
                $account,
                " AND (flags & 3) <> 0)"
            ),
            unindex_out: concat!(
                "DELETE FROM message_index WHERE (account, kind, id) IN (SELECT sender_account, ",
                kind_out!(),
                ", id FROM message WHERE id IN (",
                $ids,
                ") AND sender_account <> 0 AND (sender_account = ",
                $account,
                " OR (recipient = ",
                $account,
                " AND (flags & 4) = 0)))"
            ),
            delete: concat!(
                "DELETE FROM message WHERE id IN (",
                $ids,
                ") AND ((recipient = ",
                $account,
                " AND ((flags & 4) = 0 OR sender_account = ",
                $account,
                ")) OR (sender_account = ",
                $account,
                " AND (flags & 3) = 0))"
            ),
            disown: concat!(
                "UPDATE message SET
                     flags = flags & ~(CASE WHEN recipient = ",
                $account,
                " THEN 3 ELSE 0 END | CASE WHEN sender_account = ",
                $account,
                " THEN 4 ELSE 0 END),
                     sender_account = CASE WHEN sender_account = ",
                $account,
                " THEN 0 ELSE sender_account END
                 WHERE id IN (",
                $ids,
                ") AND (recipient = ",
                $account,
                " OR sender_account = ",
                $account,
                ")"
            ),
        }
    };
}

pub(in super::super) const RELEASE_ONE: Release = release!("?1", "?2");

pub(in super::super) const RELEASE: Release = release!(ids!(), "?33");

pub(in super::super) const EXPIRE_IN: &str = concat!(
    "DELETE FROM message_index WHERE (account, kind, id) IN (SELECT recipient, ",
    kind_in!(),
    ", id FROM message WHERE id IN (",
    ids!(),
    ") AND (flags & 3) <> 0)"
);

pub(in super::super) const EXPIRE_OUT: &str = concat!(
    "DELETE FROM message_index WHERE (account, kind, id) IN (SELECT sender_account, ",
    kind_out!(),
    ", id FROM message WHERE id IN (",
    ids!(),
    ") AND sender_account <> 0)"
);

pub(in super::super) const EXPIRE: &str = concat!("DELETE FROM message WHERE id IN (", ids!(), ")");

/// Makes entries: the first as they are given, the others if the table still has their rows.
pub(in super::super) fn indexing(
    certain: &[&(Entry, Told)],
    doubtful: &[&(Entry, Told)],
) -> Vec<Statement> {
    let ids = |incoming: bool| -> Vec<i64> {
        let entries = doubtful.iter().map(|(entry, _)| entry);
        entries
            .filter(|(_, kind, _)| kind.is_incoming() == incoming)
            .map(|(_, _, id)| *id)
            .collect()
    };
    let mut statements = vec![entering(certain)];
    statements.extend(by_ids(INDEX_IN, &ids(true)));
    statements.extend(by_ids(INDEX_OUT, &ids(false)));
    statements
}

fn entering(entries: &[&(Entry, Told)]) -> Statement {
    let params = |((account, kind, id), told): &&(Entry, Told)| {
        let kind = *kind as i64;
        [*account, kind, *id, told.peer, told.size.into()].map(Value::Int)
    };
    Statement::each(INDEX, entries.iter().map(params))
}

/// Ends the account's ownership of these rows. Those above `touched` are certain to have no entry
/// in the index. Not `shared`: they are certain to have no other owner.
pub(in super::super) fn release(
    account: i64,
    ids: &[i64],
    touched: i64,
    shared: bool,
) -> Vec<Statement> {
    let (release, lists): (Release, Vec<Vec<Value>>) = match ids {
        [id] => (RELEASE_ONE, vec![vec![(*id).into()]]),
        _ => (RELEASE, chunks(ids).collect()),
    };
    let indexed = ids.iter().any(|id| *id <= touched);
    let mut statements = Vec::with_capacity(4 * lists.len());
    for mut params in lists {
        params.push(account.into());
        if indexed {
            statements.push(Statement::new(release.unindex_in, params.clone()));
            statements.push(Statement::new(release.unindex_out, params.clone()));
        }
        if shared {
            statements.push(Statement::new(release.delete, params.clone()));
            statements.push(Statement::new(release.disown, params));
        } else {
            statements.push(Statement::new(release.delete, params));
        }
    }
    statements
}

/// Removes these rows, whoever owns them, and their entries.
pub(in super::super) fn expiry(ids: &[i64]) -> Vec<Statement> {
    by_ids(EXPIRE_IN, ids)
        .chain(by_ids(EXPIRE_OUT, ids))
        .chain(by_ids(EXPIRE, ids))
        .collect()
}
