"""What stock clients must find: run by `run`, which see.

    checks.py [--long] [--bootstrap ADDRESS] [CLIENT ...]

Each client is installed and gets a broker of its own; four run at the same time. With --bootstrap
a broker that runs already is used, and the checks that would stop it are left out.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from clients import APACHE_TOOLS, LIBRARIES, Missing, NotInstalled
from features import FEATURES
from processes import Broker, Failed, binary, end_all, say
from runs import Run
from sharing import LONG_FORM, SHORT_FORM, WITH_OWN_BROKER
from tools import CHECKS

INSTALLING = threading.Semaphore(2)
CHECKING = threading.Semaphore(4)


class Tally:
    """Says each result as it comes, and how many there were."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = Counter()
        self.incomplete = False

    def add(self, result, name, why=""):
        with self.lock:
            self.counts[result] += 1
            say(f"{result} {name}{': ' if why else ''}{why}")


def check_library(library, given, tally):
    """Installs it, then does all checks of it."""
    try:
        with INSTALLING:
            library.install()
    except Missing as missing:
        tally.add("skipped", library.name, str(missing))
        return
    except NotInstalled as error:
        tally.add("skipped", library.name, f"it cannot be installed: {error}")
        tally.incomplete = True
        return
    with CHECKING:
        data = Path(tempfile.mkdtemp(prefix="quorate-clients-"))
        try:
            check(library, given, data / "data", tally)
        finally:
            shutil.rmtree(data, ignore_errors=True)


def steps(library, long):
    """The checks of a group's life, and those that do not build on one another."""
    if library is APACHE_TOOLS:
        return [], CHECKS
    if long:
        return LONG_FORM, FEATURES
    return SHORT_FORM + [step for step in LONG_FORM if step.__name__ in library.also], []


def check(library, given, data, tally):
    """The checks of a group's life in order, then those that need no other."""
    life, features = steps(library, given.long)
    try:
        broker = None if given.bootstrap else Broker(binary(), data)
    except (Failed, OSError) as error:
        tally.add("FAILED", library.name, f"no broker: {error}")
        return
    run = Run(library, given.bootstrap or broker.address, broker)
    failed = False
    for step in life:
        if given.bootstrap and step in WITH_OWN_BROKER:
            continue
        if why := library.lacks.get(step.__name__):
            tally.add("skipped", f"{library.name} {step.__name__}", why)
        elif failed:
            tally.add("FAILED", f"{library.name} {step.__name__}", "a check before it failed")
        else:
            failed = not passes(run, step, tally)
    run.end()
    if run.broker and not run.broker.runs():
        run.start_broker_again()
    for step in features:
        if why := library.lacks.get(step.__name__):
            tally.add("skipped", f"{library.name} {step.__name__}", why)
        else:
            passes(run, step, tally)
        run.end()
    if run.administrator:
        run.administrator.kill()
    if run.broker:
        run.broker.kill()


def passes(run, step, tally):
    name, began = f"{run.library.name} {step.__name__}", time.monotonic()
    try:
        step(run)
    except Exception as error:  # whatever it is, the other clients go on
        tally.add("FAILED", name, str(error) if isinstance(error, Failed) else repr(error))
        return False
    tally.add("ok", name, f"{time.monotonic() - began:.1f} s")
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--bootstrap")
    parser.add_argument("clients", nargs="*")
    given = parser.parse_args()
    libraries = [*LIBRARIES, APACHE_TOOLS] if given.long else LIBRARIES
    names = [library.name for library in libraries]
    if unknown := set(given.clients) - set(names):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(names)}")
    tally = Tally()
    threads = [
        threading.Thread(target=check_library, args=(library, given, tally), daemon=True)
        for library in libraries
        if library.name in (given.clients or names)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = tally.counts
    say(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    incomplete = tally.incomplete and os.environ.get("CI") == "true"
    return 1 if counts["FAILED"] or incomplete else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("out of time"))
    try:
        sys.exit(main())
    finally:
        end_all()
