"""confluent-kafka, which is librdkafka: records, groups under churn, transactions, administration."""

import collections
import threading
import time

import pytest

import kafkas

confluent_kafka = pytest.importorskip("confluent_kafka")
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import admin as administration


# Of a member that asks each half second whether its group divides anew.
HEARTBEATS_SECONDS = 1.5


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


@pytest.fixture(scope="module")
def admin(server):
    return administration.AdminClient(kafkas.librdkafka(server))


@pytest.fixture
def topic(admin):
    """A topic of three partitions."""
    name = kafkas.fresh_name("confluent")
    admin.create_topics([administration.NewTopic(name, 3, 1)])[name].result(kafkas.WAIT_SECONDS)
    return name


def write(server, topic, values, **settings) -> list:
    """Writes each value under itself as its key; gives partition and offset of each."""
    told, producer = [], Producer(kafkas.librdkafka(server, **settings))

    def delivered(error, message):
        assert error is None, error
        told.append((message.partition(), message.offset()))

    for value in values:
        producer.produce(topic, key=value, value=value, headers={"of": value}, on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(kafkas.WAIT_SECONDS) == 0
    return told


def consumer(server, topic, group=None, **settings) -> Consumer:
    made = Consumer(kafkas.librdkafka(server, group_id=group or kafkas.fresh_name("group"), auto_offset_reset="earliest", **settings))
    made.subscribe([topic])
    return made


def read(reader, count, seconds=kafkas.WAIT_SECONDS) -> list:
    """So many messages, or as many as come in the time."""
    messages, deadline = [], time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < deadline:
        for message in reader.consume(count, 0.5):
            assert message.error() is None, message.error()
            messages.append(message)
    return messages


def numbers(count) -> list:
    return [b"%06d" % number for number in range(count)]


@pytest.mark.parametrize("codec", kafkas.CODECS)
def test_records_come_back_as_they_were(server, topic, codec):
    told = write(server, topic, numbers(2_000), compression_type=codec)
    assert len(set(told)) == 2_000
    reader = consumer(server, topic)
    messages = read(reader, 2_000)
    reader.close()
    assert sorted(message.value() for message in messages) == numbers(2_000)
    assert all(message.key() == message.value() and message.headers() == [("of", message.value())] for message in messages)
    for partition in range(3):
        offsets = [message.offset() for message in messages if message.partition() == partition]
        assert offsets == list(range(len(offsets)))


def test_an_idempotent_producer_keeps_the_order(server, topic):
    write(server, topic, [b"same"] * 0 + numbers(5_000), enable_idempotence=True, linger_ms=1)
    reader = consumer(server, topic)
    messages = read(reader, 5_000)
    reader.close()
    for partition in range(3):
        values = [message.value() for message in messages if message.partition() == partition]
        assert values == sorted(values)
    assert len(messages) == 5_000


def test_a_group_goes_on_where_it_was(server, topic):
    write(server, topic, numbers(100))
    group = kafkas.fresh_name("group")
    first = consumer(server, topic, group, enable_auto_commit=False)
    seen = read(first, 100)
    first.commit(asynchronous=False)
    first.close()
    write(server, topic, [b"new"])
    second = consumer(server, topic, group)
    assert [message.value() for message in read(second, 1)] == [b"new"] and len(seen) == 100
    second.close()


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_each_record_is_read_while_members_come_and_go(server, topic, strategy):
    group, count, stop = kafkas.fresh_name("group"), 3_000, threading.Event()
    seen, lock, failures = collections.Counter(), threading.Lock(), []

    def member(rounds):
        try:
            for _ in range(rounds):
                reader = consumer(server, topic, group, partition_assignment_strategy=strategy, session_timeout_ms=10_000,
                                  heartbeat_interval_ms=500, enable_auto_commit=False)
                # One that comes and goes does so once it has read some, and otherwise soon.
                until, some = time.monotonic() + 3, 0
                while not stop.is_set() and (rounds == 1 or (some < 50 and time.monotonic() < until)):
                    messages = [message for message in reader.consume(100, 0.2) if message.error() is None]
                    some += len(messages)
                    with lock:
                        seen.update(message.value() for message in messages)
                    if messages:
                        try:
                            reader.commit(asynchronous=False)
                        except KafkaException as error:
                            # The partition has gone to another member meanwhile, which reads them again.
                            assert error.args[0].code() in (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION,
                                                            KafkaError.UNKNOWN_MEMBER_ID, KafkaError._NO_OFFSET), error
                reader.close()
        except BaseException as error:
            failures.append(error)
            raise

    members = [threading.Thread(target=member, args=(rounds,)) for rounds in (1, 3, 3)]
    for thread in members:
        thread.start()
    for start in range(0, count, 100):
        write(server, topic, numbers(count)[start:start + 100])
        time.sleep(0.1)
    deadline = time.monotonic() + kafkas.WAIT_SECONDS
    while len(seen) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    stop.set()
    for thread in members:
        thread.join(kafkas.WAIT_SECONDS)
    assert not failures and sorted(seen) == numbers(count)


class Told:
    """What a member is told of its partitions: all in order, as (given or taken, partitions)."""

    def __init__(self, server, topic, group, **settings):
        self.events = []
        self.reader = Consumer(kafkas.librdkafka(server, group_id=group, auto_offset_reset="earliest", **settings))
        note = lambda what: lambda _, places: self.events.append((what, sorted(place.partition for place in places)))
        self.reader.subscribe([topic], on_assign=note("given"), on_revoke=note("taken"), on_lost=note("lost"))

    def parts(self) -> list:
        return sorted(place.partition for place in self.reader.assignment())


def settle(done, *members):
    """All are members at the same time, until it is as it should be."""
    deadline = time.monotonic() + kafkas.WAIT_SECONDS
    while not done():
        assert time.monotonic() < deadline, [(member.parts(), member.events) for member in members]
        for member in members:
            member.reader.poll(0.05)


def test_a_static_member_comes_back_to_what_it_had(server, topic):
    group = kafkas.fresh_name("group")
    settings = {"session_timeout_ms": 30_000, "heartbeat_interval_ms": 500, "partition_assignment_strategy": "range"}
    make = lambda name: Told(server, topic, group, group_instance_id=name, **settings)
    one, two = make("one"), make("two")
    settle(lambda: one.parts() and two.parts() and len(one.parts() + two.parts()) == 3, one, two)
    before, others, known = one.parts(), two.parts(), list(two.events)
    one.reader.close()
    back = make("one")
    settle(lambda: back.parts(), back, two)
    assert back.parts() == before
    # The other one has been asked twice and more meanwhile whether it is still there, and was told nothing.
    deadline = time.monotonic() + HEARTBEATS_SECONDS
    settle(lambda: time.monotonic() > deadline, back, two)
    assert (two.events, two.parts()) == (known, others)
    back.reader.close()
    two.reader.close()


def test_a_member_that_joins_takes_no_more_than_its_share(server, topic):
    """Cooperative: nobody stops reading what stays theirs."""
    group = kafkas.fresh_name("group")
    make = lambda: Told(server, topic, group, heartbeat_interval_ms=500, partition_assignment_strategy="cooperative-sticky")
    one = make()
    settle(lambda: one.parts() == [0, 1, 2], one)
    known, two = len(one.events), make()
    settle(lambda: one.parts() and two.parts() and len(one.parts() + two.parts()) == 3, one, two)
    taken = [part for what, parts in one.events[known:] if what != "given" for part in parts]
    assert taken == two.parts() and len(one.parts()) == 2, one.events
    assert not any(part in parts for what, parts in one.events[known:] if what == "given" for part in one.parts()), one.events
    one.reader.close()
    two.reader.close()


def test_the_server_divides_partitions(server, topic):
    """KIP-848."""
    write(server, topic, numbers(300))
    group = kafkas.fresh_name("group")
    settings = {"group_protocol": "consumer"}
    first = consumer(server, topic, group, **settings)
    seen = [message.value() for message in read(first, 300)]
    assert sorted(seen) == numbers(300)
    second = consumer(server, topic, group, **settings)
    deadline = time.monotonic() + kafkas.WAIT_SECONDS
    while time.monotonic() < deadline:
        first.consume(1, 0.2)
        second.consume(1, 0.2)
        parts = [sorted(place.partition for place in reader.assignment()) for reader in (first, second)]
        if all(parts) and sorted(parts[0] + parts[1]) == [0, 1, 2]:
            break
    assert all(parts) and sorted(parts[0] + parts[1]) == [0, 1, 2]
    first.close()
    second.close()


def test_transactions_are_seen_whole_or_not_at_all(server, topic):
    producer = Producer(kafkas.librdkafka(server, transactional_id=kafkas.fresh_name("transaction")))
    producer.init_transactions(kafkas.WAIT_SECONDS)
    for number, (value, commit) in enumerate([(b"first", True), (b"second", False), (b"third", True)]):
        producer.begin_transaction()
        for part in range(3):
            producer.produce(topic, value=value, partition=part)
        assert producer.flush(kafkas.WAIT_SECONDS) == 0, number
        if commit:
            producer.commit_transaction(kafkas.WAIT_SECONDS)
        else:
            producer.abort_transaction(kafkas.WAIT_SECONDS)
    committed = consumer(server, topic, isolation_level="read_committed")
    assert collections.Counter(message.value() for message in read(committed, 9, 5)) == {b"first": 3, b"third": 3}
    committed.close()
    everything = consumer(server, topic, isolation_level="read_uncommitted")
    assert len(read(everything, 9)) == 9
    everything.close()


def test_offsets_go_with_a_transaction(server, topic):
    write(server, topic, numbers(30))
    group = kafkas.fresh_name("group")
    reader = consumer(server, topic, group, enable_auto_commit=False, isolation_level="read_committed")
    assert len(read(reader, 30)) == 30
    producer = Producer(kafkas.librdkafka(server, transactional_id=kafkas.fresh_name("transaction")))
    producer.init_transactions(kafkas.WAIT_SECONDS)
    places = reader.position(reader.assignment())
    for commit in (False, True):
        producer.begin_transaction()
        producer.send_offsets_to_transaction(places, reader.consumer_group_metadata(), kafkas.WAIT_SECONDS)
        if commit:
            producer.commit_transaction(kafkas.WAIT_SECONDS)
        else:
            producer.abort_transaction(kafkas.WAIT_SECONDS)
        kept = reader.committed(reader.assignment(), kafkas.WAIT_SECONDS)
        assert sum(max(place.offset, 0) for place in kept) == (30 if commit else 0)
    reader.close()


def test_an_older_instance_is_fenced(server, topic):
    name = kafkas.fresh_name("transaction")
    older, newer = (Producer(kafkas.librdkafka(server, transactional_id=name)) for _ in range(2))
    older.init_transactions(kafkas.WAIT_SECONDS)
    older.begin_transaction()
    older.produce(topic, value=b"older")
    older.flush(kafkas.WAIT_SECONDS)
    newer.init_transactions(kafkas.WAIT_SECONDS)
    with pytest.raises(KafkaException) as refused:
        older.commit_transaction(kafkas.WAIT_SECONDS)
    assert refused.value.args[0].fatal()
    newer.begin_transaction()
    newer.produce(topic, value=b"newer")
    newer.commit_transaction(kafkas.WAIT_SECONDS)
    reader = consumer(server, topic, isolation_level="read_committed")
    assert [message.value() for message in read(reader, 2, 5)] == [b"newer"]
    reader.close()


def test_offsets_are_found_by_time(server, topic):
    producer = Producer(kafkas.librdkafka(server))
    # Not so old that retention deletes them meanwhile.
    first = int(time.time() * 1_000) - 60_000
    for number in range(10):
        producer.produce(topic, value=b"x", partition=0, timestamp=first + number * 1_000)
        producer.flush(kafkas.WAIT_SECONDS)
    reader = Consumer(kafkas.librdkafka(server, group_id=kafkas.fresh_name("group")))
    found = reader.offsets_for_times([TopicPartition(topic, 0, first + 4_500)], kafkas.WAIT_SECONDS)
    assert found[0].offset == 5
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), kafkas.WAIT_SECONDS) == (0, 10)
    reader.close()


