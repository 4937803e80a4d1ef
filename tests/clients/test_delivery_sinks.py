"""Deliveries made by SQL into each kind of place, and what arrives there."""

import contextlib
import datetime
import io
import json
import time

import pytest

import kafkas
import places
from test_deliveries import eventually, made_topic, produce

pyarrow = pytest.importorskip("pyarrow")
psycopg = pytest.importorskip("psycopg")
import pyarrow.parquet

PAGES = 7
VIEWS = [{"id": number, "page": f"p{number % PAGES}"} for number in range(210)]


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


@contextlib.contextmanager
def delivering(server, into: str, more: str = "", topic=None):
    """A delivery of the views; gives a client and its name."""
    client, name = server.client(), kafkas.fresh_name("sink")
    topic = topic or made_topic(server, f"{name}_t", 2)
    client.sql(f"CREATE DELIVERY {name} FROM TOPIC {topic} {into.replace('NAME', name)} {more.replace('TOPIC', topic)} BUFFER 1 SECONDS")
    produce(server, topic, VIEWS)
    yield client, name
    client.sql(f"DROP DELIVERY {name}")


def arrived(client, name: str, records: int = len(VIEWS)) -> None:
    eventually(client, f"SELECT records, rejected, state, last_error FROM polder.deliveries WHERE delivery_name = '{name}'",
               [{"records": records, "rejected": 0, "state": "running", "last_error": None}])


def objects_of(s3, prefix: str) -> dict:
    found = s3.client().list_objects_v2(Bucket=s3.bucket, Prefix=prefix).get("Contents", [])
    return {one["Key"]: s3.client().get_object(Bucket=s3.bucket, Key=one["Key"])["Body"].read() for one in found}


def bucket(s3, options: str) -> str:
    return (f"INTO OBJECTS 's3://{s3.bucket}/NAME' WITH (endpoint '{s3.url}', region 'us-east-1', access_key_id 'testing', "
            f"secret_access_key 'testing', {options})")


def years() -> set:
    """This one; at its end there are two."""
    now = datetime.datetime.now(datetime.UTC)
    return {str(now.year), str((now - datetime.timedelta(hours=1)).year)}


def test_json_lines_in_a_bucket_by_time(server, s3):
    with delivering(server, bucket(s3, "format 'json_lines', compression 'none', prefix 'year=!{timestamp:yyyy}/'")) as (client, name):
        arrived(client, name)
        found = objects_of(s3, f"{name}/")
    assert found and {key.split("/")[1] for key in found} <= {f"year={year}" for year in years()}
    rows = [json.loads(line) for body in found.values() for line in body.splitlines()]
    assert sorted(rows, key=lambda row: row["id"]) == VIEWS


def test_parquet_in_a_bucket_by_a_column(server, s3):
    transform = "TRANSFORM AS SELECT (value->>'id')::bigint AS id, value->>'page' AS page FROM TOPIC"
    options = "format 'parquet', compression 'zstd', prefix 'page=!{partitionKeyFromQuery:page}/'"
    with delivering(server, bucket(s3, options), transform) as (client, name):
        arrived(client, name)
        found = objects_of(s3, f"{name}/")
    rows = []
    for key, body in found.items():
        file = pyarrow.parquet.ParquetFile(io.BytesIO(body))
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
        part = file.read().to_pylist()
        assert {f"page={row['page']}" for row in part} == {key.split("/")[1]}
        rows += part
    assert sorted(rows, key=lambda row: row["id"]) == VIEWS
    assert len({key.split("/")[1] for key in found}) == PAGES


@pytest.mark.parametrize("kind", places.KINDS)
def test_servers_get_all_in_their_own_form(server, kind):
    with places.Place(kind.answer) as place, delivering(server, kind.into(place.url)) as (client, name):
        arrived(client, name)
        assert sorted(kind.rows(place.requests), key=lambda row: row["id"]) == VIEWS
        paths = {path.split("?")[0] for path, _, _ in place.requests}
        assert paths == {{"Http": "/in", "Search": "/_bulk", "Collector": "/services/collector/event"}[kind.__name__]}


def test_documents_have_names_that_stay(server):
    with places.Place(places.Search.answer) as place, delivering(server, places.Search.into(place.url, ", rotation 'day'")) as (client, name):
        arrived(client, name)
        actions = [json.loads(line)["index"] for _, _, body in place.requests for line in body.splitlines()[::2]]
    assert {action["_index"].rsplit("-", 3)[0] for action in actions} == {"views"}
    assert len({action["_id"] for action in actions}) == len(VIEWS) and all(action["_id"].startswith(f"{name}_t-") for action in actions)


def test_rows_in_a_table_of_postgresql(server, postgres):
    address, _ = postgres.database()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE views (id bigint PRIMARY KEY, page text CHECK (page <> 'p6'), note text DEFAULT 'none')")
        connection.execute("INSERT INTO views VALUES (0, 'p0', 'was there')")
        database = address.rsplit("/", 1)[1]
        into = (f"INTO POSTGRES WITH (host '127.0.0.1', port {postgres.port}, database '{database}', user 'polder', schema 'public', "
                "table 'views', key 'id')")
        with delivering(server, into) as (client, name):
            eventually(client, f"SELECT records, rejected FROM polder.deliveries WHERE delivery_name = '{name}'", [{"records": 180, "rejected": 30}])
            reasons = client.sql(f"SELECT reason, count(*) AS n FROM {name}__rejected GROUP BY reason")
        rows = connection.execute("SELECT id, page, note FROM views ORDER BY id").fetchall()
    assert [row["n"] for row in reasons] == [30] and "check constraint" in reasons[0]["reason"]
    wanted = [(view["id"], view["page"], "none") for view in VIEWS if view["page"] != "p6"]
    assert rows == [(0, "p0", "was there"), *wanted[1:]]


def test_a_table_is_partitioned_as_the_delivery_says(server):
    with delivering(server, "INTO TABLE NAME_v", "PARTITION BY page") as (client, name):
        eventually(client, f"SELECT count(*) AS n, count(DISTINCT id) AS ids FROM {name}_v", [{"n": len(VIEWS), "ids": len(VIEWS)}])
        files = [path for path in (server.data / "tables").rglob("*.parquet") if f"/{name}_v-" in str(path)]
        pages = [set(pyarrow.parquet.ParquetFile(path).read(["page"])["page"].to_pylist()) for path in files]
        assert all(len(of_file) == 1 for of_file in pages), pages
        assert set().union(*pages) == {f"p{page}" for page in range(PAGES)}


def test_an_endpoint_that_is_slow_gets_what_came_meanwhile(server):
    def answer(path, body):
        time.sleep(0.5)
        return places.Http.answer(path, body)

    with places.Place(answer) as place, delivering(server, places.Http.into(place.url)) as (client, name):
        produce(server, f"{name}_t", [{"id": 1000 + number, "page": "late"} for number in range(50)])
        arrived(client, name, len(VIEWS) + 50)
        assert len(places.Http.rows(place.requests)) == len(VIEWS) + 50
