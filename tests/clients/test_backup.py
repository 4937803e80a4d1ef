"""Backup and restore, each in one command, while writes go on; and damage that both must find."""

import pathlib
import shutil
import threading

import pytest
import requests

import peers
import polder


class Writer(threading.Thread):
    """Moves money between two tables, so that every moment has the same sum; counts what was acknowledged."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.client = server.client()
        self.moved = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.client.sql(
                    "BEGIN; UPDATE here SET amount = amount - 1; UPDATE there SET amount = amount + 1; "
                    f"INSERT INTO moves VALUES ({self.moved + 1}); COMMIT")
            except polder.Failed as error:
                assert error.kind == "conflict", error
                continue
            except requests.RequestException:
                return
            self.moved += 1


def run(*arguments):
    done = polder.run(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def fill(client):
    client.sql("CREATE TABLE here (amount bigint)")
    client.sql("CREATE TABLE there (amount bigint)")
    client.sql("CREATE TABLE moves (n bigint)")
    client.sql("INSERT INTO here VALUES (1000)")
    client.sql("INSERT INTO there VALUES (0)")
    client.sql("CREATE TABLE big AS SELECT value AS n, 'text ' || value AS t FROM generate_series(1, 200000) AS s(value)")
    client.sql("DELETE FROM big WHERE n % 1000 = 0")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_backup_while_writing(kind, fresh, tmp_path, request):
    arguments, target = [], []
    if kind == "postgres":
        postgres = request.getfixturevalue("postgres")
        (address, metastore), (other, _) = postgres.database(), postgres.database()
        arguments, target = ["--metastore", address], ["--metastore", other]
    server = fresh(tmp_path / "data", *arguments).start()
    client = server.client()
    fill(client)
    writer = Writer(server)
    writer.start()
    backups = []
    try:
        for number in range(3):
            while writer.moved < 10 * (number + 1):
                threading.Event().wait(0.01)
            before = writer.moved
            made = tmp_path / f"backup-{number}"
            run("backup", made, "--data", server.data)
            backups.append((made, before, writer.moved + 1))
            client.sql("OPTIMIZE")
            client.sql("VACUUM RETAIN 5 SNAPSHOTS GRACE 0 SECONDS")
    finally:
        writer.stopping.set()
        writer.join(polder.SOON_SECONDS)
    assert polder.run("backup", backups[0][0], "--data", server.data).returncode == 1
    server.stop()
    # The old place is gone: whatever is read, is read from the new one.
    shutil.rmtree(server.data)
    if kind == "postgres":
        backups = backups[-1:]
    for number, (made, least, most) in enumerate(backups):
        data = tmp_path / f"restored-{number}"
        run("restore", made, "--data", data, *target)
        restored = fresh(data).start()
        client = restored.client()
        assert client.value("SELECT (SELECT sum(amount) FROM here) + (SELECT sum(amount) FROM there) AS s") == 1000
        moves = client.value("SELECT count(*) AS n FROM moves")
        assert least <= moves <= most
        assert client.value("SELECT amount FROM there") == moves
        assert client.value("SELECT count(*) AS n FROM big WHERE t = 'text ' || n") == 199800
        client.sql("INSERT INTO moves VALUES (0)")
        assert polder.run("check", "--data", data).returncode == 0
        con = peers.connect_duckdb()
        if kind == "sqlite":
            peers.attach(con, data)
            assert con.execute("SELECT count(*), sum(n) FROM moves").fetchone() == (moves + 1, moves * (moves + 1) // 2)
        con.close()
        restored.stop()
        assert polder.run("restore", made, "--data", data, *target).returncode == 1


def parquet(data: pathlib.Path, table: str) -> pathlib.Path:
    return next(path for path in sorted((data / "tables").rglob("*.parquet")) if f"/{table}-" in str(path))


def flip(path: pathlib.Path, at: int):
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def test_flipped_bits_are_named(fresh, tmp_path):
    """In a data file: by `polder check`, by the backup, and by a compaction, which must not hide it."""
    server = fresh(tmp_path / "data").start()
    client = server.client()
    fill(client)
    client.sql("INSERT INTO big SELECT value, 'more' FROM generate_series(1, 100) AS s(value)")
    assert polder.run("check", "--data", server.data).returncode == 0
    broken = parquet(server.data, "big")
    flip(broken, 5000)
    done = polder.run("check", "--data", server.data)
    assert done.returncode == 1
    assert str(broken) in done.stdout.decode() and "checksum" in done.stdout.decode()
    done = polder.run("backup", tmp_path / "backup", "--data", server.data)
    assert done.returncode == 1
    assert str(broken) in done.stderr.decode()
    assert not (tmp_path / "backup").exists()
    with pytest.raises(polder.Failed) as error:
        client.sql("OPTIMIZE big")
    assert str(broken) in error.value.message
    client.sql("VACUUM")
    assert polder.run("check", "--data", server.data).returncode == 1
    flip(broken, 5000)
    client.sql("OPTIMIZE big")
    assert polder.run("check", "--data", server.data).returncode == 0
    # Without a server as well.
    server.stop()
    assert polder.run("check", "--data", server.data).returncode == 0


def test_a_damaged_metastore_is_named(fresh, tmp_path):
    server = fresh(tmp_path / "data").start()
    fill(server.client())
    for number in range(30):
        server.client().sql(f"CREATE TABLE t_{number} (a bigint)")
    server.stop()
    database = server.data / "metastore.sqlite"
    content = bytearray(database.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    # The middle of the file, several pages long.
    middle = len(content) // page // 2 * page
    content[middle : middle + 3 * page] = bytes([0xA5]) * (3 * page)
    database.write_bytes(content)
    done = polder.run("check", "--data", server.data)
    assert done.returncode == 1
    assert "metastore.sqlite" in (done.stdout + done.stderr).decode()
    done = polder.run("backup", tmp_path / "backup", "--data", server.data)
    assert done.returncode == 1
    assert "metastore.sqlite" in (done.stdout + done.stderr).decode()
    assert not (tmp_path / "backup").exists()


def test_a_damaged_backup_is_refused(fresh, tmp_path):
    server = fresh(tmp_path / "data").start()
    fill(server.client())
    made = tmp_path / "backup"
    run("backup", made, "--data", server.data)
    broken = parquet(made, "big")
    flip(broken, 700)
    done = polder.run("restore", made, "--data", tmp_path / "new")
    assert done.returncode == 1
    assert str(broken) in done.stderr.decode()
    assert not (tmp_path / "new" / "metastore.sqlite").exists()
    assert polder.run("restore", tmp_path, "--data", tmp_path / "other").returncode == 1
