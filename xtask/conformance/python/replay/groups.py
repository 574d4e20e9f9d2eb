"""Groups of the classic protocol: membership, offsets, description, and every way to be refused."""

from . import wire
from .corpus import at_least, case, coordinator, topic
from .sides import UNKNOWN_ID, until


def join_body(version, group, member="", protocols=(("range", b"meta"),), instance=None, session=10000, kind="consumer"):
    body = {"GroupId": group, "SessionTimeoutMs": session, "MemberId": member, "ProtocolType": kind, "Protocols": [{"Name": name, "Metadata": data} for name, data in protocols]}
    if version >= 1:
        body["RebalanceTimeoutMs"] = 10000
    if version >= 5:
        body["GroupInstanceId"] = instance
    return body


def join(side, version, group, member="", **more):
    """Joins, and again with the id that newer versions hand out first."""
    name = more.pop("connection", "main")
    answer = side.ask("JoinGroup", version, join_body(version, group, member, **more), name)
    if answer["ErrorCode"] == 79:
        answer = side.ask("JoinGroup", version, join_body(version, group, answer["MemberId"], **more), name)
    return answer


def sync(side, version, group, member, generation, assignments=(), kind="consumer", protocol="range", instance=None):
    body = {"GroupId": group, "GenerationId": generation, "MemberId": member, "Assignments": [{"MemberId": who, "Assignment": data} for who, data in assignments]}
    if version >= 3:
        body["GroupInstanceId"] = instance
    if version >= 5:
        body.update({"ProtocolType": kind, "ProtocolName": protocol})
    return side.ask("SyncGroup", version, body)


def stable(side, group, **more):
    """A group with one member and an assignment; its id."""
    coordinator(side)
    joined = join(side, 7, group, **more)
    member = joined["MemberId"]
    sync(side, 5, group, member, joined["GenerationId"], [(member, b"mine")], instance=more.get("instance"))
    return member


def leave(side, version, group, member, instance=None):
    if version <= 2:
        return side.ask("LeaveGroup", version, {"GroupId": group, "MemberId": member})
    return side.ask("LeaveGroup", version, {"GroupId": group, "Members": [{"MemberId": member, "GroupInstanceId": instance}]})


def heartbeat(side, version, group, member, generation, instance=None):
    body = {"GroupId": group, "GenerationId": generation, "MemberId": member}
    if version >= 3:
        body["GroupInstanceId"] = instance
    return side.ask("Heartbeat", version, body)


@case("JoinGroup", "a first member, its assignment, its end")
def join_first(side, version):
    coordinator(side)
    group = f"groups-first-{version}"
    steps = [side.ask("JoinGroup", version, join_body(version, group))]
    joined = steps[0]
    if joined["ErrorCode"]:
        joined = side.ask("JoinGroup", version, join_body(version, group, joined["MemberId"]))
        steps.append(joined)
    member = joined["MemberId"]
    steps.append(sync(side, 5, group, member, 1, [(member, b"mine")]))
    steps.append(heartbeat(side, 4, group, member, 1))
    steps.append(side.ask("JoinGroup", version, join_body(version, group, member)))  # once more, as the leader
    steps.append(leave(side, 5, group, member))
    return steps


@case("JoinGroup", "who is refused")
def join_refused(side, version):
    coordinator(side)
    group = f"groups-refused-{version}"
    first = stable(side, f"{group}-live")
    def ask(**more):
        return side.ask("JoinGroup", version, join_body(version, **{"group": group, **more}))
    refused = [ask(group=""), ask(member="nobody"), ask(session=1), ask(session=10_000_000), ask(protocols=()), ask(kind=""), ask(group=f"{group}-live", kind="other"),
               ask(group=f"{group}-live", protocols=[("other", b"")])]
    leave(side, 5, f"{group}-live", first)
    return refused


