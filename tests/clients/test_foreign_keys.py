"""Foreign keys between transactions that do not see each other, and as psql shows them."""

import itertools
import random
import shutil
import subprocess
import threading
import urllib.parse

import pytest

import drivers
import polder
from conversations import CONFLICT, conversations
from test_postgres_psql import psql

BROKEN = "23503"
NUMBERS = itertools.count(1)
DANGLING = "SELECT count(*) FROM {child} AS c LEFT JOIN {parent} AS p ON p.id = c.parent WHERE c.parent IS NOT NULL AND p.id IS NULL"
WRITERS = 4
STATEMENTS = 25
KEYS = 6


@pytest.fixture(params=["rows", "file"])
def tables(pair, request):
    """A table with the keys 1 to 6, in the catalog or in a file, and one that refers to it."""
    number = next(NUMBERS)
    parent, child = f"fk_parent_{number}", f"fk_child_{number}"
    pair.client.sql(f"CREATE TABLE {parent} (id BIGINT PRIMARY KEY, n BIGINT)")
    if request.param == "rows":
        pair.client.sql(f"INSERT INTO {parent} VALUES " + ", ".join(f"({key}, 0)" for key in range(1, KEYS + 1)))
    else:
        pair.client.sql(f"INSERT INTO {parent} SELECT value, 0 FROM generate_series(1, 500) AS s (value)")
        pair.client.sql(f"DELETE FROM {parent} WHERE id > {KEYS}")
    pair.client.sql(f"CREATE TABLE {child} (id BIGINT, parent BIGINT REFERENCES {parent})")
    yield parent, child
    pair.client.sql(f"DROP TABLE {child}, {parent}")


def dangling(pair, parent: str, child: str) -> int:
    """Rows that refer to none, as everybody sees them, Polder and DuckDB alike."""
    sql = DANGLING.format(parent=parent, child=child)
    [(count,)] = pair.rows(sql)
    assert pair.look(sql) == [(count,)]
    return count


TAKEN = ["DELETE FROM {parent} WHERE id = 1", "UPDATE {parent} SET id = 100 WHERE id = 1", "DELETE FROM {parent}"]
GIVEN = ["INSERT INTO {child} VALUES (1, 1)", "INSERT INTO {child} SELECT value, 1 FROM generate_series(1, 1000) AS s (value)"]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("first", ["taken", "given"])
def test_one_of_two_sides_gives_way(pair, tables, taken, given, first):
    parent, child = tables
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        one.run(taken.format(parent=parent))
        two.run(given.format(child=child))
        (one if first == "taken" else two).commit()
        (two if first == "taken" else one).refused_commit()
    assert dangling(pair, parent, child) == 0


def test_a_change_of_what_nobody_refers_to_is_no_conflict(pair, tables):
    parent, child = tables
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        one.run(f"UPDATE {parent} SET n = n + 1")
        two.run(f"INSERT INTO {child} VALUES (1, 1)")
        one.commit()
        two.commit()
    assert dangling(pair, parent, child) == 0
    assert pair.rows(f"SELECT sum(n) AS n FROM {parent}") == [(KEYS,)]


def test_a_new_foreign_key_and_the_rows_that_break_it(pair, tables):
    parent, _ = tables
    late = f"{parent}_late"
    pair.client.sql(f"CREATE TABLE {late} (parent BIGINT)")
    pair.client.sql(f"INSERT INTO {late} VALUES (1)")
    for change in (f"DELETE FROM {parent} WHERE id = 1", f"INSERT INTO {late} VALUES (999)"):
        with conversations(pair.client, 2) as (one, two):
            one.begin()
            two.begin()
            one.run(f"ALTER TABLE {late} ADD FOREIGN KEY (parent) REFERENCES {parent}")
            two.run(change)
            one.commit()
            two.refused_commit()
        pair.client.sql(f"ALTER TABLE {late} DROP CONSTRAINT {late}_parent_fkey")
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        one.run(f"CREATE TABLE {late}_second (parent BIGINT REFERENCES {parent})")
        two.run(f"ALTER TABLE {parent} DROP CONSTRAINT {parent}_pkey CASCADE")
        one.commit()
        two.refused_commit()
    pair.client.sql(f"DROP TABLE {late}_second")
    pair.client.sql(f"DROP TABLE {late}")


def test_writers_at_once_leave_nothing_dangling(pair, tables):
    parent, child = tables
    problems = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        client = pair.server.client()
        for number in range(STATEMENTS):
            key = chance.randint(1, KEYS)
            sql = chance.choice([
                f"DELETE FROM {parent} WHERE id = {key}", f"INSERT INTO {parent} VALUES ({key}, 0) ON CONFLICT DO NOTHING",
                f"INSERT INTO {child} VALUES ({seed * 1000 + number}, {key})", f"DELETE FROM {child} WHERE parent = {key}",
                f"UPDATE {child} SET parent = {key} WHERE id % {KEYS} = {key - 1}"])
            try:
                client.sql(sql)
            except polder.Failed as error:
                if error.code not in (BROKEN, CONFLICT):
                    problems.append((sql, vars(error)))

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert dangling(pair, parent, child) == 0


SHOWN = r"""
CREATE TABLE fk_shown (a INT, b INT, code TEXT UNIQUE, PRIMARY KEY (a, b));
CREATE TABLE fk_refers (id INT PRIMARY KEY, x INT, y INT, code TEXT REFERENCES fk_shown (code) ON UPDATE CASCADE ON DELETE SET NULL,
  up INT REFERENCES fk_refers, CONSTRAINT pair FOREIGN KEY (x, y) REFERENCES fk_shown MATCH FULL ON DELETE RESTRICT);
\d fk_shown
\d fk_refers
"""


@drivers.needs(shutil.which("psql") is not None, "psql")
def test_as_psql_shows_them(server, postgres):
    place = urllib.parse.urlparse(postgres.database()[0])
    theirs = subprocess.run(["psql", f"host={place.hostname} port={place.port} user={place.username} dbname={place.path.lstrip('/')}", "-X"],
                            input=SHOWN, text=True, capture_output=True, timeout=60, check=False)
    ours = psql(server, "-X", stdin=SHOWN)
    assert ours.returncode == 0, ours.stderr
    wanted = theirs.stdout.splitlines()
    assert 'Foreign-key constraints:' in wanted and 'Referenced by:' in wanted, theirs.stderr
    assert ours.stdout.splitlines() == wanted
    broken = psql(server, "-X", "-c", "INSERT INTO fk_refers VALUES (1, NULL, NULL, 'x')")
    assert broken.stderr.splitlines() == [
        'ERROR:  insert or update on table "fk_refers" violates foreign key constraint "fk_refers_code_fkey"',
        'DETAIL:  Key (code)=(x) is not present in table "fk_shown".']
    assert psql(server, "-c", "DROP TABLE fk_refers, fk_shown").returncode == 0
