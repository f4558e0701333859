//! Random histories against a plain list: whatever is appended, removed, moved, reopened or cut off
//! by a kill, the mailbox holds what the list holds.

mod histories;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

use histories::{LOCAL, Message, Question, Step, step};

impl Message {
    fn recipient(&self) -> i64 {
        if self.to <= LOCAL { self.to } else { 0 }
    }

    fn release(&mut self, account: i64) {
        if self.recipient() == account {
            self.flags = self.flags.without(Flags::INCOMING | Flags::ARCHIVED);
        }
        if self.sender == account {
            self.flags = self.flags.without(Flags::SENT);
            self.sender = 0;
        }
    }

    fn is_owned(&self) -> bool {
        self.flags
            .any(Flags::INCOMING | Flags::ARCHIVED | Flags::SENT)
    }

    fn is_owed_to(&self, account: i64) -> bool {
        self.recipient() == account && self.flags.any(Flags::INCOMING)
    }

    /// The peer in that account's archive.
    fn peer_in(&self, account: i64) -> Option<i64> {
        if self.recipient() == account && self.flags.any(Flags::ARCHIVED) {
            Some(self.from)
        } else if self.sender == account && self.flags.any(Flags::SENT) {
            Some(self.to)
        } else {
            None
        }
    }

    fn new_row(&self, now: i64) -> NewRow {
        NewRow {
            recipient: self.recipient(),
            sender_account: self.sender,
            from: format!("{}/x", bare(self.from)),
            to_bare: bare(self.to),
            flags: self.flags,
            received_at_ms: now,
            key: self.key,
            stream: self.key / 2,
            number: 7,
            body: Bytes::copy_from_slice(self.text.as_bytes()),
        }
    }
}

#[derive(Default)]
struct List {
    now: i64,
    last: i64,
    messages: Vec<Message>,
    /// (account, key) → cursor.
    cursors: BTreeMap<(i64, &'static str), i64>,
}

impl List {
    /// The id of the row at that share (of 8) of all; beyond the last row for 8.
    fn id_at_share(&self, share: usize) -> i64 {
        let message = self.messages.get(self.messages.len() * share / 8);
        message.map_or(self.last, |message| message.id)
    }

    fn cursor(&self, account: i64) -> i64 {
        self.cursors.get(&(account, "")).copied().unwrap_or(0)
    }

    fn undelivered(&self, message: &Message) -> bool {
        message.flags.any(Flags::INCOMING) && message.id > self.cursor(message.recipient())
    }

