"""Groups of the consumer protocol (KIP-848), what classic members may do in them, and every way to be refused."""

from .corpus import at_least, case, coordinator, topic
from .groups import commit, describe, fetch_offsets, heartbeat, join, join_body, leave, stable, sync
from .sides import UNKNOWN_ID, until
from .transactions import add_offsets, commit_in, end, identity

# The first member of a group finds itself in its epoch 2.
NEW, LEAVES, LEAVES_FOR_NOW = 0, -1, -2


def beat(side, version, group, member, epoch, topics=None, owned=None, timeout=-1, regex=None, **more):
    """The answer to one ConsumerGroupHeartbeat; `owned` maps names of topics to partitions."""
    body = {"GroupId": group, "MemberId": member, "MemberEpoch": epoch, "RebalanceTimeoutMs": timeout, "SubscribedTopicNames": topics,
            "TopicPartitions": None if owned is None else [{"TopicId": side.ids.get(name, UNKNOWN_ID), "Partitions": numbers} for name, numbers in owned.items()], **more}
    if version >= 1:
        body["SubscribedTopicRegex"] = regex
    return side.ask("ConsumerGroupHeartbeat", version, body)


def brisk(side, group):
    """Lets a group compute its target with every change, and before it answers, so that its answers do not depend on time."""
    wanted, place = {"consumer.assignment.interval.ms": "0", "consumer.assignor.offload.enable": "false"}, {"ResourceType": 32, "ResourceName": group}
    if f"brisk {group}" not in side.ids:
        side.ids[f"brisk {group}"] = "known"
        changes = [{"Name": key, "ConfigOperation": 0, "Value": value} for key, value in wanted.items()]
        side.ask("IncrementalAlterConfigs", 1, {"Resources": [{**place, "Configs": changes}]})

        def known():
            found = side.ask("DescribeConfigs", 4, {"Resources": [{**place, "ConfigurationKeys": list(wanted)}]})["Results"][0]["Configs"]
            return {row["Name"]: row["Value"] for row in found} == wanted
        until(f"{group} is brisk", known)


def enter(side, version, group, member, topics, **more):
    """A first heartbeat with everything that it must have."""
    brisk(side, group)
    if version == 0:
        more.pop("regex", None)
    return beat(side, version, group, member, NEW, topics, **{"owned": {}, "timeout": 30_000, **more})


def assigned(answer):
    """The partitions of an answer, by the id of their topic; nothing if it does not say."""
    return None if answer["Assignment"] is None else {row["TopicId"]: sorted(row["Partitions"]) for row in answer["Assignment"]["TopicPartitions"]}


def settle(side, group, member, epoch, topics, seconds=20):
    """Beats until a member has what it is to have, telling what it owns; its last answer."""
    owned, answers = {}, []

    def settled():
        answer = side.ask("ConsumerGroupHeartbeat", 1, {
            "GroupId": group, "MemberId": member, "MemberEpoch": answers[-1]["MemberEpoch"] if answers else epoch, "RebalanceTimeoutMs": 30_000, "SubscribedTopicNames": topics,
            "TopicPartitions": [{"TopicId": known, "Partitions": numbers} for known, numbers in owned.items()]})
        assert answer["ErrorCode"] == 0, answer
        found = assigned(answer)
        same = found is not None and found == owned and answers and answer["MemberEpoch"] == answers[-1]["MemberEpoch"]
        owned.clear()
        owned.update(found or {})
        answers.append(answer)
        return same
    until(f"{member} settles", settled, seconds)
    return answers[-1]


def group_of(side, version, *groups, operations=False):
    return side.ask("ConsumerGroupDescribe", version, {"GroupIds": list(groups), "IncludeAuthorizedOperations": operations})


def out(side, group, *members):
    for member in members:
        beat(side, 1, group, member, LEAVES)


