"""What is built on PostgreSQL's protocol, unmodified: asyncpg, psycopg2, SQLAlchemy, pandas, ADBC, DuckDB's postgres."""

import asyncio
import contextlib
import datetime
import decimal
import io
import itertools
import json
import uuid

import adbc_driver_postgresql.dbapi
import asyncpg
import pandas
import psycopg2
import psycopg2.extras
import pyarrow
import pytest
import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

import peers
from test_postgres_psycopg import address

NUMBERS = itertools.count(1)
WAIT_SECONDS = 60
MOMENT = datetime.datetime(2024, 2, 29, 12, 34, 56, 789_012, tzinfo=datetime.timezone.utc)
ENDLESS = "SELECT count(*) AS n FROM generate_series(1, 1000000::bigint) a(x), generate_series(1, 1000000) b(y) WHERE (x * y) % 7 = 3"


@pytest.fixture
def name():
    return f"driver_{next(NUMBERS)}"


# asyncpg


def with_asyncpg(server, work, **more):
    """Runs a coroutine function with a connection, within a bound."""
    async def run():
        where = address(server)
        connection = await asyncpg.connect(host=where["host"], port=int(where["port"]), user=where["user"], password=where["password"],
                                           database=where["dbname"], **more)
        try:
            return await asyncio.wait_for(work(connection), WAIT_SECONDS)
        finally:
            connection.terminate()

    return asyncio.run(run())


ASYNCPG_VALUES = [
    ("boolean", True), ("smallint", -5), ("integer", 2**31 - 1), ("bigint", -(2**63)), ("real", 0.5), ("double precision", 0.1),
    ("double precision", float("inf")), ("numeric(12, 4)", decimal.Decimal("-12345.6789")), ("text", "ü '\\ \"x\""), ("bytea", b"\x00\xff"),
    ("date", datetime.date(2024, 2, 29)), ("time", datetime.time(23, 59, 59, 999_999)), ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 4)),
    ("timestamptz", MOMENT), ("interval", datetime.timedelta(days=-3, seconds=7, microseconds=5)), ("uuid", uuid.UUID(int=2**128 - 1)),
    ("json", '{"a": 1}'), ("jsonb", '{"a": 1}'), ("text[]", ["a", None, "b,\"c\"", ""]), ("bigint", None),
]
# Of these it asks the catalog first what they are made of.
ASYNCPG_ARRAYS = [("bigint[]", [1, None, 3]), ("timestamptz[]", [MOMENT]), ("numeric(10, 2)[]", [decimal.Decimal("1.50")]), ("bigint[]", []),
                  ("jsonb[]", ['{"a": 1}', None]), ("oid[]", [2**32 - 1])]


def comes_back(server, values: list) -> None:
    async def work(connection):
        for kind, value in values:
            assert await connection.fetchval(f"SELECT $1::{kind}", value) == value, kind

    with_asyncpg(server, work)


def test_asyncpg_values(server):
    comes_back(server, ASYNCPG_VALUES)


def test_asyncpg_arrays(server):
    comes_back(server, ASYNCPG_ARRAYS)


def test_asyncpg_codecs(server):
    async def work(connection):
        for kind in ("json", "jsonb"):
            await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        assert await connection.fetchval("SELECT $1::jsonb[]", [{"a": 1}, None]) == [{"a": 1}, None]
        assert await connection.fetchval("SELECT json_build_object('b', 1, 'a', array[1, 2])") == {"b": 1, "a": [1, 2]}
        assert await connection.fetchval("SELECT jsonb_agg(x) FROM (VALUES ('{\"a\": 1}'::jsonb)) v (x)") == [{"a": 1}]
        assert await connection.fetchval("SELECT jsonb_array_elements('[{\"a\": 1}]')") == {"a": 1}
        assert await connection.fetchval("SELECT row_to_json(row(1, 'a'))") == {"f1": 1, "f2": "a"}

    with_asyncpg(server, work)


