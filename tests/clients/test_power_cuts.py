"""A crash at every write, rename and sync, one by one, on a disk that forgets what was not synced.

A server is recorded through three lives while it does what a server does. The record is replayed on a simulated disk; after
each of its operations the disk is asked what a machine could find after a crash just there, and the binary is started on it:
everything that had been acknowledged is there, once; what had not is there whole or not at all; nothing is damaged.

A failure names its image as `operation:mode:seed`. `POLDER_POWER_CUTS=n` tries n seeds after each operation and all
of the rest (half an hour for 3); without it a fixed sample is tried. `POLDER_POWER_CUTS_ONLY` tries the images whose names
begin with one of its words.
"""

import concurrent.futures
import copy
import dataclasses
import os
import pathlib
import re
import shutil
import threading

import pytest
import requests

import polder
from recorded_disk import RecordedServer, Replay, parse, tree
from simulated_disk import Disk, fingerprint, write_image

SEEDS = int(os.environ.get("POLDER_POWER_CUTS", "0"))
ONLY = os.environ.get("POLDER_POWER_CUTS_ONLY", "").split()
WORKERS = 2
ROWS = "SELECT value AS id, 'word ' || value AS word FROM generate_series(1, {}) AS s(value)"
IS_THERE = "SELECT 'is there: ' || table_name AS name, 1 AS n, 1 AS ids, 1 AS total, 1 AS letters FROM polder.tables"
# `both` is written by two connections at once, so its rows are judged one by one.
BOTH = "SELECT coalesce(string_agg(CAST(id AS varchar), ' '), '') AS ids FROM both"
REQUEST_ID = re.compile(rb"x-request-id: ([0-9a-f-]+)")

FIRST_LIFE = [
    "CREATE TABLE small (id bigint, word text)",
    "INSERT INTO small VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    f"CREATE TABLE made AS {ROWS.format(3000)}",
    "UPDATE made SET id = id + 100000 WHERE id <= 5",
    "DELETE FROM made WHERE id % 100 = 0",
    "CREATE TABLE keyed (id bigint PRIMARY KEY, word text)",
    "INSERT INTO keyed VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO keyed VALUES (2, 'second'), (3, 'three') ON CONFLICT (id) DO UPDATE SET word = excluded.word",
    "CREATE TABLE gone AS SELECT 1 AS id, 'x' AS word",
    "CREATE SCHEMA shop",
    f"""BEGIN;
    CREATE TABLE fresh AS {ROWS.format(2000)};
    INSERT INTO small VALUES (4, 'd');
    UPDATE small SET word = 'changed' WHERE id = 2;
    DELETE FROM small WHERE id = 1;
    ALTER TABLE keyed RENAME TO renamed;
    ALTER TABLE made SWAP WITH fresh;
    DROP TABLE gone;
    COMMIT""",
    "CREATE TABLE twin CLONE made",
    "CREATE TABLE later (id bigint, word text)",
    f"INSERT INTO later {ROWS.format(20)}",
    "CREATE TABLE both (id bigint, word text)",
]
SECOND_LIFE = [
    "INSERT INTO small VALUES (5, 'e')",
    f"INSERT INTO made {ROWS.format(1500)}",
    "OPTIMIZE",
    "VACUUM RETAIN 1 SNAPSHOTS GRACE 0 SECONDS",
    "DROP TABLE twin",
    "TRUNCATE renamed",
]
THIRD_LIFE = [
    "INSERT INTO small VALUES (6, 'f')",
    f"CREATE TABLE last AS {ROWS.format(1000)}",
]


@dataclasses.dataclass
class Step:
    sql: str
    request_id: str
    # Table → its row of `totals`, once the step was done.
    state: dict


def totals(tables) -> str:
    """Sums of each of these tables, and the names of all that are there."""
    parts = [f"SELECT '{name}' AS name, count(*) AS n, count(DISTINCT id) AS ids, sum(id) AS total, "
             f"sum(length(word)) AS letters FROM {name}" for name in sorted(tables)]
    return " UNION ALL ".join([*parts, IS_THERE])


