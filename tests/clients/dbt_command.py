"""dbt's command, in processes that are forked from one that has dbt imported: that alone takes longer than most commands."""

import multiprocessing
import os
import pathlib
import sys
import tempfile
import time

READY = multiprocessing.get_context("forkserver")
READY.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.postgres"])


def run(folder: pathlib.Path, environment: dict, arguments: list, said: pathlib.Path) -> None:
    """What the program `dbt` does, where a shell would have started it."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    with said.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = ["dbt", *arguments]
    from dbt.cli.main import cli

    sys.exit(cli())


class Command:
    """A command that runs."""

    def __init__(self, folder: pathlib.Path, environment: dict, arguments: list):
        self.scratch = tempfile.TemporaryDirectory(prefix="polder-dbt-")
        self.said = pathlib.Path(self.scratch.name) / "said"
        self.process = READY.Process(target=run, args=(folder, environment, arguments, self.said))
        self.process.start()

    def end(self, seconds: float) -> tuple:
        """Its exit code, none if it took longer and was killed, and what it said."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        said = self.said.read_text(errors="replace") if self.said.exists() else ""
        self.scratch.cleanup()
        return code, said
