"""Roles and rights: the same scripts of several sessions at Polder and at PostgreSQL, statement by statement the same answers."""

import threading
import time
import uuid

import psycopg
import pytest

import permissions
import polder
import ways
from test_postgres_psycopg import address
from witnesses import wait_until

SALE = ["ana: CREATE TABLE sale (id INT PRIMARY KEY, city TEXT, amount INT)", "ana: INSERT INTO sale VALUES (1, 'Delft', 10), (2, 'Gouda', 20)"]
ALL_OF_SALE = "SELECT id, city, amount FROM sale ORDER BY id"

SCRIPTS = {
    "reading a table": [
        *SALE, f"ben: {ALL_OF_SALE}", "ana: GRANT SELECT ON sale TO ben", f"ben: {ALL_OF_SALE}", f"cas: {ALL_OF_SALE}",
        "ben: SELECT count(*) FROM sale", "cas: SELECT count(*) FROM sale", "cas: SELECT 1 AS one FROM sale LIMIT 0", "cas: SELECT * FROM nosuch",
        "ana: REVOKE SELECT ON sale FROM ben", f"ben: {ALL_OF_SALE}", f"ana: {ALL_OF_SALE}", f"root: {ALL_OF_SALE}",
        "ana: REVOKE SELECT ON sale FROM ben", "ana: GRANT ALL ON sale TO ben", f"ben: {ALL_OF_SALE}", "ana: REVOKE ALL PRIVILEGES ON TABLE sale FROM ben",
        f"ben: {ALL_OF_SALE}", "ben: GRANT SELECT ON sale TO ben", "ben: DROP TABLE sale", "ben: ALTER TABLE sale ADD COLUMN x INT",
        "ben: COMMENT ON TABLE sale IS 'x'", "ben: CREATE INDEX ON sale (city)", "ben: TRUNCATE sale",
    ],
    "changing a table": [
        *SALE, "ben: INSERT INTO sale VALUES (3, 'Ede', 30)", "ana: GRANT INSERT ON sale TO ben", "ben: INSERT INTO sale VALUES (3, 'Ede', 30)",
        "ben: INSERT INTO sale VALUES (4, 'Ede', 40) RETURNING id", "ben: UPDATE sale SET amount = 0", "ana: GRANT UPDATE ON sale TO ben",
        "ben: UPDATE sale SET amount = 7", "ben: UPDATE sale SET amount = amount + 1", "ben: UPDATE sale SET amount = 1 WHERE id = 1",
        "ben: UPDATE sale SET amount = 9 RETURNING 1 AS one", "ben: UPDATE sale SET amount = 9 RETURNING amount",
        "ben: DELETE FROM sale", "ana: GRANT DELETE ON sale TO ben", "ben: DELETE FROM sale WHERE id = 1",
        "ben: DELETE FROM sale RETURNING *", "ben: TRUNCATE sale", "ana: GRANT TRUNCATE ON sale TO ben", "ben: TRUNCATE sale", f"ana: {ALL_OF_SALE}",
        "ben: INSERT INTO sale VALUES (1, 'Ede', 1)", "ben: DELETE FROM sale", "ana: GRANT SELECT ON sale TO ben",
        "ben: INSERT INTO sale VALUES (1, 'Ede', 1) RETURNING *", "ben: UPDATE sale SET amount = amount + 1 WHERE id = 1 RETURNING amount",
        "ben: DELETE FROM sale WHERE id = 1 RETURNING city", "ana: REVOKE INSERT, DELETE ON sale FROM ben", "ben: INSERT INTO sale VALUES (1, 'Ede', 1)",
        "ben: DELETE FROM sale", "ben: UPDATE sale SET amount = 1",
    ],
    "conflicts and merges": [
        *SALE, "ana: GRANT INSERT ON sale TO ben", "ben: INSERT INTO sale VALUES (1, 'x', 1) ON CONFLICT DO NOTHING",
        "ben: INSERT INTO sale VALUES (1, 'x', 1) ON CONFLICT (id) DO NOTHING", "ben: INSERT INTO sale VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET amount = 5",
        "ana: GRANT UPDATE ON sale TO ben", "ben: INSERT INTO sale VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET amount = 5",
        "ana: GRANT SELECT (id) ON sale TO ben", "ben: INSERT INTO sale VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET amount = 5",
        "ben: INSERT INTO sale VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET amount = sale.amount + 5",
        "ben: INSERT INTO sale VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET amount = 5 WHERE sale.city = 'Delft'",
        "ben: INSERT INTO sale VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET amount = excluded.amount",
        "ben: MERGE INTO sale USING (VALUES (1), (9)) AS v (id) ON sale.id = v.id WHEN MATCHED THEN UPDATE SET amount = 8 WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'x', 0)",
        "ben: MERGE INTO sale USING (VALUES (1)) AS v (id) ON sale.city = 'Delft' WHEN MATCHED THEN UPDATE SET amount = 8",
        "ben: MERGE INTO sale USING (VALUES (1)) AS v (id) ON sale.id = v.id WHEN MATCHED AND sale.amount > 1 THEN UPDATE SET amount = 8",
        "ben: MERGE INTO sale USING (VALUES (1)) AS v (id) ON sale.id = v.id WHEN MATCHED THEN DELETE",
        "cas: MERGE INTO sale USING (VALUES (1)) AS v (id) ON sale.id = v.id WHEN MATCHED THEN DO NOTHING", f"ana: {ALL_OF_SALE}",
    ],
    "columns": [
        *SALE, "ana: GRANT SELECT (id, city) ON sale TO ben", "ben: SELECT id, city FROM sale ORDER BY id", "ben: SELECT amount FROM sale", "ben: SELECT * FROM sale",
        "ben: SELECT sale FROM sale", "ben: SELECT count(*) FROM sale", "ben: SELECT id FROM sale WHERE amount > 1", "ben: SELECT id FROM sale ORDER BY amount",
        "ben: SELECT city FROM sale GROUP BY city, amount", "ben: SELECT s.id FROM sale s JOIN sale o ON s.id = o.amount", "ben: SELECT id FROM (SELECT * FROM sale) AS x",
        "ben: SELECT (SELECT max(amount) FROM sale) AS most", "ben: SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM sale WHERE amount > 5)",
        "ben: WITH x AS (SELECT id, amount FROM sale) SELECT id FROM x", "ben: SELECT id, row_number() OVER (ORDER BY amount) FROM sale",
        "ben: SELECT id FROM sale NATURAL JOIN (VALUES (10)) AS v (amount)", "ben: SELECT id FROM sale JOIN (VALUES (10)) AS v (amount) USING (amount)",
        "ben: COPY sale (id, city) TO STDOUT", "ben: COPY sale TO STDOUT", "ben: COPY (SELECT amount FROM sale) TO STDOUT",
        "ana: GRANT UPDATE (city), INSERT (id, city) ON sale TO ben", "ben: UPDATE sale SET city = 'x' WHERE id = 1", "ben: UPDATE sale SET amount = 1",
        "ben: UPDATE sale SET city = 'y' WHERE amount = 10", "ben: UPDATE sale SET city = amount::text", "ben: UPDATE sale SET city = 'z' WHERE id = 1 RETURNING amount",
        "ben: UPDATE sale SET city = 'z' WHERE id = 1 RETURNING id, city", "ben: INSERT INTO sale (id, city) VALUES (5, 'Ede')", "ben: INSERT INTO sale VALUES (6, 'Ede', 6)",
        "ben: INSERT INTO sale (id, amount) VALUES (6, 6)", "ben: INSERT INTO sale (id, city) VALUES (7, 'Ede') RETURNING *",
        "ben: COPY sale (id, city) FROM STDIN\n8\tEde\n", "ben: COPY sale FROM STDIN\n9\tEde\t9\n", "ben: DELETE FROM sale WHERE id = 1",
        "ana: REVOKE SELECT (city) ON sale FROM ben", "ben: SELECT city FROM sale", "ben: SELECT id FROM sale ORDER BY id", "ana: REVOKE ALL ON sale FROM ben",
        "ben: SELECT id FROM sale", "ana: GRANT SELECT (nosuch) ON sale TO ben", "ana: GRANT DELETE (id) ON sale TO ben",
        "ana: GRANT ALL (amount) ON sale TO ben", "ben: SELECT amount FROM sale ORDER BY id", "ben: UPDATE sale SET amount = 3", f"ana: {ALL_OF_SALE}",
    ],
    "columns that come, go and are renamed": [
        *SALE, "ana: GRANT SELECT (city) ON sale TO ben", "ana: ALTER TABLE sale RENAME COLUMN city TO town", "ben: SELECT town FROM sale ORDER BY town",
        "ana: ALTER TABLE sale RENAME COLUMN amount TO city", "ben: SELECT city FROM sale", "ana: ALTER TABLE sale ADD COLUMN more INT", "ben: SELECT more FROM sale",
        "ana: GRANT SELECT ON sale TO cas", "ana: ALTER TABLE sale ADD COLUMN most INT", "cas: SELECT most FROM sale", "ana: ALTER TABLE sale DROP COLUMN town",
        "ana: ALTER TABLE sale ADD COLUMN town TEXT", "ben: SELECT town FROM sale", "ana: ALTER TABLE sale RENAME TO sold", "cas: SELECT count(*) FROM sold",
        "ana: CREATE TABLE sale (id INT)", "cas: SELECT count(*) FROM sale",
    ],
    "granting on": [
        *SALE, "ana: GRANT SELECT ON sale TO ben WITH GRANT OPTION", "ben: GRANT SELECT ON sale TO cas", "cas: SELECT count(*) FROM sale", "cas: GRANT SELECT ON sale TO team",
        "ana: REVOKE SELECT ON sale FROM ben", "ana: REVOKE SELECT ON sale FROM ben RESTRICT", "ana: REVOKE GRANT OPTION FOR SELECT ON sale FROM ben CASCADE",
        "cas: SELECT count(*) FROM sale", "ben: SELECT count(*) FROM sale", "ben: GRANT SELECT ON sale TO cas", "ana: GRANT SELECT ON sale TO ben WITH GRANT OPTION",
        "ben: GRANT SELECT ON sale TO cas WITH GRANT OPTION", "ana: REVOKE SELECT ON sale FROM ben CASCADE", "cas: SELECT count(*) FROM sale", "ben: SELECT count(*) FROM sale",
        "ana: GRANT SELECT ON sale TO PUBLIC WITH GRANT OPTION", "ana: GRANT SELECT (id) ON sale TO ben WITH GRANT OPTION", "ben: GRANT SELECT (id) ON sale TO cas",
        "ben: GRANT SELECT (city) ON sale TO cas", "cas: SELECT id FROM sale ORDER BY id", "ben: REVOKE SELECT ON sale FROM ana", "ana: REVOKE ALL ON sale FROM ana",
        "ana: SELECT count(*) FROM sale", "ana: GRANT SELECT ON sale TO ana", "ana: SELECT count(*) FROM sale",
        "ana: GRANT SELECT ON sale TO ben GRANTED BY ana", "ana: GRANT SELECT ON sale TO ben GRANTED BY cas",
    ],
    "everybody": [
        *SALE, "ana: GRANT SELECT ON sale TO PUBLIC", "ben: SELECT count(*) FROM sale", "ana: REVOKE SELECT ON sale FROM ben", "ben: SELECT count(*) FROM sale",
        "ana: GRANT UPDATE ON sale TO team, ben", "ana: REVOKE ALL ON sale FROM PUBLIC", "ben: SELECT count(*) FROM sale", "ana: GRANT SELECT ON sale TO nosuch",
        "ana: GRANT SELECT ON nosuch TO ben", "ana: GRANT USAGE ON sale TO ben", "ana: GRANT NOSUCH ON sale TO ben", "ana: GRANT SELECT, nosuch ON TABLE sale TO ben",
        "root: CREATE ROLE public", "root: CREATE ROLE none", "root: CREATE ROLE pg_mine",
    ],
    "several tables": [
        *SALE, "ana: CREATE TABLE buy (id INT)", "cas: CREATE TABLE own (id INT)", "ana: GRANT SELECT ON sale, buy TO ben", "ben: SELECT count(*) FROM buy", "ben: SELECT count(*) FROM sale",
        "ana: REVOKE SELECT ON ALL TABLES IN SCHEMA shop FROM ben", "ben: SELECT count(*) FROM buy", "ana: GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA shop TO ben, cas",
        "ben: SELECT count(*) FROM sale", "ben: INSERT INTO buy VALUES (1)", "ana: CREATE TABLE later (id INT)", "ben: SELECT count(*) FROM later",
        "ana: CREATE VIEW seen AS SELECT id FROM sale", "ana: GRANT SELECT ON ALL TABLES IN SCHEMA shop TO ben", "ben: SELECT count(*) FROM seen",
        "ana: GRANT SELECT ON ALL TABLES IN SCHEMA nosuch TO ben", "ana: GRANT SELECT ON sale, nosuch TO team",
    ],
    "schemas": [
        "root: CREATE SCHEMA depot", "root: CREATE TABLE depot.part (id INT)", "root: GRANT SELECT ON depot.part TO ben", "ben: SELECT * FROM depot.part", "ben: CREATE TABLE depot.own (id INT)",
        "root: GRANT USAGE ON SCHEMA depot TO ben", "ben: SELECT * FROM depot.part", "ben: CREATE TABLE depot.own (id INT)", "cas: SELECT * FROM depot.part", "cas: SELECT * FROM depot.nosuch",
        "ben: SELECT * FROM depot.nosuch", "root: GRANT CREATE ON SCHEMA depot TO ben", "ben: CREATE TABLE depot.own (id INT)", "ben: INSERT INTO depot.own VALUES (1)",
        "ben: CREATE VIEW depot.seen AS SELECT * FROM depot.own", "ben: DROP SCHEMA depot", "ben: ALTER SCHEMA depot RENAME TO mine", "ben: DROP TABLE depot.part",
        "root: REVOKE ALL ON SCHEMA depot FROM ben", "ben: SELECT * FROM depot.own", "ben: DROP TABLE depot.own", "root: SELECT * FROM depot.own",
        "ben: GRANT USAGE ON SCHEMA depot TO cas", "root: GRANT USAGE ON SCHEMA depot TO ben WITH GRANT OPTION", "ben: GRANT USAGE ON SCHEMA depot TO cas", "cas: SELECT * FROM depot.part",
        "root: GRANT SELECT ON SCHEMA depot TO ben", "root: GRANT USAGE ON SCHEMA nosuch TO ben", "ben: CREATE TABLE public.mine (id INT)", "ben: SET search_path = depot",
        "ben: SELECT * FROM part", "cas: SET search_path = depot", "cas: SELECT * FROM part", "cas: CREATE TABLE part2 (id INT)",
    ],
    "the database": [
        "ben: CREATE SCHEMA depot", "root: GRANT CREATE ON DATABASE polder TO ben", "ben: CREATE SCHEMA depot", "ben: CREATE TABLE depot.own (id INT)", "ben: GRANT USAGE ON SCHEMA depot TO cas",
        "cas: SELECT * FROM depot.own", "root: REVOKE CREATE ON DATABASE polder FROM ben", "ben: DROP SCHEMA depot CASCADE", "cas: CREATE TEMPORARY TABLE scratch (id INT)",
        "root: REVOKE TEMPORARY ON DATABASE polder FROM PUBLIC", "ben: CREATE TEMP TABLE scratch (id INT)", "root: GRANT TEMP ON DATABASE polder TO ben",
        "ben: CREATE TEMP TABLE scratch (id INT)", "ben: SELECT * FROM scratch", "root: GRANT TEMP ON DATABASE polder TO PUBLIC", "root: REVOKE CONNECT ON DATABASE polder FROM PUBLIC",
        "ben: LEAVE", "ben: SELECT 1 AS one", "root: GRANT CONNECT ON DATABASE polder TO ben", "ben: SELECT 1 AS one", "root: GRANT CONNECT ON DATABASE polder TO PUBLIC",
        "root: REVOKE CONNECT ON DATABASE polder FROM ben", "ben: GRANT CONNECT ON DATABASE polder TO ben", "root: GRANT SELECT ON DATABASE polder TO ben",
        "root: GRANT CONNECT ON DATABASE nosuch TO ben",
    ],
    "functions": [
        *SALE, "ana: CREATE FUNCTION most() RETURNS INT LANGUAGE sql AS 'SELECT max(amount) FROM sale'", "ana: CREATE FUNCTION twice(x INT) RETURNS INT LANGUAGE sql AS 'SELECT x * 2'",
        "ben: SELECT twice(4)", "ben: SELECT most()", "ana: SELECT most()", "ana: REVOKE EXECUTE ON FUNCTION twice(INT) FROM PUBLIC", "ben: SELECT twice(4)", "ana: SELECT twice(4)",
        "ana: GRANT EXECUTE ON FUNCTION twice(INT) TO ben", "ben: SELECT twice(4)", "cas: SELECT twice(4)", "ana: GRANT SELECT (amount) ON sale TO ben", "ben: SELECT most()",
        "ben: DROP FUNCTION twice(INT)", "ben: CREATE OR REPLACE FUNCTION twice(x INT) RETURNS INT LANGUAGE sql AS 'SELECT x * 3'", "root: GRANT CREATE ON SCHEMA shop TO ben",
        "ben: CREATE OR REPLACE FUNCTION twice(x INT) RETURNS INT LANGUAGE sql AS 'SELECT x * 3'", "ben: GRANT EXECUTE ON FUNCTION twice(INT) TO cas",
        "ana: GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA shop TO cas", "cas: SELECT twice(4)", "ana: GRANT SELECT ON FUNCTION twice(INT) TO ben",
        "ana: GRANT EXECUTE ON FUNCTION nosuch(INT) TO ben", "ana: GRANT EXECUTE ON FUNCTION twice TO ben",
        "ana: CREATE VIEW doubled AS SELECT twice(amount) AS two FROM sale", "ana: GRANT SELECT ON doubled TO team", "root: GRANT team TO cas", "cas: SELECT two FROM doubled ORDER BY two",
    ],
    "default privileges": [
        "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO ben", *SALE, "ben: SELECT count(*) FROM sale", "cas: SELECT count(*) FROM sale",
        "ana: CREATE VIEW seen AS SELECT id FROM sale", "ben: SELECT count(*) FROM seen", "ana: ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO cas", "ana: CREATE TABLE more (id INT)",
        "ben: SELECT count(*) FROM more", "cas: INSERT INTO more VALUES (1)", "cas: SELECT count(*) FROM sale", "ana: CREATE TABLE made AS SELECT id FROM sale", "cas: SELECT count(*) FROM made",
        "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop REVOKE SELECT ON TABLES FROM ben", "ana: CREATE TABLE later (id INT)", "ben: SELECT count(*) FROM later", "ben: SELECT count(*) FROM more",
        "ana: ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC", "ana: CREATE FUNCTION one() RETURNS INT LANGUAGE sql AS 'SELECT 1'", "ben: SELECT one()", "ana: SELECT one()",
        "ben: ALTER DEFAULT PRIVILEGES FOR ROLE ana GRANT SELECT ON TABLES TO ben", "root: ALTER DEFAULT PRIVILEGES FOR ROLE ana IN SCHEMA shop GRANT DELETE ON TABLES TO ben",
        "ana: CREATE TABLE last (id INT)", "ben: DELETE FROM last", "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT USAGE ON SCHEMAS TO ben", "ana: ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO ben",
        "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA nosuch GRANT SELECT ON TABLES TO ben", "root: DROP ROLE ben",
        "root: SELECT defaclobjtype, defaclacl FROM pg_default_acl a JOIN pg_roles r ON r.oid = a.defaclrole WHERE rolname = 'ana' ORDER BY defaclobjtype, defaclnamespace <> 0",
    ],
    "owners": [
        *SALE, "root: GRANT CREATE ON SCHEMA shop TO ben", "ben: ALTER TABLE sale OWNER TO ben", "ana: ALTER TABLE sale OWNER TO ben", "root: GRANT ben TO ana", "ana: ALTER TABLE sale OWNER TO cas",
        "ana: ALTER TABLE sale OWNER TO ben", "ben: SELECT count(*) FROM sale", "root: REVOKE ben FROM ana", "ana: SELECT count(*) FROM sale", "root: ALTER TABLE sale OWNER TO cas",
        "cas: DROP TABLE sale", "ana: CREATE VIEW one AS SELECT 1 AS a", "root: ALTER VIEW one OWNER TO ben", "ana: SELECT * FROM one", "ben: SELECT * FROM one",
        "root: CREATE SCHEMA depot", "root: ALTER SCHEMA depot OWNER TO ben", "ben: CREATE TABLE depot.t (id INT)", "root: ALTER TABLE depot.t OWNER TO ana", "ben: SELECT * FROM depot.t",
        "ana: SELECT * FROM depot.t", "ben: DROP TABLE depot.t", "root: ALTER SCHEMA depot OWNER TO nosuch", "root: ALTER TABLE nosuch OWNER TO ben",
        "ana: CREATE FUNCTION f() RETURNS INT LANGUAGE sql AS 'SELECT 1'", "root: ALTER FUNCTION f() OWNER TO ben", "ana: DROP FUNCTION f()", "ben: DROP FUNCTION f()",
        "root: SELECT relname, r.rolname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname IN ('ana', 'ben', 'cas') AND relkind IN ('r', 'v') ORDER BY 1",
    ],
    "what a role leaves": [
        *SALE, "ana: GRANT SELECT ON sale TO ben", "root: DROP ROLE ben", "root: DROP ROLE ana", "ben: REASSIGN OWNED BY ana TO ben", "root: REASSIGN OWNED BY ana TO cas", "cas: SELECT count(*) FROM sale",
        "ana: SELECT count(*) FROM sale", "root: DROP OWNED BY ben", "ben: SELECT count(*) FROM sale", "ben: LEAVE", "root: DROP ROLE ben", "ben: SELECT 1 AS one",
        "root: DROP OWNED BY ana", "ana: SELECT 1 AS one", "ana: LEAVE", "root: DROP ROLE ana, nosuch", "root: DROP ROLE IF EXISTS nosuch, ana", "cas: DROP OWNED BY cas", "root: SELECT count(*) FROM sale",
        "cas: DROP ROLE cas", "root: DROP ROLE CURRENT_USER", "ana: SELECT 1 AS one",
    ],
    "members": [
        *SALE, "ana: GRANT SELECT ON sale TO team", "ben: SELECT count(*) FROM sale", "root: GRANT team TO ben", "ben: SELECT count(*) FROM sale", "ben: GRANT team TO cas",
        "root: GRANT team TO ben WITH ADMIN OPTION", "ben: GRANT team TO cas", "cas: SELECT count(*) FROM sale", "root: GRANT ben TO team", "root: GRANT team TO team", "root: CREATE ROLE staff",
        "root: GRANT staff TO team", "ana: GRANT INSERT ON sale TO staff", "cas: INSERT INTO sale VALUES (3, 'Ede', 30)", "root: ALTER ROLE cas NOINHERIT", "cas: SELECT count(*) FROM sale",
        "cas: SET ROLE staff", "cas: INSERT INTO sale VALUES (4, 'Ede', 40)", "cas: SELECT count(*) FROM sale", "cas: SET ROLE team", "cas: SELECT count(*) FROM sale", "cas: RESET ROLE",
        "root: REVOKE ADMIN OPTION FOR team FROM ben", "ben: REVOKE team FROM cas", "ben: SELECT count(*) FROM sale", "root: REVOKE team FROM ben", "ben: SELECT count(*) FROM sale",
        "root: REVOKE team FROM ben", "root: GRANT nosuch TO ben", "root: GRANT team TO nosuch",
        "root: SELECT r.rolname, m.rolname, admin_option FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member "
        "WHERE r.rolname IN ('team', 'staff') ORDER BY 1, 2",
    ],
    "taking on a role": [
        *SALE, "ana: GRANT SELECT ON sale TO team", "ben: SET ROLE team", "ben: SET ROLE nosuch", "ben: SET ROLE polder", "root: GRANT team TO ben", "ben: SET ROLE team",
        "ben: SELECT current_user = 'team' AS same, session_user = 'ben' AS is_ben", "ben: SELECT count(*) FROM sale", "ben: SHOW role", "ben: SET ROLE NONE", "ben: SHOW role",
        "ben: SELECT current_user = 'ben' AS same", "ben: BEGIN", "ben: SET LOCAL ROLE team", "ben: SELECT current_user = 'team' AS same", "ben: COMMIT", "ben: SELECT current_user = 'ben' AS same",
        "ben: BEGIN", "ben: SET ROLE team", "ben: ROLLBACK", "ben: SELECT current_user = 'ben' AS same", "ben: SET SESSION AUTHORIZATION ana", "ben: SET SESSION AUTHORIZATION ben",
        "root: SET ROLE cas", "root: SELECT count(*) FROM sale", "root: CREATE ROLE staff", "root: RESET ROLE", "root: SET SESSION AUTHORIZATION cas", "root: SELECT count(*) FROM sale",
        "root: SELECT session_user = 'cas' AS is_cas", "root: SET ROLE ana", "root: RESET SESSION AUTHORIZATION", "root: SELECT count(*) FROM sale", "ben: SET ROLE team", "root: REVOKE team FROM ben",
        "ben: SELECT count(*) AS still FROM sale", "ben: RESET ROLE", "ben: SET ROLE team", "ben: DISCARD ALL", "ben: SELECT current_user = 'ben' AS same",
    ],
    "making roles": [
        "ben: CREATE ROLE staff", "root: ALTER ROLE ben CREATEROLE", "ben: CREATE ROLE staff", "ben: CREATE ROLE staff", "ben: CREATE ROLE bigger SUPERUSER", "ben: ALTER ROLE polder PASSWORD 'x'",
        "ben: ALTER ROLE ben SUPERUSER", "ben: DROP ROLE polder", "ben: ALTER ROLE staff LOGIN CONNECTION LIMIT 2", f"cas: ALTER ROLE cas PASSWORD '{permissions.PASSWORD}'", "cas: ALTER ROLE cas CREATEROLE",
        "cas: ALTER ROLE ana PASSWORD 'x'", "cas: DROP ROLE ana", "ben: ALTER ROLE nosuch LOGIN", "ben: DROP ROLE nosuch", "ben: ALTER ROLE staff RENAME TO depot", "ben: ALTER ROLE team RENAME TO ana",
        "root: SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolconnlimit, rolbypassrls, rolvaliduntil FROM pg_roles WHERE rolname = 'depot'",
        "ben: DROP ROLE depot", "root: CREATE ROLE staff LOGIN LOGIN", "root: CREATE ROLE staff NOSUCH", "root: CREATE USER staff", "root: SELECT rolcanlogin FROM pg_roles WHERE rolname = 'staff'",
        "root: DROP USER staff", "root: CREATE GROUP staff WITH USER ana, ben", "root: ALTER GROUP staff ADD USER cas", "root: ALTER GROUP staff DROP USER ben", "root: DROP GROUP staff",
        "root: CREATE ROLE staff IN ROLE team ROLE ana ADMIN ben", "root: CREATE ROLE depot VALID UNTIL '2020-01-01 00:00:00+00' LOGIN",
        "root: SELECT m.rolname LIKE 'ana%' AS is_ana, admin_option FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles r ON r.oid = a.roleid WHERE r.rolname = 'staff' ORDER BY 1",
        "root: SELECT rolvaliduntil = '2020-01-01 00:00:00+00' AS at FROM pg_roles WHERE rolname = 'depot'", "cas: SELECT rolpassword FROM pg_roles WHERE rolname = 'ana'",
        "cas: SELECT rolpassword FROM pg_authid", "root: ALTER ROLE cas SET search_path = shop", "root: ALTER ROLE cas SET nosuch = 1", "cas: ALTER ROLE ana SET search_path = shop",
        "cas: LEAVE", "root: ALTER ROLE cas NOLOGIN", "cas: SELECT 1 AS one", "root: ALTER ROLE cas LOGIN CONNECTION LIMIT 0", "cas: SELECT 1 AS one",
    ],
    "views": [
        *SALE, "ana: CREATE VIEW north AS SELECT id, amount FROM sale WHERE city = 'Delft'", "ben: SELECT * FROM north", "ana: GRANT SELECT ON north TO ben", "ben: SELECT * FROM north",
        f"ben: {ALL_OF_SALE}", "ben: SELECT n.id FROM north n JOIN sale s ON n.id = s.id", "root: GRANT CREATE ON SCHEMA shop TO ben, cas", "ben: CREATE VIEW mine AS SELECT * FROM sale",
        "ben: SELECT * FROM mine", "ben: GRANT SELECT ON mine TO cas", "cas: SELECT * FROM mine", "ben: CREATE VIEW other AS SELECT * FROM north", "ben: GRANT SELECT ON other TO cas", "cas: SELECT * FROM other",
        "cas: SELECT * FROM north", "ana: REVOKE SELECT ON north FROM ben", "cas: SELECT * FROM other", "ben: SELECT * FROM other", "ana: GRANT SELECT (id) ON north TO cas",
        "cas: SELECT id FROM north", "cas: SELECT amount FROM north", "ana: CREATE VIEW me AS SELECT current_user = 'ben' AS is_ben", "ana: GRANT SELECT ON me TO ben", "ben: SELECT * FROM me",
        "ben: DROP VIEW north", "ben: CREATE OR REPLACE VIEW north AS SELECT 1 AS id, 2 AS amount", "root: CREATE VIEW every AS SELECT * FROM sale", "root: GRANT SELECT ON every TO cas", "cas: SELECT * FROM every ORDER BY id",
        "ana: CREATE VIEW asked WITH (security_invoker = true) AS SELECT * FROM sale", "ana: GRANT SELECT ON asked TO ben", "ben: SELECT * FROM asked", "ana: SELECT count(*) FROM asked",
    ],
    "materialized views": [
        *SALE, "ana: CREATE MATERIALIZED VIEW kept AS SELECT id, amount FROM sale", "ben: SELECT * FROM kept", "ben: REFRESH MATERIALIZED VIEW kept", "ana: GRANT SELECT ON kept TO ben",
        "ben: SELECT * FROM kept ORDER BY id", "ben: REFRESH MATERIALIZED VIEW kept", "ana: INSERT INTO sale VALUES (3, 'Ede', 30)", "ana: REFRESH MATERIALIZED VIEW kept",
        "ben: SELECT * FROM kept ORDER BY id", "root: GRANT CREATE ON SCHEMA shop TO ben", "ben: CREATE MATERIALIZED VIEW mine AS SELECT * FROM sale", "ana: GRANT SELECT ON sale TO ben",
        "ben: CREATE MATERIALIZED VIEW mine AS SELECT * FROM sale", "ana: REVOKE SELECT ON sale FROM ben", "ben: SELECT count(*) FROM mine", "ben: REFRESH MATERIALIZED VIEW mine",
        "root: REFRESH MATERIALIZED VIEW mine", "ben: DROP MATERIALIZED VIEW kept", "ben: DROP MATERIALIZED VIEW mine",
    ],
    "what outlives a revoke": [
        *SALE, "ana: GRANT SELECT ON sale TO ben", f"ben: PREPARE p AS {ALL_OF_SALE}", "ben: EXECUTE p", "ben: BEGIN", f"ben: DECLARE c CURSOR FOR {ALL_OF_SALE}", "ben: FETCH 1 FROM c",
        "ana: REVOKE SELECT ON sale FROM ben", "ben: COMMIT", "ben: EXECUTE p", "ana: GRANT SELECT ON sale TO ben", "ben: EXECUTE p", "root: GRANT team TO ben", "ben: SET ROLE team", "ben: EXECUTE p", "ben: RESET ROLE",
        "ben: EXECUTE p", "ben: BEGIN", "ben: SELECT count(*) FROM sale", "ben: SET LOCAL ROLE team", "ben: SELECT count(*) FROM sale", "ben: ROLLBACK", "ana: CREATE VIEW seen AS SELECT * FROM sale",
        "ana: GRANT SELECT ON seen TO ben", "ben: PREPARE v AS SELECT count(*) FROM seen", "ben: EXECUTE v", "ana: ALTER TABLE sale RENAME TO sold", "root: ALTER TABLE sold OWNER TO cas", "ben: EXECUTE v",
        "ben: DECLARE c CURSOR FOR SELECT 1 AS a", "ben: BEGIN", "ben: DECLARE c CURSOR WITH HOLD FOR SELECT count(*) FROM sold", "ben: ROLLBACK",
    ],
    "grants in transactions": [
        *SALE, "ana: BEGIN", "ana: GRANT SELECT ON sale TO ben", "ben: SELECT count(*) FROM sale", "ana: ROLLBACK", "ben: SELECT count(*) FROM sale", "ana: BEGIN", "ana: GRANT SELECT ON sale TO ben",
        "ana: SAVEPOINT a", "ana: GRANT INSERT ON sale TO ben", "ana: ROLLBACK TO a", "ana: COMMIT", "ben: SELECT count(*) FROM sale", "ben: INSERT INTO sale VALUES (5, 'x', 5)",
        "root: BEGIN", "root: CREATE ROLE staff", "root: GRANT staff TO cas", "root: ROLLBACK", "cas: SET ROLE staff", "ana: BEGIN", "ana: CREATE TABLE new (id INT)", "ana: GRANT SELECT ON new TO ben", "ana: COMMIT",
        "ben: SELECT * FROM new", "ben: BEGIN", "ben: INSERT INTO sale VALUES (5, 'x', 5)", "ben: SELECT 1 AS one", "ben: ROLLBACK",
    ],
    "ways of reading": [
        *SALE, "root: GRANT CREATE ON SCHEMA shop TO ben", "ben: TABLE sale", "ben: EXPLAIN SELECT * FROM sale", "ben: EXPLAIN ANALYZE SELECT * FROM sale", "ben: EXPLAIN DELETE FROM sale",
        "ben: EXPLAIN ANALYZE UPDATE sale SET amount = 1", "ben: COPY sale TO STDOUT", "ben: COPY (SELECT * FROM sale) TO STDOUT", "ben: COPY sale FROM STDIN\n9\tx\t9\n",
        "ben: CREATE TABLE taken AS SELECT * FROM sale", "ben: CREATE TEMP TABLE taken AS TABLE sale", "ben: CREATE TABLE like_it (LIKE sale)", "ben: CREATE TABLE own (id INT, city TEXT, amount INT)",
        "ben: INSERT INTO own SELECT * FROM sale", "ben: UPDATE own SET id = sale.id FROM sale", "ben: DELETE FROM own USING sale WHERE own.id = sale.id", "ben: UPDATE own SET id = (SELECT max(id) FROM sale)",
        "ben: DELETE FROM own WHERE id IN (SELECT id FROM sale)", "ben: MERGE INTO own USING sale ON own.id = sale.id WHEN NOT MATCHED THEN INSERT VALUES (sale.id, 'x', 1)",
        "ben: INSERT INTO own VALUES ((SELECT max(amount) FROM sale), 'x', 1)", "ben: INSERT INTO own VALUES (1, 'x', 1) RETURNING (SELECT max(amount) FROM sale)", "ben: PREPARE p AS SELECT * FROM sale",
        "ben: EXECUTE p", "ben: BEGIN", "ben: DECLARE c CURSOR FOR SELECT * FROM sale", "ben: ROLLBACK", "ben: SELECT 1 AS one UNION SELECT id FROM sale",
        "ben: SELECT * FROM own LEFT JOIN sale USING (id)", "ben: SELECT * FROM own, LATERAL (SELECT * FROM sale) AS s",
        "ben: VALUES ((SELECT max(id) FROM sale))", "ben: CREATE VIEW mine AS SELECT * FROM sale", "ben: SELECT * FROM mine",
    ],
    "what the catalog says": [
        *SALE, "ana: GRANT SELECT, INSERT ON sale TO ben WITH GRANT OPTION", "ben: GRANT SELECT ON sale TO cas", "ana: GRANT UPDATE (city, amount), SELECT (city) ON sale TO team", "ana: GRANT DELETE ON sale TO PUBLIC",
        "root: SELECT relacl FROM pg_class WHERE relname = 'sale' AND relnamespace = 'shop'::regnamespace",
        "root: SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'sale'::regclass AND attacl IS NOT NULL ORDER BY attnum", "root: SELECT nspacl FROM pg_namespace WHERE nspname = 'shop'",
        "root: SELECT grantor, grantee, privilege_type, is_grantable, with_hierarchy FROM information_schema.role_table_grants WHERE table_schema = 'shop' ORDER BY 1, 2, 3",
        "ben: SELECT grantor, grantee, privilege_type, is_grantable FROM information_schema.role_table_grants WHERE table_schema = 'shop' ORDER BY 1, 2, 3",
        "cas: SELECT grantor, grantee, privilege_type, is_grantable FROM information_schema.table_privileges WHERE table_schema = 'shop' ORDER BY 1, 2, 3",
        "root: SELECT grantee, column_name, privilege_type, is_grantable FROM information_schema.column_privileges WHERE table_schema = 'shop' AND grantee LIKE 'team%' ORDER BY 1, 2, 3",
        "cas: SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'", "root: CREATE TABLE shut (id INT)", "cas: SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'",
        "cas: SELECT column_name FROM information_schema.columns WHERE table_schema = 'shop' ORDER BY 1", "root: GRANT team TO cas", "cas: SELECT role_name FROM information_schema.enabled_roles ORDER BY 1",
        "cas: SELECT grantee, role_name, is_grantable FROM information_schema.applicable_roles ORDER BY 1, 2",
        *(f"cas: SELECT {call} AS may" for call in (
            "has_table_privilege('sale', 'SELECT')", "has_table_privilege('sale', 'INSERT')", "has_table_privilege('sale', 'DELETE, TRUNCATE')", "has_table_privilege('ben', 'sale', 'SELECT WITH GRANT OPTION')",
            "has_table_privilege('shut', 'SELECT')", "has_any_column_privilege('sale', 'UPDATE')", "has_column_privilege('sale', 'id', 'UPDATE')", "has_column_privilege('sale', 'city', 'UPDATE')",
            "has_schema_privilege('shop', 'USAGE')", "has_schema_privilege('shop', 'CREATE')", "has_schema_privilege('ana', 'shop', 'CREATE')", "has_database_privilege('polder', 'CREATE')",
            "has_database_privilege('polder', 'CONNECT')", "pg_has_role('team', 'USAGE')", "pg_has_role('team', 'MEMBER')", "pg_has_role('ana', 'MEMBER')", "pg_has_role('ben', 'team', 'MEMBER')",
            "has_table_privilege('nosuch', 'SELECT')", "has_table_privilege('sale', 'NOSUCH')", "has_table_privilege('nosuch', 'sale', 'SELECT')")),
        "ana: REVOKE ALL ON sale FROM ben CASCADE", "root: SELECT relacl FROM pg_class WHERE relname = 'sale' AND relnamespace = 'shop'::regnamespace",
    ],
    "functions about rights": [
        *SALE, "ana: CREATE VIEW seen AS SELECT id, city FROM sale", "ana: CREATE FUNCTION twice(x INT) RETURNS INT LANGUAGE sql AS 'SELECT x * 2'", "root: CREATE SCHEMA depot", "root: CREATE TABLE depot.part (id INT)",
        "ana: GRANT SELECT (city), UPDATE (city) ON sale TO ben", "ana: GRANT SELECT (city) ON seen TO ben", "ana: GRANT SELECT ON sale TO cas WITH GRANT OPTION", "root: GRANT team TO ben WITH ADMIN OPTION",
        "ana: REVOKE EXECUTE ON FUNCTION twice(INT) FROM PUBLIC", "root: GRANT CREATE ON DATABASE polder TO cas",
        *(f"ben: SELECT {call} AS may" for call in (
            "has_table_privilege('sale'::regclass, 'SELECT')", "has_table_privilege('sale', 'select, insert')", "has_table_privilege('cas', 'sale', 'SELECT WITH GRANT OPTION')", "has_table_privilege('ana', 'sale', 'SELECT WITH GRANT OPTION')",
            "has_table_privilege(1::oid, 'SELECT')", "has_table_privilege('cas', 1::oid, 'SELECT')", "has_table_privilege('public', 'sale', 'SELECT')", "has_table_privilege('sale', 'SELECT WITH')", "has_table_privilege('sale', 'USAGE')",
            "has_table_privilege('sale', 'RULE')", "has_table_privilege(NULL, 'sale', 'SELECT')", "has_table_privilege('pg_class', 'SELECT')", "has_table_privilege('pg_class', 'INSERT')", "has_table_privilege('pg_authid', 'SELECT')",
            "has_table_privilege('depot.part', 'SELECT')", "has_table_privilege('depot.nosuch', 'SELECT')", "has_any_column_privilege('sale', 'SELECT')", "has_any_column_privilege('sale', 'INSERT, UPDATE')", "has_any_column_privilege('sale', 'DELETE')",
            "has_any_column_privilege('seen', 'SELECT')", "has_any_column_privilege('cas', 'seen', 'SELECT')", "has_column_privilege('sale', 'city', 'SELECT')", "has_column_privilege('sale', 'id', 'SELECT')", "has_column_privilege('sale', 2::smallint, 'SELECT')",
            "has_column_privilege('sale', 9::smallint, 'SELECT')", "has_column_privilege('cas', 'sale', 9::smallint, 'SELECT')", "has_column_privilege('sale', 'nosuch', 'SELECT')", "has_column_privilege('seen', 'city', 'SELECT')", "has_column_privilege('seen', 'id', 'SELECT')",
            "has_column_privilege('seen', 'nosuch', 'SELECT')", "has_column_privilege('sale', 'city', 'SELECT WITH GRANT OPTION')", "has_schema_privilege('depot', 'USAGE')", "has_schema_privilege('pg_catalog', 'USAGE')", "has_schema_privilege('pg_catalog', 'CREATE')",
            "has_schema_privilege('nosuch', 'USAGE')", "has_schema_privilege(1::oid, 'USAGE')", "has_schema_privilege('root_nobody', 'depot', 'USAGE')", "has_database_privilege('cas', 'polder', 'CREATE')", "has_database_privilege('polder', 'TEMP')",
            "has_database_privilege('nosuch', 'CONNECT')", "has_database_privilege(99::oid, 'CONNECT')", "has_function_privilege('twice(int)', 'EXECUTE')", "has_function_privilege('ana', 'twice(integer)', 'EXECUTE')", "has_function_privilege('twice(text)', 'EXECUTE')",
            "has_function_privilege('nosuch()', 'EXECUTE')", "has_function_privilege('lower(text)', 'EXECUTE')", "has_function_privilege(1::oid, 'EXECUTE')", "has_language_privilege('sql', 'USAGE')", "has_language_privilege('nosuch', 'USAGE')",
            "has_language_privilege('sql', 'SELECT')", "has_tablespace_privilege('pg_default', 'CREATE')", "has_tablespace_privilege('nosuch', 'CREATE')", "has_tablespace_privilege('pg_default', 'USAGE')", "has_type_privilege('integer', 'USAGE')", "has_type_privilege('nosuch', 'USAGE')",
            "has_type_privilege('cas', 'text', 'USAGE')", "has_foreign_data_wrapper_privilege('nosuch', 'USAGE')", "has_server_privilege('nosuch', 'USAGE')", "has_server_privilege(1::oid, 'USAGE')", "has_parameter_privilege('search_path', 'SET')",
            "has_parameter_privilege('search_path', 'SELECT')", "pg_has_role('team', 'USAGE')", "pg_has_role('team', 'MEMBER WITH ADMIN OPTION')", "pg_has_role('cas', 'team', 'MEMBER')", "pg_has_role('team', 'NOSUCH')", "pg_has_role('nosuch', 'MEMBER')",
            "row_security_active('sale')", "row_security_active('nosuch')", "row_security_active(1::oid)", "row_security_active('seen')")),
    ],
    "views that read as whoever asks": [
        *SALE, "ana: CREATE VIEW asked WITH (security_invoker = true) AS SELECT id, city FROM sale", "ana: CREATE VIEW plain AS SELECT * FROM asked", "ana: GRANT SELECT ON asked, plain TO ben, cas", "ben: SELECT count(*) FROM asked", "ben: SELECT count(*) FROM plain",
        "ana: SELECT count(*) FROM asked", "root: SELECT count(*) FROM asked", "ana: GRANT SELECT (id, city) ON sale TO ben", "ben: SELECT * FROM asked ORDER BY id", "ben: SELECT * FROM plain ORDER BY id", "cas: SELECT id FROM asked", "cas: SELECT id FROM plain",
        "ana: REVOKE SELECT ON asked FROM ben", "ben: SELECT * FROM asked", "ben: SELECT * FROM plain ORDER BY id", "ana: GRANT SELECT ON asked TO ben", "ana: REVOKE SELECT (city) ON sale FROM ben", "ben: SELECT id FROM asked",
        "ana: GRANT SELECT (city) ON sale TO ben", "ana: CREATE POLICY two ON sale USING (current_user LIKE 'ben%' AND id = 2)", "ana: ALTER TABLE sale ENABLE ROW LEVEL SECURITY", "ben: SELECT * FROM asked", "ben: SELECT * FROM plain", "ana: SELECT * FROM asked ORDER BY id",
        "ben: SELECT reloptions FROM pg_class WHERE oid = 'asked'::regclass", "ben: ALTER VIEW asked SET (security_invoker = false)", "ana: ALTER VIEW asked SET (security_invoker = false)", "ben: SELECT * FROM asked ORDER BY id", "cas: SELECT id FROM asked ORDER BY id",
        "ana: ALTER VIEW asked SET (security_invoker)", "cas: SELECT id FROM asked", "ana: ALTER VIEW asked RESET (security_invoker)", "cas: SELECT id FROM asked ORDER BY id", "ana: ALTER VIEW asked SET (security_invoker = on)", "cas: SELECT id FROM asked",
        "ana: CREATE OR REPLACE VIEW asked AS SELECT id, city FROM sale", "cas: SELECT id FROM asked ORDER BY id", "ana: CREATE OR REPLACE VIEW asked WITH (security_invoker) AS SELECT id, city FROM sale", "cas: SELECT id FROM asked",
        "ana: ALTER VIEW asked RENAME TO renamed", "cas: SELECT id FROM renamed", "ana: CREATE VIEW wrong WITH (security_invoker = maybe) AS SELECT 1 AS a", "ana: CREATE VIEW wrong WITH (nosuch = 1) AS SELECT 1 AS a", "cas: SELECT attname FROM pg_attribute WHERE attrelid = 'renamed'::regclass ORDER BY attnum",
    ],
    "what is in a schema": [
        "root: CREATE SCHEMA depot", "root: CREATE TABLE depot.part (id INT PRIMARY KEY)", "root: GRANT ALL ON depot.part TO ben", "root: CREATE VIEW depot.seen AS SELECT 1 AS a", "root: CREATE FUNCTION depot.one() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
        "root: ALTER TABLE depot.part OWNER TO ben",
        *(f"ben: {sql}" for sql in (
            "SELECT * FROM depot.nosuch", "SELECT * FROM depot.part", "INSERT INTO depot.nosuch VALUES (1)", "UPDATE depot.nosuch SET id = 1", "DELETE FROM depot.nosuch", "TRUNCATE depot.nosuch", "COPY depot.nosuch FROM STDIN\n1\n", "COPY depot.nosuch TO STDOUT",
            "DROP TABLE depot.nosuch", "DROP TABLE IF EXISTS depot.nosuch", "DROP TABLE depot.part", "DROP VIEW depot.seen", "DROP VIEW depot.nosuch", "ALTER TABLE depot.part ADD COLUMN x INT", "ALTER TABLE depot.nosuch ADD COLUMN x INT", "ALTER TABLE depot.part RENAME TO other",
            "COMMENT ON TABLE depot.part IS 'x'", "CREATE INDEX ON depot.part (id)", "CREATE INDEX ON depot.nosuch (id)", "DROP INDEX depot.part_pkey", "DROP FUNCTION depot.one()", "SELECT depot.one()", "GRANT SELECT ON depot.part TO cas", "GRANT SELECT ON depot.nosuch TO cas",
            "SELECT 'depot.part'::regclass", "SELECT 'depot.nosuch'::regclass", "CREATE TEMP TABLE copied (LIKE depot.part)", "CREATE TEMP TABLE copied (LIKE depot.nosuch)", "CREATE POLICY p ON depot.part USING (true)", "DROP POLICY p ON depot.part", "CREATE TEMP VIEW mine AS SELECT * FROM depot.part",
            "PREPARE q AS SELECT * FROM depot.part", "SET search_path = depot, shop", "SELECT * FROM part", "SELECT * FROM nosuch", "WITH part AS (SELECT 5 AS a) SELECT * FROM part", "SELECT current_schema()", "DROP TABLE part", "RESET search_path")),
        "root: GRANT USAGE ON SCHEMA depot TO ben", "ben: SELECT * FROM depot.part", "ben: SELECT * FROM depot.nosuch", "ben: DROP TABLE depot.part",
    ],
    "conflicts without a key": [
        "ana: CREATE TABLE sale (id INT PRIMARY KEY, code TEXT UNIQUE, amount INT)", "ana: INSERT INTO sale VALUES (1, 'a', 10)", "ana: GRANT INSERT ON sale TO ben", "ben: INSERT INTO sale VALUES (1, 'b', 1), (2, 'b', 2) ON CONFLICT DO NOTHING",
        "ben: INSERT INTO sale VALUES (3, 'a', 1) ON CONFLICT DO NOTHING", "ben: INSERT INTO sale VALUES (4, 'd', 1) ON CONFLICT DO NOTHING RETURNING id", "ben: INSERT INTO sale VALUES (4, 'd', 1) ON CONFLICT (id) DO NOTHING",
        "ben: INSERT INTO sale VALUES (4, 'd', 1) ON CONFLICT ON CONSTRAINT sale_pkey DO NOTHING", "ana: GRANT SELECT (id) ON sale TO ben", "ben: INSERT INTO sale VALUES (4, 'd', 1) ON CONFLICT (id) DO NOTHING",
        "ben: INSERT INTO sale VALUES (5, 'd', 1) ON CONFLICT (code) DO NOTHING", "ben: INSERT INTO sale VALUES (4, 'e', 1) ON CONFLICT ON CONSTRAINT sale_pkey DO NOTHING", "ana: SELECT * FROM sale ORDER BY id",
        "ana: CREATE POLICY own ON sale FOR SELECT USING (amount > 5)", "ana: CREATE POLICY made ON sale FOR INSERT WITH CHECK (amount < 50)", "ana: ALTER TABLE sale ENABLE ROW LEVEL SECURITY", "ben: INSERT INTO sale VALUES (6, 'f', 1) ON CONFLICT DO NOTHING",
        "ben: INSERT INTO sale VALUES (7, 'g', 1) ON CONFLICT (id) DO NOTHING", "ben: INSERT INTO sale VALUES (8, 'h', 60) ON CONFLICT DO NOTHING", "ana: SELECT * FROM sale ORDER BY id",
    ],
    "columns that nobody needs": [
        *SALE, "ana: CREATE TABLE own (id INT, amount INT)", "ana: GRANT SELECT (id) ON sale TO ben", "ana: GRANT SELECT ON own TO ben",
        *(f"ben: {sql}" for sql in (
            "SELECT id FROM (SELECT * FROM sale) AS x", "SELECT id FROM (SELECT id, amount FROM sale) AS x ORDER BY id", "SELECT id FROM (SELECT id, 1 AS one FROM sale) AS x ORDER BY id", "WITH x AS (SELECT id, amount FROM sale) SELECT id FROM x", "WITH x AS (SELECT id FROM sale) SELECT id FROM x ORDER BY id",
            "SELECT count(*) FROM sale", "SELECT count(*) FROM (SELECT amount FROM sale) AS x", "SELECT count(*) FROM (SELECT id FROM sale) AS x", "SELECT 1 AS one FROM sale", "SELECT 1 AS one WHERE EXISTS (SELECT * FROM sale)", "SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM sale)",
            "SELECT o.id FROM own AS o WHERE EXISTS (SELECT 1 FROM sale WHERE sale.id = o.id)", "SELECT s.id FROM sale AS s WHERE EXISTS (SELECT 1 FROM own WHERE own.amount = s.amount)", "SELECT s.id FROM sale AS s WHERE EXISTS (SELECT 1 FROM own WHERE own.amount = s.id)",
            "SELECT s.id FROM sale AS s, LATERAL (SELECT s.amount AS other) AS l", "SELECT s.id FROM sale AS s, LATERAL (SELECT s.id AS other) AS l ORDER BY 1", "SELECT id FROM sale AS s JOIN own AS o USING (id)", "SELECT o.id FROM sale AS s JOIN own AS o USING (amount)",
            "SELECT id FROM sale NATURAL JOIN own", "SELECT a.id FROM sale AS a JOIN sale AS b ON a.id = b.id ORDER BY 1", "SELECT a.id FROM sale AS a JOIN sale AS b ON a.id = b.amount", "SELECT id FROM sale UNION SELECT id FROM own ORDER BY 1", "SELECT id FROM sale UNION ALL SELECT amount FROM sale",
            "SELECT DISTINCT id FROM sale ORDER BY id", "SELECT DISTINCT ON (id) id FROM sale ORDER BY id", "SELECT DISTINCT ON (amount) id FROM sale", "SELECT id, count(*) FROM sale GROUP BY id ORDER BY id", "SELECT id FROM sale GROUP BY id HAVING max(amount) > 1",
            "SELECT id, row_number() OVER (ORDER BY id) FROM sale ORDER BY id", "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY amount) AS n FROM sale) AS x", "SELECT id FROM sale ORDER BY id LIMIT 1", "SELECT id FROM sale WHERE id IN (SELECT amount FROM sale)",
            "SELECT id FROM sale WHERE id = ANY (SELECT id FROM own)", "SELECT (SELECT max(id) FROM sale) AS most", "SELECT id FROM sale WHERE true OR amount > 1", "SELECT CASE WHEN true THEN id ELSE amount END AS a FROM sale", "SELECT id + 0 * amount AS a FROM sale",
            "INSERT INTO sale SELECT 1", "CREATE TEMP TABLE mine (id INT, amount INT)", "MERGE INTO mine USING sale ON mine.id = sale.id WHEN NOT MATCHED THEN INSERT VALUES (sale.id, 0)", "MERGE INTO mine USING sale ON mine.id = sale.id WHEN MATCHED THEN UPDATE SET amount = sale.amount",
            "CREATE TEMP TABLE t AS SELECT id FROM sale", "CREATE TEMP TABLE u AS SELECT id FROM (SELECT * FROM sale) AS x", "EXPLAIN SELECT id FROM (SELECT * FROM sale) AS x", "COPY (SELECT id FROM (SELECT * FROM sale) AS x) TO STDOUT",
            "WITH RECURSIVE r (n) AS (SELECT id FROM sale UNION SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r ORDER BY n", "WITH RECURSIVE r (n, m) AS (SELECT id, amount FROM sale UNION SELECT n + 1, 0 FROM r WHERE n < 3) SELECT n FROM r")),
    ],
    "errors within views": [
        *SALE, "root: GRANT CREATE ON SCHEMA shop TO ben", "ana: GRANT SELECT ON sale TO ben", "ben: CREATE VIEW other AS SELECT * FROM sale", "ben: GRANT SELECT ON other TO cas", "cas: SELECT count(*) FROM other",
        "ana: REVOKE SELECT ON sale FROM ben", "cas: SELECT * FROM other", "ben: SELECT * FROM other", "ana: ALTER TABLE sale RENAME TO sold", "cas: SELECT * FROM other",
    ],
    "tables of the server": [
        "ben: SELECT count(*) > 0 AS some FROM pg_class", "ben: SELECT rolpassword FROM pg_authid", "ben: SELECT passwd FROM pg_shadow", "ben: SELECT passwd FROM pg_user WHERE usename = 'ben'",
        "ben: COPY (SELECT 1) TO '/tmp/nosuch/file.csv'", "ben: COPY pg_class FROM '/tmp/nosuch/file.csv'",
    ],
}


