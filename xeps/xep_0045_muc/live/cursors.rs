//! How far the devices of a room's members have got with its log.
//!
//! A member has a cursor of its own, under the key '', which is what any of its devices has
//! acknowledged, and one for each device. They are moved in memory and written together.

use std::collections::{BTreeSet, HashMap};

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::Jid;

use crate::xep_0045_muc::store::Cursor;

/// Devices of a member that are known; at the bound the one that is furthest behind is forgotten.
const MAX_DEVICES: usize = 32;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Cursors {
    members: HashMap<Jid, Vec<Reader>>,
}

/// A device of a member, or all of them.
struct Reader {
    /// The key of the device; '' stands for all.
    device: Box<str>,
    cursor: i64,
    /// Whether it moved since it was written.
    has_moved: bool,
}

impl Cursors {
    pub(super) fn new(known: Vec<Cursor>) -> Self {
        let mut cursors = Cursors::default();
        for cursor in known {
            let devices = cursors.members.entry(cursor.jid).or_default();
            devices.push(Reader {
                device: cursor.device.into(),
                cursor: cursor.cursor,
                has_moved: false,
            });
        }
        cursors
    }

    /// These are the members; a new one begins at `newest`, and who is none any more is forgotten.
    /// Returns the new ones.
    pub(super) fn follow<'a>(
        &mut self,
        members: impl Iterator<Item = &'a Jid>,
        newest: i64,
    ) -> Vec<Jid> {
        let mut new = Vec::new();
        let members: BTreeSet<&Jid> = members.collect();
        self.members.retain(|jid, _| members.contains(jid));
        for member in members {
            if !self.members.contains_key(member) {
                let own = vec![Reader::new("", newest)];
                self.members.insert(member.clone(), own);
                new.push(member.clone());
            }
        }
        new
    }

    /// Where a device of a user begins: where it was, else where its user stands. `None`: the room
    /// owes the user nothing.
    pub(super) fn of(&self, user: &Jid, device: Option<&str>) -> Option<i64> {
        let devices = self.members.get(user.bare())?;
        let cursor = |key: &str| {
            let reader = devices.iter().find(|reader| *reader.device == *key);
            reader.map(|reader| reader.cursor)
        };
        device.and_then(cursor).or_else(|| cursor(""))
    }

    /// The same for a device that enters: it is known from here on. Else another one of its user
    /// could acknowledge for it, before it has acknowledged anything itself.
    pub(super) fn begin(&mut self, user: &Jid, device: Option<&str>) -> Option<i64> {
        let begin = self.of(user, device)?;
        if let (Some(key), Some(devices)) = (device, self.members.get_mut(user.bare()))
            && !devices.iter().any(|reader| *reader.device == *key)
        {
            add(devices, key, begin);
        }
        Some(begin)
    }

    /// What any device of a member has acknowledged.
    pub(super) fn own(&self, user: &Jid) -> Option<i64> {
        self.of(user, None)
    }

    /// A device has acknowledged every row up to this one. Neither cursor goes back.
    pub(super) fn advance(&mut self, user: &Jid, device: Option<&str>, row: i64) {
        let Some(devices) = self.members.get_mut(user.bare()) else {
            return;
        };
        for key in [Some(""), device].into_iter().flatten() {
            match devices.iter_mut().find(|reader| *reader.device == *key) {
                Some(reader) if reader.cursor >= row => {}
                Some(reader) => {
                    reader.cursor = row;
                    reader.has_moved = true;
                }
                None => add(devices, key, row),
            }
        }
    }

    /// These could not be written: they count as moved still.
    pub(super) fn not_written(&mut self, cursors: &[Cursor]) {
        for cursor in cursors {
            let devices = self.members.get_mut(cursor.jid.bare());
            let mut readers = devices.into_iter().flatten();
            if let Some(reader) = readers.find(|reader| *reader.device == *cursor.device) {
                reader.has_moved = true;
            }
        }
    }

    /// What moved since this was asked last.
    pub(super) fn take_moved(&mut self, now: Timestamp) -> Vec<Cursor> {
        let mut moved = Vec::new();
        for (jid, devices) in &mut self.members {
            for reader in devices.iter_mut().filter(|reader| reader.has_moved) {
                reader.has_moved = false;
                moved.push(Cursor {
                    jid: jid.clone(),
                    device: reader.device.to_string(),
                    cursor: reader.cursor,
                    seen_at: now,
                });
            }
        }
        moved
    }
}

impl Reader {
    /// One that is to be written down.
    fn new(device: &str, cursor: i64) -> Self {
        Reader {
            device: device.into(),
            cursor,
            has_moved: true,
        }
    }
}

/// Enters a device of a member, within the bound: the one that is furthest behind is forgotten.
fn add(devices: &mut Vec<Reader>, key: &str, row: i64) {
    if devices.len() > MAX_DEVICES {
        let others = devices.iter().enumerate();
        let others = others.filter(|(_, reader)| !reader.device.is_empty());
        if let Some((place, _)) = others.min_by_key(|(_, reader)| reader.cursor) {
            devices.swap_remove(place);
        }
    }
    devices.reserve_exact(1);
    devices.push(Reader::new(key, row));
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
        assert_eq!(cursors.members[&alice].len(), MAX_DEVICES + 1);
        assert_eq!(cursors.own(&alice), Some(100));
        assert_eq!(cursors.of(&alice, Some("d099")), Some(100));
    }
}
