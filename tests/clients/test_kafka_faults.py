"""What goes wrong below Kafka's clients: a full disk, a flipped bit, a kill with much in the log; and what many of them take."""

import os
import struct
import time

import boto3
import botocore.config
import botocore.exceptions
import pytest
import requests
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.record.default_records import DefaultRecordBatchBuilder

import kafkas
import polder
from test_disk import MIB, SmallDisk
from test_jobs import run_job, until
from test_kafka_hostile import PRODUCE, frame, logged_in, produced

# `POLDER_KAFKA_LOG_MIB=10240` for the long run.
LOG_MIB = int(os.environ.get("POLDER_KAFKA_LOG_MIB", "256"))
RECORD = b"x" * 1000
MANY_TOPICS, OF_EACH, CONNECTIONS = 20, 50, 200
MEMORY_BYTES_MAX = 500 << 20
START_SECONDS_MAX = 10
# A disk that is full says so at once: who produces is not left to find out by waiting.
ANSWER_SECONDS_MAX = 5


@pytest.fixture
def small_disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk", 48)
    yield disk
    disk.close()


def create(server, *topics, partitions=1, **config) -> None:
    admin = AdminClient(kafkas.librdkafka(server))
    made = admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1, config=config) for name in topics])
    for future in made.values():
        future.result(30)


def bounds(server, topic: str, partition: int = 0) -> tuple:
    consumer = Consumer(kafkas.librdkafka(server, group_id="bounds"))
    found = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
    consumer.close()
    return found


def values(server, topic: str, count: int) -> list:
    """The values of the first records of a topic of one partition."""
    consumer = Consumer(kafkas.librdkafka(server, group_id=kafkas.fresh_name("reader"), enable_auto_commit=False))
    consumer.assign([TopicPartition(topic, 0, 0)])
    found, deadline = [], time.monotonic() + kafkas.WAIT_SECONDS
    while len(found) < count and time.monotonic() < deadline:
        for message in consumer.consume(min(1000, count - len(found)), 0.5):
            if message.error():
                raise KafkaException(message.error())
            found.append(message.value())
    consumer.close()
    return found


def send(producer, topic: str, payload: bytes) -> KafkaError | None:
    """Writes one record, and says what became of it."""
    told = []
    producer.produce(topic, payload, partition=0, on_delivery=lambda error, _: told.append(error))
    producer.flush(kafkas.WAIT_SECONDS)
    error, = told
    return error


