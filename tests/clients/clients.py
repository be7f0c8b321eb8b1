"""Which client libraries there are, how each is installed and started, and what each cannot do.

A library is installed in tests/clients/.clients/NAME, once for as long as what it is made from
stays the same. What it lacks is data: the check's name and the reason it is not run.
"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = HERE / ".clients"
SECONDS = 180  # for one step of an installation

NO_REBALANCE = "a_restart_of_the_broker_is_no_rebalance"
STATIC = "static_members_restart_without_a_rebalance"
COOPERATIVE = "cooperative_consumers_keep_what_they_keep"
PATTERN = "a_pattern_subscription_sees_a_new_topic"
HEADERS = "repeated_header_keys_and_null_keys_and_values_are_read_back"
DELETE_GROUPS = "admin_deletes_groups"
SET_OFFSETS = "admin_sets_offsets"
DELETE_OFFSETS = "admin_deletes_offsets"
DELETE_RECORDS = "admin_deletes_records"
CONFIGS = "admin_changes_the_configuration_of_a_topic"


class Missing(Exception):
    """A tool of the language is not on this machine: nothing the repository could install."""


class NotInstalled(Exception):
    """An installation failed."""


@dataclass(frozen=True)
class Library:
    name: str
    how: "How"
    lacks: dict = field(default_factory=dict)
    cannot_write: tuple = ()  # records, as features.py writes them
    also: tuple = ()  # checks of the long form that are worth their time in the short one

    @property
    def folder(self):
        return INSTALLED / self.name

    def install(self):
        """Installs what is not there yet, or is there from something else."""
        for tool in self.how.tools:
            if not shutil.which(tool):
                raise Missing(f"there is no {tool} on this machine")
        mark, wanted = self.folder / "installed", self.how.made_from()
        if mark.exists() and mark.read_text() == wanted:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.how.install(self.folder)
        mark.write_text(wanted)

    def command(self):
        """How its program is started, before the address; and the environment it needs."""
        return self.how.command(self.folder)


def call(*arguments, cwd=None, **environment):
    try:
        done = subprocess.run(
            [str(argument) for argument in arguments], cwd=cwd, env=os.environ | environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"{arguments[0]} takes over {SECONDS} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise NotInstalled(f"{arguments[0]}: {' | '.join(lines[-3:])}")


def hashed(text, *files):
    found = hashlib.sha256(text.encode())
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()


class How:
    """How the libraries of one language are installed and started."""

    tools = ()


@dataclass(frozen=True)
class Python(How):
    module: str
    packages: tuple
    tools = ("python3",)

    def made_from(self):
        return hashed(repr(self.packages))

    def install(self, folder):
        call("python3", "-m", "venv", folder)
        pip = folder / "bin" / "pip"
        call(pip, "install", "--quiet", "--disable-pip-version-check", *self.packages)

    def command(self, folder):
        return [folder / "bin" / "python", HERE / "client.py", self.module], {}


def copy_jars(pom, folder, *properties):
    call("mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies",
         f"-DoutputDirectory={folder / 'jars'}", *properties)


# These programs live for seconds and several run at once: no time for the best code, little heap.
JAVA = ("java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp")


@dataclass(frozen=True)
class Java(How):
    version: str
    tools = ("java", "javac", "mvn")

    @property
    def sources(self):
        return sorted((HERE / "java").glob("*.java"))

    def made_from(self):
        return hashed(self.version, HERE / "java" / "pom.xml", *self.sources)

    def install(self, folder):
        copy_jars(HERE / "java" / "pom.xml", folder, f"-Dkafka={self.version}")
        call("javac", "-nowarn", "-d", folder / "classes", "-cp", folder / "jars" / "*",
             *self.sources)

    def command(self, folder):
        return [*JAVA, f"{folder / 'classes'}:{folder / 'jars' / '*'}", "Client"], {}


@dataclass(frozen=True)
class Tools(How):
    """Apache's command-line tools: not a client of the others' kind, see tools.py."""

    tools = ("java", "mvn")

    def made_from(self):
        return hashed("", HERE / "apache" / "pom.xml")

    def install(self, folder):
        copy_jars(HERE / "apache" / "pom.xml", folder)

    def command(self, folder):
        return [*JAVA, folder / "jars" / "*"], {}


@dataclass(frozen=True)
class Go(How):
    package: str
    tools = ("go",)

    def made_from(self):
        module = HERE / "go"
        sources = sorted([*module.glob("common/*"), *module.glob(f"{self.package}/*")])
        return hashed(self.package, module / "go.mod", module / "go.sum", *sources)

    def install(self, folder):
        # Not optimized: on a new machine all of Go's library is compiled too, which takes longest.
        call("go", "build", "-gcflags=all=-N -l", "-ldflags=-s -w", "-o", folder / "client",
             f"./{self.package}", cwd=HERE / "go")

    def command(self, folder):
        return [folder / "client"], {}


@dataclass(frozen=True)
class Node(How):
    tools = ("node", "npm")
    listed = ("package.json", "package-lock.json")

    def made_from(self):
        return hashed("", *(HERE / "node" / file for file in self.listed))

    def install(self, folder):
        for file in self.listed:
            shutil.copy(HERE / "node" / file, folder)
        call("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)

    def command(self, folder):
        return ["node", HERE / "node" / "client.js"], {"NODE_PATH": str(folder / "node_modules")}


CODECS = ("lz4==4.4.5", "python-snappy==0.7.3", "zstandard==0.25.0")
NOTHING = ("~;~;", "key;value;null:~")  # neither key nor value, and a null header
EAGER = "it has no cooperative assignor"

LIBRARIES = [  # what is quick to install comes first
    Library(
        "confluent-kafka-2.16",
        Python("confluent_kafka", ("confluent-kafka==2.16.1",)),
        lacks={DELETE_OFFSETS: "it has no call that deletes offsets"},
        also=("everything_acknowledged_survives_kill_9_under_load",),
    ),
    Library(
        "kafka-python-3.0",
        Python("kafka_python", ("kafka-python==3.0.12", *CODECS)),
        cannot_write=NOTHING,
    ),
    Library(
        "kafka-python-2.3",
        Python("kafka_python", ("kafka-python==2.3.3", *CODECS)),
        cannot_write=NOTHING,
        lacks={
            COOPERATIVE: EAGER,
            SET_OFFSETS: "it has no call that changes a group's offsets",
            DELETE_OFFSETS: "it has no call that deletes offsets",
        },
    ),
    Library(
        "kafkajs-2.2",
        Node(),
        cannot_write=("key;value;null:~",),
        lacks={
            STATIC: "it has no static membership",
            COOPERATIVE: EAGER,
            PATTERN: "it looks for the topics of a pattern once, when it subscribes",
            DELETE_OFFSETS: "it has no call that deletes offsets",
        },
    ),
    Library(
        "aiokafka-0.14",
        Python("aiokafka", ("aiokafka==0.14.0", "cramjam==2.14.0")),
        cannot_write=NOTHING,
        lacks={
            COOPERATIVE: EAGER,
            DELETE_GROUPS: "it has no call that deletes groups",
            SET_OFFSETS: "it has no call that changes a group's offsets",
            DELETE_OFFSETS: "it has no call that deletes offsets",
        },
    ),
    Library("java-4.4", Java("4.4.0")),
    Library("java-3.9", Java("3.9.1")),
    Library("franz-go-1.22", Go("franz")),
    Library("sarama-1.61", Go("sarama"), lacks={PATTERN: "it subscribes to names only"}),
    Library(
        "kafka-go-0.4",
        Go("kafkago"),
        cannot_write=("key;value;empty:,full:value", ";;"),  # it reads what is empty as null
        lacks={
            NO_REBALANCE: "it joins its group again after any error of a connection",
            STATIC: "it has no static membership",
            COOPERATIVE: EAGER,
            PATTERN: "it subscribes to names only",
            DELETE_RECORDS: "it has no call that deletes records",
        },
    ),
]

APACHE_TOOLS = Library("apache-tools-4.4", Tools())  # in the long form only
