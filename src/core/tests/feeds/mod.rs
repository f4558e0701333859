//! Feeds on the exchange itself.

use std::sync::Arc;

use bytes::Bytes;
use waxwing_core::db::DbError;
use waxwing_core::drain::Page;
use waxwing_core::feed::{FIRST_FEED, Feed};
use waxwing_core::outbox::Shared;
use waxwing_core::powers::Boxed;
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::Stanza;

use crate::world::{World, ids};

/// A feed in which something is said at the very moment when a session's connection breaks.
struct Talkative;

impl Talkative {
    fn say(session: &Session, id: i64) {
        let row = FIRST_FEED + id;
        let shared = Shared::Row {
            feed: FIRST_FEED,
            id: row,
        };
        let tail = Bytes::from(format!(" id='{id}'><body/></message>"));
        session.outbox.push_shared(&session.jid, tail, shared);
    }
}

impl Feed for Talkative {
    fn owner(&self) -> i64 {
        FIRST_FEED
    }

    fn decided(&self, _: i64, _: bool) -> bool {
        false
    }

    fn announce(&self) {}

    fn taken(&self, _: &Exchange, _: &Session, _: i64) {}

    fn sleep(&self, session: &Session) {
        Talkative::say(session, 2);
    }

    fn leave(self: Arc<Self>, _: &Arc<Exchange>, _: &Session, _: &Stanza) {}

    fn drain_page<'a>(
        &'a self,
        _: &'a Arc<Exchange>,
        _: &'a Arc<Session>,
    ) -> Boxed<'a, Result<Page, DbError>> {
        Box::pin(async { Ok(Page::Done) })
    }
}

/// It is read from the log when the session is resumed: what lay in the outbox too would come twice,
/// and before older rows.
#[tokio::test]
async fn nothing_of_a_feed_lies_in_an_outbox_that_sleeps() {
    let world = World::new().await;
    let juliet = world.online("juliet", "balcony").await;
    world.exchange.enable_management(&juliet, true, None);
    juliet.follow(Arc::new(Talkative));
    Talkative::say(&juliet, 1);
    world.exchange.leave(&juliet);
    assert!(juliet.outbox.asleep_until().is_some());
    assert!(ids(&juliet).is_empty());
}
