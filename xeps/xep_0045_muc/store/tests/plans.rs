//! How SQLite carries out the statements: by keys and indexes, never by reading a table through or
//! by sorting.

use super::*;

/// Statements that go through a table by intent: [`sql::OCCUPANTS`] and [`sql::DROP_OCCUPANTS`]
/// once at the start. The remaining ones insert values.
#[tokio::test]
async fn no_statement_reads_a_table_through() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    let named = [
        sql::ROOM,
        sql::AVATAR,
        sql::MEMBERS,
        sql::SET_SUBJECT,
        sql::DROP_AVATAR,
        sql::SET_VERSION,
        sql::DROP_FORGOTTEN,
        sql::DROP_MEMBER_CURSORS,
        sql::SET_INVITED,
        sql::INVITED,
        sql::ROOMS_OF,
        sql::CURSORS,
        sql::DROP_CURSORS,
        sql::PUBLIC_FORWARDS,
        sql::PUBLIC_BACKWARDS,
        sql::PUBLIC_LAST,
        sql::PUBLIC_COUNT,
        sql::TEMPORARY,
        sql::NEWEST,
    ];
    for statement in named
        .into_iter()
        .chain(sql::REMOVE_USER)
        .chain(sql::DESTROY)
    {
        for step in plan(&database, statement).await {
            // A partial index is read as far as it is asked for: it holds nothing else.
            let is_bounded = ["SCAN entries", "INDEX muc_public", "INDEX muc_temporary"];
            let is_bounded = is_bounded.iter().any(|bound| step.contains(bound));
            let is_scan = step.starts_with("SCAN") && !is_bounded;
            assert!(
                !is_scan && !step.contains("TEMP B-TREE"),
                "{statement}: {step}"
            );
        }
    }
}

async fn plan(database: &Database, statement: &str) -> Vec<String> {
    let places = statement.split('?').skip(1).filter_map(|rest| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<usize>().ok()
    });
    let params = vec![Value::Int(1); places.max().unwrap_or(0)];
    let explain = format!("EXPLAIN QUERY PLAN {statement}");
    let steps = database.query(explain.leak(), params).await.unwrap();
    let steps = steps.iter().map(|step| step.text(3).unwrap().to_owned());
    steps.collect()
}

#[tokio::test]
async fn lists_are_read_from_their_indexes() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    for (statement, expected) in [
        (
            sql::PUBLIC_FORWARDS,
            "SEARCH muc_room USING INDEX muc_public (local>?)",
        ),
        (
            sql::PUBLIC_BACKWARDS,
            "SEARCH muc_room USING INDEX muc_public (local<?)",
        ),
        (sql::PUBLIC_LAST, "SCAN muc_room USING INDEX muc_public"),
        (
            sql::ROOMS_OF,
            "SEARCH muc_member USING INDEX muc_member_jid (jid=?)",
        ),
        (
            sql::REMOVE_USER[2],
            "SEARCH muc_cursor USING INDEX muc_cursor_jid (jid=?)",
        ),
    ] {
        let steps = plan(&database, statement).await;
        assert_eq!(steps.first().map(String::as_str), Some(expected));
    }
}