@case("ConsumerGroupHeartbeat", "a first member, its epochs, its end")
def first_member(side, version):
    coordinator(side)
    topic(side, "ng-first", 3)
    group = f"ng-first-{version}"
    found = [enter(side, version, group, "member", ["ng-first"])]
    found += [beat(side, version, group, "member", 2), beat(side, version, group, "member", 2, ["ng-first"], {"ng-first": [0, 1, 2]}, 30_000), beat(side, version, group, "member", 2, owned={"ng-first": [0, 1, 2]})]
    # As if the answer to the first one was lost, and epochs that never were.
    found += [enter(side, version, group, "member", ["ng-first"]), beat(side, version, group, "member", 0), beat(side, version, group, "member", 3), beat(side, version, group, "member", 8), group_of(side, 0, group)]
    found += [beat(side, version, group, "member", 2, ["ng-first", "ng-never"]), beat(side, version, group, "member", 3, []), beat(side, version, group, "member", 4), group_of(side, 0, group)]
    return found + [beat(side, version, group, "member", LEAVES), beat(side, version, group, "member", LEAVES), beat(side, version, group, "member", 2), group_of(side, 0, group)]


@case("ConsumerGroupHeartbeat", "who is refused")
def refused(side, version):
    coordinator(side)
    topic(side, "ng-first", 3)
    group = f"ng-refused-{version}"
    # Before the group is there: some of what follows makes a member.
    brisk(side, group)
    def ask(member="member", epoch=NEW, topics=("ng-first",), **more):
        return beat(side, version, more.pop("group", group), member, epoch, None if topics is None else list(topics), **{"owned": {}, "timeout": 30_000, **more})
    found = [ask(group=""), ask(group=" "), ask(owned=None), ask(owned={"ng-first": [0]}), ask(timeout=-1), ask(topics=None), ask(InstanceId=""), ask(InstanceId=" "), ask(RackId=""), ask(ServerAssignor="sticky"),
             ask(ServerAssignor=""), ask(ServerAssignor="RANGE"), ask(epoch=-3), ask(epoch=LEAVES_FOR_NOW), ask(epoch=2), ask(epoch=LEAVES), ask(member="", epoch=2), ask(member="", epoch=LEAVES), ask(timeout=0), ask(timeout=-5)]
    if version >= 1:
        found += [ask(member=""), ask(member=" "), ask(topics=None, regex=""), ask(topics=None, regex="ng-(first"), ask(topics=None, regex="ng-first\\"), ask(topics=None, regex="[")]
    enter(side, version, group, "here", ["ng-first"])
    found += [ask(member="nobody", epoch=2), ask(member="nobody", epoch=LEAVES), ask(member="nobody", epoch=LEAVES_FOR_NOW, InstanceId="nobody"), ask(member="here", epoch=2, InstanceId="nobody"),
              ask(member="here", epoch=LEAVES, InstanceId="nobody"), group_of(side, 0, group)]
    out(side, group, "here", "member")
    return found + [group_of(side, 0, group)]


@case("ConsumerGroupHeartbeat", "a member without an id of its own", versions=[0])
def nameless(side, version):
    coordinator(side)
    topic(side, "ng-first", 3)
    answer = enter(side, version, "ng-nameless", "", ["ng-first"])
    member = answer.pop("MemberId")
    again = beat(side, version, "ng-nameless", member, answer["MemberEpoch"])
    assert len(member) == 22 and again.pop("MemberId") == member, (member, again)
    left = beat(side, version, "ng-nameless", member, LEAVES)
    assert left.pop("MemberId") == member, left
    return answer, again, left


