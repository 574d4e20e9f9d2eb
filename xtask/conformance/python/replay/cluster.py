"""The cluster: versions, metadata, quorum, features, coordinators, and requests that are no requests."""

import struct

from . import wire
from .corpus import at_least, below, case, coordinator, led, topic
from .sides import UNKNOWN_ID, Closed, until


@case("ApiVersions", "every version", versions=below(5))
def api_versions(side, version):
    return side.ask("ApiVersions", version, {"ClientSoftwareName": "corpus", "ClientSoftwareVersion": "1"} if version >= 3 else {})


@case("ApiVersions", "a software name that is none", versions=at_least(3))
def api_versions_name(side, version):
    return side.ask("ApiVersions", version, {"ClientSoftwareName": "no name!", "ClientSoftwareVersion": ""})


@case("ApiVersions", "a version of the future is answered in version 0", versions=[0])
def api_versions_future(side, version):
    side.send(struct.pack(">ihhih", 4 + 4 + 2 + 6 + 1, 18, 99, 7, 6) + b"corpus" + b"\0")
    return wire.response("ApiVersions", 0, side.receive())


@case("Metadata", "one topic", versions=None)
def metadata(side, version):
    topic(side, "cluster-metadata", 2)
    return side.ask("Metadata", version, {"Topics": [{"Name": "cluster-metadata"}]})


@case("Metadata", "no topics, brokers only", versions=at_least(1))
def metadata_brokers(side, version):
    return side.ask("Metadata", version, {"Topics": []})


@case("Metadata", "unknown topics without creation", versions=at_least(4))
def metadata_unknown(side, version):
    return side.ask("Metadata", version, {"Topics": [{"Name": "cluster-unknown"}], "AllowAutoTopicCreation": False})


@case("Metadata", "names that are none")
def metadata_bad_name(side, version):
    names = ["bad name", "..", "a" * 250] if version >= 4 else ["bad name"]
    return [side.ask("Metadata", version, {"Topics": [{"Name": name}]}) for name in names]


@case("Metadata", "a topic is created by asking for it")
def metadata_creates(side, version):
    name = f"cluster-created-{version}"
    first = side.ask("Metadata", version, {"Topics": [{"Name": name}]})
    until("creation", lambda: led(side, name))
    return first, side.ask("Metadata", version, {"Topics": [{"Name": name}]})


@case("Metadata", "a topic by its id", versions=at_least(12))
def metadata_by_id(side, version):
    topic(side, "cluster-metadata", 2)
    return side.ask("Metadata", version, {"Topics": [{"TopicId": side.ids["cluster-metadata"], "Name": None}]})


@case("Metadata", "a topic by its id with an empty name beside it", versions=at_least(12))
def metadata_by_id_and_name(side, version):
    topic(side, "cluster-metadata", 2)
    return side.ask("Metadata", version, {"Topics": [{"TopicId": side.ids["cluster-metadata"], "Name": ""}]})


@case("Metadata", "ids that are none", versions=at_least(12))
def metadata_unknown_id(side, version):
    return [side.ask("Metadata", version, {"Topics": [{"TopicId": given, "Name": None}]}) for given in (UNKNOWN_ID, wire.ZERO_ID)]


@case("Metadata", "authorized operations", versions=at_least(8))
def metadata_operations(side, version):
    topic(side, "cluster-metadata", 2)
    body = {"Topics": [{"Name": "cluster-metadata"}], "IncludeTopicAuthorizedOperations": True}
    if version <= 10:
        body["IncludeClusterAuthorizedOperations"] = True
    return side.ask("Metadata", version, body)


@case("DescribeCluster", "every version")
def describe_cluster(side, version):
    return side.ask("DescribeCluster", version, {"IncludeClusterAuthorizedOperations": True})


@case("DescribeCluster", "endpoints of controllers and of nothing", versions=at_least(1))
def describe_cluster_endpoints(side, version):
    return [side.ask("DescribeCluster", version, {"EndpointType": kind}) for kind in (2, 9)]


@case("DescribeCluster", "fenced brokers", versions=at_least(2))
def describe_cluster_fenced(side, version):
    return side.ask("DescribeCluster", version, {"IncludeFencedBrokers": True})


