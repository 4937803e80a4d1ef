"""Shards under way: divided while records come, subscribed to, killed, at their limits. boto3, with Kafka's clients on the other side."""

import contextlib
import hashlib
import threading
import time

import boto3
import botocore.config
import botocore.exceptions
import pytest

import kafkas
import polder
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource

SHARD = "shardId-{:012}".format


@pytest.fixture(scope="module")
def server():
    with polder.Server() as started:
        yield started


def client(server, **more):
    known = {"aws_access_key_id": server.credentials["access_key_id"], "aws_secret_access_key": server.credentials["secret_access_key"]}
    return boto3.client("kinesis", region_name="eu-west-1", **{"endpoint_url": f"http://{server.aws}", **known, **more})


@pytest.fixture(scope="module")
def kinesis(server):
    return client(server)


def read(kinesis, stream: str, shard: int, kind="TRIM_HORIZON", **more) -> list:
    """All records of a shard, from a place on."""
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD(shard), ShardIteratorType=kind, **more)["ShardIterator"]
    records = []
    while iterator:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=100)
        records += answer["Records"]
        iterator = answer.get("NextShardIterator") if answer["MillisBehindLatest"] else None
    return records


def test_what_boto3_writes_kafka_reads_in_order(server, kinesis):
    name = kafkas.fresh_name("from_boto")
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    expected = {shard: [] for shard in range(4)}
    for start in range(0, 1000, 250):
        rows = [{"Data": f"value {number}".encode(), "PartitionKey": f"key {number}"} for number in range(start, start + 250)]
        answer = kinesis.put_records(StreamName=name, Records=rows)
        assert answer["FailedRecordCount"] == 0
        for row, put in zip(rows, answer["Records"], strict=True):
            shard = int.from_bytes(hashlib.md5(row["PartitionKey"].encode()).digest()) * 4 >> 128
            assert put["ShardId"] == SHARD(shard)
            expected[shard].append((row["PartitionKey"], row["Data"]))
    consumer = Consumer(kafkas.librdkafka(server, group_id=name, auto_offset_reset="earliest"))
    consumer.assign([TopicPartition(name, partition, 0) for partition in range(4)])
    found, deadline = {shard: [] for shard in range(4)}, time.monotonic() + kafkas.WAIT_SECONDS
    while sum(map(len, found.values())) < 1000 and time.monotonic() < deadline:
        for message in consumer.consume(1000, 1):
            found[message.partition()].append((message.key().decode(), message.value()))
    consumer.close()
    assert found == expected


def test_shards_are_split_and_merged_while_records_come(kinesis):
    name = kafkas.fresh_name("divided")
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.update_stream_mode(StreamARN=kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"],
                               StreamModeDetails={"StreamMode": "ON_DEMAND"})
    done, put = threading.Event(), []

    def write():
        while not done.is_set():
            number = len(put)
            answer = kinesis.put_record(StreamName=name, Data=str(number).encode(), PartitionKey="k")
            put.append((answer["ShardId"], int(answer["SequenceNumber"])))

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.3)
    kinesis.split_shard(StreamName=name, ShardToSplit=SHARD(0), NewStartingHashKey=str(2**126))
    time.sleep(0.3)
    kinesis.split_shard(StreamName=name, ShardToSplit=SHARD(1), NewStartingHashKey=str(3 * 2**126))
    time.sleep(0.3)
    kinesis.merge_shards(StreamName=name, ShardToMerge=SHARD(3), AdjacentShardToMerge=SHARD(4))
    time.sleep(0.3)
    done.set()
    writer.join()
    # One key: its records are in the order in which they were put, over all shards that it was in, and each is there once.
    assert [sequence for _, sequence in put] == sorted({sequence for _, sequence in put})
    shards = kinesis.list_shards(StreamName=name)["Shards"]
    assert len(shards) == 7
    found = [record for shard in range(7) for record in read(kinesis, name, shard)]
    assert sorted(int(record["Data"]) for record in found) == list(range(len(put)))
    answer = kinesis.get_records(ShardIterator=kinesis.get_shard_iterator(
        StreamName=name, ShardId=SHARD(0), ShardIteratorType="LATEST")["ShardIterator"])
    assert "NextShardIterator" not in answer
    assert [child["ShardId"] for child in answer["ChildShards"]] == [SHARD(2), SHARD(3)]


