"""One client library against one broker, and what all checks of it do."""

import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from clients import Library
from processes import SECONDS, Broker, Client, Failed, wait_for_all

# How clients word COORDINATOR_LOAD_IN_PROGRESS.
LOADING = re.compile(r"is refused: .*(load ?in ?progress|still loading|load_in_progress)", re.I)
PARTITIONS = 6
RECORDS = 120  # at a time
SHORT = 6000  # Kafka's shortest session timeout in ms: the dead are noticed soon
LONG = 60000  # longer than any check: who is noticed within it has said goodbye


@dataclass
class Run:
    """One client library against one broker: the members of one group that read one topic."""

    library: Library
    address: str
    broker: Broker | None = None  # None: a broker runs already, and is not ours to stop
    members: list = field(default_factory=list)
    past: list = field(default_factory=list)  # all members there ever were: they have read
    produced: int = 0
    rebalances: list = field(default_factory=list)  # each member's, before the broker's restart
    topic: str = ""
    group: str = ""
    administrator: Client | None = None

    def begin(self, subject):
        """Names a topic and a group that nobody has used before."""
        self.end()
        ending = f"-{self.library.name}-{random.randrange(1 << 32):08x}"
        self.topic, self.group = f"{subject}{ending}", f"{subject}-readers{ending}"
        self.past, self.produced = [], 0

    def end(self):
        """Ends the members there still are."""
        while self.members:
            self.members.pop().kill()

    def client(self, command, *arguments, **options):
        return Client(self.library, self.address, command, *arguments, **options)

    def admin(self, operation, **options):
        """Has the client's administrator do something, and gives its answer."""
        if self.administrator is None:
            self.administrator = self.client("admin")
        return self.administrator.ask(operation, **options)

    def create(self, partitions=PARTITIONS):
        self.admin("create", topic=self.topic, partitions=partitions)

    def member(self, session=SHORT, **options):
        options = {"group": self.group, "topic": self.topic, "session": session} | options
        self.members.append(self.client("member", **options))
        self.past.append(self.members[-1])
        return self.members[-1]

    def leave(self, member):
        """A clean goodbye."""
        member.order("close", "closed")
        self.members.remove(member)

    def kill(self, member):
        member.kill()
        self.members.remove(member)

    def produce(self, topic=None, codec="none"):
        """Sends the next records; all of them are acknowledged when this returns."""
        first, self.produced = self.produced, self.produced + RECORDS
        numbers = {"from": first, "to": self.produced}
        events = self.client("produce", topic=topic or self.topic, partitions=PARTITIONS,
                             codec=codec, **numbers).finish()
        values = [value for _, _, value in events.get("acknowledged", [])]
        sent = [f"{number % PARTITIONS}-{number}" for number in range(first, self.produced)]
        if sorted(values) != sorted(sent):
            raise Failed(f"{len(values)} of {RECORDS} acknowledged: {events.get('refused')}")

    def read(self, partitions=PARTITIONS):
        """Every record of the topic."""
        events = self.client("read", topic=self.topic, partitions=partitions).finish()
        return events.get("record", [])

    def shared_evenly(self):
        """Waits until the members have all partitions, each as many as the others."""
        share = PARTITIONS // len(self.members)

        def evenly():
            assigned = [member.assigned() for member in self.members]
            together = sorted(partition for parts in assigned for partition in parts)
            return together == list(range(PARTITIONS)) and {len(a) for a in assigned} == {share}

        wait_for_all(self.members, f"each of {len(self.members)} has {share} partitions", evenly)

    def values(self):
        return [record[2] for member in self.past for record in member.of("record")]

    def each_is_read(self):
        """All that was produced so far was read by the members."""
        wait_for_all(self.members, f"{self.produced} records are read",
                     lambda: len(set(self.values())) >= self.produced)

    def each_is_read_once(self):
        """The same, and nothing was read twice."""
        self.each_is_read()
        twice = [value for value, times in Counter(self.values()).items() if times > 1]
        if twice:
            raise Failed(f"{len(twice)} records were read more than once, {twice[0]} for example")

    def produce_and_read(self):
        self.produce()
        self.each_is_read_once()

    def commit(self):
        for member in self.members:
            member.order("commit", "committed")

    def offsets(self):
        """The committed ones. A broker that has just started may still load them: not all clients
        ask again by themselves."""
        given = {"group": self.group, "topic": self.topic, "partitions": PARTITIONS}
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                found = self.admin("committed", **given)
                return {int(partition): offset for partition, offset in found.items()}
            except Failed as error:
                if not LOADING.search(str(error)) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def all_is_committed(self):
        expected = {partition: self.produced // PARTITIONS for partition in range(PARTITIONS)}
        if (offsets := self.offsets()) != expected:
            raise Failed(f"the committed offsets are {offsets}, not {expected}")

    def start_broker_again(self):
        self.broker = self.broker.again()
        if self.administrator:
            self.administrator.kill()
            self.administrator = None
