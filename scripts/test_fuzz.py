"""The fuzz targets' lock file, which no build but theirs looks at, names what our crates stand on today."""

import pathlib
import tomllib
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def stands_on(manifest: dict) -> set:
    """The packages, tests' own left out, which a lock file of another workspace has not."""
    places = [manifest, *manifest.get("target", {}).values()]
    tables = [place.get(kind, {}) for place in places for kind in ("dependencies", "build-dependencies")]
    shared = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["dependencies"]

    def package(name: str, given) -> str:
        given = shared[name] if isinstance(given, dict) and given.get("workspace") else given
        return given.get("package", name) if isinstance(given, dict) else name

    return {package(name, given) for table in tables for name, given in table.items()}


class LockFile(unittest.TestCase):
    def test_it_is_current(self):
        locked = tomllib.loads((ROOT / "fuzz" / "Cargo.lock").read_text())["package"]
        for package in locked:
            folder = ROOT / "crates" / package["name"].removeprefix("polder-")
            if package["name"] == "polder-fuzz" or not (package["name"].startswith("polder-") and folder.is_dir()):
                continue
            with self.subTest(package["name"]):
                manifest = tomllib.loads((folder / "Cargo.toml").read_text())
                # A name stands with its version where there are several.
                named = {name.split()[0] for name in package.get("dependencies", [])}
                self.assertEqual(named, stands_on(manifest), "run `cargo update --offline --workspace --manifest-path fuzz/Cargo.toml`")


if __name__ == "__main__":
    unittest.main()
