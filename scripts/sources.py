#!/usr/bin/env python3
"""Keeps builds warm over clones: gives sources that were built before the times that they had then.

    sources.py restore    before cargo runs
    sources.py record     after it, whether it succeeded or not

Cargo tells changed sources by their times, and in a fresh clone every file is new, so it would build all of our crates
again though not a letter differs. What was built is kept in the target folder: each file's hash and time. `restore` gives a
file with the same content the same time again, and a file with other content the present time, even if it is older.

If somebody ran cargo there without these two steps, the record may be of other sources than what was built. It is
then not believed: in the clone that it was made from, times are left as they are; in another, all are made new.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Ignored by git, but part of the binary.
BUILT = "console/dist"


def sources(root: pathlib.Path) -> list[str]:
    """What cargo may look at: files that git knows or would add, and the built console with its folders."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=root, check=True,
                            stdout=subprocess.PIPE, text=True).stdout.split("\0")
    return [name for name in listed if name and (root / name).is_file() and not (root / name).is_symlink()]


def digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted([folder, *folder.rglob("*")], reverse=True) if folder.is_dir() else []


def tree_digest(paths: list[pathlib.Path], folder: pathlib.Path) -> str:
    """Of names and contents, since cargo watches the folder as a whole."""
    lines = [f"{path.relative_to(folder)} {digest(path) if path.is_file() else ''}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def newest_build(target: pathlib.Path) -> int:
    """When cargo last noted down that it had built something."""
    times = [path.stat().st_mtime_ns for profile in target.glob("*/.fingerprint") for path in profile.glob("*/*")]
    return max(times, default=0)


def state(root: pathlib.Path) -> dict:
    """Each file's hash and time, and the built console's under its folder's name."""
    files = {name: [digest(root / name), (root / name).stat().st_mtime_ns] for name in sources(root)}
    built = tree(root / BUILT)
    if built:
        files[BUILT] = [tree_digest(built, root / BUILT), max(path.stat().st_mtime_ns for path in built)]
    return files


def restore(root: pathlib.Path, target: pathlib.Path) -> int:
    """Sets the times; answers how many files kept the time of their build."""
    record = target / "sources.json"
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    known = kept["files"]
    built = newest_build(target)
    if built > kept["newest_build"]:
        if kept["root"] == str(root):
            return 0
        known = {}
    now = time.time_ns()
    same = 0
    for name, (hashed, modified) in state(root).items():
        was = known.get(name)
        fits = was is not None and was[0] == hashed
        same += fits
        # Of other content, and yet older than the build of what stood there before: cargo would not see it.
        wanted = was[1] if fits else modified if modified > built else now
        if wanted != modified or name == BUILT:
            for path in tree(root / name) if name == BUILT else [root / name]:
                os.utime(path, ns=(wanted, wanted))
    return same


def record(root: pathlib.Path, target: pathlib.Path) -> None:
    if not target.is_dir():
        return
    kept = {"root": str(root), "newest_build": newest_build(target), "files": state(root)}
    partial = target / "sources.json.new"
    partial.write_text(json.dumps(kept), encoding="utf-8")
    partial.replace(target / "sources.json")


def main() -> int:
    target = pathlib.Path(os.environ["CARGO_TARGET_DIR"])
    if sys.argv[1:] == ["restore"]:
        same = restore(ROOT, target)
        if same:
            print(f"{same} sources are as they were when they were last built.")
        return 0
    if sys.argv[1:] == ["record"]:
        record(ROOT, target)
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