class Story:
    """What the recorded server was told and what it answered."""

    def __init__(self, folder: pathlib.Path):
        self.data = folder / "data"
        self.data.mkdir(parents=True, mode=0o700)
        # Of each life: its calls, and the folder that it left.
        self.calls, self.trees = [], []
        self.steps = [Step("nothing", "", {})]
        # The rows of `both`: request → id, and each connection's ids in the order in which they were sent.
        self.rows, self.sent = {}, []
        self.uploads = {}
        self.password = None
        self.life(FIRST_LIFE, stops=True, more=self.two_at_once)
        self.life(SECOND_LIFE, stops=False)
        self.life(THIRD_LIFE, stops=False)

    def life(self, statements, stops: bool, more=None) -> None:
        number = len(self.calls)
        server = RecordedServer(self.data, self.data.parent / f"record-{number}")
        with server:
            client = server.client()
            self.password = server.credentials["password"]
            for sql in statements:
                self.step(client, sql)
            if more:
                more(server)
            server.stop() if stops else server.kill()
            self.calls.append(parse(server.recorded(), self.calls[-1][-1].ended_at + 1 if self.calls else 0))
            self.trees.append(tree(self.data))

    def step(self, client, sql: str) -> None:
        done = client.run(sql)
        names = [row["table_name"] for row in client.sql("SELECT table_name FROM polder.tables WHERE table_name <> 'both'")]
        state = {row["name"]: tuple(row.values())[1:] for row in client.sql(totals(names))}
        self.steps.append(Step(sql, done.headers["x-request-id"], state))

    def two_at_once(self, server) -> None:
        def write(number):
            client = server.client()
            for n in range(8):
                row = number * 1000 + n
                self.sent[number].append(row)
                done = client.run(f"INSERT INTO both VALUES ({row}, 'word')")
                self.rows[done.headers["x-request-id"]] = row

        self.sent = [[], []]
        writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(self.rows) == 16
        done = server.client().post("/uploads?name=numbers.csv", data=b"id,word\n1,a\n")
        self.uploads[done.headers["x-request-id"]] = done.json()["upload_id"]


@dataclasses.dataclass(frozen=True)
class Known:
    """What clients had been told at one point of the record."""
    is_ready: bool = False
    step: int = 0
    rows: frozenset = frozenset()
    uploads: frozenset = frozenset()

    def told(self, story: Story, data: bytes) -> "Known":
        known = self
        if b" is ready (" in data:
            known = dataclasses.replace(known, is_ready=True)
        for found in REQUEST_ID.findall(data):
            request = found.decode()
            step = next((n for n, step in enumerate(story.steps) if step.request_id == request), 0)
            rows = {story.rows[request]} if request in story.rows else set()
            uploads = {story.uploads[request]} if request in story.uploads else set()
            known = dataclasses.replace(
                known, step=max(known.step, step), rows=known.rows | rows, uploads=known.uploads | uploads)
        return known


@dataclasses.dataclass
class Crash:
    """One image, and what must be in it."""
    name: str
    after: str
    known: Known
    image: dict


def crashes(story: Story, modes, lies=lambda path: False):
    """An image for each mode that `modes(number, kind, what)` names, after each operation and answer of the record."""
    disk, known, number, seen = Disk(lies), Known(), 0, set()
    for calls, left in zip(story.calls, story.trees):
        for call, (kind, what) in Replay(disk, story.data).steps(calls):
            if kind == "sent":
                before, known, what = known, known.told(story, what), "an answer"
                if known == before:
                    continue
            number += 1
            for mode, seed in modes(number, kind, what):
                name = f"{number}:{mode}:{seed}"
                if ONLY and not name.startswith(tuple(ONLY)):
                    continue
                image = disk.image(mode, name)
                # The same files may come to have to hold more.
                mark = fingerprint(image), known
                if mark not in seen:
                    seen.add(mark)
                    yield Crash(name, f"{call.name} {what}", known, image)
        assert without_memory(disk.image("kept")) == without_memory(left), "the simulated disk and the real one differ"
    assert known == Known(True, len(story.steps) - 1, frozenset(story.rows.values()), frozenset(story.uploads.values()))


def without_memory(image: dict) -> dict:
    return {path: content for path, content in image.items() if not path.endswith("-shm")}


def sample(number: int, kind: str, what: str):
    """Which images are tried after an operation. A log of SQLite is many writes, of which a crash in each is much the same."""
    is_log = kind == "written" and "-wal " in what
    yield "dropped", ""
    if SEEDS or ONLY or not is_log or number % 6 == 0:
        yield "kept", ""
    for seed in range(SEEDS or (3 if ONLY else number % 4 == 0)):
        yield "some", str(seed)


def run_sql(data, *statements) -> tuple[list, str]:
    """The answers as lists of rows of text, and what went wrong."""
    done = polder.run("sql", "--data", data, "--format", "markdown", *(word for sql in statements for word in ("-c", sql)))
    answers, row = [], False
    for line in done.stdout.decode().splitlines():
        if re.fullmatch(r"(\| -+:? )+\|", line):
            answers[-1] = []
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            answers.append(None) if not row else answers[-1].append(cells)
        row = line.startswith("|")
    return answers, f"exit code {done.returncode}: {done.stderr.decode()}" if done.returncode else ""


def expected_rows(state: dict) -> list:
    return sorted([name, *("" if value is None else str(value) for value in values)] for name, values in state.items())