@pytest.fixture(scope="module")
def both(server):
    with permissions.both(server) as makers:
        yield makers


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_as_postgresql(both, name):
    permissions.compare(*both, SCRIPTS[name])


@pytest.fixture(scope="module")
def world(server, both):
    return ways.World(server, both[0])


@pytest.mark.parametrize("way", [*ways.ALL, *ways.BARE])
def test_no_way_leads_in(world, way):
    """eve may look at the schema, and has no right on the table."""
    eve = world.asker("eve")
    {**ways.ALL, **ways.BARE}[way](eve)
    assert eve.heard
    assert not ways.marks(eve), "\n".join(eve.heard)[:5000]


@pytest.mark.parametrize("way", ways.ALL)
def test_each_way_leads_the_owner_in(world, way):
    """What finds nothing where there is something would prove nothing."""
    ana = world.asker("ana")
    ways.ALL[way](ana)
    assert ways.marks(ana), "\n".join(ana.heard)[:5000]


@pytest.fixture
def lent(world):
    """A table that eve may read for now, her session, and her login over HTTP with a session there."""
    world.ana.execute("CREATE TABLE vault.lent (id INT, note TEXT)")
    world.ana.execute("INSERT INTO vault.lent VALUES (1, 'hush7f3a')")
    world.ana.execute("GRANT SELECT ON vault.lent TO eve")
    yield world.asker("eve")
    world.ana.execute("DROP TABLE vault.lent CASCADE")


