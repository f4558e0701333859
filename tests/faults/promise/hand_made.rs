//! The laws on books made by hand: each is broken by one of them, and by no other.

use std::collections::BTreeSet;

use libtest_mimic::Trial;

use super::book::{Entry, What};
use super::laws::{Law, Rate, Verdict, check};
use crate::harness::Outcome;
use crate::{ensure, trials};

mod rooms;

pub fn trials() -> Vec<Trial> {
    let mut trials = trials![
        a_quiet_day,
        a_loss,
        a_refusal_is_no_loss,
        a_message_in_the_mailbox_is_no_loss,
        two_stanza_ids,
        twice_in_a_session,
        twice_after_a_resumption,
        again_after_a_crash,
        again_after_a_restart,
        again_although_an_earlier_process_knew,
        again_after_it_gave_up,
        again_because_it_came_too_late,
        again_to_another_device,
        out_of_order,
        out_of_order_after_a_full_disk,
        order_is_per_pair,
        resumption_after_a_restart,
        resumption_after_a_break,
        no_resumption_after_a_crash,
        refused_and_delivered,
        never_sent,
        misbehaviour,
    ];
    trials.extend(rooms::trials());
    trials
}

/// A book under construction. The accounts are `a` and `b`, with one device each.
#[derive(Default)]
struct Writer(Vec<Entry>);

impl Writer {
    /// Both are online with the first process.
    fn new() -> Writer {
        Writer::default().online("a/phone", 1).online("b/phone", 1)
    }

    fn write(mut self, who: &str, what: What) -> Writer {
        let who = who.to_owned();
        self.0.push(Entry::Client { who, what });
        self
    }

    fn online(self, who: &str, incarnation: u32) -> Writer {
        self.write(who, What::Connected(incarnation))
            .write(who, What::Enabled)
    }

    fn resumed(self, who: &str, incarnation: u32) -> Writer {
        self.write(who, What::Broken)
            .write(who, What::Connected(incarnation))
            .write(who, What::Resumed)
    }

    fn not_resumed(self, who: &str, incarnation: u32) -> Writer {
        self.write(who, What::Broken)
            .write(who, What::Connected(incarnation))
            .write(who, What::NotResumed)
            .write(who, What::Enabled)
    }

    fn ended(mut self, incarnation: u32, killed: bool) -> Writer {
        self.0.push(Entry::Ended {
            incarnation,
            killed,
        });
        self
    }

    /// `a` sends to `b`.
    fn sent(self, id: &str) -> Writer {
        let (id, to) = (id.to_owned(), "b".to_owned());
        self.write("a/phone", What::Sent { id, to })
    }

    fn acknowledged(self, id: &str) -> Writer {
        self.write("a/phone", What::Acknowledged(id.to_owned()))
    }

    fn refused(self, id: &str) -> Writer {
        let (id, condition) = (id.to_owned(), "resource-constraint".to_owned());
        self.write("a/phone", What::Refused { id, condition })
    }

    /// It comes to `b`, from `a`.
    fn came(self, id: &str, stanza_id: &str) -> Writer {
        self.came_to("b/phone", id, stanza_id)
    }

    fn came_to(self, who: &str, id: &str, stanza_id: &str) -> Writer {
        let what = What::Received {
            id: id.to_owned(),
            from: "a".to_owned(),
            room: None,
            stanza_id: Some(stanza_id.to_owned()),
            delayed: false,
        };
        self.write(who, what)
    }

    /// A whole message.
    fn message(self, id: &str) -> Writer {
        self.sent(id).acknowledged(id).came(id, id)
    }

    fn judge(self) -> Verdict {
        check(&self.0)
    }

    /// Exactly that law is broken, once.
    fn breaks(self, law: Law) -> Outcome {
        let verdict = self.judge();
        let broken = verdict.broken() == BTreeSet::from([law]);
        ensure!(
            broken && verdict.violations.len() == 1,
            "{:?}",
            verdict.violations
        );
        Ok(())
    }

    fn breaks_nothing(self) -> Outcome<Verdict> {
        let verdict = self.judge();
        ensure!(verdict.violations.is_empty(), "{:?}", verdict.violations);
        Ok(verdict)
    }
}

fn a_quiet_day() -> Outcome {
    let verdict = Writer::new().message("1").message("2").breaks_nothing()?;
    ensure!(
        (verdict.sent, verdict.acknowledged, verdict.came) == (2, 2, 2),
        "{verdict:?}"
    );
    Ok(())
}

fn a_loss() -> Outcome {
    Writer::new()
        .sent("1")
        .sent("2")
        .acknowledged("1")
        .message("3")
        .breaks(Law::Kept)
}

fn a_refusal_is_no_loss() -> Outcome {
    Writer::new()
        .sent("1")
        .refused("1")
        .acknowledged("1")
        .breaks_nothing()?;
    Ok(())
}

fn a_message_in_the_mailbox_is_no_loss() -> Outcome {
    Writer::new()
        .sent("1")
        .acknowledged("1")
        .write("b/phone", What::Closed)
        .online("b/visitor", 1)
        .came_to("b/visitor", "1", "s")
        .breaks_nothing()?;
    Ok(())
}

fn two_stanza_ids() -> Outcome {
    Writer::new()
        .sent("1")
        .came("1", "s")
        .ended(1, true)
        .not_resumed("b/phone", 2)
        .came("1", "t")
        .breaks(Law::Once)
}

fn twice_in_a_session() -> Outcome {
    Writer::new().message("1").came("1", "1").breaks(Law::Once)
}

