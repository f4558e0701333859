//! Devices and their cursors.

pub(in super::super) const DEVICES: &str =
    "SELECT key, cursor, seen_at, name FROM device WHERE account = ?1 ORDER BY key";

/// Enters or moves a cursor, never backwards.
pub(in super::super) const ADVANCE: &str =
    "INSERT INTO device (account, key, cursor, seen_at, name) VALUES (?1, ?2, ?3, ?4, '')
     ON CONFLICT (account, key) DO UPDATE SET
         cursor = CASE WHEN excluded.cursor > device.cursor
                       THEN excluded.cursor ELSE device.cursor END,
         seen_at = CASE WHEN excluded.seen_at > device.seen_at
                        THEN excluded.seen_at ELSE device.seen_at END";

/// Enters a cursor where there is none.
pub(in super::super) const ENTER: &str =
    "INSERT INTO device (account, key, cursor, seen_at, name) VALUES (?1, ?2, ?3, ?4, '')
     ON CONFLICT (account, key) DO NOTHING";

/// As [`ADVANCE`], with a name.
pub(in super::super) const REGISTER: &str =
    "INSERT INTO device (account, key, cursor, seen_at, name) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (account, key) DO UPDATE SET
         cursor = CASE WHEN excluded.cursor > device.cursor
                       THEN excluded.cursor ELSE device.cursor END,
         seen_at = CASE WHEN excluded.seen_at > device.seen_at
                        THEN excluded.seen_at ELSE device.seen_at END,
         name = excluded.name";

/// Moves the cursors of a device and of its account, where they are not that far yet.
pub(in super::super) const ACKNOWLEDGE: &str = "UPDATE device SET cursor = ?3, seen_at = ?4
     WHERE account = ?1 AND key IN (?2, '') AND cursor < ?3";

/// Forgets the device that was seen longest ago, if there are more than `?3` besides the account's
/// own cursor; not the device `?2`.
pub(in super::super) const TRIM: &str = "DELETE FROM device
     WHERE account = ?1 AND key <> '' AND key <> ?2
         AND (SELECT count(*) FROM device WHERE account = ?1 AND key <> '') > ?3
         AND seen_at = (SELECT min(seen_at) FROM device
                        WHERE account = ?1 AND key <> '' AND key <> ?2)";

/// Forgets devices that were not seen since a moment; not the device `?2`.
pub(in super::super) const FORGET_OLD: &str = "DELETE FROM device
     WHERE account = ?1 AND key <> '' AND key <> ?2 AND seen_at < ?3";

pub(in super::super) const FORGET: &str = "DELETE FROM device WHERE account = ?1 AND key = ?2";

pub(in super::super) const FORGET_ALL: &str = "DELETE FROM device WHERE account = ?1";
