"""Firehose by AWS' own SDK: delivery streams are deliveries."""

import gzip
import json
import time

import boto3
import botocore.config
import botocore.exceptions
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import kafkas
import polder

SOON = 40
BUCKET = {"RoleARN": "arn:aws:iam::123456789012:role/any", "BucketARN": "arn:aws:s3:::polder-test"}
SECOND = {"SizeInMBs": 1, "IntervalInSeconds": 1}
FIRST = "destinationId-000000000001"


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        yield server


def connect(server, service="firehose", **keys):
    known = server.credentials
    address = json.loads((server.data / "endpoints.json").read_text())["aws"]
    keys = {"aws_access_key_id": known["access_key_id"], "aws_secret_access_key": known["secret_access_key"], **keys}
    return boto3.client(service, endpoint_url=f"http://{address}", region_name="eu-west-1", config=botocore.config.Config(retries={"max_attempts": 0}), **keys)


@pytest.fixture(scope="module")
def firehose(server):
    return connect(server)


def into_table(table, schema="public", **more):
    return {"IcebergDestinationConfiguration": {
        "RoleARN": BUCKET["RoleARN"], "CatalogConfiguration": {"CatalogARN": "arn:aws:glue:eu-west-1:123456789012:catalog"}, "S3Configuration": BUCKET,
        "BufferingHints": SECOND, "DestinationTableConfigurationList": [{"DestinationDatabaseName": schema, "DestinationTableName": table}], **more}}


def code(failed) -> str:
    return failed.value.response["Error"]["Code"]


def make_topic(server, name, partitions=1):
    admin = AdminClient(kafkas.librdkafka(server))
    admin.create_topics([NewTopic(name, partitions)])[name].result(20)


def described(firehose, name):
    return firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]


def eventually(client, sql, wanted, seconds=SOON):
    deadline, seen = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            seen = client.sql(sql)
        except polder.Failed as failed:
            seen = failed
        if seen == wanted:
            return
        time.sleep(0.2)
    raise AssertionError(f"{sql}: {seen!r} instead of {wanted!r}")


