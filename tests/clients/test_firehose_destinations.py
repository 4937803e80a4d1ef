"""Firehose's destinations beside tables, each with a small server that speaks its protocol: made, put into and read by boto3."""

import base64
import datetime
import gzip
import io
import json
import time

import boto3
import botocore.config
import pytest

import kafkas
from places import Place

pyarrow = pytest.importorskip("pyarrow")
import pyarrow.parquet

SOON = 40
ROLE = "arn:aws:iam::123456789012:role/any"
BUCKET = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::polder-test"}
SECOND = {"SizeInMBs": 1, "IntervalInSeconds": 1}


def connect(server):
    known = server.credentials
    address = json.loads((server.data / "endpoints.json").read_text())["aws"]
    return boto3.client("firehose", endpoint_url=f"http://{address}", region_name="eu-west-1", config=botocore.config.Config(retries={"max_attempts": 0}),
                        aws_access_key_id=known["access_key_id"], aws_secret_access_key=known["secret_access_key"])


@pytest.fixture(scope="module")
def server(s3):
    with kafkas.start(env=s3.env) as server:
        yield server


@pytest.fixture(scope="module")
def firehose(server):
    return connect(server)


def put(firehose, name, values):
    answer = firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": value} for value in values])
    assert answer["FailedPutCount"] == 0


