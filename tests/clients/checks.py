"""What stock clients must find: run by `run`, which see.

    checks.py [--bootstrap ADDRESS] [--skipped NAME=WHY ...] NAME=MODULE=PYTHON ...

Each client gets a broker of its own, all at the same time. With --bootstrap a broker that runs
already is used, and the checks that would stop it are left out.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from processes import Broker, Client, Failed, binary, end_all, say, wait_for_all

PARTITIONS = 6
RECORDS = 120  # at a time
SHORT = 6000  # Kafka's shortest session timeout in ms: the dead are noticed soon
LONG = 60000  # longer than any check: who is noticed within it has said goodbye
KILLS = 2


@dataclass
class Run:
    """One client library against one broker."""

    name: str
    module: str
    python: str
    bootstrap: str | None
    broker: Broker | None = None
    topic: str = "shared"
    group: str = "readers"
    members: list = field(default_factory=list)
    produced: int = 0

    @property
    def address(self):
        return self.bootstrap or self.broker.address

    def client(self, command, *arguments):
        return Client(self, self.address, command, *arguments)

    def member(self, session):
        self.members.append(self.client("member", self.group, self.topic, session))
        return self.members[-1]

    def produce(self):
        """Sends the next records; all of them are acknowledged when this returns."""
        first, self.produced = self.produced, self.produced + RECORDS
        events = self.client("produce", self.topic, PARTITIONS, first, self.produced).finish()
        values = [value for _, _, value in events.get("acknowledged", [])]
        sent = [f"{number % PARTITIONS}-{number}" for number in range(first, self.produced)]
        if sorted(values) != sorted(sent):
            raise Failed(f"{len(values)} of {RECORDS} acknowledged: {events.get('refused')}")

    def shared_evenly(self):
        """Waits until the members have all partitions, each as many as the others."""
        share = PARTITIONS // len(self.members)

        def evenly():
            assigned = [member.assigned() for member in self.members]
            together = sorted(partition for parts in assigned for partition in parts)
            return together == list(range(PARTITIONS)) and {len(a) for a in assigned} == {share}

        wait_for_all(self.members, f"each of {len(self.members)} has {share} partitions", evenly)

    def each_is_read_once(self, by):
        """All that was produced so far was read by these clients, nothing twice."""
        def read():
            return [value for client in by for _, _, value in client.of("record")]

        wait_for_all(self.members, f"{self.produced} records are read",
                     lambda: len(read()) >= self.produced)
        twice = [value for value, times in Counter(read()).items() if times > 1]
        if twice:
            raise Failed(f"{len(twice)} records were read more than once, {twice[0]} for example")

    def commit(self):
        for member in self.members:
            member.order("commit", "committed")

    def offsets(self):
        events = self.client("committed", self.group, self.topic, PARTITIONS).finish()
        return {int(partition): offset for partition, offset in events["offsets"][0].items()}

    def all_is_committed(self):
        expected = {partition: self.produced // PARTITIONS for partition in range(PARTITIONS)}
        if (offsets := self.offsets()) != expected:
            raise Failed(f"the committed offsets are {offsets}, not {expected}")


def two_consumers_share_a_topic_and_read_each_record_once(run, past):
    run.client("create", run.topic, PARTITIONS).finish()
    past += [run.member(SHORT), run.member(SHORT)]
    run.shared_evenly()
    run.produce()
    run.each_is_read_once(past)
    if not all(member.of("record") for member in past):
        raise Failed("one of the two read nothing")


def a_third_member_gets_its_share(run, past):
    run.commit()
    past.append(run.member(LONG))
    run.shared_evenly()
    run.produce()
    run.each_is_read_once(past)


def the_others_take_over_from_a_member_that_leaves(run, past):
    run.commit()
    run.members.pop().order("close", "closed")
    run.shared_evenly()
    run.produce()
    run.each_is_read_once(past)


def the_survivor_takes_over_from_a_member_that_is_killed(run, past):
    run.commit()
    run.members.pop().kill()
    run.shared_evenly()
    run.produce()
    run.each_is_read_once(past)


def a_client_that_starts_again_resumes_where_it_committed(run, past):
    run.commit()
    run.members.pop().order("close", "closed")
    run.produce()
    past.append(run.member(SHORT))
    run.shared_evenly()
    run.each_is_read_once(past)
    run.commit()
    run.all_is_committed()


def offsets_survive_a_clean_stop_of_the_broker(run, past):
    code = run.broker.stop()
    if code != 0:
        raise Failed(f"after SIGTERM the broker left with {code}: {run.broker.last()}")
    run.broker = run.broker.again()
    run.all_is_committed()


def a_consumer_goes_on_after_a_restart_of_the_broker(run, past):
    run.produce()
    run.shared_evenly()
    run.each_is_read_once(past)
    run.commit()
    run.all_is_committed()
    run.members.pop().order("close", "closed")


def everything_acknowledged_survives_kill_9_under_load(run, past):
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    run.topic, run.group = "loaded", "loaders"
    run.client("create", run.topic, PARTITIONS).finish()
    records, commits, tried = {}, {}, {}
    for kill in range(1, KILLS + 1):
        load = run.client("load", run.group, run.topic, PARTITIONS)
        load.wait("records are acknowledged and offsets committed",
                  lambda: load.events.get("acknowledged") and load.events.get("committed"))
        enough = moments.randrange(200, 2000) + len(load.of("acknowledged"))
        load.wait("it is time to kill", lambda: len(load.events["acknowledged"]) >= enough)
        run.broker.kill()
        load.kill()
        for partition, offset, value in load.of("acknowledged"):
            if records.setdefault((partition, offset), value) != value:
                raise Failed(f"offset {offset} of partition {partition} was given twice ({seed=})")
        for offsets, kind in ((commits, "committed"), (tried, "commits")):
            for event in load.of(kind):
                offsets.update({int(partition): offset for partition, offset in event.items()})
        run.broker = run.broker.again()
        found = run.client("read", run.topic, PARTITIONS).finish().get("record", [])
        compare_records(records, found, f"after kill {kill}, {seed=}")
        compare_offsets(commits, tried, run.offsets(), f"after kill {kill}, {seed=}")


def compare_records(acknowledged, found, when):
    there = {(partition, offset): value for partition, offset, value in found}
    lost = [(at, value) for at, value in acknowledged.items() if there.get(at) != value]
    if lost:
        (partition, offset), value = min(lost)
        raise Failed(
            f"{len(lost)} of {len(acknowledged)} acknowledged records are not where they were, "
            f"{value} at offset {offset} of partition {partition} for example ({when})"
        )
    twice = [value for value, times in Counter(there.values()).items() if times > 1]
    if twice:
        raise Failed(f"{len(twice)} records are there twice, {twice[0]} for example ({when})")
    for partition in range(PARTITIONS):
        parts = sorted((o, int(v.split("-")[1])) for (p, o), v in there.items() if p == partition)
        if [o for o, _ in parts] != list(range(len(parts))):
            raise Failed(f"the offsets of partition {partition} have gaps ({when})")
        if [number for _, number in parts] != sorted(number for _, number in parts):
            raise Failed(f"the records of partition {partition} are out of order ({when})")


def compare_offsets(acknowledged, tried, found, when):
    for partition, offset in acknowledged.items():
        there = found.get(partition, -1)
        if not offset <= there <= tried[partition]:
            raise Failed(f"offset {offset} of partition {partition} was committed, and "
                         f"{tried[partition]} at most was tried, but {there} is there ({when})")


ALWAYS = [
    two_consumers_share_a_topic_and_read_each_record_once,
    a_third_member_gets_its_share,
    the_others_take_over_from_a_member_that_leaves,
    the_survivor_takes_over_from_a_member_that_is_killed,
    a_client_that_starts_again_resumes_where_it_committed,
]
WITH_OWN_BROKER = [
    offsets_survive_a_clean_stop_of_the_broker,
    a_consumer_goes_on_after_a_restart_of_the_broker,
    everything_acknowledged_survives_kill_9_under_load,
]


class Tally:
    """Says each result as it comes, and how many there were."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = Counter()

    def add(self, result, name, why=""):
        with self.lock:
            self.counts[result] += 1
            say(f"{result} {name}{': ' if why else ''}{why}")


