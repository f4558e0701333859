//! XEP-0441: Message Archive Management Preferences (version 0.2.0)
//!
//! Supported: default, always and never, at most 256 addresses in each list. An address is in one
//! list at most. Messages wait for their recipient whatever the preferences are.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::Exchange;
use waxwing_core::account::Account;
use waxwing_core::archiving::{Otherwise, Preferences};
use waxwing_core::db::{DbError, Migrations, Row, Statement};
use waxwing_core::powers::{
    Answer, Answered, Archive, Attend, Boxed, Claim, Extension, Place, Query, Specification, Verb,
};
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Jid, StanzaError};

use crate::xep_0313_mam::NS;

/// Addresses in one list.
const MAX_LISTED: usize = 256;

/// See the [module](self).
pub struct ArchivePreferences;

impl Extension for ArchivePreferences {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0441",
            title: "Message Archive Management Preferences",
            version: "0.2.0",
            features: &[],
        }
    }

    /// One row for an address and one, with none, for all others.
    fn migrations(&self) -> Option<Migrations> {
        let steps = &[
            "CREATE TABLE archive_preference (account BIGINT NOT NULL, jid TEXT NOT NULL, \
             rule TEXT NOT NULL, PRIMARY KEY (account, jid))",
        ];
        Some(Migrations {
            extension: "archive_preferences",
            steps,
        })
    }
}

impl Archive for ArchivePreferences {
    fn load<'a>(
        &'a self,
        exchange: &'a Exchange,
        account: i64,
    ) -> Boxed<'a, Result<Option<Preferences>, DbError>> {
        Box::pin(async move {
            let select = "SELECT jid, rule FROM archive_preference WHERE account = ?1 ORDER BY jid";
            let rows = exchange
                .database
                .query(select, vec![account.into()])
                .await?;
            read(&rows)
        })
    }
}

impl Attend for ArchivePreferences {
    fn removed(&self, account: &Account) -> Vec<Statement> {
        vec![deletion(account.id)]
    }
}

impl Answer for ArchivePreferences {
    fn claims(&self) -> &'static [Claim] {
        &[
            (Verb::Get, Place::Account, NS, "prefs"),
            (Verb::Set, Place::Account, NS, "prefs"),
        ]
    }

    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, query: Query) -> Boxed<'a, Answered> {
        Box::pin(async move {
            if !query.is_own() {
                return Err(StanzaError::forbidden());
            }
            if query.verb == Verb::Set {
                set(exchange, &query).await?;
            }
            let preferences = query.account.preferences();
            Ok(Some(element(preferences.as_deref().unwrap_or(&EVERYTHING))))
        })
    }
}

/// Of somebody who has said nothing.
const EVERYTHING: Preferences = Preferences {
    otherwise: Otherwise::Always,
    always: Vec::new(),
    never: Vec::new(),
};

async fn set(exchange: &Exchange, query: &Query) -> Result<(), StanzaError> {
    let account = &query.account;
    if account.id < 0 {
        return Err(StanzaError::not_allowed().with_text("this account has no archive"));
    }
    let preferences = parse(&query.payload)?;
    let statements = statements(account.id, &preferences);
    let preferences = Some(preferences).filter(|preferences| *preferences != EVERYTHING);
    account
        .write_preferences(&exchange.database, preferences, statements)
        .await?;
    Ok(())
}

fn deletion(account: i64) -> Statement {
    let delete = "DELETE FROM archive_preference WHERE account = ?1";
    Statement::new(delete, vec![account.into()])
}

fn statements(account: i64, preferences: &Preferences) -> Vec<Statement> {
    let insert = "INSERT INTO archive_preference (account, jid, rule) VALUES (?1, ?2, ?3)";
    let row = |jid: &str, rule: &str| {
        Statement::new(insert, vec![account.into(), jid.into(), rule.into()])
    };
    let mut statements = vec![deletion(account), row("", name(preferences.otherwise))];
    let always = preferences
        .always
        .iter()
        .map(|jid| row(jid.as_str(), "always"));
    let never = preferences
        .never
        .iter()
        .map(|jid| row(jid.as_str(), "never"));
    statements.extend(always.chain(never));
    statements
}

fn read(rows: &[Row]) -> Result<Option<Preferences>, DbError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let mut preferences = EVERYTHING;
    for row in rows {
        let rule = otherwise(row.text(1)?).ok_or(DbError::Unexpected("archive preference"))?;
        let jid = row.text(0)?;
        if jid.is_empty() {
            preferences.otherwise = rule;
            continue;
        }
        let jid = Jid::parse_tolerant(jid)
            .map_err(|_| DbError::Unexpected("address of an archive preference"))?;
        match rule {
            Otherwise::Never => preferences.never.push(jid),
            _ => preferences.always.push(jid),
        }
    }
    Ok(Some(preferences).filter(|preferences| *preferences != EVERYTHING))
}