@pytest.mark.parametrize("ssl", [False, "require"], ids=["plain", "tls"])
def test_asyncpg_statements(server, name, ssl):
    async def work(connection):
        assert await connection.execute(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, word TEXT, at TIMESTAMPTZ)") == "CREATE TABLE"
        await connection.executemany(f"INSERT INTO {name} VALUES ($1, $2, $3)", [(at, f"word {at}", MOMENT) for at in range(200)])
        assert await connection.execute(f"UPDATE {name} SET word = $1 WHERE id < $2", "changed", 10) == "UPDATE 10"
        prepared = await connection.prepare(f"SELECT id, word, at FROM {name} WHERE id BETWEEN $1 AND $2 ORDER BY id")
        assert [kind.name for kind in prepared.get_parameters()] == ["int8", "int8"]
        assert [(field.name, field.type.name) for field in prepared.get_attributes()] == [("id", "int8"), ("word", "text"), ("at", "timestamptz")]
        assert [tuple(row) for row in await prepared.fetch(9, 10)] == [(9, "changed", MOMENT), (10, "word 10", MOMENT)]
        row = await connection.fetchrow(f"DELETE FROM {name} WHERE id = $1 RETURNING word", 199)
        assert row["word"] == "word 199"
        async with connection.transaction():
            assert [row["id"] async for row in connection.cursor(f"SELECT id FROM {name} ORDER BY id", prefetch=7)] == list(range(199))
            cursor = await connection.cursor(f"SELECT id FROM {name} ORDER BY id")
            assert await cursor.forward(5) == 5
            assert [row["id"] for row in await cursor.fetch(2)] == [5, 6]
        await connection.execute(f"DROP TABLE {name}")

    with_asyncpg(server, work, ssl=ssl)


