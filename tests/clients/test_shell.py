"""What a person sees on a terminal: the SQL shell, and the bar of a load."""

import re
import time

import polder
from terminals import Terminal

# Ends in no test's time.
ENDLESS = "SELECT count(*) AS n FROM generate_series(1, 1000000::bigint) a(x), generate_series(1, 1000000) b(y) WHERE (x * y) % 7 = 3"
PROMPT = "polder> "


def shell(server, home) -> Terminal:
    terminal = Terminal("sql", "--data", server.data, env={"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")})
    terminal.wait_for(PROMPT)
    return terminal


def until_nothing_runs(client) -> None:
    deadline = time.monotonic() + polder.SOON_SECONDS
    while client.get("/running")["queries"]:
        assert time.monotonic() < deadline, "the statement still runs in the server"
        time.sleep(0.02)


def test_statements_take_several_lines_and_names_complete(server, client, tmp_path):
    client.sql("CREATE TABLE completed (passengers_of_the_year bigint)")
    client.sql("INSERT INTO completed VALUES (43400)")
    with shell(server, tmp_path) as terminal:
        terminal.type("SELECT 40 +\r")
        terminal.type("2 AS answer;\r")
        assert "42" in terminal.wait_for("(1 row")
        terminal.wait_for(PROMPT)
        terminal.type("SELECT * FROM compl\t")
        terminal.wait_for("completed")
        terminal.type(" WHERE passengers_of\t")
        terminal.wait_for("passengers_of_the_year")
        terminal.type(" > 1;\r")
        assert "43400" in terminal.wait_for("(1 row")
        terminal.wait_for(PROMPT)
        terminal.type("SELECT\r  no_such_column FROM completed;\r")
        terminal.wait_for("line:2:3")
        terminal.wait_for(PROMPT)
        terminal.type("\\q\r")
        assert terminal.end() == 0


def test_history_is_kept_for_its_owner(server, tmp_path):
    with shell(server, tmp_path) as terminal:
        terminal.type("SELECT 'remembered' AS word;\r")
        terminal.wait_for("(1 row")
        terminal.wait_for(PROMPT)
        terminal.type("\x04")
        assert terminal.end() == 0
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and "remembered" in path.read_text(errors="replace")]
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o077 == 0, kept
    with shell(server, tmp_path) as terminal:
        terminal.type("\x1b[A")
        terminal.wait_for("SELECT 'remembered' AS word;")
        terminal.type("\r")
        terminal.wait_for("(1 row")


def test_ctrl_c_cancels_and_the_shell_goes_on(server, client, tmp_path):
    with shell(server, tmp_path) as terminal:
        terminal.type(f"{ENDLESS};\r")
        progress = terminal.wait_for("Ctrl-C cancels")
        assert "rows" in progress, progress
        assert len(client.get("/running")["queries"]) == 1
        terminal.type("\x03")
        until_nothing_runs(client)
        terminal.wait_for("57014")
        terminal.wait_for(PROMPT)
        terminal.type("SELECT 40 + 2 AS answer;\r")
        assert "42" in terminal.wait_for("(1 row")


def test_a_load_shows_how_far_it_is(server, client, tmp_path):
    path = tmp_path / "watched.csv"
    lines = "".join(f"{n},some words in a column {n}\n" for n in range(10_000))
    path.write_text("id,words\n" + lines * 200)
    with Terminal("load", path, "--data", server.data) as terminal:
        for words in ("%", "MiB of", "MiB/s", "left", "rows"):
            terminal.wait_for(words)
        assert terminal.end() == 0
        assert "2,000,000 rows loaded" in terminal.text
    assert client.value("SELECT count(*) AS n FROM watched") == 2_000_000


def test_ctrl_c_ends_a_load(server, client, tmp_path):
    path = tmp_path / "ended.csv"
    lines = "".join(f"{n},some words in a column {n}\n" for n in range(10_000))
    with path.open("w") as file:
        file.write("id,words\n")
        for _ in range(600):
            file.write(lines)
    with Terminal("load", path, "--data", server.data) as terminal:
        terminal.wait_for("MiB/s")
        terminal.type("\x03")
        assert terminal.end() == 130
    deadline = time.monotonic() + polder.SOON_SECONDS
    while client.get("/running")["loads"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert client.get("/running")["loads"] == []
    assert client.value("SELECT count(*) AS n FROM polder.tables WHERE table_name = 'ended'") == 0


def test_a_statement_shows_what_it_reads(server, client, tmp_path):
    """Rows and bytes of a table."""
    client.sql("CREATE TABLE read_slowly AS SELECT value AS n, repeat('word ' || value, 20) AS words FROM generate_series(1, 100000) AS s(value)")
    with shell(server, tmp_path) as terminal:
        terminal.type("SELECT count(*) FROM read_slowly a, read_slowly b WHERE length(a.words) * b.n % 7 = 3;\r")
        progress = terminal.wait_for("Ctrl-C cancels")
        while not re.search(r"[1-9][\d,]*( of [1-9][\d,]*)? rows.* [1-9][\d.]* (KiB|MiB)", progress):
            progress = terminal.wait_for("Ctrl-C cancels")
        terminal.type("\x03")
        terminal.wait_for("57014")


def test_without_a_terminal_lines_are_plain(server, tmp_path):
    """Also those that tell how far a load is."""
    path = tmp_path / "plain.csv"
    lines = "".join(f"{n},some words in a column {n}\n" for n in range(10_000))
    path.write_text("id,words\n" + lines * 600)
    done = server.cli("load", path)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and not re.search(rb"[\x1b\r]", said), said
    assert re.search(rb"^.*[\d,]+ rows.* [KM]iB of .*MiB.*$", done.stderr, re.MULTILINE), done.stderr
    done = polder.run("sql", "--data", server.data, "-c", "SELECT 1 AS one")
    assert b"\x1b" not in done.stdout + done.stderr, done
