-- Polder's own tables. The types are PostgreSQL's; SQLite keeps times and uuids as text under the same names.

CREATE TABLE polder_setting (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE polder_principal (
    name TEXT NOT NULL PRIMARY KEY,
    scram_sha_256 TEXT NOT NULL,
    scram_sha_512 TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE polder_api_token (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL,
    last_used_at TIMESTAMPTZ,
    expires_at TIMESTAMPTZ
);

CREATE TABLE polder_session (
    secret_hash TEXT NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE polder_console_link (
    secret_hash TEXT NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE polder_access_key (
    id TEXT NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL,
    sealed_secret BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE polder_job (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    schedule TEXT,
    payload TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE polder_run (
    id TEXT NOT NULL PRIMARY KEY,
    job_id TEXT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    attempt BIGINT NOT NULL,
    log TEXT NOT NULL,
    error TEXT
);

CREATE INDEX polder_run_by_start ON polder_run (started_at);
CREATE INDEX polder_run_by_job ON polder_run (job_id, started_at);

CREATE TABLE polder_query (
    query_id UUID NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL,
    via TEXT NOT NULL,
    sql TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    elapsed_ms BIGINT NOT NULL,
    rows_returned BIGINT NOT NULL,
    rows_scanned BIGINT NOT NULL,
    bytes_scanned BIGINT NOT NULL,
    snapshot BIGINT,
    error_code TEXT,
    error_message TEXT,
    error_hint TEXT,
    error_line BIGINT,
    error_column BIGINT
);

CREATE INDEX polder_query_by_start ON polder_query (started_at);

CREATE TABLE polder_saved_query (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    sql TEXT NOT NULL,
    chart TEXT NOT NULL,
    owner TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE polder_loaded_content (
    table_id BIGINT NOT NULL,
    content_hash TEXT NOT NULL,
    source TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    snapshot BIGINT NOT NULL,
    loaded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (table_id, content_hash)
);

CREATE TABLE polder_data_file_checksum (
    data_file_id BIGINT NOT NULL PRIMARY KEY,
    checksum TEXT NOT NULL,
    size_bytes BIGINT NOT NULL
);
