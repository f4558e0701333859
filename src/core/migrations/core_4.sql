-- Whose row a part of a stream is: 0 for one of the account's own mailbox, else of a feed.
ALTER TABLE stream_part ADD COLUMN feed BIGINT NOT NULL DEFAULT 0;
