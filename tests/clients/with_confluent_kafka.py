"""What client.py needs, by confluent-kafka (librdkafka)."""

import time

import confluent_kafka
from client import text
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)

ADDRESS = None
SECONDS = 30
STARTING = (
    confluent_kafka.KafkaError.NOT_COORDINATOR,
    confluent_kafka.KafkaError.COORDINATOR_NOT_AVAILABLE,
    confluent_kafka.KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


def only(futures):
    """The result of a call for one thing."""
    (future,) = futures.values()
    return future.result(SECONDS)


class Admin:
    def __init__(self):
        self.inner = AdminClient({"bootstrap.servers": ADDRESS})

    def create(self, topic, partitions):
        new = NewTopic(topic, int(partitions), 1)
        only(self.inner.create_topics([new], operation_timeout=SECONDS))

    def topics(self):
        return sorted(self.inner.list_topics(timeout=SECONDS).topics)

    def partitions(self, topic):
        topics = confluent_kafka.TopicCollection([topic])
        return len(only(self.inner.describe_topics(topics)).partitions)

    def grow(self, topic, partitions):
        only(self.inner.create_partitions([NewPartitions(topic, int(partitions))]))

    def delete_topic(self, topic):
        only(self.inner.delete_topics([topic], operation_timeout=SECONDS))

    def committed(self, group, topic, partitions):
        parts = [TopicPartition(topic, partition) for partition in range(int(partitions))]
        consumer = reader(group)
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                found = consumer.committed(parts, SECONDS)
                return {part.partition: part.offset for part in found if part.offset >= 0}
            except confluent_kafka.KafkaException as error:
                # While a broker starts, librdkafka hands these on to whoever asks.
                if error.args[0].code() not in STARTING or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def groups(self):
        found = self.inner.list_consumer_groups(request_timeout=SECONDS).result(SECONDS)
        return [group.group_id for group in found.valid]

    def group(self, group):
        found = only(self.inner.describe_consumer_groups([group], request_timeout=SECONDS))
        return [found.state.name.title(), len(found.members)]

    def delete_group(self, group):
        only(self.inner.delete_consumer_groups([group], request_timeout=SECONDS))

    def set_offset(self, group, topic, partition, offset):
        parts = [TopicPartition(topic, int(partition), int(offset))]
        wanted = confluent_kafka.ConsumerGroupTopicPartitions(group, parts)
        done = only(self.inner.alter_consumer_group_offsets([wanted]))
        for part in done.topic_partitions:
            if part.error is not None:
                raise confluent_kafka.KafkaException(part.error)

    def config(self, topic, name):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return only(self.inner.describe_configs([resource]))[name].value

    def set_config(self, topic, name, value):
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        only(self.inner.incremental_alter_configs([resource]))

    def delete_records(self, topic, partition, before):
        part = TopicPartition(topic, int(partition), int(before))
        only(self.inner.delete_records([part]))


class Producer:
    def __init__(self, codec):
        self.inner = confluent_kafka.Producer({
            "bootstrap.servers": ADDRESS,
            "enable.idempotence": True,
            "linger.ms": 1,
            "compression.type": codec,
        })

    def send(self, topic, partition, value, acknowledged, key=None, headers=()):
        def delivered(error, message):
            told = None if error is None else str(error)
            acknowledged(partition, message.offset(), value, told)

        self.inner.produce(
            topic, value, key, partition=partition, headers=list(headers), on_delivery=delivered
        )
        self.inner.poll(0)

    def flush(self):
        if left := self.inner.flush(SECONDS):
            raise TimeoutError(f"{left} records are not acknowledged after {SECONDS} s")


def parts(of):
    return sorted([part.topic, part.partition] for part in of)


class Consumer:
    def __init__(self, tell, group, topic, session, instance=None, assignor=None, pattern=None):
        options = {"group.instance.id": instance} if instance else {}
        if assignor == "cooperative":
            options["partition.assignment.strategy"] = "cooperative-sticky"
        if pattern:
            options["topic.metadata.refresh.interval.ms"] = 1000
        self.inner = confluent_kafka.Consumer({
            "bootstrap.servers": ADDRESS,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": session,
            "heartbeat.interval.ms": 500,
            "fetch.wait.max.ms": 100,
            **options,
        })
        self.inner.subscribe(
            [topic],
            on_assign=lambda _, assigned: tell(rebalanced=parts(assigned)),
            on_revoke=lambda _, revoked: tell(revoked=parts(revoked)),
        )

    def poll(self, seconds):
        return [whole(m) for m in self.inner.consume(500, seconds) if m.error() is None]

    def assignment(self):
        return parts(self.inner.assignment())

    def commit(self):
        """False: the group rebalances, so that it is to be tried again after a poll."""
        try:
            committed = self.inner.commit(asynchronous=False)
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() == confluent_kafka.KafkaError.REBALANCE_IN_PROGRESS:
                return False
            # Else nothing was read since the last commit.
            if error.args[0].code() != confluent_kafka.KafkaError._NO_OFFSET:
                raise
            return True
        for part in committed:
            if part.error is not None:
                raise confluent_kafka.KafkaException(part.error)
        return True

    def close(self):
        self.inner.close()


def whole(message):
    headers = [[name, text(value)] for name, value in message.headers() or []]
    key, value = text(message.key()), text(message.value())
    return [message.partition(), message.offset(), value, key, headers]


def reader(group):
    return confluent_kafka.Consumer({
        "bootstrap.servers": ADDRESS,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    })


def read_all(topic, partitions):
    consumer = reader("reader")
    consumer.assign([
        TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)
        for partition in range(partitions)
    ])
    rest = set(range(partitions))
    while rest:
        for message in consumer.consume(500, 1):
            if message.error() is None:
                yield whole(message)
            elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                rest.discard(message.partition())
    consumer.close()
