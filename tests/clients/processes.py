"""The programs a check starts: the broker and the clients. None of them outlives the check."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = 40  # how long anything may take that does happen; only a failure takes this long

_started = []


class Failed(Exception):
    """What a check found to be wrong."""


def end_all():
    """Ends whatever is still running."""
    for process in _started:
        if process.poll() is None:
            process.kill()


class Lines:
    """A process whose output is read line by line while it runs."""

    def __init__(self, arguments, **options):
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdout=subprocess.PIPE, text=True, errors="replace", **options,
        )
        _started.append(self.process)
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self._take(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _take(self, line):
        self.lines.append(line)

    def wait(self, what, condition, seconds=SECONDS):
        """Waits until the condition on what was read is true; `what` is for the failure."""
        with self.changed:
            self.changed.wait_for(lambda: condition() or self.ended, seconds)
            if not condition():
                how = "ended" if self.ended else f"in {seconds} s did not come to where"
                raise Failed(f"{self} {how} before {what}: {self.last()}")

    def last(self):
        return " | ".join(self.lines[-3:])

    def kill(self):
        """SIGKILL; what was written before it has been read when this returns."""
        self.process.kill()
        self.process.wait(SECONDS)
        with self.changed:
            self.changed.wait_for(lambda: self.ended, SECONDS)


class Broker(Lines):
    """A broker of our own on a port that the operating system chose."""

    def __init__(self, binary, data, port=0):
        self.arguments = (binary, data)
        super().__init__(
            [binary, "--listen", f"127.0.0.1:{port}", "--data", data,
             # The first members of a group need not wait for more.
             "--set", "group.initial.rebalance.delay.ms=0"],
            stderr=subprocess.STDOUT,
        )
        self.address = None
        self.wait("it said 'listening on ADDRESS'", self._listening)

    def __str__(self):
        return "the broker"

    def _listening(self):
        for line in self.lines if self.address is None else []:
            if found := re.search(r"listening on ([0-9.]+:[0-9]+)", line):
                self.address = found.group(1)
        return self.address is not None

    def runs(self):
        return self.process.poll() is None

    def again(self):
        """The same data on the same port, so that clients that live find it."""
        return Broker(*self.arguments, port=self.address.split(":")[1])

    def stop(self):
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"the broker runs {SECONDS} s after SIGTERM: {self.last()}") from error


class Client(Lines):
    """A run of a client's program, see client.py: its events, sorted by what they are."""

    def __init__(self, library, address, command, *arguments, **options):
        arguments = [*(f"{key}={value}" for key, value in options.items()), *arguments]
        self.name = f"{command} {' '.join(arguments)}"
        self.events = {}
        self.complaints = []
        program, environment = library.command()
        super().__init__(
            [*program, address, command, *arguments],
            env=os.environ | environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        threading.Thread(target=self._complaints, daemon=True).start()

    def __str__(self):
        return f"client '{self.name}'"

    def _complaints(self):
        self.complaints.extend(self.process.stderr)

    def _take(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            return  # cut off by SIGKILL, or printed by a library
        for kind, value in event.items():
            self.events.setdefault(kind, []).append(value)

    def last(self):
        return " | ".join(line.strip() for line in self.complaints[-3:]) or "it said nothing"

    def of(self, kind):
        with self.changed:
            return list(self.events.get(kind, []))

    def _send(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failed(f"{self} has ended: {self.last()}") from error

    def order(self, order, answer):
        """Has a member do something, and waits until it is done."""
        before = len(self.of(answer))
        self._send(order)
        self.wait(f"'{answer}'", lambda: len(self.events.get(answer, [])) > before)

    def ask(self, operation, **options):
        """Has an administrator do something, and gives its answer."""
        before = len(self.of("answer")), len(self.of("refused"))
        line = " ".join([operation, *(f"{key}={value}" for key, value in options.items())])

        def now():
            return len(self.events.get("answer", [])), len(self.events.get("refused", []))

        self._send(line)
        self.wait(f"it answered '{line}'", lambda: now() != before)
        if now()[1] > before[1]:
            raise Failed(f"'{line}' is refused: {self.of('refused')[-1]}")
        return self.of("answer")[-1]

    def assigned(self):
        """The partitions a member of one topic has."""
        return [partition for _, partition in (self.of("assigned") or [[]])[-1]]

    def rebalances(self):
        """How often a member's listener was called."""
        return len(self.of("rebalanced")) + len(self.of("revoked"))

    def finish(self):
        """Waits for a command that comes to an end, and gives its events."""
        try:
            code = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise Failed(f"{self} takes over {SECONDS} s: {self.last()}") from error
        with self.changed:
            self.changed.wait_for(lambda: self.ended, SECONDS)
        if code != 0:
            time.sleep(0.1)  # for the last line of what it complains about
            raise Failed(f"{self} left with {code}: {self.last()}")
        return self.events


def wait_for_all(clients, what, condition):
    """Waits until a condition on several clients together is true."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        for client in clients:
            if client.ended and client.process.poll() != 0:
                raise Failed(f"{client} ended before {what}: {client.last()}")
        if time.monotonic() > deadline:
            raise Failed(f"after {SECONDS} s it is still not so that {what}")
        time.sleep(0.05)


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def binary():
    return Path(os.environ["BROKER_BIN"]).resolve()
