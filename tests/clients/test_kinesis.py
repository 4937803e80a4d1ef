"""Kinesis by AWS' own SDK: streams are topics, shards are partitions."""

import json
import time

import boto3
import botocore.config
import botocore.exceptions
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import kafkas

SOON = 20


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        yield server


def connect(server, **keys):
    known = server.credentials
    address = json.loads((server.data / "endpoints.json").read_text())["aws"]
    keys = {"aws_access_key_id": known["access_key_id"], "aws_secret_access_key": known["secret_access_key"], **keys}
    return boto3.client("kinesis", endpoint_url=f"http://{address}", region_name="eu-west-1", config=botocore.config.Config(retries={"max_attempts": 0}), **keys)


@pytest.fixture(scope="module")
def kinesis(server):
    return connect(server)


def make(kinesis, shards=1):
    name = kafkas.fresh_name("stream")
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    return name


def read(kinesis, stream, shard, kind="TRIM_HORIZON", **more):
    """All records of a shard that are there."""
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType=kind, **more)["ShardIterator"]
    records = []
    for _ in range(50):
        got = kinesis.get_records(ShardIterator=iterator, Limit=1_000)
        records += got["Records"]
        iterator = got.get("NextShardIterator")
        if iterator is None or (not got["Records"] and got["MillisBehindLatest"] == 0):
            break
    return records


def shards(kinesis, stream):
    return [shard["ShardId"] for shard in kinesis.list_shards(StreamName=stream)["Shards"]]


def code(failed) -> str:
    return failed.value.response["Error"]["Code"]


def test_what_is_put_is_read_in_order(kinesis):
    stream = make(kinesis)
    shard, = shards(kinesis, stream)
    put = [kinesis.put_record(StreamName=stream, Data=f"{n}".encode(), PartitionKey="k") for n in range(20)]
    many = kinesis.put_records(StreamName=stream, Records=[{"Data": f"{n}".encode(), "PartitionKey": f"p{n}"} for n in range(20, 100)])
    assert many["FailedRecordCount"] == 0
    records = read(kinesis, stream, shard)
    assert [record["Data"] for record in records] == [f"{n}".encode() for n in range(100)]
    assert [record["SequenceNumber"] for record in records[:20]] == [one["SequenceNumber"] for one in put]
    assert records[0]["PartitionKey"] == "k" and records[99]["PartitionKey"] == "p99"
    numbers = [int(record["SequenceNumber"]) for record in records]
    assert numbers == sorted(set(numbers))
    after = read(kinesis, stream, shard, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=records[49]["SequenceNumber"])
    assert [record["Data"] for record in after] == [f"{n}".encode() for n in range(50, 100)]
    at = read(kinesis, stream, shard, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=records[98]["SequenceNumber"])
    assert [record["Data"] for record in at] == [b"98", b"99"]
    assert read(kinesis, stream, shard, "LATEST") == []


def test_kafka_and_kinesis_are_two_views_of_one_log(server, kinesis):
    stream = make(kinesis, 2)
    for n in range(40):
        kinesis.put_record(StreamName=stream, Data=f"kinesis {n}".encode(), PartitionKey=f"{n}")
    consumer = Consumer(kafkas.librdkafka(server, group_id=kafkas.fresh_name("group")))
    consumer.assign([TopicPartition(stream, partition, 0) for partition in range(2)])
    seen, end = {}, time.monotonic() + SOON
    while len(seen) < 40 and time.monotonic() < end:
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            seen[message.value()] = message.key()
    consumer.close()
    assert seen == {f"kinesis {n}".encode(): f"{n}".encode() for n in range(40)}

    admin = AdminClient(kafkas.librdkafka(server))
    topic = kafkas.fresh_name("topic")
    admin.create_topics([NewTopic(topic, 3)])[topic].result(20)
    producer = Producer(kafkas.librdkafka(server, compression_type="zstd"))
    for n in range(30):
        producer.produce(topic, f"kafka {n}".encode(), f"{n % 5}".encode(), n % 3)
    assert not producer.flush(20)
    assert topic in kinesis.list_streams()["StreamNames"]
    ranges = [shard["HashKeyRange"] for shard in kinesis.list_shards(StreamName=topic)["Shards"]]
    assert int(ranges[0]["StartingHashKey"]) == 0 and int(ranges[-1]["EndingHashKey"]) == 2**128 - 1
    for number, shard in enumerate(shards(kinesis, topic)):
        assert [record["Data"] for record in read(kinesis, topic, shard)] == [f"kafka {n}".encode() for n in range(number, 30, 3)]
    assert server.client().value(f"SELECT count(*) FROM {topic}") == 30


