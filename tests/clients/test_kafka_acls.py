"""Rights on single topics: granted in SQL or as Kafka's access control lists, the same either way, and obeyed by every way in."""

import kafka
import kafka.admin
import kafka.errors
import psycopg
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
    ResourcePatternType, ResourceType,
)
from kafka.protocol.admin import client_quotas as quotas

import kafkas
import polder
from test_postgres_psycopg import address

PASSWORD = "a long word to log in with"
PEOPLE = ("ann", "bob", "eve")


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        for name in PEOPLE:
            server.client().sql(f"CREATE USER {name} PASSWORD '{PASSWORD}'")
        yield server


@pytest.fixture
def topic(server):
    """A topic with one record, of whose rights nothing has been said."""
    name = kafkas.fresh_name("orders")
    admin(server).create_topics([NewTopic(name, 1)])[name].result(20)
    producer = Producer(kafkas.librdkafka(server))
    producer.produce(name, b"100")
    assert not producer.flush(20)
    yield name
    if name in topics(server):
        admin(server).delete_topics([name])[name].result(20)


def settings(server, role=None, **more):
    known = kafkas.librdkafka(server, **more)
    return {**known, "sasl.username": role, "sasl.password": PASSWORD} if role else known


ADMINS = {}


def admin(server, role=None):
    """Kept: what a client was asked for ends with it."""
    key = server.kafka, role
    if key not in ADMINS:
        ADMINS[key] = AdminClient(settings(server, role))
    return ADMINS[key]


def topics(server, role=None):
    return {name for name in admin(server, role).list_topics(timeout=20).topics if not name.startswith("__")}


def hidden(server, role, topic):
    """Why somebody hears nothing of a topic."""
    return admin(server, role).list_topics(topic, timeout=20).topics[topic].error.code()


def read(server, role, topic, group=None):
    """The first record, or why there is none."""
    consumer = Consumer(settings(server, role, group_id=group or f"{role}.{topic}"))
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None, "nothing came, and no error"
    return message.error().code() if message.error() else message.value()


def written(server, role, topic):
    """`None` if a record was taken, else why not."""
    outcomes = []
    producer = Producer(settings(server, role, message_timeout_ms=5_000))
    producer.produce(topic, b"1", on_delivery=lambda error, _: outcomes.append(error))
    producer.flush(20)
    return outcomes[0].code() if outcomes[0] else None


def entry(topic, operation, principal="User:ann", kind=ResourceType.TOPIC, pattern=ResourcePatternType.LITERAL, host="*",
          permission=AclPermissionType.ALLOW):
    return AclBinding(kind, topic, pattern, principal, host, operation, permission)


def wanted(topic=None, principal=None, kind=ResourceType.TOPIC, pattern=ResourcePatternType.ANY, operation=AclOperation.ANY):
    return AclBindingFilter(kind, topic, pattern, principal, None, operation, AclPermissionType.ANY)


def seen(entries):
    return {(one.principal, one.operation.name) for one in entries}


def described(server, filter, role=None):
    return seen(admin(server, role).describe_acls(filter).result(20))


def create(server, binding, role=None):
    [outcome] = admin(server, role).create_acls([binding]).values()
    return outcome.result(20)


def refusal(call, *arguments, **options):
    with pytest.raises(KafkaException) as refused:
        call(*arguments, **options)
    return refused.value.args[0].code()