def test_asyncpg_transactions_and_errors(server, name):
    async def work(connection):
        await connection.execute(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY)")
        async with connection.transaction():
            await connection.execute(f"INSERT INTO {name} VALUES (1)")
            with pytest.raises(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute(f"INSERT INTO {name} VALUES ($1)", 1)
            await connection.execute(f"INSERT INTO {name} VALUES (2)")
        # An error is told when a statement is prepared, without waiting for more.
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.prepare("SELECT * FROM nosuch")
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.fetch("SELEC 1")
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.fetch(f"SELECT nosuch FROM {name} WHERE id = $1", 1)
        with pytest.raises(asyncpg.DataError):
            await connection.fetch("SELECT $1::bigint", "x")
        with pytest.raises(asyncio.TimeoutError):
            await connection.fetch(ENDLESS, timeout=0.5)
        assert [row["id"] for row in await connection.fetch(f"SELECT id FROM {name} ORDER BY id")] == [1, 2]
        await connection.execute(f"DROP TABLE {name}")

    with_asyncpg(server, work)


def test_asyncpg_copies(server, name):
    async def work(connection):
        await connection.execute(f"CREATE TABLE {name} (id BIGINT, word TEXT, price NUMERIC(10, 2), at TIMESTAMPTZ, tags TEXT[])")
        records = [(at, f"word\t{at}", decimal.Decimal("1.25"), MOMENT, ["a", None]) for at in range(5_000)]
        assert await connection.copy_records_to_table(name, records=records) == "COPY 5000"
        assert [tuple(row) for row in await connection.fetch(f"SELECT * FROM {name} ORDER BY id")] == records
        out = io.BytesIO()
        assert await connection.copy_from_query(f"SELECT id, word FROM {name} WHERE id < $1 ORDER BY id", 2, output=out, format="csv") == "COPY 2"
        assert out.getvalue() == b"0,word\t0\n1,word\t1\n"
        assert await connection.copy_to_table(name, source=io.BytesIO(b"7,seven\n"), columns=["id", "word"], format="csv") == "COPY 1"
        with pytest.raises(asyncpg.PostgresError):
            await connection.copy_to_table(name, source=io.BytesIO(b"x\n"), columns=["id"], format="csv")
        assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 5_001
        await connection.execute(f"DROP TABLE {name}")

    with_asyncpg(server, work)


def test_asyncpg_pools(server):
    async def run():
        where = address(server)
        async with asyncpg.create_pool(host=where["host"], port=int(where["port"]), user=where["user"], password=where["password"],
                                       database=where["dbname"], min_size=1, max_size=4) as pool:
            async def one(number):
                async with pool.acquire() as connection:
                    return await connection.fetchval("SELECT $1::bigint", number)

            assert await asyncio.gather(*map(one, range(50))) == list(range(50))

    asyncio.run(asyncio.wait_for(run(), WAIT_SECONDS))


# psycopg2


@pytest.fixture
def old(server):
    """A connection of psycopg2, which knows the simple protocol only."""
    with contextlib.closing(psycopg2.connect(**address(server))) as connection:
        yield connection


def test_psycopg2_statements(old, name):
    with old, old.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (id BIGINT, word TEXT, price NUMERIC(10, 2), at TIMESTAMPTZ, tags TEXT[], data JSONB, raw BYTEA)")
        same = (decimal.Decimal("2.50"), MOMENT, ["a", "b,c"])
        rows = [(at, f"it's {at}", *same, psycopg2.extras.Json({"n": at}), psycopg2.Binary(b"\x00'\\")) for at in range(500)]
        psycopg2.extras.execute_values(cursor, f"INSERT INTO {name} VALUES %s", rows, page_size=500)
        assert cursor.rowcount == 500
    with old, old.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name} WHERE word = %s", ("it's 7",))
        [found] = cursor.fetchall()
        assert (*found[:6], bytes(found[6])) == (7, "it's 7", *same, {"n": 7}, b"\x00'\\")
        psycopg2.extras.execute_batch(cursor, f"UPDATE {name} SET word = %s WHERE id = %s", [("x", at) for at in range(20)], page_size=10)
        cursor.execute(f"SELECT count(*) FROM {name} WHERE word = 'x'")
        assert cursor.fetchone() == (20,)
    with pytest.raises(psycopg2.errors.UndefinedTable), old, old.cursor() as cursor:
        cursor.execute(f"DELETE FROM {name}")
        cursor.execute("SELECT * FROM nosuch")
    with old, old.cursor(name="by_parts") as cursor:
        cursor.itersize = 70
        cursor.execute(f"SELECT id FROM {name} ORDER BY id")
        assert [number for (number,) in cursor] == list(range(500))
    with old, old.cursor() as cursor:
        cursor.execute(f"DROP TABLE {name}")


def test_psycopg2_copies_and_notices(old, name):
    with old, old.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (id BIGINT, word TEXT)")
        cursor.copy_expert(f"COPY {name} FROM STDIN WITH CSV HEADER", io.StringIO("id,word\n1,a\n2,\n"))
        assert cursor.rowcount == 2
        cursor.copy_from(io.StringIO("3\tc\n4\t\\N\n"), name)
        out = io.StringIO()
        cursor.copy_expert(f"COPY (SELECT * FROM {name} ORDER BY id) TO STDOUT WITH CSV", out)
        assert out.getvalue() == "1,a\n2,\n3,c\n4,\n"
        out = io.StringIO()
        cursor.copy_to(out, name, columns=("word",))
        assert sorted(out.getvalue().splitlines()) == ["\\N", "\\N", "a", "c"]
        cursor.execute(f"DROP TABLE {name}")
    old.autocommit = True
    with old.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS nosuch")
        assert any("nosuch" in notice for notice in old.notices)