def answer_to(connection, topic: str, payload: bytes) -> int:
    """The error that a request to write one record is answered with, in time."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    builder.append(0, int(time.time() * 1000), None, payload, [])
    batch = bytes(builder.build())
    # No transaction, acks of all, a minute; one topic, one partition.
    body = struct.pack(">hhi", -1, -1, 60_000) + struct.pack(">ih", 1, len(topic)) + topic.encode()
    began = time.monotonic()
    connection.sendall(frame(PRODUCE, 7, body + struct.pack(">iii", 1, 0, len(batch)) + batch))
    error = produced(connection)
    took = time.monotonic() - began
    assert took < ANSWER_SECONDS_MAX, f"{took:.1f} s"
    return error


def fill(server, topic: str, mib: int) -> int:
    """Writes so much; how many records that is."""
    producer = Producer(kafkas.librdkafka(server, queue_buffering_max_messages=200_000, linger_ms=20))
    failures, count = [], mib * MIB // len(RECORD)
    for _ in range(count):
        while True:
            try:
                producer.produce(topic, RECORD, partition=0, on_delivery=lambda error, _: failures.append(error) if error else None)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    assert producer.flush(300) == 0 and not failures, failures[:3]
    return count


def test_producers_on_a_full_disk(small_disk):
    with kafkas.start(small_disk.folder / "data") as server:
        create(server, "t")
        following = Consumer(kafkas.librdkafka(server, group_id="following", enable_auto_commit=False))
        following.assign([TopicPartition("t", 0, 0)])
        seen = []
        follow = lambda: seen.extend(message.value() for message in following.consume(1000, 1) if not message.error())
        first = Producer(kafkas.librdkafka(server, enable_idempotence=True))
        acknowledged = []
        for number in range(20):
            assert send(first, "t", b"%d" % number) is None
            acknowledged.append(b"%d" % number)
        follow()
        small_disk.fill(64 << 10)
        with logged_in(server) as connection:
            for number in range(20, 120):
                payload = b"%d " % number + b"x" * 100_000
                if error := answer_to(connection, "t", payload):
                    break
                acknowledged.append(payload)
            else:
                raise AssertionError("a full disk takes ten megabytes")
            # It stays like that, each time at once, and is one of the errors after which clients try again.
            for _ in range(5):
                assert error == KafkaError.KAFKA_STORAGE_ERROR, error
                error = answer_to(connection, "t", payload)
        # A client that waits tries until it is told to give up.
        impatient = Producer(kafkas.librdkafka(server, message_timeout_ms=3000))
        error = send(impatient, "t", payload)
        assert error is not None and error.code() in (KafkaError._MSG_TIMED_OUT, KafkaError.KAFKA_STORAGE_ERROR), error
        told = []
        first.produce("t", b"waiting " + b"x" * 100_000, partition=0, on_delivery=lambda error, _: told.append(error))
        assert first.flush(1) == 1 and not told, told
        # The server lives, and gives what it has acknowledged, to those who read along and to those who begin.
        assert server.process.poll() is None
        deadline = time.monotonic() + kafkas.WAIT_SECONDS
        while len(seen) < len(acknowledged) and time.monotonic() < deadline:
            follow()
        assert seen == acknowledged
        assert values(server, "t", len(acknowledged)) == acknowledged
        small_disk.make_room()
        assert first.flush(kafkas.WAIT_SECONDS) == 0 and told == [None]
        assert send(impatient, "t", b"after") is None
        assert send(Producer(kafkas.librdkafka(server)), "t", b"last") is None
        end = bounds(server, "t")[1]
        following.close()
        server.kill()
        server.start()
        assert bounds(server, "t")[1] == end
        found = values(server, "t", end)
        assert found[:len(acknowledged)] == acknowledged and found[-1] == b"last"
        # What was refused with an error is not there.
        rest = found[len(acknowledged):-1]
        assert sorted(value[:7] for value in rest) == [b"after", b"waiting"], [value[:7] for value in rest]
        assert "panicked" not in server.log()


def aws(server, service: str):
    """A client that tells what it is answered, and does not try again by itself."""
    known = server.credentials
    return boto3.client(service, endpoint_url=f"http://{server.aws}", region_name="eu-west-1", aws_access_key_id=known["access_key_id"],
                        aws_secret_access_key=known["secret_access_key"], config=botocore.config.Config(retries={"max_attempts": 0}))


def of_shard(kinesis) -> list:
    """The data of all records of the one shard of the stream `s`."""
    shard = {"StreamName": "s", "ShardId": "shardId-000000000000"}
    iterator, found = kinesis.get_shard_iterator(**shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"], []
    while True:
        answer = kinesis.get_records(ShardIterator=iterator)
        found += [record["Data"] for record in answer["Records"]]
        iterator = answer["NextShardIterator"]
        if not answer["MillisBehindLatest"]:
            return found


def test_streams_of_aws_on_a_full_disk(small_disk):
    with kafkas.start(small_disk.folder / "data") as server:
        kinesis, firehose = aws(server, "kinesis"), aws(server, "firehose")
        kinesis.create_stream(StreamName="s", ShardCount=1)
        kinesis.update_stream_mode(StreamARN=kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"],
                                   StreamModeDetails={"StreamMode": "ON_DEMAND"})
        firehose.create_delivery_stream(DeliveryStreamName="d", IcebergDestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/r", "CatalogConfiguration": {"CatalogARN": "arn:aws:glue:eu-west-1:123456789012:catalog"},
            "BufferingHints": {"IntervalInSeconds": 900},
            "S3Configuration": {"RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::bucket"}})
        put = lambda data: kinesis.put_record(StreamName="s", Data=data, PartitionKey="k")
        put_many = lambda data: kinesis.put_records(StreamName="s", Records=[{"Data": data, "PartitionKey": "k"}])
        deliver = lambda data: firehose.put_record(DeliveryStreamName="d", Record={"Data": data})
        deliver_many = lambda data: firehose.put_record_batch(DeliveryStreamName="d", Records=[{"Data": data}])
        acknowledged = [b"before"]
        put(b"before")
        deliver(b'{"n": 1}')
        small_disk.fill(64 << 10)
        payload = b"x" * 500_000
        with pytest.raises(botocore.exceptions.ClientError) as first:
            for _ in range(30):
                put(payload)
                acknowledged.append(payload)
        # It stays like that, is said at once, and is what AWS' SDKs try again after.
        refusals = [first.value]
        for call in (put, deliver, deliver_many):
            began = time.monotonic()
            with pytest.raises(botocore.exceptions.ClientError) as caught:
                call(payload)
            assert time.monotonic() - began < ANSWER_SECONDS_MAX
            refusals.append(caught.value)
        for told in (refusal.response for refusal in refusals):
            assert told["ResponseMetadata"]["HTTPStatusCode"] == 503 and told["Error"]["Code"].startswith("ServiceUnavailable"), told
        # Who puts many looks at each.
        answer = put_many(payload)
        assert answer["FailedRecordCount"] == 1 and answer["Records"][0]["ErrorCode"] == "InternalFailure", answer
        assert server.process.poll() is None and of_shard(kinesis) == acknowledged
        small_disk.make_room()
        for call in (put, put_many, deliver, deliver_many):
            call(b'{"n": 2}')
        assert of_shard(kinesis) == [*acknowledged, b'{"n": 2}', b'{"n": 2}']
        assert "panicked" not in server.log()


def damaged(server) -> int:
    """How many damaged segments a machine that watches is told of."""
    line, = (line for line in requests.get(f"{server.url}/metrics", timeout=30).text.splitlines()
             if line.startswith("polder_log_damaged_segments "))
    return int(line.split()[1])


def test_a_flipped_bit_in_an_old_segment_is_named_by_a_check(tmp_path):
    with kafkas.start(tmp_path / "data") as server:
        create(server, "t")
        fill(server, "t", 20)
        server.stop()
        sound = server.cli("check")
        assert sound.returncode == 0, sound
        # A segment that nobody needs any more goes when the log is opened.
        oldest, *others = sorted((server.data / "log").glob("0*.segment"))
        assert len(others) >= 3, others
        content = bytearray(oldest.read_bytes())
        content[len(content) // 2] ^= 4
        oldest.write_bytes(content)
        harmed = server.cli("check")
        assert harmed.returncode != 0
        told = harmed.stdout.decode()
        assert oldest.name in told and not any(other.name in told for other in others), told
        # What is not damaged is read all the same.
        server.start()
        first, end = bounds(server, "t")
        consumer = Consumer(kafkas.librdkafka(server, group_id="rest", enable_auto_commit=False))
        consumer.assign([TopicPartition("t", 0, end - 1)])
        message = consumer.poll(30)
        assert first == 0 and message.value() == RECORD
        consumer.close()
        assert damaged(server) == 0, "nobody has come upon it yet"
        assert server.cli("check").returncode != 0
        assert damaged(server) == 1


def test_a_flipped_bit_in_an_old_segment_is_named_by_the_scrub(tmp_path):
    """The one that runs by itself."""
    with kafkas.start(tmp_path / "data") as server:
        create(server, "t")
        fill(server, "t", 20)
        server.restart()
        client = server.client()
        run_id = run_job(client, "scrub")
        until(client, run_id, "done")
        # Those that nobody needs any more went when the log was opened.
        oldest, *others = sorted((server.data / "log").glob("0*.segment"))
        content = oldest.read_bytes()
        harmed = bytearray(content)
        harmed[len(harmed) // 2] ^= 4
        assert "bytes of topics" in client.get(f"/runs/{run_id}/log")["text"]
        oldest.write_bytes(harmed)
        run_id = run_job(client, "scrub")
        told = until(client, run_id, "failed")["error"]["message"]
        assert oldest.name in told and not any(other.name in told for other in others), told
        assert oldest.name in client.get(f"/runs/{run_id}/log")["text"]
        assert damaged(server) == 1
        # The alarm ends once the segment has been brought back.
        oldest.write_bytes(content)
        until(client, run_job(client, "scrub"), "done")
        assert damaged(server) == 0


def test_a_flipped_bit_in_the_last_record_of_a_stopped_server_is_named_and_nothing_is_cut(tmp_path):
    with kafkas.start(tmp_path / "data") as server:
        create(server, "t")
        producer = Producer(kafkas.librdkafka(server))
        sent = [b"value %d" % number for number in range(4)]
        for value in sent:
            assert send(producer, "t", value) is None
        server.stop()
        segment, = (path for path in (server.data / "log").glob("0*.segment") if sent[-1] in path.read_bytes())
        whole = segment.read_bytes()
        harmed = bytearray(whole)
        harmed[whole.rindex(sent[-1])] ^= 1
        segment.write_bytes(harmed)
        for _ in range(2):
            checked = server.cli("check")
            assert checked.returncode != 0, checked
            assert segment.name.encode() in checked.stdout + checked.stderr
            assert segment.read_bytes() == harmed
        segment.write_bytes(whole)
        assert server.cli("check").returncode == 0
        server.start()
        assert values(server, "t", len(sent)) == sent


def test_a_thousand_partitions_and_two_hundred_connections_have_room(tmp_path):
    with kafkas.start(tmp_path / "data") as server:
        topics = [f"t{number}" for number in range(MANY_TOPICS)]
        create(server, *topics, partitions=OF_EACH)
        producers = [Producer(kafkas.librdkafka(server, linger_ms=5)) for _ in range(CONNECTIONS)]
        failures = []
        told = lambda error, _: failures.append(error) if error else None
        for number in range(50):
            for which, producer in enumerate(producers):
                topic, partition = topics[(which + number) % MANY_TOPICS], (which * 7 + number) % OF_EACH
                producer.produce(topic, RECORD, partition=partition, on_delivery=told)
                producer.poll(0)
        for producer in producers:
            assert producer.flush(kafkas.WAIT_SECONDS) == 0
        assert not failures, failures[:3]
        ends = sum(bounds(server, topic, partition)[1] for topic in topics[:2] for partition in range(OF_EACH))
        assert ends == 50 * CONNECTIONS // MANY_TOPICS * 2
        peak = server.memory_bytes("VmHWM")
        assert peak <= MEMORY_BYTES_MAX, f"{peak / MIB:.0f} MiB"


def test_a_start_after_a_kill_reads_the_end_of_the_log_alone(tmp_path):
    with kafkas.start(tmp_path / "data") as server:
        create(server, "t")
        count = fill(server, "t", LOG_MIB)
        server.kill()
        started = time.monotonic()
        server.start()
        taken = time.monotonic() - started
        assert bounds(server, "t")[1] == count
        assert taken <= START_SECONDS_MAX, f"{taken:.1f} s"
        print(f"{LOG_MIB} MiB: {taken:.2f} s")
