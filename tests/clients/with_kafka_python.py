"""What client.py needs, by kafka-python."""

import kafka
from kafka.admin import KafkaAdminClient, NewTopic

ADDRESS = None
SECONDS = 30


def create_topic(topic, partitions):
    admin = KafkaAdminClient(bootstrap_servers=ADDRESS)
    admin.create_topics([NewTopic(topic, partitions, 1)], timeout_ms=SECONDS * 1000)
    admin.close()


class Producer:
    def __init__(self):
        self.inner = kafka.KafkaProducer(
            bootstrap_servers=ADDRESS, acks="all", enable_idempotence=True, linger_ms=1
        )

    def send(self, topic, partition, value, acknowledged):
        sent = self.inner.send(topic, value.encode(), partition=partition)
        sent.add_callback(lambda done: acknowledged(partition, done.offset, value, None))
        sent.add_errback(lambda error: acknowledged(partition, None, value, repr(error)))

    def flush(self):
        self.inner.flush(SECONDS)


class Consumer:
    def __init__(self, group, topic, session_ms):
        self.inner = kafka.KafkaConsumer(
            bootstrap_servers=ADDRESS,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=500,
            fetch_max_wait_ms=100,
        )
        self.inner.subscribe([topic])

    def poll(self, seconds):
        try:
            polled = self.inner.poll(timeout_ms=int(seconds * 1000))
        except kafka.errors.KafkaConnectionError:
            return  # raised while the broker is away; polling again is up to its user
        for records in polled.values():
            for record in records:
                yield record.partition, record.offset, record.value.decode()

    def assignment(self):
        return [part.partition for part in self.inner.assignment()]

    def commit(self):
        """False: the group rebalances, so that it is to be tried again after a poll."""
        try:
            self.inner.commit()
        except kafka.errors.RebalanceInProgressError:
            return False
        return True

    def close(self):
        self.inner.close()


def read_all(topic, partitions):
    consumer = kafka.KafkaConsumer(bootstrap_servers=ADDRESS, enable_auto_commit=False)
    parts = [kafka.TopicPartition(topic, partition) for partition in range(partitions)]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    ends = consumer.end_offsets(parts)
    while any(consumer.position(part) < ends[part] for part in parts):
        for records in consumer.poll(timeout_ms=1000).values():
            for record in records:
                yield record.partition, record.offset, record.value.decode()
    consumer.close()


def committed(group, topic, partitions):
    consumer = kafka.KafkaConsumer(bootstrap_servers=ADDRESS, group_id=group)
    parts = {p: kafka.TopicPartition(topic, p) for p in range(partitions)}
    offsets = {p: consumer.committed(part) for p, part in parts.items()}
    consumer.close(autocommit=False)
    return {p: offset for p, offset in offsets.items() if offset is not None}