def refused(run, code="42501") -> None:
    with pytest.raises(psycopg.Error) as error:
        run()
    assert error.value.sqlstate == code, error.value


def test_what_was_prepared_is_asked_for_again(world, lent):
    eve, sql = lent.connection, "SELECT note FROM vault.lent WHERE id = %s"
    assert eve.execute(sql, (1,), prepare=True).fetchall() == [("hush7f3a",)]
    session = str(uuid.uuid4())
    assert lent.client.sql("SELECT note FROM vault.lent", session=session) == [{"note": "hush7f3a"}]
    world.ana.execute("REVOKE SELECT ON vault.lent FROM eve")
    refused(lambda: eve.execute(sql, (1,), prepare=True))
    for more in ({"session": session}, {}):
        with pytest.raises(polder.Failed) as error:
            lent.client.sql("SELECT note FROM vault.lent", **more)
        assert (error.value.status, error.value.code) == (403, "42501")


def test_a_transaction_is_asked_anew(world, lent):
    """What is taken away is gone in transactions that are open, and what they grant themselves is there."""
    eve, sql = lent.connection, "SELECT note FROM vault.lent"
    eve.execute("BEGIN")
    assert eve.execute(sql).fetchall() == [("hush7f3a",)]
    world.ana.execute("REVOKE SELECT ON vault.lent FROM eve")
    refused(lambda: eve.execute(sql))
    eve.execute("ROLLBACK")
    world.ana.execute("GRANT SELECT ON vault.lent TO eve")
    eve.execute("BEGIN")
    eve.execute("CREATE TABLE lab.aside AS SELECT note FROM vault.lent")
    world.ana.execute("CREATE POLICY own ON vault.lent USING (note = 'open')")
    world.ana.execute("ALTER TABLE vault.lent ENABLE ROW LEVEL SECURITY")
    assert eve.execute(sql).fetchall() == []
    assert eve.execute("SELECT note FROM lab.aside").fetchall() == [("hush7f3a",)]
    eve.execute("ROLLBACK")
    with world.connect("ana") as ana:
        ana.execute("BEGIN")
        assert ana.execute(sql).fetchall() == [("hush7f3a",)]
        ana.execute("GRANT INSERT ON vault.lent TO eve")
        world.ana.execute("CREATE TABLE vault.other (id INT)")
        assert ana.execute("SELECT has_table_privilege('eve', 'vault.lent', 'INSERT')").fetchone() == (True,)
        assert ana.execute(sql).fetchall() == [("hush7f3a",)]
        ana.execute("ROLLBACK")
    world.ana.execute("DROP TABLE vault.other")


