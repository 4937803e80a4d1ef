"""psycopg, unmodified, against PostgreSQL's protocol: logins, statements, types, portals, cursors, COPY, cancelling."""

import datetime
import decimal
import threading
import time
import uuid

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

WAIT_SECONDS = 20


def address(server, **more):
    host, port = server.postgres.rsplit(":", 1)
    known = server.credentials
    wanted = {"host": host, "port": port, "user": known["user"], "password": known["password"], "dbname": "polder", **more}
    return {name: value for name, value in wanted.items() if value is not None}


@pytest.fixture
def connect(server):
    opened = []

    def make(autocommit=True, **more):
        connection = psycopg.connect(**address(server, **more), autocommit=autocommit)
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def connection(connect):
    return connect()


@pytest.fixture
def table(connection):
    name = f"t_{uuid.uuid4().hex[:12]}"
    connection.execute(f"CREATE TABLE {name} (id BIGINT, name VARCHAR(20), price NUMERIC(10, 2), at TIMESTAMPTZ)")
    yield name
    connection.execute(f"DROP TABLE IF EXISTS {name}")


def rows(connection, text, *values, **options):
    return connection.execute(text, values or None, **options).fetchall()


# Logging in


def test_the_server_says_who_it_is(connection):
    assert connection.info.server_version // 10000 == 15
    status = connection.info.parameter_status
    assert status("server_encoding") == "UTF8" and status("integer_datetimes") == "on"
    assert "Polder" in status("server_version")
    assert status("TimeZone") == "UTC" and status("DateStyle").startswith("ISO")


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_logins_with_and_without_tls(connect, mode):
    connection = connect(sslmode=mode)
    assert bool(connection.pgconn.ssl_in_use) == (mode == "require")
    assert rows(connection, "SELECT 1") == [(1,)]


def test_a_login_is_bound_to_the_certificate(connect):
    assert rows(connect(sslmode="require", channel_binding="require"), "SELECT 1") == [(1,)]


def test_wrong_passwords_and_unknown_users_look_alike(server):
    for user in (None, "nobody"):
        more = {"password": "wrong"} | ({"user": user} if user else {})
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**address(server, **more))


def test_guessing_is_slowed_down(fresh):
    server = fresh()
    server.start()
    messages = []
    for _ in range(8):
        with pytest.raises(psycopg.OperationalError) as error:
            psycopg.connect(**address(server, password="wrong"))
        messages.append(str(error.value))
    assert any("too many wrong passwords" in message for message in messages)


def test_databases_and_settings_of_the_start(server, connect):
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(**address(server, dbname="other"))
    with pytest.raises(psycopg.OperationalError, match="nosuch"):
        psycopg.connect(**address(server, options="-c nosuch=1"))
    connection = connect(options="-c search_path=public,information_schema -c timezone=Europe/Amsterdam", application_name="me")
    assert connection.info.parameter_status("TimeZone") == "Europe/Amsterdam"
    assert rows(connection, "SHOW application_name") == [("me",)]
    assert rows(connection, "SHOW search_path") == [("public, information_schema",)]