def test_psycopg2_values(old, name):
    with old, old.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (id BIGINT GENERATED BY DEFAULT AS IDENTITY, word TEXT, n INTEGER)")
        given = psycopg2.extras.execute_values(cursor, f"INSERT INTO {name} (word) SELECT d.word FROM (VALUES %s) AS d (at, word) RETURNING word",
                                               [(1, "a"), (2, "b")], fetch=True)
        assert given == [("a",), ("b",)]
        cursor.execute("SELECT json_build_object('a', 1), jsonb_agg(x) FROM (VALUES ('{\"k\": 1}'::jsonb)) v (x)")
        assert cursor.fetchone() == ({"a": 1}, [{"k": 1}]) and [column.type_code for column in cursor.description] == [114, 3802]
        cursor.execute(f"DROP TABLE {name}")
    old.rollback()
    old.set_session(readonly=True, deferrable=True)
    with old, old.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    old.set_session(readonly="DEFAULT", deferrable="DEFAULT", autocommit=True)
    with old.cursor() as cursor:
        cursor.execute("SHOW default_transaction_deferrable")
        assert cursor.fetchone() == ("off",)
    old.set_session(readonly=True, autocommit=True)
    with old.cursor() as cursor, pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        cursor.execute(f"CREATE TABLE {name} (id INT)")
    old.set_session(readonly=False, autocommit=True)
    with old.cursor() as cursor:
        cursor.execute("SHOW default_transaction_read_only")
        assert cursor.fetchone() == ("off",)


# SQLAlchemy


def engine_of(server, driver: str):
    where = address(server)
    url = sqlalchemy.URL.create(f"postgresql+{driver}", where["user"], where["password"], where["host"], int(where["port"]), where["dbname"])
    # The type hstore is an extension, which would be looked for in pg_catalog.
    return sqlalchemy.create_engine(url, use_native_hstore=False)


@pytest.fixture(params=itertools.product(["polder", "postgresql"], ["psycopg", "psycopg2"]), ids="-".join)
def engine(request, server, postgres):
    """Of either server: what a test says of Polder, PostgreSQL must do too."""
    side, driver = request.param
    if side == "polder":
        made = engine_of(server, driver)
    else:
        made = sqlalchemy.create_engine(postgres.database()[0].replace("postgres://", f"postgresql+{driver}://"), use_native_hstore=False)
    yield made
    made.dispose()


class Base(orm.DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "orm_shop"
    id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.BigInteger, sqlalchemy.Identity(), primary_key=True)
    city: orm.Mapped[str]
    sales: orm.Mapped[list["Sale"]] = orm.relationship(back_populates="shop", order_by="Sale.id")


class Sale(Base):
    __tablename__ = "orm_sale"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True, default=uuid.uuid4)
    shop_id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.BigInteger, sqlalchemy.ForeignKey("orm_shop.id"))
    price: orm.Mapped[decimal.Decimal] = orm.mapped_column(sqlalchemy.Numeric(10, 2))
    at: orm.Mapped[datetime.datetime] = orm.mapped_column(sqlalchemy.DateTime(timezone=True))
    data: orm.Mapped[dict] = orm.mapped_column(postgresql.JSONB)
    shop: orm.Mapped[Shop] = orm.relationship(back_populates="sales")


def drop(engine, *names: str) -> None:
    with engine.begin() as connection:
        for name in names:
            connection.execute(sqlalchemy.text(f"DROP TABLE IF EXISTS {name} CASCADE"))


def make(engine, table) -> None:
    """A table as SQLAlchemy writes it."""
    with engine.begin() as connection:
        connection.execute(sqlalchemy.schema.CreateTable(table))


