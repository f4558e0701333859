//! Books of a room: its members are `a`, `b` and `c`.

use libtest_mimic::Trial;

use super::{Entry, Law, Outcome, What, Writer};
use crate::{ensure, trials};

pub fn trials() -> Vec<Trial> {
    trials![
        a_quiet_day_in_a_room,
        a_member_never_hears_it,
        a_member_does_not_hear_it_in_time,
        who_said_it_does_not_hear_it,
        a_refusal_in_a_room_is_no_loss,
        twice_in_a_room,
        again_in_a_room_after_a_crash,
        again_under_another_id,
        again_to_another_device_in_a_room,
        two_ids_of_one_message,
        no_id_of_the_room,
        two_orders,
        an_order_that_turns_back_in_a_session,
        out_of_the_order_of_who_said_it,
        order_is_per_room,
        gone_although_it_resumed,
        told_that_it_went_itself,
        gone_because_it_left,
        an_old_session_is_seen_going_late,
        refused_although_it_is_in_the_room,
    ]
}

impl Writer {
    fn room() -> Writer {
        let mut writer = Writer::new();
        let members = ["a", "b", "c"].map(str::to_owned).to_vec();
        let room = "room".to_owned();
        writer.0.insert(0, Entry::Circle { room, members });
        let all = ["a/phone", "b/phone", "c/phone"];
        all.into_iter()
            .fold(writer.online("c/phone", 1), Writer::enters)
    }

    fn enters(self, who: &str) -> Writer {
        self.write(who, What::Entered("room".to_owned()))
    }

    /// `who` says something in the room.
    fn said_by(self, who: &str, id: &str) -> Writer {
        let (id, to) = (id.to_owned(), "room".to_owned());
        self.write(who, What::Sent { id, to })
    }

    fn said(self, id: &str) -> Writer {
        self.said_by("a/phone", id)
    }

    /// What somebody said comes to a device from the room.
    fn heard_from(self, from: &str, who: &str, id: &str, stanza_id: Option<&str>) -> Writer {
        let what = What::Received {
            id: id.to_owned(),
            from: from.to_owned(),
            room: Some("room".to_owned()),
            stanza_id: stanza_id.map(str::to_owned),
            delayed: false,
        };
        self.write(who, what)
    }

    fn heard(self, who: &str, id: &str, stanza_id: &str) -> Writer {
        self.heard_from("a", who, id, Some(stanza_id))
    }

    fn heard_by_all(self, id: &str) -> Writer {
        let all = ["a/phone", "b/phone", "c/phone"];
        all.into_iter()
            .fold(self, |writer, who| writer.heard(who, id, id))
    }

    /// `who` sees the session with that mark leave.
    fn sees_leave(self, who: &str, mark: &str) -> Writer {
        let (room, mark) = ("room".to_owned(), mark.to_owned());
        self.write(who, What::Went { room, mark })
    }

    fn gathered(mut self) -> Writer {
        self.0.push(Entry::Gathered);
        self
    }
}

fn a_quiet_day_in_a_room() -> Outcome {
    let book = Writer::room().said("1").acknowledged("1").heard_by_all("1");
    let verdict = book.gathered().breaks_nothing()?;
    ensure!((verdict.said, verdict.heard) == (1, 3), "{verdict:?}");
    Ok(())
}

fn a_member_never_hears_it() -> Outcome {
    Writer::room()
        .said("1")
        .acknowledged("1")
        .heard("a/phone", "1", "1")
        .heard("b/phone", "1", "1")
        .breaks(Law::Kept)
}

/// A new device gets it, but the one that was there did not.
fn a_member_does_not_hear_it_in_time() -> Outcome {
    Writer::room()
        .said("1")
        .acknowledged("1")
        .heard("a/phone", "1", "1")
        .heard("b/phone", "1", "1")
        .gathered()
        .online("c/visitor", 1)
        .heard("c/visitor", "1", "1")
        .breaks(Law::Kept)
}

fn who_said_it_does_not_hear_it() -> Outcome {
    Writer::room()
        .said("1")
        .acknowledged("1")
        .heard("b/phone", "1", "1")
        .heard("c/phone", "1", "1")
        .breaks(Law::Kept)
}

fn a_refusal_in_a_room_is_no_loss() -> Outcome {
    let book = Writer::room().said("1").refused("1").acknowledged("1");
    book.gathered().breaks_nothing()?;
    Ok(())
}

