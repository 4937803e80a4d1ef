"""Hostile and broken input: a clear error within bounds, no crash, nothing half-loaded."""

import io
import json
import pathlib
import socket
import struct
import time
import urllib.parse
import zipfile
import zlib

import pytest

import polder

MEMORY_MAX = 1 << 30


@pytest.fixture(autouse=True)
def survives(server):
    """After each test the server still runs and answers, and took no more than its bounds."""
    yield
    assert server.process.poll() is None, server.log()[-3000:]
    assert server.client().value("SELECT 1 AS one") == 1
    assert "panicked" not in server.log(), server.log()[-3000:]
    peak = server.memory_bytes("VmHWM")
    assert peak < MEMORY_MAX, f"peak memory {peak >> 20} MiB"


def tables(client) -> set:
    return {row["table_name"] for row in client.sql("SELECT table_name FROM polder.tables WHERE schema_name = 'public'")}


def refused(server, client, path: pathlib.Path, *words: str) -> str:
    """The load must fail with a message that holds all the words, the SQLSTATE among them, and leave no table. The server lives,
    and has not taken more than its bounds by then."""
    before = tables(client)
    started = time.monotonic()
    done = server.cli("load", path)
    text = done.stderr.decode(errors="replace")
    print(f"{path.name}: {time.monotonic() - started:.1f} s: {text.strip()[:300]}")
    assert done.returncode == 1, text
    for word in words:
        assert word.lower() in text.lower(), text
    assert tables(client) == before
    assert client.value("SELECT 1 AS one") == 1
    assert server.memory_bytes("VmHWM") < MEMORY_MAX
    return text


def loaded(done) -> dict:
    """What a load that succeeds tells of its one table."""
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    table, = json.loads(done.stdout)["report"]["tables"]
    return table


def test_a_field_of_100_mb(server, client, tmp_path):
    path = tmp_path / "wide_field.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n1,\"")
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\"\n2,y\n")
    table = loaded(server.cli("load", path, "--json"))
    assert (table["rows_loaded"], table["rows_rejected"]) == (1, 1), table
    reject, = table["rejects"]
    assert (reject["line"], reject["reason"]) == (2, "the row is longer than 33554432 bytes"), reject
    assert client.sql("SELECT a, b FROM wide_field") == [{"a": 2, "b": "y"}]
    # Of what was too long only the beginning is kept.
    assert client.value("SELECT length(raw) AS n FROM wide_field__rejects") < 1 << 20
    before = tables(client)
    assert server.cli("load", path, "--into", "strictly", "--strict").returncode == 1
    assert tables(client) == before


def test_a_quote_that_is_never_closed(server, client, tmp_path):
    path = tmp_path / "open_quote.csv"
    path.write_text("a,b\n1,x\n2,\"never closed\n" + "3,z\n" * 1000)
    table = loaded(server.cli("load", path, "--json"))
    # The quote is none that opens a text: what stands behind it is read, and its own row is rejected.
    assert (table["rows_loaded"], table["rows_rejected"]) == (1001, 1), table
    reject, = table["rejects"]
    assert (reject["line"], "quote" in reject["reason"]) == (3, True), reject
    assert client.value("SELECT count(*) AS n FROM open_quote WHERE a = 3 AND b = 'z'") == 1000


def packed_many_times(head: bytes, block: bytes, blocks: int) -> tuple:
    """`head` and a block many times, deflated: what that is, its checksum and its size. The block is packed once."""
    first, packer = zlib.compressobj(9, wbits=-15), zlib.compressobj(9, wbits=-15)
    # Both refer to nothing before them.
    begin = first.compress(head) + first.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(head)
    for _ in range(blocks):
        check = zlib.crc32(block, check)
    return begin + part * blocks + zlib.compressobj(9, wbits=-15).flush(), check, len(head) + blocks * len(block)


