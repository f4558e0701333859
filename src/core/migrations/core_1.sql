CREATE TABLE account (
    id             BIGINT  NOT NULL PRIMARY KEY,
    jid            TEXT    NOT NULL UNIQUE,
    created_at     BIGINT  NOT NULL,
    disabled       INTEGER NOT NULL DEFAULT 0,
    admin          INTEGER NOT NULL DEFAULT 0,
    roster_version BIGINT  NOT NULL DEFAULT 0
);
CREATE TABLE credential (
    account BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    value   TEXT   NOT NULL,
    PRIMARY KEY (account, kind)
);
CREATE TABLE roster (
    account      BIGINT  NOT NULL,
    contact      TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    groups       TEXT    NOT NULL,
    subscription TEXT    NOT NULL,
    pending_out  INTEGER NOT NULL,
    approved     INTEGER NOT NULL,
    listed       INTEGER NOT NULL,
    request      BLOB,
    version      BIGINT  NOT NULL,
    PRIMARY KEY (account, contact)
);
CREATE TABLE node (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
CREATE TABLE secret (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);
