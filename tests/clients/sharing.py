"""A group over its life, and the broker's: each check goes on from where the one before ended."""

import random
from collections import Counter

from processes import Failed, wait_for_all
from runs import LONG, PARTITIONS

KILLS = 2


def two_consumers_share_a_topic_and_read_each_record_once(run):
    run.begin("shared")
    run.create()
    run.member()
    run.member()
    run.shared_evenly()
    run.produce_and_read()
    if not all(member.of("record") for member in run.past):
        raise Failed("one of the two read nothing")


def a_third_member_gets_its_share(run):
    run.commit()
    run.member()
    run.shared_evenly()
    run.produce_and_read()


def the_survivors_take_over_from_a_member_that_is_killed(run):
    run.commit()
    run.kill(run.members[-1])
    run.shared_evenly()
    run.produce_and_read()


def the_others_take_over_from_a_member_that_leaves(run):
    run.commit()
    member = run.member(LONG)
    run.shared_evenly()
    run.commit()
    run.leave(member)
    run.shared_evenly()
    run.produce_and_read()


def a_client_that_starts_again_resumes_where_it_committed(run):
    run.commit()
    while run.members:
        run.leave(run.members[-1])
    run.produce()
    run.member()
    run.shared_evenly()
    run.each_is_read_once()
    run.commit()
    run.member()
    run.shared_evenly()


def offsets_survive_a_clean_stop_of_the_broker(run):
    run.commit()
    run.all_is_committed()
    run.rebalances = [member.rebalances() for member in run.members]
    code = run.broker.stop()
    if code != 0:
        raise Failed(f"after SIGTERM the broker left with {code}: {run.broker.last()}")
    run.start_broker_again()
    run.all_is_committed()


def consumers_go_on_after_a_restart_of_the_broker(run):
    """Each record is read at least once: there are clients that join again after any error."""
    run.produce()
    run.shared_evenly()
    run.each_is_read()
    expected = {partition: run.produced // PARTITIONS for partition in range(PARTITIONS)}

    def committed():
        run.commit()
        return run.offsets() == expected

    wait_for_all(run.members, "all that was read is committed", committed)


def a_restart_of_the_broker_is_no_rebalance(run):
    """Who knew nothing but a lost connection found its group as it was."""
    run.each_is_read_once()
    if [member.rebalances() for member in run.members] != run.rebalances:
        raise Failed("the listener of a member was called")


def everything_acknowledged_survives_kill_9_under_load(run):
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    run.begin("loaded")
    run.create()
    records, commits, tried = {}, {}, {}
    for kill in range(1, KILLS + 1):
        load = run.client("load", group=run.group, topic=run.topic, partitions=PARTITIONS)
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
        run.start_broker_again()
        compare_records(records, run.read(), f"after kill {kill}, {seed=}")
        compare_offsets(commits, tried, run.offsets(), f"after kill {kill}, {seed=}")


def compare_records(acknowledged, found, when):
    there = {(partition, offset): value for partition, offset, value, *_ in found}
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


SHORT_FORM = [
    two_consumers_share_a_topic_and_read_each_record_once,
    a_third_member_gets_its_share,
    the_survivors_take_over_from_a_member_that_is_killed,
    offsets_survive_a_clean_stop_of_the_broker,
]
LONG_FORM = [
    *SHORT_FORM[:3],
    the_others_take_over_from_a_member_that_leaves,
    a_client_that_starts_again_resumes_where_it_committed,
    *SHORT_FORM[3:],
    consumers_go_on_after_a_restart_of_the_broker,
    a_restart_of_the_broker_is_no_rebalance,
    everything_acknowledged_survives_kill_9_under_load,
]
WITH_OWN_BROKER = LONG_FORM[-4:]  # they stop it