def done(futures) -> list:
    return [future.result(kafkas.WAIT_SECONDS) for future in futures.values()]


def refusal(futures) -> int:
    with pytest.raises(KafkaException) as refused:
        done(futures)
    return refused.value.args[0].code()


def test_topics_are_administrated(admin, topic):
    assert len(admin.list_topics(topic, timeout=kafkas.WAIT_SECONDS).topics[topic].partitions) == 3
    done(admin.create_partitions([administration.NewPartitions(topic, 5)]))
    assert len(admin.list_topics(topic, timeout=kafkas.WAIT_SECONDS).topics[topic].partitions) == 5
    assert refusal(admin.create_partitions([administration.NewPartitions(topic, 2)])) == KafkaError.INVALID_PARTITIONS
    assert refusal(admin.create_topics([administration.NewTopic(topic, 1, 1)])) == KafkaError.TOPIC_ALREADY_EXISTS
    assert refusal(admin.create_topics([administration.NewTopic("a b", 1, 1)])) == KafkaError.TOPIC_EXCEPTION
    assert refusal(admin.create_topics([administration.NewTopic("copies", 1, 3)])) == KafkaError.INVALID_REPLICATION_FACTOR
    done(admin.delete_topics([topic]))
    assert refusal(admin.delete_topics([topic])) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_settings_are_changed(admin, topic):
    def settings():
        resource = administration.ConfigResource("topic", topic)
        return {name: entry.value for name, entry in done(admin.describe_configs([resource]))[0].items()}

    operation = administration.AlterConfigOpType
    changes = [administration.ConfigEntry("retention.ms", "1000", incremental_operation=operation.SET)]
    resource = administration.ConfigResource("topic", topic, incremental_configs=changes)
    done(admin.incremental_alter_configs([resource]))
    assert settings()["retention.ms"] == "1000"
    wrong = [administration.ConfigEntry("retention.ms", "soon", incremental_operation=operation.SET)]
    resource = administration.ConfigResource("topic", topic, incremental_configs=wrong)
    assert refusal(admin.incremental_alter_configs([resource])) == KafkaError.INVALID_CONFIG
    assert settings()["retention.ms"] == "1000"


