"""Transactions over PostgreSQL's protocol: conflicts, savepoints, pipelines, time, cancelling, and ends of connections."""

import itertools
import threading
import time

import psycopg
import pytest
from psycopg.pq import TransactionStatus

import raw_postgres as raw
from raw_postgres import frame, query
from test_postgres_psycopg import address
from witnesses import ENDLESS, running, wait_until

NUMBERS = itertools.count(1)
TOO_LATE = "57014"
# Short for those who wait, and long for what a busy machine does meanwhile.
TIMEOUT_MS = 2000
# With a value, for the extended protocol.
ENDLESS_FOR = ENDLESS.replace("%", "%%") + " AND x > %s"


@pytest.fixture
def connect(server):
    opened = []

    def make(autocommit=True, **more):
        opened.append(psycopg.connect(**address(server, **more), autocommit=autocommit))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def watcher(connect):
    return connect()


@pytest.fixture
def table(watcher):
    name = f"transaction_{next(NUMBERS)}"
    watcher.execute(f"CREATE TABLE {name} (id BIGINT, n BIGINT)")
    yield name
    watcher.execute(f"DROP TABLE {name}")


def ids(connection, table: str) -> list:
    return [number for (number,) in connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()]


def status(connection) -> TransactionStatus:
    return connection.info.transaction_status


# Conflicts


@pytest.mark.parametrize("first, second", [
    ("UPDATE {t} SET n = n + 1 WHERE id = 1", "UPDATE {t} SET n = n + 10 WHERE id = 1"),
    ("DELETE FROM {t} WHERE id = 1", "UPDATE {t} SET n = 10 WHERE id = 1"),
    ("UPDATE {t} SET n = 11", "DELETE FROM {t} WHERE id = 2"),
    ("ALTER TABLE {t} ADD COLUMN more TEXT", "UPDATE {t} SET n = 10 WHERE id = 1"),
    ("CREATE TABLE {t}_new (id BIGINT)", "CREATE TABLE {t}_new (id BIGINT, n BIGINT)"),
])
def test_the_first_to_commit_wins(connect, table, watcher, first, second):
    watcher.execute(f"INSERT INTO {table} VALUES (1, 0), (2, 0)")
    one, two = connect(autocommit=False), connect(autocommit=False)
    one.execute(first.format(t=table))
    two.execute(second.format(t=table))
    one.commit()
    after = watcher.execute(f"SELECT id, n FROM {table} ORDER BY id").fetchall()
    with pytest.raises(psycopg.errors.SerializationFailure):
        two.commit()
    assert status(two) == TransactionStatus.IDLE
    assert watcher.execute(f"SELECT id, n FROM {table} ORDER BY id").fetchall() == after
    # Run again it goes by what the first one has left.
    two.execute(f"INSERT INTO {table} (id) VALUES (99)")
    two.commit()
    assert 99 in ids(watcher, table)
    watcher.execute(f"DROP TABLE IF EXISTS {table}_new")


def test_a_statement_by_itself_is_run_again(connect, table, watcher):
    """Counting up in one row by many, none of them in a transaction: no count is lost, and none is counted twice.

    It is run again a bounded number of times; a crowd may use that up.
    """
    watcher.execute(f"INSERT INTO {table} VALUES (1, 0)")
    workers, rounds, failures = 4, 25, []

    def work(connection):
        try:
            for _ in range(rounds):
                while True:
                    try:
                        assert connection.execute(f"UPDATE {table} SET n = n + 1 WHERE id = %s", [1]).rowcount == 1
                        break
                    except psycopg.errors.SerializationFailure:
                        continue
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(connect(),)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert watcher.execute(f"SELECT n FROM {table}").fetchall() == [(workers * rounds,)]


def test_transactions_that_are_tried_again(connect, table, watcher):
    """The way that every program is told to go: after 40001 the whole of it once more."""
    watcher.execute(f"INSERT INTO {table} VALUES (1, 0)")
    workers, rounds, failures = 4, 10, []

    def work(connection):
        try:
            for _ in range(rounds):
                while True:
                    try:
                        with connection.transaction():
                            ((n,),) = connection.execute(f"SELECT n FROM {table}").fetchall()
                            connection.execute(f"UPDATE {table} SET n = %s", [n + 1])
                        break
                    except psycopg.errors.SerializationFailure:
                        continue
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(connect(),)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert watcher.execute(f"SELECT n FROM {table}").fetchall() == [(workers * rounds,)]


