//! The service: the rooms in memory, and what comes in for its domain.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use waxwing_core::account::Account;
use waxwing_core::db::{DbError, Migrations, Statement};
use waxwing_core::exchange::{Receipt, Sender};
use waxwing_core::powers::{Attend, Boxed, Extension, Place, Query, Serve, Shelf, Specification};
use waxwing_core::session::Session;
use waxwing_core::{Exchange, Settings};
use waxwing_xmpp::stanza::{Children, MessageType, PresenceType};
use waxwing_xmpp::{Element, Jid, Stanza, StanzaError};

use super::live::{Act, Live, Log, Todo};
use super::room::{Limits, Room};
use super::{MUC, info, store};
use crate::xep_0421_occupant_ids::{self as occupant_ids, OccupantKey};
use crate::{
    xep_0054_vcard_temp as vcard, xep_0317_hats as hats, xep_0425_moderation as moderation,
    xep_0463_affiliation_versions as affiliation_versions,
};

mod answers;
mod commands;
mod entering;
mod life;
mod retracting;
mod shown;
mod succession;

use life::NEVER;

/// The feature that a room answers a ping to oneself (XEP-0410 §3.3).
const SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// Rooms that one account can own; a further one is refused.
const MAX_OWNED: usize = 500;

/// See the [module](self).
#[derive(Default)]
pub struct MultiUserChat {
    rooms: RwLock<HashMap<Jid, Arc<Live>>>,
    todo: Arc<Todo>,
    key: OnceLock<OccupantKey>,
    /// The id of the newest room.
    newest: Mutex<i64>,
    /// Users that came online, and when: should they not enter what they belong to, they are told.
    arrivals: Mutex<VecDeque<(Duration, Jid)>>,
}

impl Extension for MultiUserChat {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0045",
            title: "Multi-User Chat",
            version: "1.35.5",
            features: &[
                (Place::Groups, MUC),
                (Place::Groups, info::STABLE_ID),
                (Place::Groups, vcard::NS),
                (Place::Room, SELF_PING),
                (Place::Room, affiliation_versions::NS),
                (Place::Room, hats::NS),
                (Place::Room, moderation::NS_BEFORE),
                (Place::Room, occupant_ids::NS),
            ],
        }
    }

    fn migrations(&self) -> Option<Migrations> {
        Some(store::migrations())
    }
}

impl MultiUserChat {
    /// The room in memory with that bare JID.
    pub(super) fn get(&self, bare: &str) -> Option<Arc<Live>> {
        self.rooms.read().get(bare).cloned()
    }

    /// The room with that address, loaded if need be; `None`: there is none.
    pub(super) async fn room(
        &self,
        exchange: &Exchange,
        jid: &Jid,
    ) -> Result<Option<Arc<Live>>, DbError> {
        if let Some(live) = self.get(jid.bare()) {
            let is_gone = live.lock().room.is_destroyed();
            return Ok((!is_gone).then_some(live));
        }
        let Some(local) = jid.local() else {
            return Ok(None);
        };
        // What was written last must be there to be read.
        exchange.database.batch(Vec::new()).await?;
        let Some(stored) = store::load(&exchange.database, local).await? else {
            return Ok(None);
        };
        let id = stored.id;
        let latest = exchange.mailbox.latest(id, 1).await?;
        let log = Log {
            newest: latest.last().map_or(0, |(row, _)| *row),
            cursors: store::cursors(&exchange.database, id).await?,
            invited: store::invited(&exchange.database, id).await?,
        };
        let room = Room::new(jid.to_bare(), stored, limits(exchange), self.key());
        let live = Live::new(room, log, Arc::clone(&self.todo));
        let mut rooms = self.rooms.write();
        let entry = rooms.entry(live.jid().clone());
        Ok(Some(Arc::clone(entry.or_insert_with(|| Arc::new(live)))))
    }

    /// The same, for whoever asks something of it.
    ///
    /// # Errors
    /// `item-not-found` if there is none.
    pub(super) async fn found(
        &self,
        exchange: &Exchange,
        jid: &Jid,
    ) -> Result<Arc<Live>, StanzaError> {
        let room = self.room(exchange, jid).await?;
        room.ok_or_else(StanzaError::item_not_found)
    }

    fn key(&self) -> OccupantKey {
        // Set at the start; without it nobody has entered yet.
        let key = self.key.get_or_init(|| OccupantKey::new([0; 32]));
        key.clone()
    }

    /// A message to a room that is in memory, by whoever it is from.
    fn tell(
        &self,
        exchange: &Arc<Exchange>,
        live: &Arc<Live>,
        message: &Stanza,
        to: &Jid,
        sender: Option<Sender<'_>>,
    ) -> Result<super::live::Outcome, StanzaError> {
        let from = message.from().unwrap_or_default();
        let from = Jid::parse_tolerant(&from).map_err(|_| StanzaError::jid_malformed())?;
        let mut inner = live.lock();
        let effects = inner
            .room
            .message(&from, to.resource(), message, exchange.now())?;
        let act = Act {
            session: sender.map(|sender| sender.session),
            sender,
            original: Some(message),
        };
        let outcome = live.perform(&mut inner, exchange, act, effects);
        if matches!(outcome.receipt, Some(Receipt::Storing { .. })) {
            self.call_absent(exchange, live, &mut inner);
        }
        Ok(outcome)
    }

    async fn tell_later(
        &self,
        exchange: &Arc<Exchange>,
        message: &Stanza,
        to: &Jid,
        sender: Option<Sender<'_>>,
    ) -> Result<Receipt, StanzaError> {
        let live = self.found(exchange, to).await?;
        let retracted = self.retracted(exchange, &live, message).await?;
        let sender = sender.map(|sender| Sender {
            original: Some(message),
            ..sender
        });
        let outcome = self.tell(exchange, &live, message, to, sender)?;
        if let (Some((id, target)), Some(retraction)) = (retracted, &outcome.published) {
            self.bury(exchange, &live, retraction, (&id, &target));
        }
        outcome.finish(exchange, sender).await
    }
}