def test_a_role_that_was_taken_on_is_gone_with_its_membership(world, lent):
    """In a session, in a transaction, and in what stands above the role that was granted."""
    eve = lent.connection
    for sql in ("CREATE ROLE lender", "CREATE ROLE middle", "GRANT lender TO middle", "GRANT middle TO eve"):
        world.root.execute(sql)
    world.ana.execute("REVOKE SELECT ON vault.lent FROM eve")
    world.ana.execute("GRANT SELECT ON vault.lent TO lender")
    world.root.execute("GRANT USAGE ON SCHEMA vault TO lender")
    sql = "SELECT note FROM vault.lent"
    eve.execute("SET ROLE lender")
    assert eve.execute(sql).fetchall() == [("hush7f3a",)]
    world.root.execute("REVOKE middle FROM eve")
    refused(lambda: eve.execute(sql))
    refused(lambda: eve.execute("SELECT 1"))
    eve.execute("RESET ROLE")
    assert eve.execute("SELECT current_user").fetchone() == ("eve",)
    refused(lambda: eve.execute("SET ROLE lender"))
    world.root.execute("GRANT middle TO eve")
    eve.execute("BEGIN")
    eve.execute("SET LOCAL ROLE lender")
    assert eve.execute(sql).fetchall() == [("hush7f3a",)]
    world.root.execute("REVOKE middle FROM eve")
    refused(lambda: eve.execute(sql))
    eve.execute("ROLLBACK")
    assert eve.execute("SELECT current_user").fetchone() == ("eve",)
    world.ana.execute("REVOKE ALL ON vault.lent FROM lender")
    world.root.execute("REVOKE ALL ON SCHEMA vault FROM lender")
    world.root.execute("DROP ROLE middle, lender")


