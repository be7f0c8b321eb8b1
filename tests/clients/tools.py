"""Apache's command-line tools: what they print, word for word where it is the same at each run.

The records that all checks begin with are keyed so that partition 0 has 2, 1 has 3 and 2 has 1.
"""

import json
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from features import expect
from processes import SECONDS, Failed, Lines

TOPICS = "TopicCommand"
GROUPS = "consumer.group.ConsumerGroupCommand"
CONFIGS = "ConfigCommand"
RECORDS = [f"k{number}:v{number}" for number in range(1, 7)]
ENDS = [2, 3, 1]
RESET = ["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"]
OFFSETS = ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG",
           "CONSUMER-ID", "HOST", "CLIENT-ID"]


def arguments(run, tool, *given):
    program, _ = run.library.command()
    return [*map(str, program), f"org.apache.kafka.tools.{tool}", "--bootstrap-server",
            run.address, *map(str, given)]


def tool(run, name, *given, say="", code=0):
    """Runs a tool to its end: its lines, each split into words, without warnings and traces."""
    try:
        done = subprocess.run(
            arguments(run, name, *given), input=say, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{name} {' '.join(map(str, given))} takes over {SECONDS} s") from error
    lines = [re.sub(r"\bme-[0-9a-f-]{36}\b", "ID", line) for line in done.stdout.splitlines()]
    lines = [line for line in lines if line.strip() and not re.match(
        r"\s+at |Caused by|java\.util|Warn|WARN|Option --|The consumer rebalance protocol", line)]
    if done.returncode != code:
        raise Failed(f"{name} {' '.join(map(str, given))} left with {done.returncode}: {lines}")
    return [line.split() for line in lines]


def text(lines):
    return " ".join(word for line in lines for word in line)


def begin(run, subject):
    run.begin(subject)
    made = tool(run, TOPICS, "--create", "--topic", run.topic, "--partitions", 3,
                "--replication-factor", 1)
    expect("TopicCommand", text(made), f"Created topic {run.topic}.")
    tool(run, "ConsoleProducer", "--topic", run.topic, "--reader-property", "parse.key=true",
         "--reader-property", "key.separator=:", say="".join(f"{line}\n" for line in RECORDS))


def consume(run):
    """Reads all there is as a member of the group, which then is empty."""
    lines = tool(run, "consumer.ConsoleConsumer", "--topic", run.topic, "--group", run.group,
                 "--from-beginning", "--max-messages", len(RECORDS))
    expect("values", sorted(word for (word,) in lines[:-1]), [f"v{n}" for n in range(1, 7)])
    expect("the last line", text(lines[-1:]), f"Processed a total of {len(RECORDS)} messages")


def topics_are_created_listed_described_altered_and_deleted(run):
    begin(run, "topics")
    named = ["--topic", run.topic]
    again = tool(run, TOPICS, "--create", *named, code=1)
    expect("a second creation", text(again),
           f"Error while executing topic command : Topic '{run.topic}' already exists.")
    expect("with --if-not-exists", tool(run, TOPICS, "--create", *named, "--if-not-exists"), [])
    expect("the list has it", [run.topic] in tool(run, TOPICS, "--list"), True)
    fewer = tool(run, TOPICS, "--alter", *named, "--partitions", 2, code=1)
    expect("fewer partitions", text(fewer),
           f"Error while executing topic command : The topic {run.topic} currently has 3 "
           "partition(s); 2 would not be an increase.")
    expect("more partitions", tool(run, TOPICS, "--alter", *named, "--partitions", 4), [])
    head, *rows = tool(run, TOPICS, "--describe", *named)
    expect("the description", [*head[:2], *head[4:8]],
           ["Topic:", run.topic, "PartitionCount:", "4", "ReplicationFactor:", "1"])
    expect("its partitions", [row[2:] for row in rows], [
        ["Partition:", str(partition), "Leader:", "1", "Replicas:", "1", "Isr:", "1", "Elr:",
         "LastKnownElr:"] for partition in range(4)])
    ends = tool(run, "GetOffsetShell", *named)
    expect("the ends", ends, [[f"{run.topic}:{p}:{end}"] for p, end in enumerate([*ENDS, 0])])
    expect("the deletion", tool(run, TOPICS, "--delete", *named), [])
    gone = tool(run, TOPICS, "--describe", *named, code=1)
    expect("the description", text(gone),
           f"Error while executing topic command : Topic '{run.topic}' does not exist as expected")


def the_console_consumer_reads_what_the_console_producer_sends(run):
    begin(run, "console")
    tool(run, "ConsoleProducer", "--topic", run.topic, "--compression-codec", "zstd",
         "--reader-property", "parse.headers=true", say="a:1,a:2\tv7\n")
    shown = [word for kind in ("key", "partition", "offset", "headers")
             for word in ("--formatter-property", f"print.{kind}=true")]
    lines = tool(run, "consumer.ConsoleConsumer", "--topic", run.topic, "--from-beginning",
                 "--max-messages", 7, *shown)
    with_keys = sorted((line for line in lines if line[-1] != "v7" and len(line) == 5),
                       key=lambda line: line[-1])
    expect("the records", with_keys, [
        [f"Partition:{partition}", f"Offset:{offset}", "NO_HEADERS", f"k{n}", f"v{n}"]
        for n, (partition, offset) in
        enumerate([(2, 0), (0, 0), (1, 0), (1, 1), (0, 1), (1, 2)], 1)])
    with_headers = [line[2:] for line in lines if line[-1] == "v7"]
    expect("the one with headers", with_headers, [["a:1,a:2", "null", "v7"]])


class Member(Lines):
    """A console consumer that runs on."""

    def __init__(self, run):
        super().__init__(
            arguments(run, "consumer.ConsoleConsumer", "--topic", run.topic, "--group", run.group,
                      "--from-beginning", "--command-property", "client.id=me",
                      "--command-property", "auto.commit.interval.ms=100"),
            stderr=subprocess.DEVNULL,
        )
        self.wait("it has read all", lambda: sum(line[:1] == "v" for line in self.lines) == 6)

    def __str__(self):
        return "the console consumer"

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(SECONDS)


def offsets(run, current, member=("-", "-", "-")):
    """What --describe shows for these committed offsets."""
    rows = [[run.group, run.topic, str(p), str(at), str(ENDS[p]), str(ENDS[p] - at), *member]
            for p, at in enumerate(current) if at is not None]
    return [OFFSETS, *rows]


def described(run, *given):
    return tool(run, GROUPS, "--describe", "--group", run.group, *given)


def groups_are_listed_and_described(run):
    begin(run, "described")
    member = Member(run)
    try:
        for _ in range(20):  # until it has committed
            if (found := described(run))[-1][3] == str(ENDS[-1]):
                break
        expect("the offsets", found, offsets(run, ENDS, ("ID", "/127.0.0.1", "me")))
        expect("the members", described(run, "--members", "--verbose")[1:],
               [[run.group, "ID", "/127.0.0.1", "me", "3", "-", f"{run.topic}:0,1,2", "-", "-"]])
        expect("the state", described(run, "--state")[1:],
               [[run.group, run.address, "(1)", "range", "Stable", "1"]])
        expect("the list has it", [run.group, "Stable"] in tool(run, GROUPS, "--list", "--state"),
               True)
        a_group_with_members_is_left_alone(run)
    finally:
        member.leave()
    none = [f"Consumer group '{run.group}' has no active members.".split()]
    expect("the offsets", described(run), none + offsets(run, ENDS))
    expect("the members", described(run, "--members"),
           [*none, ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS"]])
    expect("the state", described(run, "--state")[2:],
           [[run.group, run.address, "(1)", "-", "Empty", "0"]])
    empty = tool(run, GROUPS, "--list", "--state", "empty")
    expect("the list of empty groups has it", [run.group, "Empty"] in empty, True)
    types = tool(run, GROUPS, "--list", "--type")
    expect("the list of types has it", [run.group, "Classic"] in types, True)
    protocols = tool(run, "GroupsCommand", "--list")
    expect("the list of all groups", [run.group, "Classic", "consumer"] in protocols, True)


def a_group_with_members_is_left_alone(run):
    reset = tool(run, GROUPS, "--group", run.group, "--reset-offsets", "--to-earliest",
                 "--topic", run.topic, "--execute")
    expect("a reset", text(reset[:1]), "Error: Assignments can only be reset if the group "
           f"'{run.group}' is inactive, but the current state is Stable.")
    deleted = tool(run, GROUPS, "--group", run.group, "--delete")
    expect("a deletion", text(deleted), "Error: Deletion of some consumer groups failed: "
           f"* Group '{run.group}' could not be deleted due to: org.apache.kafka.common.errors."
           "GroupNotEmptyException: The group is not empty.")
    subscribed = tool(run, GROUPS, "--group", run.group, "--delete-offsets", "--topic", run.topic)
    status = text(subscribed[2:3])
    expect("a deletion of offsets", status, f"{run.topic} 0 Error: org.apache.kafka.common.errors."
           "GroupSubscribedToTopicException: Deleting offsets of a topic is forbidden while the "
           "consumer group is actively subscribed to it.")


def offsets_are_reset_by_every_method(run):
    begin(run, "reset")
    consume(run)
    every, one = ["--all-topics"], ["--topic", f"{run.topic}:1"]
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.csv"
        plan.write_text(f"{run.topic},0,1\n{run.topic},2,0\n")
        methods = [  # what is asked, and the offsets there are afterwards
            (["--to-earliest", *every], [0, 0, 0]),
            (["--to-latest", *every], [2, 3, 1]),
            (["--to-offset", 1, *every], [1, 1, 1]),
            (["--to-offset", 99, *one], [None, 3, None]),
            (["--shift-by", -2, *one], [None, 1, None]),
            (["--shift-by", 1, "--topic", f"{run.topic}:0,1"], [2, 2, None]),
            (["--to-datetime", "2020-01-01T00:00:00.000", *every], [0, 0, 0]),
            (["--to-datetime", "2040-01-01T00:00:00.000", *every], [2, 3, 1]),
            (["--by-duration", "P1D", *every], [0, 0, 0]),
            (["--from-file", plan], [1, None, 0]),
            (["--to-current", *every], [1, 0, 0]),
        ]
        now = list(ENDS)
        for method, wanted in methods:
            lines = [RESET, *([run.group, run.topic, str(p), str(offset)]
                              for p, offset in enumerate(wanted) if offset is not None)]
            dry, wet = (
                tool(run, GROUPS, "--group", run.group, "--reset-offsets", *method, how)
                for how in ("--dry-run", "--execute")
            )
            what = " ".join(map(str, method))
            expect(f"{what} --dry-run", sorted(dry), sorted(lines))
            expect(f"{what} --execute", sorted(wet), sorted(lines))
            now = [old if new is None else new for old, new in zip(now, wanted, strict=True)]
            expect(f"after {what}", described(run)[1:], offsets(run, now))
    exported = tool(run, GROUPS, "--group", run.group, "--reset-offsets", "--to-latest", *every,
                    "--export", "--dry-run")
    exported = sorted([word.replace('"', "") for word in line] for line in exported)
    expect("--export", exported, [[f"{run.topic},{p},{end}"] for p, end in enumerate(ENDS)])
    expect("after a dry run", described(run)[1:], offsets(run, now))


def offsets_and_groups_are_deleted(run):
    begin(run, "deleted")
    consume(run)
    deleted = tool(run, GROUPS, "--group", run.group, "--delete-offsets",
                   "--topic", f"{run.topic}:1")
    expect("--delete-offsets", deleted, [
        f"Request succeeded for deleting offsets from group {run.group}.".split(),
        ["TOPIC", "PARTITION", "STATUS"], [run.topic, "1", "Successful"]])
    expect("the offsets", described(run)[1:], offsets(run, [2, None, 1]))
    expect("--delete", text(tool(run, GROUPS, "--group", run.group, "--delete")),
           f"Deletion of requested consumer groups ('{run.group}') was successful.")
    expect("a second --delete", text(tool(run, GROUPS, "--group", run.group, "--delete")),
           "Error: Deletion of some consumer groups failed: "
           f"* Group '{run.group}' could not be deleted due to: org.apache.kafka.common.errors."
           "GroupIdNotFoundException: The group id does not exist.")
    expect("--describe", text(described(run)),
           "Error: Executing consumer group command failed due to org.apache.kafka.common.errors."
           f"GroupIdNotFoundException: Group {run.group} not found.")


def configurations_are_described_and_altered(run):
    begin(run, "configs")

    def alter(*given):
        done = tool(run, CONFIGS, "--alter", "--topic", run.topic, *given)
        expect(" ".join(given), text(done), f"Completed updating config for topic {run.topic}.")

    def dynamic():
        head, *rows = tool(run, CONFIGS, "--describe", "--topic", run.topic)
        expect("the head", text([head]), f"Dynamic configs for topic {run.topic} are:")
        return [row[0] for row in rows]

    expect("at first", dynamic(), [])
    alter("--add-config", "retention.ms=2000000,cleanup.policy=compact")
    expect("after --add-config", sorted(dynamic()),
           ["cleanup.policy=compact", "retention.ms=2000000"])
    alter("--add-config", "cleanup.policy=[compact,delete]")
    alter("--delete-config", "retention.ms")
    expect("after --delete-config", dynamic(), ["cleanup.policy=compact,delete"])
    refused = tool(run, CONFIGS, "--alter", "--topic", run.topic, "--add-config", "nonsense=1",
                   code=1)
    expect("the error", text(refused).split(" with ")[0], "Error while executing config command")
    expect("after an unknown one", dynamic(), ["cleanup.policy=compact,delete"])
    every = tool(run, CONFIGS, "--describe", "--topic", run.topic, "--all")
    expect("all of them", [row[0] for row in every if row[0].startswith("retention.")],
           ["retention.bytes=-1", "retention.ms=604800000"])


def records_are_deleted(run):
    begin(run, "records")
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        parts = [{"topic": run.topic, "partition": 1, "offset": 2},
                 {"topic": run.topic, "partition": 0, "offset": -1}]
        plan.write_text(json.dumps({"version": 1, "partitions": parts}))
        done = tool(run, "DeleteRecordsCommand", "--offset-json-file", plan)
    expect("what it says", sorted(done[2:]), [
        ["partition:", f"{run.topic}-{partition}", "low_watermark:", "2"] for partition in (0, 1)])
    starts = tool(run, "GetOffsetShell", "--topic", run.topic, "--time", "earliest")
    expect("the starts", starts, [[f"{run.topic}:{p}:{at}"] for p, at in enumerate([2, 2, 0])])


def all_interfaces_the_tools_know_are_told(run):
    head, *rows = tool(run, "BrokerApiVersionsCommand")
    expect("the first line", head[:3], [run.address, "(id:", "1"])
    produce = next(row for row in rows if row[0] == "Produce(0):")
    if not produce[-1].rstrip("],").isdigit():
        raise Failed(f"no version of Produce is usable: {' '.join(produce)}")


CHECKS = [
    topics_are_created_listed_described_altered_and_deleted,
    the_console_consumer_reads_what_the_console_producer_sends,
    groups_are_listed_and_described,
    offsets_are_reset_by_every_method,
    offsets_and_groups_are_deleted,
    configurations_are_described_and_altered,
    records_are_deleted,
    all_interfaces_the_tools_know_are_told,
]
