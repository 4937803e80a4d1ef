"""The times that sources.py gives, in a clone of a small repository."""

import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import sources

LONG_AGO = 1_000_000_000_000_000_000
LATER = LONG_AGO + 60_000_000_000


class Times(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)
        self.target = self.place / "target"
        (self.target / "release" / ".fingerprint" / "polder-1").mkdir(parents=True)

    def clone(self, name: str, **contents: str) -> pathlib.Path:
        root = self.place / name
        (root / "console" / "dist").mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        (root / ".gitignore").write_text("/console/dist\n")
        (root / "console" / "dist" / "index.html").write_text(contents.pop("console", "<p>"))
        for file, text in contents.items():
            (root / f"{file}.rs").write_text(text)
        package = root / "crates" / "polder"
        package.mkdir(parents=True)
        (package / "Cargo.toml").write_text('[package]\nname = "polder"\n')
        (package / "c.rs").write_text("three")
        return root

    def built(self, when: int) -> None:
        path = self.target / "release" / ".fingerprint" / "polder-1" / "lib"
        path.touch()
        os.utime(path, ns=(when, when))

    def set_time(self, root: pathlib.Path, when: int) -> None:
        for name in ("a.rs", "b.rs", "crates/polder/c.rs", "console/dist/index.html", "console/dist"):
            os.utime(root / name, ns=(when, when))

    def time_of(self, root: pathlib.Path, name: str) -> int:
        return (root / name).stat().st_mtime_ns

    def kept(self) -> pathlib.Path:
        first = self.clone("first", a="one", b="two")
        self.set_time(first, LONG_AGO)
        self.built(LATER)
        sources.record(first, self.target)
        return first

    def test_the_same_content_gets_its_time_back(self):
        self.kept()
        second = self.clone("second", a="one", b="two")
        sources.restore(second, self.target)
        for name in ("a.rs", "b.rs", "console/dist", "console/dist/index.html"):
            self.assertEqual(self.time_of(second, name), LONG_AGO, name)

    def test_other_content_is_new_though_its_time_is_old(self):
        self.kept()
        second = self.clone("second", a="one", b="other", console="<b>")
        self.set_time(second, LONG_AGO)
        before = time.time_ns()
        sources.restore(second, self.target)
        self.assertEqual(self.time_of(second, "a.rs"), LONG_AGO)
        for name in ("b.rs", "console/dist"):
            self.assertGreaterEqual(self.time_of(second, name), before, name)

    def test_a_build_past_the_record_makes_it_worthless_for_its_package(self):
        first = self.kept()
        self.built(LATER + 1)
        second = self.clone("second", a="one", b="two")
        self.set_time(second, LONG_AGO)
        before = time.time_ns()
        sources.restore(second, self.target)
        self.assertGreaterEqual(self.time_of(second, "crates/polder/c.rs"), before)
        self.assertEqual(self.time_of(second, "a.rs"), LONG_AGO)
        sources.restore(first, self.target)
        self.assertEqual(self.time_of(first, "crates/polder/c.rs"), LONG_AGO)

    def test_files_outside_of_their_package_are_looked_for_in_this_clone(self):
        def note(*paths: str) -> bytes:
            return b"\1\0" + b"".join(b"\1" + len(path).to_bytes(4, "little") + path.encode() + b"\0" for path in paths)

        first = self.kept()
        second = self.clone("another", a="one", b="two")
        kept = self.target / "release" / ".fingerprint" / "polder-1" / "dep-lib-polder"
        foreign = ["src/a.rs", "/usr/include/a.rs.h", f"{self.place}/target/a.rs/out"]
        kept.write_bytes(note(foreign[0], f"{first}/crates/polder/../../a.rs", *foreign[1:], f"{first}/console/dist/index.html"))
        os.utime(kept, ns=(LATER, LATER))
        sources.restore(second, self.target)
        self.assertEqual(kept.read_bytes(), note(foreign[0], f"{second}/a.rs", *foreign[1:], f"{second}/console/dist/index.html"))
        self.assertEqual(kept.stat().st_mtime_ns, LATER)

    def test_cargo_itself_builds_nothing_in_a_second_clone_unless_something_differs(self):
        def clone(name: str, page: str) -> pathlib.Path:
            root = self.clone(name, a="one", b="two")
            (root / "Cargo.toml").write_text('[workspace]\nmembers = ["crates/polder"]\nresolver = "3"\n')
            (root / "crates" / "polder" / "src").mkdir()
            (root / "crates" / "polder" / "src" / "lib.rs").write_text('pub const PAGE: &str = include_str!("../../../page.md");\n')
            (root / "page.md").write_text(page)
            return root

        def built(root: pathlib.Path) -> bool:
            environment = {name: value for name, value in os.environ.items() if name != "RUSTC_WORKSPACE_WRAPPER"}
            done = subprocess.run(["cargo", "build", "--offline"], cwd=root, env={**environment, "CARGO_TARGET_DIR": str(self.target)},
                                  capture_output=True, text=True, check=True)
            return "Compiling" in done.stderr

        first = clone("first", "# Page")
        self.assertTrue(built(first))
        sources.record(first, self.target)
        # It must not be looked for where it was.
        first.rename(self.place / "gone")
        same = clone("second", "# Page")
        sources.restore(same, self.target)
        self.assertFalse(built(same))
        other = clone("third", "# Another")
        sources.restore(other, self.target)
        self.assertTrue(built(other))

    def test_nothing_recorded(self):
        first = self.clone("first", a="one", b="two")
        self.set_time(first, LONG_AGO)
        self.assertEqual(sources.restore(first, self.target), 0)
        self.assertEqual(self.time_of(first, "a.rs"), LONG_AGO)


if __name__ == "__main__":
    unittest.main()
