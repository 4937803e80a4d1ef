"""Topics made, changed and dropped in SQL, as Kafka's clients then see them."""

import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource

import kafkas
import polder

PASSWORD = "a long word to log in with"


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client()


@pytest.fixture(scope="module")
def admin(server):
    return AdminClient(kafkas.librdkafka(server))


def settings(admin, topic) -> dict:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    return {name: entry.value for name, entry in admin.describe_configs([resource])[resource].result(20).items()}


def partitions(admin, topic) -> int:
    return len(admin.list_topics(topic, timeout=20).topics[topic].partitions)


def refused(client, sql) -> str:
    with pytest.raises(polder.Failed) as failed:
        client.sql(sql)
    return failed.value.code


def test_a_topic_of_sql_is_one_of_kafkas(client, admin):
    client.run("CREATE TOPIC \"page-views\" PARTITIONS 3 WITH (\"retention.ms\" = 86400000, \"cleanup.policy\" = 'compact,delete')")
    assert partitions(admin, "page-views") == 3
    found = settings(admin, "page-views")
    assert found["retention.ms"] == "86400000"
    assert set(found["cleanup.policy"].split(",")) == {"compact", "delete"}

    client.run('ALTER TOPIC "page-views" PARTITIONS 5')
    client.run('ALTER TOPIC "page-views" SET ("retention.ms" = -1, "max.message.bytes" = 2000)')
    found = settings(admin, "page-views")
    assert (partitions(admin, "page-views"), found["retention.ms"], found["max.message.bytes"]) == (5, "-1", "2000")
    client.run('ALTER TOPIC "page-views" RESET ("retention.ms")')
    assert settings(admin, "page-views")["retention.ms"] == "604800000"
    assert client.value("SELECT owner FROM polder.topics WHERE topic_name = 'page-views'") == "polder"

    client.run('DROP TOPIC "page-views"')
    assert "page-views" not in admin.list_topics(timeout=20).topics


def test_what_is_refused_says_why(client):
    client.run("CREATE TOPIC there PARTITIONS 2")
    for sql, code in [
        ("CREATE TOPIC there", "42710"), ("CREATE TOPIC \"a/b\"", "42602"), ("CREATE TOPIC none PARTITIONS 0", "22023"),
        ("CREATE TOPIC none WITH (\"retention.ms\" = 'soon')", "22023"), ("CREATE TOPIC none WITH (\"retention\" = 1)", "22023"),
        ("ALTER TOPIC there PARTITIONS 2", "22023"), ("ALTER TOPIC there SET (\"retention.ms\" = 'x')", "22023"),
        ("ALTER TOPIC missing PARTITIONS 9", "42704"), ("DROP TOPIC missing", "42704"), ("DROP TOPIC there, missing", "42704"),
        ("CREATE TOPIC a.b", "42601"),
    ]:
        assert refused(client, sql) == code, sql
    names = [row["topic_name"] for row in client.sql("SELECT topic_name FROM polder.topics")]
    # DROP TOPIC takes effect one by one.
    assert "there" not in names and "none" not in names
    client.run("DROP TOPIC IF EXISTS there, missing")
    client.run("CREATE TOPIC there")
    client.run("CREATE TOPIC IF NOT EXISTS there")
    client.run("DROP TOPIC there")


def test_no_transaction_holds_it(server):
    host, port = server.postgres.rsplit(":", 1)
    known = server.credentials
    with psycopg.connect(host=host, port=port, user=known["user"], password=known["password"], dbname="polder") as connection:
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            connection.execute("CREATE TOPIC inside")
        connection.rollback()
        connection.autocommit = True
        assert connection.execute("CREATE TOPIC outside").statusmessage == "CREATE TOPIC"
        assert connection.execute("ALTER TOPIC outside PARTITIONS 4").statusmessage == "ALTER TOPIC"
        assert connection.execute("DROP TOPIC IF EXISTS outside, never").statusmessage == "DROP TOPIC"
        connection.execute("SET default_transaction_read_only = on")
        for sql in ["CREATE TOPIC inside", "CREATE JOB inside SCHEDULE '@daily' AS SELECT 1",
                    "CREATE DELIVERY inside FROM TOPIC inside INTO TABLE inside"]:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute(sql)


def test_whoever_may_not_makes_none_and_learns_nothing(server, client, admin):
    client.run(f"CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'")
    client.run("CREATE TOPIC secret")
    host, port = server.postgres.rsplit(":", 1)
    with psycopg.connect(host=host, port=port, user="stranger", password=PASSWORD, dbname="polder", autocommit=True) as stranger:
        for sql, code in [("CREATE TOPIC mine", "42501"), ("DROP TOPIC secret", "42704"), ("DROP TOPIC missing", "42704"),
                          ("ALTER TOPIC secret PARTITIONS 9", "42704"), ("ALTER TOPIC secret SET (\"retention.ms\" = 1)", "42704")]:
            with pytest.raises(psycopg.Error) as failed:
                stranger.execute(sql)
            assert failed.value.sqlstate == code, sql
        client.run("ALTER TOPIC secret OWNER TO stranger")
        stranger.execute('ALTER TOPIC secret SET ("retention.ms" = 5000)')
        assert settings(admin, "secret")["retention.ms"] == "5000"
        stranger.execute("DROP TOPIC secret")
    with pytest.raises(KafkaException):
        settings(admin, "secret")
