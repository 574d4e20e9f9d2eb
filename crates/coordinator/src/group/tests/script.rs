//! Scripts: one command a line, with everything that comes of it.
//!
//! `join a#1 => parked` is a command and what it must lead to: the answer to it, then `member: answer` for everybody who
//! had waited, then `log …` for every record. Ids that the coordinator has made up end in the number of the request that
//! made them: `a#3` is the one of client `a`, made by the third request, not counting waits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{
    Generation, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId, TopicName, Uuid,
};
use vltava_core::image::{ConfigKind, ConfigResource};
use vltava_core::machine::TransactionEnd;
use vltava_core::replicated::Verification;

use super::super::command::*;
use super::super::event::{CommittedOffset, OffsetKey};
use super::super::{GroupCommand, GroupEvent, GroupId, GroupKey, GroupSettings, InstanceId, MemberId};
use super::told::{answer, record, short};
use super::{Shard, set_topic, subscription};

/// Runs scripts, each on a coordinator of its own, and compares line by line.
pub(super) fn check(settings: &GroupSettings, scripts: &[(&str, &str)]) {
    for (name, script) in scripts {
        let mut shard = Shard::new(settings.clone());
        let mut actual = String::new();
        let mut expected = String::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (command, outcome) = line.split_once("=>").unwrap_or((line, ""));
            let happened = run(&mut shard, command.trim());
            actual += &format!("{} => {happened}\n", command.trim());
            expected += &format!("{} => {}\n", command.trim(), outcome.trim());
        }
        assert!(actual == expected, "{name}\n--- expected\n{expected}--- actual\n{actual}");
    }
}

fn run(shard: &mut Shard, line: &str) -> String {
    let words = Words::new(line);
    let parked: Vec<(GroupKey, usize)> =
        shard.parked.iter().map(|(key, ticket)| (key.clone(), *ticket)).collect();
    let mut said = Vec::new();
    let events = match words.verb {
        "wait" => shard.wait(Duration::from_millis(words.first().parse().unwrap())),
        "limit" => {
            shard.settings.group_size_max = words.first().parse().unwrap();
            Vec::new()
        }
        "topic" => {
            let partitions = words.plain.get(1).map_or(0, |count| count.parse().unwrap());
            set_topic(&mut shard.image, words.first(), words.number("id", 1) as u128, partitions);
            Vec::new()
        }
        "config" => {
            let resource = ConfigResource::new(ConfigKind::Group, &words.group());
            shard.image.set_config(&resource, words.first(), words.plain.get(1).copied());
            Vec::new()
        }
        "limit-consumers" => {
            shard.machine.settings.consumer.size_max = words.first().parse().unwrap();
            Vec::new()
        }
        "interval" => {
            let interval = Duration::from_millis(words.first().parse().unwrap());
            shard.machine.settings.consumer.assignment_interval.default = interval;
            Vec::new()
        }
        "reload" => {
            shard.reload();
            Vec::new()
        }
        "begin" => words.commit().topics.iter().flat_map(|topic| pending(shard, &words, topic)).collect(),
        "end" => {
            let end = TransactionEnd {
                producer: words.producer(),
                epoch: ProducerEpoch(0),
                commit: words.has("commit"),
                coordinator_epoch: 0,
            };
            shard.append(&GroupEvent::TransactionEnded(end), None);
            Vec::new()
        }
        _ => {
            let (ticket, events) = shard.ask(words.command());
            said.push(shard.answers.get(&ticket).map_or("parked".to_owned(), answer));
            events
        }
    };
    let mut released: Vec<(usize, String)> = Vec::new();
    for (key, ticket) in parked {
        let (GroupKey::Join { member, .. } | GroupKey::Sync { member, .. }) = key else { unreachable!() };
        if let Some(given) = shard.answers.get(&ticket) {
            released.push((ticket, format!("{}: {}", short(&member), answer(given))));
        }
    }
    if words.verb != "reload" {
        released.retain(|(ticket, _)| !shard.parked.values().any(|waiting| waiting == ticket));
        released.sort();
        said.extend(released.into_iter().map(|(_, text)| text));
    }
    said.extend(events.iter().filter_map(record));
    said.join("; ")
}

fn pending(shard: &mut Shard, words: &Words<'_>, topic: &CommitTopic) -> Vec<GroupEvent> {
    let commit = |partition: &CommitPartition| GroupEvent::OffsetCommitted {
        key: OffsetKey { group: words.group(), topic: topic.name.clone(), partition: partition.partition },
        offset: CommittedOffset {
            offset: partition.offset,
            leader_epoch: LeaderEpoch::NONE,
            metadata: "".into(),
            commit_timestamp: shard.context().wall,
            expire_timestamp: None,
            topic_id: topic.id,
        },
    };
    let events: Vec<GroupEvent> = topic.partitions.iter().map(commit).collect();
    for event in &events {
        shard.append(event, Some(words.producer()));
    }
    events
}

