#!/usr/bin/env python3
"""Clippy on what has been built: the same crates, on the same dependencies, so that none of these is compiled a second time.

`cargo clippy` checks all dependencies anew, of which nothing that was built for the binary is of use to it: a quarter of an
hour. Here its compiler gets the arguments that `scripts/bin/polder-rustc` kept of each crate's build, and looks only at ours.
Crates that have passed are not looked at again until they are built again.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
AT_ONCE = 2

# Arguments of a build that mean nothing to one who only looks; with those of one part, what follows belongs to them.
ONE_PART = ("--error-format=", "--json=", "--diagnostic-width=", "--emit=", "-Cincremental=")
TWO_PARTS = ("--out-dir", "--error-format", "--json", "--diagnostic-width", "--emit")


class Record:
    """How a crate was compiled."""

    def __init__(self, path: pathlib.Path):
        arguments, _, settings = path.read_bytes().partition(b"\0\0")
        self.path = path
        self.root, self.compiler, *self.arguments = (part.decode() for part in arguments.split(b"\0"))
        self.env = dict(part.decode().split("=", 1) for part in settings.split(b"\0") if b"=" in part)

    def here(self, text: str) -> str:
        """Another clone may have compiled it."""
        return text.replace(self.root, str(ROOT)) if self.root else text

    def looked_at(self, folder: str) -> list:
        """The arguments of a compiler that only looks, and leaves what it writes in a folder."""
        kept = []
        arguments = iter(self.arguments)
        for argument in arguments:
            if argument in TWO_PARTS:
                next(arguments, None)
            elif argument == "-C":
                value = next(arguments, "")
                if not value.startswith("incremental="):
                    kept += ["-C", value]
            elif not argument.startswith(ONE_PART):
                kept.append(self.here(argument))
        return [*kept, "--emit=metadata", "--out-dir", folder]

    def environment(self) -> dict:
        """What the crate's own code may ask for, such as its version."""
        own = {name: self.here(value) for name, value in self.env.items() if name.startswith("CARGO") and name != "CARGO_MAKEFLAGS" or name == "OUT_DIR"}
        return {**os.environ, **own, "CLIPPY_ARGS": "", "CLIPPY_CONF_DIR": str(ROOT)}

    def stamp(self) -> pathlib.Path:
        return self.path.with_name(self.path.name + ".passed")

    def state(self) -> str:
        """Another one as soon as it has been built again, or other rules hold."""
        rules = [path.read_bytes() for path in (ROOT / "clippy.toml", ROOT / ".clippy.toml") if path.is_file()]
        digest = hashlib.sha256(b"".join(rules) + self.path.read_bytes())
        return f"{digest.hexdigest()} {self.path.stat().st_mtime_ns}"

    def passed(self) -> bool:
        return self.stamp().is_file() and self.stamp().read_text() == self.state()

    def lint(self) -> tuple:
        state = self.state()
        with tempfile.TemporaryDirectory(prefix="polder-lints-") as folder:
            done = subprocess.run(
                ["clippy-driver", self.compiler, *self.looked_at(folder)],
                cwd=ROOT, env=self.environment(), capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == 0:
            self.stamp().write_text(state)
        return self.path.name, done.returncode, done.stdout + done.stderr


def wanted() -> list:
    """The names of the records that there must be: of each library and program of the workspace."""
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline"], cwd=ROOT, capture_output=True, check=True).stdout)
    names = []
    for package in metadata["packages"]:
        for target in package["targets"]:
            if {"lib", "bin", "proc-macro"} & set(target["kind"]):
                names.append(f"{package['name']}.{target['name'].replace('-', '_')}")
    return sorted(names)


def main() -> int:
    folder = pathlib.Path(os.environ["CARGO_TARGET_DIR"]) / "lints"
    names = wanted()
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not shutil.which("clippy-driver"):
        print(f"not built with this script's knowledge: {', '.join(missing) or 'all'}; cargo clippy looks at everything", flush=True)
        return subprocess.run(
            ["cargo", "clippy", "--release", "--workspace", "--lib", "--bins"], cwd=ROOT, check=False).returncode
    records = [Record(folder / name) for name in names]
    todo = [record for record in records if not record.passed()]
    print(f"{len(records) - len(todo)} crates have passed as they are; looking at {len(todo)}", flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for name, status, output in pool.map(Record.lint, todo):
            failed += status != 0
            print(f"{name}: {'ok' if status == 0 else 'FAILED'}\n{output}".rstrip(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
