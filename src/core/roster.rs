//! The roster of an account as a value (RFC 6121 §2), and how it is stored.
//!
//! Every change gets the account's next roster version. A client that names the newest one is told
//! that it has it; any other is sent the whole roster (RFC 6121 §2.6).

use std::collections::HashMap;

use minidom::Element;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::subscription::{self, Subscription};
use waxwing_xmpp::{Jid, Stanza, ns};

use crate::db::{Database, DbError, Row, Statement, Value};

/// One contact. It may be known only by a pending request; then clients do not see it.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// What the user calls the contact.
    pub name: String,
    /// Where the user puts the contact.
    pub groups: Vec<String>,
    /// Both directions of the subscription.
    pub state: subscription::State,
    /// Whether it is in the roster (RFC 6121 §2.1.2), not only known by a request or pre-approval.
    pub listed: bool,
    /// The contact's `subscribe` stanza while it waits for an answer.
    pub request: Option<Stanza>,
    /// The roster version that changed it last.
    pub version: i64,
}

impl Item {
    /// The `<item/>` that clients see.
    pub fn to_element(&self, jid: &Jid) -> Element {
        let mut item = Element::builder("item", ns::ROSTER)
            .with("jid", jid.as_str())
            .with("subscription", self.state.subscription.as_str());
        if !self.name.is_empty() {
            item = item.with("name", self.name.as_str());
        }
        if self.state.pending_out {
            item = item.with("ask", "subscribe");
        }
        if self.state.approved {
            item = item.with("approved", "true");
        }
        let groups = self.groups.iter().map(|group| {
            Element::builder("group", ns::ROSTER)
                .append(group.as_str())
                .build()
        });
        item.append_all(groups).build()
    }

    /// What its `<item/>` takes at most, in bytes of XML.
    fn bytes(&self, jid: &Jid) -> usize {
        let groups = self.groups.iter();
        let groups = groups
            .map(|group| GROUP_BYTES + escaped(group))
            .sum::<usize>();
        ITEM_BYTES + escaped(jid.as_str()) + escaped(&self.name) + groups
    }
}

/// What a roster takes besides its items, in bytes of XML.
const ROSTER_BYTES: usize = 512;
/// What an item takes besides what it names.
const ITEM_BYTES: usize = 128;
/// The same of a group.
const GROUP_BYTES: usize = "<group></group>".len();

/// How many bytes a text takes as XML.
fn escaped(text: &str) -> usize {
    let more = |byte| match byte {
        b'<' | b'>' => 4,
        b'&' => 5,
        b'"' | b'\'' | b'\t' | b'\n' | b'\r' => 6,
        _ => 1,
    };
    text.bytes().map(more).sum()
}

/// See the [module](self).
#[derive(Default)]
pub struct Roster {
    items: HashMap<Jid, Item>,
    /// The newest version.
    pub version: i64,
}

impl Roster {
    /// The entry for a contact, listed or not.
    pub fn get(&self, contact: &str) -> Option<&Item> {
        self.items.get(contact)
    }

    /// Contact and item of every entry.
    pub fn iter(&self) -> impl Iterator<Item = (&Jid, &Item)> {
        self.items.iter()
    }

    /// Listed items.
    pub fn listed(&self) -> impl Iterator<Item = (&Jid, &Item)> {
        self.items.iter().filter(|(_, item)| item.listed)
    }

    /// Entries of any kind.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it may have this entry, if it may have so many and take so many bytes as the answer to
    /// a client that asks for it. What grows no larger may always be changed.
    pub fn has_room(&self, contact: &Jid, item: &Item, items: usize, bytes: usize) -> bool {
        let known = self.get(contact.as_str());
        let before = known.map_or(0, |known| known.bytes(contact));
        let now = item.bytes(contact);
        let all = || self.items.iter().map(|(jid, item)| item.bytes(jid));
        (known.is_some() || self.len() < items)
            && (now <= before || ROSTER_BYTES + all().sum::<usize>() - before + now <= bytes)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The state of the subscription with a contact.
    pub fn state(&self, contact: &str) -> subscription::State {
        self.get(contact).map(|item| item.state).unwrap_or_default()
    }

    /// Contacts that receive the user's presence: subscription `from` or `both`.
    pub fn subscribers(&self) -> impl Iterator<Item = &Jid> {
        self.with(|subscription| matches!(subscription, Subscription::From | Subscription::Both))
    }

    /// Contacts whose presence the user receives: subscription `to` or `both`.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Jid> {
        self.with(Subscription::includes_to)
    }

