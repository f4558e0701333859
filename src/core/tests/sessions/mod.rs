//! Who may bind a session.

use waxwing_core::binding::{Binding, UserAgent};

use crate::world::World;

#[tokio::test]
async fn an_account_that_was_disabled_after_the_login_is_not_bound() {
    let world = World::new().await;
    let juliet = world.account("juliet").await;
    let account = world.exchange.account(juliet.as_str()).await.unwrap();
    let account = account.unwrap();
    world.exchange.set_disabled(&juliet, true).await.unwrap();
    assert!(world.exchange.bind(&account, Binding::default()).is_err());
    assert!(account.lock().sessions.is_empty());
    world.exchange.set_disabled(&juliet, false).await.unwrap();
    assert!(world.exchange.bind(&account, Binding::default()).is_ok());
}

#[tokio::test]
async fn who_logged_in_to_an_account_is_not_bound_to_the_next_of_its_name() {
    let world = World::new().await;
    let juliet = world.account("juliet").await;
    let before = world.exchange.account(juliet.as_str()).await.unwrap();
    world.exchange.remove_account(&juliet, None).await.unwrap();
    world.account("juliet").await;
    let after = world.exchange.account(juliet.as_str()).await.unwrap();
    let (before, after) = (before.unwrap(), after.unwrap());
    assert!(world.exchange.bind(&before, Binding::default()).is_err());
    assert!(after.lock().sessions.is_empty());
    assert!(world.exchange.bind(&after, Binding::default()).is_ok());
}

/// What is made of the id of a user agent is the same at the next login.
#[tokio::test]
async fn only_a_resource_made_of_chance_is_secret() {
    let world = World::new().await;
    let juliet = world.account("juliet").await;
    let agent = |id: Option<&str>| UserAgent {
        id: id.map(str::to_owned),
        ..UserAgent::default()
    };
    let is_secret = async |resource, tag, user_agent| {
        let binding = Binding {
            resource,
            tag,
            user_agent,
            ..Binding::default()
        };
        let session = world.bind(&juliet, binding).await;
        session.resource_is_secret
    };
    assert!(is_secret(None, None, None).await);
    assert!(is_secret(None, Some("Client"), Some(agent(None))).await);
    assert!(!is_secret(None, Some("Client"), Some(agent(Some("1")))).await);
    assert!(!is_secret(None, None, Some(agent(Some("2")))).await);
    assert!(!is_secret(Some("balcony"), None, None).await);
}
