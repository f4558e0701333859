-- Messages that wait for their recipients. The id is given by the program and only grows, so every
-- row lands at the end of the table: a second index here would cost more than the fsync.
-- PostgreSQL: `integer PRIMARY KEY` becomes `bigint PRIMARY KEY` (SQLite makes only the former the
-- key of the table itself), and `blob` becomes `bytea`.
CREATE TABLE mailbox (
    id          integer PRIMARY KEY,
    account     bigint NOT NULL,
    size        bigint NOT NULL,
    received_at bigint NOT NULL,
    sender      text   NOT NULL,
    body        blob   NOT NULL
);

-- The same rows by account, filled behind the commits. It is complete up to the id that
-- mailbox_state calls `indexed`; beyond it some may be there already.
-- PostgreSQL: without `WITHOUT ROWID`.
CREATE TABLE mailbox_index (
    account bigint NOT NULL,
    id      bigint NOT NULL,
    size    bigint NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;

CREATE TABLE mailbox_state (
    name  text PRIMARY KEY,
    value bigint NOT NULL
);
INSERT INTO mailbox_state (name, value) VALUES ('indexed', 0), ('reserved', 0);
