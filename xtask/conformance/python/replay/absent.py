"""What is asked of coordinators before there is one: nobody has looked for it yet, so their topics do not exist.

These cases come before all others, which create those topics.
"""

from .corpus import case

GROUP = "absent-group"
OFFSETS = [{"Name": "absent", "PartitionIndexes": [0]}]


def refused(api, body, only=None):
    """Adds a case of one request at all versions; fields that a version has not are left out."""
    @case(api, "without a coordinator", versions=only)
    def ask(side, version):
        return side.ask(api, version, body(version))


refused("JoinGroup", lambda version: {
    "GroupId": GROUP, "SessionTimeoutMs": 10_000, "MemberId": "", "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b""}],
    **({"RebalanceTimeoutMs": 10_000} if version >= 1 else {})})
refused("SyncGroup", lambda _: {"GroupId": GROUP, "GenerationId": 1, "MemberId": "x"})
refused("Heartbeat", lambda _: {"GroupId": GROUP, "GenerationId": 1, "MemberId": "x"})
refused("LeaveGroup", lambda version: {"GroupId": GROUP, **({"Members": [{"MemberId": "x"}]} if version >= 3 else {"MemberId": "x"})})
refused("DescribeGroups", lambda _: {"Groups": [GROUP]})
refused("ListGroups", lambda _: {})
refused("DeleteGroups", lambda _: {"GroupsNames": [GROUP]})
refused("OffsetDelete", lambda _: {"GroupId": GROUP, "Topics": [{"Name": "absent", "Partitions": [{"PartitionIndex": 0}]}]})
refused("OffsetFetch", lambda version: {"Groups": [{"GroupId": GROUP, "Topics": None}]} if version >= 8 else {"GroupId": GROUP, "Topics": OFFSETS})
refused("ConsumerGroupHeartbeat", lambda _: {
    "GroupId": GROUP, "MemberId": "x", "MemberEpoch": 0, "RebalanceTimeoutMs": 10_000, "SubscribedTopicNames": ["absent"], "TopicPartitions": []})
refused("ConsumerGroupDescribe", lambda _: {"GroupIds": [GROUP]})
refused("InitProducerId", lambda _: {"TransactionalId": "absent", "TransactionTimeoutMs": 10_000})
refused("AddPartitionsToTxn", lambda _: {
    "V3AndBelowTransactionalId": "absent", "V3AndBelowProducerId": 1, "V3AndBelowProducerEpoch": 0, "V3AndBelowTopics": []}, range(4))
refused("AddPartitionsToTxn", lambda _: {"Transactions": [
    {"TransactionalId": "absent", "ProducerId": 1, "ProducerEpoch": 0, "VerifyOnly": True, "Topics": [{"Name": "absent", "Partitions": [0]}]}]}, range(4, 6))
refused("AddOffsetsToTxn", lambda _: {"TransactionalId": "absent", "ProducerId": 1, "ProducerEpoch": 0, "GroupId": GROUP})
refused("EndTxn", lambda _: {"TransactionalId": "absent", "ProducerId": 1, "ProducerEpoch": 0, "Committed": True})
refused("DescribeTransactions", lambda _: {"TransactionalIds": ["absent"]})
refused("ListTransactions", lambda _: {})


@case("AddOffsetsToTxn", "of a group that nobody has looked for")
def add_absent(side, version):
    # Not above: that module adds its own cases when it is read.
    from .transactions import add_offsets, identity

    producer, epoch = identity(side, "absent")
    return add_offsets(side, version, "absent", producer, epoch, GROUP)