@case("JoinGroup", "two members and what each is told")
def join_two(side, version):
    coordinator(side)
    group = f"groups-two-{version}"
    one = join(side, version, group, protocols=[("a", b"1"), ("b", b"2")])
    leader = one["MemberId"]
    sync(side, 5, group, leader, 1, [(leader, b"all")], protocol="a")
    # The second join waits until the first member has joined again.
    second = side.ask("JoinGroup", version, join_body(version, group, protocols=[("b", b"3"), ("c", b"4")]), "second") if version >= 4 else None
    member = second["MemberId"] if second else ""
    side.correlation += 1
    number = side.correlation
    side.send(wire.request_frame("JoinGroup", version, join_body(version, group, member, protocols=[("b", b"3"), ("c", b"4")]), number), "second")
    until("the rebalance", lambda: heartbeat(side, 4, group, leader, 1)["ErrorCode"] == 27)
    during = [heartbeat(side, 4, group, leader, 1), sync(side, 5, group, leader, 1, protocol="a"), describe(side, 5, group)]
    during[2]["Groups"][0]["Members"].sort(key=lambda row: row["MemberId"] != leader)
    again = side.ask("JoinGroup", version, join_body(version, group, leader, protocols=[("a", b"1"), ("b", b"2")]))
    other = wire.response("JoinGroup", version, side.receive("second"))[1]
    # Follower first: its sync waits for the leader's.
    side.correlation += 1
    side.send(wire.request_frame("SyncGroup", 5, {"GroupId": group, "GenerationId": 2, "MemberId": other["MemberId"], "ProtocolType": "consumer", "ProtocolName": "b"}, side.correlation), "second")
    mine = sync(side, 5, group, leader, 2, [(leader, b"L"), (other["MemberId"], b"F")], protocol="b")
    theirs = wire.response("SyncGroup", 5, side.receive("second"))[1]
    for answer in (again, other):
        answer["Members"].sort(key=lambda row: row["MemberId"] != leader)
    described = describe(side, 5, group)
    described["Groups"][0]["Members"].sort(key=lambda row: row["MemberId"] != leader)
    ends = [leave(side, 2, group, other["MemberId"]), leave(side, 2, group, leader)]
    return one, during, again, other, mine, theirs, described, ends


@case("JoinGroup", "static members", versions=at_least(5))
def join_static(side, version):
    coordinator(side)
    group = f"groups-static-{version}"
    first = join(side, version, group, instance="i")
    synced = sync(side, 5, group, first["MemberId"], first["GenerationId"], [(first["MemberId"], b"mine")], instance="i")
    second = join(side, version, group, instance="i")
    return [first, synced, second, heartbeat(side, 4, group, first["MemberId"], 1, "i"), heartbeat(side, 4, group, second["MemberId"], second["GenerationId"], "i"),
            sync(side, 5, group, second["MemberId"], second["GenerationId"], [(second["MemberId"], b"mine")], instance="i"),
            heartbeat(side, 4, group, "", 1, "i"), heartbeat(side, 4, group, second["MemberId"], 1, "unknown"),
            side.ask("JoinGroup", version, join_body(version, group, first["MemberId"], instance="i")),
            side.ask("LeaveGroup", 5, {"GroupId": group, "Members": [{"MemberId": "", "GroupInstanceId": "i"}, {"MemberId": "", "GroupInstanceId": "j"}, {"MemberId": "nobody", "GroupInstanceId": None}]})]


@case("SyncGroup", "who is refused")
def sync_refused(side, version):
    group = f"groups-sync-{version}"
    member = stable(side, group)
    found = [sync(side, version, "", member, 1), sync(side, version, "groups-never", "x", 1), sync(side, version, group, "nobody", 1), sync(side, version, group, member, 9), sync(side, version, group, member, 0),
             sync(side, version, group, member, 1)]
    if version >= 5:
        found += [sync(side, version, group, member, 1, kind="other"), sync(side, version, group, member, 1, protocol="other")]
    if version >= 3:
        found.append(sync(side, version, group, member, 1, instance="i"))
    leave(side, 5, group, member)
    return found


@case("Heartbeat", "who is refused")
def heartbeat_refused(side, version):
    group = f"groups-heartbeat-{version}"
    member = stable(side, group)
    found = [heartbeat(side, version, given, who, generation) for given, who, generation in (
        (group, member, 1), (group, member, 2), (group, member, -1), (group, "nobody", 1), (group, "", 1), ("groups-never", member, 1), ("", member, 1))]
    leave(side, 5, group, member)
    return found + [heartbeat(side, version, group, member, 1)]


