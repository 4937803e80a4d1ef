"""Starts the release binary and talks to it, as a user's program would."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
import urllib.parse

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Bounds for what hangs: a machine may be busy with much else.
READY_SECONDS = 120
STOP_SECONDS = 60
SOON_SECONDS = 60


def binary() -> pathlib.Path:
    """The release binary: `POLDER_BINARY`, or the one in cargo's target folder."""
    named = os.environ.get("POLDER_BINARY")
    if named:
        return pathlib.Path(named)
    cache = pathlib.Path(os.environ.get("POLDER_CACHE", pathlib.Path.home() / ".cache" / "polder"))
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", cache / "target"))
    return target / "release" / "polder"


def environment(extra=None) -> dict:
    """The test's environment without settings of the person who runs it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLDER_")}
    kept.update({"RUST_BACKTRACE": "1", **(extra or {})})
    return kept


def run(*arguments, stdin=None, timeout=300, env=None, cwd=None) -> subprocess.CompletedProcess:
    """Runs the binary to its end. `stdin` is bytes, text or None."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    return subprocess.run(
        [str(binary()), *map(str, arguments)], input=stdin if stdin is not None else b"", capture_output=True,
        timeout=timeout, env=environment(env), cwd=cwd, check=False)


class Failed(Exception):
    """An error that Polder answered with."""

    def __init__(self, status: int, error: dict):
        super().__init__(f"{status} {error.get('code')} {error.get('message')}")
        self.status = status
        self.kind = error.get("kind")
        self.code = error.get("code")
        self.message = error.get("message")
        self.hint = error.get("hint")
        self.line = error.get("line")
        self.column = error.get("column")
        self.request_id = error.get("request_id")


def raise_for(response: requests.Response) -> requests.Response:
    if response.status_code >= 400:
        try:
            error = response.json()["error"]
        except (ValueError, KeyError):
            raise Failed(response.status_code, {"code": None, "message": response.text[:500]}) from None
        raise Failed(response.status_code, error)
    return response


class Client:
    """One logged-in user of the HTTP API."""

    def __init__(self, url: str, timeout: float = 120):
        self.url = url
        self.timeout = timeout
        self.http = requests.Session()
        self.http.headers["X-Polder"] = "1"

    def request(self, method: str, path: str, **options) -> requests.Response:
        options.setdefault("timeout", self.timeout)
        return raise_for(self.http.request(method, f"{self.url}/api/v1{path}", **options))

    def get(self, path: str, **options):
        return self.request("GET", path, **options).json()

    def post(self, path: str, **options) -> requests.Response:
        return self.request("POST", path, **options)

    def login(self, user: str, password: str) -> "Client":
        self.post("/login", json={"user": user, "password": password})
        return self

    def run(self, sql: str, format: str = "json", **options) -> requests.Response:
        """Runs SQL and gives the whole response, with its headers."""
        return self.post("/statements", json={"sql": sql, "format": format, **options})

    def sql(self, sql: str, **options) -> list:
        """Runs SQL; rows as dictionaries."""
        response = self.run(sql, **options)
        return response.json() if response.content.strip() else []

    def value(self, sql: str, **options):
        """The only value of the only row."""
        rows = self.sql(sql, **options)
        assert len(rows) == 1 and len(rows[0]) == 1, rows
        return next(iter(rows[0].values()))

    def upload(self, name: str, data) -> str:
        return self.post(f"/uploads?name={urllib.parse.quote(name, safe='')}", data=data).json()["upload_id"]

    def load(self, **request) -> dict:
        """Starts a load and waits for its end: the last status."""
        load_id = self.post("/loads", json=request).json()["load_id"]
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            status = self.get(f"/loads/{load_id}")
            if status["state"] != "running":
                return status
            time.sleep(0.05)
        raise TimeoutError(f"the load {load_id} did not end")


class Server:
    """`polder up` on a data directory of its own."""

    def __init__(self, data=None, *arguments, env=None, kafka="127.0.0.1:0"):
        self.scratch = None if data else tempfile.mkdtemp(prefix="polder-test-")
        self.data = pathlib.Path(data) if data else pathlib.Path(self.scratch) / "data"
        self.arguments = [str(argument) for argument in arguments]
        self.env = env or {}
        self.process = None
        self.url = None
        self.postgres = self.aws = None
        self.kafka, self.kafka_wanted = None, kafka
        self.log_path = pathlib.Path(tempfile.mkstemp(prefix="polder-test-", suffix=".log")[1])
        self.ready_seconds = None

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
        self.log_path.unlink(missing_ok=True)

    def launch(self, env=None) -> "Server":
        """Starts the process and does not wait for it."""
        (self.data / "endpoints.json").unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [str(binary()), "up", "--data", str(self.data), "--http", "127.0.0.1:0", "--postgres", "127.0.0.1:0",
                 *([] if "--kafka" in self.arguments else ["--kafka", self.kafka_wanted]),
                 *([] if "--aws" in self.arguments else ["--aws", "127.0.0.1:0"]), *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment({**self.env, **(env or {})}))
        return self

    def start(self, env=None) -> "Server":
        started = time.monotonic()
        self.launch(env)
        if not self.wait_ready():
            raise RuntimeError(f"polder up ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        self.ready_seconds = time.monotonic() - started
        return self

    def wait_ready(self) -> bool:
        """True once the server answers, False if it ended before."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            with contextlib.suppress(OSError, ValueError, KeyError, requests.RequestException):
                endpoints = json.loads((self.data / "endpoints.json").read_text())
                self.url = f"http://{endpoints['http']}"
                self.postgres = endpoints.get("postgres")
                self.kafka = endpoints.get("kafka")
                self.aws = endpoints.get("aws")
                if requests.get(f"{self.url}/healthz", timeout=SOON_SECONDS).status_code == 200:
                    return True
            time.sleep(0.005)
        self.kill()
        raise TimeoutError(f"polder up was not ready within {READY_SECONDS} s:\n{self.log()[-4000:]}")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        code = self.process.returncode
        self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL, as when the power goes."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> "Server":
        self.stop()
        return self.start()

    @property
    def credentials(self) -> dict:
        return tomllib.loads((self.data / "credentials.toml").read_text())

    def client(self) -> Client:
        known = self.credentials
        return Client(self.url).login(known["user"], known["password"])

    def cli(self, command: str, *arguments, **options) -> subprocess.CompletedProcess:
        """`polder COMMAND --data … ARGUMENTS`, which finds this server by its directory."""
        options["env"] = {**self.env, **options.get("env", {})}
        return run(command, "--data", self.data, *self.directory_arguments(), *arguments, **options)

    def directory_arguments(self) -> list:
        """Those of our own arguments that say where the directory's parts are."""
        kept, arguments = [], list(self.arguments)
        while arguments:
            argument = arguments.pop(0)
            if argument in ("--metastore", "--tables"):
                kept += [argument, arguments.pop(0)]
        return kept

    def load(self, *arguments, **options) -> dict:
        """`polder load … --json`: the report of the load's last status."""
        done = self.cli("load", *arguments, "--json", **options)
        assert done.returncode == 0, (done.stderr + done.stdout).decode(errors="replace")
        return json.loads(done.stdout)["report"]

    def memory_bytes(self, field: str = "VmRSS") -> int:
        """Resident memory, or its peak with `VmHWM`."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"no {field} of process {self.process.pid}")


def free_port() -> int:
    """A port that nobody has, and that nobody is given who asks for any: those are higher. Many ask while tests run."""
    while True:
        port = random.randrange(10_000, 32_768)
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
