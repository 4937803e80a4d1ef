"""The options of COPY through the connection, and what comes of rows that are wrong: the same as PostgreSQL's."""

import itertools
import struct

import pytest

import raw_postgres as raw
from raw_postgres import frame, query
# both is a fixture, which counts by being imported.
from test_postgres_beside import both, compare

NUMBERS = itertools.count(1)

MAKE = "CREATE TABLE {t}_c (a INT, b TEXT, c TEXT)"
FILL = "INSERT INTO {t}_c VALUES (1, 'x', ''), (2, NULL, 'a,b'), (3, 'say \"so\"', E'tab\\there'), (4, E'two\\nlines', E'back\\\\slash'), (5, '\\.', 'NULL')"
SEEN = "SELECT a, b, c FROM {t}_c ORDER BY a, b, c"
FROM = "COPY {t}_c FROM STDIN "
TO = "COPY (SELECT a, b, c FROM {t}_c ORDER BY a) TO STDOUT "


def rows(statement: str, data: bytes, *more: bytes) -> bytes:
    """A COPY FROM STDIN with its rows, in as many messages."""
    return query(statement) + b"".join(frame(b"d", part) for part in (data, *more)) + frame(b"c")


OUT = ["", "(FORMAT text)", "WITH (DELIMITER '|')", "(DELIMITER E'\\t', NULL 'none')", "(NULL '')", "(HEADER)", "(FORMAT csv)", "(FORMAT csv, HEADER true)",
       "(FORMAT csv, DELIMITER ';')", "(FORMAT csv, NULL 'NULL')", "(FORMAT csv, NULL '\\N')", "(FORMAT csv, QUOTE '''')", "(FORMAT csv, QUOTE '\"', ESCAPE '\\')",
       "(FORMAT csv, FORCE_QUOTE *)", "(FORMAT csv, FORCE_QUOTE (b))", "(FORMAT csv, FORCE_QUOTE (a, c), DELIMITER '|')", "(FORMAT csv, ENCODING 'UTF8')",
       "(ENCODING 'utf-8')", "CSV", "WITH CSV HEADER", "CSV HEADER DELIMITER ';' NULL 'none' QUOTE '''' ESCAPE '!'", "CSV FORCE QUOTE b, c", "CSV FORCE QUOTE *",
       "WITH DELIMITER '|' NULL AS 'none'", "DELIMITERS '|'", "WITH NULL 'x'", "CSV ENCODING 'UTF8'", "(FORMAT csv, HEADER off)", "(FORMAT 'csv', HEADER 1)"]

# What PostgreSQL refuses is refused with its code.
WRONG = ["(FORMAT nosuch)", "(NOSUCH true)", "(FORMAT csv, FORMAT text)", "(DELIMITER 'ab')", "(DELIMITER 'a')", "(DELIMITER '')", "(DELIMITER E'\\n')", "(NULL E'a\\nb')",
         "(QUOTE 'x')", "(ESCAPE 'x')", "(FORMAT csv, QUOTE 'ab')", "(FORMAT csv, ESCAPE 'ab')", "(FORMAT csv, QUOTE ',')", "(FORMAT csv, DELIMITER '\"')",
         "(FORMAT csv, NULL 'a,b')", "(FORMAT csv, NULL 'a\"b')", "(FORCE_QUOTE *)", "(FORMAT csv, FORCE_QUOTE (nosuch))", "(FORMAT csv, HEADER maybe)",
         "(FORMAT csv, HEADER match)", "(FORMAT binary, DELIMITER ',')", "(FORMAT binary, NULL 'x')", "(FORMAT binary, HEADER)", "(FORMAT csv, FORCE_NULL (b))",
         "(FORMAT csv, FORCE_NOT_NULL (b))", "(ENCODING 'nosuch')", "(DELIMITER)", "(FORMAT csv, HEADER true, HEADER true)", "CSV CSV", "BINARY CSV", "(FORMAT csv) HEADER",
         "()", "HEADER CSV NOSUCH"]


def test_options_of_what_goes_out(both):
    compare(both, [MAKE, FILL, *(TO + options for options in OUT), "COPY {t}_c (c, a) TO STDOUT (FORMAT csv, FORCE_QUOTE (c), HEADER)",
                   "COPY {t}_c (b) TO STDOUT", "COPY {t}_c (nosuch) TO STDOUT", "COPY {t}_c (a, a) TO STDOUT"])