def test_statements_that_came_together_conflict_as_one(server, table, watcher):
    """A text of several statements is a transaction, whose conflict is told at its end."""
    watcher.execute(f"INSERT INTO {table} VALUES (1, 0)")
    with raw.login(server) as one, psycopg.connect(**address(server), autocommit=True) as two:
        one.send(raw.asked(f"UPDATE {table} SET n = 1 WHERE id = 1"), raw.asked(f"INSERT INTO {table} VALUES (2, 2)"), raw.FLUSH)
        one.until(b"C")
        one.until(b"C")
        two.execute(f"UPDATE {table} SET n = 2 WHERE id = 1")
        messages = one.send(raw.SYNC).until(b"Z")
        assert raw.refusal(messages)["C"] == "40001" and messages[-1] == (b"Z", b"I")
    assert watcher.execute(f"SELECT id, n FROM {table} ORDER BY id").fetchall() == [(1, 2)]


# psycopg's own ways


def test_transactions_in_transactions(connect, table, watcher):
    connection = connect()
    with connection.transaction():
        connection.execute(f"INSERT INTO {table} VALUES (1)")
        assert status(connection) == TransactionStatus.INTRANS
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute(f"INSERT INTO {table} VALUES (2)")
            connection.execute("SELECT 1 / 0")
        with connection.transaction(force_rollback=True):
            connection.execute(f"INSERT INTO {table} VALUES (3)")
            assert ids(connection, table) == [1, 3]
        with connection.transaction("named"):
            connection.execute(f"INSERT INTO {table} VALUES (4)")
        assert ids(watcher, table) == []
    assert status(connection) == TransactionStatus.IDLE
    assert ids(watcher, table) == [1, 4]


def test_an_error_in_a_pipeline(connect, table, watcher):
    connection = connect()
    with connection.pipeline() as pipeline:
        first = connection.execute(f"INSERT INTO {table} VALUES (%s)", [1])
        pipeline.sync()
        lost = connection.execute(f"INSERT INTO {table} VALUES (%s)", [2])
        wrong = connection.execute("SELECT 1 / %s", [0])
        passed_over = connection.execute(f"INSERT INTO {table} VALUES (%s)", [3])
        with pytest.raises(psycopg.errors.DivisionByZero):
            pipeline.sync()
        last = connection.execute(f"INSERT INTO {table} VALUES (%s)", [4])
        pipeline.sync()
        assert first.rowcount == lost.rowcount == last.rowcount == 1
        assert wrong.rowcount == passed_over.rowcount == -1
    assert status(connection) == TransactionStatus.IDLE
    assert ids(watcher, table) == [1, 4]


def test_a_transaction_in_a_pipeline(connect, table, watcher):
    connection = connect()
    with pytest.raises(psycopg.errors.DivisionByZero), connection.pipeline(), connection.transaction():
        connection.execute(f"INSERT INTO {table} VALUES (1)")
        connection.execute("SELECT 1 / %s", [0])
        connection.execute(f"INSERT INTO {table} VALUES (2)")
    assert status(connection) == TransactionStatus.IDLE
    with connection.pipeline(), connection.transaction():
        for number in range(200):
            connection.execute(f"INSERT INTO {table} VALUES (%s)", [number])
    assert ids(watcher, table) == list(range(200))


# What others are told


def seen(ours, theirs, number: int) -> tuple:
    """How a session stands, to itself and to another one, as both servers tell it."""
    activity = "SELECT state, xact_start IS NOT NULL FROM pg_stat_activity WHERE pid = %s"
    locks = "SELECT locktype, virtualxid = virtualtransaction, virtualxid IS NOT NULL, mode, granted, relation, transactionid FROM pg_locks WHERE pid = %s AND locktype = 'virtualxid'"
    return tuple(tuple(theirs.execute(text, [number]).fetchall()) for text in (activity, locks)), status(ours)