@case("LeaveGroup", "who is refused")
def leave_refused(side, version):
    group = f"groups-leave-{version}"
    member = stable(side, group)
    return [leave(side, version, group, "nobody"), leave(side, version, "groups-never", "x"), leave(side, version, "", "x"), leave(side, version, group, member), leave(side, version, group, member)]


def describe(side, version, *groups, operations=False):
    return side.ask("DescribeGroups", version, {"Groups": list(groups), **({"IncludeAuthorizedOperations": operations} if version >= 3 else {})})


@case("DescribeGroups", "stable, empty and unknown groups")
def describe_groups(side, version):
    group = f"groups-describe-{version}"
    member = stable(side, group, protocols=[("range", b"meta"), ("other", b"")])
    live = describe(side, version, group, operations=True)
    leave(side, 5, group, member)
    return live, describe(side, version, group), describe(side, version, "groups-never"), describe(side, version, ""), describe(side, version)


@case("ListGroups", "by state and type")
def list_groups(side, version):
    group = f"groups-list-{version}"
    member = stable(side, group)
    def ask(states=(), types=()):
        body = {**({"StatesFilter": list(states)} if version >= 4 else {}), **({"TypesFilter": list(types)} if version >= 5 else {})}
        answer = side.ask("ListGroups", version, body)
        answer["Groups"] = [row for row in answer["Groups"] if row["GroupId"] == group]
        return answer
    found = [ask()]
    if version >= 4:
        found += [ask(["Stable"]), ask(["stable"]), ask(["Empty"]), ask(["Nonsense"])]
    if version >= 5:
        found += [ask(types=["classic"]), ask(types=["Classic"]), ask(types=["consumer"]), ask(types=["nonsense"])]
    leave(side, 5, group, member)
    return found + [ask()]


