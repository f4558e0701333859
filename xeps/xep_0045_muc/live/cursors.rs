//! How far the devices of a room's members have got with its log.
//!
//! A member has a cursor of its own, under the key '', which is what any of its devices has
//! acknowledged, and one for each device. They are moved in memory and written together.

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::Jid;

use crate::xep_0045_muc::room::grow;
use crate::xep_0045_muc::store::Cursor;

/// Devices of a member that are known; at the bound the one that is furthest behind is forgotten.
const MAX_DEVICES: usize = 32;

/// See the [module](self). There is one for every member of every room in use: sorted by bare JID,
/// and no larger than need be.
#[derive(Default)]
pub(super) struct Cursors(Vec<Member>);

struct Member {
    jid: Jid,
    /// What any device has acknowledged.
    own: Mark,
    devices: Box<[Device]>,
}

struct Device {
    key: Box<str>,
    mark: Mark,
}

/// A row, which is never negative, and in its sign whether that is yet to be written down.
#[derive(Clone, Copy)]
struct Mark(i64);

impl Mark {
    fn written(row: i64) -> Self {
        Mark(row)
    }

    fn moved(row: i64) -> Self {
        Mark(row | i64::MIN)
    }

    fn row(self) -> i64 {
        self.0 & i64::MAX
    }

    /// Moves it, but never back.
    fn advance(&mut self, row: i64) {
        if self.row() < row {
            *self = Mark::moved(row);
        }
    }

    /// The row, if it is to be written down; then it is not any more.
    fn take(&mut self) -> Option<i64> {
        let moved = (self.0 < 0).then(|| self.row());
        *self = Mark::written(self.row());
        moved
    }
}

impl Cursors {
    pub(super) fn new(known: Vec<Cursor>) -> Self {
        let mut cursors = Cursors::default();
        for cursor in known {
            let mark = Mark::written(cursor.cursor);
            let place = cursors.place(cursor.jid.as_str());
            let place = place.unwrap_or_else(|place| {
                cursors.insert(place, cursor.jid, Mark::written(0));
                place
            });
            let member = &mut cursors.0[place];
            if cursor.device.is_empty() {
                member.own = mark;
            } else {
                member.add(&cursor.device, mark);
            }
        }
        cursors
    }

    fn place(&self, bare: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|member| member.jid.as_str().cmp(bare))
    }

    fn insert(&mut self, place: usize, jid: Jid, own: Mark) {
        grow(&mut self.0);
        let devices = Box::default();
        self.0.insert(place, Member { jid, own, devices });
    }

    /// These are the members; a new one begins at `newest`, and who is none any more is forgotten.
    /// Returns the new ones.
    pub(super) fn follow<'a>(
        &mut self,
        members: impl Iterator<Item = &'a Jid>,
        newest: i64,
    ) -> Vec<Jid> {
        let mut new = Vec::new();
        let mut members: Vec<&Jid> = members.collect();
        members.sort_unstable();
        self.0
            .retain(|member| members.binary_search(&&member.jid).is_ok());
        for jid in members {
            if let Err(place) = self.place(jid.as_str()) {
                self.insert(place, jid.clone(), Mark::moved(newest));
                new.push(jid.clone());
            }
        }
        new
    }

    /// A member is known by this bare JID, which somebody else keeps anyway.
    pub(super) fn share_address(&mut self, bare: &Jid) {
        if let Ok(place) = self.place(bare.as_str()) {
            self.0[place].jid = bare.clone();
        }
    }

    /// Where a device of a user begins: where it was, else where its user stands. `None`: the room
    /// owes the user nothing.
    pub(super) fn of(&self, user: &Jid, device: Option<&str>) -> Option<i64> {
        let member = &self.0[self.place(user.bare()).ok()?];
        let known = device.and_then(|key| member.devices.iter().find(|device| *device.key == *key));
        Some(known.map_or(member.own, |device| device.mark).row())
    }

    /// The same for a device that enters: it is known from here on. Else another one of its user
    /// could acknowledge for it, before it has acknowledged anything itself.
    pub(super) fn begin(&mut self, user: &Jid, device: Option<&str>) -> Option<i64> {
        let begin = self.of(user, device)?;
        let key = device.filter(|key| !key.is_empty());
        if let (Some(key), Ok(place)) = (key, self.place(user.bare())) {
            let member = &mut self.0[place];
            if !member.devices.iter().any(|device| *device.key == *key) {
                member.add(key, Mark::moved(begin));
            }
        }
        Some(begin)
    }

    /// What any device of a member has acknowledged.
    pub(super) fn own(&self, user: &Jid) -> Option<i64> {
        self.of(user, None)
    }

    /// A device has acknowledged every row up to this one. Neither cursor goes back.
    pub(super) fn advance(&mut self, user: &Jid, device: Option<&str>, row: i64) {
        let Ok(place) = self.place(user.bare()) else {
            return;
        };
        let member = &mut self.0[place];
        member.own.advance(row);
        let Some(key) = device.filter(|key| !key.is_empty()) else {
            return;
        };
        let mut devices = member.devices.iter_mut();
        match devices.find(|device| *device.key == *key) {
            Some(device) => device.mark.advance(row),
            None => member.add(key, Mark::moved(row)),
        }
    }

    /// These could not be written: they count as moved still.
    pub(super) fn not_written(&mut self, cursors: &[Cursor]) {
        for cursor in cursors {
            let Ok(place) = self.place(cursor.jid.bare()) else {
                continue;
            };
            let member = &mut self.0[place];
            let mut devices = member.devices.iter_mut();
            let device = devices.find(|device| *device.key == *cursor.device);
            let mark = match device {
                Some(device) => &mut device.mark,
                None if cursor.device.is_empty() => &mut member.own,
                None => continue,
            };
            *mark = Mark::moved(mark.row());
        }
    }

    /// What moved since this was asked last.
    pub(super) fn take_moved(&mut self, now: Timestamp) -> Vec<Cursor> {
        let mut moved = Vec::new();
        for member in &mut self.0 {
            let jid = &member.jid;
            let mut note = |device: &str, mark: &mut Mark| {
                let cursor = mark.take().map(|cursor| Cursor {
                    jid: jid.clone(),
                    device: device.to_owned(),
                    cursor,
                    seen_at: now,
                });
                moved.extend(cursor);
            };
            note("", &mut member.own);
            for device in &mut member.devices {
                note(&device.key, &mut device.mark);
            }
        }
        moved
    }
}

