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

/// So many rooms cost the start nothing: of them it reads those that somebody is in, and those that
/// go with their last occupant.
#[tokio::test]
async fn the_start_passes_by_rooms_that_nobody_is_in() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    create(&database, A, "first", Config::instant(256)).await;
    let copies = "INSERT INTO muc_room (id, local, title, description, lang, persistent, public, \
        members_only, moderated, password, whois, private_messages, change_subject, invite, \
        request_voice, register, member_list_from, presence_from, archived, history, max_members, \
        anonymous_until) WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number \
        WHERE n < ?1) \
        SELECT id + n, 'room' || n, title, description, lang, persistent, public, members_only, \
        moderated, password, whois, private_messages, change_subject, invite, request_voice, \
        register, member_list_from, presence_from, archived, history, max_members, anonymous_until \
        FROM muc_room, number";
    let copies = Statement::new(copies, vec![Value::Int(100_000)]);
    database.batch(vec![copies]).await.unwrap();
    assert_eq!(newest_id(&database).await, Ok(A + 100_000));
    assert_eq!(seats(&database).await, Ok(Vec::new()));
    assert_eq!(temporary(&database).await, Ok(Vec::new()));
    for (statement, expected) in [
        (
            sql::OCCUPANTS,
            &[
                "SCAN muc_occupant",
                "SEARCH muc_room USING INTEGER PRIMARY KEY",
            ][..],
        ),
        (sql::NEWEST, &["SEARCH muc_room"]),
        // A partial index, which holds nothing else.
        (sql::TEMPORARY, &["SCAN muc_room USING INDEX muc_temporary"]),
    ] {
        let steps = plan(&database, statement).await;
        for (step, expected) in steps.iter().zip(expected) {
            assert!(step.starts_with(expected), "{statement}: {step}");
        }
    }
}
