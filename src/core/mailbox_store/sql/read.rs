//! What is read.

pub(in super::super) const STATE: &str = "SELECT value FROM mailbox_state WHERE name = ?1";

pub(in super::super) const NEWEST: &str = "SELECT coalesce(max(id), 0) FROM message";

/// Reads all devices. Once, at start: an index would cost as much with every acknowledgement.
pub(in super::super) const NEWEST_CURSOR: &str = "SELECT coalesce(max(cursor), 0) FROM device";

/// Rows beyond an id, without their stanzas.
pub(in super::super) const BEYOND: &str =
    "SELECT id, recipient, sender_account, flags, peer_in, peer_out, size FROM message
     WHERE id > ?1 ORDER BY id LIMIT ?2";

/// Count and bytes of one kind between two ids, the second included.
pub(in super::super) const USAGE: &str =
    "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM message_index
     WHERE account = ?1 AND kind = ?2 AND id > ?3 AND id <= ?4";

pub(in super::super) const FORWARDS: &str = "SELECT id, size FROM message_index
     WHERE account = ?1 AND kind = ?2 AND id > ?3 AND id < ?4 ORDER BY id LIMIT ?5";

pub(in super::super) const BACKWARDS: &str = "SELECT id, size FROM message_index
     WHERE account = ?1 AND kind = ?2 AND id > ?3 AND id < ?4 ORDER BY id DESC LIMIT ?5";

pub(in super::super) const COUNT: &str = "SELECT count(*) FROM (SELECT id FROM message_index
     WHERE account = ?1 AND kind = ?2 AND id > ?3 AND id < ?4 LIMIT ?5) AS entries";

/// Entries of one peer, of the kinds of the archive. Each kind has an id of its own up to which the
/// index is complete. The bytes are left out: without them the index of peers is enough.
macro_rules! with_peer {
    () => {
        "FROM message_index
         WHERE account = ?1 AND peer = ?2 AND kind <= 3 AND id > ?3 AND id < ?4
             AND id <= CASE kind WHEN 1 THEN ?5 WHEN 2 THEN ?6 ELSE ?7 END"
    };
}

pub(in super::super) const WITH_FORWARDS: &str =
    concat!("SELECT id, 0 ", with_peer!(), " ORDER BY id LIMIT ?8");

pub(in super::super) const WITH_BACKWARDS: &str =
    concat!("SELECT id, 0 ", with_peer!(), " ORDER BY id DESC LIMIT ?8");

pub(in super::super) const WITH_COUNT: &str = concat!(
    "SELECT count(*) FROM (SELECT id ",
    with_peer!(),
    " LIMIT ?8) AS entries"
);

pub(in super::super) const BODIES: &str = concat!(
    "SELECT id, recipient, sender_account, flags, sender, body FROM message WHERE id IN (",
    ids!(),
    ")"
);

/// Whom rows are for and how large they are, without their stanzas.
pub(in super::super) const SIZES: &str = concat!(
    "SELECT id, recipient, sender_account, flags, size FROM message WHERE id IN (",
    ids!(),
    ")"
);

pub(in super::super) const SENT: &str = concat!(
    "SELECT id, sender_account, key, stream, number FROM message WHERE id IN (",
    ids!(),
    ")"
);

/// Whole rows with the cursor of the recipient's account.
macro_rules! owned {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.recipient, m.sender_account, m.flags, m.sender, m.body,
                 coalesce(d.cursor, 0)
             FROM message m LEFT JOIN device d ON d.account = m.recipient AND d.key = '' ",
            $rest
        )
    };
}

pub(in super::super) const FIND: &str = owned!("WHERE m.id = ?1");

pub(in super::super) const NEWEST_ROWS: &str =
    owned!("WHERE m.id < ?1 ORDER BY m.id DESC LIMIT ?2");

pub(in super::super) const OLDER: &str = owned!("WHERE m.id < ?1 ORDER BY m.id LIMIT ?2");

/// What is owed and acknowledged by no device, over all accounts: count, bytes, lowest id. Goes from
/// account to account through the index, then through the rows that are not in it yet.
pub(in super::super) const TOTAL: &str = "WITH RECURSIVE owner (account) AS (
         SELECT min(account) FROM message_index
         UNION ALL
         SELECT (SELECT min(i.account) FROM message_index i WHERE i.account > owner.account)
         FROM owner WHERE owner.account IS NOT NULL
     ), owed (id, size) AS (
         SELECT i.id, i.size FROM owner JOIN message_index i ON i.account = owner.account
         WHERE i.kind IN (1, 4)
             AND i.id <= (SELECT value FROM mailbox_state WHERE name = 'indexed')
             AND i.id > coalesce((SELECT d.cursor FROM device d
                                  WHERE d.account = owner.account AND d.key = ''), 0)
         UNION ALL
         SELECT m.id, m.size FROM message m
         WHERE m.id > (SELECT value FROM mailbox_state WHERE name = 'indexed')
             AND (m.flags & 1) <> 0
             AND m.id > coalesce((SELECT d.cursor FROM device d
                                  WHERE d.account = m.recipient AND d.key = ''), 0)
     )
     SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT), min(id) FROM owed";
