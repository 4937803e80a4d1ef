"""psql from Debian, unmodified, against PostgreSQL's protocol."""

import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("psql") is None, reason="there is no psql: apt install postgresql-client")

SECONDS = 60


def psql(server, *arguments, stdin=""):
    host, port = server.postgres.rsplit(":", 1)
    known = server.credentials
    environment = {**os.environ, "PGHOST": host, "PGPORT": port, "PGUSER": known["user"], "PGPASSWORD": known["password"],
                   "PGDATABASE": "polder", "PSQLRC": "/dev/null"}
    return subprocess.run(["psql", "-v", "ON_ERROR_STOP=1", *arguments], env=environment, input=stdin, text=True,
                          capture_output=True, timeout=SECONDS)


def lines(server, text, *arguments):
    done = psql(server, "-At", *arguments, "-c", text)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_answers(server):
    assert lines(server, "SELECT 1, 'a', NULL, 1.50, true, ARRAY[1, 2]") == ["1|a||1.50|t|{1,2}"]
    assert lines(server, "SELECT '1 day 02:03:04'::interval, '\\x00ff'::bytea, 1e20::float8") == ["1 day 02:03:04|\\x00ff|1e+20"]
    assert psql(server, "-c", "SELECT 1 AS one").stdout == " one \n-----\n   1\n(1 row)\n\n"


def test_scripts_and_errors(server):
    script = "CREATE TABLE psql_t (id BIGINT);\nINSERT INTO psql_t VALUES (1), (2);\nBEGIN;\nDELETE FROM psql_t;\nROLLBACK;\nSELECT count(*) FROM psql_t;\nDROP TABLE psql_t;\n"
    done = psql(server, "-At", stdin=script)
    assert done.stdout.splitlines() == ["CREATE TABLE", "INSERT 0 2", "BEGIN", "DELETE 2", "ROLLBACK", "2", "DROP TABLE"]
    failed = psql(server, "-c", "SELECT nosuch FROM information_schema.tables")
    assert failed.returncode == 1 and "ERROR:" in failed.stderr and "nosuch" in failed.stderr


def test_rows_in_pieces(server):
    script = "\\set FETCH_COUNT 1000\nSELECT * FROM generate_series(1, 5000);\n"
    assert psql(server, "-At", stdin=script).stdout.splitlines() == [str(at) for at in range(1, 5001)]


def test_copy(server, tmp_path):
    there = tmp_path / "out.csv"
    script = (f"CREATE TABLE psql_c (id BIGINT, name TEXT);\n\\copy psql_c FROM STDIN\n1\ta\n2\t\\N\n\\.\n"
              f"\\copy psql_c TO '{there}' CSV HEADER\nCOPY psql_c TO STDOUT;\nDROP TABLE psql_c;\n")
    done = psql(server, "-At", stdin=script)
    assert done.returncode == 0, done.stderr
    assert there.read_text() == "id,name\n1,a\n2,\n"
    assert "1\ta\n2\t\\N" in done.stdout


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_tls(server, mode):
    host, port = server.postgres.rsplit(":", 1)
    done = psql(server, f"host={host} port={port} sslmode={mode}", "-At", "-c", "SELECT 1")
    assert done.stdout == "1\n", done.stderr
