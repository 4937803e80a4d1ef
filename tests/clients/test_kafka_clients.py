"""kcat, kafka-python, aiokafka and kafkajs, as they are."""

import asyncio
import contextlib
import ipaddress
import json
import shutil
import socket
import struct
import subprocess
import time

import pytest
from confluent_kafka import KafkaError

import drivers
import kafkas
import test_kafka_hostile as hostile

OFFSET_FOR_LEADER_EPOCH = 23

kafka = pytest.importorskip("kafka")
aiokafka = pytest.importorskip("aiokafka")


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


@pytest.fixture
def topic():
    return kafkas.fresh_name("client")


# kcat


def kcat(server, *arguments, stdin=b"", mechanism="SCRAM-SHA-256", password=None, protocol="SASL_PLAINTEXT", more=()):
    known = server.credentials
    settings = {"security.protocol": protocol, "sasl.mechanism": mechanism, "sasl.username": known["user"],
                "sasl.password": known["password"] if password is None else password}
    said = [part for name, value in settings.items() for part in ("-X", f"{name}={value}")]
    command = ["kcat", "-b", kafkas.address(server), *said, *more, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=kafkas.WAIT_SECONDS, check=False)


needs_kcat = drivers.needs(shutil.which("kcat") is not None, "kcat")


@needs_kcat
@pytest.mark.parametrize("codec", kafkas.CODECS)
def test_kcat_writes_and_reads(server, topic, codec):
    lines = b"".join(b"%d\n" % number for number in range(1_000))
    written = kcat(server, "-t", topic, "-P", "-z", codec, stdin=lines)
    assert written.returncode == 0, written.stderr
    read = kcat(server, "-t", topic, "-C", "-e", "-q")
    assert read.stdout == lines, read.stderr
    last = kcat(server, "-t", topic, "-C", "-o", "-3", "-e", "-q", "-f", "%p %o %s\n")
    assert last.stdout == b"0 997 997\n0 998 998\n0 999 999\n"


@needs_kcat
def test_kcat_lists(server, topic):
    kcat(server, "-t", topic, "-P", stdin=b"x\n")
    listed = json.loads(kcat(server, "-L", "-J").stdout)
    assert len(listed["brokers"]) == 1 and topic in [one["topic"] for one in listed["topics"]]


@needs_kcat
def test_kcat_reads_as_a_group(server, topic):
    kcat(server, "-t", topic, "-P", stdin=b"a\nb\n")
    read = kcat(server, "-G", kafkas.fresh_name("group"), "-c", "2", "-q", "-o", "beginning", topic, more=["-X", "auto.offset.reset=earliest"])
    assert read.stdout == b"a\nb\n", read.stderr


@needs_kcat
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_kcat_logs_in(server, mechanism, protocol):
    more = ["-X", f"ssl.ca.location={server.data / 'tls.crt'}"]
    listed = kcat(server, "-L", mechanism=mechanism, protocol=protocol, more=more)
    assert listed.returncode == 0 and b"broker 1" in listed.stdout, listed.stderr
    refused = kcat(server, "-L", "-m", "5", mechanism=mechanism, protocol=protocol, password="wrong", more=more)
    assert refused.returncode != 0 and b"broker 1" not in refused.stdout


