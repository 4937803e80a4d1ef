"""What runs beside Polder in the tests: DuckDB, PostgreSQL, an S3 server. Started here, on loopback, and stopped."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import duckdb
import duckdb_extensions

import polder

POSTGRES_MAJOR = 15
EXTENSIONS = ("ducklake", "sqlite_scanner", "postgres_scanner")


def connect_duckdb() -> duckdb.DuckDBPyConnection:
    """DuckDB with the extensions that its Python packages bring along; nothing is fetched.

    Their signatures are not looked at again for each connection: that takes longer than most tests' queries.
    """
    con = duckdb.connect(config={"autoinstall_known_extensions": "false", "allow_unsigned_extensions": "true"})
    for name in EXTENSIONS:
        duckdb_extensions.import_extension(name, con=con)
        con.execute(f"LOAD {name}")
    con.execute("SET TimeZone = 'UTC'")
    return con


def attach(con: duckdb.DuckDBPyConnection, data: pathlib.Path, metastore: str | None = None, name: str = "lake") -> None:
    """Attaches the catalog of a data directory and makes it the current one.

    `metastore` is the address of the PostgreSQL database when the catalog is not in the directory.
    """
    where = f"postgres:{metastore}" if metastore else f"sqlite:{data}/metastore.sqlite"
    con.execute(f"ATTACH 'ducklake:{where}' AS {name}")
    con.execute(f"USE {name}.public")


class Pair:
    """A running server, a logged-in client, and DuckDB attached anew to the same catalog for each use."""

    def __init__(self, server, metastore: str | None):
        self.server = server
        self.client = server.client()
        self.metastore = metastore
        self.looker = None

    def close(self) -> None:
        if self.looker is not None:
            self.looker.close()

    def look(self, sql: str) -> list:
        """As `read`, by a connection that stays: attaching takes longer than most queries."""
        if self.looker is None:
            self.looker = connect_duckdb()
            attach(self.looker, self.server.data, self.metastore)
        return self.looker.execute(sql).fetchall()

    @contextlib.contextmanager
    def duckdb(self):
        con = connect_duckdb()
        try:
            attach(con, self.server.data, self.metastore)
            yield con
        finally:
            con.close()

    def read(self, sql: str) -> list:
        with self.duckdb() as con:
            return con.sql(sql).fetchall()

    def write(self, *statements: str) -> None:
        """Runs statements in DuckDB, each a transaction by itself unless they say otherwise in one string.

        DuckDB may find the database locked while the server commits. Then only the statement that was refused is run
        again: those before it are committed.
        """
        for sql in statements:
            self.write_one(sql)

    def write_one(self, sql: str) -> None:
        deadline = time.monotonic() + polder.SOON_SECONDS
        while True:
            try:
                with self.duckdb() as con:
                    con.execute(sql)
                return
            except duckdb.Error as error:
                if "lock" not in str(error).lower() or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def rows(self, sql: str) -> list:
        return [tuple(row.values()) for row in self.client.sql(sql)]


class Postgres:
    """A PostgreSQL cluster in a temporary folder; it refuses to run as root, so it runs as another user then.

    `settings` are for its command line, such as `max_connections=300`.
    """

    def __init__(self, *settings: str):
        self.settings = [argument for setting in settings for argument in ("-c", setting)]
        # Others answer otherwise here and there: what Polder is compared with is the version that it says it is.
        self.bin = pathlib.Path(f"/usr/lib/postgresql/{POSTGRES_MAJOR}/bin")
        if not self.bin.is_dir():
            raise RuntimeError(f"there is no PostgreSQL {POSTGRES_MAJOR}: scripts/install test")
        self.port = polder.free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="polder-postgres-"))
        self.prefix = []
        if os.geteuid() == 0:
            user = next(name for name in ("postgres", "nobody") if self.is_user(name))
            shutil.chown(self.folder, user)
            self.prefix = ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]
        self.process = None
        self.databases = 0

    @staticmethod
    def is_user(name: str) -> bool:
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def call(self, program: str, *arguments) -> None:
        done = subprocess.run(
            [*self.prefix, str(self.bin / program), *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def __enter__(self) -> "Postgres":
        self.call("initdb", "--pgdata", str(self.folder / "data"), "--username", "polder", "--auth", "trust", "--no-sync",
                  "--data-checksums", "--encoding", "UTF8", "--locale", "C.UTF-8")
        return self.start()

    def start(self) -> "Postgres":
        self.process = subprocess.Popen(
            [*self.prefix, str(self.bin / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-h", "127.0.0.1",
             "-k", str(self.folder),
             # It is Polder that is killed here, never PostgreSQL: nothing of its own needs to be on the disk.
             "-c", "fsync=off", *self.settings], cwd=self.folder, stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("wb"))
        deadline = time.monotonic() + polder.READY_SECONDS
        while time.monotonic() < deadline:
            try:
                self.call("pg_isready", "-h", "127.0.0.1", "-p", str(self.port))
                return self
            except RuntimeError:
                time.sleep(0.1)
        raise TimeoutError(f"PostgreSQL was not ready within {polder.READY_SECONDS} s")

    def stop(self) -> None:
        # The "fast" shutdown: it does not wait for clients to leave.
        self.process.send_signal(signal.SIGINT)
        self.process.wait(polder.STOP_SECONDS)

    def __exit__(self, *_) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, template: str | None = None) -> tuple:
        """A new database, empty or a copy of one that nobody is connected to: its address as Polder takes it and as DuckDB takes it."""
        self.databases += 1
        name = f"polder_{self.databases}"
        copied = ["--template", template.rsplit("/", 1)[1]] if template else []
        self.call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "polder", *copied, name)
        return (
            f"postgres://polder@127.0.0.1:{self.port}/{name}",
            f"host=127.0.0.1 port={self.port} user=polder dbname={name}",
        )


class S3:
    """moto's server with one empty bucket."""

    bucket = "polder-test"

    def __init__(self):
        self.port = polder.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    @property
    def env(self) -> dict:
        """What Polder reads to find this server."""
        return {
            "AWS_ENDPOINT": self.url, "AWS_ENDPOINT_URL": self.url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
        }

    def client(self):
        import boto3

        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="testing",
                            aws_secret_access_key="testing")

    def __enter__(self) -> "S3":
        program = pathlib.Path(sys.executable).parent / "moto_server"
        self.process = subprocess.Popen([str(program), "-H", "127.0.0.1", "-p", str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + polder.READY_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/moto-api/", timeout=10).close()
                self.client().create_bucket(Bucket=self.bucket)
                return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        raise TimeoutError(f"the S3 server was not ready within {polder.READY_SECONDS} s")

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(polder.STOP_SECONDS)
