"""Row policies: the same scripts at Polder and at PostgreSQL, statement by statement the same answers. Masks are Polder's own."""

import pytest

import permissions

# A table of which everybody is shown their own rows.
NOTES = [
    "ana: CREATE TABLE note (id INT PRIMARY KEY, who TEXT, level INT, body TEXT)",
    "ana: INSERT INTO note VALUES (1, 'ben', 1, 'one'), (2, 'cas', 2, 'two'), (3, 'ben', 3, 'three'), (4, 'ana', 1, 'four')",
    "ana: GRANT ALL ON note TO ben, cas",
]
OWN = ["ana: CREATE POLICY own ON note USING (who = current_user)", "ana: ALTER TABLE note ENABLE ROW LEVEL SECURITY"]
LOOK = "SELECT id, level, body FROM note ORDER BY id"

SCRIPTS = {
    "reading": [*NOTES, f"ben: {LOOK}", "ana: CREATE POLICY own ON note USING (who = current_user)", f"ben: {LOOK}", "ana: ALTER TABLE note ENABLE ROW LEVEL SECURITY", f"ben: {LOOK}", f"cas: {LOOK}", f"ana: {LOOK}",
                f"root: {LOOK}", "ben: SELECT count(*) FROM note", "ana: ALTER TABLE note FORCE ROW LEVEL SECURITY", f"ana: {LOOK}", f"root: {LOOK}", "ana: ALTER TABLE note NO FORCE ROW LEVEL SECURITY", f"ana: {LOOK}",
                "ana: ALTER TABLE note DISABLE ROW LEVEL SECURITY", f"ben: {LOOK}", "ana: ALTER TABLE note ENABLE ROW LEVEL SECURITY", "ana: DROP POLICY own ON note", f"ben: {LOOK}", "ben: INSERT INTO note VALUES (9, 'ben', 1, 'x')"],
    "writing": [*NOTES, *OWN, "ben: INSERT INTO note VALUES (5, 'ben', 1, 'five')", "ben: INSERT INTO note VALUES (6, 'cas', 1, 'six')", "ben: INSERT INTO note SELECT id + 10, 'cas', level, body FROM note",
                "ben: UPDATE note SET body = 'mine'", "ben: UPDATE note SET who = 'cas' WHERE id = 1", "ben: UPDATE note SET body = 'x' WHERE id = 2", "ben: DELETE FROM note WHERE id IN (2, 3)",
                "ben: UPDATE note SET level = level + 1 RETURNING id, level", "ben: DELETE FROM note RETURNING id", f"ana: {LOOK}", "ben: TRUNCATE note", "ana: SELECT count(*) FROM note"],
    "conditions of what is written": [*NOTES, "ana: CREATE POLICY read ON note FOR SELECT USING (true)", "ana: CREATE POLICY make ON note FOR INSERT WITH CHECK (level < 3)",
                                      "ana: CREATE POLICY change ON note FOR UPDATE USING (who = current_user) WITH CHECK (level < 5)", "ana: CREATE POLICY drop ON note FOR DELETE USING (level = 1)",
                                      "ana: ALTER TABLE note ENABLE ROW LEVEL SECURITY", "ben: INSERT INTO note VALUES (5, 'x', 2, 'a')", "ben: INSERT INTO note VALUES (6, 'x', 3, 'a')", "ben: UPDATE note SET level = 4",
                                      "ben: UPDATE note SET level = 5", "ben: UPDATE note SET level = 1 WHERE who = 'cas'", "ben: UPDATE note SET who = 'cas' WHERE id = 1", "cas: DELETE FROM note", f"ana: {LOOK}",
                                      "ben: MERGE INTO note USING (VALUES (3), (8)) AS v (id) ON note.id = v.id WHEN MATCHED THEN UPDATE SET level = 2 WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'ben', 1, 'm')",
                                      "ben: MERGE INTO note USING (VALUES (9)) AS v (id) ON note.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'ben', 7, 'm')",
                                      "ben: MERGE INTO note USING (VALUES (2)) AS v (id) ON note.id = v.id WHEN MATCHED THEN UPDATE SET level = 2", f"ana: {LOOK}"],
    "conflicts": [*NOTES, *OWN, "ben: INSERT INTO note VALUES (1, 'ben', 9, 'x') ON CONFLICT (id) DO UPDATE SET level = excluded.level", "ben: INSERT INTO note VALUES (2, 'ben', 9, 'x') ON CONFLICT (id) DO UPDATE SET level = 9",
                  "ben: INSERT INTO note VALUES (2, 'ben', 9, 'x') ON CONFLICT (id) DO NOTHING", "ben: INSERT INTO note VALUES (2, 'ben', 9, 'x')", "ben: INSERT INTO note VALUES (1, 'ben', 9, 'x') ON CONFLICT (id) DO UPDATE SET who = 'cas'",
                  "ben: INSERT INTO note VALUES (7, 'cas', 9, 'x') ON CONFLICT DO NOTHING", f"ana: {LOOK}"],
    "several policies": [*NOTES, *OWN, "ana: CREATE POLICY low ON note FOR SELECT TO cas USING (level = 1)", f"cas: {LOOK}", f"ben: {LOOK}", "ana: CREATE POLICY narrow ON note AS RESTRICTIVE USING (level < 3)", f"cas: {LOOK}", f"ben: {LOOK}",
                         "ben: INSERT INTO note VALUES (5, 'ben', 4, 'x')", "ben: UPDATE note SET level = 3", "ana: ALTER POLICY narrow ON note USING (level < 2) WITH CHECK (level < 9)", "ben: INSERT INTO note VALUES (5, 'ben', 4, 'x')",
                         f"ben: {LOOK}", "ana: ALTER POLICY narrow ON note TO cas", f"ben: {LOOK}", "ana: ALTER POLICY narrow ON note RENAME TO tight", "ana: DROP POLICY narrow ON note", "ana: DROP POLICY IF EXISTS narrow ON note",
                         "ana: DROP POLICY own ON note", f"ben: {LOOK}", f"cas: {LOOK}"],
    "groups": [*NOTES, "ana: CREATE POLICY all_of_it ON note TO team USING (true)", "ana: ALTER TABLE note ENABLE ROW LEVEL SECURITY", f"ben: {LOOK}", "root: GRANT team TO ben", f"ben: {LOOK}", "root: ALTER ROLE ben NOINHERIT", f"ben: {LOOK}",
               "ana: GRANT SELECT ON note TO team", "ben: SET ROLE team", f"ben: {LOOK}", "ben: RESET ROLE", "root: DROP ROLE team", "root: ALTER ROLE cas BYPASSRLS", f"cas: {LOOK}", "root: ALTER ROLE cas NOBYPASSRLS", f"cas: {LOOK}"],
    "by a table of who may see what": [*NOTES, "ana: CREATE TABLE may (who TEXT, level INT)", "ana: INSERT INTO may VALUES ('ben', 1), ('ben', 2)", "ana: GRANT SELECT ON may TO ben",
                                       "ana: CREATE POLICY listed ON note USING (level IN (SELECT m.level FROM may m WHERE m.who = current_user))", "ana: ALTER TABLE note ENABLE ROW LEVEL SECURITY", f"ben: {LOOK}",
                                       "ana: GRANT SELECT ON may TO cas", f"cas: {LOOK}", "ana: INSERT INTO may VALUES ('cas', 3)", f"cas: {LOOK}"],
    "views": [*NOTES, *OWN, "ana: CREATE VIEW seen AS SELECT id, who FROM note", "ana: GRANT SELECT ON seen TO ben", "ben: SELECT * FROM seen ORDER BY id", "root: GRANT CREATE ON SCHEMA shop TO ben", "ben: CREATE VIEW mine AS SELECT id FROM note",
              "ben: GRANT SELECT ON mine TO cas", "cas: SELECT * FROM mine ORDER BY id", "ben: SELECT * FROM mine ORDER BY id", "ana: ALTER TABLE note FORCE ROW LEVEL SECURITY", "ana: SELECT * FROM seen ORDER BY id",
              "ben: SELECT * FROM seen ORDER BY id", "ana: CREATE MATERIALIZED VIEW kept AS SELECT id FROM note", "ana: SELECT * FROM kept ORDER BY id", "ben: CREATE MATERIALIZED VIEW own AS SELECT id FROM note",
              "ben: SELECT * FROM own ORDER BY id", "root: REFRESH MATERIALIZED VIEW own", "ben: SELECT * FROM own ORDER BY id"],
    "those who want all or nothing": [*NOTES, *OWN, "ben: SET row_security = off", f"ben: {LOOK}", "ben: COPY note TO STDOUT", "ben: UPDATE note SET level = 1", "ben: SELECT count(*) FROM (SELECT 1) AS x", "ana: SET row_security = off",
                                      "ana: SELECT count(*) FROM note", "ben: SHOW row_security", "ben: RESET row_security", f"ben: {LOOK}", "ben: COPY note (id) TO STDOUT"],
    "taking on a role": [*NOTES, *OWN, "root: GRANT cas TO ben", f"ben: {LOOK}", "ben: PREPARE p AS SELECT id FROM note ORDER BY id", "ben: EXECUTE p", "ben: SET ROLE cas", "ben: EXECUTE p", f"ben: {LOOK}", "ben: RESET ROLE", "ben: EXECUTE p",
                         "ben: BEGIN", "ben: SET LOCAL ROLE cas", "ben: SELECT id FROM note ORDER BY id", "ben: DECLARE c CURSOR FOR SELECT id FROM note ORDER BY id", "ben: FETCH ALL FROM c", "ben: COMMIT",
                         "root: SET ROLE ben", "root: SELECT id FROM note ORDER BY id", "root: RESET ROLE"],
    "making and changing": [*NOTES, "ben: CREATE POLICY own ON note USING (true)", "ben: ALTER TABLE note ENABLE ROW LEVEL SECURITY", "ana: CREATE POLICY own ON note USING (true)", "ana: CREATE POLICY own ON note USING (true)",
                            "ana: CREATE POLICY x ON nosuch USING (true)", "ana: CREATE POLICY x ON note USING (nosuch = 1)", "ana: CREATE POLICY x ON note USING (level)", "ana: CREATE POLICY x ON note FOR INSERT USING (true)",
                            "ana: CREATE POLICY x ON note FOR SELECT WITH CHECK (true)", "ana: CREATE POLICY x ON note TO nosuch USING (true)", "ana: CREATE VIEW v AS SELECT 1 AS a",
                            "ana: CREATE POLICY x ON v USING (true)", "ana: ALTER POLICY own ON note WITH CHECK (level > 1)", "ana: ALTER POLICY nosuch ON note USING (true)", "ana: CREATE POLICY other ON note", "ana: ALTER POLICY other ON note RENAME TO own",
                            "ana: DROP POLICY nosuch ON note", "ana: DROP TABLE note"],
    "columns that policies name": [*NOTES, *OWN, "ana: ALTER TABLE note RENAME COLUMN who TO owner", "ben: SELECT id FROM note ORDER BY id", "ana: ALTER TABLE note RENAME TO memo",
                                   "ben: SELECT id FROM memo ORDER BY id", "ana: ALTER TABLE memo DROP COLUMN owner CASCADE", "ben: SELECT id FROM memo ORDER BY id"],
    "what the catalog says": [*NOTES, *OWN, "ana: CREATE POLICY low ON note AS RESTRICTIVE FOR UPDATE TO ben USING (level = 1) WITH CHECK (level < 5)",
                              "cas: SELECT policyname, permissive, roles, cmd FROM pg_policies WHERE tablename = 'note' AND schemaname = 'shop' ORDER BY 1", "cas: SELECT qual IS NULL, with_check IS NULL FROM pg_policies WHERE tablename = 'note' AND schemaname = 'shop' ORDER BY policyname",
                              "cas: SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'note'::regclass", "cas: SELECT polname, polcmd, polpermissive FROM pg_policy WHERE polrelid = 'note'::regclass ORDER BY 1",
                              "cas: SELECT rowsecurity FROM pg_tables WHERE tablename = 'note' AND schemaname = 'shop'",
                              "root: DROP ROLE ben", "root: SELECT rolbypassrls FROM pg_roles WHERE rolname = 'ben'"],
    "errors of policies": [*NOTES, "ana: CREATE TABLE may (level INT)", "ana: CREATE POLICY listed ON note USING (level IN (SELECT m.level FROM may m))", "ana: ALTER TABLE note ENABLE ROW LEVEL SECURITY", f"ben: {LOOK}",
                           "ana: CREATE POLICY x ON note USING (count(*) > 1)", "ben: DROP POLICY listed ON note", "ana: CREATE POLICY own ON note USING (who = 'ben')", "ana: ALTER TABLE note DROP COLUMN who"],
    "whether policies hold": [*NOTES, *OWN, "ben: SELECT row_security_active('note') AS active", "ana: SELECT row_security_active('note') AS active"],
    "in transactions": [*NOTES, *OWN, "ana: BEGIN", "ana: ALTER TABLE note DISABLE ROW LEVEL SECURITY", "ana: DROP POLICY own ON note", "ana: ROLLBACK", f"ben: {LOOK}", "ben: BEGIN", "ben: UPDATE note SET who = 'cas'", "ben: ROLLBACK",
                        "ben: BEGIN", "ben: SAVEPOINT a", "ben: INSERT INTO note VALUES (5, 'cas', 1, 'x')", "ben: ROLLBACK TO a", "ben: INSERT INTO note VALUES (5, 'ben', 1, 'x')", "ben: COMMIT", f"ben: {LOOK}"],
}


