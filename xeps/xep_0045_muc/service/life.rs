//! What happens to rooms beside what is asked of them: start and end of the server, what is written
//! behind, members that are called.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use waxwing_core::Exchange;
use waxwing_core::clock::Timestamp;
use waxwing_core::db::{DbError, Statement};
use waxwing_core::session::Session;
use waxwing_xmpp::{Jid, Stanza};

use super::MultiUserChat;
use crate::xep_0045_muc::effect::{Change, Effect};
use crate::xep_0045_muc::live::{Act, Inner, Live};
use crate::xep_0045_muc::room::Exit;
use crate::xep_0045_muc::store;
use crate::xep_0421_occupant_ids::OccupantKey;

/// How long a client has after its login to enter its rooms, before its user is told of those where
/// something waits.
const GRACE: Duration = Duration::from_secs(15);
/// Logins that are remembered for that; beyond, a member is told when something is said again.
const MAX_ARRIVALS: usize = 65_536;
/// Rooms in memory with nobody in them.
const MAX_EMPTY: usize = 1024;

impl MultiUserChat {
    /// At the start: who was in a room, and can resume its stream, is in it still.
    pub(super) async fn take_up(&self, exchange: &Arc<Exchange>) -> Result<(), DbError> {
        let key = store::key(&exchange.database, &*exchange.ids).await?;
        drop(self.key.set(OccupantKey::new(key)));
        *self.newest.lock() = store::newest_id(&exchange.database).await?;
        for (local, _, seat) in store::seats(&exchange.database).await? {
            let Some(session) = exchange.streams.find(seat.stream) else {
                continue;
            };
            let Some(jid) = address(exchange, &local) else {
                continue;
            };
            if let Some(live) = self.room(exchange, &jid).await? {
                live.restore(&session, &seat);
            }
        }
        exchange.database.batch(vec![store::clear_seats()]).await?;
        for (id, local) in store::temporary(&exchange.database).await? {
            let is_here = {
                let rooms = self.rooms.read();
                rooms.values().any(|live| live.id() == id)
            };
            if !is_here {
                let gone = store::statements(id, &local, &Change::Destroyed);
                exchange.database.batch(gone).await?;
                exchange.mailbox.remove_account(id).await?;
            }
        }
        Ok(())
    }

    /// §11.2: who cannot come back by itself is told that it is in no room any more.
    pub(super) fn see_off(&self, exchange: &Arc<Exchange>) {
        for live in self.all() {
            let mut inner = live.lock();
            let leaving = inner
                .sessions()
                .filter(|session| !session.outbox.is_resumable());
            let leaving: HashSet<Jid> = leaving.map(|session| session.jid.clone()).collect();
            for session in &leaving {
                let mut effects = inner.room.leave(session, Exit::Shutdown, exchange.now());
                // Only who stays need know who leaves.
                for effect in &mut effects {
                    if let Effect::Spread(spread) = effect {
                        let is_told = |to: &Jid| to == session || !leaving.contains(to);
                        spread.to.retain(|(to, _)| is_told(to));
                    }
                }
                let outcome = live.perform(&mut inner, exchange, Act::default(), effects);
                live.finish_later(exchange, outcome);
            }
        }
    }

    /// At the end: who sleeps in a room, and how far everybody has got.
    pub(super) async fn write_down(&self, exchange: &Arc<Exchange>) -> Result<(), DbError> {
        let mut statements = Vec::new();
        for live in self.all() {
            let moved = live.take_moved(exchange.now());
            statements.extend(
                moved
                    .iter()
                    .map(|cursor| store::set_cursor(live.id(), cursor)),
            );
            let inner = live.lock();
            let asleep = inner
                .sessions()
                .filter(|session| session.stream() != 0 && session.outbox.asleep_until().is_some());
            for session in asleep {
                let Some(occupancy) = inner.room.occupancy(&session.jid) else {
                    continue;
                };
                let seat = store::Seat {
                    stream: session.stream(),
                    nick: occupancy.nick,
                    role: occupancy.role,
                    payload: occupancy.payload,
                    cursor: inner.cursor(session),
                };
                statements.push(store::save_seat(live.id(), &seat));
            }
        }
        exchange.database.batch(statements).await?;
        Ok(())
    }

    /// Once a second.
    pub(super) async fn look_after(&self, exchange: &Arc<Exchange>) {
        let mut moved = Vec::new();
        for jid in self.todo.take() {
            let Some(live) = self.get(jid.as_str()) else {
                continue;
            };
            moved.push((Arc::clone(&live), live.take_moved(exchange.now())));
            if live.lock().room.is_destroyed() {
                self.forget(&live);
                remove_log(exchange, live.id()).await;
            }
        }
        write_moved(exchange, moved);
        if let Err(error) = self.call_arrived(exchange).await {
            tracing::error!(%error, "members could not be told of their rooms");
        }
        self.evict();
    }

