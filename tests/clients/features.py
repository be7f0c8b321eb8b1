"""What a client can do beside sharing: each check has a topic and a group of its own."""

from functools import partial, update_wrapper

from processes import Failed, wait_for_all
from runs import LONG, PARTITIONS, RECORDS

# Records as client.py's `write` takes them: KEY;VALUE;NAME:VALUE,... with ~ for null.
ODD_RECORDS = [
    "~;~;",
    "~;value;same:1,same:2,same:1",
    "key;~;",
    "key;value;empty:,full:value",
    "key;value;null:~",
    ";;",
]


def static_members_restart_without_a_rebalance(run):
    run.begin("static")
    run.create()
    stays, restarts = run.member(LONG, instance="stays"), run.member(LONG, instance="restarts")
    run.shared_evenly()
    run.produce_and_read()
    before, told = restarts.assigned(), stays.rebalances()
    for end in (run.leave, run.kill):
        run.commit()
        end(restarts)
        restarts = run.member(LONG, instance="restarts")
        run.shared_evenly()
        run.produce_and_read()
        if restarts.assigned() != before:
            raise Failed(f"it had {before}, and after its restart {restarts.assigned()}")
        if stays.rebalances() != told:
            raise Failed(f"the other one saw a rebalance after '{end.__name__}'")


def cooperative_consumers_keep_what_they_keep(run):
    run.begin("cooperative")
    run.create()
    first = run.member(assignor="cooperative")
    run.shared_evenly()
    run.produce_and_read()
    run.commit()
    since = len(first.of("assigned"))
    second = run.member(assignor="cooperative")
    run.shared_evenly()
    kept = set(first.assigned())
    for assigned in first.of("assigned")[since:]:
        if not kept <= {partition for _, partition in assigned}:
            raise Failed(f"it kept {sorted(kept)}, but had only {assigned} for a while")
    revoked = sorted(partition for parts in first.of("revoked") for _, partition in parts)
    if revoked != second.assigned():
        raise Failed(f"it gave up {revoked}, and the other one got {second.assigned()}")
    run.produce_and_read()
    run.commit()
    given_up = len(first.of("revoked"))
    run.leave(second)
    run.shared_evenly()
    run.produce_and_read()
    if more := first.of("revoked")[given_up:]:
        raise Failed(f"it gave up {more} though nobody joined")


def a_pattern_subscription_sees_a_new_topic(run):
    run.begin("pattern")
    names = [f"{run.topic}-one", f"{run.topic}-two"]
    member = None
    for count, name in enumerate(names, 1):
        run.admin("create", topic=name, partitions=PARTITIONS)
        member = member or run.member(topic=f"^{run.topic}-.*", pattern="yes")
        wanted = [[name, part] for name in names[:count] for part in range(PARTITIONS)]
        wait_for_all([member], f"it has {count} topics",
                     lambda: (member.of("assigned") or [[]])[-1] == wanted)
        run.produce(topic=name)
        run.each_is_read_once()
        run.commit()