@pytest.fixture(scope="module")
def both(server):
    with permissions.both(server) as makers:
        yield makers


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_as_postgresql(both, name):
    permissions.compare(*both, SCRIPTS[name])


def test_copy_asks_the_policies_too(both):
    """PostgreSQL refuses it."""
    polder, _ = both
    with polder(None) as root:
        root.execute(f"CREATE ROLE clerk LOGIN PASSWORD '{permissions.PASSWORD}'")
        root.execute("CREATE TABLE public.entry (id INT, level INT)")
        root.execute("GRANT SELECT, INSERT ON public.entry TO clerk")
        root.execute("CREATE POLICY low ON public.entry USING (level < 3)")
        root.execute("ALTER TABLE public.entry ENABLE ROW LEVEL SECURITY")
        with polder("clerk") as clerk:
            assert permissions.answer(clerk, "COPY public.entry FROM STDIN\n1\t1\n2\t2\n") == ("COPY 2", None)
            refused = ("42501", 'new row violates row-level security policy for table "entry"')
            assert permissions.answer(clerk, "COPY public.entry FROM STDIN\n3\t1\n4\t4\n") == refused
            assert permissions.answer(clerk, "INSERT INTO public.entry VALUES (5, 5)") == refused
        assert root.execute("SELECT id FROM public.entry ORDER BY id").fetchall() == [(1,), (2,)]


