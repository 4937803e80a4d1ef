-- How many rows a statement has inserted, changed or deleted.

ALTER TABLE polder_query ADD COLUMN rows_changed BIGINT NOT NULL DEFAULT 0;
