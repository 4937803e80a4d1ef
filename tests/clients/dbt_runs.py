"""dbt as it is run by a shop: its commands on Polder and on PostgreSQL, and what is in the tables of both afterwards."""

import difflib
import os
import pathlib
import pprint
import re
import shutil

import dbt_command
import drivers
import raw_postgres as raw

PROJECT = drivers.HERE / "dbt"
RUN_SECONDS = 600

# Of the moment in which dbt ran.
SPELL = {"dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_scd_id"}
CLOCK_COLUMNS = {"log": {"at"}, "order_states": {"dbt_updated_at"}, "order_checks": SPELL, "order_ends": SPELL,
                 "order_stays": {"dbt_updated_at", "valid_from", "valid_to", "dbt_scd_id"}}
# To whom models are granted.
READER = "shop_reader"


class Shop:
    """A copy of the project, and one of the servers that it is run on."""

    def __init__(self, folder: pathlib.Path, place: drivers.Place):
        self.folder, self.place = folder, place
        shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
        self.environment = {
            **os.environ, "SHOP_HOST": place.host, "SHOP_PORT": str(place.port), "SHOP_USER": place.user, "SHOP_PASSWORD": place.password or "none",
            "SHOP_DATABASE": place.database, "DBT_PROFILES_DIR": str(folder), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "TZ": "UTC",
        }

    def start(self, until: str, *command: str) -> dbt_command.Command:
        return dbt_command.Command(self.folder, {**self.environment, "SHOP_UNTIL": until}, ["--no-use-colors", *command])

    def connection(self) -> raw.Raw:
        return raw.Raw(self.place.host, self.place.port).login(self.place.user, self.place.password, database=self.place.database)


def dbt(shops: dict, until: str, *command: str, fails: bool = False) -> dict:
    """Runs a command of dbt's on each server, at the same time, on a day; what each said."""
    running = {name: shop.start(until, *command) for name, shop in shops.items()}
    ended = {name: process.end(RUN_SECONDS) for name, process in running.items()}
    for name, (code, said) in ended.items():
        assert code is not None, f"dbt {' '.join(command)} at {name} does not end:\n{said[-4000:]}"
        assert (code != 0) == fails, f"dbt {' '.join(command)} at {name} ended with {code}:\n{said[-6000:]}"
    return {name: said for name, (_, said) in ended.items()}


COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, c.relkind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = '{schema}' AND c.relkind IN ('r', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum"""

COMMENTS = """
    SELECT c.relname, coalesce(a.attname, ''), d.description
    FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
    WHERE n.nspname = '{schema}' ORDER BY 1, 2"""


# Who may do what, and what is kept of each table.
PROMISES = """
    SELECT c.relname, c.relpersistence, o.contype, o.conkey::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint o ON o.conrelid = c.oid AND o.contype <> 'u'
    WHERE n.nspname = '{schema}' AND c.relkind IN ('r', 'v', 'm') ORDER BY 1, 2, 3, 4"""
GRANTS = "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE table_schema = '{schema}' AND grantee = '{reader}' ORDER BY 1, 2"


def plain(kind: str) -> str:
    """A type. Numbers that PostgreSQL gives no scale have one here."""
    return re.sub(r"^numeric\(\d+,\d+\)$", "numeric", kind)


def same(ours, theirs, where: str) -> None:
    """Fails with the lines in which two things differ."""
    if ours != theirs:
        texts = [pprint.pformat(thing, width=160).splitlines() for thing in (theirs, ours)]
        raise AssertionError(f"{where} is another\n" + "\n".join(difflib.unified_diff(*texts, "PostgreSQL", "Polder", lineterm="", n=1)))


def told(connection: raw.Raw, sql: str) -> list:
    return [tuple(value if value is None else value.decode() for value in row) for row in connection.rows(sql)]


def contents(shop: Shop, schema: str) -> dict:
    """What a schema holds: of each table and view its columns, their types, and its rows, sorted."""
    with shop.connection() as connection:
        columns: dict = {}
        for table, name, kind, *more in told(connection, COLUMNS.format(schema=schema)):
            columns.setdefault(table, []).append((name, plain(kind), *more))
        found = {}
        for table, known in columns.items():
            names = ", ".join(f'"{name}"' for name, *_ in known if name not in CLOCK_COLUMNS.get(table, ()))
            rows = told(connection, f'SELECT {names} FROM "{schema}"."{table}"')
            found[table] = {"columns": known, "rows": sorted(rows, key=repr)}
        found[""] = [told(connection, sql.format(schema=schema, reader=READER)) for sql in (COMMENTS, PROMISES, GRANTS)]
        return found