def test_masks(both):
    """Whoever sees through sees what is stored; for others the mask is the value. Owners and superusers see through."""
    polder, _ = both
    with polder(None) as root:
        for sql in (f"CREATE ROLE dora LOGIN PASSWORD '{permissions.PASSWORD}'", f"CREATE ROLE emil LOGIN PASSWORD '{permissions.PASSWORD}'", "CREATE ROLE payroll",
                    "CREATE TABLE public.person (id INT, mail TEXT, salary NUMERIC(10, 2), born DATE)", "INSERT INTO public.person VALUES (1, 'ada@example.org', 5000, '1990-05-17')",
                    "GRANT SELECT, UPDATE ON public.person TO dora, emil", "GRANT payroll TO emil",
                    "ALTER TABLE public.person ALTER COLUMN mail SET MASK (regexp_replace(mail, '^[^@]*', '***'))", "ALTER TABLE public.person ALTER COLUMN salary SET MASK (NULL) EXCEPT TO payroll",
                    "ALTER TABLE public.person ALTER born SET MASK (date_trunc('year', born)::date)"):
            root.execute(sql)
        look = "SELECT mail, salary::text, born::text FROM public.person"
        with polder("dora") as dora, polder("emil") as emil:
            assert dora.execute(look).fetchall() == [("***@example.org", None, "1990-01-01")]
            assert emil.execute(look).fetchall() == [("***@example.org", "5000.00", "1990-01-01")]
            assert root.execute(look).fetchall() == [("ada@example.org", "5000.00", "1990-05-17")]
            assert permissions.answer(dora, "UPDATE public.person SET salary = 1 WHERE mail LIKE 'ada%'") == ("UPDATE 0", None)
            for sql in ("ALTER TABLE public.person ALTER COLUMN mail DROP MASK", "ALTER TABLE public.person ALTER COLUMN mail SET MASK (mail)"):
                assert permissions.answer(dora, sql) == ("42501", "must be owner of table person")
            root.execute("ALTER TABLE public.person ALTER COLUMN mail DROP MASK")
            assert dora.execute("SELECT mail FROM public.person").fetchall() == [("ada@example.org",)]
            root.execute("REVOKE payroll FROM emil")
            assert emil.execute("SELECT salary FROM public.person").fetchall() == [(None,)]
        for sql, code in (("ALTER TABLE public.person ALTER COLUMN nosuch SET MASK (1)", "42703"),
                          ("ALTER TABLE public.person ALTER COLUMN born SET MASK", "42601"), ("ALTER TABLE public.person ALTER COLUMN salary SET MASK (max(salary))", "42803"),
                          ("ALTER TABLE public.person ALTER COLUMN salary SET MASK (0) EXCEPT TO nobody_at_all", "42704"), ("ALTER TABLE public.person ALTER COLUMN mail DROP MASK", "42704")):
            assert permissions.answer(root, sql)[0] == code, sql