def test_granted_in_sql(server, topic):
    client = server.client()
    other = kafkas.fresh_name("secret")
    admin(server).create_topics([NewTopic(other, 1)])[other].result(20)
    assert topics(server, "ann") == set()
    client.sql(f'GRANT SELECT ON TOPIC "{topic}" TO ann')
    client.sql(f'GRANT INSERT ON TOPIC "{topic}" TO bob')
    assert topics(server, "ann") == {topic} and topics(server, "bob") == {topic} and topics(server, "eve") == set()
    assert read(server, "ann", topic) == b"100"
    assert written(server, "ann", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert written(server, "bob", topic) is None
    assert read(server, "bob", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    # What is there and what is not look alike to whoever may not know.
    for name in (other, "nosuch"):
        assert hidden(server, "ann", name) == KafkaError.TOPIC_AUTHORIZATION_FAILED
        deleted = admin(server, "ann").delete_topics([name])[name]
        assert refusal(deleted.result, 20) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert described(server, wanted(topic)) == {("User:polder", "ALL"), ("User:ann", "READ"), ("User:bob", "WRITE")}
    row = client.sql(f"SELECT owner, acl FROM polder.topics WHERE topic_name = '{topic}'")[0]
    assert row["owner"] == "polder" and set(row["acl"]) == {"polder=arU/polder", "ann=r/polder", "bob=a/polder"}
    client.sql(f'REVOKE SELECT ON TOPIC "{topic}" FROM ann')
    client.sql(f'REVOKE ALL ON TOPIC "{topic}" FROM bob')
    assert topics(server, "ann") == set() and topics(server, "bob") == set()
    assert hidden(server, "ann", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_topic_that_is_made_again_has_none_of_the_old_ones_rights(server, topic):
    client = server.client()
    client.sql(f'GRANT ALL ON TOPIC "{topic}" TO ann, PUBLIC')
    assert topics(server, "eve") == {topic}
    admin(server).delete_topics([topic])[topic].result(20)
    admin(server).create_topics([NewTopic(topic, 1)])[topic].result(20)
    assert topics(server, "ann") == set() and topics(server, "eve") == set()


def test_rights_outlive_a_restart(server, topic):
    server.client().sql(f'GRANT SELECT ON TOPIC "{topic}" TO ann')
    server.restart()
    assert topics(server, "ann") == {topic}
    assert read(server, "ann", topic) == b"100"


def test_lists_are_grants(server, topic):
    client = server.client()
    create(server, entry(topic, AclOperation.READ))
    assert read(server, "ann", topic) == b"100"
    assert client.value(f"SELECT has_topic_privilege('ann', '{topic}', 'SELECT')") is True
    assert client.value(f"SELECT has_topic_privilege('ann', '{topic}', 'INSERT')") is False
    create(server, entry(topic, AclOperation.DESCRIBE, "User:*"))
    assert topic in topics(server, "eve")
    create(server, entry(topic, AclOperation.ALL, "User:bob"))
    everything = {("User:polder", "ALL"), ("User:ann", "READ"), ("User:*", "DESCRIBE")} | {("User:bob", name) for name in ("READ", "WRITE", "DESCRIBE")}
    assert described(server, wanted(topic)) == everything
    assert described(server, wanted(topic, "User:bob", operation=AclOperation.ALL)) == {("User:bob", "ALL")}
    [gone] = admin(server).delete_acls([wanted(topic, "User:bob", operation=AclOperation.ALL)]).values()
    assert seen(gone.result(20)) == {("User:bob", "ALL")}
    assert client.value(f"SELECT has_topic_privilege('bob', '{topic}', 'INSERT, SELECT')") is False
    [gone] = admin(server).delete_acls([wanted(topic, "User:ann")]).values()
    assert seen(gone.result(20)) == {("User:ann", "READ")}
    # What everybody may know is left.
    assert read(server, "ann", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert described(server, wanted(topic)) == {("User:polder", "ALL"), ("User:*", "DESCRIBE")}


def test_what_cannot_be_granted_is_refused(server, topic):
    invalid = KafkaError.INVALID_REQUEST
    prefixed = ResourcePatternType.PREFIXED
    for binding, code in [
        (entry(topic, AclOperation.DELETE), invalid),
        (entry(topic, AclOperation.READ, pattern=prefixed), invalid),
        (entry("*", AclOperation.READ), invalid),
        (entry(topic, AclOperation.READ, host="10.0.0.1"), invalid),
        (entry(topic, AclOperation.READ, permission=AclPermissionType.DENY), invalid),
        (entry("kafka-cluster", AclOperation.ALTER, kind=ResourceType.BROKER), invalid),
        (entry("somebody", AclOperation.READ, kind=ResourceType.GROUP), invalid),
        (entry(topic, AclOperation.READ, "User:nosuch"), 67),
        (entry(topic, AclOperation.READ, "Group:ann"), 67),
        (entry("nosuch", AclOperation.READ), KafkaError.UNKNOWN_TOPIC_OR_PART),
    ]:
        assert refusal(create, server, binding) == code, binding
    assert described(server, wanted(topic)) == {("User:polder", "ALL")}


def test_only_owners_see_and_change(server, topic):
    client = server.client()
    client.sql(f'GRANT SELECT ON TOPIC "{topic}" TO ann')
    forbidden = KafkaError.CLUSTER_AUTHORIZATION_FAILED
    for name in (topic, "nosuch"):
        assert refusal(create, server, entry(name, AclOperation.READ, "User:eve"), role="ann") == forbidden
        # librdkafka keeps the error of the whole answer to itself.
        assert described(server, wanted(name), role="ann") == set()
        [gone] = admin(server, "ann").delete_acls([wanted(name)]).values()
        assert refusal(gone.result, 20) == forbidden
    client.sql(f'ALTER TOPIC "{topic}" OWNER TO ann')
    assert described(server, wanted(), role="ann") == {("User:ann", "ALL")}
    create(server, entry(topic, AclOperation.READ, "User:bob"), role="ann")
    assert read(server, "bob", topic) == b"100"
    # Of topics of others an owner hears nothing.
    assert refusal(create, server, entry("nosuch", AclOperation.READ, "User:bob"), role="ann") == forbidden
    assert written(server, "ann", topic) is None
    admin(server, "ann").delete_topics([topic])[topic].result(20)


def test_groups_belong_to_the_role_that_they_are_named_after(server, topic):
    client = server.client()
    group = kafkas.fresh_name("ann.group")
    consumer = Consumer(settings(server, "ann", group_id=group))
    # As long as it may read nothing, it has no groups.
    assert refusal(consumer.committed, [TopicPartition(topic, 0)], 20) == KafkaError.GROUP_AUTHORIZATION_FAILED
    consumer.close()
    client.sql(f'GRANT SELECT ON TOPIC "{topic}" TO ann, bob')
    consumer = Consumer(settings(server, "ann", group_id=group, auto_offset_reset="earliest"))
    consumer.subscribe([topic])
    message = consumer.poll(30)
    assert message is not None and message.value() == b"100"
    consumer.commit(message, asynchronous=False)
    assert described(server, wanted("ann", "User:ann", ResourceType.GROUP)) == {("User:ann", "ALL")}
    create(server, entry(group, AclOperation.READ, kind=ResourceType.GROUP))
    groups = {one.group_id for one in admin(server, "ann").list_consumer_groups().result(20).valid}
    assert group in groups
    assert group not in {one.group_id for one in admin(server, "bob").list_consumer_groups().result(20).valid}
    stranger = Consumer(settings(server, "bob", group_id=group))
    assert refusal(stranger.committed, [TopicPartition(topic, 0)], 20) == KafkaError.GROUP_AUTHORIZATION_FAILED
    stranger.close()
    # Members of the role share it.
    client.sql("GRANT ann TO bob")
    member = Consumer(settings(server, "bob", group_id=group))
    assert member.committed([TopicPartition(topic, 0)], 20)[0].offset == 1
    member.close()
    client.sql("REVOKE ann FROM bob")
    consumer.close()
    admin(server, "ann").delete_consumer_groups([group])[group].result(20)


def test_transactions_go_by_names_too(server, topic):
    server.client().sql(f'GRANT INSERT ON TOPIC "{topic}" TO ann, bob')
    producer = Producer(settings(server, "ann", transactional_id="ann-orders"))
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"2")
    producer.commit_transaction(20)
    other = Producer(settings(server, "bob", transactional_id="ann-orders"))
    assert refusal(other.init_transactions, 20) == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def told(future) -> str:
    """The name of the error, or what was answered."""
    try:
        answered = future.result(20)
        if isinstance(answered, ConsumerGroupTopicPartitions):
            return str([one.error and f"{one.error.name()} {one.error.str()}" for one in answered.topic_partitions])
        return str(answered)
    except KafkaException as refused:
        return f"{refused.args[0].name()} {refused.args[0].str()}"


def test_a_stranger_learns_nothing_of_what_there_is(server, topic):
    """Each request answers of what there is as it does of what there is not."""
    server.client().sql(f'GRANT SELECT, INSERT ON TOPIC "{topic}" TO ann')
    group, identity = kafkas.fresh_name("ann.group"), kafkas.fresh_name("ann-id")
    reader = Consumer(settings(server, "ann", group_id=group, auto_offset_reset="earliest"))
    reader.subscribe([topic])
    message = reader.poll(30)
    reader.commit(message, asynchronous=False)
    producer = Producer(settings(server, "ann", transactional_id=identity))
    producer.init_transactions(20)
    # One has no right at all, and one has a topic and groups of its own.
    own = kafkas.fresh_name("bobs")
    admin(server).create_topics([NewTopic(own, 1)])[own].result(20)
    server.client().sql(f'GRANT SELECT, INSERT ON TOPIC "{own}" TO bob')
    changes = [ConfigEntry("retention.ms", "5", incremental_operation=AlterConfigOpType.SET)]

    def config(kind, name, **more):
        return ConfigResource(kind, name, **more)

    def only(futures):
        return next(iter(futures.values()))

    of_groups = {
        "describe": lambda ask, name: only(ask.describe_consumer_groups([name])),
        "offsets": lambda ask, name: only(ask.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])),
        "set offsets": lambda ask, name: only(ask.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 0, 0)])])),
        "delete": lambda ask, name: only(ask.delete_consumer_groups([name])),
        "settings": lambda ask, name: only(ask.describe_configs([config(ResourceType.GROUP, name)])),
    }
    of_topics = {
        "describe": lambda ask, name: only(ask.describe_topics(TopicCollection([name]))),
        "settings": lambda ask, name: only(ask.describe_configs([config(ResourceType.TOPIC, name)])),
        "set": lambda ask, name: only(ask.incremental_alter_configs([config(ResourceType.TOPIC, name, incremental_configs=changes)])),
        "partitions": lambda ask, name: only(ask.create_partitions([NewPartitions(name, 5)])),
        "records": lambda ask, name: only(ask.delete_records([TopicPartition(name, 0, 1)])),
        "offsets": lambda ask, name: only(ask.list_offsets({TopicPartition(name, 0): OffsetSpec.latest()})),
        "create": lambda ask, name: only(ask.create_topics([NewTopic(name, 1)])),
        "delete": lambda ask, name: only(ask.delete_topics([name])),
    }
    try:
        for role in ("eve", "bob"):
            ask = admin(server, role)
            assert group not in {one.group_id for one in ask.list_consumer_groups().result(20).valid}
            for what, request in of_groups.items():
                there, absent = (told(request(ask, name)).replace(name, "it") for name in (group, f"{group}.no"))
                assert there == absent and "GROUP_AUTHORIZATION_FAILED" in there, (role, what, there, absent)
            for what, request in of_topics.items():
                there, absent = (told(request(ask, name)).replace(name, "it") for name in (topic, "nosuch"))
                # Of a topic that it is not told of librdkafka finds no leader.
                refused = ("AUTHORIZATION_FAILED", "UNKNOWN_TOPIC", "_NOENT")
                assert there == absent and any(code in there for code in refused), (role, what, there, absent)
            for name in (identity, f"{identity}-no"):
                other = Producer(settings(server, role, transactional_id=name))
                assert refusal(other.init_transactions, 20) == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, name
            assert "CLUSTER_AUTHORIZATION_FAILED" in told(only(ask.describe_configs([config(ResourceType.BROKER, "1")])))
            with psycopg.connect(**address(server, user=role, password=PASSWORD), autocommit=True) as connection:
                for table in ("consumer_groups", "consumer_offsets"):
                    assert group not in str(connection.execute(f"SELECT * FROM polder.{table}").fetchall())
        # Nothing of it has happened.
        assert reader.committed([TopicPartition(topic, 0)], 20)[0].offset == 1
        producer.begin_transaction()
        producer.produce(topic, b"2")
        producer.commit_transaction(20)
    finally:
        reader.close()
        admin(server).delete_topics([own])[own].result(20)