@case("ConsumerGroupHeartbeat", "two members and the way of a partition")
def two_members(side, version):
    coordinator(side)
    topic(side, "ng-two", 4)
    for assignor in ("uniform", "range"):
        group = f"ng-two-{version}-{assignor}"
        enter(side, version, group, "a", ["ng-two"], ServerAssignor=assignor)
        second = enter(side, version, group, "b", ["ng-two"], ServerAssignor=assignor)
        # The second waits until the first has given up what it is to have.
        found = [second, group_of(side, 0, group), beat(side, version, group, "b", 3), beat(side, version, group, "a", 2, owned={"ng-two": [0, 1, 2, 3]}), group_of(side, 0, group),
                 beat(side, version, group, "a", 2, owned={"ng-two": [0, 1, 2, 3]}), beat(side, version, group, "b", 3)]
        kept = [row["Assignment"]["TopicPartitions"][0]["Partitions"] for row in group_of(side, 0, group)["Groups"][0]["Members"] if row["MemberId"] == "a"][0]
        found += [beat(side, version, group, "a", 2, owned={"ng-two": kept}), group_of(side, 0, group), beat(side, version, group, "b", 3), beat(side, version, group, "a", 2, owned={"ng-two": kept}),
                  beat(side, version, group, "a", 3), beat(side, version, group, "b", 3, owned={"ng-two": [9]}), group_of(side, 0, group)]
        found += [beat(side, version, group, "a", LEAVES), beat(side, version, group, "b", 3), group_of(side, 0, group), beat(side, version, group, "b", 4)]
        out(side, group, "b")
    return found


@case("ConsumerGroupHeartbeat", "static members")
def static_members(side, version):
    coordinator(side)
    topic(side, "ng-static", 2)
    group = f"ng-static-{version}"
    def ask(member, epoch, **more):
        return beat(side, version, group, member, epoch, **{"InstanceId": "i", **more})
    def come(member, **more):
        return enter(side, version, group, member, ["ng-static"], **{"InstanceId": "i", **more})
    found = [come("a"), come("b"), ask("b", 2), ask("a", 2), come("a"), ask("a", 2, InstanceId=None), ask("a", 6)]
    found += [ask("b", LEAVES_FOR_NOW), ask("a", LEAVES_FOR_NOW), group_of(side, 0, group), ask("a", 2), ask("a", LEAVES_FOR_NOW)]
    found += [come("b"), group_of(side, 0, group), ask("a", 2), ask("a", LEAVES), ask("b", 2), commit(side, 9, group, "ng-static", member="a", generation=2)]
    found += [ask("b", LEAVES), group_of(side, 0, group), come("c"), ask("c", LEAVES_FOR_NOW), ask("c", LEAVES), group_of(side, 0, group)]
    return found


@case("ConsumerGroupHeartbeat", "regular expressions", versions=at_least(1))
def expressions(side, version):
    coordinator(side)
    for name in ("ng-re-a", "ng-re-b", "ng-xre"):
        topic(side, name, 1)
    group = f"ng-re-{version}"
    first = enter(side, version, group, "a", None, regex="ng-re-.*")
    until("the expression is resolved", lambda: assigned(beat(side, version, group, "a", NEW, None, {}, 30_000, "ng-re-.*")))
    found = [{**first, "Assignment": None, "MemberEpoch": 0}]
    last = enter(side, version, group, "a", None, regex="ng-re-.*")
    found += [{**last, "MemberEpoch": 0}, beat(side, version, group, "a", last["MemberEpoch"], regex="ng-(re"), beat(side, version, group, "a", last["MemberEpoch"], ["ng-xre"], regex="")]
    described = group_of(side, 1, group)
    described["Groups"][0].update({"GroupEpoch": 0, "AssignmentEpoch": 0})
    for member in described["Groups"][0]["Members"]:
        member["MemberEpoch"] = 0
    for answer in found:
        answer["MemberEpoch"] = min(answer["MemberEpoch"], 1)
    out(side, group, "a")
    return found, described


@case("ConsumerGroupDescribe", "groups of every kind, and of none")
def describe_consumers(side, version):
    coordinator(side)
    topic(side, "ng-describe", 2)
    group = f"ng-describe-{version}"
    enter(side, 1, group, "a", ["ng-describe"], InstanceId="i", RackId="r", ServerAssignor="range")
    classic = f"ng-describe-classic-{version}"
    member = stable(side, classic)
    found = [group_of(side, version, group), group_of(side, version, group, operations=True), group_of(side, version, classic), group_of(side, version, "ng-never"), group_of(side, version, ""), group_of(side, version),
             group_of(side, version, group, "ng-never", classic)]
    out(side, group, "a")
    leave(side, 5, classic, member)
    return found + [group_of(side, version, group), group_of(side, version, classic)]