@case("DescribeQuorum", "the metadata log and what is none")
def describe_quorum(side, version):
    def ask(name, index):
        return side.ask("DescribeQuorum", version, {"Topics": [{"TopicName": name, "Partitions": [{"PartitionIndex": index}]}]})
    return ask("__cluster_metadata", 0), ask("__cluster_metadata", 1), ask("cluster-other", 0)


@case("UpdateFeatures", "levels that cannot be")
def update_features(side, version):
    def ask(name, level, kind=1):
        row = {"Feature": name, "MaxVersionLevel": level}
        row.update({"AllowDowngrade": kind != 1} if version == 0 else {"UpgradeType": kind})
        return side.ask("UpdateFeatures", version, {"TimeoutMs": 10000, "FeatureUpdates": [row]})
    return [ask("no.such.feature", 1), ask("metadata.version", 999), ask("metadata.version", 1), ask("metadata.version", -1), ask("metadata.version", 1, 2),
            ask("kraft.version", 1), ask("kraft.version", 0), ask("kraft.version", 0, 2), ask("kraft.version", 2)]


@case("ElectLeaders", "partitions that have the leader they should have, and what is none")
def elect_leaders(side, version):
    topic(side, "cluster-elect", 2)
    def ask(kind, name, *indexes):
        rows = [{"Topic": name, "Partitions": list(indexes)}]
        return side.ask("ElectLeaders", version, {"TopicPartitions": rows, "TimeoutMs": 10000, **({"ElectionType": kind} if version else {})})
    kinds = (0, 1) if version else (0,)
    return [ask(kind, name, *indexes) for kind in kinds for name, indexes in (
        ("cluster-elect", (0, 1)), ("cluster-elect", (0, 7)), ("cluster-unknown", (0,)), ("bad name", (0,)), ("cluster-elect", ()))]


@case("ElectLeaders", "a kind that is none", versions=at_least(1))
def elect_leaders_bad(side, version):
    topic(side, "cluster-elect", 2)
    return side.ask("ElectLeaders", version, {
        "ElectionType": 9, "TopicPartitions": [{"Topic": "cluster-elect", "Partitions": [0, 1]}], "TimeoutMs": 10000})


@case("ListPartitionReassignments", "nothing moves")
def list_reassignments(side, version):
    topic(side, "cluster-elect", 2)
    def ask(topics):
        return side.ask("ListPartitionReassignments", version, {"TimeoutMs": 10000, "Topics": topics})
    return [ask(None), ask([])] + [ask([{"Name": name, "PartitionIndexes": [0, 7]}]) for name in ("cluster-elect", "cluster-unknown", "bad name")]


@case("DescribeAcls", "without an authorizer")
def describe_acls(side, version):
    return side.ask("DescribeAcls", version, {
        "ResourceTypeFilter": 1, "ResourceNameFilter": None, "PatternTypeFilter": 1, "PrincipalFilter": None, "HostFilter": None,
        "Operation": 1, "PermissionType": 1})


@case("CreateAcls", "without an authorizer")
def create_acls(side, version):
    rule = {"ResourceType": 2, "ResourceName": "cluster", "ResourcePatternType": 4, "Principal": "User:corpus", "Host": "*",
            "Operation": 3, "PermissionType": 3}
    return [side.ask("CreateAcls", version, {"Creations": [rule] * count}) for count in range(3)]


@case("DeleteAcls", "without an authorizer")
def delete_acls(side, version):
    rule = {"ResourceTypeFilter": 2, "ResourceNameFilter": "cluster", "PatternTypeFilter": 4, "PrincipalFilter": "User:corpus", "HostFilter": "*",
            "Operation": 3, "PermissionType": 3}
    return [side.ask("DeleteAcls", version, {"Filters": [rule] * count}) for count in range(3)]


@case("ListConfigResources", "client metrics only", versions=[0])
def list_config_resources(side, version):
    return side.ask("ListConfigResources", version, {})


