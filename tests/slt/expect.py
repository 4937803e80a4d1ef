"""Fills in and checks what the .slt files expect, with another database as the oracle.

    expect.py --write FILE…   asks the oracle, and writes what it answers into the files
    expect.py --check [FILE…] says which expectation differs from the oracle's answer (default: all files)

A file names its oracle in its first comment: `# expected from: postgres` (PostgreSQL 15) or `# expected from: duckdb`.
What no other database can say is written by hand: `# expected from: hand`, and why. Each file runs in a new database.

For `--write` a record may be bare SQL between empty lines: the header follows from the answer. Rows are compared sorted
unless the query orders them. An error is expected by its SQLSTATE; DuckDB has none, so the words are written by hand.
"""

import argparse
import pathlib
import re
import sys
from dataclasses import dataclass, field

import duckdb
import psycopg

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "clients")]

import display  # noqa: E402
import peers  # noqa: E402

HEADER = re.compile(r"(statement|query)\b")
CHANGES = ("INSERT", "UPDATE", "DELETE", "MERGE")
# The kinds of DuckDB's statements that answer with rows.
ANSWERING = ("SELECT", "EXECUTE", "EXPLAIN", "CALL", "PRAGMA", "RELATION")


@dataclass
class Answer:
    """What an oracle said: rows of shown values, or a count of changed rows, or an error."""

    letters: str | None = None
    rows: list = field(default_factory=list)
    count: int | None = None
    code: str | None = None
    error: str | None = None


@dataclass
class Record:
    """One paragraph of a file: comment lines, a statement or query, what is expected of it."""

    comments: list
    connection: str | None
    header: str | None
    sql: str
    rows: list
    line: int

    def text(self) -> str:
        lines = [*self.comments]
        if self.sql:
            lines += [f"connection {self.connection}"] if self.connection else []
            lines += [self.header] if self.header else []
            lines.append(self.sql)
            if self.header and self.header.startswith("query"):
                lines += ["----", *self.rows]
        return "\n".join(lines)


