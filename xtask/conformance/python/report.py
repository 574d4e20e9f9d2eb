"""How a Python suite reports its checks to `cargo xtask conformance`.

A check is a function marked with `@check`; its name, with spaces for underscores, is the name of the check. It fails
when it raises. `run()` runs all of them in the order of the file.
"""

import atexit
import os
import subprocess
import sys
import time
import traceback

BOOTSTRAP = os.environ.get("BOOTSTRAP", "127.0.0.1:9092")
TARGET = os.environ.get("TARGET", "vltava")
CHECKS = []
STARTED = []


def check(function):
    """Marks a function as a check."""
    CHECKS.append(function)
    return function


def say(line):
    """One line of the conversation with the runner."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def server(verb):
    """Asks the runner to do something with the server: start, stop, kill, restart, rss, alive."""
    say(f"@server {verb}")
    answer = sys.stdin.readline().strip()
    assert answer != "failed", f"the server could not {verb}"
    return answer


def attempt(name, function):
    """Runs one check and reports it; true if it held."""
    only = os.environ.get("ONLY", "")
    if only not in name:
        return True
    say(f"@begin {name}")
    try:
        function()
    except Exception as error:  # any failure is a finding
        traceback.print_exc(limit=-4, file=sys.stdout)
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")
        say(f"@fail {reason[:400]}")
        return False
    say("@ok")
    return True


def started(command, **options):
    """A process that ends with this program, if not before."""
    process = subprocess.Popen(command, **options)
    STARTED.append(process)
    return process


@atexit.register
def end_started():
    for process in STARTED:
        if process.poll() is None:
            process.kill()


def run():
    """Runs every check of the program."""
    for function in CHECKS:
        attempt(function.__name__.replace("_", " "), function)
    done()


def done():
    """Ends the program and what it has started."""
    end_started()
    say("@done")
    # Clients keep threads that would hold the process open after a failure.
    os._exit(0)


def equal(what, expected, got):
    """Fails unless both are the same."""
    assert expected == got, f"{what}: expected {str(expected)[:1500]}, got {str(got)[:1500]}"


def eventually(what, seconds, holds):
    """Waits until `holds()` is true; its last value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
