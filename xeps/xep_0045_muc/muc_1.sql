-- Rooms. The id is given by the program: see `store.rs`. anonymous_until: the last row of the log
-- that names its author to moderators alone, in a room that is non-anonymous now.
-- PostgreSQL: `integer PRIMARY KEY` becomes `bigint PRIMARY KEY` (SQLite makes only the former the
-- key of the table itself), and `local` is compared by its bytes (COLLATE "C").
CREATE TABLE muc_room (
    id               integer PRIMARY KEY,
    local            text   NOT NULL UNIQUE,
    title            text   NOT NULL,
    description      text   NOT NULL,
    lang             text   NOT NULL,
    persistent       bigint NOT NULL,
    public           bigint NOT NULL,
    members_only     bigint NOT NULL,
    moderated        bigint NOT NULL,
    password         text   NOT NULL,
    whois            text   NOT NULL,
    anonymous_until  bigint NOT NULL,
    private_messages text   NOT NULL,
    change_subject   bigint NOT NULL,
    invite           bigint NOT NULL,
    request_voice    bigint NOT NULL,
    register         bigint NOT NULL,
    member_list_from text   NOT NULL,
    presence_from    text   NOT NULL,
    archived         bigint NOT NULL,
    history          bigint NOT NULL,
    max_members      bigint NOT NULL,
    subject          text   NOT NULL DEFAULT '',
    subject_nick     text   NOT NULL DEFAULT '',
    subject_at       bigint NOT NULL DEFAULT 0,
    version          bigint NOT NULL DEFAULT 0
);
-- What can be found, and what does not outlive its occupants.
CREATE INDEX muc_public ON muc_room (local) WHERE public = 1;
CREATE INDEX muc_temporary ON muc_room (id) WHERE persistent = 0;

-- What the identifiers of occupants are made with (XEP-0421): one row.
-- PostgreSQL: `blob` becomes `bytea`.
CREATE TABLE muc_key (
    name text PRIMARY KEY,
    key  blob NOT NULL
);

-- Apart from the rooms: it is large, and seldom read.
CREATE TABLE muc_avatar (
    room  integer PRIMARY KEY,
    vcard text NOT NULL
);

-- The users that a room knows. Who was forgotten stays for a while with the affiliation `none`, so
-- that clients learn of it (XEP-0463). hats: pairs of URI and title (XEP-0317), between characters
-- that XML cannot hold. invited_at: when the room told the user of itself, 0: it has not.
-- PostgreSQL: without `WITHOUT ROWID`.
CREATE TABLE muc_member (
    room        bigint NOT NULL,
    jid         text   NOT NULL,
    affiliation text   NOT NULL,
    nick        text   NOT NULL,
    reason      text   NOT NULL,
    version     bigint NOT NULL,
    hats        text   NOT NULL,
    invited_at  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (room, jid)
) WITHOUT ROWID;
CREATE INDEX muc_member_jid ON muc_member (jid);
CREATE INDEX muc_forgotten ON muc_member (room, version) WHERE affiliation = 'none' AND nick = ''
    AND reason = '' AND hats = '';

-- How far each device of a member has acknowledged what was said in a room.
-- PostgreSQL: without `WITHOUT ROWID`.
CREATE TABLE muc_cursor (
    room    bigint NOT NULL,
    jid     text   NOT NULL,
    device  text   NOT NULL,
    cursor  bigint NOT NULL,
    seen_at bigint NOT NULL,
    PRIMARY KEY (room, jid, device)
) WITHOUT ROWID;
CREATE INDEX muc_cursor_jid ON muc_cursor (jid);

-- Who was in a room at an orderly stop, by the id of its stream; gone after the start.
-- PostgreSQL: without `WITHOUT ROWID`, and `blob` becomes `bytea`.
CREATE TABLE muc_occupant (
    room    bigint NOT NULL,
    stream  bigint NOT NULL,
    nick    text   NOT NULL,
    role    text   NOT NULL,
    payload blob   NOT NULL,
    cursor  bigint NOT NULL,
    PRIMARY KEY (room, stream)
) WITHOUT ROWID;
