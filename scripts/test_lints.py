"""How a build's arguments become those of one who only looks."""

import os
import pathlib
import tempfile
import unittest

import lints


class Records(unittest.TestCase):
    def record(self, folder, *arguments, **settings):
        path = pathlib.Path(folder) / "polder-lake.polder_lake"
        parts = ["/elsewhere", "/bin/rustc", *arguments]
        env = {"CARGO_PKG_NAME": "polder-lake", "CARGO_MANIFEST_DIR": "/elsewhere/crates/lake", "HOME": "/nobody", **settings}
        text = "".join(f"{part}\0" for part in parts) + "\0" + "".join(f"{name}={value}\0" for name, value in env.items())
        path.write_text(text)
        return lints.Record(path)

    def test_what_is_built_is_only_looked_at(self):
        with tempfile.TemporaryDirectory() as folder:
            record = self.record(
                folder, "--crate-name", "polder_lake", "crates/lake/src/lib.rs", "--error-format=json", "--json=artifacts",
                "--emit=dep-info,metadata,link", "-C", "opt-level=3", "-C", "incremental=/x", "--deny=clippy::unwrap_used",
                "--out-dir", "/target", "--extern", "arrow=/target/libarrow.rmeta")
            self.assertEqual(record.compiler, "/bin/rustc")
            self.assertEqual(record.looked_at("/tmp/out"), [
                "--crate-name", "polder_lake", "crates/lake/src/lib.rs", "-C", "opt-level=3", "--deny=clippy::unwrap_used",
                "--extern", "arrow=/target/libarrow.rmeta", "--emit=metadata", "--out-dir", "/tmp/out"])

    def test_what_another_clone_has_built_is_looked_at_here(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = self.record(folder).environment()
            self.assertEqual(environment["CARGO_MANIFEST_DIR"], f"{lints.ROOT}/crates/lake")
            self.assertEqual(environment["CARGO_PKG_NAME"], "polder-lake")
            # Of the person who built it nothing else is taken.
            self.assertEqual(environment.get("HOME"), os.environ.get("HOME"))

    def test_what_has_passed_is_looked_at_again_once_it_is_built_again(self):
        with tempfile.TemporaryDirectory() as folder:
            record = self.record(folder)
            self.assertFalse(record.passed())
            record.stamp().write_text(record.state())
            self.assertTrue(record.passed())
            os.utime(record.path, ns=(1, 1))
            self.assertFalse(record.passed())


if __name__ == "__main__":
    unittest.main()