/// §2.1.1.
fn name(otherwise: Otherwise) -> &'static str {
    match otherwise {
        Otherwise::Always => "always",
        Otherwise::Never => "never",
        Otherwise::Roster => "roster",
    }
}

fn otherwise(name: &str) -> Option<Otherwise> {
    [Otherwise::Always, Otherwise::Never, Otherwise::Roster]
        .into_iter()
        .find(|otherwise| self::name(*otherwise) == name)
}

fn parse(prefs: &Element) -> Result<Preferences, StanzaError> {
    let malformed = |why| StanzaError::bad_request().with_text(why);
    let otherwise = prefs
        .attr("default")
        .and_then(otherwise)
        .ok_or_else(|| malformed("default must be always, never or roster"))?;
    let (always, never) = (list(prefs, "always")?, list(prefs, "never")?);
    if always.iter().any(|jid| never.contains(jid)) {
        return Err(malformed("an address is in both lists"));
    }
    Ok(Preferences {
        otherwise,
        always,
        never,
    })
}

/// The addresses of a list, sorted, each once. A list that is not there is empty.
fn list(prefs: &Element, name: &str) -> Result<Vec<Jid>, StanzaError> {
    let Some(list) = prefs.get_child(name, NS) else {
        return Ok(Vec::new());
    };
    let jids = list.children().filter(|child| child.is("jid", NS));
    let mut jids = jids
        .map(|jid| Jid::parse_tolerant(jid.text().trim()).map_err(|_| StanzaError::jid_malformed()))
        .collect::<Result<Vec<_>, _>>()?;
    jids.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    jids.dedup();
    if jids.len() > MAX_LISTED {
        return Err(StanzaError::resource_constraint().with_text("a list is too long"));
    }
    Ok(jids)
}

fn element(preferences: &Preferences) -> Element {
    let list = |name: &str, jids: &[Jid]| {
        let jids = jids
            .iter()
            .map(|jid| Element::builder("jid", NS).append(jid.as_str()).build());
        Element::builder(name, NS).append_all(jids).build()
    };
    Element::builder("prefs", NS)
        .with("default", name(preferences.otherwise))
        .append(list("always", &preferences.always))
        .append(list("never", &preferences.never))
        .build()
}

#[cfg(test)]
mod tests {
    use waxwing_core::db::Value;

    use super::*;

    fn prefs(head: &str, lists: &str) -> Result<Preferences, &'static str> {
        let xml = format!("<prefs xmlns='{NS}' {head}>{lists}</prefs>");
        let element: Element = xml.parse().expect("well-formed");
        parse(&element).map_err(|error| error.condition.name())
    }

    fn jids(count: usize) -> String {
        (0..count).map(|n| format!("<jid>a{n}@x</jid>")).collect()
    }

    #[test]
    fn what_is_said_is_read_written_and_shown() {
        let lists = "<always><jid>romeo@montague.lit</jid><jid>A@x/b</jid><jid>a@x/b</jid></always>\
                     <never><jid>montague@montague.lit</jid></never>";
        let said = prefs("default='roster'", lists).expect("preferences");
        assert_eq!(said.always.len(), 2);
        assert_eq!(parse(&element(&said)), Ok(said.clone()));
        let rows = statements(7, &said)
            .into_iter()
            .skip(1)
            .map(|statement| Row::new(statement.params[1..].to_vec()))
            .collect::<Vec<_>>();
        assert_eq!(read(&rows), Ok(Some(said)));
    }

    #[test]
    fn who_says_nothing_has_everything_archived() {
        assert_eq!(read(&[]), Ok(None));
        let row = Row::new(vec![Value::from(""), Value::from("always")]);
        assert_eq!(read(&[row]), Ok(None));
        assert_eq!(prefs("default='always'", ""), Ok(EVERYTHING));
    }

    #[test]
    fn mistakes_are_told_apart() {
        let long = format!("<never>{}</never>", jids(MAX_LISTED + 1));
        for (head, lists, expected) in [
            ("", "", "bad-request"),
            ("default='some'", "", "bad-request"),
            (
                "default='never'",
                "<never><jid>@</jid></never>",
                "jid-malformed",
            ),
            ("default='never'", "<never><jid/></never>", "jid-malformed"),
            ("default='never'", &long, "resource-constraint"),
            (
                "default='never'",
                "<always><jid>a@x</jid></always><never><jid>A@x</jid></never>",
                "bad-request",
            ),
        ] {
            assert_eq!(prefs(head, lists), Err(expected), "{head} {lists}");
        }
        let full = format!("<never>{}</never>", jids(MAX_LISTED));
        assert!(prefs("default='never'", &full).is_ok());
    }
}