def test_a_zip_bomb(server, client, tmp_path):
    path = tmp_path / "bomb.csv.zip"
    packed, check, size = packed_many_times(b"a,b\n", b"0,0\n" * (1 << 18), 3000)
    name = b"bomb.csv"
    about = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, check, len(packed), size, len(name), 0)
    local = b"PK\3\4" + about + name
    listed = b"PK\1\2" + struct.pack("<H", 20) + about + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(listed), len(local) + len(packed), 0)
    path.write_bytes(local + packed + listed + end)
    assert [(info.filename, info.file_size) for info in zipfile.ZipFile(path).infolist()] == [("bomb.csv", size)]
    assert path.stat().st_size < 16 << 20
    refused(server, client, path, "bomb.csv.zip/bomb.csv unpacks to more than", "200 times its size or more", "[54000]")


def test_a_gzip_bomb(server, client, tmp_path):
    path = tmp_path / "bomb.csv.gz"
    packed, check, size = packed_many_times(b"a\n", b"\n" * (1 << 20), 2000)
    path.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed + struct.pack("<II", check, size))
    refused(server, client, path, "bomb.csv.gz unpacks to more than", "200 times its size or more", "[54000]")


def test_a_zip_with_bad_names(server, client, tmp_path):
    path = tmp_path / "slip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../../slipped.csv", "a,b\n1,2\n")
    before = set(tmp_path.parent.iterdir())
    # The name is read for its end alone.
    table = loaded(server.cli("load", path, "--json"))
    assert (table["table"], table["rows_loaded"], table["rows_rejected"]) == ("public.slipped", 1, 0), table
    assert not list(tmp_path.parent.rglob("slipped.csv"))
    assert set(tmp_path.parent.iterdir()) == before
    assert not list(server.data.rglob("slipped.csv"))


def test_a_broken_zip(server, client, tmp_path):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", "a,b\n" + "1,2\n" * 10000)
    path = tmp_path / "broken.zip"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    refused(server, client, path, "broken.zip cannot be read as zip", "[22000]")


