-- Who came in, who was refused, and what changed about who may. And what each user's statements have read on each day.

CREATE TABLE polder_audit (
    id UUID NOT NULL PRIMARY KEY,
    happened_at TIMESTAMPTZ NOT NULL,
    event TEXT NOT NULL,
    user_name TEXT NOT NULL,
    via TEXT NOT NULL,
    origin TEXT,
    object TEXT,
    outcome TEXT NOT NULL,
    error_code TEXT,
    message TEXT,
    times BIGINT NOT NULL
);

CREATE INDEX polder_audit_by_time ON polder_audit (outcome, happened_at);

CREATE TABLE polder_bytes_scanned (
    day TEXT NOT NULL,
    user_name TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (day, user_name)
);