def objects(s3, prefix, seconds=SOON):
    """The bytes of all objects of a prefix, once there are some."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = s3.client().list_objects_v2(Bucket=s3.bucket, Prefix=prefix).get("Contents", [])
        if found:
            return b"".join(s3.client().get_object(Bucket=s3.bucket, Key=one["Key"])["Body"].read() for one in found)
        time.sleep(0.2)
    raise AssertionError(f"nothing came to {prefix}")


def test_what_is_put_comes_into_a_table(server, firehose):
    client, name = server.client(), kafkas.fresh_name("put")
    client.sql("CREATE SCHEMA web")
    made = firehose.create_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": "team", "Value": "web"}], **into_table("views", "web"))
    assert made["DeliveryStreamARN"] == f"arn:aws:firehose:eu-west-1:123456789012:deliverystream/{name}"
    one = firehose.put_record(DeliveryStreamName=name, Record={"Data": b'{"id": 0, "page": "/"}'})
    many = [{"Data": json.dumps({"id": n, "page": f"/{n}"}).encode()} for n in range(1, 500)] + [{"Data": b"no JSON"}]
    answer = firehose.put_record_batch(DeliveryStreamName=name, Records=many)
    assert answer["FailedPutCount"] == 0 and not answer["Encrypted"]
    ids = [one["RecordId"], *(record["RecordId"] for record in answer["RequestResponses"])]
    assert len(set(ids)) == 501
    eventually(client, "SELECT count(*) AS n, count(DISTINCT id) AS ids, max(page) AS page FROM web.views", [{"n": 500, "ids": 500, "page": "/99"}])
    eventually(client, "SELECT count(*) AS n FROM web.views__rejected", [{"n": 1}])
    row, = client.sql(f"SELECT target_kind, target, buffer_seconds, state, records FROM polder.deliveries WHERE delivery_name = '{name}'")
    assert row == {"target_kind": "table", "target": "web.views", "buffer_seconds": 1, "state": "running", "records": 500}
    told = described(firehose, name)
    assert (told["DeliveryStreamStatus"], told["DeliveryStreamType"], told["VersionId"]) == ("ACTIVE", "DirectPut", "1")
    iceberg = told["Destinations"][0]["IcebergDestinationDescription"]
    assert iceberg["DestinationTableConfigurationList"] == [{"DestinationDatabaseName": "web", "DestinationTableName": "views"}]
    assert iceberg["S3DestinationDescription"] == BUCKET
    firehose.delete_delivery_stream(DeliveryStreamName=name)
    assert name not in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"]
    assert client.value(f"SELECT count(*) FROM polder.deliveries WHERE delivery_name = '{name}'") == 0
    assert client.value(f"SELECT count(*) FROM polder.topics WHERE topic_name = 'firehose.{name}'") == 0
    assert client.value("SELECT count(*) FROM web.views") == 500


def test_a_stream_of_kinesis_is_a_source(server, firehose):
    client, name = server.client(), kafkas.fresh_name("kinesis")
    kinesis = connect(server, "kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.put_record(StreamName=name, Data=b'{"id": -1}', PartitionKey="before")
    source = {"KinesisStreamARN": f"arn:aws:kinesis:eu-west-1:123456789012:stream/{name}", "RoleARN": BUCKET["RoleARN"]}
    firehose.create_delivery_stream(DeliveryStreamName=name, DeliveryStreamType="KinesisStreamAsSource", KinesisStreamSourceConfiguration=source, **into_table(f"{name}_t"))
    kinesis.put_records(StreamName=name, Records=[{"Data": json.dumps({"id": n}).encode(), "PartitionKey": f"{n}"} for n in range(100)])
    # As at AWS, a delivery stream begins with what comes.
    eventually(client, f"SELECT count(*) AS n, min(id) AS least FROM {name}_t", [{"n": 100, "least": 0}])
    assert described(firehose, name)["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == source["KinesisStreamARN"]
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"{}"})
    assert code(failed) == "InvalidArgumentException"
    firehose.delete_delivery_stream(DeliveryStreamName=name)
    assert kinesis.describe_stream_summary(StreamName=name)


def test_a_topic_of_kafka_is_a_source(server, firehose):
    client, name = server.client(), kafkas.fresh_name("kafka")
    make_topic(server, name, 3)
    producer = Producer(kafkas.librdkafka(server))
    for n in range(100):
        producer.produce(name, json.dumps({"id": n}).encode(), partition=n % 3)
    assert not producer.flush(20)
    source = {"MSKClusterARN": "arn:aws:kafka:eu-west-1:123456789012:cluster/any/1", "TopicName": name, "ReadFromTimestamp": 0,
              "AuthenticationConfiguration": {"RoleARN": BUCKET["RoleARN"], "Connectivity": "PUBLIC"}}
    firehose.create_delivery_stream(DeliveryStreamName=name, DeliveryStreamType="MSKAsSource", MSKSourceConfiguration=source, **into_table(f"{name}_t"))
    eventually(client, f"SELECT count(*) AS n, count(DISTINCT id) AS ids FROM {name}_t", [{"n": 100, "ids": 100}])
    assert name in firehose.list_delivery_streams(DeliveryStreamType="MSKAsSource", Limit=100)["DeliveryStreamNames"]
    firehose.delete_delivery_stream(DeliveryStreamName=name)


def test_objects_come_into_a_bucket_and_destinations_change(s3):
    with kafkas.start(env=s3.env) as server:
        firehose, name = connect(server), kafkas.fresh_name("bucket")
        configuration = {**BUCKET, "Prefix": f"{name}/", "BufferingHints": SECOND}
        firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=configuration)
        firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"one"}, {"Data": b"two"}, {"Data": b"three"}])
        assert objects(s3, f"{name}/") == b"onetwothree"
        told = described(firehose, name)
        assert told["Destinations"][0]["ExtendedS3DestinationDescription"] == configuration
        update = {"Prefix": f"{name}-later/", "CompressionFormat": "GZIP"}
        firehose.update_destination(DeliveryStreamName=name, CurrentDeliveryStreamVersionId="1", DestinationId=FIRST, ExtendedS3DestinationUpdate=update)
        with pytest.raises(botocore.exceptions.ClientError) as failed:
            firehose.update_destination(DeliveryStreamName=name, CurrentDeliveryStreamVersionId="1", DestinationId=FIRST, ExtendedS3DestinationUpdate=update)
        assert code(failed) == "ConcurrentModificationException"
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"four"})
        assert gzip.decompress(objects(s3, f"{name}-later/")) == b"four"
        told = described(firehose, name)
        assert told["VersionId"] == "2" and told["Destinations"][0]["ExtendedS3DestinationDescription"] == {**configuration, **update}


def test_what_is_known_of_a_stream_outlives_a_kill(fresh):
    server = fresh()
    server.start()
    firehose = connect(server)
    firehose.create_delivery_stream(DeliveryStreamName="kept", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}], **into_table("kept"))
    firehose.untag_delivery_stream(DeliveryStreamName="kept", TagKeys=["a"])
    firehose.tag_delivery_stream(DeliveryStreamName="kept", Tags=[{"Key": "c", "Value": "3"}])
    firehose.put_record(DeliveryStreamName="kept", Record={"Data": b'{"id": 1}'})
    before = described(firehose, "kept")
    server.kill()
    server.start()
    firehose = connect(server)
    assert described(firehose, "kept") == before
    assert firehose.list_tags_for_delivery_stream(DeliveryStreamName="kept")["Tags"] == [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]
    eventually(server.client(), "SELECT id FROM kept", [{"id": 1}])


def test_deliveries_of_sql_are_listed_and_changed_there(server, firehose):
    client, name = server.client(), kafkas.fresh_name("sql")
    make_topic(server, name, 1)
    client.sql(f"CREATE DELIVERY {name} FROM TOPIC {name} INTO TABLE {name}_t BUFFER 2 MB OR 7 SECONDS")
    assert name in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"]
    told = described(firehose, name)["Destinations"][0]["IcebergDestinationDescription"]
    assert told["BufferingHints"] == {"SizeInMBs": 2, "IntervalInSeconds": 7}
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        firehose.update_destination(DeliveryStreamName=name, CurrentDeliveryStreamVersionId="1", DestinationId=FIRST, IcebergDestinationUpdate={"BufferingHints": SECOND})
    assert code(failed) == "InvalidArgumentException"
    client.sql(f"DROP DELIVERY {name}")


def test_refusals_are_those_of_aws(server, firehose):
    name = kafkas.fresh_name("refused")
    firehose.create_delivery_stream(DeliveryStreamName=name, **into_table(f"{name}_t"))
    for wanted, call in {
        "ResourceInUseException": lambda: firehose.create_delivery_stream(DeliveryStreamName=name, **into_table("t")),
        "ResourceNotFoundException": lambda: firehose.put_record(DeliveryStreamName="nowhere", Record={"Data": b"{}"}),
        "InvalidArgumentException": lambda: firehose.create_delivery_stream(
            DeliveryStreamName="other", DeliveryStreamType="MSKAsSource", **into_table("t"),
            MSKSourceConfiguration={"MSKClusterARN": "arn:aws:kafka:eu-west-1:123456789012:cluster/any/1", "TopicName": "no_such_topic",
                                    "AuthenticationConfiguration": {"RoleARN": BUCKET["RoleARN"], "Connectivity": "PUBLIC"}}),
        "InvalidKMSResourceException": lambda: firehose.start_delivery_stream_encryption(
            DeliveryStreamName=name, DeliveryStreamEncryptionConfigurationInput={"KeyType": "AWS_OWNED_CMK"}),
        "UnrecognizedClientException": lambda: connect(server, aws_access_key_id="AKIANOBODY").list_delivery_streams(),
        "InvalidSignatureException": lambda: connect(server, aws_secret_access_key="another").list_delivery_streams(),
    }.items():
        with pytest.raises(botocore.exceptions.ClientError) as failed:
            call()
        assert code(failed) == wanted
    # A topic of somebody else's is nobody's to take.
    make_topic(server, f"firehose.{name}2", 1)
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        firehose.create_delivery_stream(DeliveryStreamName=f"{name}2", **into_table("t"))
    assert code(failed) == "ResourceInUseException"
    assert server.client().value(f"SELECT count(*) FROM polder.topics WHERE topic_name = 'firehose.{name}2'") == 1
    firehose.delete_delivery_stream(DeliveryStreamName=name)


def test_who_is_no_superuser_stays_in_the_lake(fresh):
    server = fresh()
    server.start()
    client = server.client()
    client.sql("CREATE USER ben PASSWORD 'a long word to log in with'")
    client.sql("CREATE SCHEMA closed")
    make_topic(server, "events")
    connect(server).create_delivery_stream(DeliveryStreamName="open", **into_table("t"))
    client.sql("CREATE DELIVERY theirs FROM TOPIC events INTO TABLE closed.t")
    key, = client.sql("CREATE ACCESS KEY FOR ben")
    ben = connect(server, aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"])
    source = {"KinesisStreamARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/events", "RoleARN": BUCKET["RoleARN"]}
    of_events = {"DeliveryStreamType": "KinesisStreamAsSource", "KinesisStreamSourceConfiguration": source}

    def refused(call, **arguments):
        with pytest.raises(botocore.exceptions.ClientError) as failed:
            call(**arguments)
        return code(failed)

    put = {"DeliveryStreamName": "open", "Record": {"Data": b'{"id": 1}'}}
    assert ben.list_delivery_streams()["DeliveryStreamNames"] == []
    assert refused(ben.put_record, **put) == "ResourceNotFoundException"
    client.sql("GRANT pg_read_all_data TO ben")
    assert refused(ben.put_record, **put) == "AccessDeniedException"
    for name in ("open", "theirs"):
        assert refused(ben.describe_delivery_stream, DeliveryStreamName=name) == "ResourceNotFoundException"
        assert refused(ben.delete_delivery_stream, DeliveryStreamName=name) == "ResourceNotFoundException"
    create = ben.create_delivery_stream
    assert refused(create, DeliveryStreamName="a", S3DestinationConfiguration=BUCKET, **of_events) == "AccessDeniedException"
    assert refused(create, DeliveryStreamName="b", **of_events, **into_table("bens", S3BackupMode="AllData")) == "AccessDeniedException"
    assert refused(create, DeliveryStreamName="c", **into_table("bens")) == "AccessDeniedException"
    assert refused(create, DeliveryStreamName="d", **of_events, **into_table("bens", "closed")) == "AccessDeniedException"
    client.sql("GRANT CREATE ON SCHEMA public TO ben")
    create(DeliveryStreamName="own", **of_events, **into_table("bens"))
    assert ben.list_delivery_streams()["DeliveryStreamNames"] == ["own"]
    leaves = {"DeliveryStreamName": "own", "CurrentDeliveryStreamVersionId": "1", "DestinationId": FIRST, "IcebergDestinationUpdate": {"S3BackupMode": "AllData"}}
    assert refused(ben.update_destination, **leaves) == "AccessDeniedException"
    # Who may write topics puts records, whosever the delivery is.
    client.sql("GRANT pg_write_all_data TO ben")
    ben.put_record(**put)
    eventually(client, "SELECT id FROM t", [{"id": 1}])
