"""All relations of PostgreSQL's own schemas are there, with its columns and their types."""

import psycopg
import pytest

from test_postgres_psycopg import address

COLUMNS = """
    SELECT n.nspname || '.' || c.relname, a.attname::text, t.typname::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
    WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY 1, a.attnum"""

# Helpers of the views of foreign tables, which nobody asks for by name.
NOT_THERE = {"_pg_foreign_data_wrappers", "_pg_foreign_servers", "_pg_foreign_table_columns", "_pg_foreign_tables", "_pg_user_mappings"}

# Domains, and types that Polder has none of, as what stands for them.
SHOWN_AS = {
    "sql_identifier": "text", "character_data": "text", "yes_or_no": "text", "cardinal_number": "int4", "time_stamp": "text",
    "pg_node_tree": "text", "pg_lsn": "text", "inet": "text", "pg_ndistinct": "text", "pg_dependencies": "text", "pg_mcv_list": "text",
    "anyarray": "text", "xid": "int8", "_oid": "_int8", "_aclitem": "_text", "_name": "_text", "_char": "_text", "_regtype": "_text", "_pg_statistic": "_text",
}
OTHERWISE = {("pg_catalog.pg_attribute", "attmissingval"): "_text"}


def relations(side) -> dict:
    found = {}
    for relation, column, kind in side.execute(COLUMNS):
        found.setdefault(relation, []).append((column, kind))
    return found


@pytest.fixture(scope="module")
def sides(server, postgres):
    with psycopg.connect(**address(server), autocommit=True) as ours, psycopg.connect(postgres.database()[1], autocommit=True) as theirs:
        yield ours, theirs


def test_the_same_relations_and_columns(sides):
    ours, theirs = map(relations, sides)
    assert len(theirs) > 190
    assert set(theirs) - set(ours) == {f"information_schema.{name}" for name in NOT_THERE}
    assert not set(ours) - set(theirs)
    for relation, columns in ours.items():
        expected = [(column, OTHERWISE.get((relation, column), SHOWN_AS.get(kind, kind))) for column, kind in theirs[relation]]
        assert columns == expected, relation


def test_all_can_be_read(sides):
    """Also by those who read a view as a row of its names."""
    ours, _ = sides
    for relation, columns in relations(ours).items():
        described = ours.execute(f"SELECT * FROM {relation} LIMIT 3").description
        assert [column.name for column in described] == [column for column, _ in columns], relation
        ours.execute(f"SELECT count(*) FROM {relation}").fetchone()


def test_what_has_a_row_whatever_happens(sides):
    """Programs that watch a server take the first row of these, and count in it."""
    for relation in ("pg_stat_archiver", "pg_stat_bgwriter", "pg_stat_database_conflicts", "pg_stat_recovery_prefetch", "pg_stat_wal"):
        for side in sides:
            of_one = " WHERE datname = current_database()" if relation == "pg_stat_database_conflicts" else ""
            cursor = side.execute(f"SELECT * FROM {relation}{of_one}")
            [row] = cursor.fetchall()
            numbers = [value for column, value in zip(cursor.description, row) if column.type_code == 20]
            # Numbers that nobody has counted are 0, so that sums can be made of them.
            assert len(numbers) > 1 and None not in numbers, relation


def test_what_is_measured(sides):
    ours, _ = sides
    ours.execute("CREATE TABLE measured (id INTEGER PRIMARY KEY, word TEXT)")
    ours.execute("INSERT INTO measured SELECT g, 'w' FROM generate_series(1, 5) AS s(g)")
    assert ours.execute("SELECT relname, indexrelname, indexrelid::regclass::text, idx_scan FROM pg_stat_user_indexes WHERE relid = 'measured'::regclass").fetchall() == [
        ("measured", "measured_pkey", "measured_pkey", None)]
    assert ours.execute("SELECT relname FROM pg_stat_all_tables WHERE relid = 'measured'::regclass").fetchall() == [("measured",)]
    [(name, sessions)] = ours.execute("SELECT datname, numbackends FROM pg_stat_database").fetchall()
    assert name == "polder" and sessions >= 1
    ours.execute("DROP TABLE measured")


def test_values_are_measured_for_those_who_see_them_all(sides, server):
    """How many are NULL, of tables with files: nothing of it where a policy or a mask stands before a row or a value, nor without the right to read."""
    ours, _ = sides
    ours.execute("""
        CREATE TABLE halves (id INTEGER PRIMARY KEY, half TEXT, none INTEGER);
        INSERT INTO halves SELECT g, CASE WHEN g % 2 = 0 THEN 'x' END, NULL FROM generate_series(1, 20000) AS s(g);
        CREATE ROLE measurer LOGIN PASSWORD 'measures values'""")
    asked = "SELECT attname, null_frac, n_distinct FROM pg_stats WHERE schemaname = 'public' AND tablename = 'halves' ORDER BY attname"
    everything = [("half", 0.5, 0.0), ("id", 0.0, -1.0), ("none", 1.0, 0.0)]
    assert ours.execute(asked).fetchall() == everything
    with psycopg.connect(**{**address(server), "user": "measurer", "password": "measures values"}, autocommit=True) as reader:
        steps = [("SELECT 1", []), ("GRANT SELECT ON halves TO measurer", everything),
                 ("ALTER TABLE halves ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON halves USING (id < 3)", []),
                 ("ALTER TABLE halves DISABLE ROW LEVEL SECURITY", everything),
                 ("REVOKE SELECT ON halves FROM measurer; GRANT SELECT (id) ON halves TO measurer", [])]
        for statement, expected in steps:
            ours.execute(statement)
            assert reader.execute(asked).fetchall() == expected, statement
    ours.execute("DROP TABLE halves; DROP ROLE measurer")


def test_zones_of_time(sides):
    """Versions of the zones' database differ; those that have been the same for long do not."""
    asked = "SELECT name, abbrev, utc_offset, is_dst FROM pg_timezone_names WHERE name IN ('UTC', 'Europe/Amsterdam', 'America/New_York', 'Asia/Kolkata', 'Asia/Tokyo') ORDER BY name"
    ours, theirs = [side.execute(asked).fetchall() for side in sides]
    assert ours == theirs and len(ours) == 5
    ours, _ = sides
    assert ours.execute("SELECT count(*) > 500 FROM pg_timezone_names").fetchone() == (True,)