def test_trust(fresh):
    server = fresh(None, "--auth", "trust")
    server.start()
    with psycopg.connect(**address(server, password=None)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


# Statements


def test_several_statements_are_one_transaction(connection, table):
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute(f"INSERT INTO {table} (id) VALUES (1); SELECT * FROM nosuch")
    assert rows(connection, f"SELECT count(*) FROM {table}") == [(0,)]
    cursor = connection.execute(f"INSERT INTO {table} (id) VALUES (1); INSERT INTO {table} (id) VALUES (2), (3); SELECT 7")
    assert cursor.statusmessage == "INSERT 0 1"
    assert cursor.nextset() and cursor.statusmessage == "INSERT 0 2"
    assert cursor.nextset() and cursor.fetchall() == [(7,)]
    connection.execute(f"BEGIN; DELETE FROM {table}; ROLLBACK; SELECT 1")
    assert connection.info.transaction_status == TransactionStatus.IDLE
    assert rows(connection, f"SELECT count(*) FROM {table}") == [(3,)]


def test_tags(connection, table):
    for text, tag in [
        (f"INSERT INTO {table} (id) VALUES (1), (2)", "INSERT 0 2"),
        (f"UPDATE {table} SET name = 'a'", "UPDATE 2"),
        (f"SELECT * FROM {table}", "SELECT 2"),
        (f"DELETE FROM {table} WHERE id = 1", "DELETE 1"),
        ("BEGIN", "BEGIN"),
        ("ROLLBACK", "ROLLBACK"),
        ("SET timezone = 'UTC'", "SET"),
    ]:
        assert connection.execute(text).statusmessage == tag
    assert connection.pgconn.exec_(b"").status == psycopg.pq.ExecStatus.EMPTY_QUERY


def test_errors_of_statements_with_values_say_where(connection):
    with pytest.raises(psycopg.errors.UndefinedColumn) as error:
        connection.execute("  SELECT %s::int, nosuch FROM information_schema.tables", (1,))
    # In the text as it was sent: "  SELECT $1::int, nosuch …"
    assert error.value.diag.statement_position == "19"


# What PostgreSQL 15 says of each.
REFUSED_LITERALS = {
    "SELECT 'x'::int": "8",
    "SELECT 1,\n  CAST('2020-13-01' AS date)": "18",
    "SELECT 'x'::uuid, 1": "8",
    "INSERT INTO placed VALUES (1, 2, 3)": "34",
    "INSERT INTO placed (a) VALUES (1, 2)": "35",
    "INSERT INTO placed VALUES ('x', 2)": "28",
}


@pytest.mark.parametrize("sql", REFUSED_LITERALS)
def test_errors_of_values_say_where(connection, sql):
    connection.execute("CREATE TABLE IF NOT EXISTS placed (a int, b int)")
    with pytest.raises(psycopg.Error) as error:
        connection.execute(sql)
    assert error.value.diag.statement_position == REFUSED_LITERALS[sql]


def test_errors_say_what_and_where(connection):
    with pytest.raises(psycopg.errors.UndefinedColumn) as error:
        connection.execute("SELECT 1;\nSELECT nosuch FROM information_schema.tables")
    diagnostics = error.value.diag
    assert diagnostics.sqlstate == "42703" and diagnostics.severity == "ERROR"
    if diagnostics.statement_position:
        assert int(diagnostics.statement_position) == 18


def test_a_failed_transaction_takes_only_its_end(connect):
    connection = connect(autocommit=False)
    with pytest.raises(psycopg.Error):
        connection.execute("SELECT nosuch")
    assert connection.info.transaction_status == TransactionStatus.INERROR
    for text in ("SELECT 1", "SHOW timezone_nosuch", "DECLARE c CURSOR FOR SELECT 1"):
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute(text)
    connection.rollback()
    assert connection.info.transaction_status == TransactionStatus.IDLE
    with connection.transaction():
        with pytest.raises(psycopg.Error), connection.transaction():
            connection.execute("SELECT nosuch")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_conflicts(connect, table, connection):
    connection.execute(f"INSERT INTO {table} (id) VALUES (1)")
    one, two = connect(autocommit=False), connect(autocommit=False)
    one.execute(f"UPDATE {table} SET name = 'one'")
    two.execute(f"UPDATE {table} SET name = 'two'")
    one.commit()
    with pytest.raises(psycopg.errors.SerializationFailure):
        two.commit()


# Parameters and types


VALUES = [
    (True, "boolean"),
    (5, "smallint"),
    (-70_000, "integer"),
    (2**40, "bigint"),
    (1.5, "double precision"),
    (0.1, "double precision"),
    (float("inf"), "double precision"),
    (decimal.Decimal("-12345.6700"), "numeric(12, 4)"),
    ("it's \\ \"x\" é", "text"),
    ("", "text"),
    (b"\x00\xff\\", "bytea"),
    (datetime.date(2024, 2, 29), "date"),
    (datetime.time(23, 59, 59, 999_999), "time"),
    (datetime.datetime(2024, 2, 29, 1, 2, 3, 456_000), "timestamp"),
    (datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.timezone.utc), "timestamptz"),
    (datetime.timedelta(days=3, seconds=7, microseconds=5), "interval"),
    (uuid.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f"), "uuid"),
    ([1, None, 3], "bigint[]"),
    (["a", None, "b,\"c\"", ""], "text[]"),
    ([datetime.date(2024, 1, 1)], "date[]"),
    (None, "bigint"),
]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("value, type_name", VALUES, ids=[f"{name}-{at}" for at, (_, name) in enumerate(VALUES)])
def test_values_come_back(connection, value, type_name, binary):
    place = "%b" if binary else "%t"
    cursor = connection.execute(f"SELECT {place}::{type_name}", [value], binary=binary)
    assert cursor.fetchone() == (value,)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_json(connection, binary):
    assert rows(connection, "SELECT '{\"a\": [1, null]}'::jsonb", binary=binary) == [({"a": [1, None]},)]
    assert rows(connection, "SELECT %s::jsonb", Jsonb({"b": "x"}), binary=binary) == [({"b": "x"},)]


def test_columns_have_their_types(connection, table):
    cursor = connection.execute(f"SELECT * FROM {table}")
    assert [column.type_code for column in cursor.description] == [20, 1043, 1700, 1184]
    assert (cursor.description[2].precision, cursor.description[2].scale) == (10, 2)
    (column,) = connection.execute("SELECT 'a'::varchar(5)").description
    assert (column.type_code, column.display_size) == (1043, 5)


def test_zones(connection):
    connection.execute("SET timezone = 'Asia/Kolkata'")
    assert connection.info.parameter_status("TimeZone") == "Asia/Kolkata"
    text = connection.pgconn.exec_(b"SELECT '2024-01-01 00:00:00+00'::timestamptz").get_value(0, 0)
    assert text == b"2024-01-01 05:30:00+05:30"


def test_parameters_of_changes(connection, table):
    moment = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    values = [(at, f"name {at}", decimal.Decimal(at) / 4, moment) for at in range(100)]
    connection.cursor().executemany(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)", values)
    assert rows(connection, f"SELECT count(*), sum(price) FROM {table}") == [(100, decimal.Decimal("1237.50"))]
    changed = connection.execute(f"UPDATE {table} SET name = %s WHERE id = ANY(%s) AND at = %s", ["x", [1, 2, 3], moment])
    assert changed.rowcount == 3
    returned = rows(connection, f"DELETE FROM {table} WHERE name = %s RETURNING id", "x")
    assert sorted(returned) == [(1,), (2,), (3,)]
    assert rows(connection, f"SELECT id FROM {table} ORDER BY id LIMIT %s OFFSET %s", 2, 1) == [(4,), (5,)]


def test_types_of_parameters_are_found(connection, table):
    def described(text):
        name = uuid.uuid4().hex.encode()
        assert connection.pgconn.prepare(name, text.encode()).status == psycopg.pq.ExecStatus.COMMAND_OK
        told = connection.pgconn.describe_prepared(name)
        assert told.status == psycopg.pq.ExecStatus.COMMAND_OK, told.error_message
        return [told.param_type(at) for at in range(told.nparams)], [told.ftype(at) for at in range(told.nfields)]

    assert described(f"INSERT INTO {table} VALUES ($1, $2, $3, $4)") == ([20, 1043, 1700, 1184], [])
    assert described(f"INSERT INTO {table} (name, id) SELECT $1, $2") == ([1043, 20], [])
    assert described(f"UPDATE {table} SET name = $1 WHERE id = $2 RETURNING id") == ([1043, 20], [20])
    assert described(f"DELETE FROM {table} WHERE at < $1") == ([1184], [])
    assert described(f"SELECT id, name FROM {table} WHERE id > $1 LIMIT $2") == ([20, 20], [20, 1043])
    assert described("SELECT $1::date, $2") == ([1082, 25], [1082, 25])


def test_statements_that_stay_prepared(connection, table):
    for at in range(20):
        assert rows(connection, f"SELECT %s + 1 FROM {table} RIGHT JOIN (SELECT 1) AS o ON true", at, prepare=True) == [(at + 1,)]
    connection.execute("DEALLOCATE ALL")
    assert rows(connection, "SELECT %s", "a", prepare=True) == [("a",)]
    connection.execute("PREPARE p AS SELECT $1::bigint + 1")
    assert rows(connection, "EXECUTE p(2)") == [(3,)]
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        connection.execute("EXECUTE nosuch")


# Portals, cursors, pipelines


def test_rows_stream(connection):
    with connection.cursor() as cursor:
        taken = 0
        for (number,) in cursor.stream("SELECT value FROM generate_series(1, 300000) AS s(value)"):
            taken += number
    assert taken == 300_000 * 300_001 // 2


def test_server_side_cursors(connect):
    connection = connect(autocommit=False)
    with connection.cursor(name="c") as cursor:
        cursor.execute("SELECT value FROM generate_series(1, %s) AS s(value)", [100_000])
        assert cursor.fetchmany(3) == [(1,), (2,), (3,)]
        cursor.scroll(2)
        assert cursor.fetchone() == (6,)
        assert sum(1 for _ in cursor) == 100_000 - 6
    # Closed before its end it fails nothing.
    with connection.cursor(name="early") as cursor:
        cursor.execute("SELECT value FROM generate_series(1, 100000) AS s(value)")
        assert cursor.fetchone() == (1,)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    connection.commit()


def test_a_series_comes_in_its_order(connect):
    # Without ORDER BY too, and not only now and then: its numbers become int4 where they are made.
    connection = connect(autocommit=False)
    for _ in range(20):
        with connection.cursor(name="series") as cursor:
            cursor.execute("SELECT * FROM generate_series(1, 100000)")
            assert cursor.fetchmany(2) == [(1,), (2,)]
            assert cursor.fetchmany(99_998)[-1] == (100_000,)
        connection.commit()


def test_cursors_by_sql(connect):
    connection = connect()
    with pytest.raises(psycopg.errors.NoActiveSqlTransaction):
        connection.execute("DECLARE c CURSOR FOR SELECT 1")
    connection.execute("BEGIN")
    connection.execute("DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 10)")
    connection.execute("DECLARE h CURSOR WITH HOLD FOR SELECT * FROM generate_series(1, 10)")
    assert rows(connection, "FETCH 2 FROM c") == [(1,), (2,)]
    assert connection.execute("MOVE 3 IN c").statusmessage == "MOVE 3"
    assert rows(connection, "FETCH NEXT FROM c") == [(6,)]
    assert len(rows(connection, "FETCH ALL FROM c")) == 4
    connection.execute("COMMIT")
    assert rows(connection, "FETCH FORWARD 1 FROM h") == [(1,)]
    with pytest.raises(psycopg.errors.InvalidCursorName):
        connection.execute("FETCH 1 FROM c")
    connection.execute("CLOSE ALL")


def test_pipelines(connection, table):
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s", [at]) for at in range(50)]
    assert [cursor.fetchone() for cursor in cursors] == [(at,) for at in range(50)]
    with pytest.raises(psycopg.errors.UndefinedTable), connection.pipeline():
        connection.execute(f"INSERT INTO {table} (id) VALUES (1)")
        connection.execute("SELECT * FROM nosuch")
        connection.execute(f"INSERT INTO {table} (id) VALUES (2)")
    assert rows(connection, f"SELECT count(*) FROM {table}") == [(0,)]
    with connection.pipeline() as pipeline:
        connection.execute(f"INSERT INTO {table} (id) VALUES (%s)", [1])
        connection.execute(f"INSERT INTO {table} (id) VALUES (%s)", [2])
        pipeline.sync()
    assert rows(connection, f"SELECT count(*) FROM {table}") == [(2,)]


def test_cleaning_up(connect):
    connection = connect()
    connection.execute("SET timezone = 'Asia/Kolkata'")
    connection.execute("SET statement_timeout = '7s'")
    connection.execute("PREPARE p AS SELECT 1")
    assert connection.execute("DISCARD ALL").statusmessage == "DISCARD ALL"
    assert rows(connection, "SHOW timezone") == [("UTC",)] and rows(connection, "SHOW statement_timeout") == [("0",)]
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        connection.execute("EXECUTE p")
    connection.execute("UNLISTEN *; RESET ALL; CLOSE ALL")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        connection.execute("LISTEN x")


# COPY


CSV = b'1,"a, ""b""",1.50,2024-01-01 00:00:00+00\n2,,,\n3,"",0.25,2024-01-02 00:00:00+00\n'


def test_copy_both_ways(connection, table):
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copy:
            for at in range(0, len(CSV), 7):
                copy.write(CSV[at:at + 7])
        assert cursor.rowcount == 3 and cursor.statusmessage == "COPY 3"
        with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT (FORMAT csv)") as copy:
            assert b"".join(copy) == CSV
        with cursor.copy(f"COPY (SELECT id, name FROM {table} ORDER BY id) TO STDOUT") as copy:
            assert [bytes(row) for row in copy] == [b'1\ta, "b"\n', b"2\t\\N\n", b"3\t\n"]
        with cursor.copy(f"COPY {table} (name, id) TO STDOUT (FORMAT csv, HEADER)") as copy:
            assert bytes(next(iter(copy))) == b"name,id\n"
            for _ in copy:
                pass


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_copy_of_rows(connection, table, binary):
    values = [(at, f"n\t{at}\n\\", decimal.Decimal("1.25"), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)) for at in range(20_000)]
    form = "(FORMAT binary)" if binary else ""
    types = ["int8", "varchar", "numeric", "timestamptz"]
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN {form}") as copy:
            copy.set_types(types)
            for row in values:
                copy.write_row(row)
        assert cursor.rowcount == len(values)
        with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT {form}") as copy:
            copy.set_types(types)
            assert list(copy.rows()) == values


