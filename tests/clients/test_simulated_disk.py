"""The simulated disk itself: what it keeps, and that it may lose all else."""

import random

import pytest

from recorded_disk import NotUnderstood, Replay, parse
from simulated_disk import SECTOR_BYTES, Directory, Disk, File, fingerprint


def written(*changes) -> File:
    file = File()
    for at, change in enumerate(changes):
        file.change(at, *change)
    return file


def some(file: File, count: int = 400) -> set:
    return {file.some(random.Random(seed)) for seed in range(count)}


def test_a_sync_covers_what_had_ended_before_it_began():
    disk = Disk()
    file = disk.make("f", File(), 1)
    file.change(2, 0, b"early")
    file.change(5, 5, b"late")
    disk.root.sync(9)
    disk.sync(file, "f", 4)
    assert disk.image("dropped") == {"f": b"early"}
    assert disk.image("kept") == {"f": b"earlylate"}


def test_a_synced_file_may_have_lost_its_name():
    disk = Disk()
    disk.sync(disk.make("f", File(), 1), "f", 9)
    assert disk.image("dropped") == {}


def test_a_directory_without_a_name_takes_its_files_along():
    disk = Disk()
    folder = disk.make("d", Directory(), 1)
    file = disk.make("d/f", File(), 2)
    file.change(3, 0, b"x")
    file.sync(9)
    folder.sync(9)
    assert disk.image("dropped") == {}
    disk.root.sync(9)
    assert disk.image("dropped") == {"d": None, "d/f": b"x"}


def test_a_rename_is_whole_or_not_there():
    disk = Disk()
    for at, (path, text) in enumerate({"old": b"old", "new": b"new"}.items()):
        file = disk.make(path, File(), at)
        file.change(at, 0, text)
        file.sync(9)
    disk.root.sync(9)
    disk.rename("new", "old", 10)
    assert disk.image("dropped") == {"old": b"old", "new": b"new"}
    found = {fingerprint(disk.image("some", str(seed))) for seed in range(50)}
    assert found == {fingerprint(disk.image(mode)) for mode in ("dropped", "kept")}


def test_a_replaced_file_is_whole_only_if_it_was_synced():
    disk = Disk()
    disk.make("f", File(), 1).change(2, 0, b"old")
    disk.at("f").sync(3)
    disk.root.sync(3)
    disk.make("f.new", File(), 4).change(5, 0, b"new")
    disk.rename("f.new", "f", 6)
    disk.root.sync(7)
    assert disk.image("dropped") == {"f": b""}


def test_a_lie_keeps_nothing():
    disk = Disk(lies=lambda path: path == "f")
    file = disk.make("f", File(), 1)
    file.change(2, 0, b"x")
    disk.sync(file, "f", 9)
    disk.sync(disk.root, "", 9)
    assert disk.image("dropped") == {"f": b""}


def test_sectors_of_a_write_are_kept_each_on_its_own():
    file = written((0, b"a" * SECTOR_BYTES * 2))
    file.sync(1)
    file.change(2, 0, b"b" * SECTOR_BYTES * 2)
    a, b = b"a" * SECTOR_BYTES, b"b" * SECTOR_BYTES
    assert some(file) == {a + a, a + b, b + a, b + b}


def test_a_sector_holds_the_earlier_writes_if_it_holds_a_later_one():
    file = written((0, b"...."))
    file.sync(1)
    file.change(2, 0, b"aa")
    file.change(3, 2, b"bb")
    assert some(file) == {b"....", b"aa..", b"aabb"}


def test_a_file_may_have_grown_without_its_bytes():
    found = some(written((0, b"x" * 8)))
    assert {b"", b"x" * 8, bytes(8)} <= found
    # What another file left there.
    assert len(found) > 3


def test_a_file_may_be_cut_or_not():
    file = written((0, b"abcdef"))
    file.sync(1)
    file.change(2, 2, None)
    found = some(file)
    assert {b"abcdef", b"ab"} <= found
    assert all(content[:2] == b"ab" for content in found)


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


