"""Transactions: identities, partitions, offsets, ends and markers, and every way to be refused."""

from . import batch
from .corpus import at_least, below, case, coordinator, end_offset, produce, topic
from .groups import commit, describe, fetch_offsets, leave, stable
from .sides import UNKNOWN_ID, until

# A coordinator that is not there yet, loads, or ends the last transaction.
PASSING = (14, 15, 16, 51)
TRANSACTIONAL = 0x10


def init(side, version, name, producer=-1, epoch=-1, timeout=60_000, **more):
    """The answer to one InitProducerId."""
    body = {"TransactionalId": name, "TransactionTimeoutMs": timeout, **more}
    if version >= 3:
        body.update({"ProducerId": producer, "ProducerEpoch": epoch})
    return side.ask("InitProducerId", version, body)


def identity(side, name, **more):
    """The producer id and epoch of a transactional id, which was fenced by this."""
    if "__transaction_state" not in side.ids:
        until("a coordinator", lambda: side.ask("FindCoordinator", 3, {"Key": "corpus", "KeyType": 1})["ErrorCode"] == 0)
        side.ids["__transaction_state"] = "known"
    answers = []

    def ready():
        answers.append(init(side, 5, name, **more))
        return answers[-1]["ErrorCode"] not in PASSING
    until(f"{name} has an identity", ready)
    assert answers[-1]["ErrorCode"] == 0, answers[-1]
    return answers[-1]["ProducerId"], answers[-1]["ProducerEpoch"]


def described(side, *names):
    return side.ask("DescribeTransactions", 0, {"TransactionalIds": list(names)})


def rest(side, name):
    """Waits until no transaction is open or being ended."""
    until(f"{name} is at rest", lambda: described(side, name)["TransactionStates"][0]["TransactionState"] in ("Empty", "CompleteCommit", "CompleteAbort"))


