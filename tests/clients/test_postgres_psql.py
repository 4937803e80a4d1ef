"""psql from Debian, unmodified, against PostgreSQL's protocol."""

import os
import shutil
import subprocess
import urllib.parse

import pytest

import drivers
from terminals import Terminal

pytestmark = drivers.needs(shutil.which("psql") is not None, "psql")

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


def test_a_password_is_changed(server):
    """psql makes the verifier itself, so that the server never sees the password."""
    host, port = server.postgres.rsplit(":", 1)
    assert lines(server, "CREATE ROLE psql_someone LOGIN PASSWORD 'before it'", "-q") == []
    known = server.credentials
    to = f"host={host} port={port} user={known['user']} password={known['password']} dbname=polder"
    with Terminal("-X", to, program="psql") as terminal:
        terminal.wait_for("=#")
        terminal.type("\\password psql_someone\n")
        terminal.wait_for('for user "psql_someone"')
        terminal.type("after it\n")
        terminal.wait_for("again:")
        terminal.type("after it\n")
        said = terminal.wait_for("=#")
        assert "ERROR" not in said
    someone = f"host={host} port={port} user=psql_someone dbname=polder"
    environment = {**os.environ, "PGPASSWORD": "after it"}
    new = subprocess.run(["psql", "-XAtw", someone, "-c", "SELECT current_user"], env=environment, text=True, capture_output=True, timeout=SECONDS)
    assert new.stdout == "psql_someone\n", new.stderr
    old = subprocess.run(["psql", "-XAtw", someone, "-c", "SELECT 1"], env={**environment, "PGPASSWORD": "before it"}, text=True, capture_output=True, timeout=SECONDS)
    assert old.returncode != 0 and "password" in old.stderr
    assert lines(server, "DROP ROLE psql_someone", "-q") == []


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_tls(server, mode):
    host, port = server.postgres.rsplit(":", 1)
    done = psql(server, f"host={host} port={port} sslmode={mode}", "-At", "-c", "SELECT 1")
    assert done.stdout == "1\n", done.stderr


# The lists that psql has.
PLAIN = ("d", "da", "dA", "dAc", "dAf", "dAo", "dAp", "db", "dc", "dconfig", "dC", "dd", "ddp", "dD", "des", "dE", "det", "deu", "dew", "df", "dF", "dFd", "dFp",
         "dFt", "dg", "di", "dl", "dL", "dm", "dn", "do", "dO", "dp", "dP", "dPi", "dPt", "drds", "dRp", "dRs", "ds", "dt", "dT", "du", "dv", "dx", "dX", "dy",
         "l", "z")
# With what is the system's.
SYSTEM = ("d", "da", "dc", "dD", "df", "di", "dL", "dm", "dn", "do", "dO", "ds", "dt", "dT", "du", "dv")
LISTS = [*PLAIN, *(f"{name}+" for name in PLAIN if name != "z"), *(f"{name}S" for name in SYSTEM)]


def heads(text: str) -> dict:
    """Of each list its title, if it has rows or columns to show, and what its columns are called."""
    found = {}
    for part in text.split("list: ")[1:]:
        name, _, shown = part.partition("\n")
        rule = next((at for at, line in enumerate(shown.splitlines()) if set(line) <= set("-+") and line), None)
        found[name] = None if rule is None else [cell.strip() for cell in shown.splitlines()[rule - 1].split("|")]
    return found


# Something for lists to show that say in words that they have nothing.
SHOWN = """
CREATE TABLE psql_h (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT);
CREATE VIEW psql_hv AS SELECT name FROM psql_h;
CREATE MATERIALIZED VIEW psql_hm AS SELECT name FROM psql_h;
CREATE ROLE psql_hr;
ALTER ROLE psql_hr SET work_mem = '4MB';
"""
NO_MORE = "DROP ROLE psql_hr;\nDROP MATERIALIZED VIEW psql_hm;\nDROP VIEW psql_hv;\nDROP TABLE psql_h;\n"
# A list for each configuration and parser of text search and for each extension, of which Polder has none.
NONE_HERE = ("dF+", "dFp+", "dx+")
# Nor is there a foreign table or a publication at PostgreSQL, before somebody makes one.
NOWHERE = ("dE", "dE+", "dRp+")


