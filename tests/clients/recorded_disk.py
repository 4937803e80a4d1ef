"""What a process did to the files of a folder, and what it told its clients, in one order.

`strace` writes down every call. A change counts from the end of its call, a sync from its end and for what had ended before it
began, and an answer from the beginning of its call: of all orders that may have been, the worst.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import time

import pytest

import polder
from simulated_disk import Directory, Disk, File

TEXT_BYTES_MAX = 1 << 26
# All that can change a file or a name, or say so; `replay` refuses those that it does not know when they touch the folder.
CALLS = """open openat openat2 creat close close_range dup dup2 dup3 fcntl lseek write pwrite64 writev pwritev pwritev2
    ftruncate truncate fallocate fsync fdatasync sync syncfs sync_file_range rename renameat renameat2 link linkat unlink unlinkat rmdir mkdir
    mkdirat symlink symlinkat mknod mknodat copy_file_range sendfile splice sendto sendmsg sendmmsg mmap fork vfork clone clone3
    io_uring_setup io_submit""".split()
UNKNOWN_HERE = {"truncate", "sendfile", "splice", "symlink", "symlinkat", "mknod", "mknodat",
                "openat2", "creat", "pwritev", "pwritev2", "sync_file_range", "close_range"}
FORBIDDEN = {"fork", "vfork", "io_uring_setup", "io_submit", "sync", "syncfs"}
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
CALL = re.compile(r"(\w+)\((.*)\) += (-?\w+|\?)", re.DOTALL)


class NotUnderstood(Exception):
    """A call that this record cannot account for."""


@dataclasses.dataclass
class Call:
    """Places in the record are line numbers. `result` is `None` if the process died in it."""
    name: str
    arguments: str
    result: int | None
    began_at: int
    ended_at: int

    @property
    def strings(self) -> list[bytes]:
        found = STRING.findall(self.arguments)
        if any(cut for _, cut in found):
            raise NotUnderstood(f"{self.name} at line {self.began_at} is longer than what was recorded of it")
        return [bytes.fromhex(text.replace("\\x", "")) for text, _ in found]

    @property
    def words(self) -> list[str]:
        return [word.strip() for word in STRING.sub("", self.arguments).split(",")]


def parse(text: str, first_line: int = 0) -> list[Call]:
    calls, unfinished = [], {}
    for number, line in enumerate(text.split("\n"), first_line):
        match = LINE.match(line)
        if not match:
            continue
        process, rest = match.groups()
        if rest.endswith("<unfinished ...>"):
            unfinished[process] = (number, rest.removesuffix("<unfinished ...>").rstrip())
            continue
        began_at = number
        if rest.startswith("<... "):
            if process not in unfinished:
                raise NotUnderstood(f"line {number}: {rest[:100]}")
            began_at, beginning = unfinished.pop(process)
            rest = beginning + rest.partition(" resumed>")[2]
        call = CALL.match(rest)
        if call:
            result = None if call[3] == "?" else int(call[3], 0)
            calls.append(Call(call[1], call[2], result, began_at, number))
    for began_at, rest in unfinished.values():
        name, _, arguments = rest.partition("(")
        calls.append(Call(name, arguments, None, began_at, number))
    return calls


ALL_THAT_CHANGES = ("-xx", "-s", str(TEXT_BYTES_MAX), "-e", "trace=" + ",".join(f"?{name}" for name in CALLS))


@contextlib.contextmanager
def traced(record: pathlib.Path, *what: str):
    """The binary that is started meanwhile runs under `strace`, which stands behind it: signals go to the binary itself.

    What is not traced goes as fast as ever.
    """
    if not shutil.which("strace"):
        raise RuntimeError("there is no strace, which records what the server writes: run scripts/install test")
    allowed = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"this system lets no program trace another, which records what the server writes: {allowed.stderr.strip()}")
    program = record.with_suffix(".sh")
    command = ["strace", "-f", "-D", "--seccomp-bpf", "-o", str(record), *(what or ALL_THAT_CHANGES), str(polder.binary())]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    program.chmod(0o755)
    named = os.environ.get("POLDER_BINARY")
    os.environ["POLDER_BINARY"] = str(program)
    try:
        yield
    finally:
        os.environ.pop("POLDER_BINARY")
        if named:
            os.environ["POLDER_BINARY"] = named


def whole(record: pathlib.Path, process: int) -> str:
    """The record, once the process has ended and `strace` has written all of it."""
    deadline = time.monotonic() + polder.STOP_SECONDS
    while time.monotonic() < deadline:
        text = record.read_text()
        # The last of its threads to be seen going is the first one.
        if re.search(rf"^{process} +\+\+\+ (exited|killed)", text, re.MULTILINE):
            return text
        time.sleep(0.02)
    raise TimeoutError(f"strace did not end: {text[-300:]}")


def run_recorded(record: pathlib.Path, *arguments) -> str:
    """Runs the binary to its end, which must be a good one; the record."""
    with traced(record):
        process = subprocess.Popen(
            [str(polder.binary()), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=polder.environment())
    output, _ = process.communicate(timeout=polder.READY_SECONDS)
    assert process.returncode == 0, output.decode()
    return whole(record, process.pid)


class RecordedServer(polder.Server):
    """`polder up` under `strace`."""

    def __init__(self, data, record: pathlib.Path, *arguments, **options):
        # The log of topics has a simulated disk of its own.
        super().__init__(data, *arguments, **{"kafka": "off", **options})
        self.record = record
        self.traced = None

    def launch(self, env=None):
        with traced(self.record):
            super().launch(env)
        self.traced = self.process.pid
        return self

    def recorded(self) -> str:
        """The record, once the server has ended."""
        return whole(self.record, self.traced)


@dataclasses.dataclass
class OpenFile:
    inode: object
    path: str
    at: int = 0
    appends: bool = False


class Replay:
    """Does to a simulated disk what one life of a process did to `folder`, call by call."""

    def __init__(self, disk: Disk, folder: pathlib.Path):
        self.disk = disk
        self.folder = f"{folder}/"
        self.open: dict[int, OpenFile] = {}
        # What the process died in, and the file that each was about.
        self.cut: list[tuple[Call, OpenFile | None]] = []

    def steps(self, calls: list[Call]):
        """Yields (call, what happened): a change or a sync that took effect, or bytes that were sent."""
        events = sorted([(call.began_at, 0, call) for call in calls] + [(call.ended_at, 1, call) for call in calls],
                        key=lambda event: event[:2])
        targets, self.cut = {}, []
        for _, is_end, call in events:
            if not is_end:
                targets[id(call)] = self.open.get(self.descriptor(call))
                said = self.begin(call, targets[id(call)])
                if said:
                    yield call, said
            elif call.result is not None and call.result >= 0:
                happened = self.end(call, targets.pop(id(call)))
                if happened:
                    yield call, happened
            elif call.result is None:
                self.cut.append((call, targets.pop(id(call))))

    def did_in_death(self, left: dict) -> None:
        """Does what the calls that the process died in had done, as what it `left` shows: all, nothing, or the first part of a write."""
        for call, target in self.cut:
            if call.name in ("write", "pwrite64", "writev") and target:
                data = b"".join(call.strings)
                at = int(call.words[-1]) if call.name == "pwrite64" else len(target.inode.now) if target.appends else target.at
                there = (left.get(target.path) or b"")[at:at + len(data)]
                written = len(os.path.commonprefix([data, there]))
                if written:
                    self.end(dataclasses.replace(call, result=written), target)
            elif call.name in ("ftruncate", "fallocate") and target and len(left.get(target.path) or b"") == self.size_wanted(call):
                self.end(dataclasses.replace(call, result=0), target)
            elif call.name in ("open", "openat", "mkdir", "mkdirat") or call.name.startswith(("rename", "unlink", "rmdir")):
                named = next((path for path in self.paths(call) if path is not None), None)
                is_gone = call.name.startswith(("rename", "unlink", "rmdir"))
                if named and (named in left) != is_gone and (self.disk.at(named) is None) != is_gone:
                    self.end(dataclasses.replace(call, result=0), target)

    @staticmethod
    def size_wanted(call: Call) -> int:
        """The size that a file has after a `ftruncate`, or after a `fallocate` that made it longer."""
        return sum(int(word, 0) for word in call.words[1 if call.name == "ftruncate" else 2:])

    @staticmethod
    def descriptor(call: Call) -> int:
        word = call.words[4] if call.name == "mmap" else call.words[0]
        return int(word) if word.isdigit() else -1

    def begin(self, call: Call, target):
        if call.name in FORBIDDEN or call.name in ("clone", "clone3") and "CLONE_FILES" not in call.arguments:
            raise NotUnderstood(f"{call.name}({call.arguments[:200]})")
        if call.name in UNKNOWN_HERE and (target or any(self.inside(text) for text in call.strings)):
            raise NotUnderstood(f"{call.name}({call.arguments[:200]})")
        if call.name == "close":
            # Its number is free from here on.
            self.open.pop(self.descriptor(call), None)
        if call.name in ("write", "writev", "sendto", "sendmsg", "sendmmsg") and target is None:
            return "sent", b"".join(call.strings)
        return None

    def inside(self, path: bytes) -> str | None:
        text = os.path.normpath(path.decode(errors="replace"))
        return f"{text}/".removeprefix(self.folder).rstrip("/") if f"{text}/".startswith(self.folder) else None

    def paths(self, call: Call) -> list:
        """The paths that it names, `None` for those outside of the folder."""
        words, found = call.words, []
        folders = [word for word in words if word == "AT_FDCWD" or word.isdigit()]
        for place, text in enumerate(call.strings):
            if text.startswith(b"/"):
                found.append(self.inside(text))
            elif call.name.rstrip("2").endswith("at") and place < len(folders) and folders[place].isdigit():
                folder = self.open.get(int(folders[place]))
                found.append(folder and f"{folder.path}/{text.decode()}".strip("/"))
            else:
                found.append(None)
        return found

    def end(self, call: Call, target):
        for kind, names in {"opened": ("open", "openat"), "copied": ("dup", "dup2", "dup3", "fcntl"),
                            "written": ("write", "pwrite64", "writev"), "named": ("rename", "renameat", "renameat2", "link",
                            "linkat", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat")}.items():
            if call.name in names:
                return getattr(self, kind)(call, target)
        if call.name == "copy_file_range":
            return self.ranged(call, target)
        if target is None:
            return None
        if call.name in ("fsync", "fdatasync"):
            self.disk.sync(target.inode, target.path, call.began_at)
            return "synced", target.path
        if call.name == "ftruncate":
            target.inode.change(call.ended_at, int(call.words[1]), None)
            return "cut", target.path
        if call.name == "fallocate":
            return self.allocated(call, target)
        if call.name == "lseek":
            target.at = call.result
        if call.name == "mmap" and "MAP_SHARED" in call.arguments and "PROT_WRITE" in call.arguments:
            if not target.path.endswith("-shm"):
                raise NotUnderstood(f"{target.path} is written through memory")
            target.inode.mapped = True
        return None

    @staticmethod
    def allocated(call: Call, target):
        mode, offset, length = (int(word, 0) if word[0].isdigit() else None for word in call.words[1:4])
        if mode != 0:
            raise NotUnderstood(f"fallocate({call.arguments})")
        if offset + length <= len(target.inode.now):
            return None
        target.inode.reserve(call.ended_at, offset + length)
        return "cut", target.path

    def opened(self, call: Call, _):
        path = self.paths(call)[0]
        self.open.pop(call.result, None)
        if path is None:
            return None
        inode, happened = self.disk.at(path), None
        if inode is None:
            if "O_CREAT" not in call.arguments:
                raise NotUnderstood(f"{path} was opened and is not there")
            inode, happened = self.disk.make(path, File(), call.ended_at), ("made", path)
        elif "O_TRUNC" in call.arguments and inode.now:
            inode.change(call.ended_at, 0, None)
            happened = "cut", path
        self.open[call.result] = OpenFile(inode, path, appends="O_APPEND" in call.arguments)
        return happened

    def copied(self, call: Call, target) -> None:
        if call.name == "fcntl" and "F_DUPFD" not in call.arguments:
            return
        self.open.pop(call.result, None)
        if target:
            self.open[call.result] = target

    def written(self, call: Call, target):
        if target is None:
            return None
        data = b"".join(call.strings)[:call.result]
        at = int(call.words[-1]) if call.name == "pwrite64" else len(target.inode.now) if target.appends else target.at
        if call.name != "pwrite64":
            target.at = at + len(data)
        target.inode.change(call.ended_at, at, data)
        return "written", f"{target.path} {at}+{len(data)}"

    def ranged(self, call: Call, source):
        words = call.words
        to = self.open.get(int(words[2]))
        if to is None or not call.result:
            return None
        if source is None or (words[1], words[3]) != ("NULL", "NULL"):
            raise NotUnderstood(f"copy_file_range({call.arguments})")
        data = bytes(source.inode.now[source.at:source.at + call.result])
        source.at += len(data)
        to.inode.change(call.ended_at, to.at, data)
        to.at += len(data)
        return "written", f"{to.path} {to.at - len(data)}+{len(data)}"

    def named(self, call: Call, _):
        paths = self.paths(call)
        if all(path is None for path in paths):
            return None
        if any(path is None for path in paths):
            raise NotUnderstood(f"{call.name} of a path that is not in the folder: {call.strings}")
        if call.name.startswith("rename"):
            if "RENAME_EXCHANGE" in call.arguments:
                raise NotUnderstood("two names were exchanged")
            self.disk.rename(paths[0], paths[1], call.ended_at)
        elif call.name.startswith("link"):
            self.disk.make(paths[1], self.disk.at(paths[0]), call.ended_at)
        elif call.name.startswith("mkdir"):
            self.disk.make(paths[0], Directory(), call.ended_at)
        else:
            self.disk.remove(paths[0], call.ended_at)
        return "named", " → ".join(path or "." for path in paths)


def tree(folder: pathlib.Path) -> dict:
    """A folder as an image: what a replay must come to."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}
