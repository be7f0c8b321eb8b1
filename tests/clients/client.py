"""One real client, driven from outside: run as `client.py LIBRARY ADDRESS COMMAND ...`.

Every command says what happened as JSON, one object a line, on standard output:

    create TOPIC PARTITIONS              creates a topic
    produce TOPIC PARTITIONS FROM TO     sends values FROM to TO - 1, tells each acknowledgement
    member GROUP TOPIC SESSION_MS        a member of a group, until `close` on standard input;
                                         `commit` there commits what was read
    load GROUP TOPIC PARTITIONS          produces, and as a member reads and commits, until killed
    read TOPIC PARTITIONS                tells every record there is
    committed GROUP TOPIC PARTITIONS     tells the offsets of a group
"""

import importlib
import json
import sys
import threading
import time

_lock = threading.Lock()


def tell(**event):
    """Writes one event; whoever started this program reads it at once."""
    with _lock:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


def value_of(partition, number):
    return f"{partition}-{number}"


def create(library, topic, partitions):
    library.create_topic(topic, int(partitions))
    tell(created=topic)


def produce(library, topic, partitions, first, end):
    producer = library.Producer()
    for number in range(int(first), int(end)):
        partition = number % int(partitions)
        producer.send(topic, partition, value_of(partition, number), acknowledged)
    producer.flush()
    tell(flushed=True)


def acknowledged(partition, offset, value, error):
    if error is None:
        tell(acknowledged=[partition, offset, value])
    else:
        tell(refused=[value, error])


def member(library, group, topic, session_ms):
    orders = []
    threading.Thread(target=lambda: orders.extend(map(str.strip, sys.stdin)), daemon=True).start()
    consumer = library.Consumer(group, topic, int(session_ms))
    assigned = None
    while True:
        # Not shorter: with short polls kafka-python sometimes does not notice that it has joined.
        for record in consumer.poll(1):
            tell(record=record)
        if (now := sorted(consumer.assignment())) != assigned:
            assigned = now
            tell(assigned=assigned)
        if orders[:1] == ["commit"] and consumer.commit():
            orders.pop(0)
            tell(committed=True)
        elif orders[:1] == ["close"]:
            consumer.close()
            tell(closed=True)
            return


def load(library, group, topic, partitions):
    arguments = (library, topic, int(partitions))
    threading.Thread(target=produce_for_ever, args=arguments, daemon=True).start()
    consumer = library.Consumer(group, topic, 6000)
    read = {}
    while True:
        records = consumer.poll(0.1)
        read.update({partition: offset + 1 for partition, offset, _ in records})
        if records:
            tell(commits=read)
            if consumer.commit():
                tell(committed=read)


def produce_for_ever(library, topic, partitions):
    producer = library.Producer()
    number = int(time.time() * 1000)  # never one of an earlier load
    while True:
        for partition in range(partitions):
            producer.send(topic, partition, value_of(partition, number), acknowledged)
        number += 1
        time.sleep(0.005)  # a bound on how much there is to check afterwards


def read(library, topic, partitions):
    for record in library.read_all(topic, int(partitions)):
        tell(record=record)


def committed(library, group, topic, partitions):
    tell(offsets=library.committed(group, topic, int(partitions)))


COMMANDS = {f.__name__: f for f in (create, produce, member, load, read, committed)}

if __name__ == "__main__":
    name, address, command, *arguments = sys.argv[1:]
    library = importlib.import_module(f"with_{name}")
    library.ADDRESS = address
    COMMANDS[command](library, *arguments)
