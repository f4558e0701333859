//! Devices and their cursors.

use super::*;

fn device(key: &str, cursor: i64, seen_at_ms: i64) -> Device {
    Device {
        key: key.to_owned(),
        cursor,
        seen_at_ms,
        name: format!("the {key}"),
    }
}

fn unnamed(key: &str, cursor: i64, seen_at_ms: i64) -> Device {
    Device {
        name: String::new(),
        ..device(key, cursor, seen_at_ms)
    }
}

#[tokio::test]
async fn a_cursor_never_goes_back() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    mailbox.acknowledge(1, None, 7, 50);
    mailbox.acknowledge(1, None, 6, 40);
    let phone = device("phone", 5, 100);
    mailbox.register_device(1, &phone).await.unwrap();
    let again = device("phone", 3, 200);
    mailbox.register_device(1, &again).await.unwrap();
    mailbox.acknowledge(1, Some("phone"), 4, 300);
    mailbox.acknowledge(2, None, 1, 1);
    let expected = vec![unnamed("", 7, 50), device("phone", 5, 200)];
    assert_eq!(mailbox.devices(1).await, Ok(expected));
    assert_eq!(mailbox.devices(2).await, Ok(vec![unnamed("", 1, 1)]));
    assert_eq!(mailbox.devices(3).await, Ok(vec![]));
    database.close().await;
}

#[tokio::test]
async fn a_registered_device_takes_its_account_along() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    mailbox
        .register_device(1, &device("phone", 3, 10))
        .await
        .unwrap();
    mailbox.acknowledge(1, Some("phone"), 9, 20);
    mailbox
        .register_device(1, &device("desk", 9, 30))
        .await
        .unwrap();
    mailbox.acknowledge(1, Some("phone"), 8, 40);
    let expected = vec![
        unnamed("", 9, 20),
        device("desk", 9, 30),
        device("phone", 9, 20),
    ];
    assert_eq!(mailbox.devices(1).await, Ok(expected));
    let renamed = Device {
        name: "old one".to_owned(),
        ..device("phone", 0, 50)
    };
    mailbox.register_device(1, &renamed).await.unwrap();
    let phone = &mailbox.devices(1).await.unwrap()[2];
    assert_eq!(
        (phone.cursor, phone.seen_at_ms, &*phone.name),
        (9, 50, "old one")
    );
    database.close().await;
}

async fn keys(mailbox: &Mailbox) -> Vec<String> {
    let devices = mailbox.devices(1).await.unwrap().into_iter();
    devices.map(|device| device.key).collect()
}

/// Those seen longest ago go, as many as there are too many, the one that logs in last of all.
#[tokio::test]
async fn devices_are_few() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    let register = async |n: i64, seen| {
        let device = device(&format!("{n:03}"), n, seen);
        mailbox.register_device(1, &device).await.unwrap();
    };
    for n in 0..100 {
        register(n, n).await;
        let known = keys(&mailbox).await;
        assert_eq!(known.len(), 1 + MAX_DEVICES.min(n as usize + 1));
        assert_eq!(
            (&*known[0], &*known[1]),
            ("", &*format!("{:03}", (n - 31).max(0)))
        );
    }
    register(0, 1).await;
    assert_eq!(keys(&mailbox).await[1..3], ["000", "069"]);
    register(100, 100).await;
    assert_eq!(keys(&mailbox).await[1..3], ["069", "070"]);
    database.close().await;
}

#[tokio::test]
async fn of_devices_seen_at_the_same_moment_one_goes() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    for n in 0..=MAX_DEVICES {
        let device = device(&format!("{n:03}"), 1, 10);
        mailbox.register_device(1, &device).await.unwrap();
    }
    let known = keys(&mailbox).await;
    assert_eq!(known.len(), 1 + MAX_DEVICES);
    assert_eq!(known[1..3], ["001", "002"]);
    database.close().await;
}

#[tokio::test]
async fn a_device_that_was_forgotten_while_it_was_connected_is_known_again() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    let last = MAX_DEVICES as i64;
    for n in 0..=last {
        let device = device(&format!("{n:03}"), 1, n);
        mailbox.register_device(1, &device).await.unwrap();
    }
    assert_eq!(keys(&mailbox).await[1], "001");
    mailbox.acknowledge(1, Some("000"), 9, last + 1);
    let devices = mailbox.devices(1).await.unwrap();
    assert_eq!(devices[0], unnamed("", 9, last + 1));
    assert_eq!(devices[1], unnamed("000", 9, last + 1));
    let other = device("desk", 9, last + 2);
    mailbox.register_device(1, &other).await.unwrap();
    let known = keys(&mailbox).await;
    assert_eq!(
        (known.len(), &*known[1], &*known[2]),
        (1 + MAX_DEVICES, "000", "003")
    );
    database.close().await;
}

#[tokio::test]
async fn a_device_that_is_not_seen_is_forgotten() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    let month = 30 * 24 * 60 * 60 * 1000;
    mailbox
        .register_device(1, &device("phone", 1, 0))
        .await
        .unwrap();
    mailbox
        .register_device(1, &device("desk", 1, month))
        .await
        .unwrap();
    assert_eq!(mailbox.devices(1).await.unwrap().len(), 3);
    mailbox
        .register_device(1, &device("desk", 1, month + 1))
        .await
        .unwrap();
    assert_eq!(keys(&mailbox).await, ["", "desk"]);
    database.close().await;
}

/// What clients acknowledge one by one is one write: at the bound, or for somebody who looks.
#[tokio::test]
async fn cursors_are_written_together() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    let before = database.stats().batches;
    for cursor in 1..=100 {
        mailbox.acknowledge(1, Some("phone"), cursor, cursor);
    }
    settle(&database).await;
    assert_eq!(database.stats().batches, before + 1, "only ours");
    let expected = vec![unnamed("", 100, 100), unnamed("phone", 100, 100)];
    assert_eq!(mailbox.devices(1).await, Ok(expected));
    // Nobody looks at the others, and yet they do not wait in ever greater numbers.
    let batches = database.stats().batches;
    for account in 2..2 + 1024 {
        mailbox.acknowledge(account, None, 1, 1);
    }
    settle(&database).await;
    assert_eq!(database.stats().batches, batches + 2);
    let written = "SELECT count(*) FROM device";
    assert_eq!(count(&database, written).await, 2 + 1024);
    database.close().await;
}

/// Without anybody who asks for it, within a moment.
#[tokio::test]
async fn cursors_are_written_after_a_while() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    mailbox.acknowledge(1, None, 1, 1);
    let written = async || count(&database, "SELECT count(*) FROM device").await == 1;
    let waiting = async {
        while !written().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    assert_eq!(tokio::time::timeout(limit, waiting).await, Ok(()));
    database.close().await;
}

/// The end of a session writes its account's; a removed account leaves none.
#[tokio::test]
async fn cursors_of_one_account() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    for account in 1..=3 {
        mailbox.acknowledge(account, Some("phone"), 5, 5);
    }
    mailbox.write_cursors_of(2);
    mailbox.remove_account(1).await.unwrap();
    let rows = "SELECT count(*) FROM device";
    assert_eq!(count(&database, rows).await, 2);
    mailbox.write_cursors();
    settle(&database).await;
    assert_eq!(count(&database, rows).await, 4);
    assert_eq!(mailbox.devices(1).await, Ok(vec![]));
    database.close().await;
}