def test_old_versions_are_read_by_the_grants_of_now(world, lent):
    version = world.root.execute("SELECT max(snapshot) FROM polder.snapshots").fetchone()[0]
    old = f"SELECT note FROM vault.lent AT (VERSION => {version})"
    assert lent.connection.execute(old).fetchall() == [("hush7f3a",)]
    world.ana.execute("REVOKE SELECT ON vault.lent FROM eve")
    refused(lambda: lent.connection.execute(old))
    lent.connection.execute(f"SET snapshot = {version}")
    refused(lambda: lent.connection.execute("SELECT note FROM vault.lent"))
    lent.connection.execute("RESET snapshot")
    refused(lambda: lent.connection.execute("SELECT * FROM table_changes('vault.lent', 1)"))


def test_a_table_of_that_name_is_another_table(world, lent):
    """What was granted on one that was dropped is not granted on the next one."""
    world.ana.execute("DROP TABLE vault.lent")
    world.ana.execute("CREATE TABLE vault.lent (id INT, note TEXT)")
    refused(lambda: lent.connection.execute("SELECT * FROM vault.lent"))
    world.ana.execute("CREATE OR REPLACE TABLE vault.lent (id INT, note TEXT)")
    refused(lambda: lent.connection.execute("SELECT * FROM vault.lent"))