    fn all(&self) -> Vec<Arc<Live>> {
        self.rooms.read().values().cloned().collect()
    }

    fn forget(&self, live: &Arc<Live>) {
        let mut rooms = self.rooms.write();
        let is_it = |known: &Arc<Live>| Arc::ptr_eq(known, live);
        if rooms.get(live.jid()).is_some_and(is_it) {
            rooms.remove(live.jid());
        }
    }

    /// An empty room costs nothing but its rows. Those that nobody uses leave the memory when there
    /// are many.
    fn evict(&self) {
        let mut rooms = self.rooms.write();
        if rooms.len() <= MAX_EMPTY {
            return;
        }
        rooms.retain(|_, live| {
            // Who else holds it may be about to act.
            Arc::strong_count(live) > 1 || !live.lock().may_be_forgotten()
        });
    }

    pub(super) fn note_arrival(&self, exchange: &Exchange, session: &Session) {
        if session.account.id < 0 {
            return;
        }
        let mut arrivals = self.arrivals.lock();
        if arrivals.len() < MAX_ARRIVALS {
            arrivals.push_back((exchange.clock.elapsed(), session.account.jid.clone()));
        }
    }

    /// Tells users that came online, and did not enter a room where something waits for them.
    async fn call_arrived(&self, exchange: &Arc<Exchange>) -> Result<(), DbError> {
        let now = exchange.clock.elapsed();
        loop {
            let arrived = {
                let mut arrivals = self.arrivals.lock();
                let is_due = arrivals
                    .front()
                    .is_some_and(|(since, _)| *since + GRACE <= now);
                if is_due { arrivals.pop_front() } else { None }
            };
            let Some((_, user)) = arrived else {
                return Ok(());
            };
            for local in store::uninvited(&exchange.database, &user).await? {
                let Some(jid) = address(exchange, &local) else {
                    continue;
                };
                if let Some(live) = self.room(exchange, &jid).await? {
                    self.call_absent(exchange, &live, &mut live.lock());
                }
            }
        }
    }

    /// Invites the members that are online, but not in a room where something waits for them.
    pub(super) fn call_absent(&self, exchange: &Arc<Exchange>, live: &Live, inner: &mut Inner) {
        let is_online = |jid: &Jid| {
            let account = exchange.registry.get(jid.bare());
            account.is_some_and(|account| account.lock().available().next().is_some())
        };
        let called = inner.to_invite(is_online);
        if called.is_empty() {
            return;
        }
        let now = exchange.now();
        let mark = |jid: &Jid| store::set_invited(live.id(), jid, now);
        let marks: Vec<Statement> = called.iter().map(mark).collect();
        let invitations = called.into_iter().filter_map(|jid| {
            let invitation = inner.room.call().ok()?;
            Some((invitation.with_to(jid.as_str()), jid))
        });
        let invitations: Vec<(Stanza, Jid)> = invitations.collect();
        let own = Arc::clone(exchange);
        exchange.do_later(async move {
            for (invitation, jid) in invitations {
                own.route_message(&invitation, &jid, None).await;
            }
            if let Err(error) = own.database.batch(marks).await {
                tracing::error!(%error, "that members were told could not be written");
            }
        });
    }
}

/// The address of the room with that local part.
pub(super) fn address(exchange: &Exchange, local: &str) -> Option<Jid> {
    let address = format!("{local}@{}", exchange.settings.load().groups_domain);
    Jid::parse_tolerant(&address).ok()
}

/// The log of a room that is gone goes too.
pub(super) async fn remove_log(exchange: &Exchange, id: i64) {
    if let Err(error) = exchange.mailbox.remove_account(id).await {
        tracing::error!(%error, "the log of a room that is gone could not be removed");
    }
}

/// Writes how far members have read. What a full disk refuses is tried again: else a device that came
/// back would be given what it has acknowledged.
fn write_moved(exchange: &Exchange, moved: Vec<(Arc<Live>, Vec<store::Cursor>)>) {
    let of_room = |(live, cursors): &(Arc<Live>, Vec<store::Cursor>)| {
        let id = live.id();
        let statement = |cursor| store::set_cursor(id, cursor);
        cursors.iter().map(statement).collect::<Vec<Statement>>()
    };
    let statements: Vec<Statement> = moved.iter().flat_map(of_room).collect();
    if statements.is_empty() {
        return;
    }
    let written = exchange.database.submit(statements);
    exchange.do_later(async move {
        if let Err(error) = written.await {
            tracing::error!(%error, "how far members have read could not be written");
            for (live, cursors) in moved {
                live.not_written(&cursors);
            }
        }
    });
}

/// The moment that says: never.
pub(super) const NEVER: Timestamp = Timestamp(0);