def test_records_are_deleted(server, admin, topic):
    producer = Producer(kafkas.librdkafka(server))
    for _ in range(10):
        producer.produce(topic, value=b"x", partition=1)
        producer.flush(kafkas.WAIT_SECONDS)
    assert done(admin.delete_records([TopicPartition(topic, 1, 4)]))[0].low_watermark == 4
    reader = consumer(server, topic)
    assert [message.offset() for message in read(reader, 6)] == list(range(4, 10))
    reader.close()


def test_groups_are_administrated(server, admin, topic):
    group = kafkas.fresh_name("group")
    write(server, topic, numbers(10))
    reader = consumer(server, topic, group)
    assert len(read(reader, 10)) == 10
    reader.commit(asynchronous=False)
    described = admin.describe_consumer_groups([group])[group].result(kafkas.WAIT_SECONDS)
    assert len(described.members) == 1 and len(described.members[0].assignment.topic_partitions) == 3
    assert group in [one.group_id for one in admin.list_consumer_groups().result(kafkas.WAIT_SECONDS).valid]
    assert refusal(admin.delete_consumer_groups([group])) == KafkaError.NON_EMPTY_GROUP
    reader.close()
    done(admin.delete_consumer_groups([group]))
    assert refusal(admin.delete_consumer_groups([group])) == KafkaError.GROUP_ID_NOT_FOUND