def test_lists_have_the_same_columns(server, postgres):
    script = SHOWN + "".join(f"\\echo list: {name}\n\\{name}\n" for name in LISTS) + NO_MORE
    done = [subprocess.run(["psql", place, "-X"], input=script, text=True, capture_output=True, timeout=SECONDS, check=False) for place in places(server, postgres)]
    for one in done:
        assert "ERROR" not in one.stderr, one.stderr
    got, wanted = (heads(one.stdout) for one in done)
    assert list(got) == list(wanted) == LISTS
    for name in LISTS:
        assert got[name] == (None if name in NONE_HERE else wanted[name]), name
    assert [name for name in LISTS if wanted[name] is None] == [*NOWHERE]


def places(server, postgres) -> tuple:
    """Both servers, as psql takes them."""
    host, port = server.postgres.rsplit(":", 1)
    known = server.credentials
    place = urllib.parse.urlparse(postgres.database()[0])
    return (f"host={host} port={port} user={known['user']} password={known['password']} dbname=polder",
            f"host={place.hostname} port={place.port} user={place.username} dbname={place.path.lstrip('/')}")


def watched(place: str, statement: str, times: int) -> list:
    """What psql shows again and again, until it has shown it so often; of the titles only that there are some, since they say when."""
    watching = subprocess.Popen(["psql", place, "-X"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    shown, parts = [], 0
    try:
        watching.stdin.write(f"{statement} \\watch 0.1\n")
        watching.stdin.close()
        for line in watching.stdout:
            shown.append("title" if "(every 0.1s)" in line else line.rstrip())
            parts += not line.strip()
            if parts == 2 * times:
                return shown
        return shown
    finally:
        watching.kill()
        watching.wait()


def test_watch(server, postgres):
    for statement in ("SELECT 'again' AS word, 1 AS n", "SELECT 1 WHERE false", "SELECT nosuch"):
        ours, theirs = (watched(place, statement, 3) for place in places(server, postgres))
        assert theirs and ours[0] == theirs[0]
        if "nosuch" in statement:
            # An error ends it.
            assert "does not exist" in ours[0] and ours.count(ours[0]) == theirs.count(theirs[0]) == 1
        else:
            assert ours == theirs and ours.count("title") == 3


COPIES = """
CREATE TABLE psql_c (id BIGINT NOT NULL, name TEXT, day DATE);
\\copy psql_c FROM STDIN
1\ta\t2024-02-29
2\t\\N\t\\N
\\.
\\copy psql_c (id, name) FROM PROGRAM 'printf "3,x\\n4,\\"y, z\\"\\n"' (FORMAT csv)
\\copy psql_c TO STDOUT
\\copy (SELECT id, name FROM psql_c ORDER BY id DESC) TO STDOUT CSV HEADER
\\copy psql_c TO '{folder}/out.csv' (FORMAT csv, HEADER, NULL '-')
TRUNCATE psql_c;
\\copy psql_c FROM '{folder}/out.csv' (FORMAT csv, HEADER, NULL '-')
SELECT * FROM psql_c ORDER BY id;
\\copy psql_c TO '{folder}/out.bin' (FORMAT binary)
\\copy psql_c FROM '{folder}/out.bin' WITH BINARY
SELECT count(*) FROM psql_c;
\\copy psql_c FROM PROGRAM 'echo x,y,z' (FORMAT csv)
\\copy psql_c FROM '{folder}/nosuch'
\\copy nosuch FROM PROGRAM 'echo 1'
\\copy psql_c TO PROGRAM 'cat >/dev/null'
DROP TABLE psql_c;
"""


def test_copies_as_at_postgresql(server, postgres, tmp_path):
    shown = []
    for name, place in zip(("ours", "theirs"), places(server, postgres)):
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run(["psql", place, "-X", "-v", "VERBOSITY=sqlstate"], input=COPIES.replace("{folder}", str(folder)), text=True, capture_output=True,
                              timeout=SECONDS, check=False)
        # A program that nobody reads from may have ended by itself, or by a signal.
        said = "".join(line for line in done.stderr.replace(str(folder), "").splitlines(keepends=True) if "Broken pipe" not in line)
        shown.append((done.stdout, said, done.returncode, (folder / "out.csv").read_text(), (folder / "out.bin").read_bytes()))
    ours, theirs = shown
    assert "COPY 4" in theirs[0] and "22" in theirs[1]
    assert ours == theirs
