-- Streams that can be resumed (XEP-0198), written down at an orderly stop and gone after the start.
CREATE TABLE stream (
    id           BIGINT  NOT NULL PRIMARY KEY,
    account      TEXT    NOT NULL,
    resource     TEXT    NOT NULL,
    secret       INTEGER NOT NULL,
    agent_id     TEXT,
    software     TEXT,
    device       TEXT,
    lang         TEXT,
    max          BIGINT  NOT NULL,
    handled      BIGINT  NOT NULL,
    acknowledged BIGINT  NOT NULL,
    cursor       BIGINT  NOT NULL,
    interested   INTEGER NOT NULL,
    copied       INTEGER NOT NULL,
    presence     BLOB,
    presence_at  BIGINT  NOT NULL
);
-- What belongs to them, in order: `unacknowledged` stanzas and rows, `waiting` stanzas, and the
-- addresses that were sent `directed` presence.
CREATE TABLE stream_part (
    stream   BIGINT  NOT NULL,
    place    BIGINT  NOT NULL,
    kind     TEXT    NOT NULL,
    mailbox  BIGINT,
    body     BLOB    NOT NULL,
    PRIMARY KEY (stream, place)
);
