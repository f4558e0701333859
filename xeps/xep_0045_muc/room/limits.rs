//! How much a room takes, and how fast.

use waxwing_core::clock::Timestamp;
use waxwing_core::exchange::Rate;
use waxwing_core::powers::Kept;
use waxwing_xmpp::error::ErrorType;
use waxwing_xmpp::stanza::Children;
use waxwing_xmpp::{Stanza, StanzaError};

/// What a room allows. The server's, the same for all of its rooms.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Owners, admins, members and unaffiliated occupants together, at most; a room's own limit
    /// can only be lower.
    pub max_members: u16,
    /// How many admins and owners there may be beyond that (§7.2.9).
    pub extra_for_admins: u16,
    /// Banned users and domains at most.
    pub max_outcasts: u16,
    /// Clients of one user in a room at most.
    pub sessions_per_user: u16,
    /// Messages of an occupant: to the room, private ones, invitations; eight requests to other
    /// occupants count as one.
    pub messages_per_occupant: Rate,
    /// Messages to a room.
    pub messages_per_room: Rate,
    /// Presence of an occupant: changes of availability and nickname.
    pub presence_per_occupant: Rate,
    /// Presence that a room spreads: entries and changes.
    pub presence_per_room: Rate,
    /// Invitations, refusals of invitations and notices that a room sends to users outside.
    pub invitations_per_room: Rate,
    /// Requests of strangers to become a member that a room asks its admins about (§9.9).
    pub registrations_per_room: Rate,
    /// Bytes of a subject at most.
    pub subject_bytes: usize,
    /// Bytes of a nickname at most.
    pub nick_bytes: usize,
    /// Bytes of a reason at most.
    pub reason_bytes: usize,
    /// Bytes of what an occupant's presence says, at most.
    pub presence_bytes: usize,
    /// Bytes of the room's vCard at most.
    pub avatar_bytes: usize,
    /// What is kept of a message to the room.
    pub keep: fn(&Stanza) -> Kept,
}

impl Default for Limits {
    fn default() -> Limits {
        let rate = |per_second, burst| Rate { per_second, burst };
        Limits {
            max_members: 256,
            extra_for_admins: 10,
            max_outcasts: 1024,
            sessions_per_user: 16,
            messages_per_occupant: rate(20, 100),
            messages_per_room: rate(200, 1000),
            presence_per_occupant: rate(2, 20),
            presence_per_room: rate(100, 1000),
            invitations_per_room: rate(1, 600),
            registrations_per_room: rate(1, 30),
            subject_bytes: 2048,
            nick_bytes: 256,
            reason_bytes: 1024,
            presence_bytes: 8192,
            avatar_bytes: 131_072,
            keep: keep_all_but_passing,
        }
    }
}

/// Everything is kept but what holds nothing except a chat state, and what its sender marks as not
/// to be stored (XEP-0334).
#[must_use]
pub fn keep_all_but_passing(message: &Stanza) -> Kept {
    let children = message.children();
    if children.intersects(Children::RETRACT) {
        return Kept::BOTH;
    }
    let passing = Children::CHAT_STATE
        .union(Children::THREAD)
        .union(Children::ORIGIN_ID)
        .union(Children::OCCUPANT_ID)
        .union(Children::NO_PERMANENT_STORE)
        .union(Children::NO_COPY)
        .union(Children::FORMER_HINT);
    if children.is_subset(passing) {
        return Kept::NEITHER;
    }
    if children.contains(Children::NO_STORE) {
        return Kept::NEITHER;
    }
    if children.contains(Children::NO_PERMANENT_STORE) {
        return Kept::QUEUE;
    }
    Kept::BOTH
}

/// How much of a rate is used up: the moment from which nothing of it is, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket(i64);

impl Bucket {
    /// Whether there is room for one more.
    pub(super) fn has_room(self, rate: Rate, now: Timestamp) -> bool {
        let burst = i64::from(rate.burst.max(1));
        self.free_at(rate, now) - micros(now) <= (burst - 1) * step(rate)
    }

    /// Counts one more.
    pub(super) fn take(&mut self, rate: Rate, now: Timestamp) {
        self.0 = self.free_at(rate, now) + step(rate);
    }

    /// Never further ahead than a full burst: the clock may have been set back.
    fn free_at(self, rate: Rate, now: Timestamp) -> i64 {
        let most = i64::from(rate.burst.max(1)) * step(rate);
        let now = micros(now);
        self.0.clamp(now, now.saturating_add(most))
    }
}

fn micros(at: Timestamp) -> i64 {
    at.0.saturating_mul(1000)
}

/// Microseconds for one.
fn step(rate: Rate) -> i64 {
    (1_000_000 / i64::from(rate.per_second.max(1))).max(1)
}

/// The rate of requests where that is the one of messages. Both use up the same.
pub(super) fn requests(messages: Rate) -> Rate {
    Rate {
        per_second: messages.per_second.saturating_mul(8),
        burst: messages.burst.saturating_mul(8),
    }
}

/// An occupant does too much.
pub(super) fn too_fast() -> StanzaError {
    StanzaError::policy_violation()
        .with_type(ErrorType::Wait)
        .with_text("You send too much at once")
}

/// All of the room do too much.
pub(super) fn too_busy() -> StanzaError {
    StanzaError::resource_constraint()
        .with_type(ErrorType::Wait)
        .with_text("The room is too busy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(children: &str) -> Kept {
        let xml = format!("<message type='groupchat'>{children}</message>");
        keep_all_but_passing(&Stanza::parse(xml.into()).expect("a stanza"))
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = Rate {
            per_second: 2,
            burst: 3,
        };
        let mut bucket = Bucket::default();
        let mut taken = 0;
        for at in [
            0, 0, 0, 0, 499, 500, 999, 1000, 10_000, 10_000, 10_000, 10_000,
        ] {
            let now = Timestamp(at);
            if bucket.has_room(rate, now) {
                bucket.take(rate, now);
                taken += 1;
            }
        }
        assert_eq!(taken, 3 + 2 + 3);
    }

    #[test]
    fn a_clock_that_is_set_back_blocks_nobody_for_long() {
        let rate = Rate {
            per_second: 1,
            burst: 2,
        };
        let mut bucket = Bucket::default();
        bucket.take(rate, Timestamp(1_000_000));
        bucket.take(rate, Timestamp(1_000_000));
        bucket.take(rate, Timestamp(0));
        assert!(!bucket.has_room(rate, Timestamp(0)));
        assert!(bucket.has_room(rate, Timestamp(2000)));
    }

    #[test]
    fn what_holds_something_is_kept() {
        let active = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
        let id = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/>";
        let no_store = "<no-store xmlns='urn:xmpp:hints'/>";
        assert_eq!(kept("<body>b</body>"), Kept::BOTH);
        assert_eq!(kept("<subject/>"), Kept::BOTH);
        assert_eq!(kept(&format!("{active}{id}")), Kept::NEITHER);
        assert_eq!(kept(&format!("{active}{id}<body>b</body>")), Kept::BOTH);
        assert_eq!(kept(&format!("<body>b</body>{no_store}")), Kept::NEITHER);
        assert_eq!(kept(id), Kept::NEITHER);
        let retract = "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>";
        assert_eq!(kept(&format!("{retract}{no_store}")), Kept::BOTH);
    }
}
