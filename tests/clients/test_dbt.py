"""dbt builds a shop (`dbt/`) on Polder as on PostgreSQL: the same said, the same in the tables, the same in the catalog."""

import json
import re
import shutil

import pytest

import dbt_runs
import drivers
from dbt_runs import dbt, plain, same

SCHEMAS = ("shop", "shop_reports", "shop_dbt_test__audit")
# What the orders' states are of a later day is not known yet.
EARLY, LATE = "2024-01-04", "2024-01-09"
DAYS = ("--event-time-start", "2024-01-01", "--event-time-end", "2024-01-10")

# What each node came to, and how many rows that took: `OK created sql table model shop.orders  [SELECT 3 in 0.10s]`.
SAID = re.compile(r"\d+ of \d+ ((?!START)[A-Z]+.*?) \.*\s*\[(.*?) in [\d.]+s\]")


@pytest.fixture(scope="module")
def shops(postgres, tmp_path_factory):
    with drivers.both(postgres) as places:
        shops = {name: dbt_runs.Shop(tmp_path_factory.mktemp("shop") / name, place) for name, place in places.items()}
        for shop in shops.values():
            with shop.connection() as connection:
                connection.run(f"DROP ROLE IF EXISTS {dbt_runs.READER}")
                connection.run(f"CREATE ROLE {dbt_runs.READER}")
        yield shops


def same_said(said: dict) -> None:
    """Both built the same nodes, to the same ends. `INSERT 0 3` and `SELECT 3` are the servers' own words."""
    ours, theirs = (sorted(SAID.findall(said[name])) for name in ("polder", "postgres"))
    assert theirs, said["postgres"]
    assert ours == theirs


def same_contents(shops: dict) -> None:
    for schema in SCHEMAS:
        ours, theirs = (dbt_runs.contents(shops[name], schema) for name in ("polder", "postgres"))
        assert list(ours) == list(theirs)
        for table, wanted in theirs.items():
            same(ours[table], wanted, f"{schema}.{table}")


def test_builds(shops):
    """The first time; again with nothing new; a few days later; and from nothing. Each time both are compared whole."""
    same_said(dbt(shops, EARLY, "build", *DAYS))
    same_contents(shops)
    same_said(dbt(shops, EARLY, "build", *DAYS))
    same_contents(shops)
    same_said(dbt(shops, LATE, "build", *DAYS))
    same_contents(shops)
    same_said(dbt(shops, LATE, "build", "--full-refresh", *DAYS))
    same_contents(shops)


def described(about: dict) -> tuple:
    columns = [(name, plain(column["type"]), column["index"], column["comment"]) for name, column in about["columns"].items()]
    return about["metadata"]["type"], about["metadata"]["comment"], columns


def test_catalog(shops):
    """`dbt docs generate` finds the same relations, owners apart, with the same columns, types and comments."""
    dbt(shops, LATE, "docs", "generate")
    found = {}
    for name, shop in shops.items():
        catalog = json.loads((shop.folder / "target" / "catalog.json").read_text())
        assert not catalog["errors"]
        found[name] = {kind: {node: described(about) for node, about in catalog[kind].items()} for kind in ("nodes", "sources")}
    assert found["postgres"]["nodes"] and list(found["polder"]) == list(found["postgres"])
    for kind, nodes in found["postgres"].items():
        for node, wanted in nodes.items():
            same(found["polder"][kind].get(node), wanted, node)


def test_operations(shops):
    """A macro's queries, freshness, an analysis compiled, a query shown."""
    said = dbt(shops, LATE, "run-operation", "seen", "--args", "{relation: stg_orders}")
    seen = {name: re.findall(r"(?:seen|column) .*", text) for name, text in said.items()}
    assert seen["postgres"] and seen["polder"] == seen["postgres"]
    dbt(shops, LATE, "source", "freshness", "--select", "source:raw.log")
    shown = dbt(shops, LATE, "show", "--select", "best", "--output", "json")
    rows = {name: json.loads(text[text.index("{"):text.rindex("}") + 1])["show"] for name, text in shown.items()}
    assert rows["postgres"] and rows["polder"] == rows["postgres"]


def test_elsewhere(shops):
    """What is there is cloned into another schema; what failed there is tried again; and there is a schema whose tables have no rows."""
    for shop in shops.values():
        shutil.copytree(shop.folder / "target", shop.folder / "state")
    said = dbt(shops, LATE, "clone", "--target", "other", "--state", "state")
    ends = {name: re.findall(r"Done\. PASS=[1-9].*", text) for name, text in said.items()}
    assert ends["postgres"] and ends["polder"] == ends["postgres"]
    ours, theirs = (dbt_runs.contents(shops[name], "shop_other") for name in ("polder", "postgres"))
    same(ours, theirs, "shop_other")
    for shop in shops.values():
        (shop.folder / "models" / "marts" / "late.sql").write_text("select 1 / 0 as x")
    command = ("--select", "late", "prices", "--target", "other", "--defer", "--state", "state", "--favor-state")
    same_said(dbt(shops, LATE, "run", *command, fails=True))
    for shop in shops.values():
        (shop.folder / "models" / "marts" / "late.sql").write_text("select 1 as x")
    same_said(dbt(shops, LATE, "retry"))
    said = dbt(shops, LATE, "run", "--empty", "--full-refresh", "--target", "other", "--select", "stg_customers", "stg_payments", "inc_append")
    assert all("Completed successfully" in text for text in said.values())
    for shop in shops.values():
        (shop.folder / "models" / "marts" / "late.sql").unlink()
        with shop.connection() as connection:
            assert dbt_runs.told(connection, "SELECT count(*) FROM shop_other.inc_append") == [("0",)]


def test_failures(shops):
    """A test that finds rows, and a model that is none, fail at both; what was there before stays."""
    before = {name: dbt_runs.contents(shop, "shop") for name, shop in shops.items()}
    for shop in shops.values():
        (shop.folder / "tests" / "fails.sql").write_text("select order_id from {{ ref('orders') }}")
        (shop.folder / "models" / "marts" / "broken.sql").write_text("select order_id / 0 as x from {{ ref('orders') }}")
    for command, wrong in (("test", "Got 6 results"), ("run", "division by zero")):
        said = dbt(shops, LATE, command, "--select", "fails", "broken", fails=True)
        same_said(said)
        assert all(wrong in text for text in said.values()), said
    for name, shop in shops.items():
        found = dbt_runs.contents(shop, "shop")
        assert {**found, "log": None} == {**before[name], "log": None}