def test_others_see_how_a_transaction_stands(connect, postgres):
    shown = []
    for one, other in ((connect(), connect()), tuple(psycopg.connect(postgres.database()[0], autocommit=True) for _ in range(2))):
        number, told = one.info.backend_pid, []
        for text in ("SELECT 1", "BEGIN", "SELECT nosuch", "ROLLBACK", "BEGIN", "COMMIT AND CHAIN", "COMMIT"):
            try:
                one.execute(text)
            except psycopg.Error as error:
                told.append(error.sqlstate)
            told.append(seen(one, other, number))
        # A statement that runs is in a transaction, too.
        own = one.execute("SELECT state, xact_start IS NOT NULL FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchall()
        own += one.execute("SELECT count(*), count(DISTINCT virtualtransaction) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'virtualxid'").fetchall()
        # Each transaction is another one.
        numbers = set()
        for _ in range(3):
            with one.transaction():
                numbers.update(one.execute("SELECT virtualxid FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'virtualxid'").fetchall())
        shown.append((told, own, len(numbers)))
        one.close()
        other.close()
    ours, theirs = shown
    assert ours == theirs
    assert "idle in transaction (aborted)" in str(ours) and ours[2] == 3


def test_strangers_see_that_a_session_is_there_and_no_more(connect, postgres):
    columns = "usename IS NOT NULL, state, query, backend_type, backend_start, xact_start, query_start, state_change"
    shown = []
    for one, other in ((connect(), connect()), tuple(psycopg.connect(postgres.database()[0], autocommit=True) for _ in range(2))):
        one.execute("BEGIN")
        seen = f"SELECT {columns} FROM pg_stat_activity WHERE pid = {one.info.backend_pid}"
        assert other.execute(seen).fetchall()[0][5] is not None
        other.execute("CREATE ROLE stranger")
        other.execute("SET ROLE stranger")
        shown.append(other.execute(seen).fetchall())
        other.execute("RESET ROLE")
        other.execute("DROP ROLE stranger")
        one.close()
        other.close()
    assert shown[0] == shown[1] == [(True, None, "<insufficient privilege>", *[None] * 5)]


# Time and cancelling


def test_a_transaction_that_waits_too_long_is_ended(server, table, watcher):
    with raw.login(server) as connection:
        connection.run(f"SET idle_in_transaction_session_timeout = {TIMEOUT_MS}")
        connection.run("BEGIN")
        connection.run(f"INSERT INTO {table} VALUES (1)")
        told = raw.refusal(connection.to_the_end())
        assert (told["S"], told["C"]) == ("FATAL", "25P03"), told
    with raw.login(server) as connection:
        connection.run(f"SET idle_in_transaction_session_timeout = {TIMEOUT_MS}")
        # Neither a failed one is left open, nor does it strike whoever is in none.
        connection.run("BEGIN; SELECT nosuch")
        assert raw.refusal(connection.to_the_end())["C"] == "25P03"
    with psycopg.connect(**address(server, options=f"-c idle_in_transaction_session_timeout={TIMEOUT_MS}"), autocommit=True) as connection:
        time.sleep(TIMEOUT_MS / 1000 + 0.5)
        connection.execute(f"UPDATE {table} SET n = 1")
    assert ids(watcher, table) == []


def test_a_statement_that_takes_too_long(connect, table, watcher):
    connection = connect(autocommit=False, options=f"-c statement_timeout={TIMEOUT_MS}")
    connection.execute(f"INSERT INTO {table} VALUES (1)")
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute(ENDLESS)
    assert status(connection) == TransactionStatus.INERROR
    connection.rollback()
    # Time between statements does not count.
    connection.execute(f"INSERT INTO {table} VALUES (2)")
    time.sleep(TIMEOUT_MS / 1000 + 0.5)
    connection.commit()
    with pytest.raises(psycopg.errors.QueryCanceled), connection.pipeline():
        connection.execute(f"INSERT INTO {table} VALUES (%s)", [3])
        connection.execute(ENDLESS_FOR, [0])
    connection.rollback()
    assert ids(watcher, table) == [2]
    wait_until(lambda: running(watcher, ENDLESS) == 0, "a statement whose time is over goes on")


@pytest.mark.parametrize("way", ["simple", "extended", "portal"])
def test_rows_that_take_too_long(server, way):
    """Each going on with a cursor or a portal is a statement of its own, with a time of its own."""
    slow = "SELECT x FROM generate_series(1, 1000000::bigint) a(x), generate_series(1, 1000000) b(y) WHERE (x * y) % 7 = 9"
    again = {"simple": query("FETCH 1 FROM c"), "extended": raw.asked("FETCH 1 FROM c") + raw.SYNC, "portal": raw.execute(1, "c") + raw.SYNC}[way]
    with raw.login(server) as connection:
        connection.run("BEGIN")
        connection.run(f"DECLARE c CURSOR FOR {slow}")
        connection.run(f"SET statement_timeout = {TIMEOUT_MS}")
        messages = connection.send(again).until(b"Z")
        assert raw.refusal(messages)["C"] == TOO_LATE and messages[-1] == (b"Z", b"E")


def test_time_in_which_nobody_asks_for_rows_does_not_count(server):
    with raw.login(server) as connection:
        connection.run(f"SET statement_timeout = {TIMEOUT_MS}")
        connection.run("BEGIN")
        begun = raw.parse("SELECT s FROM generate_series(1, 100000) AS s") + raw.bind(portal="p") + raw.describe(b"P", "p")
        connection.send(begun, raw.SYNC).until(b"Z")
        for _ in range(2):
            time.sleep(TIMEOUT_MS / 1000 + 0.5)
            messages = connection.send(raw.execute(5, "p"), raw.SYNC).until(b"Z")
            assert [kind for kind, _ in messages] == [*[b"D"] * 5, b"s", b"Z"]


def test_a_copy_that_takes_too_long(server, table, watcher):
    with raw.login(server) as connection:
        connection.run(f"SET statement_timeout = {TIMEOUT_MS}")
        connection.send(query(f"COPY {table} (id) FROM STDIN"), frame(b"d", b"1\n")).until(b"G")
        messages = connection.until(b"Z")
        assert raw.refusal(messages)["C"] == TOO_LATE and messages[-1] == (b"Z", b"I")
        # What the client was still sending is passed over.
        connection.send(frame(b"d", b"2\n"), frame(b"c"))
        connection.run("SET statement_timeout = 0")
        assert connection.rows("SELECT 1") == [(b"1",)]
    assert ids(watcher, table) == []


def cancelled(connection, work) -> None:
    """Cancels until it strikes: a request that comes before the statement has begun does nothing."""
    done, requests = threading.Event(), []

    def ask():
        while not done.wait(0.2):
            connection.cancel_safe()
            requests.append(time.monotonic())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        with pytest.raises(psycopg.errors.QueryCanceled):
            work(requests)
    finally:
        done.set()
        thread.join()


def copy_out(connection) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY (SELECT * FROM generate_series(1, 100000000)) TO STDOUT") as copy:
        for _ in copy:
            pass


def copy_in(connection, table: str, requests: list) -> None:
    """Sends rows until it must have been cancelled: only the end of the rows tells a client that they are refused."""
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} (id) FROM STDIN") as copy:
        enough = len(requests) + 3
        while len(requests) < enough:
            copy.write(b"1\n" * 1000)
            time.sleep(0.01)


