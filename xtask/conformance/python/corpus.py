"""Replays the corpus to Apache Kafka and to the broker under test, and compares every answer field by field."""

import os

import report
from replay import absent, allowed, cluster, consumers, corpus, groups, records, topics, transactions  # noqa: F401  (the areas add their cases)
from replay.sides import Pair

DIFFERENCES_SHOWN = 40


def check(pair, api, title, versions, act):
    """One case at all its versions."""
    found = []
    for version in pair.versions(api, versions) or list(versions or [0]):
        found += pair.compare(api, version, lambda side: act(side, version))
    for line in found[:DIFFERENCES_SHOWN]:
        print(line)
    if found:
        raise AssertionError(f"{len(found)} differences, the first: {found[0]}")


def main():
    pair = Pair(os.environ["ORACLE"], report.BOOTSTRAP)
    for api, title, versions, act in corpus.CASES:
        report.attempt(f"{api}: {title}", lambda: check(pair, api, title, versions, act))
    for reason in sorted(pair.used):
        print(f"allowed: {reason}")
    report.say("@done")


main()
