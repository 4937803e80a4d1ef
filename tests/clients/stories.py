"""What recorded processes were told and what they answered, and the binary on what a machine could find after a crash.

A *story* is recorded below one folder, in one or more lives of a process. Its record is replayed on a simulated disk; after
each operation the disk is asked what could be there after a crash, and a judge looks at that with the binary.

A failure names its image as `operation:mode:seed`. `POLDER_POWER_CUTS=n` tries n seeds after each operation and all
of the rest (half an hour for 3); without it a fixed sample is tried. `POLDER_POWER_CUTS_ONLY` tries the images whose names
begin with one of its words.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shutil

import polder
from recorded_disk import RecordedServer, Replay, parse, tree
from simulated_disk import Disk, fingerprint, write_image

SEEDS = int(os.environ.get("POLDER_POWER_CUTS", "0"))
ONLY = os.environ.get("POLDER_POWER_CUTS_ONLY", "").split()
WORKERS = 2
ROWS = "SELECT value AS id, 'word ' || value AS word FROM generate_series(1, {}) AS s(value)"
NAME = "(schema_name || '.' || table_name)"
# The shape of each table, as a row of `totals`.
SHAPES = f"SELECT 'is there: ' || {NAME} || string_agg(' ' || column_name || ' ' || data_type, ',' ORDER BY ordinal_position) " \
         f"AS name, 1 AS n, 1 AS ids, 1 AS total, 1 AS letters FROM polder.columns GROUP BY {NAME}"
REQUEST_ID = re.compile(rb"x-request-id: ([0-9a-f-]+)")
READY = ("ready", "")


@dataclasses.dataclass
class Step:
    sql: str
    request_id: str
    # A table's name, or what is there → its row of `totals`, once the step was done.
    state: dict
    # The tables' names, those that are left out too.
    names: tuple = ()

    def tables(self, left_out) -> list[str]:
        return [name for name in self.names if name not in left_out]


def totals(tables) -> str:
    """Sums of each of these tables, and the shapes of all that are there."""
    parts = [f"SELECT '{name}' AS name, count(*) AS n, count(DISTINCT id) AS ids, sum(id) AS total, "
             f"sum(length(word)) AS letters FROM {name}" for name in sorted(tables)]
    return " UNION ALL ".join([*parts, SHAPES])


@dataclasses.dataclass(frozen=True)
class Known:
    """What clients had been told at one point of the record."""
    step: int = 0
    # (kind, value) each.
    facts: frozenset = frozenset()

    def of(self, kind: str) -> set:
        return {value for of, value in self.facts if of == kind}

    @property
    def is_ready(self) -> bool:
        return READY in self.facts


class Story:
    """What was told and answered. `folder` is all of the disk; what the story does is in its `tell`."""
    # Tables that are no part of the steps' states: others write them meanwhile.
    left_out = ()

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        folder.mkdir(parents=True, mode=0o700)
        self.data = folder / "data"
        # Of each life: its calls, and the folder that it left.
        self.calls, self.trees = [], []
        self.steps = [Step("nothing", "", {})]
        # The id of a request, or a text that was printed → what its answer says.
        self.facts = {b" is ready (": READY}
        # The tables that were found last.
        self.found: tuple | None = None
        self.tell()

    def tell(self) -> None:
        raise NotImplementedError

    @property
    def record(self) -> pathlib.Path:
        return self.folder.parent / f"record-{len(self.calls)}"

    def lived(self, record: str) -> None:
        self.calls.append(parse(record, self.calls[-1][-1].ended_at + 1 if self.calls else 0))
        self.trees.append(tree(self.folder))

    def life(self, does, *arguments, stops: bool = False) -> None:
        """Of a server, with which `does(server, client)`."""
        server = RecordedServer(self.data, self.record, *arguments)
        with server:
            does(server, server.client())
            server.stop() if stops else server.kill()
            self.lived(server.recorded())

    def step(self, client, sql: str) -> None:
        done = client.run(sql)
        names = tuple(row["name"] for row in client.sql(f"SELECT {NAME} AS name FROM polder.tables ORDER BY name"))
        step = Step(sql, done.headers["x-request-id"], {}, names)
        step.state = {row["name"]: tuple(row.values())[1:] for row in client.sql(totals(step.tables(self.left_out)))}
        self.steps.append(step)

    def fact(self, response, kind: str, value) -> None:
        """`response` says so."""
        self.facts[response.headers["x-request-id"].encode()] = kind, value

    def told(self, known: Known, data: bytes) -> Known:
        """What is known once these bytes were sent."""
        requests = REQUEST_ID.findall(data)
        steps = [n for n, step in enumerate(self.steps) if step.request_id.encode() in requests]
        facts = {fact for mark, fact in self.facts.items() if mark in requests or mark.startswith(b" ") and mark in data}
        return Known(max([known.step, *steps]), known.facts | facts)


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
        replay = Replay(disk, story.folder)
        for call, (kind, what) in replay.steps(calls):
            if kind == "sent":
                before, known, what = known, story.told(known, what), "an answer"
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
        replay.did_in_death(left)
        assert without_memory(disk.image("kept")) == without_memory(left), "the simulated disk and the real one differ"
    assert known == Known(len(story.steps) - 1, frozenset(story.facts.values()))


def without_memory(image: dict) -> dict:
    return {path: content for path, content in image.items() if not path.endswith("-shm")}


def sample_every(logs: int, seeds: int, files: int = 1, syncs: int = 1):
    """Which images are tried: what was synced, after each answer and so many syncs; of the rest one after so many operations.

    A log of SQLite is many writes, of which a crash in each is much the same.
    """
    def modes(number: int, kind: str, what: str):
        is_log = kind == "written" and "-wal " in what
        # Nothing else makes it another.
        if number == 1 or kind == "sent" or kind == "synced" and (SEEDS or ONLY or number % syncs == 0):
            yield "dropped", ""
        if SEEDS or ONLY or number % (logs if is_log else files) == 0:
            yield "kept", ""
        for seed in range(SEEDS or (3 if ONLY else number % seeds == 0)):
            yield "some", str(seed)

    return modes


def dropped_after_answers(_, kind: str, what: str) -> list:
    return [("dropped", "")] if kind == "sent" else []


def run_sql(data, *statements, arguments=()) -> tuple[list, str]:
    """The answers as lists of rows of text, and what went wrong."""
    words = [word for sql in statements for word in ("-c", sql)]
    done = polder.run("sql", "--data", data, *arguments, "--format", "markdown", *words)
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


def judge_steps(data, story: Story, candidates: list[Step], more=lambda names: ((), lambda answers: ""), arguments=()) -> str:
    """Empty, or what is wrong: nothing is damaged, and the tables are as after one of these steps.

    `more(names)` are further statements when these tables are there, and what judges their answers.
    """
    # Each set of tables is asked for in its own way; a wrong guess ends before anything is written, and costs a process.
    # One image mostly has the tables that the last one had.
    for names in sorted({step.names: None for step in reversed(candidates)}, key=lambda names: names != story.found):
        tables = Step("", "", {}, names).tables(story.left_out)
        guess = f"SELECT 1 / count(*) FROM (SELECT coalesce(string_agg({NAME}, ' ' ORDER BY {NAME}), '') AS names " \
                f"FROM polder.tables) AS t WHERE names = '{' '.join(names)}'"
        statements, judge_answers = more(names)
        answers, error = run_sql(data, guess, "CHECK TABLES", totals(tables), *statements, arguments=arguments)
        if "22012" in error:
            continue
        story.found = names
        if error:
            return error
        _, damaged, found, *rest = answers
        if damaged:
            return f"damaged: {damaged}"
        if not any(sorted(found) == expected_rows(step.state) for step in candidates):
            return f"as after none of {[step.sql for step in candidates]}: {sorted(found)}"
        return judge_answers(rest)
    return f"there are other tables than after {[step.sql for step in candidates]}"


def goes_on(table: str | None, rest: list[str]) -> tuple:
    """Statements that add a row to a table, which show that its ids and the log go on, and how many answers are theirs."""
    if table:
        return [f"INSERT INTO {table} (id, word) VALUES (999, 'more')", f"SELECT count(*) AS n FROM {table} WHERE id = 999", *rest]
    return ["CREATE TABLE more (id bigint)", "INSERT INTO more VALUES (999)", "SELECT count(*) AS n FROM more", *rest]


def try_crash(folder: pathlib.Path, story: Story, crash: Crash, judges) -> str:
    """Empty, or the image's name and what is wrong with it."""
    for number, judge_it in enumerate(judges(crash)):
        image = folder / f"{crash.name.replace(':', '-')}-{number}"
        write_image(crash.image, image)
        try:
            problem = judge_it(image, story, crash)
        except (AssertionError, KeyError, OSError, RuntimeError, ValueError, polder.Failed) as error:
            problem = f"{type(error).__name__}: {error}"
        shutil.rmtree(image)
        if problem:
            return f"image {crash.name} (after {crash.after}): {problem}"
    return ""


def try_all(folder: pathlib.Path, story: Story, found, judges, failures_max: int = 20) -> tuple[int, list]:
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


def all_hold(folder: pathlib.Path, story: Story, found, judges) -> int:
    """How many crashes were tried."""
    tried, failures = try_all(folder, story, found, judges)
    assert not failures, f"{len(failures)} of {tried} images:\n" + "\n".join(failures)
    assert tried or ONLY
    print(f"{tried} images")
    return tried


def some_fail(folder: pathlib.Path, story: Story, about: str, lies, judges) -> None:
    """What a process that forgets this sync would come to: so that what tries all of a story can fail."""
    tried, failures = try_all(folder, story, crashes(story, dropped_after_answers, lies), judges, failures_max=1)
    assert failures or ONLY, f"syncs of {about} do nothing, and none of {tried} images shows it"
