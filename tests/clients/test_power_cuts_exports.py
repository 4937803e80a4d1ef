"""A crash while COPY … TO writes files: what was said to be written is there."""

import pathlib

import pytest

from stories import ROWS, Story, all_hold, crashes, sample_every, some_fail

FILE, PARTS, PARQUET = "out/deep/made.csv", "out/parts", "out/made.parquet"


class Exports(Story):
    def tell(self) -> None:
        # Of each COPY: where to, and what was there afterwards.
        self.copies = []
        self.life(self.serve)

    def serve(self, _, client) -> None:
        self.step(client, f"CREATE TABLE made AS {ROWS.format(200)}")
        self.copy(client, f"COPY made TO '{self.folder / FILE}' (FORMAT csv)", FILE)
        self.copy(client, f"COPY made TO '{self.folder / PARQUET}' (FORMAT parquet)", PARQUET)
        in_parts = "SELECT id, word, id % 3 AS kind FROM made"
        self.copy(client, f"COPY ({in_parts}) TO '{self.folder / PARTS}' (FORMAT csv, PARTITION_BY (kind))", PARTS)
        self.step(client, f"INSERT INTO made {ROWS.format(100)}")
        self.copy(client, f"COPY made TO '{self.folder / FILE}' (FORMAT csv)", FILE)

    def copy(self, client, sql: str, name: str) -> None:
        done = client.run(sql)
        self.copies.append((name, files_of(self.folder, name)))
        self.fact(done, "copied", len(self.copies) - 1)


def files_of(folder: pathlib.Path, name: str) -> dict:
    path = folder / name
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def judge(image, story: Story, crash) -> str:
    done = crash.known.of("copied")
    for name in (FILE, PARQUET, PARTS):
        told = [files for number, (where, files) in enumerate(story.copies) if where == name and number in done]
        # While it is written anew, nothing is promised of it.
        if not told or [where for where, _ in story.copies[len(done):len(done) + 1]] == [name]:
            continue
        found = files_of(image, name)
        if found != told[-1]:
            return f"{name} is not as it was written: {[(path, len(content)) for path, content in found.items()]}"
    return ""


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    return Exports(tmp_path_factory.mktemp("exports") / "disk")


def test_a_crash_after_every_operation(story, tmp_path):
    all_hold(tmp_path / "images", story, crashes(story, sample_every(logs=40, seeds=4)), lambda crash: [judge])


LIES = {
    "files": lambda path: path.startswith("out/") and "." in path.rpartition("/")[2],
    "directories": lambda path: path.startswith("out/") and "." not in path.rpartition("/")[2],
}


@pytest.mark.parametrize("about", LIES)
def test_a_disk_that_lies_is_found_out(story, tmp_path, about):
    some_fail(tmp_path / "images", story, about, LIES[about], lambda crash: [judge])
