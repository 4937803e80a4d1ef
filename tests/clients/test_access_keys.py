"""Access keys: made and dropped in SQL, and what users may do with them at the address for AWS' clients."""

import json

import boto3
import botocore.config
import botocore.exceptions
import psycopg
import pytest

import drivers
import kafkas
import polder

PASSWORD = "a long word to log in with"
ROLE = "arn:aws:iam::123456789012:role/any"
BUCKET = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::polder-test"}
MISSING = "no-such-stream"


def connect(server, service, key):
    address = json.loads((server.data / "endpoints.json").read_text())["aws"]
    config = botocore.config.Config(retries={"max_attempts": 0})
    return boto3.client(service, endpoint_url=f"http://{address}", region_name="eu-west-1", config=config,
                        aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"])


def user(server, name, *options):
    """A new user, logged in."""
    server.client().sql(f"CREATE USER {name} PASSWORD '{PASSWORD}' {' '.join(options)}")
    return polder.Client(server.url).login(name, PASSWORD)


def key_of(client):
    key, = client.sql("CREATE ACCESS KEY")
    return key


def refused(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        call(**arguments)
    return failed.value.response["Error"]["Code"]


def failure(client, sql):
    with pytest.raises(polder.Failed) as failed:
        client.sql(sql)
    return failed.value.code


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        yield server


@pytest.fixture(scope="module")
def streams(server):
    """A stream of Kinesis and one of Firehose with a record each, of the first user's."""
    known = server.credentials
    kinesis, firehose = (connect(server, service, known) for service in ("kinesis", "firehose"))
    kinesis.create_stream(StreamName="salaries", ShardCount=1)
    kinesis.put_record(StreamName="salaries", Data=b"100", PartitionKey="k")
    firehose.create_delivery_stream(DeliveryStreamName="payroll", IcebergDestinationConfiguration={
        "RoleARN": ROLE, "CatalogConfiguration": {}, "S3Configuration": BUCKET, "BufferingHints": {"IntervalInSeconds": 1},
        "DestinationTableConfigurationList": [{"DestinationDatabaseName": "public", "DestinationTableName": "paid"}]})
    return kinesis, firehose


def test_a_key_is_made_shown_once_listed_and_dropped(server):
    root, ada = server.client(), user(server, "ada")
    made = key_of(ada)
    assert made["access_key_id"].startswith("PLDR") and len(made["secret_access_key"]) == 40
    assert ada.sql("SELECT access_key_id, user_name, created_at <= now() AS before FROM polder.access_keys") == [
        {"access_key_id": made["access_key_id"], "user_name": "ada", "before": True}]
    assert connect(server, "kinesis", made).list_streams()["StreamNames"] == []
    given, = root.sql("CREATE ACCESS KEY FOR ada")
    assert connect(server, "firehose", given).list_delivery_streams()["DeliveryStreamNames"] == []
    ada.sql(f"DROP ACCESS KEY '{made['access_key_id']}'")
    assert refused(connect(server, "kinesis", made).list_streams) == "UnrecognizedClientException"
    assert connect(server, "kinesis", given).list_streams()["StreamNames"] == []
    assert failure(ada, f"DROP ACCESS KEY '{made['access_key_id']}'") == "42704"
    ada.sql(f"DROP ACCESS KEY IF EXISTS '{made['access_key_id']}'")
    # A role that goes takes its keys along; a new one of the same name has none.
    root.sql("DROP ROLE ada")
    assert refused(connect(server, "kinesis", given).list_streams) == "UnrecognizedClientException"
    user(server, "ada")
    assert refused(connect(server, "kinesis", given).list_streams) == "UnrecognizedClientException"


def test_whose_keys_somebody_makes(server):
    root, ben, clerk = server.client(), user(server, "ben"), user(server, "clerk", "CREATEROLE")
    root.sql("CREATE ROLE nologin_group")
    assert failure(ben, "CREATE ACCESS KEY FOR polder") == "42501"
    assert failure(ben, "CREATE ACCESS KEY FOR clerk") == "42501"
    assert failure(ben, "CREATE ACCESS KEY FOR nobody_at_all") == "42704"
    assert failure(clerk, "CREATE ACCESS KEY FOR polder") == "42501"
    assert failure(root, "CREATE ACCESS KEY FOR nologin_group") == "55000"
    bens, = clerk.sql("CREATE ACCESS KEY FOR ben")
    first = server.credentials["access_key_id"]
    listed = [row["access_key_id"] for row in ben.sql("SELECT access_key_id FROM polder.access_keys")]
    assert listed == [bens["access_key_id"]]
    assert first in [row["access_key_id"] for row in root.sql("SELECT access_key_id FROM polder.access_keys")]
    # Those of others are not there.
    assert failure(ben, f"DROP ACCESS KEY '{first}'") == failure(ben, "DROP ACCESS KEY 'PLDRNONE'") == "42704"
    assert failure(clerk, f"DROP ACCESS KEY '{first}'") == "42704"
    clerk.sql(f"DROP ACCESS KEY '{bens['access_key_id']}'")
    for _ in range(20):
        key_of(ben)
    assert failure(ben, "CREATE ACCESS KEY") == "53400"
    # Who may not log in any more does not come in by a key either.
    last = ben.sql("SELECT max(access_key_id) AS id FROM polder.access_keys")[0]["id"]
    ben.sql(f"DROP ACCESS KEY '{last}'")
    key = key_of(ben)
    root.sql("ALTER ROLE ben NOLOGIN")
    assert refused(connect(server, "kinesis", key).list_streams) == "UnrecognizedClientException"


def test_the_audit_tells_of_keys_and_no_record_has_a_secret(server):
    root, cem = server.client(), user(server, "cem")
    mine, = cem.sql("CREATE ACCESS KEY")
    given, = root.sql("CREATE ACCESS KEY FOR cem")
    cem.sql(f"DROP ACCESS KEY '{mine['access_key_id']}'")
    ids = f"('{mine['access_key_id']}', '{given['access_key_id']}')"
    told = root.sql(f"SELECT event, user_name, via, object, message FROM polder.audit WHERE object IN {ids} ORDER BY happened_at")
    assert told == [
        {"event": "create access key", "user_name": "cem", "via": "console", "object": mine["access_key_id"], "message": "for cem"},
        {"event": "create access key", "user_name": "polder", "via": "console", "object": given["access_key_id"], "message": "for cem"},
        {"event": "drop access key", "user_name": "cem", "via": "console", "object": mine["access_key_id"], "message": "of cem"}]
    for table in ("audit", "queries", "runs", "access_keys"):
        shown = json.dumps(root.sql(f"SELECT * FROM polder.{table}"))
        assert mine["secret_access_key"] not in shown and given["secret_access_key"] not in shown, table


def test_keys_are_made_by_drivers_and_not_in_transactions(server):
    user(server, "dan")
    place = drivers.polders(server)
    with psycopg.connect(host=place.host, port=place.port, user="dan", password=PASSWORD, dbname=place.database, autocommit=True) as connection:
        # Described before it is run, as drivers do.
        made = connection.execute("CREATE ACCESS KEY", prepare=True).fetchone()
        assert connection.execute("SELECT access_key_id FROM polder.access_keys").fetchall() == [(made[0],)]
        with pytest.raises(psycopg.errors.ActiveSqlTransaction), connection.transaction():
            connection.execute("CREATE ACCESS KEY")
        assert connection.execute("SELECT count(*) FROM polder.access_keys").fetchone() == (1,)
    assert connect(server, "kinesis", {"access_key_id": made[0], "secret_access_key": made[1]}).list_streams()["StreamNames"] == []


def test_who_has_no_right_on_a_stream_learns_nothing(server, streams):
    kinesis, firehose = streams
    eve = user(server, "eve")
    key = key_of(eve)
    mine, hose = connect(server, "kinesis", key), connect(server, "firehose", key)
    assert mine.list_streams()["StreamNames"] == [] and hose.list_delivery_streams()["DeliveryStreamNames"] == []

    def of_kinesis(stream):
        return {
            "describe": refused(mine.describe_stream, StreamName=stream),
            "summary": refused(mine.describe_stream_summary, StreamName=stream),
            "put": refused(mine.put_record, StreamName=stream, Data=b"1", PartitionKey="k"),
            "iterator": refused(mine.get_shard_iterator, StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="LATEST"),
            "shards": refused(mine.list_shards, StreamName=stream),
            "tags": refused(mine.list_tags_for_stream, StreamName=stream),
            "split": refused(mine.split_shard, StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127)),
            "delete": refused(mine.delete_stream, StreamName=stream)}

    def of_firehose(stream):
        return {
            "describe": refused(hose.describe_delivery_stream, DeliveryStreamName=stream),
            "put": refused(hose.put_record, DeliveryStreamName=stream, Record={"Data": b"{}"}),
            "batch": refused(hose.put_record_batch, DeliveryStreamName=stream, Records=[{"Data": b"{}"}]),
            "tags": refused(hose.list_tags_for_delivery_stream, DeliveryStreamName=stream),
            "delete": refused(hose.delete_delivery_stream, DeliveryStreamName=stream)}

    assert of_kinesis("salaries") == of_kinesis(MISSING) == dict.fromkeys(of_kinesis(MISSING), "ResourceNotFoundException")
    assert of_firehose("payroll") == of_firehose(MISSING) == dict.fromkeys(of_firehose(MISSING), "ResourceNotFoundException")
    assert refused(mine.create_stream, StreamName="evil", ShardCount=1) == "AccessDeniedException"
    assert kinesis.describe_stream_summary(StreamName="salaries")
    assert firehose.describe_delivery_stream(DeliveryStreamName="payroll")


def test_who_may_know_of_a_stream_is_refused_what_they_may_not_do(server, streams):
    root, fay = server.client(), user(server, "fay")
    key = key_of(fay)
    mine, hose = connect(server, "kinesis", key), connect(server, "firehose", key)
    shard = {"StreamName": "salaries", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    root.sql("GRANT USAGE ON TOPIC salaries TO fay")
    root.sql("GRANT USAGE ON TOPIC \"firehose.payroll\" TO fay")
    assert mine.list_streams()["StreamNames"].count("salaries") == 1
    assert refused(mine.put_record, StreamName="salaries", Data=b"1", PartitionKey="k") == "AccessDeniedException"
    assert refused(mine.put_records, StreamName="salaries", Records=[{"Data": b"1", "PartitionKey": "k"}]) == "AccessDeniedException"
    assert refused(mine.delete_stream, StreamName="salaries") == "AccessDeniedException"
    assert refused(hose.put_record, DeliveryStreamName="payroll", Record={"Data": b"{}"}) == "AccessDeniedException"
    assert refused(hose.put_record_batch, DeliveryStreamName="payroll", Records=[{"Data": b"{}"}]) == "AccessDeniedException"
    # What is granted holds at once, and so does what is taken back.
    root.sql("GRANT SELECT ON TOPIC salaries TO fay")
    root.sql("GRANT INSERT ON TOPIC \"firehose.payroll\" TO fay")
    got = mine.get_records(ShardIterator=mine.get_shard_iterator(**shard)["ShardIterator"])
    assert [record["Data"] for record in got["Records"]] == [b"100"]
    assert hose.put_record(DeliveryStreamName="payroll", Record={"Data": b'{"id": 1}'})["RecordId"]
    kafkas.until(root, "SELECT count(*) FROM paid", 1)
    assert refused(mine.put_record, StreamName="salaries", Data=b"1", PartitionKey="k") == "AccessDeniedException"
    root.sql("REVOKE ALL ON TOPIC salaries FROM fay")
    assert refused(mine.get_records, ShardIterator=got["NextShardIterator"]) == "ResourceNotFoundException"
    # Each of the refusals is in the audit, once.
    told = root.sql("SELECT via, object, message, outcome, error_code, times FROM polder.audit WHERE event = 'request' AND user_name = 'fay'")
    assert {(row["outcome"], row["error_code"], row["times"]) for row in told} == {("refused", "42501", 1)}
    messages = [row["message"] for row in told]
    assert len(messages) == len(set(messages)), messages
    assert {"permission denied to write to topic salaries", "permission denied to delete topic salaries", "permission denied to read topic salaries"} <= set(messages), messages


def test_the_audit_tells_of_keys(server, streams):
    """Who came in with a key once for its requests, and each request that was refused."""
    root, gus = server.client(), user(server, "gus")
    key = key_of(gus)
    for _ in range(3):
        connect(server, "kinesis", key).list_streams()
    wrong, unknown = {**key, "secret_access_key": "x" * 40}, {**key, "access_key_id": "PLDRNOSUCHKEY" + "X" * 300}
    for _ in range(2):
        assert refused(connect(server, "firehose", wrong).list_delivery_streams) == "InvalidSignatureException"
        assert refused(connect(server, "kinesis", unknown).list_streams) == "UnrecognizedClientException"
    rows = root.sql("SELECT user_name, via, origin, object, outcome, error_code, sum(times)::int AS times FROM polder.audit WHERE event = 'login' AND via IN ('kinesis', 'firehose') GROUP BY ALL")
    rows = [tuple(row.values()) for row in rows if row["user_name"] == "gus" or row["outcome"] == "refused"]
    assert ("gus", "kinesis", "127.0.0.1", key["access_key_id"], "ok", None, 1) in rows, rows
    assert ("", "firehose", "127.0.0.1", key["access_key_id"], "refused", "28P01", 2) in rows, rows
    # Which key nobody has says nothing: all of them are one line.
    assert any(row[:6] == ("", "kinesis", "127.0.0.1", None, "refused", "28000") and row[6] >= 2 for row in rows), rows