@case("DescribeGroups", "of groups of the consumer protocol")
def describe_classic(side, version):
    coordinator(side)
    topic(side, "ng-describe", 2)
    group = f"ng-describe-old-{version}"
    enter(side, 1, group, "a", ["ng-describe"])
    found = [describe(side, version, group)]
    out(side, group, "a")
    return found + [describe(side, version, group)]


@case("ListGroups", "of both protocols, by type and state", versions=at_least(4))
def list_both(side, version):
    coordinator(side)
    topic(side, "ng-describe", 2)
    prefix = f"ng-list-{version}"
    enter(side, 1, f"{prefix}-consumer", "a", ["ng-describe"])
    enter(side, 1, f"{prefix}-moving", "a", ["ng-describe"])
    enter(side, 1, f"{prefix}-moving", "b", ["ng-describe"])
    enter(side, 1, f"{prefix}-empty", "a", ["ng-describe"])
    out(side, f"{prefix}-empty", "a")
    member = stable(side, f"{prefix}-classic")
    def ask(states=(), types=()):
        answer = side.ask("ListGroups", version, {"StatesFilter": list(states), **({"TypesFilter": list(types)} if version >= 5 else {})})
        answer["Groups"] = [row for row in answer["Groups"] if row["GroupId"].startswith(prefix)]
        return answer
    found = [ask(), ask(["Stable"]), ask(["Reconciling"]), ask(["reconciling"]), ask(["Assigning"]), ask(["Empty"]), ask(["Empty", "Stable"])]
    if version >= 5:
        found += [ask(types=[kind]) for kind in ("consumer", "Consumer", "classic", "share", "streams", "unknown")] + [ask(["Stable"], ["consumer"]), ask(types=["classic", "consumer"])]
    leave(side, 5, f"{prefix}-classic", member)
    out(side, f"{prefix}-consumer", "a")
    out(side, f"{prefix}-moving", "a", "b")
    return found


def subscription(*names, owned=()):
    """What a classic consumer tells of itself, in version 1."""
    data = b"\0\x01" + len(names).to_bytes(4, "big") + b"".join(len(name).to_bytes(2, "big") + name.encode() for name in names) + b"\xff\xff\xff\xff"
    return data + len(owned).to_bytes(4, "big") + b"".join(
        len(name).to_bytes(2, "big") + name.encode() + len(parts).to_bytes(4, "big") + b"".join(part.to_bytes(4, "big") for part in parts) for name, parts in owned)


@case("JoinGroup", "a classic member of a consumer group", versions=at_least(2))
def classic_member(side, version):
    coordinator(side)
    topic(side, "ng-mixed", 4)
    group = f"ng-mixed-{version}"
    enter(side, 1, group, "new", ["ng-mixed"])
    own = [("range", subscription("ng-mixed"))]
    def ask(**more):
        return side.ask("JoinGroup", version, join_body(version, more.pop("group", group), **{"protocols": own, **more}))
    found = [ask(kind="connect"), ask(protocols=[("range", b"meta")]), ask(protocols=[]), ask(member="nobody"), ask(session=1), ask(protocols=[("range", b"")])]
    joined = join(side, version, group, protocols=own)
    member = joined["MemberId"]
    found.append(joined)
    # Nothing is assigned to it while the other has not given up anything.
    found += [sync(side, 5, group, member, joined["GenerationId"]), heartbeat(side, 4, group, member, joined["GenerationId"]), heartbeat(side, 4, group, member, joined["GenerationId"] + 1),
              heartbeat(side, 4, group, "nobody", joined["GenerationId"]), heartbeat(side, 4, group, "new", 2), sync(side, 5, group, member, joined["GenerationId"], kind="connect"),
              sync(side, 5, group, member, joined["GenerationId"] + 1), sync(side, 5, group, member, joined["GenerationId"], protocol="sticky"), sync(side, 5, group, "new", 2)]
    settle(side, group, "new", 2, ["ng-mixed"])
    until("the round is called", lambda: heartbeat(side, 4, group, member, joined["GenerationId"])["ErrorCode"] != 0)
    found.append(heartbeat(side, 4, group, member, joined["GenerationId"]))
    joined = join(side, version, group, member, protocols=own)
    found += [joined, sync(side, 5, group, member, joined["GenerationId"]), heartbeat(side, 4, group, member, joined["GenerationId"]), describe(side, 5, group)]
    row = group_of(side, 1, group)
    row["Groups"][0]["Members"].sort(key=lambda one: one["MemberId"] != "new")
    found += [row, leave(side, 2, group, "new"), leave(side, 2, group, "nobody"), leave(side, 2, group, member), group_of(side, 1, group)]
    out(side, group, "new")
    return found


