"""Topics: librdkafka that waits until its records are on the disk, beside NATS JetStream that syncs always, and beside the disk alone.

Producing records of 1 KB with acks=all, against writing and syncing 1 MiB at a time, which is what the disk gives; by librdkafka, and by
a client that sends batches made before, which shows what the server takes. Consuming them again, both ways. The time to an
acknowledgement at a fifth of the top rate. How long a record takes from one client to another while 10,000 come each second. The
memory of 1,000 partitions and 200 connections, and a start after `kill -9`. Every acknowledged record is on the disk but in the part
`pagecache`, whose peer is Kafka 0.9.

    python bench/kafka.py --records 600000 --parts produce,acks,consume,latency
"""

import argparse
import contextlib
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import threading
import time

from changes import choice, progress
from common import median, table, verdict

import brokers
import kafkas
import polder
import raw_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

RECORDS = 600_000
RECORD = os.urandom(1000)
NATS_RECORDS = 10_000
ROUNDS = 3
PARTITIONS = 3
MIB = 1 << 20
BATCH_RECORDS = 960
AHEAD = 6
LATENCY_SECONDS = 20
ACK_ROUNDS, ACK_SECONDS = 4, 3
RATE = 10_000
# Of what the log holds in memory, less what may be of others.
CACHED_BYTES = 45_000_000
CACHED_TURNS = 12
IDLE_PARTITIONS, IDLE_CONNECTIONS = 1_000, 200
START_BYTES = 10_000_000_000
PARTS = ("produce", "acks", "consume", "latency", "pagecache", "idle", "start")
# What is to be reached: a part of what the disk gives, times as fast as peers, bare syncs that an acknowledgement may take, bytes a second
# that are read, how long a record may take, and memory.
DISK_SHARE, NATS_TIMES, KAFKA_TIMES, SYNCS = 0.5, 3, 2, 3
CONSUMED_A_SECOND = 500e6
P99_SECONDS = 0.010
IDLE_BYTES, START_SECONDS = 500e6, 5
WAIT_SECONDS = 600
HEAD = ["", "measured", "beside", "goal"]


class Measured:
    """How long something took, and what of that its two sides worked."""

    def __init__(self, process, action):
        begun, theirs, ours = time.monotonic(), cpu(process), own_cpu()
        self.told = action()
        self.seconds = time.monotonic() - begun
        self.client, self.server = (own_cpu() - ours) / self.seconds, (cpu(process) - theirs) / self.seconds

    def busy(self) -> str:
        return f"client {self.client:.2f}, server {self.server:.2f} of a core"


