"""Tables in an object store: `--tables s3://…` on a server that speaks S3, and files read from there."""

import polder


def objects(s3, prefix: str) -> list:
    listed = s3.client().list_objects_v2(Bucket=s3.bucket, Prefix=prefix)
    return [one["Key"] for one in listed.get("Contents", [])]


def test_tables_live_in_the_store(s3, fresh):
    server = fresh(None, "--tables", f"s3://{s3.bucket}/lake", env=s3.env)
    server.start()
    client = server.client()
    client.sql("CREATE TABLE far AS SELECT value AS id, 'w' || value AS word FROM generate_series(1, 50000) AS s(value)")
    assert any(key.endswith(".parquet") for key in objects(s3, "lake/"))
    assert not list(server.data.rglob("*.parquet"))
    client.sql("DELETE FROM far WHERE id % 2 = 0")
    client.sql("UPDATE far SET word = 'one' WHERE id = 1")
    client.sql("INSERT INTO far VALUES (-1, 'small')")
    expected = [{"n": 25001, "low": -1, "high": 49999}]
    sql = "SELECT count(*) AS n, min(id) AS low, max(id) AS high FROM far"
    assert client.sql(sql) == expected
    server.kill()
    server.start()
    assert server.client().sql(sql) == expected
    assert server.client().value("SELECT word FROM far WHERE id = 1") == "one"


def test_load_from_the_store(s3, server, fresh):
    s3.client().put_object(Bucket=s3.bucket, Key="raw/people.csv", Body=b"id,name\n1,Ada\n2,Grace\n")
    s3.client().put_object(Bucket=s3.bucket, Key="raw/more.csv", Body=b"id,name\n3,Barbara\n")
    reader = fresh(None, env=s3.env)
    reader.start()
    reader.load(f"s3://{s3.bucket}/raw/people.csv")
    assert reader.client().value("SELECT count(*) AS n FROM people") == 2
    reader.load(f"s3://{s3.bucket}/raw/*.csv", "--into", "everyone")
    assert reader.client().value("SELECT count(*) AS n FROM everyone") == 3


def test_names_of_folders_are_taken_as_they_are(s3, fresh):
    folder = "räume/100% für uns {~}"
    for n in (1, 2):
        s3.client().put_object(Bucket=s3.bucket, Key=f"{folder}/größe={n} m%2Fs/a b.csv", Body=b"id,name\n%d,Ada\n" % n)
    reader = fresh(None, env=s3.env)
    reader.start()
    for n, source in enumerate((f"{folder}/", f"{folder}/*/a b.csv", f"{folder}/größe=*/*.csv")):
        reader.load(f"s3://{s3.bucket}/{source}", "--into", f"rooms_{n}")
        rows = reader.client().sql(f'SELECT id, "größe" FROM rooms_{n} ORDER BY id')
        assert rows == [{"id": 1, "größe": "1 m/s"}, {"id": 2, "größe": "2 m/s"}], source


def test_a_store_that_is_away_says_so(fresh):
    nobody = f"http://127.0.0.1:{polder.free_port()}"
    env = {"AWS_ENDPOINT": nobody, "AWS_ENDPOINT_URL": nobody, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
           "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    server = fresh(None, env=env)
    server.start()
    done = server.cli("load", "s3://nowhere/x.csv")
    assert done.returncode == 1
    assert b"s3://nowhere/x.csv" in done.stderr, done.stderr