@case("ListConfigResources", "by type", versions=at_least(1))
def list_config_resources_by_type(side, version):
    return [side.ask("ListConfigResources", version, {"ResourceTypes": types}) for types in ([4], [8], [16], [99], [4, 8])]


@case("FindCoordinator", "of a group", versions=below(4))
def find_coordinator(side, version):
    coordinator(side)
    return side.ask("FindCoordinator", version, {"Key": "cluster-group", **({"KeyType": 0} if version else {})})


@case("FindCoordinator", "of several groups", versions=at_least(4))
def find_coordinators(side, version):
    coordinator(side)
    return side.ask("FindCoordinator", version, {"KeyType": 0, "CoordinatorKeys": ["one", "two", "three"]})


@case("FindCoordinator", "of nothing and of an unknown kind")
def find_coordinator_bad(side, version):
    coordinator(side)
    def ask(key, kind):
        keys = {"CoordinatorKeys": [key]} if version >= 4 else {"Key": key}
        return side.ask("FindCoordinator", version, {**keys, **({"KeyType": kind} if version else {})})
    return [ask("", 0)] + ([ask("x", 9)] if version else [])


@case("Metadata", "an api that is none closes the connection", versions=[0])
def unknown_api(side, version):
    for key in (-1, 94, 999, 32767):
        side.send(struct.pack(">ihhih", 16, key, 0, 1, 6) + b"corpus")
        try:
            return f"{key}: {side.receive().hex()}"
        except Closed:
            pass
    return "closed each time"


# What the issue names, and so what is served; other APIs are compared by ApiVersions alone.
SERVED = """Produce Fetch ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup Heartbeat LeaveGroup SyncGroup
DescribeGroups ListGroups CreateTopics DeleteTopics DeleteRecords InitProducerId OffsetForLeaderEpoch DescribeConfigs AlterConfigs
DescribeLogDirs CreatePartitions DeleteGroups IncrementalAlterConfigs OffsetDelete DescribeQuorum UpdateFeatures DescribeCluster
DescribeProducers ListConfigResources DescribeTopicPartitions ElectLeaders ListPartitionReassignments DescribeAcls CreateAcls DeleteAcls""".split()


def _ends(side, frame):
    """Whether the broker closes the connection; an answer is told as such."""
    try:
        side.send(frame, "bad")
        return f"answered {side.receive('bad').hex()[:80]}"
    except Closed:
        return "closed"
    finally:
        side.drop("bad")


for _api in SERVED:
    @case(_api, "versions that are not served close the connection", versions=[0])
    def unserved(side, version, api=_api):
        request = wire.message(f"{api}Request")
        found = {}
        for bad in (request.versions[0] - 1, request.versions[-1] + 1, 32767):
            if 0 <= bad and bad not in request.versions:
                head = struct.pack(">hhih", request.key, bad, 1, 6) + b"corpus\0"
                found[str(bad)] = _ends(side, struct.pack(">i", len(head)) + head)
        return found

    @case(_api, "a request that is cut off closes the connection")
    def cut_off(side, version, api=_api):
        request = wire.message(f"{api}Request")
        head = struct.pack(">hhih", request.key, version, 1, 6) + b"corpus" + (b"\0" if request.flexible(version) else b"")
        # An empty body is complete where there is no field, so a claim of more than there is stands in it.
        body = b"\x7f" if api not in ("ListGroups", "ListConfigResources", "DescribeCluster") else b""
        return _ends(side, struct.pack(">i", len(head) + len(body)) + head + body) if body else "not asked"


@case("Metadata", "bytes after the end of a request are ignored")
def bytes_after(side, version):
    body = wire.message("MetadataRequest").encode({"Topics": [{"Name": "cluster-unknown"}], "AllowAutoTopicCreation": False} if version >= 4 else {
        "Topics": [{"Name": "cluster-metadata"}]}, version)
    topic(side, "cluster-metadata", 2)
    return side.ask("Metadata", version, body + b"more")


@case("Metadata", "frames whose length cannot be close the connection", versions=[0])
def bad_length(side, version):
    return [_ends(side, struct.pack(">i", length) + b"x" * 20) for length in (-1, 0x7FFFFFFF, 104857601, 0, 3)]
