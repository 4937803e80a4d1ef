"""What the log forgets by itself: all but the last record of a key, and the oldest of what is too much. Seen by librdkafka."""

import time

import pytest

import kafkas

confluent_kafka = pytest.importorskip("confluent_kafka")
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

KEYS = 100
# The log looks every ten seconds for what is due.
DUE_SECONDS = 60
MIB = 1 << 20


# A new log for each: how much fills a file grows with those that are full.
@pytest.fixture
def server():
    with kafkas.start() as running:
        yield running


def make(server, of: str, **config: str) -> str:
    name = kafkas.fresh_name(of)
    wanted = NewTopic(name, 1, 1, config={key.replace("_", "."): value for key, value in config.items()})
    admin = AdminClient(kafkas.librdkafka(server))
    admin.create_topics([wanted])[name].result(kafkas.WAIT_SECONDS)
    return name


def write(server, topic: str, records) -> list:
    """Writes pairs of key and value; gives their offsets."""
    offsets, producer = [], Producer(kafkas.librdkafka(server))

    def told(error, message):
        assert error is None, error
        offsets.append(message.offset())

    for key, value in records:
        producer.produce(topic, key=key, value=value, partition=0, on_delivery=told)
        producer.poll(0)
    assert producer.flush(kafkas.WAIT_SECONDS) == 0
    return offsets


def fill(server, filler: str, mib: int) -> None:
    """Other records, behind which the file ends that has those before: what is still written to is left alone."""
    write(server, filler, ((None, bytes(100_000)) for _ in range(mib * 11)))


def read(server, topic: str, begin: int = 0) -> list:
    """All of partition 0 up to its end: offset, key and value of each record."""
    reader = Consumer(kafkas.librdkafka(server, group_id=kafkas.fresh_name("reader"), auto_offset_reset="earliest", enable_partition_eof=True))
    try:
        reader.assign([TopicPartition(topic, 0, begin)])
        found, deadline = [], time.monotonic() + kafkas.WAIT_SECONDS
        while time.monotonic() < deadline:
            message = reader.poll(1)
            if message is None:
                continue
            if message.error() is None:
                found.append((message.offset(), message.key(), message.value()))
                continue
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            return found
        raise TimeoutError(f"no end of {topic}")
    finally:
        reader.close()


def until(see, enough, what: str):
    deadline, seen = time.monotonic() + DUE_SECONDS, None
    while time.monotonic() < deadline:
        seen = see()
        if enough(seen):
            return seen
        time.sleep(0.5)
    raise AssertionError(f"not within {DUE_SECONDS} s: {what}; {str(seen)[:500]}")


def key(number: int) -> bytes:
    return b"key %03d" % number


def versions(of: str, count: int) -> list:
    """Each key's values, one version of all keys behind another."""
    return [(key(number), f"{of} {version} ".encode() + bytes(1_000)) for version in range(count) for number in range(KEYS)]


def test_the_last_record_of_each_key_stays_where_it_was(server):
    topic, filler = make(server, "compacted", cleanup_policy="compact", delete_retention_ms="0"), make(server, "filler")
    first = versions("first", 20)
    offsets = write(server, topic, first)
    assert offsets == list(range(len(first)))
    # Some keys are deleted, and one of these comes back.
    gone = write(server, topic, [(key(number), None) for number in range(10)])
    back = write(server, topic, [(key(0), b"back")])
    last = dict(zip((name for name, _ in first), zip(offsets, (value for _, value in first))))
    last.update({key(number): (offset, None) for number, offset in enumerate(gone)})
    last[key(0)] = (back[0], b"back")
    wanted = sorted((offset, name, value) for name, (offset, value) in last.items())
    fill(server, filler, 4)
    # Whoever was at the end, or reads what is deleted for the first time, gets the tombstones too.
    found = until(lambda: read(server, topic), lambda found: len(found) <= KEYS, "compaction")
    assert found == wanted
    assert read(server, topic, offsets[KEYS]) == wanted
    assert write(server, topic, [(b"behind", b"x")]) == [back[0] + 1]

    # What has been compacted once has had its time: the tombstones go with the next round, and the keys stay deleted.
    second = [(name, value) for name, value in versions("second", 20) if name >= key(10)]
    offsets = write(server, topic, second)
    last = dict(zip((name for name, _ in second), zip(offsets, (value for _, value in second))))
    wanted = sorted([(back[0], key(0), b"back"), (back[0] + 1, b"behind", b"x"), *((offset, name, value) for name, (offset, value) in last.items())])
    fill(server, filler, 8)
    found = until(lambda: read(server, topic), lambda found: len(found) <= len(wanted), "compaction of what came later")
    assert found == wanted
    server.restart()
    assert read(server, topic) == wanted


def test_a_topic_that_is_compacted_takes_no_records_without_keys(server):
    topic, refused = make(server, "keyed", cleanup_policy="compact"), []
    producer = Producer(kafkas.librdkafka(server))
    producer.produce(topic, value=b"x", on_delivery=lambda error, _: refused.append(error))
    assert producer.flush(kafkas.WAIT_SECONDS) == 0
    assert refused[0] is not None and refused[0].code() == KafkaError.INVALID_RECORD, refused


def test_the_oldest_records_go_when_there_are_too_many_bytes(server):
    topic = make(server, "sized", retention_bytes=str(2 * MIB), segment_bytes=str(MIB))
    value = bytes(10_000)
    count = 16 * MIB // len(value)
    assert write(server, topic, ((b"%06d" % number, value) for number in range(count))) == list(range(count))
    # The file that is written to stays whole.
    fill(server, make(server, "filler"), 20)
    consumer = Consumer(kafkas.librdkafka(server, group_id=kafkas.fresh_name("reader")))

    def begin():
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), kafkas.WAIT_SECONDS)
        assert high == count
        return low

    try:
        low = until(begin, lambda low: low > 0, "deletion")
    finally:
        consumer.close()
    # No more than what is too much goes.
    assert (count - low) * len(value) >= 2 * MIB - len(value)
    found = read(server, topic, 0)
    assert [(offset, name) for offset, name, _ in found] == [(offset, b"%06d" % offset) for offset in range(found[0][0], count)]
    assert found[0][0] >= low