def records_are_read_back(run, codec):
    run.begin(codec)
    run.create()
    run.produce(codec=codec)
    run.produce(codec=codec)
    values = sorted((partition, offset, value) for partition, offset, value, *_ in run.read())
    wanted = sorted((number % PARTITIONS, number // PARTITIONS, f"{number % PARTITIONS}-{number}")
                    for number in range(2 * RECORDS))
    if values != wanted:
        raise Failed(f"{len(values)} records are there: {values[:3]}, not {wanted[:3]}")


def compressed_with(codec):
    check = update_wrapper(partial(records_are_read_back, codec=codec), records_are_read_back)
    check.__name__ = f"records_compressed_with_{codec}_are_read_back"
    return check


def repeated_header_keys_and_null_keys_and_values_are_read_back(run):
    run.begin("headers")
    run.create(1)
    written = [record for record in ODD_RECORDS if record not in run.library.cannot_write]
    run.client("write", *(f"record={record}" for record in written), topic=run.topic).finish()
    for (_, offset, value, key, headers), record in zip(run.read(1), written, strict=True):
        fields = [f"{name}:{null(value)}" for name, value in headers]
        found = f"{null(key)};{null(value)};{','.join(fields)}"
        if found != record:
            raise Failed(f"at offset {offset} is {found}, not {record}")


def null(value):
    return "~" if value is None else value


def admin_creates_grows_and_deletes_topics(run):
    run.begin("topic")
    run.create(2)

    def partitions():
        return run.admin("partitions", topic=run.topic)

    # A client may answer from what it has found some seconds ago.
    wait_for_all([], "there are 2 partitions", lambda: partitions() == 2)
    wait_for_all([], "the topic is listed", lambda: run.topic in run.admin("topics"))
    run.admin("grow", topic=run.topic, partitions=3)
    wait_for_all([], "there are 3 partitions", lambda: partitions() == 3)
    run.admin("delete_topic", topic=run.topic)
    wait_for_all([], "the topic is not listed", lambda: run.topic not in run.admin("topics"))


def admin_lists_and_describes_groups(run):
    run.begin("group")
    run.create()
    member = run.member()
    run.shared_evenly()
    expect("the group is listed", run.group in run.admin("groups"), True)
    expect("state and members", run.admin("group", group=run.group), ["Stable", 1])
    run.leave(member)
    expect("state and members", run.admin("group", group=run.group), ["Empty", 0])


def admin_deletes_groups(run):
    run.begin("delete-group")
    run.create()
    member = run.member()
    run.shared_evenly()
    run.produce_and_read()
    run.commit()
    run.leave(member)
    run.all_is_committed()
    run.admin("delete_group", group=run.group)
    expect("the group is listed", run.group in run.admin("groups"), False)
    expect("its offsets", run.offsets(), {})


def admin_sets_offsets(run):
    run.begin("set-offsets")
    run.create()
    run.produce()
    run.admin("set_offset", group=run.group, topic=run.topic, partition=1, offset=7)
    expect("the offsets", run.offsets(), {1: 7})


def admin_deletes_offsets(run):
    run.begin("delete-offsets")
    run.create()
    member = run.member()
    run.shared_evenly()
    run.produce_and_read()
    run.commit()
    run.leave(member)
    run.all_is_committed()
    run.admin("delete_offsets", group=run.group, topic=run.topic, partitions=PARTITIONS - 1)
    expect("the offsets", run.offsets(), {PARTITIONS - 1: RECORDS // PARTITIONS})


def admin_changes_the_configuration_of_a_topic(run):
    run.begin("config")
    run.create(1)
    given = {"topic": run.topic, "name": "retention.ms"}
    before = run.admin("config", **given)
    run.admin("set_config", **given, value="123456789")
    expect("retention.ms before and after", [before, run.admin("config", **given)],
           ["604800000", "123456789"])


def admin_deletes_records(run):
    run.begin("delete-records")
    run.create()
    run.produce()
    run.admin("delete_records", topic=run.topic, partition=2, before=5)
    offsets = {partition: [] for partition in range(PARTITIONS)}
    for partition, offset, *_ in run.read():
        offsets[partition].append(offset)
    rest = {p: list(range(5 if p == 2 else 0, RECORDS // PARTITIONS)) for p in range(PARTITIONS)}
    expect("the offsets of the records", offsets, rest)


def expect(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what}: {found}, not {wanted}")


FEATURES = [
    static_members_restart_without_a_rebalance,
    cooperative_consumers_keep_what_they_keep,
    a_pattern_subscription_sees_a_new_topic,
    *map(compressed_with, ("gzip", "snappy", "lz4", "zstd")),
    repeated_header_keys_and_null_keys_and_values_are_read_back,
    admin_creates_grows_and_deletes_topics,
    admin_lists_and_describes_groups,
    admin_deletes_groups,
    admin_sets_offsets,
    admin_deletes_offsets,
    admin_changes_the_configuration_of_a_topic,
    admin_deletes_records,
]
