"""What Polder has of PostgreSQL's own functions, operators and casts: found by asking both servers, and kept in the lists that
`pg_catalog` is made from (`crates/engine/src/system/pg_catalog/builtin`).

    python tests/clients/builtins_of_postgres.py --write

A function is had if a call with the types that PostgreSQL lists is planned; its result is what Polder then gives.
"""

import argparse
import pathlib
import sys

import psycopg

LISTS = pathlib.Path(__file__).parents[2] / "crates/engine/src/system/pg_catalog/builtin"
SCHEMA = 11
RECORD = 2249
# What stands for a type of the call, which has a name of its own here: its object id in PostgreSQL, and what it is called with.
ANY = {2276: "NULL::integer", 2277: "NULL::integer[]", 2283: "NULL::integer", 2776: "NULL::integer", 5077: "NULL::integer",
       5078: "NULL::integer[]", 5079: "NULL::integer", RECORD: "ROW(1)", 1034: "NULL::text[]"}
# Those of types of handlers and the like, which are named and never called.
HANDLERS = {269, 325}
# From here on an object id may be another one's in another version.
UNPINNED = 10000
WORDS = ("current_user", "session_user")
# The families of operators that indexes here are of.
BTREE = 403

FUNCTIONS = """
SELECT oid, proname, prokind, proisstrict, proretset, provolatile, proparallel, prorettype, proargtypes::oid[], provariadic,
       pronargdefaults, proallargtypes, proargmodes::text[], proargnames, pg_get_function_arguments(oid),
       pg_get_function_identity_arguments(oid), format_type(prorettype, NULL), aggkind, aggnumdirectargs
FROM pg_proc LEFT JOIN pg_aggregate ON aggfnoid = oid WHERE pronamespace = 11 AND prokind <> 'p' ORDER BY oid
"""
OPERATORS = """
SELECT oid, oprname, oprleft, oprright, oprresult, oprcode::oid, oprcom, oprnegate, oprcanmerge, oprcanhash
FROM pg_operator WHERE oprnamespace = 11 ORDER BY oid
"""
CASTS = "SELECT oid, castsource, casttarget, castfunc::oid, castcontext, castmethod FROM pg_cast ORDER BY oid"
# The operators of the families that indexes have, and the functions that compare for them.
SUPPORT = """
SELECT 'operator', oid, amopfamily, amoplefttype, amoprighttype, amopstrategy, amopopr FROM pg_amop WHERE amopmethod = 403
UNION ALL
SELECT 'function', p.oid, amprocfamily, amproclefttype, amprocrighttype, amprocnum, amproc::oid
FROM pg_amproc p JOIN pg_opfamily f ON f.oid = amprocfamily WHERE opfmethod = 403 AND amprocnum = 1
ORDER BY 1 DESC, 2
"""
DESCRIPTIONS = """
SELECT classoid::oid, objoid, description FROM pg_description
WHERE objsubid = 0 AND classoid::regclass::text = ANY ('{pg_proc,pg_operator,pg_type,pg_am,pg_language,pg_collation}')
ORDER BY 1, 2
"""
OF_TYPES = """
SELECT f.oid::oid FROM pg_type t, unnest(ARRAY[typinput, typoutput, typreceive, typsend]) f(oid) WHERE t.oid = ANY (%s) AND f.oid <> 0
UNION SELECT amhandler::oid FROM pg_am WHERE amname IN ('heap', 'btree')
"""


class Asked:
    """Polder, asked what it makes of a statement without running it."""

    def __init__(self, connection: psycopg.Connection):
        self.connection = connection
        self.types = dict(connection.execute("SELECT oid, format_type(oid, NULL) FROM pg_type WHERE typrelid = 0").fetchall())

    def results(self, statement: str) -> list | None:
        """The object ids of the types of its columns; None if it is refused."""
        wire = self.connection.pgconn
        if wire.prepare(b"", statement.encode()).status != psycopg.pq.ExecStatus.COMMAND_OK:
            return None
        described = wire.describe_prepared(b"")
        return [described.ftype(at) for at in range(described.nfields)]

    def value(self, oid: int, plain: bool = False) -> str | None:
        """A NULL of a type, or something else where that is asked for."""
        if oid in ANY:
            return ANY[oid]
        known = {23: "1", 16: "true"} if plain else {}
        return known.get(oid) or (f"NULL::{self.types[oid]}" if oid in self.types else None)

    def call(self, function: tuple, plain: bool = False) -> str | None:
        """The expression that calls it; None if it takes something that is no type here."""
        _, name, kind, _, _, _, _, _, taken, variadic, *_, aggregate, direct = function
        values = [self.value(oid, plain) for oid in taken]
        if None in values:
            return None
        if variadic and kind != "a":
            values[-1] = self.value(variadic) or "NULL::integer"
        written = f"{name}({', '.join(values)})"
        if name in WORDS:
            written = name
        elif aggregate in ("o", "h"):
            written = f"{name}({', '.join(values[:direct])}) WITHIN GROUP (ORDER BY {', '.join(values[direct:])})"
        elif kind == "a" and not values:
            written = f"{name}(*)"
        if kind == "w":
            written += " OVER ()"
        return written

    def result(self, function: tuple) -> int | None:
        """What a function of PostgreSQL's gives here; None if there is none."""
        name, gives_rows, result = function[1], function[4], function[7]
        for plain in (False, True):
            call = self.call(function, plain)
            if call is None:
                return None
            columns = " AS t(a integer)" if name.endswith("recordset") else ""
            found = self.results(f"SELECT * FROM {call}{columns}" if gives_rows else f"SELECT {call}")
            if found:
                return result if result in ANY else found[0]
        return None

    def operation(self, row: tuple) -> str | None:
        """The expression in which an operator stands."""
        _, name, left, right, *_ = row
        sides = [self.value(oid) for oid in (left, right) if oid]
        return None if None in sides else f" {name} ".join(sides) if left else f"{name} {sides[0]}"

    def operator(self, row: tuple) -> int | None:
        call = self.operation(row)
        found = call and self.results(f"SELECT {call}")
        return found and (row[4] if row[4] in ANY else found[0])


