"""One real client, driven from outside: `PROGRAM ADDRESS COMMAND KEY=VALUE ...`.

The other languages' programs do the same; this one is run as `client.py LIBRARY ADDRESS ...`.
Every command says what happened as JSON, one object a line, on standard output:

    admin    does the operations it is given on standard input, one a line, as
             `OPERATION KEY=VALUE ...`; each has an `answer` or is `refused`
    produce  topic partitions from to codec: sends so many values, tells each acknowledgement
    write    topic record...: sends these records to partition 0, each `KEY;VALUE;NAME:VALUE,...`
             where ~ is null
    member   group topic session [instance] [assignor=cooperative] [pattern=yes]: a member of a
             group, until `close` on standard input; `commit` there commits what was read; tells
             what it has `assigned` whenever that changes, and each call of its library's
             listener (`rebalanced`, `revoked`)
    load     group topic partitions: produces, and as a member reads and commits, until killed
    read     topic partitions: tells every record there is, with its key and headers

Partitions of a member are [topic, partition], a record is [partition, offset, value, key, headers].
"""

import importlib
import json
import os
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


def text(value):
    return None if value is None else value.decode()


def pairs(arguments):
    return dict(argument.split("=", 1) for argument in arguments)


def admin(library):
    client = library.Admin()
    for line in sys.stdin:
        operation, *arguments = line.split()
        try:
            tell(answer=getattr(client, operation)(**pairs(arguments)))
        except Exception as error:
            tell(refused=repr(error))


def produce(library, topic, partitions, codec, to, **other):
    producer = library.Producer(codec)
    for number in range(int(other["from"]), int(to)):
        partition = number % int(partitions)
        producer.send(topic, partition, value_of(partition, number).encode(), acknowledged)
    producer.flush()
    tell(flushed=True)


def acknowledged(partition, offset, value, error):
    if error is None:
        tell(acknowledged=[partition, offset, text(value)])
    else:
        tell(refused=[text(value), error])


def write(library, topic, records):
    def data(field):
        return None if field == "~" else field.encode()

    producer = library.Producer("none")
    for record in records:
        key, value, headers = record.split(";")
        fields = [header.split(":") for header in headers.split(",") if header]
        fields = [(name, data(value)) for name, value in fields]
        producer.send(topic, 0, data(value), acknowledged, data(key), fields)
    producer.flush()
    tell(flushed=True)


def member(library, group, topic, session, **options):
    orders = []
    threading.Thread(target=take_orders, args=(orders,), daemon=True).start()
    consumer = library.Consumer(tell, group, topic, int(session), **options)
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


def take_orders(orders):
    orders.extend(map(str.strip, sys.stdin))
    os._exit(0)  # whoever started this program is gone


def load(library, group, topic, partitions):
    arguments = (library, topic, int(partitions))
    threading.Thread(target=produce_for_ever, args=arguments, daemon=True).start()
    consumer = library.Consumer(tell, group, topic, 6000)
    read = {}
    while True:
        records = consumer.poll(0.1)
        read.update({partition: offset + 1 for partition, offset, *_ in records})
        if records:
            tell(commits=read)
            if consumer.commit():
                tell(committed=read)


def produce_for_ever(library, topic, partitions):
    producer = library.Producer("none")
    number = int(time.time() * 1000)  # never one of an earlier load
    while True:
        for partition in range(partitions):
            producer.send(topic, partition, value_of(partition, number).encode(), acknowledged)
        number += 1
        time.sleep(0.005)  # a bound on how much there is to check afterwards


def read(library, topic, partitions):
    for record in library.read_all(topic, int(partitions)):
        tell(record=record)


COMMANDS = {f.__name__: f for f in (admin, produce, write, member, load, read)}

if __name__ == "__main__":
    name, address, command, *given = sys.argv[1:]
    library = importlib.import_module(f"with_{name}")
    library.ADDRESS = address
    found = pairs(given)
    if written := [argument[len("record="):] for argument in given if argument[:7] == "record="]:
        found = {"topic": found["topic"], "records": written}
    COMMANDS[command](library, **found)
