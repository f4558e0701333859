//! What may happen to a mailbox.

use proptest::prelude::*;

use crate::mailbox_store::Flags;
use crate::mailbox_store::tests::EVERYTHING;

/// Accounts 1 to this are local; others stand for strangers.
pub(super) const LOCAL: i64 = 4;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(Message),
    /// Ends the ownership of some of the rows of an account: of every `stride`th.
    Remove {
        account: i64,
        stride: usize,
    },
    RemoveAccount {
        account: i64,
    },
    /// Removes the oldest rows.
    Expire {
        count: usize,
    },
    /// Moves the cursor of an account, and of a device if one is named, to some share (of 8) of all
    /// rows.
    Advance {
        account: i64,
        key: Option<&'static str>,
        share: usize,
    },
    Settle,
    /// Closes and opens again.
    Reopen,
    /// Goes on with a copy of the files, as after a kill.
    Kill,
    /// Compares with the list.
    Look(Question),
}

/// A row of the list. An account that is not local stands as 0 in the row.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) sender: i64,
    pub(super) flags: Flags,
    pub(super) wait_ms: i64,
    pub(super) key: i64,
    pub(super) text: String,
}

#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) account: i64,
    pub(super) peer: Option<i64>,
    /// Shares (of 8) of all rows.
    pub(super) after: usize,
    pub(super) before: usize,
    pub(super) backwards: bool,
    pub(super) limit: usize,
}

fn message() -> impl Strategy<Value = Message> {
    let end = || 1..LOCAL + 3;
    (end(), end(), 1..16u8, 0..3i64, any::<i64>(), 0..60usize).prop_map(
        |(from, to, bits, wait_ms, key, size)| {
            let to_local = to <= LOCAL;
            let all = [
                Flags::INCOMING,
                Flags::ARCHIVED,
                Flags::SENT,
                Flags::DIRECTED,
            ];
            let mut flags = Flags::default();
            for (n, flag) in all.into_iter().enumerate() {
                let possible = if flag == Flags::SENT {
                    from <= LOCAL
                } else {
                    to_local
                };
                if bits & (1 << n) != 0 && possible {
                    flags = flags | flag;
                }
            }
            Message {
                id: 0,
                from,
                to,
                sender: if from <= LOCAL { from } else { 0 },
                flags,
                wait_ms,
                key,
                text: "x".repeat(size),
            }
        },
    )
}

fn question() -> impl Strategy<Value = Question> {
    let peer = prop::option::of(1..LOCAL + 3);
    let limit = prop_oneof![Just(EVERYTHING), 0..10usize];
    (1..=LOCAL, peer, 0..9usize, 0..9usize, any::<bool>(), limit).prop_map(
        |(account, peer, after, before, backwards, limit)| Question {
            account,
            peer,
            after,
            before,
            backwards,
            limit,
        },
    )
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let account = || 1..=LOCAL;
    let key = prop::option::of(prop_oneof![Just("phone"), Just("desk")]);
    prop_oneof![
        60 => message().prop_map(Step::Append),
        8 => (account(), 1..4usize).prop_map(|(account, stride)| Step::Remove { account, stride }),
        1 => account().prop_map(|account| Step::RemoveAccount { account }),
        2 => (0..10usize).prop_map(|count| Step::Expire { count }),
        6 => (account(), key, 0..9usize)
            .prop_map(|(account, key, share)| Step::Advance { account, key, share }),
        8 => Just(Step::Settle),
        2 => Just(Step::Reopen),
        2 => Just(Step::Kill),
        10 => question().prop_map(Step::Look),
    ]
}
