#!/usr/bin/env python3
"""Runs the suites of tests, all that can at once, and says at the end what ran and what failed.

    scripts/test            every suite
    scripts/test rust faults    only these

A suite that fails does not stop the others. Its output is kept in .cache/test-logs/, and its end is shown. A suite that runs
no test has failed. `POLDER_TEST_MINUTES` bounds the whole run.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / ".cache" / "test-logs"
TAIL_LINES = 200
HEARTBEAT_SECONDS = 30

# The clients' tests about what must never be lost; a suite of its own, since they take minutes.
FAULTS = [f"tests/clients/test_{name}.py" for name in
          ("faults", "isolation", "histories", "interrupted", "crash_random", "simulated_disk", "power_cuts",
           "power_cuts_layouts", "power_cuts_jobs", "power_cuts_backups", "power_cuts_exports", "disk", "flipped_bits", "writers",
           "large_changes")]

# Files of pytest's that run beside each other, in each of the two suites: four fifths of their time is waiting, for a disk, a
# server's start, what a client of Kafka's takes for a moment.
PYTEST_AT_ONCE = 3

# For what takes only what the others, which wait for much, leave of the processors. Linux shares these among sessions first, and
# each suite is one.
LAST = ["sh", "-c", 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@"', "last"]

# What each test runner prints at its end.
COUNTS = {
    "nextest": {
        "passed": r"^\s*Summary \[.*\] .*?(\d+) passed",
        "failed": r"^\s*Summary \[.*\] .*?(\d+) (?:failed|timed out)",
        "skipped": r"^\s*Summary \[.*\] .*?(\d+) skipped",
    },
    "pytest": {
        "passed": r"^=* ?.*?\b(\d+) passed\b.* in [\d.:]+",
        "failed": r"^=* ?.*?\b(\d+) (?:failed|errors?)\b.* in [\d.:]+",
        "skipped": r"^=* ?.*?\b(\d+) skipped\b.* in [\d.:]+",
    },
    "vitest": {
        "passed": r"^\s*Tests\s.*?(\d+) passed",
        "failed": r"^\s*Tests\s.*?(\d+) failed",
        "skipped": r"^\s*Tests\s.*?(\d+) (?:skipped|todo)",
    },
    "node": {
        "passed": r"^[#ℹ] pass (\d+)",
        "failed": r"^[#ℹ] (?:fail|cancelled) (\d+)",
        "skipped": r"^[#ℹ] skipped (\d+)",
    },
    "unittest": {
        "passed": r"^Ran (\d+) tests? in",
        "failed": r"^FAILED \(.*?failures=(\d+)",
        "skipped": r"\bskipped=(\d+)",
    },
    # A check without tests of its own counts as one.
    "check": {},
}


@dataclasses.dataclass
class Suite:
    name: str
    what: str
    runner: str
    commands: list
    folder: str = "."
    needs_binary: bool = False
    # Once there is a binary: the suites of one lane run one after the other, the lanes beside each other.
    lane: str = ""


@dataclasses.dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""


def python() -> str:
    return str(pathlib.Path(os.environ["POLDER_CACHE"]) / "venv" / "bin" / "python")


def suites() -> list:
    pytest = [python(), "-m", "pytest", "-q", "-rfEs", "--tb=short", "-p", "no:cacheprovider",
              # A file's tests stay together: they share a server. Those that take longest begin first (conftest.py).
              "--numprocesses", str(PYTEST_AT_ONCE), "--dist", "loadfile", "--no-loadscope-reorder"]
    nextest = ["cargo", "nextest", "run", "--release", "--workspace", "--lib", "--bins", "--tests"]
    return [
        Suite("format", "the code is formatted", "check", [["cargo", "fmt", "--all", "--check"]]),
        Suite("tidy", "floors, versions, words, sizes", "check",
              [["cargo", "run", "--release", "--quiet", "--package", "xtask", "--", "tidy"]]),
        Suite("scripts", "the scripts' own tests", "unittest",
              [[sys.executable, "-m", "unittest", "discover", "--start-directory", "scripts"]]),
        Suite("console", "types and units of the console", "vitest",
              [["npm", "run", "--silent", "--if-present", "lint"], ["npx", "--no-install", "tsc", "--noEmit"],
               ["npm", "test", "--silent"]], folder="console", lane="browser"),
        # Only they need cargo in their lane; the binary, which the others use meanwhile, is not built a second time.
        Suite("rust", "units, SQL files and integration tests", "nextest",
              [[*LAST, *nextest, "--no-run"], [*nextest, "--no-fail-fast"]], lane="rust"),
        Suite("clients", "official clients against the binary", "pytest",
              [[*pytest, "tests/clients", *(f"--ignore={path}" for path in FAULTS)]], needs_binary=True, lane="clients"),
        Suite("faults", "isolation, crashes, full disks, flipped bits, many writers", "pytest",
              [[*pytest, *FAULTS]], needs_binary=True, lane="faults"),
        Suite("browser", "the console in Chromium, on the binary", "node",
              [["node", "--test", "--test-concurrency=1", "--test-reporter=spec"]], folder="tests/browser", needs_binary=True,
              lane="browser"),
        Suite("lints", "what the workspace denies: panics, unwraps, unsafe", "check",
              [[*LAST, sys.executable, "scripts/lints.py"]], lane="lints"),
    ]


def count(runner: str, output: str) -> Outcome:
    """Sums what the runner's closing lines say. A runner may close several times (one package after the other)."""
    outcome = Outcome()
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output)
    for kind, pattern in COUNTS[runner].items():
        numbers = [int(number) for number in re.findall(pattern, plain, re.MULTILINE)]
        setattr(outcome, kind, sum(numbers))
    if runner == "unittest":
        errors = sum(int(number) for number in re.findall(r"^FAILED \(.*?errors=(\d+)", plain, re.MULTILINE))
        outcome.failed += errors
        outcome.passed -= outcome.failed + outcome.skipped
    return outcome


