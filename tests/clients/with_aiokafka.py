"""What client.py needs, by aiokafka. Its event loop runs in a thread of its own."""

import asyncio
import threading

import aiokafka
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from client import text

ADDRESS = None
SECONDS = 30
LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()


def wait(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, LOOP).result()


async def started(kind, *arguments, **options):
    made = kind(*arguments, bootstrap_servers=ADDRESS, **options)
    await made.start()
    return made


class Admin:
    def __init__(self):
        self.inner = wait(started(AIOKafkaAdminClient))

    def checked(self, errors):
        for _, code, *_ in errors:
            if code:
                raise aiokafka.errors.for_code(code)

    def create(self, topic, partitions):
        done = wait(self.inner.create_topics([NewTopic(topic, int(partitions), 1)]))
        self.checked(done.topic_errors)

    def topics(self):
        return wait(self.inner.list_topics())

    def partitions(self, topic):
        return len(wait(self.inner.describe_topics([topic]))[0]["partitions"])

    def grow(self, topic, partitions):
        wait(self.inner.create_partitions({topic: NewPartitions(int(partitions))}))

    def delete_topic(self, topic):
        self.checked(wait(self.inner.delete_topics([topic])).topic_error_codes)

    def committed(self, group, topic, partitions):
        parts = [TopicPartition(topic, partition) for partition in range(int(partitions))]
        found = wait(self.inner.list_consumer_group_offsets(group, partitions=parts))
        return {part.partition: at.offset for part, at in found.items() if at.offset >= 0}

    def groups(self):
        return [group for group, *_ in wait(self.inner.list_consumer_groups())]

    def group(self, group):
        code, _, state, _, _, members, *_ = (
            wait(self.inner.describe_consumer_groups([group]))[0].groups[0]
        )
        self.checked([(group, code)])
        return [state, len(members)]

    def config(self, topic, name):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        code, _, _, _, entries = wait(self.inner.describe_configs([resource]))[0].resources[0]
        self.checked([(topic, code)])
        return {entry[0]: entry[1] for entry in entries}[name]

    def set_config(self, topic, name, value):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})
        for code, _, *_ in wait(self.inner.alter_configs([resource]))[0].resources:
            self.checked([(topic, code)])

    def delete_records(self, topic, partition, before):
        part = TopicPartition(topic, int(partition))
        wait(self.inner.delete_records({part: RecordsToDelete(int(before))}))


class Producer:
    def __init__(self, codec):
        self.inner = wait(started(
            aiokafka.AIOKafkaProducer,
            enable_idempotence=True,
            linger_ms=1,
            compression_type=None if codec == "none" else codec,
        ))

    def send(self, topic, partition, value, acknowledged, key=None, headers=()):
        def done(future):
            if future.exception() is None:
                acknowledged(partition, future.result().offset, value, None)
            else:
                acknowledged(partition, None, value, repr(future.exception()))

        async def send():
            sent = await self.inner.send(topic, value, key, partition, headers=list(headers))
            sent.add_done_callback(done)

        wait(send())

    def flush(self):
        wait(self.inner.flush())


def parts(of):
    return sorted([part.topic, part.partition] for part in of)


class Listener(aiokafka.ConsumerRebalanceListener):
    def __init__(self, tell):
        self.tell = tell

    def on_partitions_assigned(self, assigned):
        self.tell(rebalanced=parts(assigned))

    def on_partitions_revoked(self, revoked):
        if revoked:
            self.tell(revoked=parts(revoked))


class Consumer:
    def __init__(self, tell, group, topic, session, instance=None, assignor=None, pattern=None):
        self.inner = wait(started(
            aiokafka.AIOKafkaConsumer,
            group_id=group,
            group_instance_id=instance,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=session,
            heartbeat_interval_ms=300,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=1000 if pattern else 300000,
        ))
        topics = {"pattern": topic} if pattern else {"topics": [topic]}
        LOOP.call_soon_threadsafe(lambda: self.inner.subscribe(listener=Listener(tell), **topics))

    def poll(self, seconds):
        polled = wait(self.inner.getmany(timeout_ms=int(seconds * 200)))
        return [whole(record) for records in polled.values() for record in records]

    def assignment(self):
        return parts(self.inner.assignment())

    def commit(self):
        """False: the group rebalances, so that it is to be tried again after a poll."""
        try:
            wait(self.inner.commit())
        except aiokafka.errors.CommitFailedError:
            return False
        return True

    def close(self):
        wait(self.inner.stop())


def whole(record):
    headers = [[name, text(value)] for name, value in record.headers]
    return [record.partition, record.offset, text(record.value), text(record.key), headers]


async def reader(parts):
    consumer = await started(aiokafka.AIOKafkaConsumer, enable_auto_commit=False)
    consumer.assign(parts)
    await consumer.seek_to_beginning(*parts)
    return consumer


def read_all(topic, partitions):
    parts = [TopicPartition(topic, partition) for partition in range(partitions)]
    consumer = wait(reader(parts))
    ends = wait(consumer.end_offsets(parts))
    while any(wait(consumer.position(part)) < ends[part] for part in parts):
        for records in wait(consumer.getmany(timeout_ms=1000)).values():
            yield from map(whole, records)
    wait(consumer.stop())