/// What the server allows every room.
fn limits(exchange: &Exchange) -> Limits {
    let settings = exchange.settings.load();
    Limits {
        max_members: settings.room_members,
        messages_per_room: settings.room_messages,
        messages_per_occupant: settings.occupant_messages,
        ..Limits::default()
    }
}

/// Whether a message is said to everybody and changes nothing else: nothing of it waits.
fn is_talk(message: &Stanza, to: &Jid) -> bool {
    let special = Children::SUBJECT.union(Children::RETRACT);
    message.message_type() == MessageType::Groupchat
        && to.is_bare()
        && !message.children().intersects(special)
}

impl Serve for MultiUserChat {
    fn domain(&self, settings: &Settings) -> Jid {
        settings.groups_domain.clone()
    }

    fn place(&self, to: &Jid) -> Place {
        match to.local() {
            None => Place::Groups,
            Some(_) => Place::Room,
        }
    }

    fn message(
        &self,
        exchange: &Arc<Exchange>,
        message: &Stanza,
        to: &Jid,
        sender: Option<Sender<'_>>,
    ) -> Option<Receipt> {
        if to.local().is_none() {
            return Some(match message.message_type() {
                MessageType::Error | MessageType::Headline => Receipt::Settled,
                _ => Receipt::Bounced(StanzaError::service_unavailable()),
            });
        }
        if !is_talk(message, to) {
            return None;
        }
        let live = self.get(to.bare())?;
        let outcome = self.tell(exchange, &live, message, to, sender);
        Some(match outcome {
            Ok(outcome) => outcome.receipt.unwrap_or(Receipt::Settled),
            Err(error) => Receipt::Bounced(error),
        })
    }

    fn message_later<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        message: &'a Stanza,
        to: &'a Jid,
        sender: Option<Sender<'a>>,
    ) -> Boxed<'a, Receipt> {
        Box::pin(async move {
            let told = self.tell_later(exchange, message, to, sender).await;
            told.unwrap_or_else(Receipt::Bounced)
        })
    }

    fn presence<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        session: &'a Arc<Session>,
        presence: &'a Stanza,
        to: &'a Jid,
    ) -> Boxed<'a, Result<(), StanzaError>> {
        Box::pin(async move {
            match (to.local(), presence.presence_type()) {
                // Nobody subscribes to a service or a room (§14.1).
                (None, PresenceType::Available) => Err(StanzaError::service_unavailable()),
                (None, _) => Ok(()),
                (Some(_), PresenceType::Available) => {
                    let appeared = self.appear(exchange, session, presence, to).await;
                    appeared.or_else(|error| entering::refuse(session, presence, error))
                }
                (Some(_), _) => self.appear(exchange, session, presence, to).await,
            }
        })
    }

    fn relay<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        session: &'a Arc<Session>,
        iq: &'a Stanza,
        to: &'a Jid,
    ) -> Boxed<'a, Result<(), StanzaError>> {
        Box::pin(async move {
            let (Some(_), Some(nick)) = (to.local(), to.resource()) else {
                return Err(StanzaError::service_unavailable());
            };
            let live = self.found(exchange, to).await?;
            let now = exchange.now();
            let relayed = live.lock().room.relay_iq(&session.jid, nick, iq, now);
            let (recipient, stanza) = relayed?;
            let stanza = stanza.with_to(recipient.as_str());
            if recipient.is_full() && exchange.pass_iq(&recipient, &stanza) {
                return Ok(());
            }
            Err(StanzaError::service_unavailable())
        })
    }

    fn discover<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        query: &'a Query,
        features: Vec<&'static str>,
    ) -> Boxed<'a, Result<Element, StanzaError>> {
        Box::pin(self.show(exchange, query, features))
    }

    fn archive<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        query: &'a Query,
    ) -> Boxed<'a, Result<Shelf, StanzaError>> {
        Box::pin(async move {
            let live = self.found(exchange, &query.to).await?;
            let inner = live.lock();
            if !inner.room.may_read_archive(&query.from) {
                return Err(StanzaError::forbidden());
            }
            Ok(Shelf {
                owner: live.id(),
                anonymous_until: inner.room.anonymous_until(&query.from),
            })
        })
    }

    fn start<'a>(&'a self, exchange: &'a Arc<Exchange>) -> Boxed<'a, Result<(), DbError>> {
        Box::pin(self.take_up(exchange))
    }

    fn ending(&self, exchange: &Arc<Exchange>) {
        self.see_off(exchange);
    }

    fn stop<'a>(&'a self, exchange: &'a Arc<Exchange>) -> Boxed<'a, Result<(), DbError>> {
        Box::pin(self.write_down(exchange))
    }

    fn tick<'a>(&'a self, exchange: &'a Arc<Exchange>) -> Boxed<'a, ()> {
        Box::pin(self.look_after(exchange))
    }
}

impl Attend for MultiUserChat {
    fn available(&self, exchange: &Exchange, session: &Arc<Session>) {
        self.note_arrival(exchange, session);
    }

    fn removing<'a>(
        &'a self,
        exchange: &'a Arc<Exchange>,
        account: &'a Account,
    ) -> Option<Boxed<'a, Result<(), DbError>>> {
        Some(Box::pin(self.give_up(exchange, &account.jid)))
    }

    fn removed(&self, account: &Account) -> Vec<Statement> {
        store::remove_user(&account.jid)
    }
}