def judge(runner: str, status: int, output: str) -> Outcome:
    """An exit code that contradicts the counts wins."""
    outcome = count(runner, output)
    if runner == "check":
        return Outcome(passed=1) if status == 0 else Outcome(failed=1, note=f"exit code {status}")
    if status != 0 and outcome.failed == 0:
        outcome.failed = 1
        outcome.note = f"exit code {status}"
    if status == 0 and outcome.passed + outcome.failed == 0:
        outcome.failed = 1
        outcome.note = "ran no test"
    return outcome


def now() -> str:
    return time.strftime("%H:%M:%S", time.gmtime())


class Runner:
    """Runs commands with their output in a log, a word now and then, and a deadline."""

    def __init__(self, deadline: float):
        self.deadline = deadline

    def run(self, command: list, folder: pathlib.Path, log) -> int:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", start_new_session=True)
        except OSError as error:
            log.write(f"cannot start {command[0]}: {error}\n")
            return 127
        timer = threading.Timer(max(1.0, self.deadline - time.monotonic()), self.stop, [process, log])
        timer.start()
        spoke = time.monotonic()
        for line in process.stdout:
            log.write(line)
            if line.strip() and time.monotonic() - spoke > HEARTBEAT_SECONDS:
                spoke = time.monotonic()
                print(f"  {now()}  {line.strip()[:110]}", flush=True)
        status = process.wait()
        timer.cancel()
        return status

    @staticmethod
    def stop(process: subprocess.Popen, log) -> None:
        log.write("\nout of time: POLDER_TEST_MINUTES is over\n")
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def run_suite(suite: Suite, runner: Runner) -> Outcome:
    folder = ROOT / suite.folder
    log_path = LOGS / f"{suite.name}.log"
    if not folder.is_dir():
        return Outcome(failed=1, note=f"there is no {suite.folder}")
    if suite.needs_binary and not pathlib.Path(os.environ["POLDER_BINARY"]).is_file():
        return Outcome(failed=1, note="the binary was not built")
    total = Outcome()
    with log_path.open("w", encoding="utf-8") as log:
        for command in suite.commands:
            status = runner.run(command, folder, log)
            if status != 0:
                break
        log.flush()
    outcome = judge(suite.runner, status, log_path.read_text(encoding="utf-8", errors="replace"))
    total.passed, total.failed, total.skipped = outcome.passed, outcome.failed, outcome.skipped
    total.note = outcome.note
    return total