@case("ConsumerGroupHeartbeat", "to a classic group")
def to_classic(side, version):
    coordinator(side)
    topic(side, "ng-mixed", 4)
    found = []
    for name, more in (("plain", {"protocols": [("range", b"meta")]}), ("connect", {"kind": "connect"}), ("consumer", {"protocols": [("range", subscription("ng-mixed"))]})):
        group = f"ng-upgrade-{version}-{name}"
        joined = join(side, 7, group, **more)
        member = joined["MemberId"]
        sync(side, 5, group, member, 1, [(member, b"\0\x01\0\0\0\x01\0\x08ng-mixed\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\xff\xff\xff\xff")], kind=more.get("kind", "consumer"))
        found += [beat(side, version, group, "new", 2), beat(side, version, group, "new", LEAVES), enter(side, version, group, "new", ["ng-mixed"])]
        row = group_of(side, 1, group)
        row["Groups"][0]["Members"].sort(key=lambda one: one["MemberId"] != "new")
        found += [row, describe(side, 5, group), heartbeat(side, 4, group, member, 1), leave(side, 5, group, member)]
        out(side, group, "new")
        # An empty group of either kind becomes what its next member is.
        found += [enter(side, version, group, "again", ["ng-mixed"]), group_of(side, 0, group), beat(side, version, group, "again", LEAVES), join(side, 3, group, protocols=[("range", subscription("ng-mixed"))])]
        leave(side, 5, group, found[-1]["MemberId"])
    return found


@case("OffsetCommit", "members of a consumer group")
def commit_members(side, version):
    coordinator(side)
    topic(side, "ng-commit", 2)
    group = f"ng-commit-{version}"
    enter(side, 1, group, "a", ["ng-commit"], InstanceId="i")
    def ask(member="a", epoch=2, **more):
        return commit(side, version, group, "ng-commit", member=member, generation=epoch, **more)
    found = [ask(), ask(epoch=3), ask(epoch=0), ask(epoch=-1), ask(member="nobody"), ask(member=""), ask(member="", epoch=-1), ask(partition=1, offset=9), fetch_offsets(side, 9, group, "ng-commit")]
    if version >= 7:
        found += [ask(instance="i"), ask(instance="nobody"), ask(member="b", instance="i")]
    # A newer epoch: what the member has still it may commit in the older one.
    beat(side, 1, group, "a", 2, ["ng-commit", "ng-first"], {"ng-commit": [0, 1]}, 30_000)
    found += [ask(), ask(epoch=3), ask(epoch=4), fetch_offsets(side, 9, group, "ng-commit")]
    out(side, group, "a")
    return found + [ask(), ask(member="", epoch=-1), fetch_offsets(side, 9, group, "ng-commit")]