impl Member {
    /// Knows one device more; at the bound one less before.
    fn add(&mut self, key: &str, mark: Mark) {
        let mut devices = std::mem::take(&mut self.devices).into_vec();
        if devices.len() >= MAX_DEVICES {
            let places = devices.iter().enumerate();
            let last = places.min_by_key(|(_, device)| device.mark.row());
            let last = last.map(|(place, _)| place);
            last.map(|place| devices.swap_remove(place));
        }
        devices.reserve_exact(1);
        devices.push(Device {
            key: key.into(),
            mark,
        });
        self.devices = devices.into_boxed_slice();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    #[test]
    fn a_device_begins_where_it_was_and_a_new_one_where_its_user_stands() {
        let (alice, phone) = (jid("alice@x"), Some("phone"));
        let mut cursors = Cursors::default();
        let new = cursors.follow([&alice].into_iter(), 10);
        assert_eq!(new, std::slice::from_ref(&alice));
        assert!(cursors.follow([&alice].into_iter(), 11).is_empty());
        assert_eq!(cursors.of(&jid("alice@x/phone"), phone), Some(10));
        assert_eq!(cursors.of(&jid("bob@x"), None), None);
        cursors.advance(&jid("alice@x/phone"), phone, 20);
        cursors.advance(&jid("alice@x/desk"), Some("desk"), 30);
        assert_eq!(cursors.of(&alice, phone), Some(20));
        assert_eq!(cursors.of(&alice, Some("tablet")), Some(30));
        cursors.advance(&alice, phone, 15);
        assert_eq!(cursors.of(&alice, phone), Some(20));
        assert_eq!(cursors.own(&alice), Some(30));
    }

    #[test]
    fn another_device_does_not_acknowledge_for_one_that_has_entered() {
        let (alice, desk) = (jid("alice@x"), Some("desk"));
        let mut cursors = Cursors::default();
        cursors.follow([&alice].into_iter(), 10);
        assert_eq!(cursors.begin(&alice, desk), Some(10));
        cursors.advance(&alice, Some("phone"), 20);
        assert_eq!(cursors.begin(&alice, desk), Some(10));
        assert_eq!(cursors.begin(&alice, None), Some(20));
        assert_eq!(cursors.begin(&jid("bob@x"), desk), None);
        assert_eq!(cursors.take_moved(Timestamp(5)).len(), 3);
    }

    #[test]
    fn only_what_moved_is_written_and_who_left_is_not() {
        let (alice, bob) = (jid("alice@x"), jid("bob@x"));
        let mut cursors = Cursors::default();
        cursors.follow([&alice, &bob].into_iter(), 1);
        assert_eq!(cursors.take_moved(Timestamp(5)).len(), 2);
        cursors.advance(&alice, Some("a"), 2);
        cursors.advance(&bob, Some("b"), 3);
        cursors.follow([&alice].into_iter(), 9);
        let moved = cursors.take_moved(Timestamp(6));
        assert!(
            moved
                .iter()
                .all(|cursor| cursor.jid == alice && cursor.cursor == 2)
        );
        assert_eq!(moved.len(), 2);
        assert!(cursors.take_moved(Timestamp(7)).is_empty());
        cursors.not_written(&moved);
        cursors.advance(&alice, Some("a"), 4);
        assert_eq!(cursors.take_moved(Timestamp(8)).len(), 2);
        // Who comes back begins anew.
        cursors.follow([&alice, &bob].into_iter(), 9);
        assert_eq!(cursors.own(&bob), Some(9));
    }

    #[test]
    fn the_devices_of_a_member_are_bounded() {
        let alice = jid("alice@x");
        let mut cursors = Cursors::default();
        cursors.follow([&alice].into_iter(), 0);
        for device in 0..100 {
            cursors.advance(&alice, Some(&format!("d{device:03}")), 1 + device);
        }
        assert_eq!(cursors.0[0].devices.len(), MAX_DEVICES);
        assert_eq!(cursors.own(&alice), Some(100));
        assert_eq!(cursors.of(&alice, Some("d099")), Some(100));
    }
}
