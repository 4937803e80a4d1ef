"""Topics, groups and what they hold are in a backup, which is made while Kafka's clients write."""

import threading

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import polder
from test_kafka_kills import settings


def read(server, count: int) -> list:
    consumer = Consumer(settings(server, **{"group.id": "other", "auto.offset.reset": "earliest"}))
    consumer.assign([TopicPartition("orders", 0, 0)])
    rows = []
    while len(rows) < count:
        messages = consumer.consume(1_000, 10)
        assert messages, f"{len(rows)} of {count}"
        rows += [(message.offset(), message.value().decode()) for message in messages if message.error() is None]
    consumer.close()
    return rows


def committed(server) -> int:
    consumer = Consumer(settings(server, **{"group.id": "billing"}))
    offset = consumer.committed([TopicPartition("orders", 0)], 10)[0].offset
    consumer.close()
    return offset


class Orders(threading.Thread):
    """Writes until it is told to stop."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.producer = Producer(settings(server, **{"enable.idempotence": True}))
        self.stopping, self.acknowledged = threading.Event(), []

    def run(self):
        number = len(self.acknowledged)
        while not self.stopping.is_set():
            self.producer.produce("orders", f"order {number}", partition=0,
                                  on_delivery=lambda error, message: error or self.acknowledged.append(message.offset()))
            number += 1
            self.producer.poll(0.001)
        assert not self.producer.flush(30)

    def end(self):
        self.stopping.set()
        self.join(60)


def test_a_backup_has_what_was_acknowledged_before(tmp_path):
    with polder.Server() as server:
        admin = AdminClient(settings(server))
        admin.create_topics([NewTopic("orders", 1)])["orders"].result(20)
        orders = Orders(server)
        orders.start()
        while len(orders.acknowledged) < 500:
            assert orders.is_alive()
        consumer = Consumer(settings(server, **{"group.id": "billing"}))
        consumer.commit(offsets=[TopicPartition("orders", 0, 77)], asynchronous=False)
        consumer.close()
        before = len(orders.acknowledged)
        done = server.cli("backup", tmp_path / "backup")
        assert done.returncode == 0, done.stderr
        orders.end()
        done = polder.run("restore", tmp_path / "backup", "--data", tmp_path / "elsewhere")
        assert done.returncode == 0, done.stderr
        server.stop()
        # Of a server that does not run, too.
        done = server.cli("backup", tmp_path / "later")
        assert done.returncode == 0, done.stderr
        done = polder.run("restore", tmp_path / "later", "--data", tmp_path / "all")
        assert done.returncode == 0, done.stderr
        wanted = {"elsewhere": before, "all": len(orders.acknowledged)}
        for name, count in wanted.items():
            with polder.Server(tmp_path / name) as restored:
                assert read(restored, count)[:count] == [(number, f"order {number}") for number in range(count)]
                assert committed(restored) == 77
                # And it goes on from there.
                producer = Producer(settings(restored))
                producer.produce("orders", "one more")
                assert not producer.flush(30)


def test_a_damaged_log_is_no_backup(tmp_path):
    with polder.Server() as server:
        producer = Producer(settings(server))
        # What comes later tells that what came before was on the disk, and is not merely the torn end of a crash.
        for number in range(1_000):
            producer.produce("orders", f"order {number}")
            if number % 100 == 0:
                assert not producer.flush(30)
        assert not producer.flush(30)
        assert server.cli("backup", tmp_path / "backup").returncode == 0
    segment = max((tmp_path / "backup" / "log").glob("*.segment"))
    content = bytearray(segment.read_bytes())
    place = content.index(b"order 500")
    content[place] ^= 1
    segment.write_bytes(content)
    done = polder.run("restore", tmp_path / "backup", "--data", tmp_path / "elsewhere")
    assert done.returncode != 0
    assert segment.name.encode() in done.stderr