def test_quotas_are_told_to_superusers_alone(server):
    for role in ("eve", "bob"):
        client = kafka.KafkaAdminClient(**kafkas.python(server, sasl_plain_username=role, sasl_plain_password=PASSWORD))
        request = quotas.DescribeClientQuotasRequest
        component = request.ComponentData(entity_type="user", match_type=0, match="ann")
        answer = client._manager.run(client._manager.send, request(components=[component], strict=True))
        assert (answer.error_code, answer.entries or []) == (kafka.errors.ClusterAuthorizationFailedError.errno, [])
        request = quotas.AlterClientQuotasRequest
        entry = request.EntryData
        changed = entry(entity=[entry.EntityData(entity_type="user", entity_name=role)], ops=[entry.OpData(key="consumer_byte_rate", value=1e9, remove=False)])
        answer = client._manager.run(client._manager.send, request(entries=[changed], validate_only=False))
        assert {one.error_code for one in answer.entries} == {kafka.errors.ClusterAuthorizationFailedError.errno}
        client.close()


def test_clients_are_told_what_they_may_do(server, topic):
    def operations(role):
        found = admin(server, role).describe_topics(TopicCollection([topic]), include_authorized_operations=True)[topic].result(20)
        return {operation.name for operation in found.authorized_operations}

    server.client().sql(f'GRANT SELECT ON TOPIC "{topic}" TO ann')
    assert operations("ann") == {"READ", "DESCRIBE", "DESCRIBE_CONFIGS"}
    server.client().sql(f'ALTER TOPIC "{topic}" OWNER TO bob')
    assert operations("bob") == {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS", "DELETE", "ALTER", "ALTER_CONFIGS"}


def test_kafka_python_administers_them(server, topic):
    client = kafka.KafkaAdminClient(**kafkas.python(server))
    operations, kinds = kafka.admin.ACLOperation, kafka.admin.ResourceType
    pattern = kafka.admin.ResourcePattern(kinds.TOPIC, topic)
    made = client.create_acls([kafka.admin.ACL("User:eve", "*", operations.READ, kafka.admin.ACLPermissionType.ALLOW, pattern)])
    assert len(made["succeeded"]) == 1 and not made["failed"]
    assert read(server, "eve", topic) == b"100"
    mine = kafka.admin.ACLFilter("User:eve", "*", operations.ANY, kafka.admin.ACLPermissionType.ANY, kafka.admin.ResourcePatternFilter(
        kinds.TOPIC, topic, kafka.admin.ACLResourcePatternType.MATCH))
    found, error = client.describe_acls(mine)
    assert error is kafka.errors.NoError and [one.operation for one in found] == [operations.READ]
    ann = kafka.KafkaAdminClient(**kafkas.python(server, sasl_plain_username="ann", sasl_plain_password=PASSWORD))
    with pytest.raises(kafka.errors.ClusterAuthorizationFailedError):
        ann.describe_acls(mine)
    ann.close()
    client.delete_acls([mine])
    assert client.describe_acls(mine)[0] == []
    client.close()


def test_sql_obeys(server, topic):
    server.client().sql(f'GRANT SELECT ON TOPIC "{topic}" TO ann')
    with psycopg.connect(**address(server, user="ann", password=PASSWORD), autocommit=True) as connection:
        assert connection.execute("SELECT topic_name, owner FROM polder.topics").fetchall() == [(topic, "polder")]
        assert connection.execute(f'SELECT count(*) FROM topics."{topic}"').fetchone() == (1,)
        assert connection.execute("SELECT has_topic_privilege(%s, 'SELECT')", (topic,)).fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f'ALTER TOPIC "{topic}" OWNER TO ann')
        # Whoever has some right is warned, as with tables.
        connection.execute(f'GRANT SELECT ON TOPIC "{topic}" TO eve')
        assert topics(server, "eve") == set()
    with psycopg.connect(**address(server, user="eve", password=PASSWORD), autocommit=True) as connection:
        assert connection.execute("SELECT * FROM polder.topics").fetchall() == []
        # That it is there is not told by errors either.
        for statement, code in (
            ('SELECT * FROM topics."{}"', "42P01"), ('GRANT SELECT ON TOPIC "{}" TO eve', "42704"), ('ALTER TOPIC "{}" OWNER TO eve', "42704"),
            ("SELECT has_topic_privilege('{}', 'SELECT')", "42704"),
        ):
            for name in (topic, "nosuch"):
                with pytest.raises(psycopg.Error) as refused:
                    connection.execute(statement.format(name))
                assert refused.value.sqlstate == code, (statement, name)
        connection.execute("GRANT SELECT ON ALL TOPICS TO eve")
        assert topics(server, "eve") == set()


