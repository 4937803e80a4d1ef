-- Schemas of what is in topics: each text once, under an id that is never given twice, and the versions of subjects that have it.

CREATE TABLE polder_schema (
    id BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    refers_to TEXT NOT NULL,
    fingerprint TEXT NOT NULL
);

CREATE INDEX polder_schema_by_fingerprint ON polder_schema (fingerprint);

CREATE TABLE polder_schema_version (
    subject TEXT NOT NULL,
    version BIGINT NOT NULL,
    schema_id BIGINT NOT NULL,
    is_deleted BOOLEAN NOT NULL,
    PRIMARY KEY (subject, version)
);

CREATE INDEX polder_schema_version_by_schema ON polder_schema_version (schema_id);

-- What schemas refer to, to be found from the other end.
CREATE TABLE polder_schema_reference (
    schema_id BIGINT NOT NULL,
    subject TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (schema_id, subject, version)
);

CREATE INDEX polder_schema_reference_by_version ON polder_schema_reference (subject, version);

-- The empty subject stands for all.
CREATE TABLE polder_schema_setting (
    subject TEXT NOT NULL PRIMARY KEY,
    compatibility TEXT,
    normalizes BOOLEAN,
    mode TEXT
);

-- Each change of the registry is made on the revision that it was decided on.
INSERT INTO polder_setting (key, value) VALUES ('schemas.revision', '0');
INSERT INTO polder_setting (key, value) VALUES ('schemas.next_id', '1');
