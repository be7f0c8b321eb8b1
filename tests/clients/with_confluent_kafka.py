"""What client.py needs, by confluent-kafka (librdkafka)."""

import time

import confluent_kafka
from confluent_kafka.admin import AdminClient

ADDRESS = None
SECONDS = 30
STARTING = (
    confluent_kafka.KafkaError.NOT_COORDINATOR,
    confluent_kafka.KafkaError.COORDINATOR_NOT_AVAILABLE,
    confluent_kafka.KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


def create_topic(topic, partitions):
    admin = AdminClient({"bootstrap.servers": ADDRESS})
    new = confluent_kafka.admin.NewTopic(topic, partitions, 1)
    for created in admin.create_topics([new], operation_timeout=SECONDS).values():
        created.result(SECONDS)


class Producer:
    def __init__(self):
        self.inner = confluent_kafka.Producer({
            "bootstrap.servers": ADDRESS,
            "enable.idempotence": True,
            "linger.ms": 1,
        })

    def send(self, topic, partition, value, acknowledged):
        def delivered(error, message):
            text = None if error is None else str(error)
            acknowledged(partition, message.offset(), value, text)

        self.inner.produce(topic, value.encode(), partition=partition, on_delivery=delivered)
        self.inner.poll(0)

    def flush(self):
        if left := self.inner.flush(SECONDS):
            raise TimeoutError(f"{left} records are not acknowledged after {SECONDS} s")


class Consumer:
    def __init__(self, group, topic, session_ms):
        self.inner = confluent_kafka.Consumer({
            "bootstrap.servers": ADDRESS,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": 500,
            "fetch.wait.max.ms": 100,
        })
        self.inner.subscribe([topic])

    def poll(self, seconds):
        for message in self.inner.consume(500, seconds):
            if message.error() is None:
                yield message.partition(), message.offset(), message.value().decode()

    def assignment(self):
        return [part.partition for part in self.inner.assignment()]

    def commit(self):
        """False: the group rebalances, so that it is to be tried again after a poll."""
        try:
            parts = self.inner.commit(asynchronous=False)
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() == confluent_kafka.KafkaError.REBALANCE_IN_PROGRESS:
                return False
            # Else nothing was read since the last commit.
            if error.args[0].code() != confluent_kafka.KafkaError._NO_OFFSET:
                raise
            return True
        for part in parts:
            if part.error is not None:
                raise confluent_kafka.KafkaException(part.error)
        return True

    def close(self):
        self.inner.close()


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
        confluent_kafka.TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)
        for partition in range(partitions)
    ])
    rest = set(range(partitions))
    while rest:
        for message in consumer.consume(500, 1):
            if message.error() is None:
                yield message.partition(), message.offset(), message.value().decode()
            elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                rest.discard(message.partition())
    consumer.close()


def committed(group, topic, partitions):
    parts = [confluent_kafka.TopicPartition(topic, partition) for partition in range(partitions)]
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