    fn retain_owned(&mut self) {
        self.messages.retain(Message::is_owned);
    }
}

fn ids(rows: &[StoredRow]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

fn usage<'m>(messages: impl Iterator<Item = &'m Message>) -> Usage {
    messages.fold(Usage::default(), |sum, message| Usage {
        count: sum.count + 1,
        bytes: sum.bytes + message.text.len() as u64,
    })
}

async fn look(database: &Database, mailbox: &Mailbox, list: &List, question: &Question) {
    settle(database).await;
    let account = question.account;
    let after = list.id_at_share(question.after);
    let owed: Vec<_> = (list.messages.iter())
        .filter(|message| message.is_owed_to(account) && message.id > after)
        .collect();
    let page = mailbox
        .page(account, after, question.limit, EVERYTHING)
        .await
        .unwrap();
    assert_eq!(page.len(), owed.len().min(question.limit));
    for (row, message) in page.iter().zip(&owed) {
        let expected = (message.id, message.flags, message.text.as_bytes());
        assert_eq!((row.id, row.flags, &row.body[..]), expected);
        assert_eq!(row.from, format!("{}/x", bare(message.from)));
    }
    let expected = usage(owed.iter().copied());
    assert_eq!(mailbox.usage(account, after).await, Ok(expected));
    look_at_archive(mailbox, list, question).await;

    let sent: Vec<_> = (list.messages.iter().rev())
        .filter(|message| message.sender == account)
        .map(|message| (message.id, message.key, message.key / 2))
        .take(question.limit)
        .collect();
    let found = mailbox.recent_sent(account, 0, question.limit).await;
    let found = found.unwrap().into_iter();
    assert_eq!(
        found
            .map(|sent| (sent.id, sent.key, sent.stream))
            .collect::<Vec<_>>(),
        sent
    );

    let devices = mailbox.devices(account).await.unwrap();
    let devices = devices.iter().map(|device| (&*device.key, device.cursor));
    let expected = list.cursors.range((account, "")..(account + 1, ""));
    assert!(devices.eq(expected.map(|((_, key), cursor)| (*key, *cursor))));

    let stats = mailbox.stats().await.unwrap();
    let undelivered: Vec<_> = (list.messages.iter())
        .filter(|message| list.undelivered(message))
        .collect();
    let expected = usage(undelivered.iter().copied());
    assert_eq!((stats.count, stats.bytes), (expected.count, expected.bytes));
    let oldest = undelivered.first().map(|message| message.id >> 21);
    assert_eq!(stats.oldest_ms, oldest);
}

async fn look_at_archive(mailbox: &Mailbox, list: &List, question: &Question) {
    let account = question.account;
    let mut filter = Filter {
        with: question.peer.map(|peer| peer_hash(&bare(peer))),
        after: list.id_at_share(question.after),
        before: list.id_at_share(question.before),
    };
    if question.before == 8 {
        filter.before = i64::MAX;
    }
    if question.after == 0 {
        filter.after = 0;
    }
    let shown: Vec<i64> = (list.messages.iter())
        .filter(|message| {
            let peer = message.peer_in(account);
            peer.is_some_and(|peer| question.peer.is_none_or(|wanted| wanted == peer))
                && message.id > filter.after
                && message.id < filter.before
        })
        .map(|message| message.id)
        .collect();
    let limit = question.limit.min(shown.len());
    let expected = if question.backwards {
        &shown[shown.len() - limit..]
    } else {
        &shown[..limit]
    };
    let page = mailbox
        .archive_page(account, &filter, question.backwards, question.limit)
        .await;
    assert_eq!(ids(&page.unwrap()), expected);
    let at_most = question.limit as u64;
    let count = mailbox.archive_count(account, &filter, at_most).await;
    assert_eq!(count, Ok(limit as u64));

    let all = list.messages.iter();
    let all = all.filter(|message| message.peer_in(account).is_some());
    let all: Vec<i64> = all.map(|message| message.id).collect();
    let ends = all.first().copied().zip(all.last().copied());
    assert_eq!(mailbox.archive_ends(account).await, Ok(ends));
    let some: Vec<i64> = list
        .messages
        .iter()
        .step_by(3)
        .map(|message| message.id)
        .collect();
    let expected: Vec<i64> = (list.messages.iter().step_by(3))
        .filter(|message| message.peer_in(account).is_some())
        .map(|message| message.id)
        .collect();
    assert_eq!(
        ids(&mailbox.archive_rows(account, &some).await.unwrap()),
        expected
    );
}

async fn expire(mailbox: &Mailbox, list: &mut List, count: usize) {
    let oldest = list.messages.iter().take(count);
    let expected: Vec<_> = oldest
        .map(|message| (message.id, message.sender, list.undelivered(message)))
        .collect();
    let found = mailbox.expired(list.now + 1, count).await.unwrap();
    let found = found.into_iter();
    let found: Vec<_> = found
        .map(|owned| (owned.row.id, owned.sender_account, owned.undelivered))
        .collect();
    assert_eq!(found, expected);
    drop(mailbox.remove_expired(found.iter().map(|found| found.0).collect()));
    list.messages.drain(..found.len());
}

/// What needs no other files than those that are open.
async fn change(database: &Database, mailbox: &Mailbox, list: &mut List, step: Step) {
    match step {
        Step::Append(mut message) if message.is_owned() => {
            list.now += message.wait_ms;
            message.id = put(mailbox, message.new_row(list.now));
            assert!(message.id > list.last);
            list.last = message.id;
            list.messages.push(message);
        }
        Step::Remove { account, stride } => {
            let owns = |message: &&mut Message| {
                message.recipient() == account || message.sender == account
            };
            let mut ids = Vec::new();
            for message in list.messages.iter_mut().filter(owns).step_by(stride) {
                ids.push(message.id);
                message.release(account);
            }
            list.retain_owned();
            drop(mailbox.remove(account, ids));
        }
        Step::RemoveAccount { account } => {
            for message in &mut list.messages {
                message.release(account);
            }
            list.retain_owned();
            list.cursors.retain(|(owner, _), _| *owner != account);
            mailbox.remove_account(account).await.unwrap();
        }
        Step::Expire { count } => {
            settle(database).await;
            expire(mailbox, list, count).await;
        }
        Step::Advance {
            account,
            key,
            share,
        } => {
            let to = list.id_at_share(share);
            for key in key.into_iter().chain([""]) {
                let cursor = list.cursors.entry((account, key)).or_default();
                *cursor = to.max(*cursor);
            }
            mailbox.acknowledge(account, key, to, list.now);
        }
        Step::Look(question) => look(database, mailbox, list, &question).await,
        Step::Settle | Step::Append(_) | Step::Reopen | Step::Kill => settle(database).await,
    }
}

async fn play(steps: Vec<Step>, move_at: usize) {
    let mut directory = TempDir::new().unwrap();
    let (mut database, mut mailbox) = open(directory.path(), move_at).await;
    let mut list = List::default();
    for step in steps {
        match step {
            Step::Reopen => {
                mailbox.write_cursors();
                database.close().await;
                (database, mailbox) = open(directory.path(), move_at).await;
                check_index(&database).await;
                // A start takes time; without that, the id of a removed row could come again.
                list.now += 1;
            }
            Step::Kill => {
                mailbox.write_cursors();
                settle(&database).await;
                let copy = TempDir::new().unwrap();
                for name in ["test.db", "test.db-wal"] {
                    let _ = std::fs::copy(directory.path().join(name), copy.path().join(name));
                }
                database.close().await;
                directory = copy;
                (database, mailbox) = open(directory.path(), move_at).await;
                check_index(&database).await;
                list.now += 1;
            }
            step => change(&database, &mailbox, &mut list, step).await,
        }
    }
    for account in 1..=LOCAL {
        let everything = Question {
            account,
            peer: None,
            after: 0,
            before: 8,
            backwards: false,
            limit: EVERYTHING,
        };
        look(&database, &mailbox, &list, &everything).await;
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