def test_shards_split_and_merge(kinesis):
    stream = make(kinesis)
    first, = shards(kinesis, stream)
    for n in range(10):
        kinesis.put_record(StreamName=stream, Data=f"{n}".encode(), PartitionKey=f"{n}")
    kinesis.split_shard(StreamName=stream, ShardToSplit=first, NewStartingHashKey=str(2**127))
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    every = kinesis.list_shards(StreamName=stream)["Shards"]
    assert [shard.get("ParentShardId") for shard in every] == [None, first, first]
    for n in range(10, 30):
        kinesis.put_record(StreamName=stream, Data=f"{n}".encode(), PartitionKey=f"{n}")
    assert [record["Data"] for record in read(kinesis, stream, first)] == [f"{n}".encode() for n in range(10)]
    children = [read(kinesis, stream, shard["ShardId"]) for shard in every[1:]]
    assert sorted(int(record["Data"]) for records in children for record in records) == list(range(10, 30))
    assert all(children)
    kinesis.merge_shards(StreamName=stream, ShardToMerge=every[1]["ShardId"], AdjacentShardToMerge=every[2]["ShardId"])
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    assert kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["OpenShardCount"] == 1


def test_refusals_are_those_of_aws(server, kinesis):
    stream = make(kinesis)
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        kinesis.create_stream(StreamName=stream, ShardCount=1)
    assert code(failed) == "ResourceInUseException"
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        kinesis.describe_stream(StreamName="nowhere")
    assert code(failed) == "ResourceNotFoundException"
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        connect(server, aws_secret_access_key="another").list_streams()
    assert code(failed) == "InvalidSignatureException"
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        connect(server, aws_access_key_id="AKIANOBODY").list_streams()
    assert code(failed) == "UnrecognizedClientException"
    kinesis.delete_stream(StreamName=stream)
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        kinesis.put_record(StreamName=stream, Data=b"x", PartitionKey="k")
    assert code(failed) == "ResourceNotFoundException"


def test_a_stream_with_consumers_is_deleted_when_that_is_enforced(kinesis):
    stream = make(kinesis)
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="reader")
    for said in ({}, {"EnforceConsumerDeletion": False}):
        with pytest.raises(botocore.exceptions.ClientError) as failed:
            kinesis.delete_stream(StreamName=stream, **said)
        assert code(failed) == "ResourceInUseException", said
    assert stream in kinesis.list_streams(Limit=1000)["StreamNames"]
    kinesis.delete_stream(StreamName=stream, EnforceConsumerDeletion=True)
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        kinesis.describe_stream(StreamName=stream)
    assert code(failed) == "ResourceNotFoundException"


def test_what_was_put_outlives_a_kill(fresh):
    server = fresh()
    server.start()
    kinesis = connect(server)
    stream = make(kinesis)
    put = kinesis.put_record(StreamName=stream, Data=b"kept", PartitionKey="k")
    server.kill()
    server.start()
    kinesis = connect(server)
    record, = read(kinesis, stream, put["ShardId"])
    assert (record["Data"], record["SequenceNumber"]) == (b"kept", put["SequenceNumber"])
