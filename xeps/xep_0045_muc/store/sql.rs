//! The statements over the tables of `muc_1.sql`.

/// ?1 local part.
pub(super) const ROOM: &str = "SELECT id, title, description, lang, persistent, public, \
    members_only, moderated, password, whois, private_messages, change_subject, invite, \
    request_voice, register, member_list_from, presence_from, archived, history, max_members, \
    anonymous_until, subject, subject_nick, subject_at, version FROM muc_room WHERE local = ?1";
/// ?1 room.
pub(super) const AVATAR: &str = "SELECT vcard FROM muc_avatar WHERE room = ?1";
/// ?1 room.
pub(super) const MEMBERS: &str = "SELECT jid, affiliation, nick, reason, version, hats \
    FROM muc_member WHERE room = ?1 ORDER BY jid";

/// ?1 id, ?2 local part, and the configuration.
pub(super) const CONFIGURE: &str = "INSERT INTO muc_room (id, local, title, description, lang, \
    persistent, public, members_only, moderated, password, whois, private_messages, \
    change_subject, invite, request_voice, register, member_list_from, presence_from, archived, \
    history, max_members, anonymous_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
    ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22) ON CONFLICT (id) DO UPDATE SET title = excluded.title, \
    description = excluded.description, lang = excluded.lang, persistent = excluded.persistent, \
    public = excluded.public, members_only = excluded.members_only, \
    moderated = excluded.moderated, password = excluded.password, whois = excluded.whois, \
    private_messages = excluded.private_messages, change_subject = excluded.change_subject, \
    invite = excluded.invite, request_voice = excluded.request_voice, \
    register = excluded.register, member_list_from = excluded.member_list_from, \
    presence_from = excluded.presence_from, archived = excluded.archived, \
    history = excluded.history, max_members = excluded.max_members, \
    anonymous_until = excluded.anonymous_until";
/// ?1 room, ?2 text, ?3 nickname, ?4 when.
pub(super) const SET_SUBJECT: &str =
    "UPDATE muc_room SET subject = ?2, subject_nick = ?3, subject_at = ?4 WHERE id = ?1";
/// ?1 room, ?2 the vCard.
pub(super) const SET_AVATAR: &str = "INSERT INTO muc_avatar (room, vcard) VALUES (?1, ?2) \
    ON CONFLICT (room) DO UPDATE SET vcard = excluded.vcard";
/// ?1 room.
pub(super) const DROP_AVATAR: &str = "DELETE FROM muc_avatar WHERE room = ?1";

/// ?1 room, ?2 JID, ?3 affiliation, ?4 nickname, ?5 reason, ?6 version, ?7 hats.
pub(super) const SET_MEMBER: &str = "INSERT INTO muc_member (room, jid, affiliation, nick, \
    reason, version, hats) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (room, jid) DO UPDATE \
    SET affiliation = excluded.affiliation, nick = excluded.nick, reason = excluded.reason, \
    version = excluded.version, hats = excluded.hats";
/// ?1 room, ?2 version.
pub(super) const SET_VERSION: &str =
    "UPDATE muc_room SET version = ?2 WHERE id = ?1 AND version < ?2";
/// ?1 room, ?2 how many users without anything are kept.
pub(super) const DROP_FORGOTTEN: &str = "DELETE FROM muc_member WHERE room = ?1 \
    AND affiliation = 'none' AND nick = '' AND reason = '' AND hats = '' AND version <= \
    (SELECT version FROM muc_member WHERE room = ?1 AND affiliation = 'none' AND nick = '' \
    AND reason = '' AND hats = '' ORDER BY version DESC LIMIT 1 OFFSET ?2)";
/// ?1 room, ?2 JID.
pub(super) const DROP_MEMBER_CURSORS: &str = "DELETE FROM muc_cursor WHERE room = ?1 AND jid = ?2";
/// ?1 room, ?2 JID, ?3 when.
pub(super) const SET_INVITED: &str =
    "UPDATE muc_member SET invited_at = ?3 WHERE room = ?1 AND jid = ?2";
/// ?1 room.
pub(super) const INVITED: &str =
    "SELECT jid FROM muc_member WHERE room = ?1 AND invited_at > 0 ORDER BY jid";
/// ?1 JID.
pub(super) const UNINVITED: &str = "SELECT muc_room.local FROM muc_member \
    JOIN muc_room ON muc_room.id = muc_member.room WHERE muc_member.jid = ?1 \
    AND muc_member.affiliation IN ('member', 'admin', 'owner') AND muc_member.invited_at = 0 \
    AND muc_room.members_only = 1 ORDER BY muc_member.room";
