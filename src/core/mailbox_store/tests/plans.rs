//! How SQLite carries out the statements: by keys and indexes, never by reading a table through or
//! by sorting.

use super::*;
use crate::db::Value;

const ALL: [(&str, &str); 33] = [
    ("state", sql::STATE),
    ("newest", sql::NEWEST),
    ("beyond", sql::BEYOND),
    ("usage", sql::USAGE),
    ("forwards", sql::FORWARDS),
    ("backwards", sql::BACKWARDS),
    ("count", sql::COUNT),
    ("with forwards", sql::WITH_FORWARDS),
    ("with backwards", sql::WITH_BACKWARDS),
    ("with count", sql::WITH_COUNT),
    ("bodies", sql::BODIES),
    ("sizes", sql::SIZES),
    ("sent", sql::SENT),
    ("find", sql::FIND),
    ("newest rows", sql::NEWEST_ROWS),
    ("older", sql::OLDER),
    ("set state", sql::SET_STATE),
    ("index in", sql::INDEX_IN),
    ("index out", sql::INDEX_OUT),
    ("unindex in", sql::RELEASE.unindex_in),
    ("unindex out", sql::RELEASE.unindex_out),
    ("delete", sql::RELEASE.delete),
    ("disown", sql::RELEASE.disown),
    ("unindex in, one", sql::RELEASE_ONE.unindex_in),
    ("unindex out, one", sql::RELEASE_ONE.unindex_out),
    ("delete one", sql::RELEASE_ONE.delete),
    ("disown one", sql::RELEASE_ONE.disown),
    ("expire in", sql::EXPIRE_IN),
    ("expire out", sql::EXPIRE_OUT),
    ("expire", sql::EXPIRE),
    ("devices", sql::DEVICES),
    ("acknowledge", sql::ACKNOWLEDGE),
    ("trim", sql::TRIM),
];

/// Statements that go through a table by intent: [`sql::NEWEST_CURSOR`] once at start, and
/// [`sql::TOTAL`] for people, which goes from account to account. The remaining ones insert values
/// or name a key.
#[tokio::test]
async fn no_statement_reads_a_table_through() {
    let directory = TempDir::new().unwrap();
    let (database, _) = open(directory.path(), 10).await;
    for (name, statement) in ALL {
        let places = statement.split('?').skip(1).filter_map(|rest| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<usize>().ok()
        });
        let params = vec![Value::Int(1); places.max().unwrap_or(0)];
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let steps = database.query(explain.leak(), params).await.unwrap();
        let steps: Vec<&str> = steps.iter().map(|step| step.text(3).unwrap()).collect();
        for step in &steps {
            // The subquery that a count goes through is bounded by its own limit.
            let scan = step.starts_with("SCAN") && *step != "SCAN entries";
            assert!(!scan && !step.contains("TEMP B-TREE"), "{name}: {steps:?}");
        }
    }
}

#[tokio::test]
async fn an_archive_is_read_by_its_indexes_alone() {
    let directory = TempDir::new().unwrap();
    let (database, _) = open(directory.path(), 10).await;
    for (statement, plan) in [
        (
            sql::BACKWARDS,
            "SEARCH message_index USING PRIMARY KEY (account=? AND kind=? AND id>? AND id<?)",
        ),
        (
            sql::WITH_BACKWARDS,
            "SEARCH message_index USING COVERING INDEX message_peer \
             (account=? AND peer=? AND id>? AND id<?)",
        ),
    ] {
        let params = vec![Value::Int(1); if plan.contains("peer") { 8 } else { 5 }];
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let steps = database.query(explain.leak(), params).await.unwrap();
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].text(3), Ok(plan));
    }
}