/// A line in words: a verb, plain words, and `name=value`.
struct Words<'a> {
    verb: &'a str,
    plain: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Words<'a> {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap();
        let (named, plain): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
        Words { verb, plain, named: named.iter().map(|word| word.split_once('=').unwrap()).collect() }
    }

    fn first(&self) -> &'a str {
        self.plain.first().copied().unwrap_or("-")
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    fn named(&self, name: &str) -> Option<&'a str> {
        self.named.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn number(&self, name: &str, default: i64) -> i64 {
        self.named(name).map_or(default, |value| value.parse().unwrap())
    }

    fn group(&self) -> GroupId {
        GroupId::from(self.named("group").unwrap_or("g"))
    }

    fn member(&self) -> MemberId {
        long(self.first())
    }

    fn instance(&self) -> Option<InstanceId> {
        self.named("instance").map(InstanceId::from)
    }

    fn generation(&self) -> Generation {
        Generation(self.number("gen", -1) as i32)
    }

    fn producer(&self) -> ProducerId {
        ProducerId(self.number("producer", 1))
    }

    fn topic_id(&self) -> TopicId {
        TopicId(Uuid::from_u128(self.number("id", 0) as u128))
    }

    fn command(&self) -> GroupCommand {
        match self.verb {
            "join" => GroupCommand::Join(self.join()),
            "sync" => GroupCommand::Sync(Sync {
                group: self.group(),
                member: self.member(),
                instance: self.instance(),
                generation: self.generation(),
                protocol_type: self.named("type").map(Arc::from),
                protocol: self.named("protocol").map(Arc::from),
                assignments: self.plain.iter().skip(1).map(|pair| assignment(pair)).collect(),
            }),
            "beat" => GroupCommand::Heartbeat(Heartbeat {
                group: self.group(),
                member: self.member(),
                instance: self.instance(),
                generation: self.generation(),
            }),
            "leave" => {
                let members = self.plain.iter().map(|who| identity(who)).collect();
                GroupCommand::Leave(Leave { group: self.group(), members })
            }
            "commit" => GroupCommand::CommitOffsets(self.commit()),
            "commit-txn" => GroupCommand::CommitInTransaction(CommitInTransaction {
                offsets: self.commit(),
                producer: self.producer(),
                epoch: ProducerEpoch(0),
                verification: Verification::None,
                knows_stale_epoch: self.has("v6"),
            }),
            "fetch" => GroupCommand::FetchOffsets(self.fetch()),
            "delete-offsets" => {
                let topics =
                    self.partitions().into_iter().map(|topic| (topic.name, topic.partitions)).collect();
                GroupCommand::DeleteOffsets(DeleteOffsets { group: self.group(), topics })
            }
            "delete" => GroupCommand::DeleteGroup(self.group()),
            "hb" => GroupCommand::ConsumerHeartbeat(Box::new(self.heartbeat())),
            "describe" => GroupCommand::DescribeGroup(self.group()),
            "show" => GroupCommand::DescribeConsumerGroup(self.group()),
            "list" => GroupCommand::ListGroups(ListGroups {
                states: self.named("state").map(str::to_owned).into_iter().collect(),
                types: self.named("types").map(str::to_owned).into_iter().collect(),
            }),
            "topic-deleted" => {
                let name = TopicName::new(self.first()).unwrap();
                GroupCommand::TopicsDeleted(Arc::new([DeletedTopic { name, id: self.topic_id() }]))
            }
            other => panic!("{other} is no command"),
        }
    }

    fn join(&self) -> Join {
        let subscribed: Vec<&str> = self.named("topics").unwrap_or("t").split(',').collect();
        let protocol = |name: &str| {
            let metadata = match name.split_once(':') {
                Some((_, text)) => Bytes::copy_from_slice(text.as_bytes()),
                None => subscription(&subscribed),
            };
            Protocol { name: name.split(':').next().unwrap().into(), metadata }
        };
        let protocols = self.named("protocols").unwrap_or("range");
        Join {
            group: self.group(),
            member: self.member(),
            instance: self.instance(),
            client_id: self.named("client").unwrap_or("c").into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: Duration::from_millis(self.number("session", 10_000) as u64),
            rebalance_timeout: Some(Duration::from_millis(self.number("rebalance", 60_000) as u64)),
            protocol_type: self.named("type").unwrap_or("consumer").into(),
            protocols: protocols.split(',').filter(|name| !name.is_empty()).map(protocol).collect(),
            takes_member_id: !self.has("v3"),
            skips_assignment: self.has("v9"),
        }
    }

    /// `hb m 0 topics=t own=1:0,1` joins or lives; `full` names everything that a member that joins must name.
    fn heartbeat(&self) -> ConsumerHeartbeat {
        let joins = self.has("0") || self.has("full");
        let own = self.named("own").or(joins.then_some(""));
        let owned = own.map(|own| own.split('+').filter(|own| !own.is_empty()).map(owned).collect());
        let topics = self.named("topics").map(|topics| {
            Arc::new(topics.split(',').filter(|topic| !topic.is_empty()).map(Arc::from).collect())
        });
        let timeout = self.named("rebalance").map(|time| time.parse().unwrap()).or(joins.then_some(60_000));
        ConsumerHeartbeat {
            group: self.group(),
            member: self.member(),
            epoch: Generation(self.plain.get(1).map_or(0, |epoch| epoch.parse().unwrap())),
            instance: self.instance(),
            rack: self.named("rack").map(Arc::from),
            rebalance_timeout: timeout.filter(|_| !self.has("untimed")).map(Duration::from_millis),
            topics,
            regex: self.named("regex").map(Arc::from),
            assignor: self.named("assignor").map(Arc::from),
            owned: owned.filter(|_| !self.has("silent")),
            client_id: "c".into(),
            client_host: "/h".into(),
            visible: TopicFilter::default(),
            makes_member_id: !self.has("v0"),
        }
    }

    fn commit(&self) -> CommitOffsets {
        let mut topics: Vec<CommitTopic> = Vec::new();
        for (place, offset) in self.named.iter().filter(|(place, _)| place.contains('/')) {
            let (name, partition) = place.split_once('/').unwrap();
            let partition = CommitPartition {
                partition: PartitionIndex(partition.parse().unwrap()),
                offset: Offset(offset.parse().unwrap()),
                leader_epoch: LeaderEpoch(self.number("epoch", -1) as i32),
                metadata: self.named("note").map(Arc::from),
            };
            let name = TopicName::new(name).unwrap();
            topics.push(CommitTopic { name, id: self.topic_id(), partitions: vec![partition] });
        }
        CommitOffsets {
            group: self.group(),
            member: self.member(),
            instance: self.instance(),
            generation: self.generation(),
            retention: self.named("retention").map(|time| Duration::from_millis(time.parse().unwrap())),
            knows_group_not_found: self.has("v9"),
            topics,
        }
    }

    fn fetch(&self) -> FetchOffsets {
        FetchOffsets {
            group: self.group(),
            topics: (!self.has("all")).then(|| self.partitions()),
            require_stable: self.has("stable"),
            member: self.named("member").map(long),
            member_epoch: self.generation(),
        }
    }

    fn partitions(&self) -> Vec<FetchTopic> {
        let places = self.plain.iter().filter_map(|word| word.split_once('/'));
        let topic = |(name, partition): (&str, &str)| FetchTopic {
            name: TopicName::new(name).unwrap(),
            id: self.topic_id(),
            partitions: vec![PartitionIndex(partition.parse().unwrap())],
        };
        places.map(topic).collect()
    }
}

