"""pgjdbc, unmodified, does at Polder what it does at PostgreSQL: see `java/`, which is compiled and run once for all tests."""

import pathlib
import shutil
import subprocess

import pytest

import drivers

# Where Debian's libpostgresql-jdbc-java puts it.
DRIVER = pathlib.Path("/usr/share/java/postgresql.jar")

pytestmark = drivers.needs(shutil.which("javac") is not None and DRIVER.is_file(), "Java compiler or no pgjdbc")

PROBES = [
    "connect", "settings", "transactions", "savepoints", "autosave", "read only", "isolation", "cancel", "timeouts", "listen",
    "fetch size", "scrolling", "cursors", "batches", "batches rewritten", "broken batches", "generated keys", "several statements",
    "prepared", "prepared while tables change", "calls", "copy", "broken copy", "errors",
    "values in text", "values in binary", "values in simple queries", "json", "wide numbers", "types of literals", "columns in text", "columns in binary",
    "large values", "moments",
    "catalogs", "schemas", "tables", "tables of some kinds", "columns", "columns of some names", "primary keys", "indexes", "foreign keys",
    "best row identifier", "types", "functions", "procedures", "privileges", "types of one's own", "limits", "where columns come from",
    "rows that are changed in place",
]

REPEATABLE_READ = 4

# What Polder does not do, or does in another way. Each is told in docs/clients.md.
DIFFERENCES = {
    "listen": "0A000",
    # Each transaction reads one snapshot.
    "connect": {"isolation": REPEATABLE_READ},
    # A column of one type has arrays of as many dimensions as the type says.
    **{f"values in {way}": {"integer[] 32": "22P02"} for way in ("text", "binary", "simple queries")},
    # The average of whole numbers is a float, and a decimal has the places of its column.
    "types of literals": {
        "avg(x) FROM generate_series(1, 2) AS s(x)": [["java.lang.Double", "1.5", "1.5"], "avg", "float8"],
        "CASE WHEN true THEN 1 ELSE 2.5 END": [["java.math.BigDecimal", "1.0", "1.0"], "case", "numeric"],
    },
}


@pytest.fixture(scope="module")
def outcomes(postgres, tmp_path_factory):
    classes = tmp_path_factory.mktemp("classes")
    sources = sorted((drivers.HERE / "java").glob("*.java"))
    compiled = subprocess.run(["javac", "-proc:none", "-Xlint:all", "-Werror", "-cp", DRIVER, "-d", classes, *sources],
                              capture_output=True, text=True, timeout=drivers.PROGRAM_SECONDS, check=False)
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    with drivers.both(postgres) as places:
        servers = [part for name, place in places.items() for part in (
            name, f"jdbc:postgresql://{place.host}:{place.port}/{place.database}", place.user, place.password)]
        # It lives for seconds: not worth compiling much, nor several threads that collect its garbage.
        java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Duser.timezone=Asia/Kolkata", "-Duser.language=en"]
        return drivers.told(*java, "-cp", f"{DRIVER}:{classes}", "Probes", *servers)


def test_all_probes_are_looked_at(outcomes):
    assert list(outcomes["polder"]) == list(outcomes["postgres"]) == PROBES


@pytest.mark.parametrize("name", PROBES)
def test_same_as_postgresql(outcomes, name):
    drivers.compare(name, outcomes, DIFFERENCES)