def show_end(name: str) -> None:
    path = LOGS / f"{name}.log"
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    shown = min(TAIL_LINES, len(lines))
    head, foot = f"--- the end of {path.relative_to(ROOT)} ({shown} of {len(lines)} lines)", f"--- end of {name}"
    # At once, since other suites print too.
    print("\n".join([head, *lines[-TAIL_LINES:], foot]), flush=True)


# What several suites stand on; a failure here fails those suites, not the others.
CONSOLE_BUILD = Suite("console-build", "the console's pages", "check", [["scripts/console"]])
BUILD = Suite("build", "the release binary", "check", [["cargo", "build", "--release", "--package", "polder"]])


def run_one(suite: Suite, runner: Runner) -> tuple:
    print(f"{now()}  {suite.name}: {suite.what}", flush=True)
    started = time.monotonic()
    if started > runner.deadline:
        outcome = Outcome(failed=1, note="out of time")
    else:
        outcome = run_suite(suite, runner)
    seconds = time.monotonic() - started
    if outcome.failed:
        show_end(suite.name)
    return suite.name, outcome, seconds


def run_lanes(chosen: list, runner: Runner) -> list:
    """The suites of each lane in their order, all lanes at once: most of their time is waiting."""
    lanes: dict = {}
    for suite in chosen:
        lanes.setdefault(suite.lane, []).append(suite)
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(lanes))) as pool:
        running = [pool.submit(lambda lane=lane: [run_one(suite, runner) for suite in lane]) for lane in lanes.values()]
        return [result for one in running for result in one.result()]


def sources(step: str) -> None:
    """Around everything that cargo does here; without it, builds take longer, and that is all."""
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "sources.py"), step], cwd=ROOT, check=False)
    if done.returncode != 0:
        print(f"  the sources' times could not be kept: scripts/sources.py {step} failed", flush=True)


def main() -> int:
    os.chdir(ROOT)
    # What is missing fails here: scripts/install has put it there, and a test that is passed over proves nothing.
    os.environ["POLDER_ALL_PROGRAMS"] = "1"
    LOGS.mkdir(parents=True, exist_ok=True)
    known = suites()
    wanted = sys.argv[1:]
    unknown = [name for name in wanted if name not in {suite.name for suite in known}]
    if unknown:
        print(f"no such suite: {', '.join(unknown)}; there are {', '.join(suite.name for suite in known)}", file=sys.stderr)
        return 2
    chosen = [suite for suite in known if not wanted or suite.name in wanted]
    minutes = float(os.environ.get("POLDER_TEST_MINUTES", "120"))
    runner = Runner(time.monotonic() + minutes * 60)
    results = []
    # What needs no build of ours runs first, so that a slip in it shows at once.
    quick = [suite for suite in chosen if not suite.lane]
    slow = [suite for suite in chosen if suite.lane]
    if slow:
        # Before the sources get their times, since the binary holds it.
        results.append(run_one(CONSOLE_BUILD, runner))
    sources("restore")
    results += [run_one(suite, runner) for suite in quick]
    if slow:
        results.append(run_one(BUILD, runner))
    results += run_lanes(slow, runner)
    sources("record")

    print()
    for name, outcome, seconds in results:
        verdict = "FAILED" if outcome.failed else "ok"
        skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
        note = f" ({outcome.note})" if outcome.note else ""
        print(f"{verdict:7} {name:14} {outcome.passed} passed, {outcome.failed} failed{skipped} in {seconds:.0f} s{note}")
    passed, failed, skipped = (sum(getattr(outcome, kind) for _, outcome, _ in results) for kind in ("passed", "failed", "skipped"))
    print()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