/// `1:0,2` are partitions 0 and 2 of the topic with the identity 1.
fn owned(text: &str) -> (TopicId, Vec<PartitionIndex>) {
    let (topic, partitions) = text.split_once(':').unwrap();
    let partitions = partitions.split(',').map(|partition| PartitionIndex(partition.parse().unwrap()));
    (TopicId(Uuid::from_u128(topic.parse().unwrap())), partitions.collect())
}

fn identity(who: &str) -> MemberIdentity {
    let (member, instance) = who.split_once('/').unwrap_or((who, ""));
    MemberIdentity {
        member: long(member),
        instance: Some(instance).filter(|name| !name.is_empty()).map(Into::into),
    }
}

fn assignment(pair: &str) -> (MemberId, Bytes) {
    let (member, text) = pair.split_once(':').unwrap();
    (long(member), Bytes::copy_from_slice(text.as_bytes()))
}

/// The full id that is written `client#number`; `-` is none.
fn long(id: &str) -> MemberId {
    match id.split_once('#') {
        Some((prefix, number)) => {
            let entropy: u128 = number.parse().unwrap();
            let uuid = uuid::Builder::from_random_bytes(entropy.to_be_bytes()).into_uuid();
            MemberId::from(format!("{prefix}-{uuid}"))
        }
        None if id == "-" => MemberId::default(),
        None => MemberId::from(id),
    }
}