def test_a_clone_of_an_old_version_is_of_a_table_that_one_may_read(world, lent):
    """Whatever has its name today: the table that had it then is asked of."""
    def version() -> int:
        return world.root.execute("SELECT max(snapshot) FROM polder.snapshots").fetchone()[0]

    eve, old = lent.connection, version()
    eve.execute(f"CREATE TABLE lab.cloned CLONE vault.lent AT (VERSION => {old})")
    world.ana.execute("DROP TABLE vault.lent")
    world.ana.execute("CREATE TABLE vault.lent (id INT, note TEXT)")
    world.ana.execute("GRANT SELECT ON vault.lent TO eve")
    refused(lambda: eve.execute(f"CREATE TABLE lab.stolen CLONE vault.lent AT (VERSION => {old})"))
    refused(lambda: eve.execute(f"CREATE OR REPLACE TABLE lab.cloned CLONE vault.lent AT (VERSION => {old})"))
    eve.execute("BEGIN")
    refused(lambda: eve.execute(f"CREATE TABLE lab.stolen CLONE vault.lent AT (VERSION => {old})"))
    eve.execute("ROLLBACK")
    world.root.execute("CREATE TABLE lab.mine (note TEXT)")
    world.root.execute("INSERT INTO lab.mine VALUES ('anas')")
    hers = version()
    world.root.execute("DROP TABLE lab.mine")
    eve.execute("CREATE TABLE lab.mine (note TEXT)")
    refused(lambda: eve.execute(f"CREATE TABLE lab.stolen CLONE lab.mine AT (VERSION => {hers})"))
    for table in ("cloned", "mine"):
        eve.execute(f"DROP TABLE lab.{table}")


def test_a_clone_of_a_table_that_was_renamed_is_asked_by_its_new_name(world, lent):
    """Whoever may read it today clones what it was under its old name, and nobody else."""
    eve = lent.connection
    world.root.execute("CREATE SCHEMA attic")
    world.root.execute("CREATE TABLE attic.old (id INT)")
    world.root.execute("INSERT INTO attic.old VALUES (7)")
    version = world.root.execute("SELECT max(snapshot) FROM polder.snapshots").fetchone()[0]
    world.root.execute("ALTER TABLE attic.old RENAME TO older")
    clone = f"CREATE TABLE lab.cloned CLONE attic.old AT (VERSION => {version})"
    refused(lambda: eve.execute(clone))
    world.root.execute("GRANT USAGE ON SCHEMA attic TO eve")
    refused(lambda: eve.execute(clone))
    world.root.execute("GRANT SELECT ON attic.older TO eve")
    eve.execute(clone)
    assert eve.execute("SELECT id FROM lab.cloned").fetchall() == [(7,)]
    eve.execute("DROP TABLE lab.cloned")
    # Another table has the old name by now, which says nothing.
    world.root.execute("CREATE TABLE attic.old (id INT)")
    eve.execute(clone)
    eve.execute("DROP TABLE lab.cloned")
    # In another schema it is the same table, and what was granted on it goes along.
    world.root.execute("CREATE SCHEMA cellar")
    world.root.execute("ALTER TABLE attic.older SET SCHEMA cellar")
    refused(lambda: eve.execute(clone))
    world.root.execute("GRANT USAGE ON SCHEMA cellar TO eve")
    eve.execute(clone)
    assert eve.execute("SELECT id FROM lab.cloned").fetchall() == [(7,)]
    eve.execute("DROP TABLE lab.cloned")
    # A clone of it is another table: it says nothing of this one once it is gone.
    world.root.execute("CREATE TABLE cellar.copy CLONE cellar.older")
    world.root.execute("GRANT SELECT ON cellar.copy TO eve")
    world.root.execute("DROP TABLE cellar.older")
    refused(lambda: eve.execute(clone))
    world.root.execute("DROP SCHEMA attic CASCADE")
    world.root.execute("DROP SCHEMA cellar CASCADE")