/// ?1 the key, if there is none yet.
pub(super) const SET_KEY: &str = "INSERT INTO muc_key (name, key) VALUES ('occupants', ?1) \
    ON CONFLICT (name) DO NOTHING";
pub(super) const KEY: &str = "SELECT key FROM muc_key WHERE name = 'occupants'";
/// ?1 JID.
pub(super) const ROOMS_OF: &str = "SELECT muc_room.id, muc_room.local, muc_member.affiliation \
    FROM muc_member JOIN muc_room ON muc_room.id = muc_member.room \
    WHERE muc_member.jid = ?1 AND muc_member.affiliation <> 'none' ORDER BY muc_member.room";

/// ?1 JID.
pub(super) const REMOVE_USER: [&str; 3] = [
    "UPDATE muc_room SET version = version + 1 \
     WHERE id IN (SELECT room FROM muc_member WHERE jid = ?1 \
     AND (affiliation <> 'none' OR nick <> '' OR reason <> '' OR hats <> ''))",
    "UPDATE muc_member SET affiliation = 'none', nick = '', reason = '', hats = '', \
     invited_at = 0, version = (SELECT version FROM muc_room WHERE id = muc_member.room) \
     WHERE jid = ?1 AND (affiliation <> 'none' OR nick <> '' OR reason <> '' OR hats <> '')",
    "DELETE FROM muc_cursor WHERE jid = ?1",
];
/// ?1 room.
pub(super) const DESTROY: [&str; 5] = [
    "DELETE FROM muc_room WHERE id = ?1",
    DROP_AVATAR,
    "DELETE FROM muc_member WHERE room = ?1",
    "DELETE FROM muc_cursor WHERE room = ?1",
    "DELETE FROM muc_occupant WHERE room = ?1",
];

/// ?1 room.
pub(super) const CURSORS: &str = "SELECT jid, device, cursor, seen_at FROM muc_cursor \
    WHERE room = ?1 ORDER BY jid, device";
/// ?1 room, ?2 JID, ?3 device, ?4 cursor, ?5 when it was seen.
pub(super) const SET_CURSOR: &str = "INSERT INTO muc_cursor (room, jid, device, cursor, seen_at) \
    VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (room, jid, device) DO UPDATE SET \
    cursor = CASE WHEN excluded.cursor > muc_cursor.cursor THEN excluded.cursor \
    ELSE muc_cursor.cursor END, seen_at = excluded.seen_at";
/// ?1 room, ?2 when.
pub(super) const DROP_CURSORS: &str = "DELETE FROM muc_cursor WHERE room = ?1 AND seen_at < ?2";

/// ?1 room, ?2 stream, ?3 nickname, ?4 role, ?5 payload, ?6 cursor.
pub(super) const SET_OCCUPANT: &str = "INSERT INTO muc_occupant (room, stream, nick, role, \
    payload, cursor) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (room, stream) DO UPDATE SET \
    nick = excluded.nick, role = excluded.role, payload = excluded.payload, \
    cursor = excluded.cursor";
/// All of them, once at the start.
pub(super) const OCCUPANTS: &str = "SELECT muc_room.local, muc_occupant.room, stream, nick, role, \
    payload, cursor FROM muc_occupant JOIN muc_room ON muc_room.id = muc_occupant.room \
    ORDER BY muc_occupant.room, stream";
pub(super) const DROP_OCCUPANTS: &str = "DELETE FROM muc_occupant";

/// ?1 after, ?2 at most.
pub(super) const PUBLIC_FORWARDS: &str = "SELECT local, title, description, lang, members_only, \
    password, whois FROM muc_room WHERE public = 1 AND local > ?1 ORDER BY local LIMIT ?2";
/// ?1 before, ?2 at most.
pub(super) const PUBLIC_BACKWARDS: &str = "SELECT local, title, description, lang, members_only, \
    password, whois FROM muc_room WHERE public = 1 AND local < ?1 ORDER BY local DESC LIMIT ?2";
/// ?1 at most.
pub(super) const PUBLIC_LAST: &str = "SELECT local, title, description, lang, members_only, \
    password, whois FROM muc_room WHERE public = 1 ORDER BY local DESC LIMIT ?1";
/// ?1 at most.
pub(super) const PUBLIC_COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM muc_room \
    WHERE public = 1 LIMIT ?1) AS entries";
pub(super) const TEMPORARY: &str = "SELECT id, local FROM muc_room WHERE persistent = 0 \
    AND NOT EXISTS (SELECT 1 FROM muc_occupant WHERE muc_occupant.room = muc_room.id) ORDER BY id";
pub(super) const NEWEST: &str = "SELECT coalesce(max(id), 0) FROM muc_room";
