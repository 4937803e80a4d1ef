"""What an index does: it is listed, its columns get bloom filters that spare reading, and OPTIMIZE sorts by them."""

import peers


def metadata(con, server, column: str) -> list:
    """The newest file that holds the column: of its parts, whether they have a bloom filter."""
    files = sorted(server.data.glob("tables/**/*.parquet"), key=lambda path: path.stat().st_mtime)
    return [offset is not None for (offset,) in con.execute(
        f"SELECT bloom_filter_offset FROM parquet_metadata('{files[-1]}') WHERE path_in_schema = '{column}'").fetchall()]


def scanned(client, sql: str) -> int:
    """Rows that a query had to read."""
    client.sql(sql)
    text = sql.replace("'", "''")
    return client.value(f"SELECT rows_scanned FROM polder.queries WHERE sql = '{text}' AND state = 'done' ORDER BY started_at DESC LIMIT 1")


def test_an_index_spares_reading(fresh):
    server = fresh()
    client = server.start().client()
    client.sql("CREATE TABLE words (id BIGINT, word TEXT, other TEXT)")
    client.sql("CREATE INDEX words_word ON words (word)")
    rows = "SELECT value, md5(value::text), md5(value::text) FROM generate_series(1, 200000) AS s(value)"
    client.sql(f"INSERT INTO words {rows}")
    assert client.sql("SELECT indexname FROM pg_indexes WHERE tablename = 'words'") == [{"indexname": "words_word"}]
    con = peers.connect_duckdb()
    assert all(metadata(con, server, "word")) and not any(metadata(con, server, "other"))
    # Between the least and the greatest, and not there: the statistics do not say so, the filter does.
    absent = "7fffffffffffffffffffffffffffffff"
    assert scanned(client, f"SELECT id FROM words WHERE other = '{absent}'") > 0
    assert scanned(client, f"SELECT id FROM words WHERE word = '{absent}'") == 0
    one = client.value("SELECT word FROM words WHERE id = 4711")
    assert client.sql(f"SELECT id FROM words WHERE word = '{one}'") == [{"id": 4711}]


def test_optimize_sorts_by_an_index(fresh):
    server = fresh()
    client = server.start().client()
    client.sql("CREATE TABLE words (id BIGINT, word TEXT)")
    for part in range(3):
        client.sql(f"INSERT INTO words SELECT value, md5(value::text) FROM generate_series({part * 20000 + 1}, {(part + 1) * 20000}) AS s(value)")
    client.sql("CREATE INDEX words_word ON words (word)")
    client.sql("OPTIMIZE words")
    con = peers.connect_duckdb()
    newest = max(server.data.glob("tables/**/*.parquet"), key=lambda path: path.stat().st_mtime)
    words = [word for (word,) in con.execute(f"SELECT word FROM read_parquet('{newest}', file_row_number = true) ORDER BY file_row_number").fetchall()]
    assert len(words) == 60_000 and words == sorted(words)
    assert all(metadata(con, server, "word"))
    client.sql("DROP INDEX words_word")
    assert client.sql("SELECT indexname FROM pg_indexes WHERE tablename = 'words'") == []
