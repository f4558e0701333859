//! Who may bind a session.

use waxwing_core::binding::Binding;

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
