"""Topics that are acknowledged from the page cache: `polder up --topics-sync page-cache`."""

import re

import requests
from confluent_kafka import Consumer, Producer, TopicPartition

import kafkas
import polder

RECORDS = 60


def syncs(server) -> int:
    told = requests.get(f"{server.url}/metrics", timeout=polder.SOON_SECONDS).text
    return int(float(re.search(r"^polder_log_syncs_total (\S+)$", told, re.M).group(1)))


def one_by_one(server, topic: str) -> None:
    """Each record is waited for, so that none shares the sync of another."""
    producer = Producer(kafkas.librdkafka(server, acks="all", linger_ms=0))
    for number in range(RECORDS):
        failures = []
        producer.produce(topic, str(number).encode(), partition=0, on_delivery=lambda error, _: failures.append(error))
        producer.flush(kafkas.WAIT_SECONDS)
        assert failures == [None]


def read(server, topic: str) -> list:
    consumer = Consumer(kafkas.librdkafka(server, group_id=topic, enable_auto_commit=False))
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = [int(message.value()) for message in consumer.consume(RECORDS, kafkas.WAIT_SECONDS)]
    consumer.close()
    return found


def test_a_kill_loses_nothing_and_few_syncs_are_waited_for():
    with kafkas.start(None, "--topics-sync", "page-cache") as server:
        one_by_one(server, "cached")
        assert syncs(server) < RECORDS / 2
        server.kill()
        server.start()
        assert read(server, "cached") == list(range(RECORDS))


def test_by_default_each_is_on_the_disk():
    with kafkas.start() as server:
        one_by_one(server, "synced")
        assert syncs(server) >= RECORDS
