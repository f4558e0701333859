//! Devices and their cursors.

pub(in super::super) const DEVICES: &str =
    "SELECT key, cursor, seen_at, name FROM device WHERE account = ?1 ORDER BY key";

/// Enters a device, or moves its cursor and its time, neither backwards, and names it.
pub(in super::super) const REGISTER: &str =
    "INSERT INTO device (account, key, cursor, seen_at, name) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (account, key) DO UPDATE SET
         cursor = CASE WHEN excluded.cursor > device.cursor
                       THEN excluded.cursor ELSE device.cursor END,
         seen_at = CASE WHEN excluded.seen_at > device.seen_at
                        THEN excluded.seen_at ELSE device.seen_at END,
         name = excluded.name";

/// Enters a cursor where there is none.
pub(in super::super) const ENTER: &str =
    "INSERT INTO device (account, key, cursor, seen_at, name) VALUES (?1, ?2, ?3, ?4, '')
     ON CONFLICT (account, key) DO NOTHING";

/// Moves a cursor, where it is not that far yet. A device that was forgotten while it was connected
/// is entered again.
pub(in super::super) const ACKNOWLEDGE: &str =
    "INSERT INTO device (account, key, cursor, seen_at, name) VALUES (?1, ?2, ?3, ?4, '')
     ON CONFLICT (account, key) DO UPDATE SET
         cursor = excluded.cursor, seen_at = excluded.seen_at
         WHERE excluded.cursor > device.cursor";

/// Forgets the devices that were seen longest ago, as far as there are more than `?3` besides the
/// account's own cursor; of those seen at the same moment the first by key. The device `?2` counts
/// as the one seen last.
pub(in super::super) const TRIM: &str = "DELETE FROM device
     WHERE account = ?1 AND key <> '' AND key <> ?2
         AND (SELECT count(*) FROM device AS later
              WHERE later.account = ?1 AND later.key <> ''
                  AND (later.key = ?2 OR later.seen_at > device.seen_at
                       OR (later.seen_at = device.seen_at AND later.key > device.key))) >= ?3";

/// Forgets devices that were not seen since a moment; not the device `?2`.
pub(in super::super) const FORGET_OLD: &str = "DELETE FROM device
     WHERE account = ?1 AND key <> '' AND key <> ?2 AND seen_at < ?3";

pub(in super::super) const FORGET_ALL: &str = "DELETE FROM device WHERE account = ?1";