def test_sqlalchemy_objects(engine):
    drop(engine, "orm_sale", "orm_shop")
    make(engine, Shop.__table__)
    make(engine, Sale.__table__)
    [found] = sqlalchemy.inspect(engine).get_foreign_keys("orm_sale")
    assert (found["name"], found["constrained_columns"]) == ("orm_sale_shop_id_fkey", ["shop_id"])
    assert (found["referred_table"], found["referred_columns"], found["options"]) == ("orm_shop", ["id"], {})
    with orm.Session(engine) as session:
        for city in ("Amsterdam", "Delft"):
            shop = Shop(city=city)
            shop.sales = [Sale(price=decimal.Decimal(at) / 4, at=MOMENT, data={"n": at, "tags": ["x", None]}) for at in range(20)]
            session.add(shop)
        session.commit()
        assert {shop.id for shop in session.scalars(sqlalchemy.select(Shop))} == {1, 2}
    with orm.Session(engine) as session:
        shop = session.scalars(sqlalchemy.select(Shop).where(Shop.city == "Delft").options(orm.selectinload(Shop.sales))).one()
        assert len(shop.sales) == 20 and sum(sale.price for sale in shop.sales) == decimal.Decimal("47.50")
        assert all(sale.at == MOMENT and sale.data["tags"] == ["x", None] for sale in shop.sales)
        shop.city = "Leiden"
        session.delete(shop.sales[0])
        session.flush()
        session.rollback()
        assert shop.city == "Delft"
        shop.city = "Leiden"
        session.commit()
        totals = session.execute(sqlalchemy.select(Shop.city, sqlalchemy.func.count(Sale.id), sqlalchemy.func.sum(Sale.price))
                                 .join(Sale).group_by(Shop.city).order_by(Shop.city)).all()
        assert totals == [("Amsterdam", 20, decimal.Decimal("47.50")), ("Leiden", 20, decimal.Decimal("47.50"))]
    drop(engine, "orm_sale", "orm_shop")


class Note(Base):
    __tablename__ = "orm_note"
    id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.BigInteger, sqlalchemy.Identity(), primary_key=True)
    words: orm.Mapped[str]
    at: orm.Mapped[datetime.datetime] = orm.mapped_column(sqlalchemy.DateTime(timezone=True), server_default=sqlalchemy.func.now())
    took: orm.Mapped[datetime.timedelta | None]
    data: orm.Mapped[dict | None] = orm.mapped_column(postgresql.JSONB)


def test_sqlalchemy_writes_objects_at_once(engine):
    """Objects whose ids the server gives come in one INSERT … SELECT … FROM (VALUES …), of another width than the table."""
    drop(engine, "orm_note")
    make(engine, Note.__table__)
    with orm.Session(engine) as session:
        session.add_all([Note(words=f"note {at}", took=datetime.timedelta(days=at), data={"n": at}) for at in range(5)])
        session.commit()
        ids = session.execute(sqlalchemy.insert(Note).returning(Note.id, sort_by_parameter_order=True), [{"words": "x"}, {"words": "y"}]).all()
        assert [tuple(row) for row in ids] == [(6,), (7,)]
        session.commit()
        first = session.scalars(sqlalchemy.select(Note).order_by(Note.id).limit(2)).all()
        assert [(note.words, note.took, note.data) for note in first] == [("note 0", datetime.timedelta(0), {"n": 0}),
                                                                         ("note 1", datetime.timedelta(days=1), {"n": 1})]
        gathered = session.execute(sqlalchemy.select(sqlalchemy.func.jsonb_agg(Note.data), sqlalchemy.func.json_build_object("a", 1))
                                   .where(Note.id == 2)).one()
        assert tuple(gathered) == ([{"n": 1}], {"a": 1})
    with engine.connect().execution_options(postgresql_readonly=True, postgresql_deferrable=True) as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(Note)) == 7
    drop(engine, "orm_note")


def test_sqlalchemy_statements(engine, name):
    table = sqlalchemy.Table(name, sqlalchemy.MetaData(), sqlalchemy.Column("id", sqlalchemy.BigInteger, primary_key=True, autoincrement=False),
                             sqlalchemy.Column("word", sqlalchemy.String(20)), sqlalchemy.Column("n", sqlalchemy.Integer))
    make(engine, table)
    upsert = postgresql.insert(table)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"id": at, "word": f"w{at}", "n": 0} for at in range(3_000)])
        connection.execute(upsert.on_conflict_do_update(index_elements=["id"], set_={"n": upsert.excluded.n}).values(id=7, word="x", n=70))
        assert connection.execute(table.select().where(table.c.id == 7)).one() == (7, "w7", 70)
        returned = connection.execute(table.update().where(table.c.id.in_([1, 2])).values(n=table.c.n + 5).returning(table.c.id, table.c.n)).all()
        assert sorted(returned) == [(1, 5), (2, 5)]
        # Rows by a cursor of the server, 100 at a time.
        rows = connection.execution_options(yield_per=100).execute(table.select().order_by(table.c.id))
        assert [row.id for row in rows] == list(range(3_000))
    with pytest.raises(sqlalchemy.exc.IntegrityError), engine.begin() as connection:
        connection.execute(table.insert().values(id=5000))
        connection.execute(table.insert().values(id=1))
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)) == 3_000
        with connection.begin_nested() as nested:
            connection.execute(table.delete())
            nested.rollback()
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.sum(table.c.n))) == 80
        connection.commit()
        assert connection.execution_options(isolation_level="AUTOCOMMIT").scalar(sqlalchemy.text("SELECT 1")) == 1
    drop(engine, name)


