"""The functions, operators and casts of the system, as `pg_catalog` lists them: PostgreSQL's have its object ids and its words, and what
is listed as callable is.
"""

import psycopg
import pytest

import builtins_of_postgres as builtins
import drivers

# Below it PostgreSQL gives object ids by hand: they are the same in all versions.
BY_HAND = "oid < 10000"
LISTS = {
    "functions": f"""
        SELECT oid, proname::text, prokind::text, proisstrict, proretset, pronargs, pronargdefaults, provariadic, proargtypes::text, proallargtypes,
               proargmodes::text[], proargnames, pg_get_function_arguments(oid), pg_get_function_identity_arguments(oid), obj_description(oid, 'pg_proc')
        FROM pg_proc WHERE {BY_HAND} AND pronamespace = 'pg_catalog'::regnamespace""",
    "aggregates": f"SELECT oid, aggkind::text, aggnumdirectargs FROM pg_aggregate JOIN pg_proc ON oid = aggfnoid::oid WHERE {BY_HAND}",
    "operators": f"""
        SELECT oid, oprname::text, oprkind::text, oprleft, oprright, oprcode::oid, oprcode::text, oid::regoperator::text, oprcanmerge, oprcanhash,
               obj_description(oid, 'pg_operator')
        FROM pg_operator WHERE {BY_HAND}""",
    "casts": "SELECT castsource, casttarget, castfunc::oid, castfunc::regprocedure::text, castcontext::text, castmethod::text FROM pg_cast",
    "operators of families": "SELECT amopfamily, amoplefttype, amoprighttype, amopstrategy, amopopr, amopopr::regoperator::text FROM pg_amop WHERE amopmethod = 403",
    "functions of families": "SELECT amprocfamily, amproclefttype, amprocrighttype, amprocnum, amproc::oid, amproc::text FROM pg_amproc",
    "types": f"SELECT oid, typname::text, typtype::text, obj_description(oid, 'pg_type') FROM pg_type WHERE typrelid = 0 AND {BY_HAND}",
}
# As many at least, so that an empty list is no success.
AT_LEAST = {"functions": 1000, "aggregates": 80, "operators": 400, "casts": 120, "operators of families": 150, "functions of families": 30, "types": 70}
AT_ONCE = 60


@pytest.fixture(scope="module")
def ours(server):
    place = drivers.polders(server)
    with psycopg.connect(host=place.host, port=place.port, user=place.user, password=place.password, dbname=place.database, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def theirs(postgres):
    with psycopg.connect(postgres.database()[0], autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("name", LISTS)
def test_what_is_listed_is_postgresql_s(ours, theirs, name):
    found, wanted = ({str(row) for row in side.execute(LISTS[name])} for side in (ours, theirs))
    assert len(found) >= AT_LEAST[name]
    assert sorted(found - wanted) == []


def test_nothing_refers_to_what_is_not_there(ours):
    for table, column, to in (("pg_operator", "oprcode", "pg_proc"), ("pg_operator", "oprcom", "pg_operator"), ("pg_operator", "oprnegate", "pg_operator"),
                              ("pg_cast", "castfunc", "pg_proc"), ("pg_amproc", "amproc", "pg_proc"), ("pg_amop", "amopopr", "pg_operator"),
                              ("pg_type", "typinput", "pg_proc"), ("pg_type", "typsend", "pg_proc"), ("pg_proc", "prorettype", "pg_type"),
                              ("pg_operator", "oprresult", "pg_type"), ("pg_amop", "amopfamily", "pg_opfamily"), ("pg_aggregate", "aggfnoid", "pg_proc")):
        lost = ours.execute(f"SELECT {column}::oid FROM {table} WHERE {column}::oid <> 0 EXCEPT SELECT oid FROM {to}").fetchall()
        assert lost == [], (table, column)


def planned(asked: builtins.Asked, calls: dict) -> dict:
    """The types of what expressions give, by the expressions, asked for many at once."""
    found, listed = {}, [*calls]
    for at in range(0, len(listed), AT_ONCE):
        part = listed[at:at + AT_ONCE]
        results = asked.results(f"SELECT {', '.join(part)}")
        # One of them is refused: which one is seen when each is asked for by itself.
        results = results or [result for call in part for result in (asked.results(f"SELECT {call}") or [None])]
        found |= dict(zip(part, results, strict=True))
    return found


def test_what_is_listed_can_be_called(ours, theirs):
    asked = builtins.Asked(ours)
    listed = {int(line.split("\t", 1)[0]): line.split("\t") for line in builtins.read("functions")}
    calls = {}
    for row in theirs.execute(builtins.FUNCTIONS):
        known = listed.get(row[0])
        if known is None or known[3] == "f" or row[4]:
            continue
        calls[asked.call(row, plain=row[1] == "ntile")] = int(known[8])
    for line in builtins.read("operators"):
        oid, name, *types = line.split("\t")[:5]
        calls[asked.operation((oid, name, *map(int, types)))] = int(types[2])
    assert len(calls) > 950
    found = planned(asked, calls)
    # What a type stands for that takes others is another one.
    wrong = {call: (found[call], wanted) for call, wanted in calls.items() if found[call] != wanted and (wanted not in builtins.ANY or found[call] is None)}
    assert wrong == {}


def test_the_system_s_own_functions_say_what_they_take(ours):
    """Those that PostgreSQL has not: with types where there is a list of them."""
    rows = dict(ours.execute("""SELECT proname, array_agg(pg_get_function_arguments(oid) ORDER BY oid) FROM pg_proc
                                WHERE proname IN ('levenshtein', 'approx_distinct', 'make_array') GROUP BY 1""").fetchall())
    assert set(rows) == {"levenshtein", "approx_distinct", "make_array"}
    assert rows["levenshtein"] == ["text, text"] and rows["make_array"] == ['VARIADIC "any"']
    assert ours.execute("SELECT count(*) FROM pg_proc WHERE proname = 'levenshtein' AND obj_description(oid, 'pg_proc') LIKE '%distance%'").fetchone() == (1,)
