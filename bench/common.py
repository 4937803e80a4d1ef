"""What the benchmarks share: pairs measured in turn, and tables of ratios."""

import argparse
import os
import pathlib
import platform
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "clients"))


def shared(name: str) -> pathlib.Path:
    """A file of the shared data; ends the benchmark, saying so, when it is not there."""
    folder = pathlib.Path(os.environ.get("POLDER_SHARED_DATA", ROOT.parent / "shared" / "data"))
    path = folder / name
    if not path.exists():
        print(f"skipped: there is no {path}; set POLDER_SHARED_DATA")
        sys.exit(0)
    return path


def no_options(about: str) -> None:
    """Tells what a benchmark without options measures, when asked; refuses all else."""
    argparse.ArgumentParser(description=about.strip().splitlines()[0]).parse_args()


def timed(action) -> float:
    """Seconds that a call takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def in_turn(rounds: int, **actions) -> dict:
    """Runs the actions one after the other, `rounds` times over, so that a slow moment of the machine strikes all alike.

    Each action is called with the round's number. A first round, not counted, warms the caches.
    """
    seconds = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            taken = timed(lambda action=action: action(number))
            if number:
                seconds[name].append(taken)
    return seconds


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, {time.strftime('%Y-%m-%d', time.gmtime())}"


def table(title: str, head: list, rows: list) -> None:
    """A Markdown table, to be read on a terminal and kept in results/."""
    cells = [head, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    print(f"\n## {title}\n\n{machine()}\n")
    print(line(cells[0]))
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in cells[1:]:
        print(line(row))
    print(flush=True)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def median(numbers: list) -> float:
    return statistics.median(numbers)


def verdict(good: bool) -> str:
    return "reached" if good else "MISSED"