def test_sqlalchemy_with_asyncpg(server, name):
    from sqlalchemy.ext.asyncio import create_async_engine

    async def run():
        where = address(server)
        url = sqlalchemy.URL.create("postgresql+asyncpg", where["user"], where["password"], where["host"], int(where["port"]), where["dbname"])
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.execute(sqlalchemy.text(f"CREATE TABLE {name} (id BIGINT, word TEXT)"))
            await connection.execute(sqlalchemy.text(f"INSERT INTO {name} VALUES (:id, :word)"), [{"id": at, "word": "x"} for at in range(50)])
        async with engine.connect() as connection:
            assert (await connection.execute(sqlalchemy.text(f"SELECT sum(id) FROM {name} WHERE word = :word"), {"word": "x"})).scalar() == 1225
            await connection.execute(sqlalchemy.text(f"DROP TABLE {name}"))
            await connection.commit()
        await engine.dispose()

    asyncio.run(asyncio.wait_for(run(), WAIT_SECONDS))


def test_sqlalchemy_reflection(engine, name):
    metadata = sqlalchemy.MetaData()
    sqlalchemy.Table(name, metadata, sqlalchemy.Column("id", sqlalchemy.BigInteger, primary_key=True, autoincrement=False),
                     sqlalchemy.Column("word", sqlalchemy.String(20), nullable=False), sqlalchemy.Column("price", sqlalchemy.Numeric(10, 2)))
    metadata.create_all(engine)
    inspector = sqlalchemy.inspect(engine)
    assert inspector.has_table(name) and not inspector.has_table("nosuch") and name in inspector.get_table_names()
    assert "public" in inspector.get_schema_names()
    found = sqlalchemy.Table(name, sqlalchemy.MetaData(), autoload_with=engine)
    assert [(column.name, str(column.type), column.nullable) for column in found.columns] == [
        ("id", "BIGINT", False), ("word", "VARCHAR(20)", False), ("price", "NUMERIC(10, 2)", True)]
    assert [column.name for column in found.primary_key] == ["id"]
    metadata.drop_all(engine)
    assert not sqlalchemy.inspect(engine).has_table(name)


# pandas


FRAME = pandas.DataFrame({
    "id": [1, 2, 3], "word": ["a", None, "c"], "share": [0.1, None, -1.5], "yes": [True, False, True],
    "at": pandas.to_datetime(["2024-02-29 12:00:00.000001", None, "1999-12-31"], format="ISO8601", utc=True)})


def test_pandas_reads(engine, name):
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"CREATE TABLE {name} (id BIGINT, word TEXT, share DOUBLE PRECISION, yes BOOLEAN, at TIMESTAMPTZ)"))
        connection.execute(sqlalchemy.text(
            f"INSERT INTO {name} VALUES (1, 'a', 0.1, true, '2024-02-29 12:00:00.000001+00'), (2, NULL, NULL, false, NULL), "
            f"(3, 'c', -1.5, true, '1999-12-31 00:00:00+00')"))
    with engine.connect() as connection:
        read = pandas.read_sql(sqlalchemy.text(f"SELECT * FROM {name} ORDER BY id"), connection)
        same(read)
        above = sqlalchemy.text(f"SELECT * FROM {name} WHERE id > :low ORDER BY id")
        parts = list(pandas.read_sql(above, connection, params={"low": 0}, chunksize=2))
        assert [len(part) for part in parts] == [2, 1]
    drop(engine, name)