def check(run, tally):
    """All checks of one client, in order; each goes on from where the one before ended."""
    checks = ALWAYS if run.bootstrap else ALWAYS + WITH_OWN_BROKER
    data = Path(tempfile.mkdtemp(prefix="quorate-clients-"))
    past, failed = [], None
    try:
        if not run.bootstrap:
            run.broker = Broker(binary(), data / "data")
    except (Failed, OSError) as error:
        failed = f"no broker: {error}"
    for step in checks:
        name = f"{run.name} {step.__name__}"
        if failed:
            tally.add("FAILED", name, f"not reached ({failed})")
            continue
        try:
            step(run, past)
            tally.add("ok", name)
        except Exception as error:  # whatever it is, the other clients go on
            failed = str(error) if isinstance(error, Failed) else repr(error)
            tally.add("FAILED", name, failed)
            failed = "a check before it failed"
    for client in run.members:
        client.kill()
    if run.broker:
        run.broker.kill()
    shutil.rmtree(data, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap")
    parser.add_argument("--skipped", action="append", default=[])
    parser.add_argument("clients", nargs="*")
    given = parser.parse_args()
    tally, threads = Tally(), []
    ending = f"-{random.randrange(1 << 32):08x}"
    for client in given.clients:
        run = Run(*client.split("=", 2), bootstrap=given.bootstrap)
        run.topic += ending + run.name
        run.group += ending + run.name
        threads.append(threading.Thread(target=check, args=(run, tally)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for skipped in given.skipped:
        tally.add("skipped", *skipped.split("=", 1))
    counts = tally.counts
    say(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    incomplete = counts["skipped"] and os.environ.get("CI") == "true"
    return 1 if counts["FAILED"] or incomplete else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        end_all()
