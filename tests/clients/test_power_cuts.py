"""A crash at every write, rename and sync, one by one, on a disk that forgets what was not synced.

A server is recorded through three lives while it does what a server does. The record is replayed on a simulated disk; after
each of its operations the disk is asked what a machine could find after a crash just there, and the binary is started on it:
everything that had been acknowledged is there, once; what had not is there whole or not at all; nothing is damaged.
Which images are tried, and how one is tried again: `stories.py`.
"""

import copy
import pathlib
import threading

import pytest

import polder
from recorded_disk import RecordedServer, Replay, parse
from simulated_disk import Disk, write_image
from stories import (ONLY, ROWS, SEEDS, Crash, Known, Story, all_hold, crashes, dropped_after_answers, goes_on, judge_steps,
                     sample_every, some_fail)

# `both` is written by two connections at once, so its rows are judged one by one.
BOTH = "SELECT coalesce(string_agg(CAST(id AS varchar), ' '), '') AS ids FROM both"

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


class Life(Story):
    left_out = ("public.both",)

    def tell(self) -> None:
        # Each connection's ids of `both`, in the order in which they were sent.
        self.sent = [[], []]
        self.password = None
        self.life(self.first, stops=True)
        self.life(lambda server, client: self.all_of(client, SECOND_LIFE))
        self.life(lambda server, client: self.all_of(client, THIRD_LIFE))

    def all_of(self, client, statements) -> None:
        for sql in statements:
            self.step(client, sql)

    def first(self, server, client) -> None:
        self.password = server.credentials["password"]
        self.all_of(client, FIRST_LIFE)
        self.two_at_once(server)
        done = client.post("/uploads?name=numbers.csv", data=b"id,word\n1,a\n")
        self.fact(done, "upload", done.json()["upload_id"])

    def two_at_once(self, server) -> None:
        def write(number):
            client = server.client()
            for n in range(8):
                row = number * 1000 + n
                self.sent[number].append(row)
                self.fact(client.run(f"INSERT INTO both VALUES ({row}, 'word')"), "row", row)

        writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len([kind for kind, _ in self.facts.values() if kind == "row"]) == 16


def judge(image, story: Story, crash: Crash) -> str:
    """Empty, or what is wrong: the tables are as after what was acknowledged, or as after the statement that was on its way."""
    def more(names):
        with_both = "public.both" in names
        statements = goes_on("small" if "public.small" in names else None, [BOTH] if with_both else [])

        def judge_answers(answers) -> str:
            if answers[-1 - with_both] != [["1"]]:
                return f"a further insert came to {answers}"
            return judge_both(answers[-1][0][0], story, crash.known) if with_both else ""

        return statements, judge_answers

    return judge_steps(image / "data", story, story.steps[crash.known.step:crash.known.step + 2], more)


def judge_both(text: str, story: Story, known: Known) -> str:
    there = [int(word) for word in text.split()]
    if len(set(there)) != len(there):
        return f"rows are there twice: {sorted(there)}"
    if not known.of("row") <= set(there):
        return f"acknowledged and lost: {sorted(known.of('row') - set(there))}"
    for sent in story.sent:
        # A connection sends the next one after the answer to the last.
        if sorted(set(there) & set(sent)) != sent[:len(set(there) & set(sent))]:
            return f"of {sent} there are {there}"
    if not set(there) <= {row for sent in story.sent for row in sent}:
        return f"rows of nobody: {there}"
    return ""


def judge_server(image, story: Story, crash: Crash) -> str:
    """The server starts, and its credentials let in."""
    server = polder.Server(image / "data", kafka="off")
    with server:
        known = server.credentials
        if crash.known.is_ready and known["password"] != story.password:
            return "the password is another one than when the server was ready"
        server.client()
        by_token = server.cli("sql", "-c", "SELECT 1")
        return by_token.stderr.decode() if by_token.returncode else ""


def judge_uploads(image, _, crash: Crash) -> str:
    """What was uploaded can be loaded."""
    with polder.Server(image / "data", kafka="off") as server:
        for number, upload in enumerate(sorted(crash.known.of("upload"))):
            loaded = server.client().load(upload_ids=[upload], into=f"uploaded_{number}")
            if loaded["state"] != "done":
                return f"an upload cannot be loaded: {loaded}"
    return ""


def judges_of(crash: Crash) -> list:
    """A server is dearer than a command, and a first start is what it alone can fail at."""
    number, mode, _ = crash.name.split(":")
    is_first_start = crash.known.step == 0 and (mode == "dropped" or SEEDS or ONLY or int(number) % 2 == 0)
    return [judge, judge_server] if is_first_start else [judge]


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    return Life(tmp_path_factory.mktemp("story") / "disk")


def test_a_crash_after_every_operation(story, tmp_path):
    tried = all_hold(tmp_path / "images", story, crashes(story, sample_every(logs=6, seeds=4)), judges_of)
    assert ONLY or tried > 500


def test_an_upload_outlives_a_crash(story, tmp_path):
    """From its answer on, until it is loaded."""
    found = (crash for crash in crashes(story, dropped_after_answers) if crash.known.of("upload"))
    all_hold(tmp_path / "images", story, found, lambda crash: [judge_uploads])


LIES = {
    "the log of the metastore": lambda path: path.endswith("-wal"),
    "the metastore": lambda path: path.endswith(".sqlite"),
    "Parquet files": lambda path: path.endswith(".parquet"),
    "directories of Parquet files": lambda path: path.startswith("data/tables") and not path.endswith(".parquet"),
    "the data directory": lambda path: path == "data",
    "the credentials": lambda path: path.startswith("data/credentials"),
}


@pytest.mark.parametrize("about", LIES)
def test_a_disk_that_lies_is_found_out(story, tmp_path, about):
    some_fail(tmp_path / "images", story, about, LIES[about], judges_of)


def disks_after(story: Story, wanted):
    """(name, disk) after each operation of the first life that `wanted(call, what)`."""
    disk = Disk()
    for call, (_, what) in Replay(disk, story.folder).steps(story.calls[0]):
        if wanted(call, what):
            yield f"{call.name} {what}", copy.deepcopy(disk)


def live_on(story: Story, disk: Disk, folder: pathlib.Path) -> str:
    """The process has died and another goes on with what it finds; then the machine dies. Empty, or what is wrong."""
    folder.mkdir()
    write_image(disk.image("kept"), folder / "disk")
    server = RecordedServer(folder / "disk" / "data", folder / "record")
    told = copy.copy(story)
    told.steps, told.sent = [], []
    with server:
        client = server.client()
        names = [row["table_name"] for row in client.sql("SELECT table_name FROM polder.tables")]
        # One statement: a second one might sync what the first one should have.
        target = next((name for name in ("later", "small") if name in names), None)
        told.step(client, f"INSERT INTO {target} {ROWS.format(40)}" if target else f"CREATE TABLE another AS {ROWS.format(50)}")
        server.kill()
        record = server.recorded()
    answered = told.steps[0].request_id.encode()
    for _, (kind, what) in Replay(disk, folder / "disk").steps(parse(record, story.calls[0][-1].ended_at + 1)):
        if kind == "sent" and answered in what:
            break
    write_image(disk.image("dropped"), folder / "image")
    return judge(folder / "image", told, Crash("", "", Known(), {}))


def test_a_crash_of_the_process_and_then_of_the_machine(story, tmp_path):
    """What the first process has made and not synced is no more durable for the second one."""
    made = disks_after(story, lambda call, what: call.name == "mkdir" and what.startswith("data/tables"))
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
