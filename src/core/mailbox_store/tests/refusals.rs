//! A disk that is full.

use super::*;

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_and_the_others_stay_in_order() {
    let directory = TempDir::new().unwrap();
    let options = Options {
        max_pages: Some(300),
        ..Options::default()
    };
    let (database, mailbox) = open_with(directory.path(), 20, &options).await;
    let (sender, receiver) = mpsc::channel();
    let mut newest = 0;
    for n in 0..1000 {
        let sender = sender.clone();
        let text = "x".repeat(if n % 10 == 0 { 30_000 } else { 1000 });
        let row = chat(n % 3 + 1, (n + 1) % 3 + 1, &text);
        let id = Arc::new(Mutex::new(0));
        let given = Arc::clone(&id);
        let watched = mailbox.clone();
        let done = move |id, result: Result<(), DbError>| {
            let is_passed = watched.committed() >= id;
            assert_eq!(is_passed, result.is_ok(), "a failed row is withdrawn first");
            sender.send((given, result)).unwrap();
        };
        newest = mailbox.append(row, done).unwrap();
        *id.lock() = newest;
    }
    settle(&database).await;
    assert_eq!(
        mailbox.committed(),
        newest,
        "a failed row is not waited for"
    );
    let results: Vec<_> = receiver.try_iter().collect();
    assert_eq!(results.len(), 1000);
    assert!(
        results.is_sorted_by_key(|(id, _)| *id.lock()),
        "results come in the order of the ids"
    );
    let is_stored = |result: &Result<(), DbError>| match result {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(*error, DbError::Full);
            false
        }
    };
    let mut stored: Vec<i64> = results
        .iter()
        .filter(|(_, result)| is_stored(result))
        .map(|(id, _)| *id.lock())
        .collect();
    assert!(!stored.is_empty() && stored.len() < 1000);
    let mut found = Vec::new();
    for account in 1..=3 {
        let rows = queue(&mailbox, account).await;
        assert!(rows.is_sorted_by_key(|row| row.id));
        assert_eq!(
            mailbox.usage(account, 0).await.unwrap().count,
            rows.len() as u64
        );
        found.extend(rows.iter().map(|row| row.id));
    }
    found.sort_unstable();
    stored.sort_unstable();
    assert_eq!(found, stored);
    check_index(&database).await;
    database.close().await;
}
