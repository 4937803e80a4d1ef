"""A crash while a backup is made or put back: once it was said to be done, it is all there, whatever the disk forgets.

As in `test_power_cuts.py`. One that was not said to be done may be refused, but never be taken for another than it is.
"""

import pytest

import polder
from recorded_disk import run_recorded
from stories import ROWS, Story, all_hold, crashes, judge_steps, sample_every, some_fail

STATEMENTS = [
    "CREATE TABLE small (id bigint, word text)",
    "INSERT INTO small VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    f"CREATE TABLE made AS {ROWS.format(300)}",
    "DELETE FROM made WHERE id % 100 = 0",
    "CREATE SCHEMA shop",
    "CREATE TABLE shop.sale (id bigint, word text) PARTITIONED BY (word)",
    "INSERT INTO shop.sale VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO shop.sale SELECT value, 'c' FROM generate_series(1, 20) AS s(value)",
]
# Below directories that are new.
BY_SERVER, SECOND, BY_COMMAND = "safe/by/server", "safe/by/second", "safe/by/command"
AGAIN, ELSEWHERE, TABLES = "again/data", "third", "far/from/it"


class Backups(Story):
    def tell(self) -> None:
        # Where each is, and the step that it must be as.
        self.backups, self.restored = {}, {}
        self.life(self.serve)
        self.command(self.backups, BY_COMMAND, b" in ", "backup", self.folder / BY_COMMAND, "--data", self.data)
        self.command(self.restored, AGAIN, b" is in ", "restore", self.folder / BY_SERVER, "--data", self.folder / AGAIN)
        self.command(self.restored, ELSEWHERE, b" is in ", "restore", self.folder / SECOND, "--data", self.folder / ELSEWHERE,
                     "--tables", self.folder / TABLES)

    def serve(self, _, client) -> None:
        for sql in STATEMENTS:
            self.step(client, sql)
        self.first = len(self.steps) - 1
        self.back_up(client, BY_SERVER)
        self.step(client, f"INSERT INTO made {ROWS.format(100)}")
        self.back_up(client, SECOND)

    def back_up(self, client, name: str) -> None:
        self.backups[name] = len(self.steps) - 1
        self.fact(client.run(f"BACKUP TO '{self.folder / name}'"), "done", name)

    def command(self, made: dict, name: str, before: bytes, *arguments) -> None:
        made[name] = self.backups[SECOND] if name != AGAIN else self.backups[BY_SERVER]
        self.facts[b"%s%s: " % (before, str(self.folder / name).encode())] = "done", name
        self.lived(run_recorded(self.record, *arguments))


def judge_backup(image, story: Story, crash, name: str) -> str:
    data = image / "judged" / name
    done = polder.run("restore", image / name, "--data", data)
    if done.returncode:
        is_done = name in crash.known.of("done")
        return f"{name} cannot be restored: {done.stderr.decode()}" if is_done or done.returncode != 1 else ""
    problem = judge_steps(data, story, [story.steps[story.backups[name]]])
    return problem and f"{name}, restored: {problem}"


def judge_restored(image, story: Story, crash, name: str) -> str:
    data, arguments = image / name, []
    if not (data / "metastore.sqlite").exists():
        return f"{name} is not there" if name in crash.known.of("done") else ""
    if name == ELSEWHERE:
        remembered = data / "settings.toml"
        if name in crash.known.of("done"):
            remembered.write_text(remembered.read_text().replace(str(story.folder), str(image)))
        else:
            remembered.unlink(missing_ok=True)
            arguments = ["--tables", image / TABLES]
    for secret in ("credentials.toml", "secret.key"):
        if (data / secret).read_bytes() != (image / "data" / secret).read_bytes():
            return f"{name}: {secret} is another"
    problem = judge_steps(data, story, [story.steps[story.restored[name]]], arguments=arguments)
    return problem and f"{name}: {problem}"


def judge(image, story: Story, crash) -> str:
    """The newest of what is there or should be."""
    names = [name for name in [*story.backups, *story.restored] if name in crash.known.of("done") or (image / name).exists()]
    if not names:
        return ""
    return (judge_backup if names[-1] in story.backups else judge_restored)(image, story, crash, names[-1])


def from_the_first(story: Story, modes, lies=lambda path: False):
    """Those from the first backup on, and of those with nothing of the next one the first."""
    seen = set()
    for crash in crashes(story, modes, lies):
        of_backups = frozenset(path for path in crash.image if not path.startswith("data/")), crash.known
        if crash.known.step < story.first or crash.after.split()[-1].startswith("data/") and of_backups in seen:
            continue
        seen.add(of_backups)
        yield crash


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    return Backups(tmp_path_factory.mktemp("backups") / "disk")


def test_a_crash_after_every_operation(story, tmp_path):
    all_hold(tmp_path / "images", story, from_the_first(story, sample_every(logs=100, seeds=24, files=12)), lambda crash: [judge])


LIES = {
    "Parquet files": lambda path: path.startswith("safe/") and path.endswith(".parquet"),
    "the copy of the metastore": lambda path: path.startswith("safe/") and path.endswith(".sqlite"),
    "the list": lambda path: path.startswith("safe/") and "backup.json" in path,
    "secrets": lambda path: path.startswith(AGAIN) and path.endswith(".key"),
    "what a restore puts back": lambda path: path.startswith(AGAIN) and path.endswith(".parquet"),
    "the metastore that a restore puts back": lambda path: path.startswith(AGAIN) and "metastore" in path,
    "where restored tables are": lambda path: path.startswith(f"{ELSEWHERE}/settings"),
}


@pytest.mark.parametrize("about", LIES)
def test_a_disk_that_lies_is_found_out(story, tmp_path, about):
    some_fail(tmp_path / "images", story, about, LIES[about], lambda crash: [judge])