def test_encodings_of_what_goes_out(both):
    encodings = ["LATIN1", "latin-1", "ISO_8859_1", "LATIN2", "LATIN9", "WIN1252", "windows1252", "UTF8", "SQL_ASCII", "KOI8R"]
    compare(both, [MAKE, "INSERT INTO {t}_c VALUES (1, 'gr\u00f6\u00dfer', 'x')", *(f"COPY {{t}}_c TO STDOUT (ENCODING '{name}')" for name in encodings),
                   "INSERT INTO {t}_c VALUES (2, 'x', '\u20ac')", *(f"COPY (SELECT * FROM {{t}}_c ORDER BY a) TO STDOUT (FORMAT csv, HEADER, ENCODING '{name}')" for name in encodings),
                   "DELETE FROM {t}_c", "INSERT INTO {t}_c VALUES (3, '\u30bd\u8868', '\u4e2d')",
                   *(f"COPY {{t}}_c TO STDOUT (ENCODING '{name}')" for name in ("SJIS", "EUC_JP", "GBK", "GB18030", "UHC"))])


@pytest.mark.parametrize("options", WRONG)
def test_options_that_are_none(both, options):
    compare(both, [MAKE, "COPY {t}_c TO STDOUT " + options])


IN = {
    "text": [rows(FROM, b"1\tx\t\n2\t\\N\ta\\tb\n3\t\\\\N\t\\x41\\101\\n\\b\\f\\v\\r\\q\n")],
    "the end": [rows(FROM, b"1\tx\ty\n\\.\n"), rows(FROM, b"2\tx\ty\n\\.\nnothing of this\n"), rows(FROM, b"3\tx\ty\n\\.")],
    "the end of csv": [rows(FROM + "CSV", b"0,x,y\n\\."), rows(FROM + "CSV", b"1,x,y\n\\.\n2,x,y\n"), rows(FROM + "CSV", b'3,"\\.",y\n4,\\.,y\n')],
    "no end of line": [rows(FROM, b"1\tx\ty"), rows(FROM + "CSV", b"2,x,y")],
    "crlf": [rows(FROM, b"1\tx\ty\r\n2\tx\ty\r\n"), rows(FROM + "CSV", b'3,x,y\r\n4,"a\r\nb",y\r\n'), rows(FROM, b"5\tx\ty\r6\tx\ty\r")],
    "lines of both kinds": [rows(FROM, b"1\tx\ty\n2\tx\ty\r\n"), rows(FROM, b"1\tx\ty\r\n2\tx\ty\n"), rows(FROM + "CSV", b"1,x,y\r\n2,x,y\n"),
                            rows(FROM + "CSV", b"1,x,y\n2,x,y\r\n"), rows(FROM, b"1\tx\ty\r\n2\tx\r\ty\r\n")],
    "delimiters": [rows(FROM + "(DELIMITER '|')", b"1|x\\|y|z\n"), rows(FROM + "(FORMAT csv, DELIMITER ';')", b"2;x,y;z\n"), rows(FROM + "DELIMITERS ','", b"3,x,y\n")],
    "missing values": [rows(FROM + "(NULL 'none')", b"1\tnone\t\\N\n"), rows(FROM + "(NULL '')", b"2\t\ty\n"), rows(FROM + "CSV", b'3,,""\n'),
                       rows(FROM + "(FORMAT csv, NULL 'none')", b'4,none,"none"\n5,,""\n'), rows(FROM + "(FORMAT csv, NULL '\\N')", b"6,\\N,x\n")],
    "quotes": [rows(FROM + "CSV", b'1,"a,b","say ""so"""\n2,a"b"c,"x"y\n'), rows(FROM + "(FORMAT csv, QUOTE '''')", b"3,'a,b','it''s'\n"),
               rows(FROM + "(FORMAT csv, ESCAPE '\\')", b'4,"a\\"b","c\\\\d"\n'), rows(FROM + "CSV QUOTE '''' ESCAPE '!' DELIMITER ';'", b"5;'a!'b';x\n")],
    "lines in quotes": [rows(FROM + "CSV", b'1,"two\n', b'lines","', b'three\n\nlines"\n')],
    "forced": [rows(FROM + "(FORMAT csv, FORCE_NULL (b))", b'1,"",""\n'), rows(FROM + "(FORMAT csv, FORCE_NOT_NULL (b, c))", b"2,,\n"),
               rows(FROM + "(FORMAT csv, NULL 'none', FORCE_NULL (b, c), FORCE_NOT_NULL (c))", b'3,"none","none"\n4,none,none\n'),
               rows(FROM + "CSV FORCE NOT NULL b", b"5,,\n"), rows(FROM + "CSV FORCE NULL b", b'6,"",""\n'), rows(FROM + "(FORCE_NULL (b))", b"7\tx\ty\n"),
               rows(FROM + "(FORMAT csv, FORCE_NULL (nosuch))", b"7,x,y\n"), rows(FROM + "(FORMAT csv, FORCE_QUOTE (b))", b"7,x,y\n")],
    "a header": [rows(FROM + "(HEADER)", b"p\tq\tr\n1\tx\ty\n"), rows(FROM + "(FORMAT csv, HEADER)", b"any,thing\n2,x,y\n"),
                 rows(FROM + "CSV HEADER", b'"two\nlines"\n3,x,y\n'), rows(FROM + "CSV HEADER", b""), rows(FROM + "CSV HEADER", b"a,b,c")],
    "a header that must fit": [rows(FROM + "(FORMAT csv, HEADER match)", b"a,b,c\n1,x,y\n"), rows(FROM + "(HEADER match)", b"a\tb\tc\n2\tx\ty\n"),
                               rows(FROM + "(FORMAT csv, HEADER match)", b"a,b\n1,x,y\n"), rows(FROM + "(FORMAT csv, HEADER match)", b"a,c,b\n1,x,y\n"),
                               rows(FROM + "(FORMAT csv, HEADER match)", b"a,b,c,d\n1,x,y\n"), rows(FROM + "(FORMAT csv, HEADER match)", b"A,B,C\n1,x,y\n"),
                               rows("COPY {t}_c (c, a) FROM STDIN (FORMAT csv, HEADER match)", b"c,a\nx,3\n"), rows(FROM + "(FORMAT csv, HEADER match)", b"a,b,\n1,x,y\n")],
    "too little and too much": [rows(FROM, b"1\tx\n"), rows(FROM, b"1\tx\ty\tz\n"), rows(FROM + "CSV", b"1,x\n"), rows(FROM + "CSV", b"1,x,y,z\n"),
                                rows(FROM + "CSV", b"\n"), rows(FROM + "CSV", b'1,"x,y\n'), rows("COPY {t} FROM STDIN", b"1\n\n"), rows("COPY {t} FROM STDIN CSV", b"1\n\n2\n")],
    "columns": [rows("COPY {t}_c (c, a) FROM STDIN", b"x\t1\n"), rows("COPY {t}_c (nosuch) FROM STDIN", b"x\n"), rows("COPY {t}_c (a, a) FROM STDIN", b"1\t1\n")],
    "encodings": [rows(FROM + "(ENCODING 'UTF8')", "1\tgrößer\t☃\n".encode()), rows(FROM, b"2\t\xff\ty\n"), rows(FROM + "CSV", b"2,\xc3,y\n"), rows(FROM, b"3\t\\xc3\\xb6\ty\n"),
                  rows(FROM, b"4\t\\xff\ty\n"), rows(FROM, b"5\ta\0b\ty\n"), rows(FROM, b"6\t\\000\ty\n")],
    "other encodings": [rows(FROM + "(ENCODING 'LATIN1')", b"1\tgr\xf6\xdfer\t\x85\n"), rows(FROM + "(FORMAT csv, ENCODING 'WIN1252')", b'2,"\x80",\xe9\n'),
                        rows(FROM + "CSV ENCODING 'SJIS'", b"3,\x83\x5c,\x83", b"\x5c\n"), rows(FROM + "(ENCODING 'latin-9')", b"4\t\xa4\tx\n"),
                        rows(FROM + "(ENCODING 'SQL_ASCII')", "5\tgrößer\tx\n".encode()),
                        rows(FROM + "(ENCODING 'WIN1252')", b"6\t\x81\tx\n"), rows(FROM + "(ENCODING 'EUC_JP')", b"6\t\xa5\tx\n"),
                        rows(FROM + "(ENCODING 'LATIN1')", b"6\t\\351\tx\n"), rows(FROM + "(FORMAT csv, HEADER match, ENCODING 'KOI8R')", b"a,b,c\n7,\xc1,x\n")],
    "conditions": [rows(FROM + "WHERE a > 1", b"1\tx\ty\n2\tx\ty\n\\N\tx\ty\n"), rows(FROM + "CSV WHERE b = 'x' AND {t}_c.c <> ''", b'3,x,y\n4,x,""\n5,z,y\n'),
                   rows(FROM + "(FORMAT csv, HEADER) WHERE upper(b) IN ('X', 'Y') -- none", b"a,b,c\n6,y,y\n7,z,y\n"), rows("COPY {t}_c (a) FROM STDIN WHERE b IS NULL", b"8\n"),
                   rows("COPY {t}_c (a) FROM STDIN WHERE b IS NOT NULL", b"9\n"), rows(FROM + "WHERE false", b"9\tx\ty\n"), rows(FROM + "WHERE NULL", b"9\tx\ty\n")],
    "conditions that are none": [rows(FROM + "WHERE", b""), rows(FROM + "WHERE a", b"1\tx\ty\n"), rows(FROM + "WHERE nosuch = 1", b"1\tx\ty\n"),
                                 rows(FROM + "WHERE a > (SELECT 1)", b"1\tx\ty\n"), rows(FROM + "WHERE count(*) > 1", b"1\tx\ty\n"),
                                 rows(FROM + "WHERE row_number() OVER () > 1", b"1\tx\ty\n"), rows(FROM + "WHERE true GROUP BY a", b"1\tx\ty\n"),
                                 rows(FROM + "WHERE a = 1 (FORMAT csv)", b"1\tx\ty\n"), "COPY {t}_c TO STDOUT WHERE a = 1", rows(FROM + "WHERE 1 / a > 0", b"0\tx\ty\n")],
    "what is wrong first": [rows(FROM, b"x\ty\n"), rows(FROM, b"1\tx\ty\nx\tx\ty\n2\n"), rows(FROM, b"1\tx\ty\n\\N\n"), rows(FROM + "CSV", b"x,x,y,z\n")],
    "values of other types": [rows(FROM, b"x\tx\ty\n"), rows(FROM, b"99999999999\tx\ty\n"), rows(FROM, b" 7 \tx\ty\n"), rows(FROM, b"\tx\ty\n")],
}