def found(s3, prefix, count=1):
    """Keys and bytes of the objects of a prefix, once there are so many."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        keys = [one["Key"] for one in s3.client().list_objects_v2(Bucket=s3.bucket, Prefix=prefix).get("Contents", [])]
        if len(keys) >= count:
            return {key: s3.client().get_object(Bucket=s3.bucket, Key=key)["Body"].read() for key in keys}
        time.sleep(0.2)
    raise AssertionError(f"nothing came to {prefix}")


def rejected(server, name):
    return server.client().sql(f"SELECT value, reason FROM {name}__rejected ORDER BY \"offset\"")


def test_an_http_endpoint_gets_firehoses_requests(server, firehose, s3):
    name = kafkas.fresh_name("hose_http")

    first = iter([True])

    def answer(path, body):
        request = json.loads(gzip.decompress(body))
        if next(first, False):
            # What fails is sent again, as the same request.
            return 500, {"requestId": request["requestId"], "timestamp": request["timestamp"], "errorMessage": "not now"}
        return 200, {"requestId": request["requestId"], "timestamp": request["timestamp"]}

    with Place(answer) as place:
        firehose.create_delivery_stream(DeliveryStreamName=name, HttpEndpointDestinationConfiguration={
            "EndpointConfiguration": {"Url": f"{place.url}/in?x=1", "Name": "mine", "AccessKey": "open sesame"},
            "RequestConfiguration": {"ContentEncoding": "GZIP", "CommonAttributes": [{"AttributeName": "env", "AttributeValue": "test"}]},
            "BufferingHints": SECOND, "RetryOptions": {"DurationInSeconds": 60}, "S3BackupMode": "AllData",
            "S3Configuration": {**BUCKET, "Prefix": f"{name}/!{{timestamp:yyyy}}/", "ErrorOutputPrefix": f"{name}-failed/"}})
        values = [b'{"id": 1}', b"no JSON", b"\x00\xff"]
        put(firehose, name, values)
        requests = place.until(lambda all: len(all) >= 2)
        told = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        firehose.delete_delivery_stream(DeliveryStreamName=name)
    assert len({headers["x-amz-firehose-request-id"] for _, headers, _ in requests}) == 1
    for path, headers, body in requests[:2]:
        assert path == "/in?x=1"
        assert headers["content-type"] == "application/json" and headers["content-encoding"] == "gzip"
        assert headers["x-amz-firehose-protocol-version"] == "1.0" and headers["x-amz-firehose-access-key"] == "open sesame"
        assert headers["x-amz-firehose-source-arn"].endswith(f":deliverystream/{name}")
        assert json.loads(headers["x-amz-firehose-common-attributes"]) == {"commonAttributes": {"env": "test"}}
        request = json.loads(gzip.decompress(body))
        assert request["requestId"] == headers["x-amz-firehose-request-id"] and abs(request["timestamp"] / 1000 - time.time()) < 600
        assert [base64.b64decode(record["data"]) for record in request["records"]] == values
    endpoint = told["Destinations"][0]["HttpEndpointDestinationDescription"]["EndpointConfiguration"]
    assert endpoint == {"Url": f"{place.url}/in?x=1", "Name": "mine"}
    # All of it is in the bucket beside, too.
    kept = found(s3, f"{name}/{datetime.datetime.now(datetime.UTC).year}/")
    assert b"".join(kept.values()) == b"".join(values)


def test_what_an_endpoint_never_takes_is_kept(server, firehose, s3):
    name = kafkas.fresh_name("hose_refused")
    with Place(lambda *_: (403, {"errorMessage": "who are you"})) as place:
        firehose.create_delivery_stream(DeliveryStreamName=name, HttpEndpointDestinationConfiguration={
            "EndpointConfiguration": {"Url": place.url}, "BufferingHints": SECOND, "RetryOptions": {"DurationInSeconds": 0},
            "S3BackupMode": "FailedDataOnly", "S3Configuration": {**BUCKET, "ErrorOutputPrefix": f"{name}/!{{firehose:error-output-type}}/"}})
        put(firehose, name, [b"one", b"two"])
        place.until(lambda all: all)
        kafkas.until(server.client(), f"SELECT count(*) FROM {name}__rejected", 2, SOON)
        firehose.delete_delivery_stream(DeliveryStreamName=name)
    assert "who are you" in rejected(server, name)[0]["reason"]
    failed = b"".join(found(s3, f"{name}/processing-failed/").values())
    lines = [json.loads(line) for line in failed.splitlines()]
    assert [base64.b64decode(line["rawData"]) for line in lines] == [b"one", b"two"]


def test_splunk_gets_events_and_is_asked_whether_they_are_indexed(server, firehose):
    name = kafkas.fresh_name("hose_splunk")
    asked = []

    def answer(path, body):
        if "/ack" in path:
            asked.append(json.loads(body))
            return 200, {"acks": {"7": len(asked) > 1}}
        return 200, {"text": "Success", "code": 0, "ackId": 7}

    with Place(answer) as place:
        firehose.create_delivery_stream(DeliveryStreamName=name, SplunkDestinationConfiguration={
            "HECEndpoint": place.url, "HECEndpointType": "Event", "HECToken": "a-token", "BufferingHints": SECOND, "S3Configuration": BUCKET})
        put(firehose, name, [b'{"id": 1}', b"a line"])
        requests = place.until(lambda all: len(asked) > 1)
        kafkas.until(server.client(), f"SELECT records FROM polder.deliveries WHERE delivery_name = '{name}'", 2, SOON)
        told = json.dumps(firehose.describe_delivery_stream(DeliveryStreamName=name), default=str)
        firehose.delete_delivery_stream(DeliveryStreamName=name)
    path, headers, body = requests[0]
    assert path.startswith("/services/collector/event?channel=") and headers["authorization"] == "Splunk a-token"
    assert headers["x-splunk-request-channel"] == path.split("=")[1]
    events = [json.loads(line) for line in body.splitlines()]
    assert [event["event"] for event in events] == [{"id": 1}, "a line"]
    assert all(abs(float(event["time"]) - time.time()) < 600 for event in events)
    assert asked[0] == {"acks": [7]} and "a-token" not in told


def test_opensearch_gets_documents_and_what_it_refuses_is_kept(server, firehose):
    name = kafkas.fresh_name("hose_search")
    taken = {}
    first = iter([True])

    def answer(path, body):
        lines = [json.loads(line) for line in body.splitlines()]
        items, is_first = [], next(first, False)
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            if document["id"] == 2:
                items.append({"index": {"status": 400, "error": {"type": "mapper_parsing_exception"}}})
            elif document["id"] == 3 and is_first:
                items.append({"index": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}})
            else:
                taken[action["index"]["_id"]] = (action["index"]["_index"], document)
                items.append({"index": {"status": 201}})
        return 200, {"errors": True, "items": items}

    with Place(answer) as place:
        firehose.create_delivery_stream(DeliveryStreamName=name, AmazonopensearchserviceDestinationConfiguration={
            "RoleARN": ROLE, "ClusterEndpoint": place.url, "IndexName": "views", "IndexRotationPeriod": "OneDay",
            "BufferingHints": SECOND, "RetryOptions": {"DurationInSeconds": 60}, "S3Configuration": BUCKET})
        put(firehose, name, [b'{"id": 1}', b'{"id": 2}', b'{"id": 3}', b"no JSON"])
        requests = place.until(lambda all: len(taken) == 2)
        kafkas.until(server.client(), f"SELECT count(*) FROM {name}__rejected", 2, SOON)
        firehose.delete_delivery_stream(DeliveryStreamName=name)
    assert all(path == "/_bulk" and headers["content-type"] == "application/x-ndjson" for path, headers, _ in requests)
    day = datetime.datetime.now(datetime.UTC)
    days = {f"views-{day:%Y-%m-%d}", f"views-{day - datetime.timedelta(days=1):%Y-%m-%d}"}
    assert {index for index, _ in taken.values()} <= days
    assert sorted(document["id"] for _, document in taken.values()) == [1, 3]
    reasons = [row["reason"] for row in rejected(server, name)]
    assert "mapper_parsing_exception" in reasons[0] and "JSON object" in reasons[1]


def test_where_a_domain_is_only_aws_knows(firehose):
    with pytest.raises(firehose.exceptions.InvalidArgumentException) as refused:
        firehose.create_delivery_stream(DeliveryStreamName="domain", AmazonopensearchserviceDestinationConfiguration={
            "RoleARN": ROLE, "DomainARN": "arn:aws:es:eu-west-1:123456789012:domain/d", "IndexName": "i", "S3Configuration": BUCKET})
    assert "ClusterEndpoint" in refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("packed, codec", [("SNAPPY", "SNAPPY"), ("GZIP", "GZIP"), ("UNCOMPRESSED", "UNCOMPRESSED")])
def test_parquet_with_a_transform_and_a_prefix_of_times_and_columns(server, firehose, s3, packed, codec):
    client, name = server.client(), kafkas.fresh_name("hose_parquet")
    firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration={
        **BUCKET, "Prefix": f"{name}/year=!{{timestamp:yyyy}}/!{{firehose:random-string}}/", "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 1},
        "ErrorOutputPrefix": f"{name}-failed/!{{firehose:error-output-type}}/",
        "DataFormatConversionConfiguration": {
            "Enabled": True, "SchemaConfiguration": {"DatabaseName": "web", "TableName": "views", "RoleARN": ROLE},
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": packed}}}}})
    client.sql(f"ALTER DELIVERY {name} SET TRANSFORM AS SELECT (value->>'id')::bigint AS id, value->>'page' AS page FROM \"firehose.{name}\"")
    put(firehose, name, [json.dumps({"id": number, "page": f"/{number % 3}"}).encode() for number in range(300)])
    kafkas.until(client, f"SELECT records FROM polder.deliveries WHERE delivery_name = '{name}'", 300, SOON)
    kept = found(s3, f"{name}/year={datetime.datetime.now(datetime.UTC).year}/")
    tables = [pyarrow.parquet.ParquetFile(io.BytesIO(body)) for body in kept.values()]
    rows = [row for table in tables for row in table.read().to_pylist()]
    assert sorted((row["id"], row["page"]) for row in rows) == [(number, f"/{number % 3}") for number in range(300)]
    assert {table.metadata.row_group(0).column(0).compression for table in tables} == {codec}
    assert all(len(key.split("/")) == 4 for key in kept)
    firehose.delete_delivery_stream(DeliveryStreamName=name)


def test_a_name_that_a_killed_server_left_half_made_is_free(fresh):
    """A server is killed between the stream's topic and the stream, and between the stream's end and its topic's."""
    server = fresh()
    server.start()
    firehose = connect(server)
    table = {"IcebergDestinationConfiguration": {"RoleARN": ROLE, "CatalogConfiguration": {}, "S3Configuration": BUCKET, "BufferingHints": SECOND}}
    firehose.create_delivery_stream(DeliveryStreamName="before", **table)
    leftovers = {"max.message.bytes": "16777216"}
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient(kafkas.librdkafka(server))
    # As it is made for a stream, and as nobody makes one for a stream.
    admin.create_topics([NewTopic("firehose.half", 1, config=leftovers)])["firehose.half"].result(20)
    admin.create_topics([NewTopic("firehose.other", 1)])["firehose.other"].result(20)
    server.kill()
    server.start()
    firehose, client = connect(server), server.client()
    firehose.create_delivery_stream(DeliveryStreamName="half", **table)
    firehose.put_record(DeliveryStreamName="half", Record={"Data": b'{"id": 1}'})
    kafkas.until(client, "SELECT count(*) FROM half", 1, SOON)
    with pytest.raises(firehose.exceptions.ResourceInUseException):
        firehose.create_delivery_stream(DeliveryStreamName="other", **table)
    # A stream whose topic is gone already is deleted as any other, and its name is free.
    admin = AdminClient(kafkas.librdkafka(server))
    admin.delete_topics(["firehose.before"])["firehose.before"].result(20)
    firehose.delete_delivery_stream(DeliveryStreamName="before")
    firehose.create_delivery_stream(DeliveryStreamName="before", **table)
    for name in ("half", "before"):
        firehose.delete_delivery_stream(DeliveryStreamName=name)
    assert client.value("SELECT count(*) FROM polder.topics WHERE topic_name LIKE 'firehose.%'") == 1
