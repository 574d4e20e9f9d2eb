//! The controller: the broker's own state machine, on a log that never fails, and what sees whether brokers live.

use std::collections::BTreeMap;
use std::time::Duration;

use vltava_coordinator::cluster::command::{AlterIsr, BrokerState, CreateTopics, NewTopic, RegisterBroker};
use vltava_coordinator::cluster::in_sync::AlterIsrError;
use vltava_coordinator::cluster::{Answer, Cluster, ClusterOptions, Command, Event, supported_features};
use vltava_coordinator::transaction::TRANSACTION_VERSION;
use vltava_core::clock::Moment;
use vltava_core::id::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicIdPartition,
    Uuid,
};
use vltava_core::image::{Image, Partition};
use vltava_core::machine::{Context, Place, Reply, StateMachine};
use vltava_core::testing::Random;
use vltava_replication::partition::{IsrProposal, IsrVerdict};

use super::{Breach, ORDERS, Options, SHARES, TOPICS};

/// A broker that was not heard of for so long is fenced.
const SESSION: Duration = Duration::from_millis(1000);

const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

pub struct Controller {
    cluster: Cluster,
    next: Offset,
    random: Random,
    heard: BTreeMap<BrokerId, Moment>,
    /// The epochs that began with a leader who may lack what is committed.
    unclean: BTreeMap<TopicIdPartition, Vec<LeaderEpoch>>,
    /// An election that should not have been.
    illegal: Option<String>,
}

impl Controller {
    /// Three brokers, and the topics with a replica on each.
    pub fn new(random: Random, options: &Options) -> Controller {
        let cluster = Cluster::new(ClusterOptions::new(BrokerId(1), CLUSTER));
        let (heard, unclean) = (BTreeMap::new(), BTreeMap::new());
        let mut controller = Controller { cluster, next: Offset(1), random, heard, unclean, illegal: None };
        let image = Image::default();
        let first = controller.cluster.loaded(&context(&image, Moment::default(), 0)).events;
        controller.write(&first);
        for id in 1..=3 {
            let epoch = controller.register(BrokerId(id), Uuid::from_u128(id.unsigned_abs().into()));
            controller.hear(BrokerId(id), epoch, Offset(i64::MAX), Moment::default());
        }
        let level = options.transaction_version;
        controller.write(&[Event::FeatureSet { name: TRANSACTION_VERSION.to_owned(), level }]);
        let topics = TOPICS.iter().map(|(name, partitions)| NewTopic {
            assignments: (0..*partitions)
                .map(|index| (PartitionIndex(index), vec![BrokerId(1), BrokerId(2), BrokerId(3)]))
                .collect(),
            configs: configs(name, options),
            ..NewTopic::named(name)
        });
        let request = CreateTopics { topics: topics.collect(), validate_only: false };
        match controller.ask(Command::CreateTopics(request), Moment::default()) {
            Answer::CreateTopics(created) => assert!(created.iter().all(|(_, result)| result.is_ok())),
            other => panic!("{other:?}"),
        }
        controller
    }

    pub fn image(&self) -> &Image {
        self.cluster.image()
    }

    /// The partitions with replicas, by topic in the order of their creation.
    pub fn partitions(&self) -> Vec<(TopicIdPartition, Partition)> {
        let topics = TOPICS.iter().filter(|(name, _)| *name != SHARES);
        let all = topics.flat_map(|(name, _)| {
            let topic = self.image().topics.by_name(name).unwrap().clone();
            let numbered = topic.numbered().map(|(partition, replicas)| {
                (TopicIdPartition { topic: topic.id, partition }, replicas.clone())
            });
            numbered.collect::<Vec<_>>()
        });
        all.collect()
    }

    fn ask(&mut self, command: Command, now: Moment) -> Answer {
        let image = self.cluster.image().clone();
        let entropy = self.random.entropy();
        let decision = self.cluster.decide(&context(&image, now, entropy), command);
        let Reply::Committed(answer) = decision.reply else { panic!("{:?}", decision.reply) };
        self.write(&decision.events);
        answer
    }

    fn write(&mut self, events: &[Event]) {
        let mut left_out = Vec::new();
        for event in events {
            let lacking = self.leader_who_may_lack(event);
            self.cluster
                .apply(event, Place { offset: self.next, timestamp: Timestamp(0), transaction: None });
            self.next = self.next.next();
            if let Some((id, complete)) = lacking {
                let topic = self.image().topics.by_id(id.topic).unwrap();
                let epoch = topic.partition(id.partition).unwrap().leader_epoch;
                self.unclean.entry(id).or_default().push(epoch);
                left_out.extend(complete.into_iter().map(|broker| (id, epoch, broker)));
            }
        }
        let could_lead = |(_, _, broker): &&(_, _, BrokerId)| self.image().active_broker(*broker).is_some();
        if let Some((id, epoch, broker)) = left_out.iter().find(could_lead) {
            self.illegal = Some(format!("{broker} has everything and does not lead {id:?} in epoch {epoch}"));
        }
    }