def test_json_nested_deeply(server, client, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    refused(server, client, path, "deep.json", "line 1: nested 100000 deep, and 64 is the most", "[22000]")
    path = tmp_path / "deep_array.json"
    path.write_text("[" * 1_000_000)
    refused(server, client, path, "deep_array.json", "line 1: not a whole JSON document", "[22000]")


def test_invalid_utf8(server, client, tmp_path):
    path = tmp_path / "bytes.csv"
    path.write_bytes(b"a,b\n1,\xff\xfe\x80\n2,ok\n3,\xc3\x28\n")
    table = loaded(server.cli("load", path, "--into", "bytes_loaded", "--json"))
    assert (table["rows_loaded"], table["rows_rejected"]) == (3, 0), table
    assert table["remarks"] == ["read as windows-1252, because it is no valid UTF-8"], table
    assert [row["b"] for row in client.sql("SELECT b FROM bytes_loaded ORDER BY a")] == ["\xff\xfe\u20ac", "ok", "\xc3("]
    path.write_bytes(bytes(range(256)) * 500)
    refused(server, client, path, "bytes.csv is binary, in no format that is known here", "[0A000]")


def test_files_that_lie(server, client, tmp_path):
    """A name that promises one format, and bytes of none."""
    wrong = {"lie.parquet": "cannot be read as parquet", "lie.avro": "is not Avro", "lie.xlsx": "is not an Excel workbook",
             "lie.ods": "is not an OpenDocument workbook", "lie.csv.gz": "is not gzip", "lie.csv.zst": "is not Zstandard",
             "lie.csv.bz2": "is not bzip2", "lie.json": "is not JSON"}
    for name, words in wrong.items():
        path = tmp_path / name
        path.write_bytes(b"PAR1" + bytes(range(200)) * 20 + b"PAR1" if name.endswith("parquet") else b"\x01\x02lie" * 100)
        refused(server, client, path, f"{name} {words}", "[22000]")


def test_an_empty_file(server, client, tmp_path):
    path = tmp_path / "empty.csv"
    path.write_bytes(b"")
    refused(server, client, path, "empty.csv is empty", "[22000]")


def test_many_columns(server, client, tmp_path):
    path = tmp_path / "columns.csv"
    path.write_text(",".join(f"c{n}" for n in range(20_000)) + "\n" + ",".join("1" for _ in range(20_000)) + "\n")
    refused(server, client, path, "columns.csv has 20000 columns, more than 4096", "[54000]")


def test_names_of_uploads(server, client):
    for name in ("../../escaped.csv", "/etc/escaped.csv", "..\\escaped.csv", "a/../../escaped.csv", "\u202eescaped.csv", "x" * 5000 + ".csv"):
        upload = client.upload(name, b"a,b\n1,2\n")
        status = client.load(upload_ids=[upload], mode="create", again=True)
        # Of a name only the end is read; the first of one end makes the table, and the others find it there.
        if name in ("../../escaped.csv", "x" * 5000 + ".csv"):
            table, = status["report"]["tables"]
            assert (status["state"], table["rows_loaded"], table["rows_rejected"]) == ("done", 1, 0), status
            assert table["table"] == "public.escaped" or set(table["table"].removeprefix("public.")) == {"x"}, table["table"]
            assert len(table["table"]) <= len("public.") + 255, table["table"]
        else:
            assert (status["state"], status["error"]["code"], status["error"]["message"]) == \
                ("failed", "42P07", "table public.escaped exists"), status
    outside = [path for folder in (server.data.parent, server.data.parent.parent) for path in folder.glob("*escaped*")]
    assert not outside and not pathlib.Path("/etc/escaped.csv").exists()
    assert all("/" not in name and ".." not in name for name in tables(client))


def test_a_statement_of_10_mb(client):
    with pytest.raises(polder.Failed) as caught:
        client.sql("SELECT '" + "x" * (10 << 20) + "'")
    assert (caught.value.status, caught.value.code) == (413, "54000"), vars(caught.value)


def test_a_statement_nested_deeply(client):
    for sql in ("SELECT " + "(" * 20_000 + "1" + ")" * 20_000, "SELECT " + "1 + " * 50_000 + "1",
                "SELECT " + "NOT " * 50_000 + "true", "SELECT * FROM " + "(SELECT * FROM " * 5_000 + "polder.tables" + ")" * 5_000):
        with pytest.raises(polder.Failed) as caught:
            client.sql(sql)
        assert (caught.value.status, caught.value.code) == (413, "54001"), vars(caught.value)
        assert client.value("SELECT 1 AS one") == 1


def size_of(path) -> int:
    """Of a file; 0 for what is none, or has just been removed."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def test_an_upload_cut_off(server, client):
    cookie = "; ".join(f"{name}={value}" for name, value in client.http.cookies.items())
    host, port = server.url.removeprefix("http://").split(":")
    before = {path for path in server.data.rglob("*") if path.is_file()}
    with socket.create_connection((host, int(port)), timeout=polder.SOON_SECONDS) as connection:
        connection.sendall(
            f"POST /api/v1/uploads?name=cut.csv HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\nX-Polder: 1\r\n"
            f"Content-Length: {50 << 20}\r\n\r\n".encode() + b"a,b\n" + b"1,2\n" * 500_000)
    deadline = time.monotonic() + polder.SOON_SECONDS
    while time.monotonic() < deadline:
        left = {path for path in server.data.rglob("*") if size_of(path) > 1 << 20} - before
        if not left:
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"the cut upload left {left}")
    assert client.get("/running")["loads"] == []


def test_a_refused_upload_is_told_why(server):
    """A program that looks for the answer only when it has sent everything: the connection must not be closed before."""
    url = urllib.parse.urlparse(server.url)
    size = 24 << 20
    head = f"POST /api/v1/uploads?name=refused.csv HTTP/1.1\r\nHost: {url.netloc}\r\nX-Polder: 1\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
        connection.sendall(head.encode())
        block = b"1,2\n" * 4096
        for _ in range(size // len(block)):
            connection.sendall(block)
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 401"), answer[:200]
        # The connection goes on.
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
        later = b""
        while b"\r\n\r\nok" not in later.lower() and b"HTTP/1.1 200" not in later:
            part = connection.recv(65536)
            assert part, later[:500]
            later += part


def test_broken_requests(server, client):
    assert client.http.post(f"{server.url}/api/v1/statements", data=b"{not json", headers={"Content-Type": "application/json"},
                            timeout=polder.SOON_SECONDS).status_code == 400
    assert client.http.post(f"{server.url}/api/v1/statements", json={"nosql": 1}, timeout=polder.SOON_SECONDS).status_code == 400
    assert client.http.get(f"{server.url}/api/v1/queries/not-an-id", timeout=polder.SOON_SECONDS).status_code == 400
    assert client.http.get(f"{server.url}/api/v1/nosuch", timeout=polder.SOON_SECONDS).status_code == 404
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/..%2f..%2fetc%2fpasswd"):
        assert b"root:" not in client.http.get(f"{server.url}{path}", timeout=polder.SOON_SECONDS).content


def parquet_files(server) -> set:
    return set(server.data.rglob("*.parquet"))


@pytest.mark.parametrize("harm", ["truncated", "corrupted", "gone", "empty"])
def test_a_harmed_table_file_names_itself(fresh, harm):
    server = fresh()
    server.start()
    before = parquet_files(server)
    server.client().sql("CREATE TABLE harmed AS SELECT value AS a, 'w' || value AS b FROM generate_series(1, 50000) AS s(value)")
    server.client().sql("CREATE TABLE sound (a bigint)")
    server.stop()
    path, = parquet_files(server) - before
    content = path.read_bytes()
    if harm == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "corrupted":
        middle = len(content) // 2
        path.write_bytes(content[: middle - 2000] + bytes(255 - byte for byte in content[middle - 2000: middle + 2000]) + content[middle + 2000:])
    elif harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"")
    server.start()
    client = server.client()
    with pytest.raises((polder.Failed, polder.requests.RequestException)) as caught:
        client.sql("SELECT sum(a) AS a, max(b) AS b FROM harmed")
    assert isinstance(caught.value, polder.Failed), caught.value
    assert path.name in caught.value.message, caught.value.message
    size = len(content)
    said = {"truncated": f"it has {size // 2} bytes instead of {size}", "empty": f"it has 0 bytes instead of {size}",
            "corrupted": "its checksum is crc32:", "gone": "it is missing"}[harm]
    assert (caught.value.status, caught.value.kind, caught.value.code) == (500, "corrupt", "XX001"), vars(caught.value)
    assert said in caught.value.message and "a file of public.harmed" in caught.value.message, caught.value.message
    assert client.value("SELECT count(*) AS n FROM sound") == 0
    assert "panicked" not in server.log()


def own_files(server) -> dict:
    return {path: path.read_bytes() for path in (server.data / "credentials.toml", server.data / "secret.key", *parquet_files(server))
            if path.exists()}


def test_the_data_directory_is_not_written_to_by_copy(fresh, tmp_path):
    """`COPY … TO` never replaces what Polder keeps: its keys, its metastore, its tables' files; by no way of writing the path."""
    server = fresh(tmp_path / "data")
    server.start()
    client = server.client()
    client.sql("CREATE TABLE kept AS SELECT value AS a FROM generate_series(1, 50000) AS s(value)")
    before = own_files(server)
    (tmp_path / "link").symlink_to(server.data)
    targets = [*before, server.data / "metastore.sqlite", server.data / "new.csv", tmp_path / "link" / "credentials.toml",
               tmp_path / "data" / ".." / "data" / "secret.key", f"file://{server.data}/credentials.toml"]
    for target in targets:
        with pytest.raises(polder.Failed) as caught:
            client.sql(f"COPY (SELECT 1 AS a) TO '{target}' STORED AS CSV")
        assert (caught.value.code, caught.value.message) == ("42501", f"{target} is where Polder keeps its own files"), vars(caught.value)
    assert own_files(server) == before
    assert (server.data / "metastore.sqlite").read_bytes()[:15] == b"SQLite format 3"
    client.sql(f"COPY (SELECT 1 AS a) TO '{tmp_path}/outside.csv' STORED AS CSV")
    assert (tmp_path / "outside.csv").read_text() == "a\n1\n"


def test_the_data_directory_is_not_loaded_from(fresh, tmp_path):
    """Passwords and keys do not become tables."""
    server = fresh(tmp_path / "data")
    server.start()
    client = server.client()
    (tmp_path / "link").symlink_to(server.data)
    for source in (server.data / "credentials.toml", server.data / "secret.key", server.data, f"{server.data}/*.toml",
                   tmp_path / "link" / "credentials.toml", tmp_path):
        for into in ("stolen", None):
            done = server.cli("load", source, *(["--into", into] if into else []))
            # A folder around it is read without it, and holds nothing else; nor does a glob find what is in it.
            said = done.stderr.decode(errors="replace")
            assert done.returncode == 1, said
            found_nothing = source == tmp_path or "*" in str(source)
            assert ("holds no file [58P01]" if found_nothing else "is in Polder's own data directory [42501]") in said, said
            secret = server.credentials["password"]
            for name in tables(client):
                assert secret not in client.run(f"SELECT * FROM {name}", "csv").text, (source, done)


@pytest.mark.parametrize(("sql", "code"), [
    ("SELECT length(repeat('x', 2000000000))", "54000"),
    ("SELECT length(lpad('x', 2000000000))", "54000"),
    ("SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))", "54000"),
    ("SELECT sum(length(repeat('x', (value * 0 + 10000000)::int))) FROM generate_series(1, 8000) AS s(value)", "53200"),
    ("SELECT sum(length(replace(value::text, '1', repeat('y', 10000000)))) FROM generate_series(1, 8000) AS s(value)", "53200"),
    ("SELECT cardinality(array_fill(repeat('x', 1000), ARRAY[9000000]))", "53200"),
    ("SELECT length(array_fill(repeat('x', 1000), ARRAY[3000000])::text)", "53200"),
    ("SELECT cardinality(array_repeat(1, 2000000000))", "53200"),
    ("SELECT cardinality(array_resize(ARRAY[1], 2000000000, 0))", "53200"),
    ("SELECT cardinality(range(timestamp '2024-01-01', timestamp '2024-01-02', interval '1 day -24 hours'))", "22023"),
    ("SELECT length(format('%2000000000s', 'x'))", "54000"),
    ("SELECT cardinality(range(0, 1000000000000000))", "53200"),
    ("SELECT sum(cardinality(range(0, value + 10000000))) FROM generate_series(1, 8000) AS s(value)", "53200"),
    ("SELECT length(long || long) FROM (SELECT repeat('x', 600000000 + (value * 0)::int) AS long FROM generate_series(1, 1) AS s(value)) AS t", "54000"),
])
def test_a_value_that_grows_beyond_all_bounds(fresh, tmp_path, sql, code):
    """What a function would make is refused before it is made, and others are answered."""
    server = fresh(tmp_path / "data")
    server.start()
    client = server.client()
    assert client.value("SELECT 1") == 1
    before = server.memory_bytes("VmHWM")
    with pytest.raises(polder.Failed) as caught:
        client.sql(sql)
    assert caught.value.code == code, vars(caught.value)
    assert client.value("SELECT 1") == 1
    # What fits may be there by then: never more than the bound, and what the bound is taken from.
    assert server.memory_bytes("VmHWM") - before < 3 << 30


GROWING = [
    "SELECT sum(length(repeat('x', (value * 0 + 100000)::int))) FROM generate_series(1, 1000) AS s(value)",
    "SELECT sum(length(value::text || repeat('y', 100000))) FROM generate_series(1, 1000) AS s(value)",
    "SELECT length(long || long) FROM (SELECT repeat('x', 12000000) AS long) AS t",
    "SELECT sum(length(concat(value, repeat('y', 100000)))) FROM generate_series(1, 1000) AS s(value)",
    # A part that is known beforehand is put into the one beside it, which stays behind its bound.
    "SELECT sum(length(concat(value, 'y', repeat('y', 100000)))) FROM generate_series(1, 1000) AS s(value)",
    "SELECT sum(length(concat_ws(repeat('y', 100000), value, value))) FROM generate_series(1, 1000) AS s(value)",
    "SELECT sum(length(format('%s%s', value, repeat('y', 100000)))) FROM generate_series(1, 1000) AS s(value)",
    "SELECT length(translate(repeat('x', 15000000), 'x', 'é'))",
    "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 10000), 'g'))",
    r"SELECT length(regexp_replace(repeat('x', 100000), '(.*)', repeat('\&', 10000)))",
    "SELECT length(array_to_string(array_fill(repeat('x', 1000), ARRAY[15000]), repeat(',', 1000)))",
    "SELECT cardinality(array_fill(repeat('x', 1000), ARRAY[30000]))",
    "SELECT cardinality(array_repeat(1, 10000000))",
    "SELECT length(json_build_array(long, long, long)::text) FROM (SELECT repeat('x', 8000000) AS long) AS t",
    "SELECT length(to_jsonb(ARRAY[long, long, long])::text) FROM (SELECT repeat('x', 8000000) AS long) AS t",
]

GATHERED = [
    "SELECT length(string_agg(repeat('x', 1000 + (value * 0)::int), ',')) FROM generate_series(1, 60000) AS s(value)",
    "SELECT cardinality(array_agg(repeat('x', 1000 + (value * 0)::int))) FROM generate_series(1, 60000) AS s(value)",
    "SELECT length(json_agg(repeat('x', 1000 + (value * 0)::int))::text) FROM generate_series(1, 60000) AS s(value)",
]


def test_a_value_that_grows_beyond_the_memory_of_its_statement(fresh, tmp_path):
    """What has no memory is refused before it is made, long before the time is over; what has is made."""
    server = fresh(tmp_path / "data")
    server.start()
    client = server.client()
    limits = "SET statement_memory = '20MB'; SET statement_timeout = '60s'; "
    before = server.memory_bytes("VmHWM")
    for code, statements in (("53200", GROWING), ("53400", GATHERED)):
        for sql in statements:
            with pytest.raises(polder.Failed) as caught:
                client.sql(limits + sql)
            assert caught.value.code == code, (sql, vars(caught.value))
            assert "statement_memory" in caught.value.message, (sql, vars(caught.value))
    assert server.memory_bytes("VmHWM") - before < 500 << 20
    fits = "SELECT length(concat_ws(',', long || long, translate(long, 'x', 'é'), regexp_replace(long, 'x', 'yy', 'g'))) FROM (SELECT repeat('x', 1000000) AS long) AS t"
    assert client.sql(limits + fits)[0].popitem()[1] == 5000002


LONG_CONSTANTS = [
    ("SELECT length(repeat('x', 60000000)) AS a", 60_000_000, 3),
    ("SELECT repeat('x', 60000000) LIKE '%y' AS a", False, 4),
    ("SELECT length(repeat('xy', 15000000) || repeat('z', 30000000)) AS a", 60_000_000, 5),
    ("SELECT length(long || 'y') AS a FROM (SELECT repeat('x', 60000000) AS long) AS t", 60_000_001, 6),
]


def test_a_long_constant_is_there_a_few_times_at_most(fresh, tmp_path):
    """A plan holds none: it would be copied at each of the planner's steps, whatever memory the statement may have."""
    server = fresh(tmp_path / "data")
    server.start()
    client = server.client()
    assert client.value("SELECT 1") == 1
    before = server.memory_bytes("VmHWM")
    for sql, expected, times in LONG_CONSTANTS:
        assert client.sql("SET statement_memory = '100MB'; " + sql) == [{"a": expected}]
        grown = server.memory_bytes("VmHWM") - before
        assert grown < times * 60_000_000, f"{sql}: {grown >> 20} MiB"


# DataFusion's function, were the text short, and Polder's own.
@pytest.mark.parametrize("with_what", ["\\2\\1", "\\2\\&"])
def test_what_takes_long_ends_with_its_time(fresh, tmp_path, with_what):
    """One row of one batch is no longer worked on when nobody waits for it."""
    server = fresh(tmp_path / "data")
    server.start()
    client = server.client()
    # Made before: it is the function that is to end, and not what makes its text.
    client.sql("CREATE TABLE long AS SELECT repeat('ab', 10000000) AS text")
    with pytest.raises(polder.Failed) as caught:
        client.sql("SET statement_timeout = '500ms'; SELECT length(regexp_replace(text, '(a)(b)', '" + with_what + "', 'g')) FROM long")
    assert caught.value.code == "57014", vars(caught.value)
    quiet, deadline = 0, time.monotonic() + polder.SOON_SECONDS
    while quiet < 3:
        assert time.monotonic() < deadline, "it goes on working"
        used = processor_ticks(server)
        time.sleep(0.2)
        quiet = quiet + 1 if processor_ticks(server) - used < 5 else 0


def processor_ticks(server) -> int:
    """What its process has had of processors."""
    after_name = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])