def judge(data, story: Story, crash: Crash) -> str:
    """Empty, or what is wrong: the tables are as after what was acknowledged, or as after the statement that was on its way."""
    candidates = story.steps[crash.known.step:crash.known.step + 2]
    # Each set of tables is asked for in its own way; a wrong guess ends before anything is written.
    for names in {tuple(sorted(step.state)): None for step in reversed(candidates)}:
        tables = [name for name in names if not name.startswith("is there")]
        with_both = "is there: both" in names
        all_names = " ".join(name.removeprefix("is there: ") for name in names if name.startswith("is there"))
        guess = f"SELECT 1 / count(*) FROM (SELECT coalesce(string_agg(table_name, ' ' ORDER BY table_name), '') AS names " \
                f"FROM polder.tables) AS t WHERE names = '{all_names}'"
        # A row more in a table of the first step shows that its ids and the log go on.
        more = ["INSERT INTO small VALUES (999, 'more')", "SELECT count(*) AS n FROM small WHERE id = 999"] if "small" in tables \
            else ["CREATE TABLE more (id bigint)", "INSERT INTO more VALUES (999)", "SELECT count(*) AS n FROM more"]
        answers, error = run_sql(data, guess, "CHECK TABLES", totals(tables), *([BOTH] if with_both else []), *more)
        if "22012" in error:
            continue
        if error:
            return error
        _, damaged, found, *rest = answers
        if damaged:
            return f"damaged: {damaged}"
        if rest[-1] != [["1"]]:
            return f"a further insert came to {rest[-1]}"
        if not any(sorted(found) == expected_rows(step.state) for step in candidates):
            return f"neither as after step {crash.known.step} nor as after the next: {sorted(found)}"
        return judge_both(rest[0][0][0], story, crash.known) if with_both else ""
    return f"there are other tables than after step {crash.known.step} and than after the next"


def judge_both(text: str, story: Story, known: Known) -> str:
    there = [int(word) for word in text.split()]
    if len(set(there)) != len(there):
        return f"rows are there twice: {sorted(there)}"
    if not known.rows <= set(there):
        return f"acknowledged and lost: {sorted(known.rows - set(there))}"
    for sent in story.sent:
        # A connection sends the next one after the answer to the last.
        if sorted(set(there) & set(sent)) != sent[:len(set(there) & set(sent))]:
            return f"of {sent} there are {there}"
    if not set(there) <= {row for sent in story.sent for row in sent}:
        return f"rows of nobody: {there}"
    return ""


def judge_server(data, story: Story, crash: Crash) -> str:
    """The server starts, and its credentials let in."""
    server = polder.Server(data)
    with server:
        known = server.credentials
        if crash.known.is_ready and known["password"] != story.password:
            return "the password is another one than when the server was ready"
        server.client()
        by_token = server.cli("sql", "-c", "SELECT 1")
        return by_token.stderr.decode() if by_token.returncode else ""


def judge_uploads(data, _, crash: Crash) -> str:
    """What was uploaded can be loaded."""
    with polder.Server(data) as server:
        for number, upload in enumerate(sorted(crash.known.uploads)):
            loaded = server.client().load(upload_ids=[upload], into=f"uploaded_{number}")
            if loaded["state"] != "done":
                return f"an upload cannot be loaded: {loaded}"
    return ""


def judges_of(crash: Crash) -> list:
    """A server is dearer than a command, and a first start is what it alone can fail at."""
    number, mode, _ = crash.name.split(":")
    is_first_start = crash.known.step == 0 and (mode == "dropped" or SEEDS or ONLY or int(number) % 2 == 0)
    return [judge, judge_server] if is_first_start else [judge]


def try_crash(folder: pathlib.Path, story: Story, crash: Crash, judges) -> str:
    """Empty, or the image's name and what is wrong with it."""
    for number, judge_it in enumerate(judges(crash)):
        data = folder / f"{crash.name.replace(':', '-')}-{number}"
        write_image(crash.image, data)
        try:
            problem = judge_it(data, story, crash)
        except (AssertionError, KeyError, OSError, RuntimeError, ValueError, polder.Failed) as error:
            problem = f"{type(error).__name__}: {error}"
        shutil.rmtree(data)
        if problem:
            return f"image {crash.name} (after {crash.after}): {problem}"
    return ""


def try_all(folder: pathlib.Path, story: Story, found, failures_max: int = 20, judges=judges_of) -> tuple[int, list]:
    """How many crashes were tried, and the first failures."""
    failures, waiting, tried = [], set(), 0
    folder.mkdir()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for crash in found:
            waiting.add(pool.submit(try_crash, folder, story, crash, judges))
            tried += 1
            # Each waiting one holds an image in memory.
            done, waiting = concurrent.futures.wait(
                waiting, timeout=None if len(waiting) > 4 * WORKERS else 0, return_when=concurrent.futures.FIRST_COMPLETED)
            failures += [future.result() for future in done if future.result()]
            if len(failures) >= failures_max:
                break
        failures += [future.result() for future in waiting if future.result()]
    return tried, failures


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    return Story(tmp_path_factory.mktemp("story"))