    fn with(&self, test: impl Fn(Subscription) -> bool) -> impl Iterator<Item = &Jid> {
        self.items
            .iter()
            .filter(move |(_, item)| test(item.state.subscription))
            .map(|(jid, _)| jid)
    }

    /// Sets an entry under the next version and says what must be written.
    pub fn put(&mut self, account: i64, contact: &Jid, mut item: Item) -> Vec<Statement> {
        self.version += 1;
        item.version = self.version;
        let statements = vec![
            self.version_statement(account),
            put_statement(account, contact, &item),
        ];
        self.items.insert(contact.clone(), item);
        statements
    }

    /// Removes an entry and says what must be written.
    pub fn remove(&mut self, account: i64, contact: &Jid) -> Vec<Statement> {
        self.version += 1;
        self.items.remove(contact);
        let delete = "DELETE FROM roster WHERE account = ?1 AND contact = ?2";
        vec![
            self.version_statement(account),
            Statement::new(delete, vec![account.into(), contact.as_str().into()]),
        ]
    }

    fn version_statement(&self, account: i64) -> Statement {
        Statement::new(
            "UPDATE account SET roster_version = ?2 WHERE id = ?1",
            vec![account.into(), self.version.into()],
        )
    }

    /// Reads the entries of an account.
    pub async fn load(database: &Database, account: i64, version: i64) -> Result<Roster, DbError> {
        let select = "SELECT contact, name, groups, subscription, pending_out, approved, listed, \
                      request, version FROM roster WHERE account = ?1";
        let rows = database.query(select, vec![account.into()]).await?;
        let items = rows.iter().map(read_item).collect::<Result<_, DbError>>()?;
        Ok(Roster { items, version })
    }
}

fn put_statement(account: i64, contact: &Jid, item: &Item) -> Statement {
    let sql = "INSERT INTO roster (account, contact, name, groups, subscription, pending_out, \
               approved, listed, request, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
               ON CONFLICT (account, contact) DO UPDATE SET name = excluded.name, \
               groups = excluded.groups, subscription = excluded.subscription, \
               pending_out = excluded.pending_out, approved = excluded.approved, \
               listed = excluded.listed, request = excluded.request, version = excluded.version";
    let request = item
        .request
        .as_ref()
        .map_or(Value::Null, |stanza| stanza.bytes().clone().into());
    Statement::new(
        sql,
        vec![
            account.into(),
            contact.as_str().into(),
            item.name.as_str().into(),
            // Group names cannot hold U+001F: it is not a character of XML 1.0.
            item.groups.join("\u{1f}").into(),
            item.state.subscription.as_str().into(),
            i64::from(item.state.pending_out).into(),
            i64::from(item.state.approved).into(),
            i64::from(item.listed).into(),
            request,
            item.version.into(),
        ],
    )
}

fn read_item(row: &Row) -> Result<(Jid, Item), DbError> {
    let contact = Jid::parse_tolerant(row.text(0)?).map_err(|_| DbError::Unexpected("contact"))?;
    let groups = row.text(2)?;
    let request = match row.opt_blob(7)? {
        Some(bytes) => Some(Stanza::parse(bytes).map_err(|_| DbError::Unexpected("request"))?),
        None => None,
    };
    let subscription = row
        .text(3)?
        .parse()
        .map_err(|_| DbError::Unexpected("subscription"))?;
    let item = Item {
        name: row.text(1)?.to_owned(),
        groups: groups
            .split('\u{1f}')
            .filter(|group| !group.is_empty())
            .map(str::to_owned)
            .collect(),
        state: subscription::State {
            subscription,
            pending_out: row.int(4)? != 0,
            pending_in: request.is_some(),
            approved: row.int(5)? != 0,
        },
        listed: row.int(6)? != 0,
        request,
        version: row.int(8)?,
    };
    Ok((contact, item))
}
