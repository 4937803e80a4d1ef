-- Roles, and what one of them is to another. Who may do what with a table stands with the table, as a tag of the lake's catalog;
-- roles are named there by their numbers, which are never given twice.

CREATE TABLE polder_role (
    oid BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    is_superuser BOOLEAN NOT NULL,
    inherits BOOLEAN NOT NULL,
    creates_roles BOOLEAN NOT NULL,
    creates_databases BOOLEAN NOT NULL,
    logs_in BOOLEAN NOT NULL,
    bypasses_policies BOOLEAN NOT NULL,
    connection_limit BIGINT NOT NULL,
    valid_until TIMESTAMPTZ
);

CREATE TABLE polder_role_member (
    role_oid BIGINT NOT NULL,
    member_oid BIGINT NOT NULL,
    grantor_oid BIGINT NOT NULL,
    has_admin BOOLEAN NOT NULL,
    PRIMARY KEY (role_oid, member_oid)
);

CREATE TABLE polder_role_setting (
    role_oid BIGINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (role_oid, name)
);

-- What roles grant on things that they make, in whatever schema. Those of one schema stand with the schema.
CREATE TABLE polder_default_privilege (
    role_oid BIGINT NOT NULL,
    kind TEXT NOT NULL,
    items TEXT NOT NULL,
    PRIMARY KEY (role_oid, kind)
);

-- Everybody could do everything so far, and those who were there keep that.
INSERT INTO polder_role (oid, name, is_superuser, inherits, creates_roles, creates_databases, logs_in, bypasses_policies, connection_limit)
SELECT 10, 'polder', TRUE, TRUE, TRUE, TRUE, count(*) > 0, TRUE, -1 FROM polder_principal WHERE name = 'polder';

INSERT INTO polder_role (oid, name, is_superuser, inherits, creates_roles, creates_databases, logs_in, bypasses_policies, connection_limit)
SELECT 16383 + row_number() OVER (ORDER BY created_at, name), name, TRUE, TRUE, TRUE, TRUE, TRUE, TRUE, -1
FROM polder_principal WHERE name <> 'polder';

INSERT INTO polder_setting (key, value) SELECT 'roles.next_oid', CAST(16383 + count(*) AS TEXT) FROM polder_role;
