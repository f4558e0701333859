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
    mailbox.advance(1, "phone", 5, 100).await.unwrap();
    mailbox.advance(1, "phone", 3, 200).await.unwrap();
    mailbox.advance(1, "", 7, 50).await.unwrap();
    mailbox.advance(1, "", 6, 40).await.unwrap();
    mailbox.advance(2, "phone", 1, 1).await.unwrap();
    let expected = vec![unnamed("", 7, 50), unnamed("phone", 5, 200)];
    assert_eq!(mailbox.devices(1).await, Ok(expected));
    mailbox.forget_device(1, "phone").await.unwrap();
    assert_eq!(mailbox.devices(1).await, Ok(vec![unnamed("", 7, 50)]));
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
    mailbox.acknowledge(1, "phone", 9, 20).await.unwrap();
    mailbox
        .register_device(1, &device("desk", 9, 30))
        .await
        .unwrap();
    mailbox.acknowledge(1, "phone", 8, 40).await.unwrap();
    mailbox.acknowledge(1, "unknown", 8, 40).await.unwrap();
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

#[tokio::test]
async fn devices_are_few() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 10).await;
    for n in 0..100 {
        let key = format!("{n:03}");
        if n % 2 == 0 {
            mailbox
                .register_device(1, &device(&key, n, n))
                .await
                .unwrap();
        } else {
            mailbox.advance(1, &key, n, n).await.unwrap();
        }
    }
    let devices = mailbox.devices(1).await.unwrap();
    assert_eq!(devices.len(), 1 + MAX_DEVICES);
    assert_eq!((&*devices[0].key, &*devices[1].key), ("", "068"));
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
    let keys: Vec<_> = mailbox.devices(1).await.unwrap();
    let keys: Vec<&str> = keys.iter().map(|device| &*device.key).collect();
    assert_eq!(keys, ["", "desk"]);
    database.close().await;
}
