//! XEP-0012: Last Activity (version 2.0)
//!
//! Supported: the server's uptime; when a user was last online, for those who see its presence;
//! queries to a full JID are passed on only for those.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::account::Account;
use waxwing_core::db::{DbError, Migrations, Statement};
use waxwing_core::powers::{
    Answer, Answered, Attend, Boxed, Claim, Extension, Guard, Place, Query, Specification, Verb,
};
use waxwing_core::{Exchange, Session};
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Jid, Stanza, StanzaError, ns};

const NS: &str = "jabber:iq:last";

/// See the [module](self).
pub struct LastActivity;

impl Extension for LastActivity {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0012",
            title: "Last Activity",
            version: "2.0",
            features: &[],
        }
    }

    fn migrations(&self) -> Option<Migrations> {
        let steps = &[
            "CREATE TABLE last_activity (account BIGINT NOT NULL PRIMARY KEY, \
                       at BIGINT NOT NULL, status TEXT NOT NULL)",
        ];
        Some(Migrations {
            extension: "last_activity",
            steps,
        })
    }
}

impl Guard for LastActivity {
    /// XEP-0012 §4: whoever may not see the presence of a user may not ask its clients either.
    fn check_request(
        &self,
        account: &Account,
        from: &Jid,
        request: &Stanza,
    ) -> Result<(), StanzaError> {
        if request
            .payload()
            .is_some_and(|(ns, name)| ns == NS && name == "query")
            && !may_ask(account, from)
        {
            return Err(StanzaError::forbidden());
        }
        Ok(())
    }
}

impl Attend for LastActivity {
    fn unavailable(
        &self,
        exchange: &Exchange,
        session: &Session,
        presence: &Stanza,
    ) -> Vec<Statement> {
        let account = &session.account;
        if account.id < 0 || account.lock().available().next().is_some() {
            return Vec::new();
        }
        let element = presence.to_element();
        let status = element
            .get_child("status", ns::CLIENT)
            .map(Element::text)
            .unwrap_or_default();
        let sql = "INSERT INTO last_activity (account, at, status) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (account) DO UPDATE SET at = excluded.at, status = excluded.status";
        let values = vec![account.id.into(), exchange.now().0.into(), status.into()];
        vec![Statement::new(sql, values)]
    }

    fn absent<'a>(
        &'a self,
        exchange: &'a Exchange,
        account: &'a Account,
    ) -> Option<Boxed<'a, Option<Element>>> {
        Some(Box::pin(async move {
            last(exchange, account).await.ok().flatten()
        }))
    }

    fn removed(&self, account: &Account) -> Vec<Statement> {
        let delete = "DELETE FROM last_activity WHERE account = ?1";
        vec![Statement::new(delete, vec![account.id.into()])]
    }
}

impl Answer for LastActivity {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Get, Place::Server, NS, "query"),
            (Verb::Get, Place::Account, NS, "query"),
        ]
    }

    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        Box::pin(async move {
            if query.place == Place::Server {
                return Ok(Some(element(exchange.clock.elapsed().as_secs(), "")));
            }
            if !query.is_own() && !may_ask(&query.account, &query.from) {
                return Err(StanzaError::forbidden());
            }
            if !query.account.lock().sessions.is_empty() {
                return Ok(Some(element(0, "")));
            }
            // What a session that just ended left may be on its way to the disk.
            exchange.database.batch(Vec::new()).await?;
            match last(exchange, &query.account).await? {
                Some(last) => Ok(Some(last)),
                // The user was never here.
                None => Err(StanzaError::item_not_found()),
            }
        })
    }
}

fn may_ask(account: &Account, from: &Jid) -> bool {
    from.bare() == account.jid.as_str()
        || account
            .lock()
            .roster
            .state(from.bare())
            .subscription
            .includes_from()
}

async fn last(exchange: &Exchange, account: &Account) -> Result<Option<Element>, DbError> {
    let select = "SELECT at, status FROM last_activity WHERE account = ?1";
    let rows = exchange
        .database
        .query(select, vec![account.id.into()])
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let seconds = (exchange.now().0 - row.int(0)?).max(0) / 1000;
    Ok(Some(element(seconds.unsigned_abs(), row.text(1)?)))
}

fn element(seconds: u64, status: &str) -> Element {
    Element::builder("query", NS)
        .with("seconds", seconds.to_string())
        .append(status)
        .build()
}