def test_the_http_api_obeys(server, topic):
    server.client().sql(f'GRANT SELECT ON TOPIC "{topic}" TO ann')
    ann, eve = (polder.Client(server.url).login(role, PASSWORD) for role in ("ann", "eve"))
    assert [one["name"] for one in ann.get("/topics")["topics"]] == [topic]
    assert len(ann.get(f"/topics/{topic}/messages")["messages"]) == 1
    assert eve.get("/topics")["topics"] == []
    told = []
    for name in (topic, "nosuch"):
        with pytest.raises(polder.Failed) as refused:
            eve.get(f"/topics/{name}/messages")
        told.append(str(refused.value).replace(name, "it"))
    assert told[0] == told[1]


def test_a_role_goes_when_its_rights_have(server, topic):
    client = server.client()
    for statement in ("CREATE ROLE leaver", f'GRANT SELECT ON TOPIC "{topic}" TO leaver'):
        client.sql(statement)
    with pytest.raises(Exception, match="cannot be dropped because some objects depend on it"):
        client.sql("DROP ROLE leaver")
    client.sql("DROP OWNED BY leaver")
    client.sql(f'ALTER TOPIC "{topic}" OWNER TO leaver')
    with pytest.raises(Exception, match="cannot be dropped because some objects depend on it"):
        client.sql("DROP ROLE leaver")
    client.sql("REASSIGN OWNED BY leaver TO polder")
    client.sql("DROP ROLE leaver")
    assert described(server, wanted(topic)) == {("User:polder", "ALL")}


def test_a_grant_is_part_of_its_transaction(server, topic):
    client = server.client()
    client.sql(f'BEGIN; GRANT SELECT ON TOPIC "{topic}" TO ann; ROLLBACK')
    assert topics(server, "ann") == set()
    client.sql(f'BEGIN; GRANT SELECT ON TOPIC "{topic}" TO ann; COMMIT')
    assert topics(server, "ann") == {topic}
