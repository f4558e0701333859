//! The end of messages that waited too long.

use std::sync::Arc;

use waxwing_core::Session;
use waxwing_core::db::Statement;
use waxwing_core::expiry::Expiry;
use waxwing_core::mailbox_store::{Flags, NewRow};

use super::message;
use super::world::{World, ids};

/// Old messages of romeo for juliet, who is away; romeo's session, and juliet's account.
async fn old_messages(world: &World, ids_of_them: &[String]) -> (Arc<Session>, i64) {
    let romeo = world.online("romeo", "orchard").await;
    ids(&romeo);
    let bare = world.account("juliet").await;
    let juliet = world.exchange.account(bare.as_str()).await.unwrap();
    let account = juliet.unwrap().id;
    for id in ids_of_them {
        let row = NewRow {
            recipient: account,
            sender_account: 0,
            from: "romeo@localhost/orchard".to_owned(),
            to_bare: bare.to_string(),
            flags: Flags::INCOMING,
            received_at_ms: 1000,
            key: 0,
            stream: 0,
            number: 0,
            body: message(bare.as_str(), id).bytes().clone(),
        };
        let appended = (world.exchange.mailbox).append(row, |_, stored| stored.unwrap());
        appended.unwrap();
    }
    world
        .send(bare.as_str(), &message(bare.as_str(), "young"))
        .await;
    world.exchange.database.batch(Vec::new()).await.unwrap();
    (romeo, account)
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

async fn write(world: &World, sql: &'static str) {
    let statement = Statement::new(sql, Vec::new());
    world
        .exchange
        .database
        .batch(vec![statement])
        .await
        .unwrap();
}

/// Expiry goes on piece by piece until nothing old is left; each sender is told of each message.
#[tokio::test]
async fn everything_that_waited_too_long_is_returned() {
    let world = World::new().await;
    let old = numbers(450);
    let (romeo, _) = old_messages(&world, &old).await;
    let mut expiry = Expiry::default();
    assert_eq!(expiry.sweep(&world.exchange).await, Ok(old.len()));
    world.exchange.database.batch(Vec::new()).await.unwrap();
    assert_eq!(ids(&romeo), old);
    assert_eq!(world.waiting("juliet").await, ["young"]);
    assert_eq!(expiry.sweep(&world.exchange).await, Ok(0));
}

/// What goes by itself goes, and nobody is told twice.
#[tokio::test]
async fn a_row_that_cannot_be_removed_holds_up_no_other() {
    let world = World::new().await;
    let old = numbers(3);
    let (romeo, account) = old_messages(&world, &old).await;
    let juliet = world.online("juliet", "balcony").await;
    juliet.account.lock().mailbox.count = 10;
    write(
        &world,
        "CREATE TRIGGER stays BEFORE DELETE ON message WHEN instr(old.body, 'id=''1''') > 0
         BEGIN SELECT raise(ABORT, 'says the test'); END",
    )
    .await;
    let mut expiry = Expiry::default();
    assert_eq!(expiry.sweep(&world.exchange).await, Ok(2));
    assert_eq!(ids(&romeo), old);
    assert_eq!(expiry.sweep(&world.exchange).await, Ok(0));
    assert_eq!(juliet.account.lock().mailbox.count, 8);
    write(&world, "DROP TRIGGER stays").await;
    assert_eq!(expiry.sweep(&world.exchange).await, Ok(1));
    assert_eq!(juliet.account.lock().mailbox.count, 7);
    assert!(ids(&romeo).is_empty(), "the sender was told again");
    assert_eq!(world.rows(account).await, 1);
}

#[tokio::test]
async fn strays_go_with_their_rows() {
    let world = World::new().await;
    old_messages(&world, &numbers(2)).await;
    write(
        &world,
        "INSERT INTO stray (account, mailbox) SELECT 1, id FROM message",
    )
    .await;
    Expiry::default().sweep(&world.exchange).await.unwrap();
    let strays = "SELECT mailbox FROM stray WHERE mailbox IN (SELECT id FROM message)";
    let all = "SELECT mailbox FROM stray";
    for sql in [strays, all] {
        let left = world.exchange.database.query(sql, Vec::new()).await;
        assert_eq!(left.unwrap().len(), 1, "{sql}");
    }
}

/// The sender is away, and its notice cannot be written: the message stays for the next time.
#[tokio::test]
async fn no_message_goes_before_its_notice_is_on_the_disk() {
    let world = World::new().await;
    let (romeo, account) = old_messages(&world, &numbers(1)).await;
    world.exchange.unbind(&romeo);
    write(
        &world,
        "CREATE TRIGGER full BEFORE INSERT ON message
         BEGIN SELECT raise(ABORT, 'says the test'); END",
    )
    .await;
    let mut expiry = Expiry::default();
    assert_eq!(expiry.sweep(&world.exchange).await, Ok(0));
    assert_eq!(world.rows(account).await, 2);
    write(&world, "DROP TRIGGER full").await;
    assert_eq!(expiry.sweep(&world.exchange).await, Ok(1));
    assert_eq!(world.rows(account).await, 1);
    assert_eq!(world.waiting("romeo").await, ["0"]);
}