class Postgres:
    """The PostgreSQL oracle: a database for each file, a connection for each name."""

    def __init__(self, cluster: peers.Postgres):
        self.cluster = cluster
        # Nothing here outlives the run, and a checkpoint of many databases takes long.
        with psycopg.connect(cluster.database()[0], autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")

    def open(self) -> None:
        self.address = self.cluster.database()[0]
        self.connections = {}
        found = self.connection(None).exec_(b"SELECT oid, typelem FROM pg_type WHERE typcategory = 'A' AND typelem <> 0")
        self.elements = {int(found.get_value(row, 0)): int(found.get_value(row, 1)) for row in range(found.ntuples)}

    def connection(self, name: str | None):
        if name not in self.connections:
            connection = psycopg.connect(self.address, autocommit=True)
            for setting in ("timezone = 'UTC'", "client_min_messages = 'error'", "lock_timeout = '3s'", "statement_timeout = '30s'"):
                connection.execute(f"SET {setting}")
            self.connections[name] = connection
        return self.connections[name].pgconn

    def run(self, sql: str, name: str | None) -> Answer:
        result = self.connection(name).exec_(sql.encode())
        status = psycopg.pq.ExecStatus(result.status)
        if status == psycopg.pq.ExecStatus.TUPLES_OK:
            oids = [result.ftype(column) for column in range(result.nfields)]
            rows = []
            for row in range(result.ntuples):
                values = [result.get_value(row, column) for column in range(result.nfields)]
                rows.append([
                    display.top(display.postgres_value(None if value is None else value.decode(), oid, self.elements))
                    for value, oid in zip(values, oids)])
            return Answer(letters="".join(map(display.postgres_letter, oids)), rows=rows)
        if status == psycopg.pq.ExecStatus.COMMAND_OK:
            tag = (result.command_status or b"").decode()
            return Answer(count=int(tag.split()[-1]) if tag.startswith(CHANGES) else None)
        part = psycopg.pq.DiagnosticField
        said = result.error_field(part.MESSAGE_PRIMARY)
        return Answer(code=(result.error_field(part.SQLSTATE) or b"?").decode(),
                      error=said.decode() if said else f"answered with {status.name}")

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()


class DuckDB:
    """The DuckDB oracle, in this process and in memory."""

    def open(self) -> None:
        self.database = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self.connections = {}

    def run(self, sql: str, name: str | None) -> Answer:
        connection = self.connections.setdefault(name, self.database.cursor())
        try:
            statements = duckdb.extract_statements(sql)
            kind = str(statements[-1].type).rsplit(".", 1)[-1]
            connection.execute(sql)
            table = connection.to_arrow_table() if connection.description else None
        except duckdb.Error as error:
            return Answer(error=f"{type(error).__name__}: {str(error).splitlines()[0]}")
        # DuckDB knows what a statement answers with, but for a change only whether it may return rows.
        if kind.startswith(CHANGES) and table is not None and table.column_names == ["Count"]:
            return Answer(count=table.column(0)[0].as_py())
        if table is None or kind not in ANSWERING and not kind.startswith(CHANGES):
            return Answer()
        rows = [[] for _ in range(table.num_rows)]
        for column in table.columns:
            for row, value in zip(rows, column):
                row.append(display.top(display.arrow_value(value.as_py(), column.type)))
        return Answer(letters="".join(display.arrow_letter(column.type) for column in table.columns), rows=rows)

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.database.close()


def oracle_of(path: pathlib.Path) -> str:
    found = re.match(r"(?:#.*\n)*?# expected from: (\w+)", path.read_text())
    if not found or found[1] not in ("postgres", "duckdb", "hand"):
        raise SystemExit(f"{path}: its first comment has no '# expected from: postgres', 'duckdb' or 'hand'")
    return found[1]


def read(path: pathlib.Path) -> list[Record]:
    records, line = [], 1
    for paragraph in re.split(r"\n[ \t]*\n", path.read_text().strip("\n")):
        lines = paragraph.strip("\n").split("\n")
        start, comments, connection, header = line, [], None, None
        line += paragraph.count("\n") + 2
        while lines and lines[0].startswith("#"):
            comments.append(lines.pop(0))
        if lines and lines[0].startswith("connection "):
            connection = lines.pop(0).split()[1]
        if lines and HEADER.match(lines[0]):
            header = lines.pop(0)
        cut = lines.index("----") if "----" in lines else len(lines)
        records.append(Record(comments, connection, header, "\n".join(lines[:cut]), lines[cut + 1:], start))
    return records


def ordered(sql: str) -> bool:
    """Whether the query itself, and not something inside of it, has ORDER BY."""
    outside, depth = "", 0
    for letter in re.sub(r"'[^']*'|--[^\n]*", "", sql):
        depth += (letter == "(") - (letter == ")")
        outside += letter if depth == 0 else ""
    return re.search(r"\border\s+by\b", outside, re.IGNORECASE) is not None


def written_rows(answer: Answer, sort: bool, where: str) -> list[str]:
    rows = sorted(answer.rows) if sort else answer.rows
    lines = [" ".join(row) for row in rows]
    for line in lines:
        if "\n" in line or not line.strip():
            raise SystemExit(f"{where}: a row that no line can hold: {line!r}")
    return lines


def expect(record: Record, answer: Answer, where: str) -> Record:
    """The record as the oracle's answer would have it; what is said by hand about sorting and errors stays."""
    said = (record.header or "").split()
    if answer.error is not None:
        by_hand = said[1:2] == ["error"] and not re.fullmatch(r"\(\w{5}\)|", " ".join(said[2:]))
        if by_hand or (said[1:2] == ["error"] and answer.code is None):
            header = record.header
        else:
            header = f"statement error ({answer.code})" if answer.code else "statement error"
        return Record(record.comments, record.connection, header, record.sql, [], record.line)
    if answer.letters is None:
        header = "statement ok" if answer.count is None or said[:2] == ["statement", "ok"] else f"statement count {answer.count}"
        return Record(record.comments, record.connection, header, record.sql, [], record.line)
    if said[:2] == ["statement", "ok"]:
        return record
    sort = "rowsort" in said or (not said and len(answer.rows) > 1 and not ordered(record.sql))
    header = f"query {answer.letters}" + (" rowsort" if sort else "")
    return Record(record.comments, record.connection, header, record.sql, written_rows(answer, sort, where), record.line)


def normal(record: Record) -> tuple:
    """What the runner compares: neither the letters of the columns nor the width of spaces."""
    said = (record.header or "").split()
    if said[:1] == ["query"] and said[1:2] != ["error"]:
        said = ["query", *said[2:]]
    return said, [" ".join(row.split()) for row in record.rows]


def visit(path: pathlib.Path, oracle, write: bool) -> tuple[int, list[str]]:
    """Runs a file on its oracle: how many records it has, and what differs."""
    oracle.open()
    records, differences, checked = read(path), [], 0
    try:
        for at, record in enumerate(records):
            if not record.sql:
                continue
            where = f"{path.name}:{record.line}"
            checked += 1
            answer = oracle.run(record.sql, record.connection)
            wanted = expect(record, answer, where)
            if write and answer.error is not None and normal(record) != normal(wanted):
                print(f"{where}: {wanted.header}: {answer.error}: {record.sql.splitlines()[0][:100]}")
            if not write and normal(record) != normal(wanted):
                differences.append(f"{where}: {record.sql}\n  recorded: {record.header} {record.rows}\n"
                                   f"  oracle:   {wanted.header} {wanted.rows} {answer.error or ''}")
            records[at] = wanted
    finally:
        oracle.close()
    if write:
        path.write_text("\n\n".join(record.text() for record in records) + "\n")
    return checked, differences


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true")
    what.add_argument("--check", action="store_true")
    arguments.add_argument("files", nargs="*", type=pathlib.Path)
    given = arguments.parse_args()
    files = given.files or sorted(HERE.rglob("*.slt"))
    if given.write and not given.files:
        arguments.error("name the files to write")
    total, differences = 0, []
    with peers.Postgres() as cluster:
        oracles = {"postgres": Postgres(cluster), "duckdb": DuckDB()}
        for path in files:
            name = oracle_of(path)
            if name == "hand":
                continue
            checked, found = visit(path, oracles[name], given.write)
            total += checked
            differences += found
    for difference in differences:
        print(difference)
    print(f"{total} records of {len(files)} files, {len(differences)} differ from their oracle")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