@pytest.mark.parametrize("name", IN)
def test_options_of_what_comes_in(both, name):
    steps = [step for copy in IN[name] for step in (copy, SEEN)]
    compare(both, [MAKE, *steps])


RULES = "CREATE TABLE {t}_c (a INT PRIMARY KEY, b TEXT NOT NULL DEFAULT 'usual', c INT CHECK (c > 0), d BIGINT GENERATED ALWAYS AS IDENTITY, e INT DEFAULT 7)"
BROKEN = {
    "a key": rows("COPY {t}_c (a) FROM STDIN", b"2\n1\n"),
    "a key of one copy": rows("COPY {t}_c (a) FROM STDIN", b"2\n2\n"),
    "a missing value": rows("COPY {t}_c (a, b) FROM STDIN", b"2\tx\n3\t\\N\n"),
    "a missing key": rows("COPY {t}_c (b) FROM STDIN", b"x\n"),
    "a check": rows("COPY {t}_c (a, c) FROM STDIN", b"2\t1\n3\t0\n"),
    "a value": rows("COPY {t}_c (a, c) FROM STDIN", b"2\t1\n3\tx\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_rows_that_break_a_rule_leave_nothing(both, name):
    seen = "SELECT a, b, c, e FROM {t}_c ORDER BY a"
    compare(both, [RULES, "INSERT INTO {t}_c (a) VALUES (1)", BROKEN[name], seen, "BEGIN", "INSERT INTO {t}_c (a) VALUES (9)", BROKEN[name], seen, "ROLLBACK", seen,
                   rows("COPY {t}_c (a, c) FROM STDIN CSV", b"2,\n3,5\n"), seen])


def test_defaults_and_identities_are_filled(both):
    compare(both, [RULES, rows("COPY {t}_c (a) FROM STDIN", b"1\n2\n"), rows("COPY {t}_c (a, b, c, e) FROM STDIN", b"3\tx\t\\N\t\\N\n"), "INSERT INTO {t}_c (a) VALUES (4)",
                   "SELECT a, b, c, d, e FROM {t}_c ORDER BY a", "COPY {t}_c TO STDOUT", rows("COPY {t}_c FROM STDIN", b"5\tx\t1\t50\t1\n"),
                   "SELECT a, d FROM {t}_c ORDER BY a"])


def binary(*lots: tuple) -> bytes:
    """Rows of a binary copy: the values' bytes, None for NULL."""
    made = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    for values in lots:
        made += struct.pack("!h", len(values)) + b"".join(raw.sized(value) for value in values)
    return made + b"\xff\xff"


NUMBER = struct.pack("!i", 7)
PLACED = {
    "a value": (b"", b"1\tx\ty\nx\tx\ty\n"),
    "a value behind a header": (b"CSV HEADER", b"a,b,c\n1,x,y\nx,x,y\n"),
    "a value behind lines in quotes": (b"CSV", b'1,"x\n\ny",z\n"q",x,y\n'),
    "lines in quotes further on": (b"CSV", b'1,x,y\n2,"x\n\ny",z\n"q",x,y\n'),
    "lines in quotes with crlf": (b"CSV", b'1,"x\r\n\ny",z\r\n"q",x,y\r\n'),
    "a value in quotes": (b"CSV", b'"1\n2",x,y\n'),
    "a value with escapes": (b"", b"\\x41\\tb\tx\ty\n"),
    "a long value": (b"", b"x" * 150 + b"\tx\ty\n"),
    "a long value between letters": (b"", ("x" * 99 + "\u00e9" * 9).encode() + b"\tx\ty\n"),
    "an empty value": (b"", b"\tx\ty\n"),
    "a number that is too large": (b"", b"1\tx\ty\n\\N\tx\ty\n99999999999\tx\ty\n"),
    "too little": (b"", b"1\tx\ty\n2\tx\n"),
    "too much": (b"CSV", b"1,x,y,z\n"),
    "a long line": (b"", b"1\t" + b"x" * 200 + b"\n"),
    "an empty line": (b"", b"1\tx\ty\n\n"),
    "a quote that is never closed": (b"CSV", b'1,x,y\n2,"x\ny\n'),
    "the other end of a line": (b"", b"1\tx\ty\n2\tx\r\ty\n"),
    "the other end of a line in csv": (b"CSV", b"1,x,y\r\n2,x,y\n"),
    "a corrupt end": (b"", b"1\tx\ty\n\\."),
    "bytes that are no text": (b"", b"1\tx\ty\n2\t\xff\ty\n"),
    "an escape that is no text": (b"", b"1\t\\xff\ty\n"),
    "a header that does not fit": (b"(FORMAT csv, HEADER match)", b"a,c,b\n1,x,y\n"),
    "binary": (b"(FORMAT binary)", binary((NUMBER, b"x", None), (NUMBER, b"x"))),
    "a binary value": (b"(FORMAT binary)", binary((NUMBER, b"x", b"y"), (NUMBER, b"\xff", b"y"))),
    "a binary number": (b"(FORMAT binary)", binary((b"x", b"x", b"y"))),
    "no binary": (b"(FORMAT binary)", b"no such signature, but long enough"),
}


@pytest.mark.parametrize("name", PLACED)
def test_errors_say_where_in_the_rows_they_are(both, name):
    options, data = PLACED[name]
    table = f"placed_{next(NUMBERS)}"
    ours, theirs = both()
    with ours, theirs:
        def told(connection):
            connection.rows(f"CREATE TABLE {table} (a INT, b TEXT, c TEXT)")
            refused = raw.refusal(connection.send(query(f"COPY public.{table} FROM STDIN ".encode() + options), frame(b"d", data), frame(b"c")).until(b"Z"))
            return refused["C"], refused.get("W")

        assert told(ours) == told(theirs)


def test_a_client_that_gives_up_is_told_how_far_it_came(both):
    ours, theirs = both()
    with ours, theirs:
        def told(connection):
            connection.rows("CREATE TABLE given_up (a INT)")
            refused = raw.refusal(connection.send(query("COPY given_up FROM STDIN"), frame(b"d", b"1\n2\n"), frame(b"f", raw.text("enough"))).until(b"Z"))
            return refused["C"], refused["W"]

        assert told(ours) == told(theirs)