def own_cpu() -> float:
    """Of this process, and of the clients that it has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def cpu(process: int) -> float:
    user, system = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def produce(settings: dict, topic: str, records: int) -> None:
    more = {"acks": "all", "linger.ms": 5, "batch.size": 1_000_000, "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": MIB}
    producer, failures = Producer({**settings, **more}), []
    told = lambda error, _: failures.append(error) if error else None
    lot = 1000
    for number in range(0, records, lot):
        left = [{"value": RECORD} for _ in range(lot)]
        while left:
            # Those that found no room stand at the end, in order.
            left = left[producer.produce_batch(topic, left, number * PARTITIONS // records, told):]
            producer.poll(0.01 if left else 0)
    left = producer.flush(WAIT_SECONDS)
    assert not left and not failures, (left, failures[:3])


def consume(settings: dict, topic: str, records: int) -> None:
    consumer = Consumer({**settings, "group.id": "bench", "enable.auto.commit": False, "queued.max.messages.kbytes": 262_144})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found, deadline = 0, time.monotonic() + WAIT_SECONDS
    while found < records:
        assert time.monotonic() < deadline, f"{found} of {records} records have come"
        found += len(consumer.consume(10_000, 1))
    consumer.close()


def write_and_sync(folder: pathlib.Path, size: int, chunk_bytes: int = MIB, every: float = 0) -> list:
    """What the disk gives: seconds of each chunk, on the disk before the next, and not before `every` seconds have gone by."""
    chunk, seconds = os.urandom(chunk_bytes), []
    file = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        # As the log does it, so that no sync writes the length too.
        os.posix_fallocate(file, 0, size)
        os.fsync(file)
        for position in range(0, size - chunk_bytes + 1, chunk_bytes):
            begun = time.monotonic()
            os.pwrite(file, chunk, position)
            os.fdatasync(file)
            seconds.append(time.monotonic() - begun)
            if every > seconds[-1]:
                time.sleep(every - seconds[-1])
        return seconds
    finally:
        os.close(file)
        (folder / "bare").unlink()


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


def create(settings: dict, *topics, partitions: int = PARTITIONS) -> None:
    admin = AdminClient(settings)
    for future in admin.create_topics([NewTopic(name, partitions, 1) for name in topics]).values():
        future.result(60)


def rate(size: float, seconds: float) -> str:
    return f"{size / seconds / 1e6:.0f} MB/s"


def percentile(found: list, share: float) -> float:
    return found[min(int(len(found) * share), len(found) - 1)]


def told_ms(found: list) -> str:
    return ", ".join(f"{name} {percentile(found, share) * 1000:.1f}" for name, share in (("p50", 0.5), ("p99", 0.99))) + " ms"


def connect(server) -> raw_kafka.Connection:
    return raw_kafka.Connection(kafkas.address(server), server.credentials)


def raw_produce(server, topic: str, size: int) -> None:
    batch = raw_kafka.batch([RECORD] * BATCH_RECORDS)
    with contextlib.closing(connect(server)) as connection:
        raw_kafka.produce(connection, topic, PARTITIONS, batch, size // len(batch), AHEAD)


def part_produce(server, folder: pathlib.Path, given) -> list:
    size, settings, process = given.records * len(RECORD), kafkas.librdkafka(server), server.process.pid
    create(settings, *(f"produce{number}" for number in range(2 * ROUNDS)))
    shares, rows, nats = [], [], brokers.nats(folder)
    for number in range(ROUNDS):
        progress(f"producing, {number + 1} of {ROUNDS}")
        disk = size / sum(write_and_sync(folder, size))
        ours = Measured(process, lambda number=number: produce(settings, f"produce{2 * number}", given.records))
        bare = Measured(process, lambda number=number: raw_produce(server, f"produce{2 * number + 1}", size))
        after = size / sum(write_and_sync(folder, size))
        beside = (disk + after) / 2
        shares.append(size / ours.seconds / beside)
        of = lambda measured: f"{rate(size, measured.seconds)}, {size / measured.seconds / beside:.2f} of the disk; {measured.busy()}"
        rows.append(["produce by librdkafka", of(ours), f"{beside / 1e6:.0f} MB/s ({disk / 1e6:.0f}, {after / 1e6:.0f})", ""])
        rows.append(["produce, batches made before", of(bare), "", ""])
    rows.append(["share of the disk, median", f"{median(shares):.2f}", f"at least {DISK_SHARE}", verdict(median(shares) >= DISK_SHARE)])
    if nats:
        with contextlib.closing(nats):
            rows += beside_nats(server, nats)
    return rows


def beside_nats(server, nats) -> list:
    """In turns, as many records as JetStream takes in some seconds."""
    settings, times, ours, theirs = kafkas.librdkafka(server), [], [], []
    create(settings, *(f"nats{number}" for number in range(ROUNDS)))
    for number in range(ROUNDS):
        progress(f"NATS, {number + 1} of {ROUNDS}")
        theirs.append(Measured(nats.process.pid, lambda number=number: nats.produce(f"nats{number}", RECORD, NATS_RECORDS)).seconds)
        ours.append(Measured(server.process.pid, lambda number=number: produce(settings, f"nats{number}", NATS_RECORDS)).seconds)
        times.append(theirs[-1] / ours[-1])
    size = NATS_RECORDS * len(RECORD)
    read = Measured(nats.process.pid, lambda: nats.consume("nats0", NATS_RECORDS))
    return [[f"produce {NATS_RECORDS:,} records", rate(size, median(ours)), f"NATS JetStream, sync always: {rate(size, median(theirs))}", ""],
            ["times as fast as it, median", f"{median(times):.1f}", f"at least {NATS_TIMES}", verdict(median(times) >= NATS_TIMES)],
            ["NATS reads them", "", f"{rate(size, read.seconds)}; {read.busy()}", ""]]


def paced_syncs(folder: pathlib.Path, chunk_bytes: int, rate_bytes: float, seconds: float) -> list:
    """Seconds of single writes with their fdatasync, as far from each other as batches are at this rate."""
    count = int(rate_bytes * seconds / chunk_bytes)
    return write_and_sync(folder, count * chunk_bytes, chunk_bytes, chunk_bytes / rate_bytes)


def part_acks(server, folder: pathlib.Path, given) -> list:
    """Batches of 16 and 64 records at a fifth of the top rate, in turns with bare syncs at the same pace."""
    create(kafkas.librdkafka(server), "acks_top", "acks")
    size, rows = min(given.records * len(RECORD), 300_000_000), []
    top = size / Measured(server.process.pid, lambda: raw_produce(server, "acks_top", size)).seconds
    for records in (16, 64):
        batch, found, bare = raw_kafka.batch([RECORD] * records), [], []
        for number in range(ACK_ROUNDS):
            progress(f"acknowledgements of {records}, {number + 1} of {ACK_ROUNDS}")
            bare += paced_syncs(folder, len(batch), top / 5, ACK_SECONDS)
            with contextlib.closing(connect(server)) as connection:
                found += raw_kafka.acknowledgements(connection, "acks", batch, top / 5, ACK_SECONDS)
        found, bare = sorted(found), sorted(bare)
        most = SYNCS * percentile(bare, 0.99)
        rows.append([f"acknowledgement of {records} records at {top / 5e6:.0f} MB/s", told_ms(found), f"one bare fdatasync {told_ms(bare)}",
                     verdict(percentile(found, 0.99) <= most)])
    return rows


def part_consume(server, folder: pathlib.Path, given) -> list:
    settings, process = kafkas.librdkafka(server), server.process.pid
    each = CACHED_BYTES // len(RECORD) // PARTITIONS // BATCH_RECORDS * BATCH_RECORDS
    rows, fast = [], []
    create(settings, "consume", "consume_all")
    batches = each // BATCH_RECORDS
    # Larger than the log's memory: what of it is not there comes from the page cache.
    records = given.records // (PARTITIONS * BATCH_RECORDS) * PARTITIONS * BATCH_RECORDS
    produce(settings, "consume_all", records)
    raw_produce(server, "consume", batches * PARTITIONS * len(raw_kafka.batch([RECORD] * BATCH_RECORDS)))
    for _ in range(ROUNDS):
        progress("consuming")

        def raw(connection):
            return sum(raw_kafka.consume(connection, "consume", dict.fromkeys(range(PARTITIONS), 0), batches * BATCH_RECORDS * PARTITIONS)
                       for _ in range(CACHED_TURNS))

        with contextlib.closing(connect(server)) as connection:
            bare = Measured(process, lambda connection=connection: raw(connection))
        ours = Measured(process, lambda: consume(settings, "consume_all", records))
        fast.append(bare.told / bare.seconds)
        rows.append(["consume by librdkafka, in Python", f"{rate(records * len(RECORD), ours.seconds)}; {ours.busy()}", "", ""])
        rows.append(["consume, batches left as they are", f"{rate(bare.told, bare.seconds)}; {bare.busy()}", "", ""])
    rows.append(["consumed a second, median", f"{median(fast) / 1e6:.0f} MB", f"at least {CONSUMED_A_SECOND / 1e6:.0f} MB",
                 verdict(median(fast) >= CONSUMED_A_SECOND)])
    return rows


def part_latency(server, folder: pathlib.Path, given) -> list:
    progress("latency")
    create(kafkas.librdkafka(server), "latency")
    found = latencies(server, "latency", LATENCY_SECONDS)
    return [[f"produce to consume at {RATE:,}/s", told_ms(found), "p99 at most 10 ms", verdict(percentile(found, 0.99) <= P99_SECONDS)]]


def produce_by_kcat(settings: dict, topic: str, lines: pathlib.Path) -> None:
    """The librdkafka of Debian's kcat still speaks to brokers of 0.9, which newer ones do no longer."""
    settings = {**settings, "acks": "all", "linger.ms": 5, "batch.size": 1_000_000, "queue.buffering.max.messages": 500_000}
    named = [argument for name, value in settings.items() for argument in ("-X", f"{name}={value}")]
    subprocess.run(["kcat", "-P", "-q", "-t", topic, "-l", str(lines), *named], check=True, timeout=WAIT_SECONDS, capture_output=True)