def same(read) -> None:
    """Whether a frame is the one above; how it keeps what is missing is pandas' own business."""
    assert list(read.columns) == list(FRAME.columns)
    for column in FRAME.columns:
        mine, other = ([None if pandas.isna(value) else value for value in data[column]] for data in (read, FRAME))
        assert mine == other, column


def test_pandas_writes(engine, name):
    # How many rows, the two drivers do not say alike.
    FRAME.to_sql(name, engine, index=False)
    with pytest.raises(ValueError):
        FRAME.to_sql(name, engine, index=False)
    FRAME.to_sql(name, engine, index=False, if_exists="replace", method="multi")
    same(pandas.read_sql_table(name, engine).sort_values("id", ignore_index=True))
    FRAME.to_sql(name, engine, index=False, if_exists="append", chunksize=2)
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text(f"SELECT count(*) FROM {name}")) == 6
    drop(engine, name)


# ADBC


@pytest.fixture
def adbc(server):
    where = address(server)
    uri = f"postgresql://{where['user']}:{where['password']}@{where['host']}:{where['port']}/{where['dbname']}"
    with adbc_driver_postgresql.dbapi.connect(uri) as connection:
        yield connection


def test_adbc_reads_and_writes(adbc, name):
    data = pyarrow.table({"id": pyarrow.array(range(10_000), pyarrow.int64()), "word": [f"w{at}" for at in range(10_000)],
                          "share": [at / 7 for at in range(10_000)], "at": pyarrow.array([MOMENT] * 10_000, pyarrow.timestamp("us", "UTC"))})
    with adbc.cursor() as cursor:
        assert cursor.adbc_ingest(name, data, mode="create") == 10_000
        adbc.commit()
        cursor.execute(f"SELECT * FROM {name} ORDER BY id")
        read = cursor.fetch_arrow_table()
        assert read.column_names == data.column_names and read.to_pydict() == data.to_pydict()
        cursor.execute(f"SELECT word FROM {name} WHERE id = $1", (7,))
        assert cursor.fetchall() == [("w7",)]
        cursor.execute(f"DROP TABLE {name}")
    adbc.commit()


def test_pandas_by_adbc(adbc, name):
    assert FRAME.to_sql(name, adbc, index=False) == 3
    same(pandas.read_sql(f"SELECT * FROM {name} ORDER BY id", adbc))
    with adbc.cursor() as cursor:
        cursor.execute(f"DROP TABLE {name}")
    adbc.commit()


# DuckDB


def test_duckdb_attaches(server, client, name):
    where = address(server)
    client.sql(f"CREATE TABLE {name} (id BIGINT, word TEXT, price NUMERIC(10, 2), at TIMESTAMPTZ)")
    client.sql(f"INSERT INTO {name} VALUES (1, 'a', 1.50, '2024-02-29 12:00:00+00'), (2, NULL, NULL, NULL)")
    con = peers.connect_duckdb()
    con.execute(f"ATTACH '{' '.join(f'{key}={value}' for key, value in where.items())}' AS far (TYPE postgres)")
    assert con.sql(f"SELECT id, word, price FROM far.public.{name} ORDER BY id").fetchall() == [(1, "a", decimal.Decimal("1.50")), (2, None, None)]
    con.execute(f"INSERT INTO far.public.{name} SELECT range + 10, 'x', 0.25, NULL FROM range(1000)")
    con.execute(f"CREATE TABLE far.public.{name}_made AS SELECT 42 AS answer")
    con.close()
    assert client.value(f"SELECT count(*) AS n FROM {name}") == 1_002
    assert client.value(f"SELECT answer FROM {name}_made") == 42
    client.sql(f"DROP TABLE {name}; DROP TABLE {name}_made")
