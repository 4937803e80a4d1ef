"""DuckDB beside a lake: one JSON request a line on standard input, one answer a line on standard output.

Arguments: extensions to load, each by the name of the package that brings it.
"""

import importlib.resources
import json
import sys

import duckdb


def load(con, name):
    version = con.execute("PRAGMA version").fetchone()[0]
    root = importlib.resources.files(f"duckdb_extension_{name}")
    # By its path, so that nothing is installed into the home directory.
    con.execute(f"LOAD '{root}/extensions/{version}/{name}.duckdb_extension'")


def answer(con, request):
    sql = request["sql"]
    if request["rows"]:
        # DuckDB's own text for every value, whatever Python would make of it.
        rows = con.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({sql})").fetchall()
        return {"rows": [["NULL" if value is None else value for value in row] for row in rows]}
    con.execute(sql)
    return {"rows": []}


def main():
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    for name in sys.argv[1:]:
        load(con, name)
    for line in sys.stdin:
        try:
            reply = answer(con, json.loads(line))
        except Exception as error:
            reply = {"error": str(error)}
        print(json.dumps(reply), flush=True)


main()