def line(values) -> str:
    def text(value) -> str:
        match value:
            case None:
                return ""
            case bool():
                return "t" if value else "f"
            case list():
                return " ".join(text(item) or "-" for item in value)
            case _:
                return str(value)
    return "\t".join(text(value) for value in values)


def lists(ours: psycopg.Connection, theirs: psycopg.Connection) -> dict:
    """The lists by the names of their files, as lines."""
    asked = Asked(ours)
    titles = dict(theirs.execute("SELECT oid, format_type(oid, NULL) FROM pg_type").fetchall())
    have = {*asked.types, *ANY, *HANDLERS}
    families = {oid for oid, in ours.execute("SELECT oid FROM pg_opfamily")}
    operators = [(*row[:4], found, *row[5:]) for row in theirs.execute(OPERATORS) if (found := asked.operator(row))]
    known = {row[0] for row in operators}
    casts = [row for row in theirs.execute(CASTS)
             if {row[1], row[2]} <= have and asked.results(f"SELECT ({asked.value(row[1])})::{asked.types[row[2]]}")]
    support = [row for row in theirs.execute(SUPPORT) if row[2] in families and {row[3], row[4]} <= have and (row[0] == "function" or row[6] in known)]
    behind = {oid for oid, in theirs.execute(OF_TYPES, (sorted(have),))}
    behind |= {row[5] for row in operators} | {row[3] for row in casts if row[3]} | {row[6] for row in support if row[0] == "function"}
    functions = []
    for row in theirs.execute(FUNCTIONS).fetchall():
        found = asked.result(row)
        if found is None and row[0] not in behind:
            continue
        oid, name, kind, strict, rows, volatile, parallel, result, *rest, arguments, identity, gives, aggregate, direct = row
        if found and found != result and result != RECORD:
            result, gives = found, titles[found]
        functions.append((oid, name, kind, found is not None, strict, rows, volatile, parallel, result, gives, *rest, arguments,
                          identity if identity != arguments else None, aggregate, direct))
    described = {1255: {row[0] for row in functions}, 2617: known, 1247: have,
                 **{oid: {row[0] for row in ours.execute(f"SELECT oid FROM {name}")} for oid, name in
                    ((2601, "pg_am"), (2612, "pg_language"), (3456, "pg_collation"))}}
    words = [row for row in theirs.execute(DESCRIPTIONS) if row[1] in described[row[0]] and row[1] < UNPINNED]
    # A commutator or negator that is not had is none.
    operators = [(*row[:6], *(oid if oid in known else 0 for oid in row[6:8]), *row[8:]) for row in operators]
    return {name: [line(row) for row in rows] for name, rows in
            (("functions", functions), ("operators", operators), ("casts", casts), ("support", support),
             ("descriptions", words))}


def read(name: str) -> list:
    return (LISTS / f"{name}.tsv").read_text().splitlines()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="write the lists; otherwise say what differs")
    parser.add_argument("--ours", help="a server that runs, as libpq takes it")
    parser.add_argument("--theirs", help="the same of PostgreSQL")
    given = parser.parse_args()
    with psycopg.connect(given.ours, autocommit=True) as ours, psycopg.connect(given.theirs, autocommit=True) as theirs:
        found = lists(ours, theirs)
    differ = False
    for name, lines in found.items():
        if given.write:
            (LISTS / f"{name}.tsv").write_text("".join(f"{text}\n" for text in lines))
        elif lines != read(name):
            differ = True
            print(name, sorted({*lines} ^ {*read(name)}))
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