def test_a_view_that_was_narrowed_is_not_read_as_it_was(world, lent):
    ana, eve = world.ana, lent.connection
    ana.execute("CREATE VIEW vault.narrowed AS SELECT note, 'no secret' AS kind FROM vault.lent")
    ana.execute("CREATE VIEW vault.above AS SELECT note FROM vault.narrowed")
    ana.execute("CREATE VIEW vault.steady AS SELECT kind FROM vault.narrowed")
    before = world.root.execute("SELECT max(snapshot) FROM polder.snapshots").fetchone()[0]
    ana.execute("CREATE OR REPLACE VIEW vault.narrowed AS SELECT note, 'no secret' AS kind FROM vault.lent WHERE false")
    for view in ("narrowed", "above", "steady"):
        ana.execute(f"GRANT SELECT ON vault.{view} TO eve")
    assert eve.execute("SELECT note FROM vault.narrowed").fetchall() == []
    eve.execute(f"SET snapshot = {before}")
    for view in ("narrowed", "above", "steady"):
        refused(lambda view=view: eve.execute(f"SELECT * FROM vault.{view}"))
    eve.execute("RESET snapshot")
    with world.connect("ana") as owner:
        owner.execute(f"SET snapshot = {before}")
        assert owner.execute("SELECT note FROM vault.narrowed").fetchall() == [("hush7f3a",)]
    for view in ("above", "steady", "narrowed"):
        ana.execute(f"DROP VIEW vault.{view}")


def test_a_view_of_what_was_narrowed_or_swapped_is_not_read_as_it_was(world, lent):
    ana, eve = world.ana, lent.connection
    ana.execute("CREATE TABLE vault.inner_new (id INT, note TEXT)")
    ana.execute("CREATE FUNCTION vault.notes() RETURNS TABLE (note TEXT) LANGUAGE SQL AS 'SELECT note FROM vault.lent'")
    ana.execute("CREATE VIEW vault.by_function AS SELECT * FROM vault.notes()")
    ana.execute("CREATE TABLE vault.inner_old AS SELECT id, note FROM vault.lent")
    ana.execute("CREATE VIEW vault.by_table AS SELECT note FROM vault.inner_old")
    before = world.root.execute("SELECT max(snapshot) FROM polder.snapshots").fetchone()[0]
    ana.execute("CREATE OR REPLACE FUNCTION vault.notes() RETURNS TABLE (note TEXT) LANGUAGE SQL AS 'SELECT note FROM vault.lent WHERE false'")
    ana.execute("ALTER TABLE vault.inner_old SWAP WITH vault.inner_new")
    for view in ("by_function", "by_table"):
        ana.execute(f"GRANT SELECT ON vault.{view} TO eve")
        assert eve.execute(f"SELECT note FROM vault.{view}").fetchall() == []
        eve.execute(f"SET snapshot = {before}")
        refused(lambda view=view: eve.execute(f"SELECT note FROM vault.{view}"))
        eve.execute("RESET snapshot")
        ana.execute(f"DROP VIEW vault.{view}")
    ana.execute("DROP FUNCTION vault.notes")
    for table in ("inner_old", "inner_new"):
        ana.execute(f"DROP TABLE vault.{table}")


def test_a_job_has_its_owners_rights(world, lent):
    eve = lent.client
    eve.sql("CREATE JOB copies AS CREATE OR REPLACE TABLE lab.copied AS SELECT note FROM vault.lent")
    assert run_of(eve, "copies")["state"] == "done"
    world.ana.execute("REVOKE SELECT ON vault.lent FROM eve")
    run = run_of(eve, "copies")
    assert (run["state"], run["error_code"]) == ("failed", "42501")
    for sql in ("DROP JOB reads", "ALTER JOB reads PAUSE", "RUN JOB reads"):
        refused(lambda sql=sql: lent.connection.execute(sql), "42704")
    refused(lambda: lent.connection.execute("CREATE OR REPLACE JOB reads AS SELECT 1"), "42710")
    for method, path in (("POST", "/jobs/reads/run"), ("POST", "/jobs/reads/pause"), ("DELETE", "/jobs/reads"), ("POST", f"/runs/{world.run}/again"), ("DELETE", f"/runs/{world.run}")):
        with pytest.raises(polder.Failed) as error:
            eve.request(method, path)
        assert error.value.status in (403, 404), (method, path)
    eve.sql("DROP JOB copies")


def run_of(client: polder.Client, job: str) -> dict:
    """Runs a job to its end."""
    run = next(iter(client.sql(f"RUN JOB {job}")[0].values()))
    deadline = time.monotonic() + polder.SOON_SECONDS
    while time.monotonic() < deadline:
        found = client.sql(f"SELECT state, error_code FROM polder.runs WHERE run_id = '{run}'")
        if found and found[0]["state"] not in ("waiting", "running"):
            return found[0]
        time.sleep(0.05)
    raise TimeoutError(f"the run {run} did not end")


def test_nobody_stops_what_others_run(world):
    ana, eve = (world.asker(name) for name in ("ana", "eve"))
    ana.connection.execute("BEGIN")
    query = str(uuid.uuid4())
    sleeper = threading.Thread(target=lambda: ana.client.http.post(
        f"{ana.client.url}/api/v1/statements", json={"sql": "SELECT pg_sleep(5)", "format": "json", "query_id": query}, timeout=60))
    sleeper.start()
    deadline = time.monotonic() + polder.SOON_SECONDS
    while query not in ana.http("GET", "/running"):
        assert time.monotonic() < deadline
    assert query not in eve.http("GET", "/running")
    with pytest.raises(polder.Failed) as error:
        eve.client.request("DELETE", f"/queries/{query}")
    assert error.value.status in (403, 404)
    eve.sql(f"SELECT pg_cancel_backend({ana.connection.info.backend_pid})", f"SELECT pg_terminate_backend({ana.connection.info.backend_pid})")
    ana.client.request("DELETE", f"/queries/{query}")
    sleeper.join()
    assert ana.connection.execute("SELECT 1 AS one").fetchone() == (1,)
    ana.connection.execute("ROLLBACK")