@case("OffsetFetch", "members of a consumer group", versions=at_least(8))
def fetch_members(side, version):
    coordinator(side)
    topic(side, "ng-commit", 2)
    group = f"ng-fetch-{version}"
    enter(side, 1, group, "a", ["ng-commit"])
    commit(side, 9, group, "ng-commit", member="a", generation=2)
    def ask(member=None, epoch=-1, topics=None):
        named = {"MemberId": member, "MemberEpoch": epoch} if version >= 9 else {}
        return side.ask("OffsetFetch", version, {"Groups": [{"GroupId": group, "Topics": topics, **named}]})
    found = [ask(), ask("a", 2), ask("a", 0), ask("a", 3), ask("nobody", 2), ask("", 2), ask("", -1), ask(None, 2), ask("a", -1), fetch_offsets(side, version, group, "ng-commit")]
    out(side, group, "a")
    return found + [ask("a", 2), ask()]


@case("TxnOffsetCommit", "members of a consumer group", versions=at_least(3))
def commit_transaction(side, version):
    coordinator(side)
    topic(side, "ng-commit", 2)
    group = f"ng-txn-{version}"
    enter(side, 1, group, "a", ["ng-commit"], InstanceId="i")
    producer, epoch = identity(side, group)
    if version < 5:
        add_offsets(side, 3, group, producer, epoch, group)
    def ask(member="a", generation=2, **more):
        return commit_in(side, version, group, group, producer, epoch, "ng-commit", member=member, generation=generation, **more)
    found = [ask(), ask(generation=3), ask(generation=0), ask(generation=-1), ask(member="nobody"), ask(member="nobody", generation=-1), ask(member=""), ask(member="", generation=-1), ask(instance="i"), ask(instance="nobody"),
             ask(member="b", instance="i"), ask(member="", generation=-1, instance="i")]
    beat(side, 1, group, "a", 2, ["ng-commit", "ng-first"], {"ng-commit": [0, 1]}, 30_000)
    found += [ask(), ask(generation=3), ask(generation=4), end(side, 5 if version >= 5 else 3, group, producer, epoch)]
    until("the offsets count", lambda: fetch_offsets(side, 7, group, "ng-commit", stable_only=True)["Topics"][0]["Partitions"][0]["ErrorCode"] == 0)
    out(side, group, "a")
    return found + [fetch_offsets(side, 7, group, "ng-commit")]


@case("OffsetDelete", "of a consumer group")
def delete_offsets(side, version):
    coordinator(side)
    for name in ("ng-commit", "ng-first"):
        topic(side, name, 2 if name == "ng-commit" else 3)
    group = "ng-delete-offsets"
    enter(side, 1, group, "a", ["ng-commit"])
    for name in ("ng-commit", "ng-first"):
        commit(side, 9, group, name, member="a", generation=2)
    def ask(name, partition=0):
        return side.ask("OffsetDelete", version, {"GroupId": group, "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": partition}]}]})
    found = [ask("ng-commit"), ask("ng-first"), ask("ng-never")]
    out(side, group, "a")
    return found + [ask("ng-commit"), fetch_offsets(side, 7, group)]


@case("DeleteGroups", "of the consumer protocol")
def delete_groups(side, version):
    coordinator(side)
    topic(side, "ng-commit", 2)
    group = f"ng-delete-{version}"
    enter(side, 1, group, "a", ["ng-commit"])
    def ask():
        return side.ask("DeleteGroups", version, {"GroupsNames": [group]})
    found = [ask()]
    out(side, group, "a")
    return found + [ask(), ask(), group_of(side, 0, group)]


@case("LeaveGroup", "members of the consumer protocol", versions=at_least(3))
def leave_static(side, version):
    coordinator(side)
    topic(side, "ng-commit", 2)
    group = f"ng-leave-{version}"
    enter(side, 1, group, "a", ["ng-commit"], InstanceId="i")
    enter(side, 1, group, "b", ["ng-commit"])
    def ask(*rows):
        return side.ask("LeaveGroup", version, {"GroupId": group, "Members": [{"MemberId": member, "GroupInstanceId": instance} for member, instance in rows]})
    # As administrators remove members.
    found = [ask(("", "nobody")), ask(("nobody", None)), ask(("x", "i")), ask(("", "i")), ask(("b", None)), group_of(side, 0, group)]
    return found