def part_pagecache(_, folder: pathlib.Path, given) -> list:
    """A server of its own, which syncs later, as the peer does; by the same client with the same settings, made files of lines."""
    size, rows, times, lines = given.records * len(RECORD), [], [], folder / "lines"
    lines.write_bytes((b"x" * (len(RECORD) - 1) + b"\n") * given.records)
    with kafkas.start(folder / "cached", "--topics-sync", "page-cache") as server, contextlib.ExitStack() as stack:
        settings, peer = kafkas.librdkafka(server), brokers.kafka_0_9(folder)
        create(settings, *(f"cached{number}" for number in range(ROUNDS + 1)))
        if peer:
            stack.callback(peer.close)
        for number in range(ROUNDS + 1):
            progress(f"page cache, {number} of {ROUNDS}")
            ours = Measured(server.process.pid, lambda number=number: produce_by_kcat(settings, f"cached{number}", lines))
            theirs = peer and Measured(peer.processes[-1].pid, lambda number=number: produce_by_kcat(peer.settings, f"cached{number}", lines))
            # The first one warms.
            if number:
                times.append(theirs.seconds / ours.seconds if theirs else 0)
                beside = f"Kafka 0.9: {rate(size, theirs.seconds)}; {theirs.busy()}" if theirs else "not there"
                rows.append(["produce by kcat, page cache", f"{rate(size, ours.seconds)}; {ours.busy()}", beside, ""])
        if peer:
            rows.append(["times as fast as it, median", f"{median(times):.1f}", f"at least {KAFKA_TIMES}", verdict(median(times) >= KAFKA_TIMES)])
    return rows


