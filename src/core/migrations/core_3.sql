-- Rows of the mailbox that were for one resource alone, and that its session left behind.
CREATE TABLE stray (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox)
);
-- What a stream needs besides: of a row, its size, whether it goes when it is taken, and whether its
-- acknowledgement covers those before it. Streams of an older version are not taken up.
DROP TABLE stream_part;
CREATE TABLE stream_part (
    stream   BIGINT  NOT NULL,
    place    BIGINT  NOT NULL,
    kind     TEXT    NOT NULL,
    mailbox  BIGINT,
    size     BIGINT  NOT NULL,
    brief    INTEGER NOT NULL,
    in_order INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    PRIMARY KEY (stream, place)
);
DELETE FROM stream;