def test_cancelling_in_a_transaction(connect, table, watcher):
    connection = connect(autocommit=False)
    for work in (lambda _: connection.execute(ENDLESS), lambda _: connection.execute(ENDLESS_FOR, [0]),
                 lambda _: connection.execute(f"INSERT INTO {table} (id) {ENDLESS}"), lambda _: copy_out(connection),
                 lambda requests: copy_in(connection, table, requests)):
        connection.execute(f"INSERT INTO {table} VALUES (1)")
        cancelled(connection, work)
        assert status(connection) == TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.rollback()
    assert ids(watcher, table) == []


# Ends


@pytest.mark.parametrize("way", ["goodbye", "cut", "in the middle of a statement"])
def test_a_connection_that_closes_takes_its_transaction_along(server, table, watcher, way):
    watcher.execute(f"INSERT INTO {table} VALUES (1, 0)")
    with raw.login(server) as connection:
        for sql in ("BEGIN", f"INSERT INTO {table} VALUES (2, 0)", f"UPDATE {table} SET n = 5 WHERE id = 1"):
            connection.run(sql)
        if way == "goodbye":
            connection.send(raw.TERMINATE)
        elif way == "in the middle of a statement":
            connection.send(query(ENDLESS))
            wait_until(lambda: running(watcher, ENDLESS) == 1, "the query does not run")
    wait_until(lambda: running(watcher, ENDLESS) == 0, "a query goes on without its client")
    watcher.execute(f"UPDATE {table} SET n = 6 WHERE id = 1")
    assert watcher.execute(f"SELECT id, n FROM {table}").fetchall() == [(1, 6)]


def test_a_server_that_stops_ends_transactions(fresh):
    server = fresh()
    server.start()
    with raw.login(server) as connection:
        connection.run("CREATE TABLE kept (id BIGINT)")
        connection.run("INSERT INTO kept VALUES (1)")
        connection.run("BEGIN")
        connection.run("INSERT INTO kept VALUES (2)")
        assert server.stop() == 0
        told = raw.refusal(connection.to_the_end())
        assert (told["S"], told["C"]) == ("FATAL", "57P01"), told
    server.start()
    with psycopg.connect(**address(server)) as connection:
        assert ids(connection, "kept") == [1]
