//! Who owns a row, and what happens when one of the owners does not any more.

use super::*;

async fn rows(database: &Database) -> i64 {
    count(database, "SELECT count(*) FROM message").await
}

async fn archive(mailbox: &Mailbox, account: i64) -> Vec<String> {
    let page = mailbox
        .archive_page(account, &Filter::default(), false, EVERYTHING)
        .await;
    page.unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn removing_twice_or_what_is_another_accounts_does_no_harm() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 50).await;
    let ids: Vec<i64> = (0..200)
        .map(|n| append(&mailbox, n % 2 + 1, &n.to_string()))
        .collect();
    mailbox.remove(1, ids.clone()).await.unwrap();
    mailbox.remove(1, ids.clone()).await.unwrap();
    mailbox.remove(1, vec![]).await.unwrap();
    mailbox.remove(2, vec![ids[1]]).await.unwrap();
    assert_eq!(mailbox.usage(1, 0).await, Ok(Usage::default()));
    assert_eq!(mailbox.usage(2, 0).await.unwrap().count, 99);
    assert_eq!(texts(&mailbox, 2).await[0], "3");
    check_index(&database).await;
    database.close().await;
}

/// With the tail alone, and with the index.
#[tokio::test]
async fn a_row_goes_with_its_last_owner() {
    for move_at in [1, 1000] {
        let directory = TempDir::new().unwrap();
        let (database, mailbox) = open(directory.path(), move_at).await;
        let ids = ["first", "second"].map(|text| put(&mailbox, chat(1, 2, text)));
        settle_moves(&database).await;
        mailbox.remove(2, vec![ids[0]]).await.unwrap();
        assert_eq!(texts(&mailbox, 2).await, ["second"]);
        assert_eq!(archive(&mailbox, 2).await, ["second"]);
        assert_eq!(archive(&mailbox, 1).await, ["first", "second"]);
        mailbox.remove(1, ids.to_vec()).await.unwrap();
        assert_eq!(archive(&mailbox, 1).await, [""; 0]);
        assert_eq!(mailbox.recent_sent(1, 0, 10).await, Ok(vec![]));
        assert_eq!(texts(&mailbox, 2).await, ["second"]);
        assert_eq!(rows(&database).await, 1);
        mailbox.remove(2, vec![ids[1]]).await.unwrap();
        assert_eq!(rows(&database).await, 0);
        settle_moves(&database).await;
        check_index(&database).await;
        database.close().await;
    }
}

/// Without an archive the sender finds its message only while it waits.
#[tokio::test]
async fn what_was_sent_is_known_until_the_recipient_has_it() {
    for move_at in [1, 1000] {
        let directory = TempDir::new().unwrap();
        let (database, mailbox) = open(directory.path(), move_at).await;
        let row = NewRow {
            flags: Flags::INCOMING,
            key: -7,
            stream: 3,
            number: 4,
            ..chat(1, 2, "x")
        };
        let id = put(&mailbox, row);
        settle_moves(&database).await;
        let sent = Sent {
            id,
            key: -7,
            stream: 3,
            number: 4,
        };
        assert_eq!(mailbox.recent_sent(1, 0, 10).await, Ok(vec![sent]));
        assert_eq!(mailbox.recent_sent(1, 1001, 10).await, Ok(vec![]));
        assert_eq!(archive(&mailbox, 1).await, [""; 0]);
        mailbox.remove(2, vec![id]).await.unwrap();
        assert_eq!(mailbox.recent_sent(1, 0, 10).await, Ok(vec![]));
        assert_eq!(rows(&database).await, 0);
        settle_moves(&database).await;
        check_index(&database).await;
        database.close().await;
    }
}

#[tokio::test]
async fn what_an_account_sends_to_itself_shows_once() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 3).await;
    for flags in [Flags::ARCHIVED | Flags::SENT, Flags::SENT] {
        let row = NewRow {
            flags: flags | Flags::INCOMING,
            ..chat(1, 1, "note")
        };
        put(&mailbox, row);
        settle(&database).await;
    }
    settle_moves(&database).await;
    assert_eq!(archive(&mailbox, 1).await, ["note", "note"]);
    assert_eq!(texts(&mailbox, 1).await, ["note", "note"]);
    assert_eq!(mailbox.recent_sent(1, 0, 10).await.unwrap().len(), 2);
    check_index(&database).await;
    let ids = queue(&mailbox, 1).await.iter().map(|row| row.id).collect();
    mailbox.remove(1, ids).await.unwrap();
    assert_eq!(rows(&database).await, 0);
    database.close().await;
}

#[tokio::test]
async fn an_account_goes_and_others_keep_their_copies() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 900).await;
    for n in 0..1300 {
        append(&mailbox, n % 2 + 1, "waits");
        put(&mailbox, chat(1, 2, "from 1"));
        put(&mailbox, chat(2, 1, "from 2"));
    }
    mailbox.acknowledge(1, Some("phone"), 1, 1);
    mailbox.acknowledge(2, Some("phone"), 1, 1);
    mailbox.remove_account(1).await.unwrap();
    assert_eq!(mailbox.usage(1, 0).await, Ok(Usage::default()));
    assert_eq!(archive(&mailbox, 1).await, [""; 0]);
    assert_eq!(mailbox.recent_sent(1, 0, 10).await, Ok(vec![]));
    assert_eq!(mailbox.devices(1).await, Ok(vec![]));
    assert_eq!(mailbox.devices(2).await.unwrap().len(), 2);
    assert_eq!(mailbox.usage(2, 0).await.unwrap().count, 650 + 1300);
    assert_eq!(archive(&mailbox, 2).await.len(), 2600);
    assert_eq!(rows(&database).await, 650 + 2600);
    let senders = "SELECT count(*) FROM message WHERE sender_account = 1";
    assert_eq!(count(&database, senders).await, 0);
    settle_moves(&database).await;
    check_index(&database).await;
    database.close().await;
}

#[tokio::test]
async fn the_sweep_says_what_was_not_delivered() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 2).await;
    let ids = ["taken", "waits"].map(|text| put(&mailbox, chat(1, 2, text)));
    let filed = NewRow {
        flags: Flags::ARCHIVED,
        ..chat(1, 2, "filed")
    };
    put(&mailbox, filed);
    mailbox.acknowledge(2, None, ids[0], 0);
    let expired = mailbox.expired(1001, 10).await.unwrap();
    let undelivered: Vec<bool> = expired.iter().map(|owned| owned.undelivered).collect();
    assert_eq!(undelivered, [false, true, false]);
    assert!(
        expired
            .iter()
            .all(|owned| owned.recipient == 2 && owned.sender_account == 1)
    );
    let found = mailbox.find(ids[1]).await.unwrap().unwrap();
    assert_eq!(found, expired[1]);
    let stats = Stats {
        count: 1,
        bytes: 5,
        oldest_ms: Some(1000),
    };
    assert_eq!(mailbox.stats().await, Ok(stats));
    database.close().await;
}