def own_address() -> str | None:
    """An address of this machine that others could reach. Nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
        return None if ipaddress.ip_address(address).is_loopback else address


@needs_kcat
@pytest.mark.skipif(own_address() is None, reason="this machine has no address that others could reach")
def test_a_password_is_not_told_where_others_could_listen():
    """PLAIN, in the clear, at an address that is not of this machine alone. Over TLS it is told, and SCRAM does not tell it."""
    with kafkas.start(kafka=f"{own_address()}:0") as server:
        assert kafkas.address(server).startswith(own_address())
        more = ["-X", f"ssl.ca.location={server.data / 'tls.crt'}", "-X", "ssl.endpoint.identification.algorithm=none"]
        for protocol, mechanism in [("SASL_PLAINTEXT", "SCRAM-SHA-256"), ("SASL_SSL", "SCRAM-SHA-256"), ("SASL_SSL", "PLAIN")]:
            listed = kcat(server, "-L", mechanism=mechanism, protocol=protocol, more=more)
            assert listed.returncode == 0 and b"broker 1" in listed.stdout, listed.stderr
        # Which is not worth a second attempt, but librdkafka makes them until its time is up.
        refused = kcat(server, "-L", "-m", "2", mechanism="PLAIN", more=more)
        assert refused.returncode != 0 and b"broker 1" not in refused.stdout and b"mechanism" in refused.stderr, refused
        # Nor is one let in that tells it without being asked, with and without a word of the other way before.
        said = "\0{user}\0{password}".format(**server.credentials).encode()
        for before in (None, b"PLAIN", b"SCRAM-SHA-256"):
            with hostile.connect(server) as connection:
                if before:
                    connection.sendall(hostile.frame(hostile.SASL_HANDSHAKE, 1, struct.pack(">h", len(before)) + before))
                    error, count = struct.unpack(">hi", hostile.answer(connection)[4:10])
                    assert (error, count) == (KafkaError.UNSUPPORTED_SASL_MECHANISM if before == b"PLAIN" else 0, 2)
                connection.sendall(hostile.frame(hostile.SASL_AUTHENTICATE, 0, struct.pack(">i", len(said)) + said))
                told = hostile.answer(connection)
                assert told is None or told[4:6] == struct.pack(">h", KafkaError.SASL_AUTHENTICATION_FAILED), told


@needs_kcat
def test_nobody_comes_in_without_a_login(server):
    refused = subprocess.run(["kcat", "-b", kafkas.address(server), "-L", "-m", "5"], capture_output=True, timeout=kafkas.WAIT_SECONDS, check=False)
    assert refused.returncode != 0 and b"broker 1" not in refused.stdout


# kafka-python


def test_kafka_python_writes_and_reads(server, topic):
    admin = kafka.KafkaAdminClient(**kafkas.python(server))
    admin.create_topics([kafka.admin.NewTopic(topic, 2, 1)])
    producer = kafka.KafkaProducer(**kafkas.python(server, compression_type="gzip"))
    sent = [producer.send(topic, value=b"%d" % number, key=b"key", headers=[("h", b"1")]) for number in range(500)]
    producer.flush(kafkas.WAIT_SECONDS)
    assert [one.get(kafkas.WAIT_SECONDS).offset for one in sent] == list(range(500))
    producer.close()
    group = kafkas.fresh_name("group")
    reader = kafka.KafkaConsumer(topic, **kafkas.python(server, group_id=group, auto_offset_reset="earliest", consumer_timeout_ms=10_000))
    values = []
    for message in reader:
        values.append(message.value)
        if len(values) == 500:
            break
    assert values == [b"%d" % number for number in range(500)]
    reader.commit()
    places = sorted(reader.assignment())
    assert sum(reader.end_offsets(places).values()) == 500
    assert sum(reader.committed(place) or 0 for place in places) == 500
    reader.close()
    assert topic in admin.list_topics()
    admin.close()


def test_places_of_a_group_are_deleted(server, topic):
    admin = kafka.KafkaAdminClient(**kafkas.python(server))
    admin.create_topics([kafka.admin.NewTopic(topic, 3, 1)])
    group, places = kafkas.fresh_name("group"), [kafka.TopicPartition(topic, partition) for partition in range(3)]
    reader = kafka.KafkaConsumer(**kafkas.python(server, group_id=group, enable_auto_commit=False))
    reader.assign(places)
    reader.commit({place: kafka.OffsetAndMetadata(7 + place.partition, "", -1) for place in places})
    kept = lambda: {place.partition: found.offset for place, found in admin.list_group_offsets([group])[group].items() if found.offset >= 0}
    assert kept() == {0: 7, 1: 8, 2: 9}
    deleted = admin.delete_group_offsets(group, [places[1], kafka.TopicPartition(topic, 9)])
    assert deleted[places[1]] is kafka.errors.NoError, deleted
    assert kept() == {0: 7, 2: 9} and reader.committed(places[1]) is None
    with pytest.raises(kafka.errors.GroupIdNotFoundError):
        admin.delete_group_offsets(kafkas.fresh_name("group"), places)
    # Those of a topic that a member reads are not taken from it.
    reader.unsubscribe()
    reader.subscribe([topic])
    deadline = time.monotonic() + kafkas.WAIT_SECONDS
    while reader.assignment() != set(places):
        assert time.monotonic() < deadline
        reader.poll(100)
    deleted = admin.delete_group_offsets(group, places[:1])
    assert deleted == {places[0]: kafka.errors.GroupSubscribedToTopicError}
    assert kept() == {0: 7, 2: 9}
    reader.close()
    admin.close()


def test_where_an_epoch_ends(server, topic):
    """OffsetForLeaderEpoch: there has been one leader, so its epoch goes to the end, and whoever knows another one is told so."""
    producer = kafka.KafkaProducer(**kafkas.python(server))
    for _ in range(5):
        producer.send(topic, b"x").get(kafkas.WAIT_SECONDS)
    producer.close()
    with hostile.logged_in(server) as connection:
        def ask(partition: int, current: int, epoch: int) -> tuple:
            body = struct.pack(">ih", 1, len(topic)) + topic.encode() + struct.pack(">iiii", 1, partition, current, epoch)
            connection.sendall(hostile.frame(OFFSET_FOR_LEADER_EPOCH, 2, body))
            # Error, partition, epoch, its end.
            return struct.unpack(">hiiq", hostile.answer(connection)[-18:])

        assert ask(0, 0, 0) == ask(0, -1, 0) == (0, 0, 0, 5)
        assert ask(0, 0, 3) == (0, 0, -1, -1)
        assert ask(0, 1, 0)[0] == KafkaError.UNKNOWN_LEADER_EPOCH
        assert ask(9, 0, 0)[0] == KafkaError.UNKNOWN_TOPIC_OR_PART


# aiokafka


def test_aiokafka_writes_and_reads(server, topic):
    async def run():
        producer = aiokafka.AIOKafkaProducer(enable_idempotence=True, compression_type="lz4", **kafkas.python(server))
        await producer.start()
        for number in range(200):
            await producer.send(topic, b"%d" % number)
        await producer.flush()
        await producer.stop()
        group = kafkas.fresh_name("group")
        reader = aiokafka.AIOKafkaConsumer(topic, group_id=group, auto_offset_reset="earliest", **kafkas.python(server))
        await reader.start()
        values = [(await asyncio.wait_for(reader.getone(), kafkas.WAIT_SECONDS)).value for _ in range(200)]
        await reader.commit()
        kept = await reader.committed(next(iter(reader.assignment())))
        await reader.stop()
        return values, kept

    values, kept = asyncio.run(run())
    assert values == [b"%d" % number for number in range(200)] and kept == 200


def test_aiokafka_commits_transactions(server, topic):
    async def run():
        producer = aiokafka.AIOKafkaProducer(transactional_id=kafkas.fresh_name("transaction"), **kafkas.python(server))
        await producer.start()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"kept")
        with pytest.raises(ZeroDivisionError):
            async with producer.transaction():
                await producer.send_and_wait(topic, b"gone")
                raise ZeroDivisionError
        async with producer.transaction():
            await producer.send_and_wait(topic, b"kept too")
        await producer.stop()
        reader = aiokafka.AIOKafkaConsumer(topic, isolation_level="read_committed", auto_offset_reset="earliest", **kafkas.python(server))
        await reader.start()
        values = [(await asyncio.wait_for(reader.getone(), kafkas.WAIT_SECONDS)).value for _ in range(2)]
        await reader.stop()
        return values

    assert asyncio.run(run()) == [b"kept", b"kept too"]


# kafkajs


FOLDER = drivers.HERE / "node"


@drivers.needs(shutil.which("node") is not None and (FOLDER / "node_modules" / "kafkajs").is_dir(), "Node or no `kafkajs`")
def test_kafkajs_writes_and_reads(server, topic):
    known = server.credentials
    place = {"broker": kafkas.address(server), "username": known["user"], "password": known["password"], "topic": topic}
    told = drivers.told("node", FOLDER / "kafka.mjs", json.dumps(place))
    assert told == {
        "created": True, "written": 100, "read": 100, "headers": "1", "described": "Stable", "low": 0, "high": 100,
        "transaction": ["kept"], "deleted": True,
    }