RECORD = f"""7 openat(AT_FDCWD, "{hexed('/data/f')}", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5
7 write(5, "{hexed('one')}", 3) = 3
8 pwrite64(5, "{hexed('two')}", 3, 3 <unfinished ...>
7 fsync(5 <unfinished ...>
8 <... pwrite64 resumed>) = 3
9 writev(6, [{{iov_base="{hexed('ack')}", iov_len=3}}], 1 <unfinished ...>
7 <... fsync resumed>) = 0
9 <... writev resumed>) = 3
7 openat(AT_FDCWD, "{hexed('/data')}", O_RDONLY|O_CLOEXEC) = 8
7 fsync(8) = 0
"""


def replayed(text: str) -> tuple[Disk, list]:
    disk, happened = Disk(), []
    for call, (kind, what) in Replay(disk, "/data").steps(parse(text)):
        happened.append((call.name, kind, what))
    return disk, happened


def test_threads_that_overlap():
    disk, happened = replayed(RECORD)
    # The answer counts from its beginning, and the sync to its end; the write that was under way is not covered.
    assert [name for name, *_ in happened] == ["openat", "write", "pwrite64", "writev", "fsync", "fsync"]
    assert happened[3] == ("writev", "sent", b"ack")
    assert disk.image("dropped") == {"f": b"one"}
    assert disk.image("kept") == {"f": b"onetwo"}


def test_room_for_a_file_makes_it_longer_and_never_shorter():
    disk, happened = replayed(RECORD + "7 fallocate(5, 0, 0, 4) = 0\n")
    assert happened[-1][0] == "fsync" and disk.image("kept") == {"f": b"onetwo"}
    disk, happened = replayed(RECORD + "7 fallocate(5, 0, 0, 8) = 0\n")
    assert happened[-1] == ("fallocate", "cut", "f")
    assert disk.image("kept") == {"f": b"onetwo\0\0"} and disk.image("dropped") == {"f": b"one"}


def test_room_that_was_given_holds_zeros_until_it_is_written():
    file = File()
    file.reserve(1, 4096)
    file.change(2, 0, b"abc")
    found = some(file)
    assert {b"abc" + bytes(4093), bytes(4096)} <= found
    assert all(not content.strip(b"abc\0") for content in found)


@pytest.mark.parametrize("line", [
    "7 fallocate(5, FALLOC_FL_KEEP_SIZE, 0, 4096) = 0",
    "7 fallocate(5, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0, 4096) = 0",
    f'7 symlink("{hexed("x")}", "{hexed("/data/x")}") = 0',
    f'7 rename("{hexed("/data/f")}", "{hexed("/elsewhere")}") = 0',
    "7 mmap(NULL, 32768, PROT_READ|PROT_WRITE, MAP_SHARED, 5, 0) = 0x7f0000000000",
    "7 sync() = 0",
    f'7 write(5, "{hexed("x")}"..., 3) = 3',
])
def test_what_is_not_understood_is_refused(line):
    with pytest.raises(NotUnderstood):
        replayed(RECORD + line + "\n")


@pytest.mark.parametrize("left", [{"f": b"onetwo"}, {"f": b"onetwomo"}, {"f": b"onetwomore"}, {"g": b"onetwo"}])
def test_what_a_process_died_in_was_done_or_in_part_or_not(left):
    disk = Disk()
    replay = Replay(disk, "/data")
    dying = f'8 pwrite64(5, "{hexed("more")}", 4, 6 <unfinished ...>\n7 rename("{hexed("/data/f")}", "{hexed("/data/g")}") = ?\n'
    for _ in replay.steps(parse(RECORD + dying + "8 +++ killed by SIGKILL +++\n")):
        pass
    assert disk.image("kept") == {"f": b"onetwo"}
    replay.did_in_death(left)
    assert disk.image("kept") == left
    assert disk.image("dropped") == {"f": b"one"}