def test_what_a_stream_is_set_to(server, kinesis):
    """The number of its shards, how long it keeps records, how large they may be, and its tags; Kafka sees the same topic."""
    name = kafkas.fresh_name("set")
    kinesis.create_stream(StreamName=name, ShardCount=2)
    for number in range(20):
        kinesis.put_record(StreamName=name, Data=str(number).encode(), PartitionKey=f"key {number}")
    answer = kinesis.update_shard_count(StreamName=name, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (2, 4)
    shards = kinesis.list_shards(StreamName=name)["Shards"]
    is_open = [shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
    hashes = sorted((int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"])) for shard in is_open)
    assert len(hashes) == 4 and hashes[0][0] == 0 and hashes[-1][1] == 2**128 - 1
    assert all(before[1] + 1 == after[0] for before, after in zip(hashes, hashes[1:], strict=False)), hashes
    found = [int(record["Data"]) for shard in range(len(shards)) for record in read(kinesis, name, shard)]
    assert sorted(found) == list(range(20))

    admin = AdminClient(kafkas.librdkafka(server))

    def retention() -> int:
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        return int(admin.describe_configs([resource])[resource].result(kafkas.WAIT_SECONDS)["retention.ms"].value)

    def summary() -> dict:
        return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]

    assert (summary()["RetentionPeriodHours"], retention()) == (24, 24 * 3_600_000)
    kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=48)
    assert (summary()["RetentionPeriodHours"], retention()) == (48, 48 * 3_600_000)
    kinesis.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=25)
    assert (summary()["RetentionPeriodHours"], retention()) == (25, 25 * 3_600_000)
    kinesis.add_tags_to_stream(StreamName=name, Tags={"team": "ground", "cost": "7"})
    kinesis.remove_tags_from_stream(StreamName=name, TagKeys=["cost"])
    assert kinesis.list_tags_for_stream(StreamName=name)["Tags"] == [{"Key": "team", "Value": "ground"}]


def test_a_subscription_by_tls(server):
    """At the same address; its certificate is the server's own."""
    by_tls = client(server, endpoint_url=f"https://{server.aws}", verify=str(server.data / "tls.crt"))
    name = kafkas.fresh_name("by_tls")
    by_tls.create_stream(StreamName=name, ShardCount=1)
    arn = by_tls.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    consumer = by_tls.register_stream_consumer(StreamARN=arn, ConsumerName="reader")["Consumer"]["ConsumerARN"]
    by_tls.put_record(StreamName=name, Data=b"sealed", PartitionKey="k")
    position = {"Type": "TRIM_HORIZON"}
    with contextlib.closing(by_tls.subscribe_to_shard(ConsumerARN=consumer, ShardId=SHARD(0), StartingPosition=position)["EventStream"]) as events:
        found = next(event["SubscribeToShardEvent"]["Records"] for event in events if event["SubscribeToShardEvent"]["Records"])
    assert [record["Data"] for record in found] == [b"sealed"]
    with pytest.raises(botocore.exceptions.SSLError):
        client(server, endpoint_url=f"https://{server.aws}").list_streams()


def test_a_subscription_brings_records_as_they_come(server, kinesis):
    name = kafkas.fresh_name("subscribed")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="reader")["Consumer"]["ConsumerARN"]
    events = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=SHARD(0), StartingPosition={"Type": "LATEST"})["EventStream"]
    producer = Producer(kafkas.librdkafka(server))
    producer.produce(name, b"by kafka", b"key")
    producer.flush(kafkas.WAIT_SECONDS)
    found = []
    for event in events:
        found += event["SubscribeToShardEvent"]["Records"]
        if found:
            break
    events.close()
    assert [(record["Data"], record["PartitionKey"]) for record in found] == [(b"by kafka", "key")]


