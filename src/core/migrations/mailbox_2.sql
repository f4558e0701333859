-- Queue and archive are the same rows: one for each message, with one body. The id is given by the
-- program, grows, and carries the time of acceptance (id >> 21: milliseconds since 1970), so every
-- row lands at the end of the table: a second index here would cost more than the fsync.
--
-- flags: 1 owed to the recipient's devices, 2 in the recipient's archive, 4 in the sender's
-- archive, 8 for one resource only. A row without 1, 2 and 4 has no owner and is removed.
-- recipient, sender_account: local accounts, 0 for none. peer_in, peer_out: hashes of the sender's
-- and the recipient's bare JID. key, stream, number: by these a resend is recognised.
-- PostgreSQL: `integer PRIMARY KEY` becomes `bigint PRIMARY KEY` (SQLite makes only the former the
-- key of the table itself), and `blob` becomes `bytea`.
CREATE TABLE message (
    id             integer PRIMARY KEY,
    recipient      bigint NOT NULL,
    sender_account bigint NOT NULL,
    flags          bigint NOT NULL,
    peer_in        bigint NOT NULL,
    peer_out       bigint NOT NULL,
    size           bigint NOT NULL,
    key            bigint NOT NULL,
    stream         bigint NOT NULL,
    number         bigint NOT NULL,
    sender         text   NOT NULL,
    body           blob   NOT NULL
);

-- The same rows by account, an entry for each owner, filled behind the commits. It is complete up
-- to the id that mailbox_state calls `indexed`; beyond it some entries may be there already.
-- kind: 1 owed and in the recipient's archive, 2 in the recipient's archive only, 3 in the sender's
-- archive, 4 owed only, 5 sent but in no archive of the sender.
-- PostgreSQL: without `WITHOUT ROWID`.
CREATE TABLE message_index (
    account bigint NOT NULL,
    kind    bigint NOT NULL,
    id      bigint NOT NULL,
    peer    bigint NOT NULL,
    size    bigint NOT NULL,
    PRIMARY KEY (account, kind, id)
) WITHOUT ROWID;
CREATE INDEX message_peer ON message_index (account, peer, id) WHERE kind <= 3;

-- How far each device of an account has acknowledged. The key '' is the account itself: what any
-- device has acknowledged.
-- PostgreSQL: without `WITHOUT ROWID`.
CREATE TABLE device (
    account bigint NOT NULL,
    key     text   NOT NULL,
    cursor  bigint NOT NULL,
    seen_at bigint NOT NULL,
    name    text   NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;

-- What waited keeps its order. The new id is made of the latest time so far and of the rank, so it
-- grows even where the clock had been set back.
INSERT INTO message (id, recipient, sender_account, flags, peer_in, peer_out, size, key, stream,
                     number, sender, body)
SELECT (max(received_at) OVER (ORDER BY id) << 21) + row_number() OVER (ORDER BY id),
       account, 0, 1, 0, 0, size, 0, 0, 0, sender, body
FROM mailbox;
INSERT INTO message_index (account, kind, id, peer, size)
SELECT recipient, 4, id, peer_in, size FROM message ORDER BY recipient, id;
DELETE FROM mailbox_state WHERE name = 'reserved';
UPDATE mailbox_state SET value = (SELECT coalesce(max(id), 0) FROM message)
WHERE name = 'indexed';
DROP TABLE mailbox_index;
DROP TABLE mailbox;