/// Also where the session went on in another process.
fn twice_after_a_resumption() -> Outcome {
    Writer::new()
        .message("1")
        .ended(1, false)
        .resumed("b/phone", 2)
        .came("1", "1")
        .breaks(Law::Once)
}

fn again_after_a_crash() -> Outcome {
    let verdict = Writer::new()
        .message("1")
        .ended(1, true)
        .not_resumed("b/phone", 2)
        .came("1", "1")
        .breaks_nothing()?;
    ensure!(verdict.came_again == 1, "{verdict:?}");
    Ok(())
}

fn again_after_a_restart() -> Outcome {
    let verdict = Writer::new()
        .message("1")
        .ended(1, false)
        .not_resumed("b/phone", 2)
        .came("1", "1")
        .judge();
    let both = BTreeSet::from([Law::Once, Law::Resumed]);
    ensure!(verdict.broken() == both, "{:?}", verdict.violations);
    Ok(())
}

/// The second process has the acknowledgement from the resumption and ends in good order; what
/// happens to the third is no excuse.
fn again_although_an_earlier_process_knew() -> Outcome {
    let known = |killed| {
        Writer::new()
            .message("1")
            .resumed("b/phone", 2)
            .ended(2, killed)
            .resumed("b/phone", 3)
            .ended(3, true)
            .not_resumed("b/phone", 4)
            .came("1", "1")
    };
    known(true).breaks_nothing()?;
    known(false).breaks(Law::Once)
}

fn again_after_it_gave_up() -> Outcome {
    let end = |what| {
        Writer::new()
            .message("1")
            .write("b/phone", what)
            .online("b/phone", 1)
            .came("1", "1")
    };
    end(What::Abandoned).breaks_nothing()?;
    end(What::Closed).breaks(Law::Once)
}

/// It cannot acknowledge what comes behind its last words.
fn again_because_it_came_too_late() -> Outcome {
    let closed = |writer: Writer| writer.write("b/phone", What::Closed).online("b/phone", 1);
    let leaving = Writer::new().write("b/phone", What::Leaving);
    closed(leaving.message("1"))
        .came("1", "1")
        .breaks_nothing()?;
    let leaving = Writer::new().message("1");
    closed(leaving.write("b/phone", What::Leaving))
        .came("1", "1")
        .breaks(Law::Once)
}

fn again_to_another_device() -> Outcome {
    Writer::new()
        .message("1")
        .write("b/phone", What::Closed)
        .online("b/visitor", 1)
        .came_to("b/visitor", "1", "1")
        .breaks(Law::Once)
}

fn out_of_order() -> Outcome {
    Writer::new()
        .sent("1")
        .sent("2")
        .came("2", "s")
        .came("1", "t")
        .breaks(Law::Ordered)
}

/// Refused, and its sender did not learn it.
fn out_of_order_after_a_full_disk() -> Outcome {
    let again = |full| {
        let mut writer = Writer::new();
        writer.0.extend(full);
        writer
            .sent("1")
            .sent("2")
            .came("2", "s")
            .ended(1, true)
            .not_resumed("b/phone", 2)
            .came("1", "t")
    };
    again(Some(Entry::Full(1))).breaks_nothing()?;
    again(None).breaks(Law::Ordered)
}

/// Repetitions do not count, nor does what others send.
fn order_is_per_pair() -> Outcome {
    let to = |id: &str, to: &str| What::Sent {
        id: id.to_owned(),
        to: to.to_owned(),
    };
    Writer::new()
        .write("a/phone", to("1", "a"))
        .sent("2")
        .sent("3")
        .came("2", "s")
        .came("3", "t")
        .came_to("a/phone", "1", "r")
        .ended(1, true)
        .not_resumed("b/phone", 2)
        .came("2", "s")
        .breaks_nothing()?;
    Ok(())
}

fn resumption_after_a_restart() -> Outcome {
    let verdict = Writer::new()
        .ended(1, false)
        .resumed("a/phone", 2)
        .resumed("b/phone", 2)
        .breaks_nothing()?;
    let all = Rate {
        tried: 2,
        went_well: 2,
    };
    ensure!(verdict.restarts == all, "{verdict:?}");
    Writer::new()
        .ended(1, false)
        .resumed("a/phone", 2)
        .not_resumed("b/phone", 2)
        .breaks(Law::Resumed)
}

fn resumption_after_a_break() -> Outcome {
    Writer::new()
        .resumed("a/phone", 1)
        .not_resumed("b/phone", 1)
        .breaks(Law::Resumed)
}

/// Nobody expects it; and a session that is new since then is not concerned.
fn no_resumption_after_a_crash() -> Outcome {
    let verdict = Writer::new()
        .ended(1, true)
        .not_resumed("a/phone", 2)
        .ended(2, false)
        .not_resumed("b/phone", 3)
        .resumed("a/phone", 3)
        .breaks_nothing()?;
    ensure!(verdict.restarts.tried == 1, "{verdict:?}");
    Ok(())
}

fn refused_and_delivered() -> Outcome {
    Writer::new()
        .sent("1")
        .came("1", "s")
        .refused("1")
        .breaks(Law::Honest)
}

fn never_sent() -> Outcome {
    Writer::new().came("1", "s").breaks(Law::Spoken)
}

fn misbehaviour() -> Outcome {
    Writer::new()
        .write("a/phone", What::Misbehaved("h=9".to_owned()))
        .breaks(Law::Spoken)
}
