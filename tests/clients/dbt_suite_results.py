"""A plugin of pytest's for `dbt_suite.py`: keeps what came of each test as soon as it is known, and leaves out what is known already.

A line of JSON for each test: its name, "passed", "failed" or "skipped", the first line of what was wrong, and the seconds that it took.
"""

import collections
import json
import pathlib


def name_of(node: str) -> str:
    """The name of a test as it is told in reports: `tests.functional.basic.test_simple.TestSimple::test_it`."""
    *scopes, test = node.split("::")
    return ".".join([scopes[0].removesuffix(".py").replace("/", "."), *scopes[1:]]) + f"::{test}"


def pytest_addoption(parser) -> None:
    parser.addoption("--kept-results", type=pathlib.Path, help="the file to which a line is added for each test")
    parser.addoption("--known-results", type=pathlib.Path, help="a list of the tests that are not to be run, as JSON")


def pytest_configure(config) -> None:
    # Those who run the tests tell everything to the one who divides them, and that one alone writes.
    if not hasattr(config, "workerinput") and config.option.kept_results:
        config.pluginmanager.register(Keeper(config.option.kept_results))


def pytest_collection_modifyitems(config, items) -> None:
    """Tests of a class share its project and may need what those before them did: it is left out as a whole or run as a whole."""
    if not config.option.known_results:
        return
    known = set(json.loads(config.option.known_results.read_text()))
    classes = collections.defaultdict(list)
    for item in items:
        classes[item.nodeid.rpartition("::")[0]].append(item)
    done = [item for group in classes.values() if all(name_of(item.nodeid) in known for item in group) for item in group]
    if done:
        items[:] = [item for item in items if item not in done]
        config.hook.pytest_deselected(items=done)


class Keeper:
    def __init__(self, path: pathlib.Path):
        self.path = path
        self.found = {}

    def pytest_runtest_logreport(self, report) -> None:
        before = self.found.get(report.nodeid, {"came": "passed", "wrong": "", "seconds": 0.0})
        now = {**before, "seconds": round(before["seconds"] + report.duration, 2)}
        # What goes wrong when a project is made or taken away is a failure too; the first one tells more than those that follow it.
        if report.failed and before["came"] != "failed":
            now |= {"came": "failed", "wrong": first_line(report)}
        elif report.skipped and before["came"] == "passed":
            now |= {"came": "skipped", "wrong": first_line(report)}
        self.found[report.nodeid] = now
        # A test whose process ended has one report, which is of none of the three parts.
        if report.when not in ("setup", "call"):
            del self.found[report.nodeid]
            with self.path.open("a") as file:
                file.write(json.dumps({"name": name_of(report.nodeid), **now}) + "\n")


def first_line(report) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    # Of a skipped test it is where, the line and why.
    text = crash.message if crash else report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return next(iter(text.strip().splitlines()), "failed")