def part_idle(_, folder: pathlib.Path, given) -> list:
    """A server of its own: partitions that have records, and connections that have read some and wait for more."""
    progress("idle")
    with kafkas.start(folder / "idle") as server, contextlib.ExitStack() as stack:
        at_first = server.memory_bytes()
        create(kafkas.librdkafka(server), "idle", partitions=IDLE_PARTITIONS)
        connections = [stack.enter_context(contextlib.closing(connect(server))) for _ in range(IDLE_CONNECTIONS)]
        batch, each = raw_kafka.batch([RECORD] * 100), IDLE_PARTITIONS // IDLE_CONNECTIONS
        for number, connection in enumerate(connections):
            for partition in range(number * each, (number + 1) * each):
                raw_kafka.check_produced(connection.ask(raw_kafka.PRODUCE, 3, raw_kafka.produce_request("idle", partition, batch)), "idle")
        for number, connection in enumerate(connections):
            places = dict.fromkeys(range(number * each, (number + 1) * each), 0)
            assert raw_kafka.consume(connection, "idle", places, 100 * each) == each * len(batch)
            connection.send(raw_kafka.FETCH, 4, raw_kafka.fetch_request("idle", places, wait_ms=30_000))
        time.sleep(2)
        now, peak = server.memory_bytes(), server.memory_bytes("VmHWM")
    return [[f"{IDLE_PARTITIONS:,} partitions, {IDLE_CONNECTIONS} connections", f"{now / 1e6:.0f} MB, at most {peak / 1e6:.0f}; {at_first / 1e6:.0f} before",
             f"at most {IDLE_BYTES / 1e6:.0f} MB", verdict(peak <= IDLE_BYTES)]]


def part_start(_, folder: pathlib.Path, given) -> list:
    """A server of its own, killed with so much in its log; nothing of it in the page cache then, as far as that can be said."""
    seconds = []
    with kafkas.start(folder / "start") as server:
        create(kafkas.librdkafka(server), "start")
        progress("filling the log")
        raw_produce(server, "start", given.start_bytes)
        files = [*(server.data / "log").iterdir()]
        held = sum(file.stat().st_size for file in files)
        for _ in range(ROUNDS):
            server.kill()
            for file in (server.data / "log").iterdir():
                with file.open("rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            server.start()
            seconds.append(server.ready_seconds)
    told = ", ".join(f"{one:.1f}" for one in seconds)
    return [[f"start after kill -9 with {held / 1e9:.1f} GB", f"{told} s", f"at most {START_SECONDS} s", verdict(max(seconds) <= START_SECONDS)]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--records", type=int, default=RECORDS)
    arguments.add_argument("--start-bytes", type=int, default=START_BYTES)
    arguments.add_argument("--parts", type=choice(PARTS), default=",".join(PARTS), help="default %(default)s")
    given = arguments.parse_args()
    folder, rows = pathlib.Path(tempfile.mkdtemp(prefix="polder-bench-")), []
    try:
        with kafkas.start(folder / "data") as server:
            for part in given.parts:
                rows += globals()[f"part_{part}"](server, folder, given)
        table(f"Topics, records of {len(RECORD)} bytes, {PARTITIONS} partitions", HEAD, rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
