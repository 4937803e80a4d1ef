"""The crate rdkafka, as it is: see `rust/`, a program that is built once."""

import os
import pathlib
import shutil
import subprocess

import pytest

import drivers
import kafkas

FOLDER = drivers.HERE / "rust"
# librdkafka is compiled with it, once.
BUILD_SECONDS = 1200
# It has zstd only with a library more to compile; confluent-kafka's test has it.
CODECS = ("none", "gzip", "snappy", "lz4")

pytestmark = drivers.needs(shutil.which("cargo") is not None and shutil.which("cc") is not None, "cargo, or no C compiler")


@pytest.fixture(scope="module")
def program() -> pathlib.Path:
    cache = pathlib.Path(os.environ.get("POLDER_CACHE", pathlib.Path.home() / ".cache" / "polder"))
    target = cache / "rdkafka"
    # Not what the workspace is compiled by and for.
    others = ("RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_MANIFEST_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in others}
    built = subprocess.run(["cargo", "build", "--quiet", "--locked", "--manifest-path", FOLDER / "Cargo.toml"],
                           env={**environment, "CARGO_TARGET_DIR": str(target)}, capture_output=True, text=True,
                           timeout=BUILD_SECONDS, check=False)
    assert built.returncode == 0, built.stderr[-4000:]
    return target / "debug" / "polder-rdkafka"


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


@pytest.fixture
def run(program, server):
    """Runs a probe, and gives the lines that it says."""
    known = server.credentials

    def probe(*arguments) -> list:
        environment = {**os.environ, "SERVER": kafkas.address(server), "KAFKA_USER": known["user"], "KAFKA_PASSWORD": known["password"]}
        done = subprocess.run([program, *map(str, arguments)], env=environment, capture_output=True, text=True,
                              timeout=3 * kafkas.WAIT_SECONDS, check=False)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-4000:]
        return done.stdout.splitlines()

    return probe


@pytest.fixture
def topic(run):
    """A topic of three partitions."""
    name = kafkas.fresh_name("rust")
    assert run("create", name, 3) == [f"created {name}"]
    return name


@pytest.mark.parametrize("codec", CODECS)
def test_records_come_back_as_they_were_written(run, topic, codec):
    count = 2_000
    written = run("write", topic, codec, count)
    assert len(written) == len({line.rsplit(" value", 1)[0] for line in written}) == count
    group = kafkas.fresh_name("group")
    read = run("read", topic, group, count, "read_committed")
    number = [line.split()[3] for line in written]
    assert sorted(read) == sorted(f"{line} [k{of}] of=k{of}" for line, of in zip(written, number, strict=True))
    for partition in "012":
        offsets = [int(line.split()[1]) for line in read if line.startswith(partition)]
        assert offsets and offsets == list(range(len(offsets))), "in order, and without holes"
    # The group has read them: who comes next gets what is new.
    run("write", topic, codec, 1)
    again = run("read", topic, group, 1, "read_committed")
    assert len(again) == 1 and again[0] not in read


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_each_record_is_read_while_members_come_and_go(run, topic, strategy):
    count = 3_000
    written = run("write", topic, "none", count)
    seen = run("churn", topic, kafkas.fresh_name("group"), strategy, count)
    assert sorted(line.split(" ", 1)[1] for line in seen) == sorted(line.split(" ", 2)[2] for line in written)


def test_transactions_take_records_and_offsets_with_them(run, topic):
    count, to, group = 100, kafkas.fresh_name("rust_to"), kafkas.fresh_name("group")
    run("create", to, 1)
    written = run("write", topic, "lz4", count)
    assert run("transactions", topic, to, group, count) == ["given up 10", f"committed {count}"]
    committed = [line.split(" ", 2)[2].split(" [")[0] for line in run("read", to, kafkas.fresh_name("group"), count, "read_committed")]
    assert sorted(committed) == sorted(line.split(" ", 2)[2].upper() for line in written)
    # What was given up is there for those who ask for all.
    all_there = run("read", to, kafkas.fresh_name("group"), count + 10, "read_uncommitted")
    assert len(all_there) == count + 10
    # The offsets were part of the transactions.
    assert run("read", topic, group, 0, "read_committed") == []