def test_copy_is_part_of_a_transaction(connect, table):
    connection = connect(autocommit=False)
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} (id) FROM STDIN") as copy:
            copy.write(b"1\n2\n")
        assert cursor.execute(f"SELECT count(*) FROM {table}").fetchone() == (2,)
    connection.rollback()
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_refused_rows_leave_nothing(connection, table):
    with connection.cursor() as cursor:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="line 2"):
            with cursor.copy(f"COPY {table} (id) FROM STDIN") as copy:
                copy.write(b"1\nx\n3\n")
        with pytest.raises(psycopg.errors.BadCopyFileFormat, match="line 2"):
            with cursor.copy(f"COPY {table} (id, name) FROM STDIN") as copy:
                copy.write(b"1\ta\n2\n")
        with pytest.raises(ZeroDivisionError):
            with cursor.copy(f"COPY {table} (id) FROM STDIN") as copy:
                copy.write(b"1\n")
                raise ZeroDivisionError
    assert rows(connection, f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_copy_that_breaks_off_leaves_nothing(connect, connection, table):
    broken = connect()
    broken.pgconn.exec_(f"COPY {table} (id) FROM STDIN".encode())
    broken.pgconn.put_copy_data(b"1\n" * 100_000)
    broken.pgconn.flush()
    broken.close()
    time.sleep(1)
    assert rows(connection, f"SELECT count(*) FROM {table}") == [(0,)]


# Time


def test_cancelling(connect):
    connection = connect()
    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT count(*) FROM generate_series(1, 100000::bigint) a, generate_series(1, 100000) b WHERE a * b % 7 = 3")
    assert time.monotonic() - started < WAIT_SECONDS
    timer.join()
    assert rows(connection, "SELECT 1") == [(1,)]


ENDLESS = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * b % 7 = 3"


def wait_for(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_sessions_are_known_by_their_numbers(connect):
    """The number that a client is told is the one by which others see, cancel and end its session."""
    one, other = connect(application_name="one"), connect()
    number = one.info.backend_pid
    assert rows(one, "SELECT pg_backend_pid()") == [(number,)] and number != other.info.backend_pid
    seen = "SELECT state, query, usename, backend_start IS NOT NULL FROM pg_stat_activity WHERE pid = %s"
    assert rows(other, seen, number) == [("idle", "", "polder", True)]
    assert rows(one, "SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid() AND state = 'active'") == [(1,)]
    # What is not running cannot be cancelled, and nothing is struck later.
    assert rows(other, "SELECT pg_cancel_backend(%s)", number) == [(True,)]
    assert rows(one, "SELECT 1") == [(1,)]
    failures = []

    def work(expected):
        try:
            one.execute(ENDLESS)
        except expected as error:
            failures.append(error)

    for call, expected in (("pg_cancel_backend", psycopg.errors.QueryCanceled), ("pg_terminate_backend", psycopg.Error)):
        thread = threading.Thread(target=work, args=(expected,))
        thread.start()
        wait_for(lambda: rows(other, seen, number)[0][:2] == ("active", ENDLESS))
        assert rows(other, f"SELECT {call}(%s)", number) == [(True,)]
        thread.join(WAIT_SECONDS)
        assert isinstance(failures.pop(), expected)
    with pytest.raises(psycopg.OperationalError):
        one.execute("SELECT 1")
    wait_for(lambda: rows(other, seen, number) == [])
    for call in ("pg_cancel_backend", "pg_terminate_backend"):
        assert rows(other, f"SELECT {call}(%s), {call}(-1), {call}(NULL)", number) == [(False, False, None)]


def test_an_idle_session_is_ended(connect):
    one, other = connect(autocommit=False), connect()
    one.execute("CREATE TABLE of_whom_leaves (id BIGINT)")
    assert rows(other, "SELECT pg_terminate_backend(%s)", one.info.backend_pid) == [(True,)]
    with pytest.raises((psycopg.errors.AdminShutdown, psycopg.OperationalError), match="administrator command"):
        one.execute("SELECT 1")
    assert rows(other, "SELECT to_regclass('of_whom_leaves') IS NULL") == [(True,)]


def test_statement_timeout(connection):
    connection.execute("SET statement_timeout = 500")
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        connection.execute("SELECT count(*) FROM generate_series(1, 100000::bigint) a, generate_series(1, 100000) b WHERE a * b % 7 = 3")
    connection.execute("SET statement_timeout = 0")
    assert rows(connection, "SELECT 1") == [(1,)]


def test_a_transaction_that_nobody_goes_on_with(connect):
    connection = connect(autocommit=False)
    connection.execute("SET idle_in_transaction_session_timeout = 300")
    time.sleep(1.5)
    with pytest.raises((psycopg.errors.IdleInTransactionSessionTimeout, psycopg.OperationalError)):
        connection.execute("SELECT 1")
    assert connection.broken


def test_what_is_no_protocol_is_refused(server):
    import socket
    host, port = server.postgres.rsplit(":", 1)
    for first in (b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x04", b"\x7f\xff\xff\xff\x00\x03\x00\x00", b"\x00" * 64):
        with socket.create_connection((host, int(port)), timeout=WAIT_SECONDS) as raw:
            raw.sendall(first)
            raw.settimeout(WAIT_SECONDS)
            answer = raw.recv(1000)
            assert answer == b"" or answer.startswith(b"E")
    with psycopg.connect(**address(server)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


# Settings of a transaction


def test_set_local_ends_with_the_transaction(connection):
    def shown():
        return [rows(connection, f"SHOW {name}")[0][0] for name in ("timezone", "statement_timeout")]

    before = shown()
    with connection.transaction():
        connection.execute("SET LOCAL timezone = 'Asia/Tokyo'")
        connection.execute("SET LOCAL statement_timeout = '7s'")
        assert shown() == ["Asia/Tokyo", "7s"]
    assert shown() == before
    with pytest.raises(ZeroDivisionError), connection.transaction():
        connection.execute("SET LOCAL timezone = 'Asia/Tokyo'")
        raise ZeroDivisionError
    assert shown() == before
    # What is set for good in the same transaction stays.
    with connection.transaction():
        connection.execute("SET LOCAL timezone = 'Asia/Tokyo'")
        connection.execute("SET timezone = 'Europe/Rome'")
        connection.execute("SET LOCAL statement_timeout = '7s'")
        connection.execute("SET statement_timeout = '9s'")
    assert shown() == ["Europe/Rome", "9s"]
    with connection.transaction(), pytest.raises(ZeroDivisionError), connection.transaction():
        connection.execute("SET LOCAL timezone = 'Asia/Tokyo'")
        raise ZeroDivisionError
    assert shown()[0] == "Europe/Rome"
    # Outside of a transaction there is nothing that it could end with.
    connection.execute("SET LOCAL timezone = 'Asia/Tokyo'")
    connection.execute("SET LOCAL statement_timeout = '1s'")
    assert shown() == ["Europe/Rome", "9s"]
    connection.execute("RESET ALL")
    assert shown() == before
