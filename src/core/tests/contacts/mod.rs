//! How much a roster holds, and where it is written.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::Settings;
use waxwing_core::binding::Binding;

use crate::world::{World, jid};

/// Names and groups of characters that take six bytes each as XML.
#[tokio::test]
async fn a_roster_takes_half_of_an_outbox_at_most() {
    let world = World::new().await;
    let settings = world.exchange.settings.load();
    let outbox_bytes = 64 * 1024;
    world.exchange.settings.store(Arc::new(Settings {
        outbox_bytes,
        ..Settings::clone(&settings)
    }));
    let juliet = world.online("juliet", "balcony").await;
    let account = &juliet.account;
    let set = async |number: u32, bytes: usize| {
        let contact = jid(&format!("contact{number}@localhost"));
        let (name, group) = ("\"".repeat(bytes), "'".repeat(bytes));
        let exchange = &world.exchange;
        exchange
            .set_item(account, &contact, name, vec![group])
            .await
    };
    let mut held = 0;
    let error = loop {
        match set(held, 500).await {
            Ok(()) => held += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.condition.name(), "resource-constraint");
    assert_eq!(held, 5, "6 KiB each");
    let items: Vec<Element> = {
        let state = account.lock();
        let items = state.roster.listed();
        items.map(|(jid, item)| item.to_element(jid)).collect()
    };
    let bytes: usize = items.iter().map(|item| String::from(item).len()).sum();
    assert!(bytes <= outbox_bytes / 2);
    // What is there can be changed, as long as it fits.
    assert!(set(0, 1000).await.is_err());
    set(0, 400).await.unwrap();
    // A request is an entry too.
    let long = "n".repeat(1000);
    for number in 0..10 {
        let ask = format!("<presence type='subscribe' to='{number}{long}@localhost'/>");
        world.presence(&juliet, &ask).await;
    }
    let state = account.lock();
    let asked = state
        .roster
        .iter()
        .filter(|(_, item)| item.state.pending_out);
    assert!((1..10).contains(&asked.count()));
}

#[tokio::test]
async fn the_roster_of_an_anonymous_user_is_not_written() {
    let world = World::new().await;
    let guest = jid("guest@localhost");
    let guest = world.exchange.bind_anonymous(&guest, Binding::default());
    let guest = guest.unwrap();
    let (account, contact) = (&guest.account, jid("romeo@localhost"));
    let group = vec!["All".to_owned()];
    let exchange = &world.exchange;
    exchange
        .set_item(account, &contact, String::new(), group)
        .await
        .unwrap();
    assert_eq!(account.lock().roster.len(), 1);
    let select = "SELECT account FROM roster";
    let rows = exchange.database.query(select, Vec::new()).await.unwrap();
    assert!(rows.is_empty());
    exchange.remove_item(account, &contact).await.unwrap();
    assert!(account.lock().roster.is_empty());
}
