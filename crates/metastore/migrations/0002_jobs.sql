-- What a schedule needs to survive a restart, and runs that wait. A run has a start only once it has started, and neither
-- database can drop a NOT NULL the same way, so its table is made anew.

ALTER TABLE polder_job ADD COLUMN owner TEXT NOT NULL DEFAULT 'polder';
ALTER TABLE polder_job ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';
ALTER TABLE polder_job ADD COLUMN after_job TEXT;
ALTER TABLE polder_job ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE polder_job ADD COLUMN backoff_seconds BIGINT NOT NULL DEFAULT 30;
ALTER TABLE polder_job ADD COLUMN timeout_seconds BIGINT;
ALTER TABLE polder_job ADD COLUMN catch_up TEXT NOT NULL DEFAULT 'one';
ALTER TABLE polder_job ADD COLUMN scheduled_through TIMESTAMPTZ;
UPDATE polder_job SET scheduled_through = created_at;

DROP INDEX polder_run_by_start;
DROP INDEX polder_run_by_job;
ALTER TABLE polder_run RENAME TO polder_run_1;

CREATE TABLE polder_run (
    id TEXT NOT NULL PRIMARY KEY,
    job_id TEXT,
    job_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    due_at TIMESTAMPTZ,
    queued_at TIMESTAMPTZ NOT NULL,
    not_before TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    caused_by TEXT,
    error_code TEXT,
    error_message TEXT,
    error_hint TEXT,
    log TEXT NOT NULL
);

INSERT INTO polder_run (id, job_id, job_name, kind, state, reason, attempt, queued_at, not_before, started_at, ended_at,
    error_message, log)
SELECT r.id, r.job_id, coalesce(j.name, r.kind), r.kind, r.state, 'asked', r.attempt, r.started_at, r.started_at,
    r.started_at, r.ended_at, r.error, r.log
FROM polder_run_1 r LEFT JOIN polder_job j ON j.id = r.job_id;

DROP TABLE polder_run_1;

CREATE INDEX polder_run_by_time ON polder_run (queued_at);
CREATE INDEX polder_run_by_job ON polder_run (job_id, queued_at);
CREATE INDEX polder_run_by_state ON polder_run (state);
