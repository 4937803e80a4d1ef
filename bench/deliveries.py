"""A delivery into a lake table: events that come at a steady rate, and how long after its acknowledgement SQL sees each.

JSON events are produced with acks=all at a fixed rate, a delivery with a buffer of 1 second brings them into a table, and a reader asks again and
again how far the table has come. An event is seen once the answer of a statement counts it. At the end each event is there once.

    python bench/deliveries.py --rate 100000 --seconds 30
"""

import argparse
import bisect
import pathlib
import shutil
import tempfile
import threading
import time

from changes import progress
from common import table, verdict

import kafkas
import polder
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

RATE = 100_000
SECONDS = 30
PARTITIONS = 2
# An event is seen so long after its acknowledgement at most.
SEEN_SECONDS = 2.0
# The first seconds make the table and warm.
WARM_SECONDS = 3
ASKED_EVERY_SECONDS = 0.05
STEP = 1000


class Events:
    """Produces events at a rate. `acknowledged`: (time, how many) as they were known to be on the disk."""

    def __init__(self, server, topic: str, rate: int, seconds: int):
        self.producer = Producer(kafkas.librdkafka(server, acks="all", linger_ms=20, batch_size=1_000_000, queue_buffering_max_messages=1_000_000))
        self.topic, self.rate, self.total = topic, rate, rate * seconds
        self.acknowledged, self.count, self.failures = [], 0, []
        self.behind_seconds = 0.0

    def told(self, error, _) -> None:
        if error:
            self.failures.append(error)
            return
        self.count += 1
        if self.count % STEP == 0:
            self.acknowledged.append((time.monotonic(), self.count))

    def run(self) -> None:
        values = [b'{"id": %%d, "user": %d, "page": "/pricing/%d", "ms": %d.5, "agent": "linux"}' % (n * 37 % 5000, n % 50, n % 900) for n in range(STEP)]
        begun = time.monotonic()
        for number in range(0, self.total, STEP):
            ahead = begun + number / self.rate - time.monotonic()
            self.behind_seconds = max(self.behind_seconds, -ahead)
            while ahead > 0:
                self.producer.poll(min(ahead, 0.01))
                ahead = begun + number / self.rate - time.monotonic()
            for place, value in enumerate(values):
                self.producer.produce(self.topic, value % (number + place), partition=number // STEP % PARTITIONS, on_delivery=self.told)
            self.producer.poll(0)
        left = self.producer.flush(polder.SOON_SECONDS)
        assert not left and not self.failures, (left, self.failures[:3])


def watch(client, name: str, events: Events, done: threading.Event) -> list:
    """(time of the answer, events in the table), until all are there."""
    found, deadline = [], None
    while not found or found[-1][1] < events.total:
        if done.is_set():
            deadline = deadline or time.monotonic() + 10 * SEEN_SECONDS + polder.SOON_SECONDS
            assert time.monotonic() < deadline, f"{found[-1:]} of {events.total} events have come"
        try:
            count = client.value(f"SELECT count(*) AS n FROM {name}")
        except polder.Failed:
            count = 0
        found.append((time.monotonic(), count))
        time.sleep(ASKED_EVERY_SECONDS)
    return found


def delays(acknowledged: list, seen: list, warm_until: float) -> list:
    """How long after its acknowledgement each thousandth event was seen, in order of size. With several partitions the table's count says how
    many are there, not which: as many as are acknowledged by then."""
    counts, found = [count for _, count in seen], []
    for at, count in acknowledged:
        if at >= warm_until:
            found.append(max(0.0, seen[min(bisect.bisect_left(counts, count), len(seen) - 1)][0] - at))
    return sorted(found)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rate", type=int, default=RATE)
    arguments.add_argument("--seconds", type=int, default=SECONDS)
    given = arguments.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="polder-bench-"))
    try:
        with kafkas.start(folder / "data") as server:
            client = server.client()
            admin = AdminClient(kafkas.librdkafka(server))
            admin.create_topics([NewTopic("events", PARTITIONS, 1)])["events"].result(30)
            client.sql("CREATE DELIVERY events FROM TOPIC events INTO TABLE events_delivered BUFFER 64 MB OR 1 SECONDS")
            events, done = Events(server, "events", given.rate, given.seconds), threading.Event()
            progress(f"{given.rate:,} events a second for {given.seconds} s")
            seen = []
            reader = threading.Thread(target=lambda: seen.extend(watch(client, "events_delivered", events, done)))
            begun = time.monotonic()
            reader.start()
            events.run()
            taken = time.monotonic() - begun
            done.set()
            reader.join()
            once = client.sql("SELECT count(*) AS n, count(DISTINCT id) AS ids, min(id) AS least, max(id) AS most FROM events_delivered")[0]
            assert once == {"n": events.total, "ids": events.total, "least": 0, "most": events.total - 1}, once
            files = client.value("SELECT file_count FROM polder.tables WHERE table_name = 'events_delivered'")
        late = delays(events.acknowledged, seen, begun + WARM_SECONDS)
        at = lambda share: late[min(int(len(late) * share), len(late) - 1)]
        rate = events.total / taken
        rows = [
            ["events a second, acks=all", f"{rate:,.0f}", verdict(rate >= 0.98 * given.rate)],
            ["seen after its acknowledgement, p50", f"{at(0.5):.2f} s", ""],
            ["p99", f"{at(0.99):.2f} s", ""],
            ["slowest", f"{late[-1]:.2f} s", verdict(late[-1] <= SEEN_SECONDS)],
            ["files of the table at the end", f"{files}", ""],
        ]
        table(f"A delivery of {events.total:,} JSON events into a table, buffer 1 s", ["", "Polder", "goal"], rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
