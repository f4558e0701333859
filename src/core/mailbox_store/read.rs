//! Finding the rows of an account, through the index and the tail, and reading them.

use std::collections::BTreeMap;

use crate::db::{DbError, Value};

use super::index::Part;
use super::rows::Found;
use super::tail::{Kind, Span};
use super::{Mailbox, sql, unsigned};

impl Span {
    /// Everything that comes after an id.
    pub(super) fn after(after: i64, limit: usize) -> Span {
        Span {
            after,
            before: i64::MAX,
            peer: None,
            backwards: false,
            limit,
        }
    }

    /// As the parameter of a statement.
    pub(super) fn limit(&self) -> Value {
        i64::try_from(self.limit).unwrap_or(i64::MAX).into()
    }

    /// The parameters of [`sql::FORWARDS`]; `None` where the index holds nothing that is wanted.
    pub(super) fn params(&self, account: i64, part: &Part) -> Option<Vec<Value>> {
        let before = self.before.min(part.bound.saturating_add(1));
        (self.after < before.saturating_sub(1)).then(|| {
            vec![
                account.into(),
                (part.kind as i64).into(),
                self.after.into(),
                before.into(),
                self.limit(),
            ]
        })
    }

    /// The parameters of [`sql::WITH_FORWARDS`], for the kinds of the archive in their order.
    pub(super) fn params_with(&self, account: i64, peer: i64, parts: &[Part]) -> Vec<Value> {
        let mut params = vec![
            account.into(),
            peer.into(),
            self.after.into(),
            self.before.into(),
        ];
        params.extend(parts.iter().map(|part| Value::from(part.bound)));
        params.push(self.limit());
        params
    }
}

impl Mailbox {
    /// Ids and bytes of the entries of these kinds that are wanted, in the order of the ids. Only
    /// what is committed. A peer can be asked for only with [`Kind::ARCHIVE`], and for the bytes
    /// only without a peer.
    pub(super) async fn choose(
        &self,
        account: i64,
        kinds: &[Kind],
        span: &Span,
    ) -> Result<Vec<(i64, u64)>, DbError> {
        let parts = self.0.state.lock().parts(account, kinds, span);
        let mut queries = Vec::new();
        match span.peer {
            Some(peer) => queries.push((
                direction(span, sql::WITH_FORWARDS, sql::WITH_BACKWARDS),
                span.params_with(account, peer, &parts),
            )),
            None => {
                let sql = direction(span, sql::FORWARDS, sql::BACKWARDS);
                let params = parts.iter().filter_map(|part| span.params(account, part));
                queries.extend(params.map(|params| (sql, params)));
            }
        }
        let mut found: Vec<(i64, u64)> = Vec::new();
        for (sql, params) in queries {
            for row in self.0.database.query(sql, params).await? {
                found.push((row.int(0)?, unsigned(&row, 1)?));
            }
        }
        found.extend(parts.into_iter().flat_map(|part| part.tail));
        found.sort_unstable();
        if span.backwards {
            found.drain(..found.len().saturating_sub(span.limit));
        } else {
            found.truncate(span.limit);
        }
        Ok(found)
    }

    /// The rows with these ids, in the order of the ids. Those that are gone are left out.
    pub(super) async fn bodies(&self, ids: &[i64]) -> Result<Vec<Found>, DbError> {
        let mut found = BTreeMap::new();
        for chunk in sql::chunks(ids) {
            for row in self.0.database.query(sql::BODIES, chunk).await? {
                let row = Found::try_from(row)?;
                found.insert(row.row.id, row);
            }
        }
        Ok(found.into_values().collect())
    }
}

/// The ids of what was chosen.
pub(super) fn ids(chosen: &[(i64, u64)]) -> Vec<i64> {
    chosen.iter().map(|(id, _)| *id).collect()
}

fn direction(span: &Span, forwards: &'static str, backwards: &'static str) -> &'static str {
    if span.backwards { backwards } else { forwards }
}
