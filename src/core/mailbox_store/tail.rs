//! The rows that the index need not have yet, in memory.

use std::collections::{BTreeMap, VecDeque};

use super::rows::{Flags, NewRow};

/// What an account's entry for a row says. The numbers are in the database, and each view of an
/// account reads whole kinds, so that none has to pass over entries of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Owed to the recipient, and in its archive.
    Received = 1,
    /// In the recipient's archive only.
    Filed = 2,
    /// In the sender's archive.
    Sent = 3,
    /// Owed to the recipient only.
    Waiting = 4,
    /// Sent, and in no archive of the sender: kept to recognise a resend.
    Passed = 5,
}

impl Kind {
    /// What is owed to the devices of an account.
    pub(super) const QUEUE: [Kind; 2] = [Kind::Received, Kind::Waiting];
    /// What the archive of an account shows.
    pub(super) const ARCHIVE: [Kind; 3] = [Kind::Received, Kind::Filed, Kind::Sent];
    /// What an account has sent.
    pub(super) const OUTGOING: [Kind; 2] = [Kind::Sent, Kind::Passed];
    /// Everything.
    pub(super) const ALL: [Kind; 5] = [
        Kind::Received,
        Kind::Filed,
        Kind::Sent,
        Kind::Waiting,
        Kind::Passed,
    ];

    /// Whether it is the recipient's.
    pub(super) fn is_incoming(self) -> bool {
        matches!(self, Kind::Received | Kind::Filed | Kind::Waiting)
    }

    fn of_recipient(flags: Flags) -> Option<Kind> {
        match (flags.any(Flags::INCOMING), flags.any(Flags::ARCHIVED)) {
            (true, true) => Some(Kind::Received),
            (false, true) => Some(Kind::Filed),
            (true, false) => Some(Kind::Waiting),
            (false, false) => None,
        }
    }

    /// What an account sends to itself shows once, as received.
    fn of_sender(flags: Flags, to_itself: bool) -> Kind {
        if flags.any(Flags::SENT) && !(to_itself && flags.any(Flags::ARCHIVED)) {
            Kind::Sent
        } else {
            Kind::Passed
        }
    }
}

/// (account, kind, id): the order of the index.
pub(super) type Entry = (i64, Kind, i64);

/// What an entry tells of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) peer: i64,
    pub(super) size: u32,
}

/// A row as it comes into the tail.
pub(super) struct TailRow {
    pub(super) owners: Owners,
    pub(super) peer_in: i64,
    pub(super) peer_out: i64,
    pub(super) size: u32,
}

/// Whose a row is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owners {
    pub(super) id: i64,
    pub(super) recipient: i64,
    pub(super) sender_account: i64,
    pub(super) flags: Flags,
}

impl TailRow {
    /// A row that has no id yet.
    pub(super) fn new(row: &NewRow) -> TailRow {
        let from = &*row.from;
        let bare = from.split_once('/').map_or(from, |(bare, _)| bare);
        TailRow {
            owners: Owners {
                id: 0,
                recipient: row.recipient,
                sender_account: row.sender_account,
                flags: row.flags,
            },
            peer_in: super::peer_hash(bare),
            peer_out: super::peer_hash(&row.to_bare),
            size: u32::try_from(row.body.len()).unwrap_or(u32::MAX),
        }
    }
}

impl Owners {
    fn entries(&self) -> impl Iterator<Item = Entry> {
        let to_itself = self.recipient == self.sender_account;
        let incoming = Kind::of_recipient(self.flags).map(|kind| (self.recipient, kind, self.id));
        let outgoing = (self.sender_account != 0).then(|| {
            let kind = Kind::of_sender(self.flags, to_itself);
            (self.sender_account, kind, self.id)
        });
        incoming.into_iter().chain(outgoing)
    }

    /// The ownership of an account ends.
    fn release(&mut self, account: i64) {
        if self.recipient == account {
            self.flags = self.flags.without(Flags::RECIPIENTS);
        }
        if self.sender_account == account {
            self.flags = self.flags.without(Flags::SENT);
            self.sender_account = 0;
        }
        if self.is_gone() {
            self.sender_account = 0;
        }
    }

    fn is_gone(&self) -> bool {
        !self.flags.any(Flags::OWNED)
    }
}

/// Which entries of an account are wanted, between two ids that are not among them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) after: i64,
    pub(super) before: i64,
    pub(super) peer: Option<i64>,
    /// The last `limit` instead of the first.
    pub(super) backwards: bool,
    pub(super) limit: usize,
}

/// See the [module](self). A row that is gone loses its entries at once, and lies in the list until
/// it is the oldest or the next move ends.
#[derive(Default)]
pub(super) struct Tail {
    /// By id.
    rows: VecDeque<Owners>,
    /// The entries that no move has made yet, by account and kind and then by id. Lists and not one
    /// map of all: the newest row is the last of its lists, and they are few next to the rows.
    entries: BTreeMap<(i64, Kind), VecDeque<(i64, Told)>>,
    entry_count: usize,
    /// Rows of which a removal is under way, and how many.
    leaving: BTreeMap<i64, u32>,
}

