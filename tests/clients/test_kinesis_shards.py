"""Shards under way: divided while records come, subscribed to, killed, at their limits. boto3, with Kafka's clients on the other side."""

import base64
import contextlib
import hashlib
import json
import subprocess
import threading
import time

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.eventstream
import botocore.exceptions
import cbor2
import pytest
import requests

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

    def some_come():
        wanted, deadline = len(put) + 20, time.monotonic() + kafkas.WAIT_SECONDS
        while len(put) < wanted:
            assert writer.is_alive() and time.monotonic() < deadline, f"only {len(put)} of {wanted} have been put"
            time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        some_come()
        kinesis.split_shard(StreamName=name, ShardToSplit=SHARD(0), NewStartingHashKey=str(2**126))
        some_come()
        kinesis.split_shard(StreamName=name, ShardToSplit=SHARD(1), NewStartingHashKey=str(3 * 2**126))
        some_come()
        kinesis.merge_shards(StreamName=name, ShardToMerge=SHARD(3), AdjacentShardToMerge=SHARD(4))
        some_come()
    finally:
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


def signed(server, url: str, operation: str, body: bytes, content_type: str) -> dict:
    """The headers of a request that boto3 cannot send, signed as it signs."""
    known = server.credentials
    headers = {"Content-Type": content_type, "X-Amz-Target": f"Kinesis_20131202.{operation}"}
    request = botocore.awsrequest.AWSRequest("POST", url, headers, body)
    credentials = botocore.credentials.Credentials(known["access_key_id"], known["secret_access_key"])
    botocore.auth.SigV4Auth(credentials, "kinesis", "eu-west-1").add_auth(request)
    return dict(request.prepare().headers.items())


@contextlib.contextmanager
def by_http2(server, scheme: str, operation: str, **body):
    """What curl gives while it comes: the answer's head and body."""
    content, url = json.dumps(body).encode(), f"{scheme}://{server.aws}/"
    headers = signed(server, url, operation, content, "application/x-amz-json-1.1")
    # Over TLS the two agree on HTTP/2; in the clear the client knows.
    how = ["--http2", "--cacert", str(server.data / "tls.crt")] if scheme == "https" else ["--http2-prior-knowledge"]
    command = ["curl", "--silent", "--show-error", "--no-buffer", "--include", "--max-time", str(kafkas.WAIT_SECONDS), "--noproxy", "*", *how,
               *(part for name, value in headers.items() for part in ("--header", f"{name}: {value}")), "--data-binary", "@-", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as curl:
        try:
            curl.stdin.write(content)
            curl.stdin.close()
            head = []
            while line := curl.stdout.readline().strip():
                head.append(line.decode())
            assert head, curl.stderr.read()
            assert head[0] == "HTTP/2 200", (head, curl.stdout.read())
            yield curl.stdout
        finally:
            curl.kill()


def asked_by_http2(server, scheme: str, operation: str, **body) -> dict:
    with by_http2(server, scheme, operation, **body) as answer:
        return json.loads(answer.read())


def subscribed(answer):
    """The records of a subscription, each as it comes."""
    buffer = botocore.eventstream.EventStreamBuffer()
    while piece := answer.read1(1 << 16):
        buffer.add_data(piece)
        for event in buffer:
            if event.headers[":event-type"] == "SubscribeToShardEvent":
                yield from json.loads(event.payload)["Records"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_calls_and_subscriptions_by_http2(server, kinesis, scheme):
    """As AWS' SDKs subscribe, boto3 excepted."""
    name = kafkas.fresh_name("by_http2")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn = asked_by_http2(server, scheme, "DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    registered = asked_by_http2(server, scheme, "RegisterStreamConsumer", StreamARN=arn, ConsumerName="reader")
    place = asked_by_http2(server, scheme, "PutRecord", StreamName=name, Data="Zmlyc3Q=", PartitionKey="k")
    assert place["ShardId"] == SHARD(0)
    subscription = {"ConsumerARN": registered["Consumer"]["ConsumerARN"], "ShardId": SHARD(0), "StartingPosition": {"Type": "TRIM_HORIZON"}}
    with by_http2(server, scheme, "SubscribeToShard", **subscription) as answer:
        records = subscribed(answer)
        first = next(records)
        # It comes while the answer is under way.
        kinesis.put_record(StreamName=name, Data=b"second", PartitionKey="k")
        second = next(records)
    assert [base64.b64decode(record["Data"]) for record in (first, second)] == [b"first", b"second"]
    assert first["SequenceNumber"] == place["SequenceNumber"]


def test_java_and_its_cbor(server, kinesis):
    """As AWS' SDKs for Java and the KCL ask: bodies in CBOR, where data are bytes and times are milliseconds with a tag."""
    name = kafkas.fresh_name("by_cbor")
    kinesis.create_stream(StreamName=name, ShardCount=1)

    def ask(operation: str, **body):
        content, kind = cbor2.dumps(body), "application/x-amz-cbor-1.1"
        url = f"http://{server.aws}/"
        answer = requests.post(url, content, headers=signed(server, url, operation, content, kind), timeout=kafkas.WAIT_SECONDS)
        assert answer.headers["content-type"] == kind, answer.headers
        # The times of AWS' SDK are no dates of CBOR: those would be seconds.
        read = cbor2.loads(answer.content, semantic_decoders={1: lambda of, *_: cbor2.CBORTag(1, of)})
        return answer.status_code, read

    began = time.time()
    data = bytes(range(256))
    status, put = ask("PutRecord", StreamName=name, Data=data, PartitionKey="key")
    assert (status, put["ShardId"]) == (200, SHARD(0))
    kinesis.put_record(StreamName=name, Data=b"by JSON", PartitionKey="k")
    status, iterator = ask("GetShardIterator", StreamName=name, ShardId=SHARD(0), ShardIteratorType="AT_TIMESTAMP",
                           Timestamp=cbor2.CBORTag(1, int((began - 60) * 1000)))
    assert status == 200, iterator
    status, answer = ask("GetRecords", ShardIterator=iterator["ShardIterator"], Limit=10)
    assert status == 200, answer
    assert [record["Data"] for record in answer["Records"]] == [data, b"by JSON"]
    first = answer["Records"][0]
    assert (first["PartitionKey"], first["SequenceNumber"]) == ("key", put["SequenceNumber"])
    arrived = first["ApproximateArrivalTimestamp"]
    assert arrived.tag == 1 and began - 60 < arrived.value / 1000 < time.time() + 60
    # What boto3 put is what the other reads, and the other way round.
    assert [record["Data"] for record in read(kinesis, name, 0)] == [data, b"by JSON"]
    status, refused = ask("PutRecord", StreamName="nowhere", Data=b"", PartitionKey="k")
    assert status == 400 and refused["__type"].endswith("ResourceNotFoundException"), refused


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
    iterators = [kinesis.get_shard_iterator(**ask)["ShardIterator"] for _ in range(20)]
    began, given = time.monotonic(), 0
    for iterator in iterators:
        try:
            records = kinesis.get_records(ShardIterator=iterator)["Records"]
        except botocore.exceptions.ClientError as refused:
            assert refused.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
            break
        # Where one takes as long as what it gives is worth, the next one is due.
        assert len(records) == 9 and given <= (2 << 20) * (1 + time.monotonic() - began)
        given += sum(len(record["Data"]) for record in records)
    else:
        raise AssertionError(f"{given} bytes, and no end")
    assert given > 0
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert len(kinesis.get_records(ShardIterator=iterator)["Records"]) == 9