def test_places_in_a_shard(kinesis):
    name = kafkas.fresh_name("places")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    put = [kinesis.put_record(StreamName=name, Data=str(number).encode(), PartitionKey="k") for number in range(5)]
    between = read(kinesis, name, 0)[2]["ApproximateArrivalTimestamp"]
    second = put[1]["SequenceNumber"]
    numbers = lambda *arguments, **more: [int(record["Data"]) for record in read(kinesis, name, 0, *arguments, **more)]
    assert numbers() == [0, 1, 2, 3, 4]
    assert numbers("AT_SEQUENCE_NUMBER", StartingSequenceNumber=second) == [1, 2, 3, 4]
    assert numbers("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=second) == [2, 3, 4]
    assert numbers("LATEST") == []
    assert numbers("AT_TIMESTAMP", Timestamp=between)[-3:] == [2, 3, 4]
    assert numbers("AT_TIMESTAMP", Timestamp=1) == [0, 1, 2, 3, 4]


def test_records_outlive_a_kill(server, kinesis):
    name = kafkas.fresh_name("killed")
    kinesis.create_stream(StreamName=name, ShardCount=1, Tags={"team": "a"})
    kinesis.split_shard(StreamName=name, ShardToSplit=SHARD(0), NewStartingHashKey=str(2**127))
    kinesis.put_record(StreamName=name, Data=b"kept", PartitionKey="k", ExplicitHashKey="0")
    server.kill()
    server.start()
    again = client(server)
    assert [record["Data"] for record in read(again, name, 1)] == [b"kept"]
    assert again.list_tags_for_stream(StreamName=name)["Tags"] == [{"Key": "team", "Value": "a"}]


def test_a_provisioned_shard_has_its_limit(server):
    kinesis = client(server, config=botocore.config.Config(retries={"max_attempts": 0}))
    name = kafkas.fresh_name("limited")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    rows = [{"Data": bytes(500_000), "PartitionKey": str(number)} for number in range(5)]
    answer = kinesis.put_records(StreamName=name, Records=rows)
    assert answer["FailedRecordCount"] == 3
    assert {record.get("ErrorCode") for record in answer["Records"]} == {None, "ProvisionedThroughputExceededException"}


def test_a_provisioned_shard_takes_a_thousand_records_in_a_second(server):
    kinesis = client(server, config=botocore.config.Config(retries={"max_attempts": 0}))
    name = kafkas.fresh_name("thousand")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    rows = [{"Data": b"x", "PartitionKey": str(number)} for number in range(500)]
    answers = []

    def put():
        answers.append(kinesis.put_records(StreamName=name, Records=rows))

    # So many that it does not matter how long they take.
    began = time.monotonic()
    threads = [threading.Thread(target=put) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [record for answer in answers for record in answer["Records"] if "ErrorCode" not in record]
    refused = [record for answer in answers for record in answer["Records"] if "ErrorCode" in record]
    assert 1_000 <= len(taken) <= 1_000 + 1_000 * (time.monotonic() - began)
    assert {record["ErrorCode"] for record in refused} == {"ProvisionedThroughputExceededException"}
    assert len(refused) == sum(answer["FailedRecordCount"] for answer in answers)


def test_a_provisioned_shard_gives_two_megabytes_in_a_second_to_all_who_share_it(server):
    kinesis = client(server, config=botocore.config.Config(retries={"max_attempts": 0}))
    name = kafkas.fresh_name("twice")
    # Without a limit, until it is full.
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    for _ in range(9):
        kinesis.put_record(StreamName=name, Data=bytes(1_000_000), PartitionKey="k", ExplicitHashKey="0")
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "PROVISIONED"})
    ask = {"StreamName": name, "ShardId": SHARD(0), "ShardIteratorType": "TRIM_HORIZON"}
    first, second = (kinesis.get_shard_iterator(**ask)["ShardIterator"] for _ in range(2))
    assert len(kinesis.get_records(ShardIterator=first)["Records"]) == 9
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        kinesis.get_records(ShardIterator=second)
    assert refused.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert len(kinesis.get_records(ShardIterator=second)["Records"]) == 9