def add(side, version, name, producer, epoch, *places, verify=False):
    """Adds (topic, partitions) as a client does, or as a broker does from version 4 on."""
    topics = [{"Name": named, "Partitions": partitions} for named, partitions in places]
    if version >= 4:
        return side.ask("AddPartitionsToTxn", version, {"Transactions": [{
            "TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "VerifyOnly": verify, "Topics": topics}]})
    return side.ask("AddPartitionsToTxn", version, {
        "V3AndBelowTransactionalId": name, "V3AndBelowProducerId": producer, "V3AndBelowProducerEpoch": epoch, "V3AndBelowTopics": topics})


def add_offsets(side, version, name, producer, epoch, group):
    return side.ask("AddOffsetsToTxn", version, {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "GroupId": group})


def end(side, version, name, producer, epoch, committed=True):
    return side.ask("EndTxn", version, {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "Committed": committed})


def write(side, version, name, to, producer, epoch, sequence=0, partition=0, attributes=TRANSACTIONAL, values=(b"in a transaction",)):
    records = batch.batch(values, producer=producer, epoch=epoch, sequence=sequence, attributes=attributes)
    return produce(side, version, to, records, partition=partition, transactional=name)


def open_transaction(side, name, to):
    """A transactional id with an open transaction of one record, its partition added by the client."""
    topic(side, to, 2)
    producer, epoch = identity(side, name)
    answer = add(side, 3, name, producer, epoch, (to, [0]))
    assert answer["ResultsByTopicV3AndBelow"][0]["ResultsByPartition"][0]["PartitionErrorCode"] == 0, answer
    answer = write(side, 11, name, to, producer, epoch)
    assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0, answer
    return producer, epoch


@case("InitProducerId", "a transactional id, again and again")
def init_again(side, version):
    identity(side, "tx-warm")
    name = f"tx-init-{version}"
    return [init(side, version, name) for _ in range(3)] + [described(side, name)]


@case("InitProducerId", "timeouts of transactions")
def init_timeouts(side, version):
    identity(side, "tx-warm")
    return [init(side, version, f"tx-timeout-{version}", timeout=timeout) for timeout in (0, -1, 1, 900_000, 900_001, 2_147_483_647)] + [
        described(side, f"tx-timeout-{version}")]


@case("InitProducerId", "the identity that a producer has (KIP-360)", versions=at_least(3))
def init_expected(side, version):
    name = f"tx-expected-{version}"
    producer, epoch = identity(side, name)
    def ask(who=producer, when=epoch, named=name):
        return init(side, version, named, who, when)
    # Bumped, the same request again, one that is too old, one of the future, another producer, none.
    found = [ask(), ask(), ask(when=epoch + 1), ask(), ask(when=epoch + 9), ask(who=producer + 1000), ask(who=-1, when=5), ask(when=-1)]
    found += [init(side, version, name), ask(when=epoch + 2), ask(when=epoch + 3)]
    return found + [ask(named=f"tx-expected-never-{version}"), described(side, name)]


@case("InitProducerId", "while a transaction is open")
def init_open(side, version):
    name = f"tx-init-open-{version}"
    open_transaction(side, name, "tx-init-open")
    found = [init(side, version, name)]
    rest(side, name)
    return found + [described(side, name), init(side, version, name), described(side, name)]


@case("InitProducerId", "two-phase commit, which is off", versions=at_least(6))
def init_two_phase(side, version):
    identity(side, "tx-warm")
    name = f"tx-two-phase-{version}"
    return [init(side, version, name, Enable2Pc=two, KeepPreparedTxn=keep) for two, keep in ((True, False), (False, True), (True, True))] + [described(side, name)]


@case("AddPartitionsToTxn", "partitions of a client", versions=below(4))
def add_client(side, version):
    name = f"tx-add-{version}"
    topic(side, "tx-add", 3)
    producer, epoch = identity(side, name)
    def ask(*places, named=name, who=producer, when=epoch):
        return add(side, version, named, who, when, *places)
    found = [ask(("tx-add", [0, 1])), ask(("tx-add", [0, 1])), ask(("tx-add", [1, 2])), described(side, name)]
    found += [ask(), ask(("tx-never", [0])), ask(("tx-add", [0, 9])), ask(("tx-add", [0]), ("tx-never", [0])), ask(("tx add", [0])), ask(("__consumer_offsets", [0]))]
    found += [ask(("tx-add", [0]), who=producer + 1000), ask(("tx-add", [0]), when=epoch + 1), ask(("tx-add", [0]), when=epoch - 1)]
    found += [ask(("tx-add", [0]), named=f"tx-add-never-{version}"), ask(("tx-add", [0]), named="")]
    end(side, 3, name, producer, epoch)
    rest(side, name)
    return found + [described(side, name), ask(("tx-add", [2])), described(side, name), end(side, 3, name, producer, epoch, False)]


@case("AddPartitionsToTxn", "partitions of brokers", versions=at_least(4))
def add_brokers(side, version):
    # Kafka leaves requests without a transaction, and transactions without a partition, unanswered.
    name = f"tx-add-{version}"
    topic(side, "tx-add", 3)
    producer, epoch = identity(side, name)
    def ask(*places, named=name, who=producer, when=epoch, verify=False):
        return add(side, version, named, who, when, *places, verify=verify)
    found = [ask(("tx-add", [0]), verify=True), ask(("tx-add", [0])), ask(("tx-add", [0]), verify=True), ask(("tx-add", [0, 1]), verify=True), described(side, name)]
    for verify in (False, True):
        found += [ask(("tx-never", [0]), verify=verify), ask(("tx-add", [9]), verify=verify), ask(("tx-add", [0]), ("tx-never", [0]), verify=verify)]
        found += [ask(("tx-add", [0]), who=producer + 1000, verify=verify), ask(("tx-add", [0]), when=epoch + 1, verify=verify), ask(("tx-add", [0]), when=epoch - 1, verify=verify)]
        found += [ask(("tx-add", [0]), named=f"tx-add-never-{version}", verify=verify), ask(("tx-add", [0]), named="", verify=verify)]
    other = f"tx-add-other-{version}"
    second, first = identity(side, other)
    found.append(side.ask("AddPartitionsToTxn", version, {"Transactions": [
        {"TransactionalId": known, "ProducerId": who, "ProducerEpoch": when, "VerifyOnly": verify, "Topics": [{"Name": "tx-add", "Partitions": [1]}]}
        for known, who, when, verify in ((name, producer, epoch, True), (other, second, first, False), ("tx-add-nobody", 1, 1, False))]}))
    for ended, who, when in ((name, producer, epoch), (other, second, first)):
        found.append(end(side, 3, ended, who, when))
        rest(side, ended)
    return found + [ask(("tx-add", [0]), verify=True), described(side, name, other)]


@case("AddOffsetsToTxn", "a group, and who is refused")
def add_group(side, version):
    coordinator(side)
    name = f"tx-add-offsets-{version}"
    producer, epoch = identity(side, name)
    def ask(named=name, who=producer, when=epoch, group="tx-add-offsets"):
        return add_offsets(side, version, named, who, when, group)
    found = [ask(), ask(), ask(group="")]
    found += [ask(who=producer + 1000), ask(when=epoch + 1), ask(when=epoch - 1), ask(named=f"tx-add-offsets-never-{version}"), ask(named="")]
    return found + [end(side, 3, name, producer, epoch)]


def commit_in(side, version, name, group, producer, epoch, to, offset=7, partition=0, member="", generation=-1, instance=None, metadata="in a transaction"):
    """One TxnOffsetCommit."""
    named = {"TopicId": side.ids.get(to, UNKNOWN_ID)} if version >= 6 else {"Name": to}
    row = {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": metadata}
    if version >= 2:
        row["CommittedLeaderEpoch"] = 0
    body = {"TransactionalId": name, "GroupId": group, "ProducerId": producer, "ProducerEpoch": epoch, "Topics": [{**named, "Partitions": [row]}]}
    if version >= 3:
        body.update({"GenerationIdOrMemberEpoch": generation, "MemberId": member, "GroupInstanceId": instance})
    return side.ask("TxnOffsetCommit", version, body)


@case("TxnOffsetCommit", "offsets that count with their transaction")
def commit_offsets(side, version):
    coordinator(side)
    topic(side, "tx-commit", 2)
    name, group = f"tx-commit-{version}", f"tx-commit-{version}"
    found = []
    ends = 5 if version >= 5 else 3
    for committed in (True, False):
        producer, epoch = identity(side, name)
        if version < 5:
            found.append(add_offsets(side, 3, name, producer, epoch, group))
        found.append(commit_in(side, version, name, group, producer, epoch, "tx-commit", 7 if committed else 9))
        found += [fetch_offsets(side, 7, group, "tx-commit"), fetch_offsets(side, 7, group, "tx-commit", stable_only=True), described(side, name)]
        found += [side.ask("OffsetDelete", 0, {"GroupId": group, "Topics": [{"Name": "tx-commit", "Partitions": [{"PartitionIndex": 0}]}]})] if committed else []
        found.append(end(side, ends, name, producer, epoch, committed))
        rest(side, name)
        found += [fetch_offsets(side, 7, group, "tx-commit", stable_only=True), described(side, name)]
    return found


@case("TxnOffsetCommit", "who and what is refused")
def commit_refused(side, version):
    coordinator(side)
    topic(side, "tx-commit", 2)
    name, group = f"tx-commit-refused-{version}", f"tx-commit-refused-{version}"
    producer, epoch = identity(side, name)
    def ask(named=name, of=group, who=producer, when=epoch, to="tx-commit", **more):
        return commit_in(side, version, named, of, who, when, to, **more)
    found = [] if version >= 5 else [ask(), add_offsets(side, 3, name, producer, epoch, group)]
    found += [ask(), ask(to="tx-never"), ask(partition=9), ask(metadata="x" * 5000), ask(metadata=None), ask(of="")]
    found += [ask(who=producer + 1000), ask(when=epoch + 1), ask(when=epoch - 1), ask(named=f"tx-commit-never-{version}"), ask(named="")]
    found.append(side.ask("TxnOffsetCommit", version, {"TransactionalId": name, "GroupId": group, "ProducerId": producer, "ProducerEpoch": epoch, "Topics": []}))
    if version >= 3:
        found += [ask(member="nobody", generation=1), ask(member="nobody"), ask(generation=4), ask(instance="nobody")]
    found.append(end(side, 5 if version >= 5 else 3, name, producer, epoch, False))
    rest(side, name)
    return found


@case("TxnOffsetCommit", "members of a classic group", versions=at_least(3))
def commit_members(side, version):
    coordinator(side)
    topic(side, "tx-commit", 2)
    name, group = f"tx-commit-members-{version}", f"tx-commit-members-{version}"
    member = stable(side, group)
    producer, epoch = identity(side, name)
    if version < 5:
        add_offsets(side, 3, name, producer, epoch, group)
    def ask(**more):
        return commit_in(side, version, name, group, producer, epoch, "tx-commit", **more)
    found = [ask(member=member, generation=1), ask(), ask(member=member, generation=2), ask(member=member, generation=0), ask(member=member), ask(member="nobody", generation=1), ask(generation=1),
             ask(member=member, generation=1, instance="nobody"), end(side, 5 if version >= 5 else 3, name, producer, epoch)]
    rest(side, name)
    leave(side, 5, group, member)
    return found + [fetch_offsets(side, 7, group, "tx-commit")]


@case("EndTxn", "both ends, again, and the other one")
def end_both(side, version):
    found = []
    for committed in (True, False):
        name = f"tx-end-{version}-{committed}"
        producer, epoch = open_transaction(side, name, "tx-end")
        found.append(end(side, version, name, producer, epoch, committed))
        rest(side, name)
        found += [described(side, name), end(side, version, name, producer, epoch, committed), end(side, version, name, producer, epoch, not committed), described(side, name)]
        # In the epoch that version 5 has handed out, and one more.
        for later in (1, 2):
            found += [end(side, version, name, producer, epoch + later, True), end(side, version, name, producer, epoch + later, False)]
            rest(side, name)
            found.append(described(side, name))
    return found


@case("EndTxn", "who is refused")
def end_refused(side, version):
    name = f"tx-end-refused-{version}"
    producer, epoch = open_transaction(side, name, "tx-end")
    found = [end(side, version, named, who, when) for named, who, when in (
        (name, producer + 1000, epoch), (name, producer, epoch - 1), (name, producer, epoch + 1), (name, -1, -1), (f"tx-end-never-{version}", producer, epoch), ("", producer, epoch))]
    return found + [described(side, name), end(side, version, name, producer, epoch)]


@case("EndTxn", "an identity without a transaction")
def end_empty(side, version):
    found = []
    for committed in (True, False):
        name = f"tx-end-empty-{version}-{committed}"
        producer, epoch = identity(side, name)
        found.append(end(side, version, name, producer, epoch, committed))
        rest(side, name)
        found.append(described(side, name))
    return found


def markers(side, version, producer, epoch, to, partitions=(0,), committed=False, coordinator_epoch=0, level=0):
    """One WriteTxnMarkers of one marker."""
    marker = {"ProducerId": producer, "ProducerEpoch": epoch, "TransactionResult": committed, "CoordinatorEpoch": coordinator_epoch,
              "Topics": [{"Name": to, "PartitionIndexes": list(partitions)}]}
    if version >= 2:
        marker["TransactionVersion"] = level
    return side.ask("WriteTxnMarkers", version, {"Markers": [marker]})


def of_partition(side, to, partition=0):
    return side.ask("DescribeProducers", 0, {"Topics": [{"Name": to, "PartitionIndexes": [partition]}]})


@case("WriteTxnMarkers", "a marker ends what is open, or stands alone")
def marker_ends(side, version):
    found = []
    for level in ((0, 1, 2) if version >= 2 else (0,)):
        for committed in (True, False):
            to = f"tx-marker-{version}-{level}-{committed}"
            topic(side, to, 2)
            identity(side, to)
            producer, epoch = identity(side, to)
            add(side, 3, to, producer, epoch, (to, [0]))
            write(side, 11, to, to, producer, epoch)
            def mark(raised, **more):
                return markers(side, version, producer, epoch + raised, to, committed=committed, level=level, **more)
            found += [mark(-1), mark(0, coordinator_epoch=3), of_partition(side, to), mark(0, coordinator_epoch=2), mark(1, coordinator_epoch=4), of_partition(side, to), mark(0, coordinator_epoch=5),
                      mark(0, partitions=[0, 1, 9]), end_offset(side, to), end_offset(side, to, 1), end(side, 3, to, producer, epoch)]
    return found


@case("WriteTxnMarkers", "to what is not there")
def marker_nowhere(side, version):
    identity(side, "tx-warm")
    return [markers(side, version, 4, 0, "tx-never"), markers(side, version, -1, 0, "tx-never"), side.ask("WriteTxnMarkers", version, {"Markers": []})]


@case("DescribeTransactions", "of every state, and of none")
def describe_transactions(side, version):
    opened = open_transaction(side, "tx-describe-open", "tx-describe")
    done = open_transaction(side, "tx-describe-done", "tx-describe")
    end(side, 3, "tx-describe-done", *done)
    rest(side, "tx-describe-done")
    identity(side, "tx-describe-empty", timeout=1234)
    def ask(*names):
        return side.ask("DescribeTransactions", version, {"TransactionalIds": list(names)})
    found = [ask("tx-describe-open"), ask("tx-describe-done"), ask("tx-describe-empty"), ask("tx-describe-never"), ask(""), ask(), ask("tx-describe-open", "tx-describe-never", "tx-describe-empty")]
    return found + [end(side, 3, "tx-describe-open", *opened)]


@case("ListTransactions", "by state, producer, age and name")
def list_transactions(side, version):
    prefix = f"tx-list-{version}"
    opened = open_transaction(side, f"{prefix}-open", "tx-list")
    done = open_transaction(side, f"{prefix}-done", "tx-list")
    end(side, 3, f"{prefix}-done", *done)
    rest(side, f"{prefix}-done")
    def ask(states=(), producers=(), **more):
        answer = side.ask("ListTransactions", version, {"StateFilters": list(states), "ProducerIdFilters": list(producers), **more})
        answer["TransactionStates"] = [row for row in answer["TransactionStates"] if row["TransactionalId"].startswith(prefix)]
        return answer
    found = [ask(), ask(["Ongoing"]), ask(["ongoing"]), ask(["Ongoing", "CompleteCommit"]), ask(["Nonsense"]), ask(["Nonsense", "Ongoing"]), ask([""]), ask(["Dead"]), ask(["PrepareEpochFence"]),
             ask(producers=[opened[0]]), ask(producers=[opened[0], done[0]]), ask(producers=[987654]), ask(["CompleteCommit"], [opened[0]])]
    if version >= 1:
        found += [ask(DurationFilter=duration) for duration in (0, -1, -5, 3_600_000)]
    if version >= 2:
        found += [ask(TransactionalIdPattern=pattern) for pattern in (None, "", f"{prefix}-o.*", f"{prefix}", "tx-list.*done", "tx-(list", "[")]
    return found + [end(side, 3, f"{prefix}-open", *opened)]


@case("DescribeProducers", "with open and ended transactions")
def describe_producers(side, version):
    to = "tx-producers"
    producer, epoch = open_transaction(side, to, to)
    def ask(partition=0):
        return side.ask("DescribeProducers", version, {"Topics": [{"Name": to, "PartitionIndexes": [partition]}]})
    found = [ask(), ask(1)]
    end(side, 3, to, producer, epoch)
    rest(side, to)
    return found + [ask()]


@case("Produce", "in a transaction whose partition the client adds", versions=[3, 7, 9, 11])
def produce_added(side, version):
    name = f"tx-produce-{version}"
    topic(side, "tx-produce", 2)
    producer, epoch = identity(side, name)
    def ask(sequence=0, named=name, who=producer, when=epoch, **more):
        return write(side, version, named, "tx-produce", who, when, sequence, **more)
    found = [ask()]
    add(side, 3, name, producer, epoch, ("tx-produce", [0]))
    # Again, out of order, in older and newer epochs, by others, without the right name or mark.
    found += [ask(), ask(), ask(1), ask(5), ask(2, when=epoch - 1), ask(0, when=epoch + 1), ask(0, who=producer + 1000), ask(2, named=f"tx-produce-never-{version}"), ask(2, named=None),
              ask(2, attributes=0), ask(2, named=None, attributes=0), ask(partition=1)]
    found.append(end(side, 3, name, producer, epoch))
    rest(side, name)
    return found + [ask(2), ask(3, when=epoch + 1), described(side, name)]


@case("Produce", "in a transaction whose partition the broker adds", versions=at_least(12))
def produce_implicitly(side, version):
    name = f"tx-implicit-{version}"
    topic(side, "tx-implicit", 2)
    producer, epoch = identity(side, name)
    def ask(sequence=0, named=name, who=producer, when=epoch, **more):
        return write(side, version, named, "tx-implicit", who, when, sequence, **more)
    found = [ask(3), ask(), ask(), ask(1), described(side, name), ask(5), ask(2, when=epoch - 1), ask(0, when=epoch + 1), ask(0, who=producer + 1000), ask(0, named=f"tx-implicit-never-{version}", partition=1),
             ask(partition=1), described(side, name), end(side, 5, name, producer, epoch)]
    rest(side, name)
    # The old epoch is over; the new one begins with sequence 0.
    return found + [ask(2), ask(4, when=epoch + 1), ask(when=epoch + 1), described(side, name), end(side, 5, name, producer, epoch + 1, False)]


@case("Fetch", "with open and aborted transactions", versions=[4, 11, 12, 13, 18])
def fetch_committed(side, version):
    to = f"tx-fetch-{version}"
    topic(side, to, 2)
    producer, epoch = identity(side, to)
    opened = [identity(side, f"{to}-{number}") for number in range(2)]
    found = []
    def ask(isolation):
        place = {"TopicId": side.ids[to]} if version >= 13 else {"Topic": to}
        body = {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "IsolationLevel": isolation, "Topics": [{**place, "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]}]}
        if version < 15:
            body["ReplicaId"] = -1
        return side.ask("Fetch", version, body)
    def list_end(isolation):
        return side.ask("ListOffsets", 7, {"ReplicaId": -1, "IsolationLevel": isolation, "Topics": [{"Name": to, "Partitions": [{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -1}]}]})
    for number, (who, when) in enumerate(opened):
        add(side, 3, f"{to}-{number}", who, when, (to, [0]))
        write(side, 11, f"{to}-{number}", to, who, when)
        found += [ask(0), ask(1), list_end(0), list_end(1)]
    for number, (who, when) in enumerate(opened):
        end(side, 3, f"{to}-{number}", who, when, number == 1)
        rest(side, f"{to}-{number}")
        found += [ask(0), ask(1), list_end(0), list_end(1)]
    return found


@case("OffsetCommit", "beside a transaction that is open")
def commit_beside(side, version):
    coordinator(side)
    topic(side, "tx-commit", 2)
    group = f"tx-beside-{version}"
    producer, epoch = identity(side, group)
    add_offsets(side, 3, group, producer, epoch, group)
    commit_in(side, 3, group, group, producer, epoch, "tx-commit", 5)
    found = [describe(side, 5, group), commit(side, version, group, "tx-commit", 11), fetch_offsets(side, 7, group, "tx-commit"), fetch_offsets(side, 7, group, "tx-commit", stable_only=True),
             side.ask("DeleteGroups", 2, {"GroupsNames": [group]}), end(side, 3, group, producer, epoch)]
    rest(side, group)
    return found + [fetch_offsets(side, 7, group, "tx-commit", stable_only=True)]


@case("FindCoordinator", "of transactional ids")
def find_coordinator(side, version):
    identity(side, "tx-warm")
    if version >= 4:
        return side.ask("FindCoordinator", version, {"KeyType": 1, "CoordinatorKeys": ["tx-warm", "tx-never", ""]})
    return [side.ask("FindCoordinator", version, {"Key": key, **({"KeyType": 1} if version >= 1 else {})}) for key in ("tx-warm", "tx-never", "")]