def commit(side, version, group, name, offset=5, partition=0, member="", generation=-1, metadata="m", instance=None):
    given = {"TopicId": side.ids.get(name, UNKNOWN_ID)} if version >= 10 else {"Name": name}
    row = {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": metadata}
    if version >= 6:
        row["CommittedLeaderEpoch"] = 0
    body = {"GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member, "Topics": [{**given, "Partitions": [row]}]}
    if 2 <= version <= 4:
        body["RetentionTimeMs"] = -1
    if version >= 7:
        body["GroupInstanceId"] = instance
    return side.ask("OffsetCommit", version, body)


def fetch_offsets(side, version, group, name=None, partitions=(0, 1), stable_only=False):
    if version >= 10:
        rows = None if name is None else [{"TopicId": side.ids.get(name, UNKNOWN_ID), "PartitionIndexes": list(partitions)}]
    else:
        rows = None if name is None else [{"Name": name, "PartitionIndexes": list(partitions)}]
    if version >= 8:
        return side.ask("OffsetFetch", version, {"Groups": [{"GroupId": group, "Topics": rows}], "RequireStable": stable_only})
    return side.ask("OffsetFetch", version, {"GroupId": group, "Topics": rows, **({"RequireStable": stable_only} if version >= 7 else {})})


@case("OffsetCommit", "without members, and what is kept")
def commit_simple(side, version):
    coordinator(side)
    topic(side, "groups-offsets", 2)
    group = f"groups-commit-{version}"
    return [commit(side, version, group, "groups-offsets"), fetch_offsets(side, 9, group, "groups-offsets"), commit(side, version, group, "groups-offsets", 3, metadata=None),
            commit(side, version, group, "groups-offsets", -1), fetch_offsets(side, 5, group), describe(side, 5, group)]


@case("OffsetCommit", "who and what is refused")
def commit_refused(side, version):
    topic(side, "groups-offsets", 2)
    group = f"groups-commit-refused-{version}"
    member = stable(side, group)
    name = "groups-offsets"
    found = [commit(side, version, group, name, member=member, generation=1), commit(side, version, group, name, member=member, generation=7), commit(side, version, group, name, member="nobody", generation=1),
             commit(side, version, group, name), commit(side, version, "groups-nobody", name, member="x", generation=4), commit(side, version, group, "groups-unknown-topic", member=member, generation=1),
             commit(side, version, group, name, partition=9, member=member, generation=1), commit(side, version, group, name, member=member, generation=1, metadata="x" * 5000), commit(side, version, "", name)]
    if version >= 7:
        found.append(commit(side, version, group, name, member=member, generation=1, instance="i"))
    leave(side, 5, group, member)
    return found


@case("OffsetFetch", "what was committed, all of it, nothing")
def fetch_committed(side, version):
    coordinator(side)
    topic(side, "groups-offsets", 2)
    group = "groups-fetch"
    commit(side, 9, group, "groups-offsets", 7, metadata="seven")
    found = [fetch_offsets(side, version, group, "groups-offsets"), fetch_offsets(side, version, "groups-never", "groups-offsets"), fetch_offsets(side, version, group, "groups-unknown-topic"),
             fetch_offsets(side, version, group, "groups-offsets", [5]), fetch_offsets(side, version, "", "groups-offsets")]
    if version >= 2:
        found += [fetch_offsets(side, version, group), fetch_offsets(side, version, "groups-never")]
    if version >= 7:
        found.append(fetch_offsets(side, version, group, "groups-offsets", stable_only=True))
    return found


@case("OffsetFetch", "several groups at once", versions=at_least(8))
def fetch_many(side, version):
    coordinator(side)
    topic(side, "groups-offsets", 2)
    for number in range(2):
        commit(side, 9, f"groups-many-{number}", "groups-offsets", number)
    return side.ask("OffsetFetch", version, {"Groups": [{"GroupId": f"groups-many-{number}", "Topics": None} for number in range(3)]})


@case("OffsetFetch", "a member that is none", versions=at_least(9))
def fetch_member(side, version):
    member = stable(side, f"groups-fetch-member-{version}")
    found = [side.ask("OffsetFetch", version, {"Groups": [{"GroupId": f"groups-fetch-member-{version}", "MemberId": who, "MemberEpoch": epoch, "Topics": None}]}) for who, epoch in ((member, 1), ("nobody", 1), (member, 7), (None, -1))]
    leave(side, 5, f"groups-fetch-member-{version}", member)
    return found


@case("OffsetDelete", "offsets of an empty group, of a subscribed one, of nothing")
def delete_offsets(side, version):
    coordinator(side)
    topic(side, "groups-offsets", 2)
    commit(side, 9, "groups-delete-offsets", "groups-offsets")
    subscription = b"\0\0\0\0\0\x01\0\x0egroups-offsets\xff\xff\xff\xff"
    member = stable(side, "groups-delete-live", protocols=[("range", subscription)])
    def ask(group, name, partition=0):
        return side.ask("OffsetDelete", version, {"GroupId": group, "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": partition}]}]})
    found = [ask("groups-delete-offsets", "groups-offsets"), ask("groups-delete-offsets", "groups-offsets"), ask("groups-delete-offsets", "groups-unknown"), ask("groups-delete-offsets", "groups-offsets", 9),
             ask("groups-never", "groups-offsets"), ask("", "groups-offsets"), ask("groups-delete-live", "groups-offsets"), ask("groups-delete-live", "groups-other")]
    leave(side, 5, "groups-delete-live", member)
    return found


@case("DeleteGroups", "empty, live and unknown groups")
def delete_groups(side, version):
    coordinator(side)
    topic(side, "groups-offsets", 2)
    commit(side, 9, f"groups-delete-{version}", "groups-offsets")
    member = stable(side, f"groups-delete-live-{version}")
    def ask(*names):
        return side.ask("DeleteGroups", version, {"GroupsNames": list(names)})
    found = [ask(f"groups-delete-{version}"), ask(f"groups-delete-{version}"), ask(f"groups-delete-live-{version}"), ask("groups-never"), ask(""), ask()]
    leave(side, 5, f"groups-delete-live-{version}", member)
    return found + [ask(f"groups-delete-live-{version}"), describe(side, 5, f"groups-delete-{version}")]