def test_a_crash_after_every_operation(story, tmp_path):
    found = crashes(story, sample)
    tried, failures = try_all(tmp_path / "images", story, found)
    assert not failures, f"{len(failures)} of {tried} images:\n" + "\n".join(failures)
    assert ONLY or tried > 500
    print(f"{tried} images")


def dropped_after_answers(_, kind: str, what: str) -> list:
    return [("dropped", "")] if kind == "sent" else []


def test_an_upload_outlives_a_crash(story, tmp_path):
    """From its answer on, until it is loaded."""
    found = (crash for crash in crashes(story, dropped_after_answers) if crash.known.uploads)
    tried, failures = try_all(tmp_path / "images", story, found, judges=lambda crash: [judge_uploads])
    assert not failures, f"{len(failures)} of {tried} images:\n" + "\n".join(failures)
    assert tried


LIES = {
    "the log of the metastore": lambda path: path.endswith("-wal"),
    "the metastore": lambda path: path.endswith(".sqlite"),
    "Parquet files": lambda path: path.endswith(".parquet"),
    "directories of Parquet files": lambda path: path.startswith("tables") and not path.endswith(".parquet"),
    "the data directory": lambda path: path == "",
    "the credentials": lambda path: path.startswith("credentials"),
}


@pytest.mark.parametrize("about", LIES)
def test_a_disk_that_lies_is_found_out(story, tmp_path, about):
    """What a server that forgets this sync would come to: so these tests can fail."""
    after_answers = crashes(story, dropped_after_answers, LIES[about])
    tried, failures = try_all(tmp_path / "images", story, after_answers, failures_max=1)
    assert failures, f"syncs of {about} do nothing, and none of {tried} images shows it"


def disks_after(story: Story, wanted):
    """(name, disk) after each operation of the first life that `wanted(call, what)`."""
    disk = Disk()
    for call, (_, what) in Replay(disk, story.data).steps(story.calls[0]):
        if wanted(call, what):
            yield f"{call.name} {what}", copy.deepcopy(disk)


def live_on(story: Story, disk: Disk, folder: pathlib.Path) -> str:
    """The process has died and another goes on with what it finds; then the machine dies. Empty, or what is wrong."""
    folder.mkdir()
    write_image(disk.image("kept"), folder / "data")
    server = RecordedServer(folder / "data", folder / "record")
    with server:
        client = server.client()
        names = [row["table_name"] for row in client.sql("SELECT table_name FROM polder.tables WHERE table_name <> 'both'")]
        # One statement: a second one might sync what the first one should have.
        target = next((name for name in ("later", "small") if name in names), None)
        done = client.run(f"INSERT INTO {target} {ROWS.format(40)}" if target else f"CREATE TABLE another AS {ROWS.format(50)}")
        names = names if target else ["another"]
        state = {row["name"]: tuple(row.values())[1:] for row in client.sql(totals(names))}
        server.kill()
        record = server.recorded()
    answered = done.headers["x-request-id"].encode()
    for _, (kind, what) in Replay(disk, folder / "data").steps(parse(record, story.calls[0][-1].ended_at + 1)):
        if kind == "sent" and answered in what:
            break
    write_image(disk.image("dropped"), folder / "image")
    told = copy.copy(story)
    told.steps, told.sent = [Step("all of it", "", state)], []
    return judge(folder / "image", told, Crash("", "", Known(), {}))


def test_a_crash_of_the_process_and_then_of_the_machine(story, tmp_path):
    """What the first process has made and not synced is no more durable for the second one."""
    made = disks_after(story, lambda call, what: call.name == "mkdir" and what.startswith("tables"))
    failures = []
    for number, (name, disk) in enumerate(made):
        problem = live_on(story, disk, tmp_path / str(number))
        if problem:
            failures.append(f"dies after {name}: {problem}")
    assert not failures, "\n".join(failures)


def test_a_new_data_directory_has_a_name_once_the_server_is_ready(tmp_path):
    server = RecordedServer(tmp_path / "above" / "data", tmp_path / "record")
    server.data.parent.mkdir()
    with server:
        server.kill()
        record = server.recorded()
    disk = Disk()
    for _, (kind, what) in Replay(disk, server.data.parent).steps(parse(record)):
        if kind == "sent" and b" is ready (" in what:
            break
    assert "data/credentials.toml" in disk.image("dropped")
