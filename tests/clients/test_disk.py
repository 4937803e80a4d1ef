"""A full disk: a clear error, a server that lives, data that is intact, and work again once there is room."""

import os
import pathlib
import subprocess
import time

import pytest
import requests

import polder

DISK_FULL = "53100"
KEPT = 200
MIB = 1 << 20


class SmallDisk:
    """A tmpfs with a ballast file that takes its room and gives it back."""

    def __init__(self, folder: pathlib.Path, mib: int):
        self.folder = folder
        self.folder.mkdir()
        self.ballast = folder / "ballast"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "polder-test", str(folder)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small file system needs the right to mount one: {done.stderr.strip()}")

    def free_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, left_bytes: int) -> None:
        """Takes all room but this much."""
        with self.ballast.open("ab") as file:
            while (room := self.free_bytes() - left_bytes) > 0:
                try:
                    file.write(b"x" * min(room, MIB))
                    file.flush()
                except OSError:
                    break

    def make_room(self) -> None:
        self.ballast.unlink()

    def close(self) -> None:
        deadline = time.monotonic() + polder.SOON_SECONDS
        while subprocess.run(["umount", str(self.folder)], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, f"{self.folder} is still in use"
            time.sleep(0.1)


@pytest.fixture
def small_disk(tmp_path):
    made = []

    def make(mib: int) -> SmallDisk:
        made.append(SmallDisk(tmp_path / f"disk-{len(made)}", mib))
        return made[-1]

    yield make
    for disk in made:
        disk.close()


@pytest.fixture
def full(small_disk):
    """Makes servers, and stops them before their disk goes."""
    servers = []

    def make(data, *arguments) -> polder.Server:
        servers.append(polder.Server(data, "--auth", "trust", *arguments))
        return servers[-1].start()

    yield make
    for server in servers:
        server.__exit__()


def refused(client, sql: str) -> polder.Failed:
    with pytest.raises(polder.Failed) as caught:
        client.sql(sql)
    return caught.value


def says_disk_full(error: polder.Failed) -> None:
    assert (error.kind, error.code) == ("exhausted", DISK_FULL), vars(error)
    words = f"{error.message} {error.hint}".lower()
    assert "space" in words or "full" in words, vars(error)


def prepare(client) -> None:
    client.sql(f"CREATE TABLE kept AS SELECT value AS n FROM generate_series(1, {KEPT}) AS s(value)")
    client.sql("CREATE TABLE small (n bigint, word text)")
    client.sql("INSERT INTO small VALUES (0, 'before')")


def intact(client) -> None:
    assert client.sql("SELECT count(*) AS n, sum(n) AS total FROM kept") == [{"n": KEPT, "total": KEPT * (KEPT + 1) // 2}]


def parquet_files(folder: pathlib.Path) -> set:
    return {path for path in folder.rglob("*.parquet")}


def only_these(folder: pathlib.Path, files: set) -> None:
    """What a refused change has written goes once the change has: soon, and not before its answer."""
    deadline = time.monotonic() + polder.SOON_SECONDS
    while (found := parquet_files(folder)) != files and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == files, "a file of the refused change is left behind"


BIG = "CREATE TABLE big AS SELECT value AS n, md5(CAST(value AS text)) AS word FROM generate_series(1, 400000) AS s(value)"

MANY = "INSERT INTO kept SELECT value FROM generate_series(1, 4000000) AS s(value)"


def test_tables_on_a_full_disk(small_disk, full, tmp_path):
    """The Parquet files' disk is full, the metastore's is not."""
    disk = small_disk(8)
    server = full(tmp_path / "data", "--tables", str(disk.folder / "tables"))
    client = polder.Client(server.url)
    prepare(client)
    before = parquet_files(disk.folder)
    disk.fill(2 * MIB)
    for sql in (BIG, MANY):
        error = refused(client, sql)
        says_disk_full(error)
        assert str(disk.folder) in error.message, "the message does not say where"
        intact(client)
        only_these(disk.folder, before)
    # Small changes go on: they are rows of the metastore.
    client.sql("INSERT INTO small VALUES (1, 'meanwhile')")
    assert server.process.poll() is None
    disk.make_room()
    client.sql(BIG.replace("400000", "1000"))
    assert client.value("SELECT count(*) AS n FROM big") == 1000
    assert client.value("SELECT count(*) AS n FROM small") == 2
    server.restart()
    intact(polder.Client(server.url))
    assert "panicked" not in server.log()


def test_a_transaction_on_a_full_disk(small_disk, full, tmp_path):
    """The statement fails, the transaction is rolled back as a whole, and can be done again."""
    disk = small_disk(8)
    server = full(tmp_path / "data", "--tables", str(disk.folder / "tables"))
    client = polder.Client(server.url)
    prepare(client)
    disk.fill(2 * MIB)
    statements = f"BEGIN; INSERT INTO small VALUES (1, 'in it'); UPDATE kept SET n = -n; {BIG}; COMMIT"
    says_disk_full(refused(client, statements))
    intact(client)
    assert client.value("SELECT count(*) AS n FROM small") == 1
    disk.make_room()
    client.sql(statements.replace("400000", "1000"))
    assert client.sql("SELECT count(*) AS n, sum(n) AS total FROM kept") == [{"n": KEPT, "total": -KEPT * (KEPT + 1) // 2}]
    assert client.value("SELECT count(*) AS n FROM small") == 2


def test_a_load_on_a_full_disk(small_disk, full, tmp_path):
    disk = small_disk(8)
    server = full(tmp_path / "data", "--tables", str(disk.folder / "tables"))
    client = polder.Client(server.url)
    prepare(client)
    before = parquet_files(disk.folder)
    source = tmp_path / "numbers.csv"
    source.write_text("n,word\n" + "".join(f"{n},{hash(str(n)):x}{n}\n" for n in range(300_000)))
    disk.fill(MIB)
    status = client.load(sources=[str(source)], into="numbers")
    assert status["state"] == "failed", status
    assert status["error"]["code"] == DISK_FULL, status["error"]
    intact(client)
    only_these(disk.folder, before)
    disk.make_room()
    source.write_text("n,word\n" + "".join(f"{n},w{n}\n" for n in range(1000)))
    assert client.load(sources=[str(source)], into="numbers")["state"] == "done"
    assert client.value("SELECT count(*) AS n FROM numbers") == 1000


def test_the_metastore_cannot_grow(small_disk, full, tmp_path):
    """SQLite's own disk is full: rows that were refused are not there, and reads go on."""
    disk = small_disk(32)
    server = full(disk.folder / "data", "--tables", str(tmp_path / "tables"))
    client = polder.Client(server.url)
    prepare(client)
    disk.fill(256 << 10)
    acknowledged, errors = 0, []
    word = "x" * 4000
    for n in range(1, 400):
        try:
            client.sql(f"INSERT INTO small VALUES ({n}, '{word}')")
            acknowledged += 1
        except polder.Failed as error:
            errors.append(error)
            if len(errors) >= 3:
                break
    assert errors, "the disk did not fill up"
    for error in errors:
        says_disk_full(error)
        assert "metastore" in error.message, vars(error)
    intact(client)
    assert client.value("SELECT count(*) AS n FROM small") == 1 + acknowledged
    # A change whose files have room, but not its commit, leaves no file.
    before = parquet_files(tmp_path / "tables")
    disk.fill(0)
    says_disk_full(refused(client, BIG.replace("400000", "1000")))
    assert server.process.poll() is None
    disk.make_room()
    client.sql("INSERT INTO small VALUES (-1, 'afterwards')")
    assert client.value("SELECT count(*) AS n FROM small") == 2 + acknowledged
    only_these(tmp_path / "tables", before)
    server.restart()
    client = polder.Client(server.url)
    intact(client)
    assert client.value("SELECT count(*) AS n FROM small") == 2 + acknowledged
    assert "panicked" not in server.log()


def test_everything_on_one_full_disk(small_disk, full):
    """As on a laptop: the data directory's disk is full, to the last byte, and the server is killed and started on it."""
    disk = small_disk(32)
    server = full(disk.folder / "data")
    client = polder.Client(server.url)
    prepare(client)
    disk.fill(0)
    says_disk_full(refused(client, BIG))
    intact(client)
    assert client.value("SELECT 1 AS one") == 1
    server.kill()
    server.launch()
    if server.wait_ready():
        intact(polder.Client(server.url))
        server.kill()
    else:
        assert "space" in server.log().lower(), server.log()[-2000:]
    disk.make_room()
    server.start()
    client = polder.Client(server.url)
    intact(client)
    client.sql(BIG.replace("400000", "1000"))
    assert client.value("SELECT count(*) AS n FROM big") == 1000
    assert client.value("SELECT word FROM small WHERE n = 0") == "before"


def refused_upload(server) -> polder.Failed:
    """The refusal. Who is still sending when it comes may see the connection close instead, and asks again.

    On a connection of its own each time: it ends with the refusal.
    """
    for _ in range(5):
        try:
            polder.Client(server.url).upload("numbers.csv", b"n\n" + b"1\n" * (2 * MIB))
        except polder.Failed as refused:
            return refused
        except requests.exceptions.ConnectionError:
            continue
        raise AssertionError("the upload went through")
    raise AssertionError("five uploads were cut off without a word")


def test_an_upload_on_a_full_disk(small_disk, full, tmp_path):
    disk = small_disk(16)
    server = full(disk.folder / "data", "--tables", str(tmp_path / "tables"))
    client = polder.Client(server.url)
    prepare(client)
    disk.fill(MIB)
    says_disk_full(refused_upload(server))
    intact(client)
    disk.make_room()
    upload = client.upload("numbers.csv", b"n\n" + b"1\n" * 1000)
    assert client.load(upload_ids=[upload], into="numbers")["state"] == "done"
