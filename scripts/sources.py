#!/usr/bin/env python3
"""Keeps builds warm over clones: gives sources that were built before the times that they had then.

    sources.py restore    before cargo runs
    sources.py record     after it, whether it succeeded or not

Cargo tells changed sources by their times, and in a fresh clone every file is new, so it would build all of our crates
again though not a letter differs. What was built is kept in the target folder: each file's hash and time. `restore` gives a
file with the same content the same time again, and a file with other content the present time, even if it is older.

Cargo knows a package's files by their place in it, and all others (what is included from `docs/`, `demo/` and the built
console) by the whole path in the clone that was built. `restore` names the same files of this clone instead.

If somebody ran cargo there without these two steps, the record may be of other sources than what was built. It is
then not believed about packages that were built since: in the clone that it was made from, times are left as they are; in
another, those packages' are made new.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Ignored by git, but part of the binary.
BUILT = "console/dist"
# How the names of our packages begin.
OURS = ("polder", "xtask")


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


def notes(target: pathlib.Path):
    """What cargo has noted down: the folder of each unit that it built, and the files there."""
    return ((folder, path) for profile in target.glob("*/.fingerprint") for folder in profile.iterdir() for path in folder.glob("*"))


def newest_build(target: pathlib.Path) -> int:
    """When cargo last noted down that it had built something."""
    return max((path.stat().st_mtime_ns for _, path in notes(target)), default=0)


def built_since(root: pathlib.Path, target: pathlib.Path, moment: int) -> list[str]:
    """The folders of our packages of which cargo has built something after a moment, each with a slash at its end."""
    names = {folder.name.rpartition("-")[0] for folder, path in notes(target) if path.stat().st_mtime_ns > moment}
    manifests = [name for name in sources(root) if name.endswith("/Cargo.toml")]
    named = {name: tomllib.loads((root / name).read_text(encoding="utf-8")).get("package", {}).get("name") for name in manifests}
    return [name.removesuffix("Cargo.toml") for name, package in named.items() if package in names]


def here(path: str, root: pathlib.Path, known: dict) -> str | None:
    """The file of this clone at the place that a file has in another one; none if it is no file of a clone."""
    parts = pathlib.PurePosixPath(os.path.normpath(path)).parts
    for place in range(1, len(parts)):
        name = "/".join(parts[place:])
        if (name in known or name.startswith(BUILT + "/")) and (root / name).is_file():
            return f"{root}/{name}"
    return None


def name_here(noted: bytes, root: pathlib.Path, known: dict) -> bytes:
    """Cargo's note of the files that something was built from, with this clone's. Each path follows its length, in four bytes.

    If cargo should write otherwise one day, nothing is found here, and what was built elsewhere is built again.
    """
    done, after, place = b"", 0, noted.find(b"/")
    while place >= 0:
        length = int.from_bytes(noted[place - 4:place], "little") if place >= after + 4 else 0
        path = noted[place:place + length]
        text = path.decode(errors="replace")
        mine = here(text, root, known) if length == len(path) > 1 and text.isprintable() else None
        if mine is not None:
            kept = mine.encode()
            done += noted[after:place - 4] + len(kept).to_bytes(4, "little") + kept
            after = place + length
        place = noted.find(b"/", max(place + 1, after))
    return done + noted[after:]


def adopt(root: pathlib.Path, target: pathlib.Path, known: dict) -> None:
    """Has cargo look for the sources in this clone, wherever it built them."""
    for folder, path in notes(target):
        if not path.name.startswith("dep-") or not folder.name.startswith(OURS):
            continue
        noted = path.read_bytes()
        wanted = name_here(noted, root, known)
        if wanted != noted:
            status = path.stat()
            partial = path.with_name(path.name + ".new")
            partial.write_bytes(wanted)
            # Sources are compared with its time.
            os.utime(partial, ns=(status.st_atime_ns, status.st_mtime_ns))
            partial.replace(path)


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
        doubted = tuple(built_since(root, target, kept["newest_build"]))
        known = {name: file for name, file in known.items() if not name.startswith(doubted)}
    present = state(root)
    adopt(root, target, present)
    now = time.time_ns()
    same = 0
    for name, (hashed, modified) in present.items():
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