    /// The partition that this event gives a leader who was not known to have everything, and those who were.
    fn leader_who_may_lack(&self, event: &Event) -> Option<(TopicIdPartition, Vec<BrokerId>)> {
        let Event::PartitionChanged(change) = event else { return None };
        let leader = change.leader.filter(|leader| *leader != BrokerId::NONE)?;
        let partition = self.image().topics.by_id(change.topic)?.partition(change.index)?;
        let complete = [&partition.isr[..], &partition.eligible, &partition.last_known_eligible].concat();
        let id = TopicIdPartition { topic: change.topic, partition: change.index };
        (!complete.contains(&leader)).then_some((id, complete))
    }

    /// The epochs of a partition that began with a leader who may lack what is committed.
    pub fn unclean(&self, id: TopicIdPartition) -> &[LeaderEpoch] {
        self.unclean.get(&id).map_or(&[], Vec::as_slice)
    }

    /// An election that should not have been.
    pub fn illegal(&self) -> Option<String> {
        self.illegal.clone()
    }

    /// A process has started.
    pub fn register(&mut self, id: BrokerId, incarnation: Uuid) -> BrokerEpoch {
        let request = RegisterBroker {
            id,
            cluster: CLUSTER.to_owned(),
            incarnation,
            endpoints: Vec::new(),
            rack: None,
            features: supported_features(),
            directories: vec![DirectoryId(Uuid::from_u128(1000 + u128::from(id.0.unsigned_abs())))],
            cordoned: Vec::new(),
            previous_epoch: BrokerEpoch(-1),
        };
        match self.ask(Command::RegisterBroker(request), Moment::default()) {
            Answer::RegisterBroker(Ok(epoch)) => epoch,
            other => panic!("{other:?}"),
        }
    }

    /// A broker lives, and has seen everything up to `seen`: once that is its own registration, it takes part.
    pub fn hear(&mut self, id: BrokerId, epoch: BrokerEpoch, seen: Offset, now: Moment) {
        self.heard.insert(id, now);
        if seen.0 >= epoch.0 {
            self.ask(Command::MoveBroker { broker: id, epoch, state: BrokerState::Active }, now);
        }
    }

    /// Whether all were heard of lately: nobody is fenced for a while for what went wrong before.
    pub fn hears_all(&self, now: Moment) -> bool {
        let lately = |id| self.heard.get(id).is_some_and(|heard| now.since(*heard) < SESSION / 2);
        self.image().brokers.values().all(|broker| lately(&broker.id))
    }

    /// Fences who was not heard of.
    pub fn fence_silent(&mut self, now: Moment) -> Vec<BrokerId> {
        let silent = |broker: &vltava_core::image::Broker| {
            !broker.fenced && self.heard.get(&broker.id).is_none_or(|heard| now.since(*heard) > SESSION)
        };
        let lost: Vec<_> = self.image().brokers.values().filter(|broker| silent(broker)).cloned().collect();
        for broker in &lost {
            let (id, epoch) = (broker.id, broker.epoch);
            self.ask(Command::MoveBroker { broker: id, epoch, state: BrokerState::Fenced }, now);
        }
        lost.iter().map(|broker| broker.id).collect()
    }

    /// Other in-sync replicas. A proposal to a state that was never decided is an error of whoever made it.
    pub fn alter(
        &mut self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        proposals: &[(TopicIdPartition, IsrProposal)],
        now: Moment,
    ) -> Result<Vec<IsrVerdict>, String> {
        let wish = |(id, proposal): &(TopicIdPartition, IsrProposal)| {
            let IsrProposal { leader_epoch, partition_epoch, isr } = proposal.clone();
            (*id, AlterIsr { leader_epoch, partition_epoch, isr, recovering: false })
        };
        let partitions = proposals.iter().map(wish).collect();
        let Answer::AlterIsr(altered) = self.ask(Command::AlterIsr { broker, epoch, partitions }, now) else {
            return Err("another answer than was asked for".to_owned());
        };
        let Ok(altered) = altered else { return Ok(vec![IsrVerdict::Outdated; proposals.len()]) };
        altered
            .into_iter()
            .map(|(_, result)| match result {
                Ok(altered) => Ok(IsrVerdict::Accepted {
                    leader_epoch: altered.leader_epoch,
                    partition_epoch: altered.partition_epoch,
                    isr: altered.isr,
                }),
                Err(AlterIsrError::Ineligible(_)) => Ok(IsrVerdict::Ineligible),
                Err(AlterIsrError::FencedLeaderEpoch(_) | AlterIsrError::PartitionEpoch(_)) => {
                    Ok(IsrVerdict::Outdated)
                }
                Err(error) => Err(format!("broker {broker} proposes what makes no sense: {error}")),
            })
            .collect()
    }
}

/// Records may get lost where that is allowed, and nowhere else.
fn configs(topic: &str, options: &Options) -> Vec<(String, Option<String>)> {
    let allowed = options.unclean || options.breach == Some(Breach::UncleanElections);
    let unclean = allowed && topic == ORDERS;
    let config = |key: &str, value: String| (key.to_owned(), Some(value));
    vec![
        config("min.insync.replicas", options.min_insync.to_string()),
        config("unclean.leader.election.enable", unclean.to_string()),
    ]
}

fn context(image: &Image, now: Moment, entropy: u128) -> Context<'_> {
    Context { now, wall: Timestamp(0), entropy, image }
}
