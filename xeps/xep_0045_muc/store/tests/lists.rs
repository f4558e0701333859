//! The rooms that can be found.

use super::*;

/// Rooms `r00` to `r09`, every other one public.
async fn ten(database: &Database) {
    for n in 0..10 {
        let config = Config {
            is_public: n % 2 == 0,
            is_members_only: n == 2,
            password: if n == 4 { "p".into() } else { String::new() },
            ..public(&format!("Room {n}"))
        };
        create(database, A + n, &format!("r{n:02}"), config).await;
    }
}

fn locals(rooms: &[Public]) -> String {
    let locals: Vec<&str> = rooms.iter().map(|room| room.local.as_str()).collect();
    locals.join(" ")
}

#[tokio::test]
async fn pages_go_both_ways() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    let empty = public_rooms(&database, &Start::First, 10).await.unwrap();
    assert!(empty.rooms.is_empty() && empty.is_last);
    ten(&database).await;
    for (start, max, expected, is_last) in [
        (Start::First, 2, "r00 r02", false),
        (Start::First, 5, "r00 r02 r04 r06 r08", true),
        (Start::First, 0, "", false),
        (Start::After("r02".into()), 2, "r04 r06", false),
        (Start::After("r04".into()), 2, "r06 r08", true),
        // A room that cannot be found (any more) has its place all the same.
        (Start::After("r05".into()), 1, "r06", false),
        (Start::After("zz".into()), 1, "", true),
        (Start::Last, 2, "r06 r08", false),
        (Start::Before("r04".into()), 1, "r02", false),
        (Start::Before("r04".into()), 2, "r00 r02", true),
    ] {
        let page = public_rooms(&database, &start, max).await.unwrap();
        assert_eq!(locals(&page.rooms), expected, "{start:?}");
        assert_eq!(page.is_last, is_last, "{start:?}");
    }
    assert_eq!(count(&database).await, Ok(Some(5)));
}

#[tokio::test]
async fn a_search_looks_at_rooms_that_can_be_found() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    ten(&database).await;
    let found = search(&database, |room| *room.name >= *"Room 4").await;
    let found = found.unwrap();
    assert_eq!(locals(&found.rooms), "r04 r06 r08");
    assert!(found.is_whole);
    let all = search(&database, |_| true).await.unwrap();
    let open: Vec<bool> = all.rooms.iter().map(|room| room.is_open).collect();
    assert_eq!(open, [true, false, false, true, true]);
    assert!(all.rooms.iter().all(|room| room.is_semi_anonymous));
}

#[tokio::test]
async fn a_search_has_a_bound() {
    let directory = TempDir::new().unwrap();
    let database = open(directory.path());
    let more = LOOKED_AT + 1;
    let mut id = A;
    while id - A < i64::try_from(more).unwrap() {
        let rooms = (id..id + 4096).flat_map(|id| {
            let change = Change::Created(Box::new(public("")));
            statements(id, &format!("r{id}"), &change)
        });
        database.batch(rooms.collect()).await.unwrap();
        id += 4096;
    }
    let found = search(&database, |_| true).await.unwrap();
    assert_eq!((found.rooms.len(), found.is_whole), (LOOKED_AT, false));
    assert_eq!(count(&database).await, Ok(None));
}