def test_limits_of_a_role_are_told_and_hold(world):
    """By whatever way: they may be set lower, and no higher but by superusers."""
    limits = {"statement_timeout": ("10min", "9min", "11min"), "statement_memory": ("64MB", "32MB", "65MB"), "max_bytes_scanned": ("1GB", "1MB", "2GB"), "max_bytes_scanned_per_day": ("1TB", "1GB", "2TB")}
    world.root.execute(f"CREATE ROLE frugal LOGIN PASSWORD '{permissions.PASSWORD}'")
    for name, (most, *_) in limits.items():
        world.root.execute(f"ALTER ROLE frugal SET {name} = '{most}'")
    with world.connect("frugal") as frugal:
        client, session = world.asker("frugal").client, str(uuid.uuid4())

        def by_postgres(sql: str):
            cursor = frugal.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None

        def by_http(sql: str):
            rows = client.sql(sql, session=session)
            return next(iter(rows[0].values())) if rows else None

        for run, failed in ((by_postgres, psycopg.Error), (by_http, polder.Failed)):
            for name, (most, less, more) in limits.items():
                assert run(f"SHOW {name}") == most
                assert run(f"SELECT current_setting('{name}') AS it") == most
                for wider in (more, "0"):
                    with pytest.raises(failed) as error:
                        run(f"SET {name} = '{wider}'")
                    assert "permission denied to set parameter" in str(error.value), name
                    assert run(f"SHOW {name}") == most
                run(f"SET {name} = '{less}'")
                assert run(f"SHOW {name}") == less
                run(f"SET {name} = '{most}'")
                run(f"SET {name} = '{less}'")
                run(f"RESET {name}")
                assert run(f"SHOW {name}") == most
        refused(lambda: frugal.execute("ALTER ROLE frugal SET statement_timeout = 0"))
        frugal.execute("SET statement_timeout = '500ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            frugal.execute("SELECT pg_sleep(5)")
        # A cursor that nobody asks for rows takes no time.
        with frugal.transaction():
            frugal.execute("DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 100000)")
            assert frugal.execute("FETCH 1 FROM c").fetchone() == (1,)
            time.sleep(0.8)
            assert len(frugal.execute("FETCH 5000 FROM c").fetchall()) == 5_000
    whoever = address(world.server, user="frugal", password=permissions.PASSWORD)
    with pytest.raises(psycopg.OperationalError, match="permission denied to set parameter"):
        psycopg.connect(**whoever, options="-c statement_timeout=20min")
    with psycopg.connect(**whoever, options="-c statement_timeout=1min", autocommit=True) as hasty:
        assert hasty.execute("SHOW statement_timeout").fetchone() == ("1min",)
        hasty.execute("SET statement_timeout = '2min'")
        hasty.execute("RESET ALL")
        assert hasty.execute("SHOW statement_timeout").fetchone() == ("1min",)


def test_loads_ask_for_rights(world):
    eve = world.asker("eve").client
    for into, mode in (("vault.staff", "append"), ("vault.staff", "replace"), ("vault.mine", "create")):
        upload = eve.upload("rows.csv", b"id,team,salary\n77,red,1\n")
        with pytest.raises(polder.Failed) as error:
            status = eve.load(upload_ids=[upload], into=into, mode=mode)
            raise polder.Failed(403, {"code": (status["error"] or {}).get("code"), "message": str(status)})
        assert error.value.code == "42501", (into, mode, str(error.value))
    assert world.ana.execute("SELECT count(*) FROM vault.staff").fetchone() == (ways.ROWS,)
    refused(lambda: world.connect("eve").execute("COPY lab.nosuch FROM '/etc/passwd'"))
    refused(lambda: world.connect("eve").execute("COPY (SELECT 1 AS a) TO '/tmp/polder-permissions.csv'"))


def test_a_load_is_asked_for_the_table_that_it_fills(world):
    """However its name is written: letters that become those of another name in lower case, and sessions' own schemas."""
    eve = world.asker("eve").client
    world.ana.execute("CREATE TABLE lab.stock (id INT, note TEXT)")
    schema = world.ana.execute("SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relname = 'aside'").fetchone()[0]
    for into in ("lab.stoc\u212a", "LAB.STOCK", "lab.\u00a0stock", f"{schema}.stock"):
        for mode in ("append", "replace"):
            with pytest.raises(polder.Failed) as error:
                status = eve.load(upload_ids=[eve.upload("rows.csv", b"id,note\n77,red\n")], into=into, mode=mode)
                raise polder.Failed(403, {"code": (status["error"] or {}).get("code"), "message": str(status)})
            assert error.value.code in ("42501", "22000"), (into, mode, str(error.value))
    assert world.ana.execute("SELECT count(*) FROM lab.stock").fetchone() == (0,)
    world.ana.execute("DROP TABLE lab.stock")


def test_rejected_rows_are_shown_to_the_tables_owner(world):
    """Whoever may put rows into a table gets no table by it in which they find the rows of others that cannot be read."""
    ana, eve = (world.asker(name).client for name in ("ana", "eve"))
    world.ana.execute("CREATE TABLE lab.stock (id INT, note TEXT)")
    world.ana.execute("GRANT INSERT ON lab.stock TO eve")
    assert eve.load(upload_ids=[eve.upload("rows.csv", b"id,note\nbad,red\n1,red\n")], into="lab.stock", mode="append")["state"] == "done"
    assert world.ana.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'stock__rejects'").fetchone() == ("ana",)
    assert ana.load(upload_ids=[ana.upload("rows.csv", b"id,note\nhush7f3a,red\n2,red\n")], into="lab.stock", mode="append")["state"] == "done"
    refused(lambda: world.connect("eve").execute("SELECT * FROM lab.stock__rejects"))
    world.ana.execute("ALTER TABLE lab.stock RENAME TO sold")
    world.ana.execute("CREATE TABLE lab.other (id INT, note TEXT)")
    world.connect("eve").execute("CREATE TABLE lab.other__rejects (a TEXT)")
    with pytest.raises(polder.Failed) as error:
        ana.load(upload_ids=[ana.upload("rows.csv", b"id,note\nhush7f3a,red\n2,red\n")], into="lab.other", mode="append")
    assert error.value.code == "42501"
    world.connect("eve").execute("DROP TABLE lab.other__rejects")
    world.ana.execute("DROP TABLE lab.sold, lab.other, lab.stock__rejects")


def test_runs_of_another_job_of_that_name_are_not_shown(world):
    """Neither those that are listed, nor their logs: they tell what was in tables."""
    ana, eve = (world.asker(name).client for name in ("ana", "eve"))
    ana.sql("CREATE JOB nightly AS SELECT note::int FROM vault.staff WHERE id = 3")
    assert run_of(ana, "nightly")["state"] == "failed"
    run = ana.value("SELECT run_id FROM polder.runs WHERE job_name = 'nightly'")
    ana.sql("DROP JOB nightly")
    eve.sql("CREATE JOB nightly AS SELECT 1")
    assert eve.sql("SELECT * FROM polder.runs WHERE job_name = 'nightly'") == []
    assert eve.get("/runs?job=nightly")["runs"] == []
    for method, path in (("GET", f"/runs/{run}"), ("GET", f"/runs/{run}/log"), ("POST", f"/runs/{run}/again")):
        with pytest.raises(polder.Failed) as error:
            eve.request(method, path)
        assert error.value.status == 404, path
    assert run_of(eve, "nightly")["state"] == "done"
    assert len(eve.sql("SELECT * FROM polder.runs WHERE job_name = 'nightly'")) == 1
    eve.sql("DROP JOB nightly")


def test_a_job_belongs_to_the_role_that_makes_it(world):
    """A superuser who has given up rights for a while leaves no job behind that has them."""
    with world.connect(None) as root:
        root.execute("SET ROLE eve")
        root.execute("CREATE JOB peeks AS SELECT * FROM vault.staff")
        root.execute("RESET ROLE")
    client = world.server.client()
    assert client.value("SELECT owner FROM polder.jobs WHERE job_name = 'peeks'") == "eve"
    assert run_of(client, "peeks")["error_code"] == "42501"
    client.sql("DROP JOB peeks")


def test_a_job_is_given_to_another_role(world):
    """By its owner, to roles that it is a member of; it runs with the new one's rights, and is otherwise what it was."""
    ana, eve, root = world.ana, world.connect("eve"), world.server.client()
    world.root.execute("CREATE ROLE crew")
    world.root.execute("GRANT crew TO ana")
    ana.execute("CREATE JOB handed SCHEDULE '0 0 1 1 *' TIMEOUT '1 hour' AS SELECT * FROM vault.staff")
    ana.execute("ALTER JOB handed PAUSE")
    before = root.sql("SELECT schedule, timeout_seconds, is_paused, sql, created_at FROM polder.jobs WHERE job_name = 'handed'")
    refused(lambda: ana.execute("ALTER JOB handed OWNER TO eve"))
    refused(lambda: ana.execute("ALTER JOB handed OWNER TO nosuch"), "42704")
    refused(lambda: eve.execute("ALTER JOB handed OWNER TO eve"), "42704")
    ana.execute("ALTER JOB handed OWNER TO crew")
    assert root.value("SELECT owner FROM polder.jobs WHERE job_name = 'handed'") == "crew"
    ana.execute("ALTER JOB handed OWNER TO CURRENT_USER")
    world.root.execute("ALTER JOB handed OWNER TO eve")
    assert root.value("SELECT owner FROM polder.jobs WHERE job_name = 'handed'") == "eve"
    assert root.sql("SELECT schedule, timeout_seconds, is_paused, sql, created_at FROM polder.jobs WHERE job_name = 'handed'") == before
    refused(lambda: ana.execute("RUN JOB handed"), "42704")
    assert run_of(root, "handed")["error_code"] == "42501"
    refused(lambda: world.root.execute("ALTER JOB compaction OWNER TO eve"), "42809")
    told = "SELECT user_name, message FROM polder.audit WHERE object = 'job handed'"
    wanted = {("ana", "to crew"), ("ana", "to ana"), ("polder", "to eve")}
    wait_until(lambda: {tuple(row.values()) for row in root.sql(told)} == wanted, "it is not told")
    eve.execute("DROP JOB handed")
    eve.close()
    world.root.execute("DROP ROLE crew")


def test_whoever_saved_a_query_changes_it(world):
    """Everybody may look at it and run it: nobody else puts another text into it."""
    ana, eve = (polder.Client(world.server.url).login(name, permissions.PASSWORD) for name in ("ana", "eve"))
    saved = ana.post("/saved-queries", json={"name": "staff", "sql": "SELECT 1"}).json()["id"]
    for method, options in (("PUT", {"json": {"name": "staff", "sql": "DROP TABLE vault.staff"}}), ("DELETE", {})):
        with pytest.raises(polder.Failed) as error:
            eve.request(method, f"/saved-queries/{saved}", **options)
        assert (error.value.status, error.value.code) == (403, "42501"), method
    assert [query["sql"] for query in eve.get("/saved-queries")["queries"] if query["id"] == saved] == ["SELECT 1"]
    ana.request("PUT", f"/saved-queries/{saved}", json={"name": "staff", "sql": "SELECT 2"})
    world.server.client().request("DELETE", f"/saved-queries/{saved}")


def test_the_audit(world, lent):
    """Grants, refusals and logins are told, to superusers."""
    refused(lambda: lent.connection.execute("SELECT * FROM vault.staff"))
    refused(lambda: lent.connection.execute("SELECT * FROM polder.audit"))
    world.ana.execute("GRANT INSERT ON vault.lent TO eve")
    world.root.execute("CREATE ROLE auditor")
    world.root.execute("GRANT auditor TO eve")
    deadline = time.monotonic() + polder.SOON_SECONDS
    while True:
        told = world.root.execute("SELECT event, user_name, object, outcome, error_code FROM polder.audit").fetchall()
        events = {(event, user, outcome, code) for event, user, _, outcome, code in told}
        wanted = {("login", "eve", "ok", None), ("statement", "eve", "refused", "42501"), ("grant", "ana", "ok", None), ("create role", "polder", "ok", None)}
        if wanted <= events or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert wanted <= events, sorted(events, key=str)
    assert any("lent" in str(row) and row[0] == "grant" for row in told), told
    assert not any(mark in str(told) for mark in ways.HIDDEN)


def test_roles_outlive_a_restart(fresh, tmp_path):
    server = fresh(tmp_path / "data").start()
    with psycopg.connect(**address(server), autocommit=True) as root:
        for sql in (f"CREATE ROLE ana LOGIN PASSWORD '{permissions.PASSWORD}'", "CREATE ROLE team", "GRANT team TO ana", "CREATE TABLE sale (id INT)", "CREATE TABLE shut (id INT)", "GRANT SELECT ON sale TO team"):
            root.execute(sql)
    server.restart()
    with psycopg.connect(**address(server, user="ana", password=permissions.PASSWORD), autocommit=True) as ana:
        assert ana.execute("SELECT count(*) FROM sale").fetchone() == (0,)
        refused(lambda: ana.execute("SELECT count(*) FROM shut"))


def test_who_was_called_so_before_is_somebody_else(world):
    """A role that is made under the name of one that is gone, or is called otherwise now, is not told of what that one did."""
    secret = "SELECT 'hush7f3a' AS word"
    for name, other in (("fay", None), ("gus", "gil")):
        world.root.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{permissions.PASSWORD}'")
        world.connect(name).execute(secret)
        world.root.execute(f"ALTER ROLE {name} RENAME TO {other}" if other else f"DROP ROLE {name}")
        world.root.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{permissions.PASSWORD}'")
        again = world.asker(name)
        again.sql("SELECT sql FROM polder.queries")
        again.http("GET", "/queries")
        assert not ways.marks(again), again.heard
    assert world.root.execute("SELECT count(*) FROM polder.queries WHERE sql LIKE '%hush7f3a%' AND user_name IN ('fay (dropped)', 'gil')").fetchone() == (2,)
    world.root.execute("DROP ROLE fay, gus, gil")


def test_passwords_and_tokens_of_roles(world):
    client = polder.Client(world.server.url)
    with pytest.raises(polder.Failed) as error:
        client.login("eve", "not hers")
    assert error.value.status == 401
    eve = world.asker("eve")
    token = eve.client.post("/tokens", json={"name": "hers"}).json()["secret"]
    bearer = polder.Client(world.server.url)
    bearer.http.headers["Authorization"] = f"Bearer {token}"
    assert bearer.value("SELECT current_user AS me") == "eve"
    with pytest.raises(polder.Failed) as error:
        bearer.sql("SELECT * FROM vault.staff")
    assert error.value.code == "42501"
    world.root.execute("ALTER ROLE eve NOLOGIN")
    try:
        for run in (lambda: bearer.sql("SELECT 1 AS one"), lambda: polder.Client(world.server.url).login("eve", permissions.PASSWORD), lambda: eve.client.sql("SELECT 1 AS one")):
            with pytest.raises(polder.Failed) as error:
                run()
            assert error.value.status == 401
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            world.connect("eve")
    finally:
        world.root.execute("ALTER ROLE eve LOGIN")