impl Tail {
    /// Rows in it, those included that are gone.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Entries in it.
    pub(super) fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// Takes the newest row.
    pub(super) fn push(&mut self, row: &TailRow) {
        debug_assert!(self.rows.back().is_none_or(|last| last.id < row.owners.id));
        for (account, kind, id) in row.owners.entries() {
            let peer = if kind.is_incoming() {
                row.peer_in
            } else {
                row.peer_out
            };
            let size = row.size;
            let list = self.entries.entry((account, kind)).or_default();
            if list.is_empty() {
                // Of many accounts there is just one.
                list.reserve_exact(1);
            }
            list.push_back((id, Told { peer, size }));
            self.entry_count += 1;
        }
        self.rows.push_back(row.owners);
    }

    /// A removal of these rows is under way.
    pub(super) fn leave(&mut self, ids: &[i64]) {
        let first = self.rows.front().map_or(i64::MAX, |row| row.id);
        for id in ids.iter().filter(|id| **id >= first) {
            *self.leaving.entry(*id).or_default() += 1;
        }
    }

    /// A removal of these rows is over, whether it was carried out or not.
    pub(super) fn left(&mut self, ids: &[i64]) {
        for id in ids {
            if let Some(count) = self.leaving.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    self.leaving.remove(id);
                }
            }
        }
    }

    /// Whether a removal of a row is under way.
    pub(super) fn is_leaving(&self, id: i64) -> bool {
        self.leaving.contains_key(&id)
    }

    /// Whether an account is certain to be the only owner of a row.
    pub(super) fn is_sole_owner(&self, id: i64, account: i64) -> bool {
        let Ok(position) = self.rows.binary_search_by_key(&id, |row| row.id) else {
            return false;
        };
        self.rows.get(position).copied().is_some_and(|mut row| {
            row.release(account);
            row.is_gone()
        })
    }

    /// Ends the ownership of an account.
    pub(super) fn release(&mut self, id: i64, account: i64) {
        self.change(id, |row| row.release(account));
    }

    /// Forgets a row, whoever owns it.
    pub(super) fn remove(&mut self, id: i64) {
        self.change(id, |row| {
            row.flags = row.flags.without(Flags::OWNED);
            row.sender_account = 0;
        });
    }

    fn change(&mut self, id: i64, change: impl FnOnce(&mut Owners)) {
        let Ok(position) = self.rows.binary_search_by_key(&id, |row| row.id) else {
            return;
        };
        let row = &mut self.rows[position];
        let before = *row;
        change(row);
        // Entries only go: those that a move has made must not come back.
        for entry in before.entries() {
            if !row.entries().any(|kept| kept == entry) {
                remove(&mut self.entries, &mut self.entry_count, entry);
            }
        }
        while self.rows.front().is_some_and(Owners::is_gone) {
            self.rows.pop_front();
        }
    }

    /// Ids and bytes of the entries of an account and kind that are wanted and not above `newest`,
    /// in the order of the ids, or from the last if `span` says so.
    pub(super) fn slice(
        &self,
        account: i64,
        kind: Kind,
        span: &Span,
        newest: i64,
    ) -> Vec<(i64, u64)> {
        let first = span.after.max(0).saturating_add(1);
        let last = span.before.saturating_sub(1).min(newest);
        if first > last {
            return Vec::new();
        }
        let Some(list) = self.entries.get(&(account, kind)) else {
            return Vec::new();
        };
        let entries = list
            .range(below(list, first)..below(list, last.saturating_add(1)))
            .filter(|(_, told)| span.peer.is_none_or(|wanted| wanted == told.peer))
            .map(|(id, told)| (*id, u64::from(told.size)));
        if span.backwards {
            entries.rev().take(span.limit).collect()
        } else {
            entries.take(span.limit).collect()
        }
    }

    /// The next entries behind `done`, in the order of the index, of rows up to `up_to`.
    pub(super) fn next(&self, done: Entry, up_to: i64, limit: usize) -> Vec<(Entry, Told)> {
        let (account, kind, id) = done;
        let lists = self.entries.range((account, kind)..);
        lists
            .flat_map(|((of, what), list)| {
                let is_done = (*of, *what) == (account, kind);
                let first = if is_done {
                    below(list, id.saturating_add(1))
                } else {
                    0
                };
                let last = below(list, up_to.saturating_add(1)).max(first);
                let entries = list.range(first..last);
                entries.map(move |(id, told)| ((*of, *what, *id), *told))
            })
            .take(limit)
            .collect()
    }

    /// These entries are in the index.
    pub(super) fn entered(&mut self, entries: &[(Entry, Told)]) {
        for (entry, _) in entries {
            remove(&mut self.entries, &mut self.entry_count, *entry);
        }
    }

    /// The index has all entries of the rows up to here.
    pub(super) fn forget_up_to(&mut self, id: i64) {
        while self.rows.front().is_some_and(|row| row.id <= id) {
            self.rows.pop_front();
        }
    }
}

/// How many entries of a list have an id below this one.
fn below(list: &VecDeque<(i64, Told)>, id: i64) -> usize {
    list.partition_point(|(known, _)| *known < id)
}

/// Takes an entry out, if it is there. Nearly always it is the first of its list.
fn remove(
    entries: &mut BTreeMap<(i64, Kind), VecDeque<(i64, Told)>>,
    count: &mut usize,
    (account, kind, id): Entry,
) {
    let Some(list) = entries.get_mut(&(account, kind)) else {
        return;
    };
    let at = below(list, id);
    if list.get(at).is_some_and(|(known, _)| *known == id) {
        list.remove(at);
        *count -= 1;
    }
    if list.is_empty() {
        entries.remove(&(account, kind));
    }
}
