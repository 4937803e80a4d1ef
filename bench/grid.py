"""A million rows in the console's grid: until the first are painted, until all are there, the jump to the last, and scrolling.

A browser without a screen, on the same cores as the server. Aims of our own: the first rows within 1 s, the jump within 0.2 s,
and half of the frames of fast scrolling within 1/30 s.
"""

import json
import subprocess
import sys

from common import ROOT, median, ms, no_options, table, verdict

import polder

ROUNDS = 5
FIRST_SECONDS = 1.0
JUMP_SECONDS = 0.2
FRAME_SECONDS = 1 / 30


def main() -> int:
    no_options(__doc__)
    rounds = []
    with polder.Server() as server:
        known = server.credentials
        # A first round, not counted, warms the caches.
        for number in range(ROUNDS + 1):
            done = subprocess.run(["node", ROOT / "bench" / "grid.mjs", server.url, known["user"], known["password"]],
                                  check=True, capture_output=True, text=True)
            if number:
                rounds.append(json.loads(done.stdout))
    assert all(one["moved"] > 0 and one["empty"] == 0 for one in rounds), "the grid did not scroll, or was drawn empty"
    first, whole, end = ([one[name] / 1000 for one in rounds] for name in ("first", "all", "end"))
    frames = sorted(time / 1000 for one in rounds for time in one["times"])
    late = frames[int(len(frames) * 0.99)]
    table(f"A million rows in the grid ({ROUNDS} rounds)", ["", "best", "median", "aim", ""], [
        ["first rows painted", ms(min(first)), ms(median(first)), ms(FIRST_SECONDS), verdict(median(first) <= FIRST_SECONDS)],
        ["all rows there", ms(min(whole)), ms(median(whole)), "", ""],
        ["jump to the last row", ms(min(end)), ms(median(end)), ms(JUMP_SECONDS), verdict(median(end) <= JUMP_SECONDS)],
        ["a frame while scrolling, 30 rows each", ms(frames[0]), ms(median(frames)), ms(FRAME_SECONDS), verdict(median(frames) <= FRAME_SECONDS)],
        ["the slowest frame of a hundred", "", ms(late), "", ""],
    ])
    return 1 if median(first) > FIRST_SECONDS or median(end) > JUMP_SECONDS or median(frames) > FRAME_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
