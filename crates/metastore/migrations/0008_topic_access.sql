-- Who owns which topic, and who may do what with it, as text. Topics are named by their ids, which are never given twice, so that
-- what was granted on one that is deleted is nobody's. One that has no row belongs to the first role.

CREATE TABLE polder_topic_access (
    topic_id TEXT NOT NULL PRIMARY KEY,
    topic TEXT NOT NULL,
    owner_oid BIGINT NOT NULL,
    items TEXT
);
