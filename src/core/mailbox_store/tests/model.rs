//! Random histories against a plain list: whatever is appended, removed, moved, reopened or cut off
//! by a kill, the mailbox holds what the list holds.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        account: i64,
        size: usize,
    },
    /// Removes some of the rows of an account: every `stride`th.
    Remove {
        account: i64,
        stride: usize,
    },
    RemoveAccount {
        account: i64,
    },
    Settle,
    /// Closes and opens again.
    Reopen,
    /// Goes on with a copy of the files, as after a kill.
    Kill,
    /// Compares with the list.
    Look {
        account: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let account = 0..4i64;
    prop_oneof![
        60 => (account.clone(), 0..60usize)
            .prop_map(|(account, size)| Step::Append { account, size }),
        10 => (account.clone(), 1..4usize)
            .prop_map(|(account, stride)| Step::Remove { account, stride }),
        2 => account.clone().prop_map(|account| Step::RemoveAccount { account }),
        8 => Just(Step::Settle),
        2 => Just(Step::Reopen),
        2 => Just(Step::Kill),
        10 => account.prop_map(|account| Step::Look { account }),
    ]
}

/// (account, id, stanza), in the order of the ids.
type List = Vec<(i64, i64, String)>;

async fn look(database: &Database, mailbox: &Mailbox, list: &List, account: i64) {
    settle(database).await;
    let expected: Vec<_> = list.iter().filter(|row| row.0 == account).collect();
    let rows = mailbox
        .page(account, 0, EVERYTHING, EVERYTHING)
        .await
        .unwrap();
    assert_eq!(rows.len(), expected.len());
    for (row, (_, id, text)) in rows.iter().zip(&expected) {
        assert_eq!((row.id, &row.body[..]), (*id, text.as_bytes()));
    }
    let bytes = expected.iter().map(|row| row.2.len() as u64).sum();
    let usage = Usage {
        count: expected.len() as u64,
        bytes,
    };
    assert_eq!(mailbox.usage(account).await, Ok(usage));
    let stats = mailbox.stats().await.unwrap();
    assert_eq!(stats.count, list.len() as u64);
    assert_eq!(
        stats.bytes,
        list.iter().map(|row| row.2.len() as u64).sum::<u64>()
    );
}

async fn play(steps: Vec<Step>, move_at: usize) {
    let mut directory = TempDir::new().unwrap();
    let (mut database, mut mailbox) = open(directory.path(), move_at).await;
    let mut list = List::new();
    for step in steps {
        match step {
            Step::Append { account, size } => {
                let text = "x".repeat(size);
                let id = append(&mailbox, account, &text);
                assert!(list.last().is_none_or(|row| row.1 < id));
                list.push((account, id, text));
            }
            Step::Remove { account, stride } => {
                let own = list.iter().filter(|row| row.0 == account).map(|row| row.1);
                let ids: Vec<i64> = own.step_by(stride).collect();
                list.retain(|row| !ids.contains(&row.1));
                drop(mailbox.remove(account, ids));
            }
            Step::RemoveAccount { account } => {
                list.retain(|row| row.0 != account);
                drop(mailbox.remove_account(account));
            }
            Step::Settle => settle(&database).await,
            Step::Reopen => {
                database.close().await;
                (database, mailbox) = open(directory.path(), move_at).await;
                check_index(&database).await;
            }
            Step::Kill => {
                settle(&database).await;
                let copy = TempDir::new().unwrap();
                for name in ["test.db", "test.db-wal"] {
                    let _ = std::fs::copy(directory.path().join(name), copy.path().join(name));
                }
                database.close().await;
                directory = copy;
                (database, mailbox) = open(directory.path(), move_at).await;
                check_index(&database).await;
            }
            Step::Look { account } => look(&database, &mailbox, &list, account).await,
        }
    }
    for account in 0..4 {
        look(&database, &mailbox, &list, account).await;
    }
    check_index(&database).await;
    database.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_mailbox_holds_what_a_list_would(
        steps in prop::collection::vec(step(), 1..300),
        move_at in prop_oneof![Just(1usize), Just(5), Just(40), Just(10_000)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps, move_at));
    }
}
