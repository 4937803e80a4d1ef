"""What the .slt files expect is what PostgreSQL and DuckDB say of the same statements."""

import pathlib
import subprocess
import sys

EXPECT = pathlib.Path(__file__).parents[1] / "slt" / "expect.py"


def test_expectations_are_the_oracles():
    done = subprocess.run([sys.executable, str(EXPECT), "--check"], capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
