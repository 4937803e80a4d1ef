"""Runs moto's own tests of Kinesis and Firehose, which are not part of this repository, at a server that is running.

    python tests/clients/moto_suite.py FOLDER [--endpoint http://127.0.0.1:7466] [--only tests/test_kinesis …]

`FOLDER` is a checkout of github.com/getmoto/moto, or of its `tests` alone; it takes `moto[server]`, pytest and freezegun. Without `--endpoint`
a server of the binary is started. moto resets its own server before each test: here the streams are deleted, and the one stream is
made that tests of Firehose read without making it. `moto_excluded.txt` has the tests that
are known to fail, each with its reason; those whose reason begins with "outside:" ask another service than these two, or nobody but moto, and
are left out of the count, whatever came of them. The exit code is 1 if another one fails, or if less than 90 of 100 of Kinesis or 80 of 100 of
Firehose pass.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
EXCLUDED = HERE / "moto_excluded.txt"
WANTED = {"test_kinesis": 0.90, "test_firehose": 0.80}
SUITE_SECONDS = 1800

# What pytest is given besides the suite: each test begins without streams.
CONFTEST = '''
import os

import boto3
import pytest


def connect(service):
    return boto3.client(service, endpoint_url=os.environ["TEST_SERVER_MODE_ENDPOINT"], region_name="us-east-1",
                        aws_access_key_id="none", aws_secret_access_key="none")


@pytest.fixture(autouse=True)
def no_streams(request):
    firehose, kinesis = connect("firehose"), connect("kinesis")
    for name in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"]:
        firehose.delete_delivery_stream(DeliveryStreamName=name)
    for page in kinesis.get_paginator("list_streams").paginate():
        for name in page["StreamNames"]:
            kinesis.delete_stream(StreamName=name, EnforceConsumerDeletion=True)
    if "test_firehose" in request.node.nodeid:
        kinesis.create_stream(StreamName="test-datastream", ShardCount=1)
'''


def excluded() -> dict:
    """The reason of each test that is known to fail, by the end of its name."""
    lines = [line for line in EXCLUDED.read_text().splitlines() if line and not line.startswith("#")]
    return dict(tuple(part.strip() for part in line.split(" # ", 1)) for line in lines)


def outcomes(folder: pathlib.Path, endpoint: str, only: list) -> dict:
    """What came of each test: "" when it passed, or the first line of what was wrong. Those that were skipped are left out."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "streams_go_first.py").write_text(CONFTEST)
        report = scratch / "report.xml"
        environment = {
            **os.environ, "TEST_SERVER_MODE": "true", "TEST_SERVER_MODE_ENDPOINT": endpoint, "MOTO_CALL_RESET_API": "false",
            "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": f"{scratch}:{folder}",
        }
        subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-p", "streams_go_first",
                        f"--junit-xml={report}", *only], cwd=folder, env=environment, timeout=SUITE_SECONDS, check=False)
        found = {}
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            if case.find("skipped") is not None:
                continue
            wrong = next((part for kind in ("failure", "error") if (part := case.find(kind)) is not None), None)
            message = "" if wrong is None else (wrong.get("message") or wrong.text or "failed").strip().splitlines()[0]
            found[f"{case.get('classname')}::{case.get('name')}"] = message
        return found


@contextlib.contextmanager
def server(endpoint: str | None):
    if endpoint:
        yield endpoint
        return
    import polder

    # Without a key of its own the server refuses streams into buckets. This one opens none.
    key = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    with polder.Server(None, "--auth", "trust", env=key) as started:
        yield f"http://{started.aws}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--endpoint", help="a server that lets everybody in, whose streams will be deleted")
    parser.add_argument("--only", nargs="+", default=["tests/test_kinesis", "tests/test_firehose"], help="files or folders, as pytest takes them")
    options = parser.parse_args()
    with server(options.endpoint) as endpoint:
        found = outcomes(options.folder.resolve(), endpoint, options.only)
    known = excluded()
    reason_of = lambda name: next((reason for end, reason in known.items() if name.endswith(end)), "UNKNOWN")
    counted = {name: wrong for name, wrong in found.items() if not reason_of(name).startswith("outside:")}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("moto", "boto3"))
    print(f"\n{datetime.date.today()} ({versions})")
    missed = False
    for service, wanted in WANTED.items():
        of_service = {name: wrong for name, wrong in counted.items() if f".{service}." in f".{name}"}
        passed, count = sum(not wrong for wrong in of_service.values()), len(of_service)
        missed |= passed < wanted * count
        print(f"{service}: {passed} of {count} pass, {passed / max(1, count):.1%}")
    print(f"of all of them, with {len(found) - len(counted)} that are outside: {sum(not wrong for wrong in found.values())} of {len(found)}")
    for name, wrong in sorted(counted.items()):
        if wrong:
            missed |= reason_of(name) == "UNKNOWN"
            print(f"- {name}: {reason_of(name)}\n    {wrong[:300]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
