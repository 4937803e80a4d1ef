"""A disk that keeps what was synced, and of the rest whatever it likes.

A file has the bytes that are on the disk, and changes that were made and not synced. A directory has the names that are on
the disk, and changes of names that were not synced. A sync of a file makes its bytes durable and no name; a sync of a
directory makes its names durable and no bytes. It covers what had ended before it began. That is all that POSIX promises;
ext4, XFS and Btrfs also keep the name of a new file that was synced, and nothing here counts on that.

An *image* is what a machine could find after a crash, as a dictionary of paths: bytes for a file, `None` for a directory.
"""

import dataclasses
import hashlib
import random

SECTOR_BYTES = 512


@dataclasses.dataclass
class Change:
    """A write, or with `data` of `None` a change of the size to `offset`."""
    ended_at: int
    offset: int
    data: bytes | None

    def sectors(self, size_before: int) -> range:
        end = max(self.offset, size_before) if self.data is None else self.offset + len(self.data)
        return range(self.offset // SECTOR_BYTES, -(-end // SECTOR_BYTES))


def changed(content: bytearray, change: Change) -> None:
    if change.data is None:
        del content[change.offset:]
        content.extend(bytes(change.offset - len(content)))
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset:change.offset + len(change.data)] = change.data


class File:
    def __init__(self):
        self.durable = b""
        self.pending: list[Change] = []
        self.now = bytearray()
        self.mapped = False
        # Up to here room was given, which holds zeros until something is written there.
        self.reserved = 0

    def reserve(self, ended_at: int, size: int) -> None:
        """Makes it longer, with room on the disk."""
        self.reserved = max(self.reserved, size)
        self.change(ended_at, size, None)

    def change(self, ended_at: int, offset: int, data: bytes | None) -> None:
        self.pending.append(Change(ended_at, offset, data))
        changed(self.now, self.pending[-1])

    def sync(self, began_at: int) -> None:
        covered = [change for change in self.pending if change.ended_at < began_at]
        content = bytearray(self.durable)
        for change in covered:
            changed(content, change)
        self.durable = bytes(content)
        self.pending = self.pending[len(covered):]

    def some(self, chance: random.Random) -> bytes:
        """What may be there after a crash: each sector as it was at some time since the last sync, and some size.

        A sector that holds a later write holds the earlier ones too, since both were in one page of memory. A file that
        had grown may have the new size without the new bytes: zeros, or, where no room was given before, what another file left there.
        """
        if not self.pending:
            return self.durable
        keeps, tears = chance.choice([0.1, 0.5, 0.9]), chance.choice([0.0, 0.0, 0.3])
        sizes, newest = [len(self.durable)], {}
        for number, change in enumerate(self.pending):
            whole = chance.random() < keeps
            for sector in change.sectors(sizes[-1]):
                if whole != (chance.random() < tears):
                    newest[sector] = number
            end = change.offset if change.data is None else max(sizes[-1], change.offset + len(change.data))
            sizes.append(end)
        grown = bytearray(self.durable)
        grown.extend(bytes(max(0, max(sizes) - len(grown))))
        unknown = max(len(self.durable), self.reserved)
        if chance.random() < 0.3 and unknown < len(grown):
            grown[unknown:] = chance.randbytes(len(grown) - unknown)
        for number, change in enumerate(self.pending):
            for sector in change.sectors(sizes[number]):
                if newest.get(sector, -1) >= number:
                    put_in_sector(grown, change, sector)
        return bytes(grown[:chance.choice([sizes[-1], chance.choice(sizes)])])


def put_in_sector(content: bytearray, change: Change, sector: int) -> None:
    start = max(change.offset, sector * SECTOR_BYTES)
    if change.data is None:
        end = min((sector + 1) * SECTOR_BYTES, len(content))
        content[start:end] = bytes(max(0, end - start))
        return
    end = min(change.offset + len(change.data), (sector + 1) * SECTOR_BYTES)
    content[start:end] = change.data[start - change.offset:end - change.offset]


class Directory:
    def __init__(self):
        self.durable: dict = {}
        # When it ended, and what each of its names became: a rename is one change of two names.
        self.pending: list[tuple[int, dict]] = []
        self.now: dict = {}

    def change(self, ended_at: int, names: dict) -> None:
        self.pending.append((ended_at, names))
        renamed(self.now, names)

    def sync(self, began_at: int) -> None:
        covered = [names for ended_at, names in self.pending if ended_at < began_at]
        for names in covered:
            renamed(self.durable, names)
        self.pending = self.pending[len(covered):]

    def some(self, chance: random.Random) -> dict:
        kept, keeps = dict(self.durable), chance.choice([0.1, 0.5, 0.9])
        for _, names in self.pending:
            if chance.random() < keeps:
                renamed(kept, names)
        return kept


def renamed(names: dict, changes: dict) -> None:
    for name, inode in changes.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


class Disk:
    """Paths are relative to its root, which is always there. `lies(path)` says whose syncs do nothing."""

    def __init__(self, lies=lambda path: False):
        self.root = Directory()
        self.lies = lies

    def at(self, path: str):
        """The file or directory of that path, `None` if there is none."""
        inode = self.root
        for part in filter(None, path.split("/")):
            inode = inode.now.get(part) if isinstance(inode, Directory) else None
        return inode

    def parent(self, path: str) -> tuple[Directory, str]:
        folder, _, name = path.rstrip("/").rpartition("/")
        return self.at(folder), name

    def make(self, path: str, inode, ended_at: int):
        folder, name = self.parent(path)
        folder.change(ended_at, {name: inode})
        return inode

    def remove(self, path: str, ended_at: int) -> None:
        folder, name = self.parent(path)
        folder.change(ended_at, {name: None})

    def rename(self, old: str, new: str, ended_at: int) -> None:
        (from_folder, from_name), (to_folder, to_name) = self.parent(old), self.parent(new)
        inode = from_folder.now[from_name]
        if from_folder is to_folder:
            from_folder.change(ended_at, {from_name: None, to_name: inode})
        else:
            to_folder.change(ended_at, {to_name: inode})
            from_folder.change(ended_at, {from_name: None})

    def sync(self, inode, path: str, began_at: int) -> None:
        if not self.lies(path):
            inode.sync(began_at)

    def image(self, mode: str, seed: str = "") -> dict:
        """`dropped`: nothing but what was synced. `kept`: everything, as if only the process had died. `some`: any of it."""
        found, chance = {}, random.Random(seed)
        take = {
            "dropped": lambda inode: inode.durable,
            "kept": lambda inode: inode.now,
            "some": lambda inode: inode.some(chance),
        }[mode]

        def walk(folder, prefix):
            for name, inode in sorted(take(folder).items(), key=lambda item: item[0]):
                if isinstance(inode, Directory):
                    found[prefix + name] = None
                    walk(inode, f"{prefix}{name}/")
                elif inode.mapped:
                    # Written through memory, so that nobody knows when: anything may be there.
                    found[prefix + name] = random.Random(seed if mode == "some" else "").randbytes(len(inode.now))
                else:
                    found[prefix + name] = bytes(take(inode))

        walk(self.root, "")
        return found


def fingerprint(image: dict) -> str:
    """The same for equal images."""
    digest = hashlib.blake2b(digest_size=16)
    for path, content in sorted(image.items()):
        digest.update(f"{path}\0{-1 if content is None else len(content)}\0".encode())
        digest.update(content or b"")
    return digest.hexdigest()


def write_image(image: dict, folder) -> None:
    folder.mkdir(mode=0o700)
    for path, content in sorted(image.items()):
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)
