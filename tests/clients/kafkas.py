"""Where Kafka's clients find a server, and how they log in."""

import itertools
import json
import time

import polder

NUMBERS = itertools.count(1)
WAIT_SECONDS = 60
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def start(data=None, *arguments, **options) -> polder.Server:
    """A server that Kafka's clients can reach; to be used with `with`."""
    return polder.Server(data, *arguments, **options)


def address(server) -> str:
    return json.loads((server.data / "endpoints.json").read_text())["kafka"]


def fresh_name(of: str) -> str:
    return f"{of}_{next(NUMBERS)}"


def librdkafka(server, **more) -> dict:
    """Settings of librdkafka; `more` with points instead of underscores."""
    known = server.credentials
    settings = {
        "bootstrap.servers": address(server), "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": known["user"], "sasl.password": known["password"],
    }
    return {**settings, **{name.replace("_", "."): value for name, value in more.items()}}


def python(server, **more) -> dict:
    """Settings of kafka-python."""
    known = server.credentials
    return {"bootstrap_servers": address(server), "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-256",
            "sasl_plain_username": known["user"], "sasl_plain_password": known["password"], **more}


def until(client, sql, wanted, seconds=30):
    """Waits until a query gives this value."""
    end, found = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            found = client.value(sql)
        except polder.Failed as failed:
            found = failed.code
        if found == wanted:
            return
        time.sleep(0.2)
    raise AssertionError(f"{sql}: {found!r} and not {wanted!r}")
