"""A crash while tables elsewhere are partitioned, altered, cloned, restored, refreshed and dropped with their schema.

As in `test_power_cuts.py`, with the tables' files below directories that the first start makes.
"""

import pytest

import polder
from stories import ONLY, Story, all_hold, crashes, goes_on, judge_steps, sample_every, some_fail

# Beside the data directory: three names that are new.
TABLES = "far/from/it"
VISITS = "SELECT value AS id, 'word ' || value AS word, value % 3 AS kind FROM generate_series({}, {}) AS s(value)"
QUERY = "SELECT kind AS id, max(word) AS word, count(*) AS visits, sum(id) AS total FROM shop.visit GROUP BY kind"
NEWEST = "SELECT max(snapshot) AS s FROM polder.snapshots"
DIFFERS = f"SELECT count(*) AS n FROM (SELECT * FROM per_kind EXCEPT SELECT * FROM ({QUERY}) AS q) AS d"

FIRST_LIFE = [
    "CREATE SCHEMA shop",
    "CREATE TABLE shop.visit (id bigint, word text, kind bigint) PARTITIONED BY (kind)",
    f"INSERT INTO shop.visit {VISITS.format(1, 300)}",
    f"CREATE MATERIALIZED VIEW per_kind AS {QUERY}",
    "CREATE TABLE old CLONE shop.visit",
    f"INSERT INTO shop.visit {VISITS.format(301, 400)}",
    "REFRESH MATERIALIZED VIEW per_kind",
    "UPDATE shop.visit SET kind = 3 WHERE id <= 10",
    "REFRESH MATERIALIZED VIEW per_kind",
    "ALTER TABLE old ADD COLUMN more bigint DEFAULT 7",
    "ALTER TABLE old ALTER COLUMN kind TYPE text",
]
SECOND_LIFE = [
    "ALTER TABLE shop.visit SET PARTITIONED BY (word)",
    f"INSERT INTO shop.visit {VISITS.format(401, 420)}",
    "DELETE FROM old WHERE id > 100",
    "RESTORE TABLE old TO (VERSION => {old})",
    "CREATE SCHEMA attic",
    "ALTER TABLE old SET SCHEMA attic",
    "ALTER TABLE shop.visit RESET PARTITIONED BY",
    "CREATE TABLE late CLONE shop.visit AT (VERSION => {visit})",
    "OPTIMIZE shop.visit",
    "REFRESH MATERIALIZED VIEW per_kind",
    "DROP SCHEMA attic CASCADE",
    "VACUUM RETAIN 1 SNAPSHOTS GRACE 0 SECONDS",
    "DROP SCHEMA shop CASCADE",
    "CREATE SCHEMA shop",
]


class Layouts(Story):
    def tell(self) -> None:
        self.versions = {}
        self.life(self.first, "--tables", self.folder / TABLES)
        # Where they are is remembered.
        self.life(self.second)

    def first(self, _, client) -> None:
        for sql in FIRST_LIFE:
            self.step(client, sql)
            if "CLONE" in sql:
                self.versions["visit"] = client.value(NEWEST)
        self.versions["old"] = client.value(NEWEST)

    def second(self, _, client) -> None:
        for sql in SECOND_LIFE:
            self.step(client, sql.format(**self.versions))


def place(image, story: Story, crash) -> list:
    """The arguments of whoever starts it: that of the first start, until it has been ready. Then the image's own place is written
    where that of the record was remembered."""
    if not crash.known.is_ready:
        return ["--tables", image / TABLES]
    remembered = image / "data" / "settings.toml"
    remembered.write_text(remembered.read_text().replace(str(story.folder), str(image)))
    return []


def judge(image, story: Story, crash) -> str:
    def more(names):
        with_view = {"public.per_kind", "shop.visit"} <= set(names)
        rest = ["REFRESH MATERIALIZED VIEW per_kind", DIFFERS] if with_view else []
        table = next((name for name in ("shop.visit", "public.late") if name in names), None)

        def judge_answers(answers) -> str:
            if answers[-1 - with_view] != [["1"]]:
                return f"a further insert came to {answers}"
            return f"a refresh leaves {answers[-1]} rows that its query has not" if with_view and answers[-1] != [["0"]] else ""

        return goes_on(table, rest), judge_answers

    return judge_steps(image / "data", story, story.steps[crash.known.step:crash.known.step + 2], more, place(image, story, crash))


def judge_server(image, story: Story, crash) -> str:
    """The server starts where it was."""
    with polder.Server(image / "data", *place(image, story, crash), kafka="off") as server:
        server.client().sql("SELECT 1 AS one")
    return ""


def judges_of(crash) -> list:
    return [judge, judge_server] if ONLY or crash.known.step == 0 and crash.name.endswith(":dropped:") else [judge]


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    return Layouts(tmp_path_factory.mktemp("layouts") / "disk")


def test_a_crash_after_every_operation(story, tmp_path):
    all_hold(tmp_path / "images", story, crashes(story, sample_every(logs=100, seeds=50, files=12, syncs=2)), judges_of)


def is_of(table: str, *endings: str):
    return lambda path: path.startswith(TABLES) and f"/{table}-" in path and (path.endswith(endings) or not endings)


LIES = {
    "Parquet files of a partition": is_of("visit", ".parquet"),
    "Parquet files of a materialized view": is_of("per_kind", ".parquet"),
    "a clone and its directory": is_of("old"),
    "where the tables are": lambda path: path.startswith("data/settings.toml"),
    "the name of the tables' directory": lambda path: path == "far/from",
}


@pytest.mark.parametrize("about", LIES)
def test_a_disk_that_lies_is_found_out(story, tmp_path, about):
    some_fail(tmp_path / "images", story, about, LIES[about], judges_of)
