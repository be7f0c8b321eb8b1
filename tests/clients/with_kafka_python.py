"""What client.py needs, by kafka-python: 2.3 and 3.0."""

import kafka
from client import text
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

ADDRESS = None
SECONDS = 30
NEW = kafka.__version__.startswith("3")  # 3.0 has renamed and added much


class Admin:
    def __init__(self):
        self.inner = KafkaAdminClient(bootstrap_servers=ADDRESS)

    def create(self, topic, partitions):
        self.inner.create_topics([NewTopic(topic, int(partitions), 1)], timeout_ms=SECONDS * 1000)

    def topics(self):
        topics = self.inner.list_topics()
        return sorted(topic if isinstance(topic, str) else topic["name"] for topic in topics)

    def partitions(self, topic):
        return len(self.inner.describe_topics([topic])[0]["partitions"])

    def grow(self, topic, partitions):
        if NEW:
            self.inner.create_partitions({topic: int(partitions)})
        else:
            self.inner.create_partitions({topic: kafka.admin.NewPartitions(int(partitions))})

    def delete_topic(self, topic):
        self.inner.delete_topics([topic])

    def committed(self, group, topic, partitions):
        consumer = kafka.KafkaConsumer(bootstrap_servers=ADDRESS, group_id=group)
        parts = {p: kafka.TopicPartition(topic, p) for p in range(int(partitions))}
        offsets = {p: consumer.committed(part) for p, part in parts.items()}
        consumer.close(autocommit=False)
        return {p: offset for p, offset in offsets.items() if offset is not None}

    def groups(self):
        if NEW:
            return [group["group_id"] for group in self.inner.list_groups()]
        return [group for group, _ in self.inner.list_consumer_groups()]

    def group(self, group):
        if NEW:
            found = self.inner.describe_groups([group])
            found = found[group] if isinstance(found, dict) else found[0]
            return [found["group_state"], len(found["members"])]
        found = self.inner.describe_consumer_groups([group])[0]
        return [found.state, len(found.members)]

    def delete_group(self, group):
        if NEW:
            done = self.inner.delete_groups([group])
            if done.get(group) != "OK":
                raise RuntimeError(done)
            return
        for _, error in self.inner.delete_consumer_groups([group]):
            if error is not kafka.errors.NoError:
                raise error

    def delete_offsets(self, group, topic, partitions):
        parts = [kafka.TopicPartition(topic, p) for p in range(int(partitions))]
        self.inner.delete_group_offsets(group, parts)

    def set_offset(self, group, topic, partition, offset):
        part = kafka.TopicPartition(topic, int(partition))
        self.inner.alter_group_offsets(group, {part: kafka.OffsetAndMetadata(int(offset), "", -1)})

    def config(self, topic, name):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, [name] if NEW else {name: ""})
        if NEW:
            found = self.inner.describe_configs([resource], config_filter="all")
            return found["topic"][topic][name]["value"]
        (found,) = self.inner.describe_configs([resource])
        return {entry[0]: entry[1] for entry in found.resources[0][4]}[name]

    def set_config(self, topic, name, value):
        self.inner.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])

    def delete_records(self, topic, partition, before):
        self.inner.delete_records({kafka.TopicPartition(topic, int(partition)): int(before)})


class Producer:
    def __init__(self, codec):
        self.inner = kafka.KafkaProducer(
            bootstrap_servers=ADDRESS,
            acks="all",
            enable_idempotence=True,
            linger_ms=1,
            compression_type=None if codec == "none" else codec,
        )

    def send(self, topic, partition, value, acknowledged, key=None, headers=()):
        sent = self.inner.send(topic, value, key, list(headers), partition)
        sent.add_callback(lambda done: acknowledged(partition, done.offset, value, None))
        sent.add_errback(lambda error: acknowledged(partition, None, value, repr(error)))

    def flush(self):
        self.inner.flush(SECONDS)


def parts(of):
    return sorted([part.topic, part.partition] for part in of)


class Listener(kafka.ConsumerRebalanceListener):
    def __init__(self, tell):
        self.tell = tell

    def on_partitions_assigned(self, assigned):
        self.tell(rebalanced=parts(assigned))

    def on_partitions_revoked(self, revoked):
        if revoked:
            self.tell(revoked=parts(revoked))


class Consumer:
    def __init__(self, tell, group, topic, session, instance=None, assignor=None, pattern=None):
        options = {"group_instance_id": instance} if instance else {}
        if assignor == "cooperative":
            from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

            options["partition_assignment_strategy"] = [CooperativeStickyAssignor]
        self.inner = kafka.KafkaConsumer(
            bootstrap_servers=ADDRESS,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=session,
            heartbeat_interval_ms=500,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=1000 if pattern else 300000,
            **options,
        )
        listener = Listener(tell)
        if pattern:
            self.inner.subscribe(pattern=topic, listener=listener)
        else:
            self.inner.subscribe([topic], listener=listener)

    def poll(self, seconds):
        try:
            polled = self.inner.poll(timeout_ms=int(seconds * 1000))
        except kafka.errors.KafkaConnectionError:
            return []  # raised while the broker is away; polling again is up to its user
        return [whole(record) for records in polled.values() for record in records]

    def assignment(self):
        return parts(self.inner.assignment())

    def commit(self):
        """False: the group rebalances, so that it is to be tried again after a poll."""
        try:
            self.inner.commit()
        except kafka.errors.RebalanceInProgressError:
            return False
        return True

    def close(self):
        self.inner.close()


def whole(record):
    headers = [[name, text(value)] for name, value in record.headers]
    return [record.partition, record.offset, text(record.value), text(record.key), headers]


def read_all(topic, partitions):
    consumer = kafka.KafkaConsumer(bootstrap_servers=ADDRESS, enable_auto_commit=False)
    parts = [kafka.TopicPartition(topic, partition) for partition in range(partitions)]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    ends = consumer.end_offsets(parts)
    while any(consumer.position(part) < ends[part] for part in parts):
        for records in consumer.poll(timeout_ms=1000).values():
            yield from map(whole, records)
    consumer.close()