fn twice_in_a_room() -> Outcome {
    Writer::room()
        .said("1")
        .heard_by_all("1")
        .heard("c/phone", "1", "1")
        .breaks(Law::Once)
}

fn again_in_a_room_after_a_crash() -> Outcome {
    let verdict = Writer::room()
        .said("1")
        .acknowledged("1")
        .heard_by_all("1")
        .ended(1, true)
        .not_resumed("c/phone", 2)
        .enters("c/phone")
        .heard("c/phone", "1", "1")
        .breaks_nothing()?;
    ensure!(verdict.came_again == 1, "{verdict:?}");
    Ok(())
}

fn again_under_another_id() -> Outcome {
    Writer::room()
        .said("1")
        .heard_by_all("1")
        .ended(1, true)
        .not_resumed("c/phone", 2)
        .heard("c/phone", "1", "2")
        .breaks(Law::Once)
}

fn again_to_another_device_in_a_room() -> Outcome {
    Writer::room()
        .said("1")
        .heard_by_all("1")
        .write("c/phone", What::Closed)
        .online("c/visitor", 1)
        .heard("c/visitor", "1", "1")
        .breaks(Law::Once)
}

fn two_ids_of_one_message() -> Outcome {
    Writer::room()
        .said("1")
        .heard("a/phone", "1", "1")
        .heard("b/phone", "1", "2")
        .breaks(Law::Agreed)
}

fn no_id_of_the_room() -> Outcome {
    Writer::room()
        .said("1")
        .heard_from("a", "b/phone", "1", None)
        .breaks(Law::Agreed)
}

fn two_orders() -> Outcome {
    Writer::room()
        .said_by("a/phone", "1")
        .said_by("b/phone", "2")
        .heard("c/phone", "1", "1")
        .heard_from("b", "c/phone", "2", Some("2"))
        .heard_from("b", "a/phone", "2", Some("2"))
        .heard("a/phone", "1", "1")
        .breaks(Law::Agreed)
}

/// What a crash brings again comes in order too.
fn an_order_that_turns_back_in_a_session() -> Outcome {
    let crash = |first: &str, second: &str| {
        Writer::room()
            .said("1")
            .said("2")
            .heard_by_all("1")
            .heard_by_all("2")
            .ended(1, true)
            .not_resumed("c/phone", 2)
            .heard("c/phone", first, first)
            .heard("c/phone", second, second)
    };
    crash("1", "2").breaks_nothing()?;
    crash("2", "1").breaks(Law::Agreed)
}

fn out_of_the_order_of_who_said_it() -> Outcome {
    Writer::room()
        .said("1")
        .said("2")
        .heard("c/phone", "2", "1")
        .heard("c/phone", "1", "2")
        .breaks(Law::Ordered)
}

/// What the same account says elsewhere may come sooner.
fn order_is_per_room() -> Outcome {
    let book = Writer::room().said("1").sent("2");
    book.came("2", "s")
        .heard("b/phone", "1", "1")
        .breaks_nothing()?;
    Ok(())
}

fn gone_although_it_resumed() -> Outcome {
    Writer::room()
        .ended(1, false)
        .resumed("a/phone", 2)
        .resumed("b/phone", 2)
        .resumed("c/phone", 2)
        .sees_leave("b/phone", "c/phone#1")
        .breaks(Law::Stayed)
}

fn told_that_it_went_itself() -> Outcome {
    Writer::room()
        .ended(1, false)
        .resumed("c/phone", 2)
        .sees_leave("c/phone", "c/phone#1")
        .breaks(Law::Stayed)
}

fn gone_because_it_left() -> Outcome {
    Writer::room()
        .write("c/phone", What::Leaving)
        .sees_leave("b/phone", "c/phone#1")
        .write("c/phone", What::Closed)
        .breaks_nothing()?;
    Ok(())
}

fn an_old_session_is_seen_going_late() -> Outcome {
    let back = |mark| {
        Writer::room()
            .write("c/phone", What::Leaving)
            .write("c/phone", What::Closed)
            .online("c/phone", 1)
            .enters("c/phone")
            .sees_leave("b/phone", mark)
    };
    back("c/phone#1").breaks_nothing()?;
    back("c/phone#2").breaks(Law::Stayed)
}

fn refused_although_it_is_in_the_room() -> Outcome {
    let (id, condition) = ("1".to_owned(), "not-acceptable".to_owned());
    Writer::room()
        .ended(1, false)
        .resumed("a/phone", 2)
        .said("1")
        .write("a/phone", What::Refused { id, condition })
        .breaks(Law::Stayed)
}