def test_a_batch_that_is_too_large_is_refused(server, admin):
    """The one, and not what is sent before and after it."""
    name = kafkas.fresh_name("small")
    admin.create_topics([administration.NewTopic(name, 1, 1, config={"max.message.bytes": "1000"})])[name].result(kafkas.WAIT_SECONDS)
    told, producer = {}, Producer(kafkas.librdkafka(server, batch_num_messages=1))
    for value in (b"before", b"x" * 5_000, b"after"):
        producer.produce(name, value=value, on_delivery=lambda error, message: told.update({message.value(): error and error.code()}))
    assert producer.flush(kafkas.WAIT_SECONDS) == 0
    assert told == {b"before": None, b"x" * 5_000: KafkaError.MSG_SIZE_TOO_LARGE, b"after": None}
    reader = consumer(server, name)
    assert [(message.value(), message.offset()) for message in read(reader, 2)] == [(b"before", 0), (b"after", 1)]
    reader.close()


def test_what_was_acknowledged_outlives_a_kill():
    with kafkas.start() as server:
        topic, told = kafkas.fresh_name("killed"), []
        producer = Producer(kafkas.librdkafka(server, enable_idempotence=True, delivery_timeout_ms=10_000))

        def delivered(error, message):
            if error is None:
                told.append((message.value(), message.offset()))

        number = 0
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            producer.produce(topic, value=b"%d" % number, partition=0, on_delivery=delivered)
            number += 1
            producer.poll(0)
            if number % 100 == 0:
                time.sleep(0.005)
        server.kill()
        producer.poll(1)
        kept = list(told)
        # What it has not been told of is not sent once more: this is about what is there.
        producer.purge()
        producer.flush(1)
        server.start()
        reader = consumer(server, topic)
        _, end = reader.get_watermark_offsets(TopicPartition(topic, 0), kafkas.WAIT_SECONDS)
        found = {message.value(): message.offset() for message in read(reader, end)}
        reader.close()
        assert kept and all(found.get(value) == offset for value, offset in kept)
