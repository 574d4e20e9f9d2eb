//! The suite that every assignor passes.

use std::collections::BTreeSet;
use std::sync::Arc;

use vltava_core::id::{PartitionIndex, TopicId, TopicName, Uuid};
use vltava_core::image::{Image, Partition, Topic};

use super::{Assignment, Assignor, GroupAssignment, GroupSpec, MemberSpec};
use crate::group::name::MemberId;

/// Checks an assignor against its contract, on random groups that change. Panics with what is wrong.
///
/// # Panics
/// When the assignor breaks its contract.
pub fn assignor_suite(assignor: &dyn Assignor) {
    assert!(!assignor.name().is_empty(), "an assignor has a name");
    for seed in 0..500 {
        let mut random = Sequence(seed);
        let image = image(&(0..random.below(6)).map(|_| random.below(12)).collect::<Vec<_>>());
        let mut members: Vec<MemberSpec> = Vec::new();
        for _ in 0..6 {
            change(&mut members, &image, &mut random);
            let group = GroupSpec { members: &members, image: &image };
            let assignment = assignor.assign(&group).unwrap_or_else(|error| panic!("{error}"));
            check_assignment(&group, &assignment);
            assert_eq!(
                assignor.assign(&group).as_ref(),
                Ok(&assignment),
                "the same question, another answer"
            );
            for member in &mut members {
                member.assigned = assignment.get(&member.id).cloned().unwrap_or_default();
            }
        }
    }
}

/// Checks that an assignment is one: every partition that somebody is subscribed to has one owner, who is subscribed.
///
/// # Panics
/// When it is not.
pub fn check_assignment(group: &GroupSpec<'_>, assignment: &GroupAssignment) {
    let mut owned = BTreeSet::new();
    for (id, partitions) in assignment {
        let member = group.members.iter().find(|member| member.id == *id);
        let member = member.unwrap_or_else(|| panic!("{id:?} is no member"));
        for (topic, partitions) in &**partitions {
            assert!(member.topics.contains(topic), "{id:?} is not subscribed to {topic}");
            assert!(!partitions.is_empty(), "{id:?} has a topic without partitions");
            for partition in partitions {
                assert!(owned.insert((*topic, *partition)), "{topic}-{partition} has two owners");
                let known = usize::try_from(partition.0).is_ok_and(|at| at < group.partition_count(*topic));
                assert!(known, "{topic}-{partition} does not exist");
            }
        }
    }
    let wanted: BTreeSet<TopicId> =
        group.members.iter().flat_map(|member| member.topics.iter().copied()).collect();
    let count: usize = wanted.iter().map(|topic| group.partition_count(*topic)).sum();
    assert_eq!(owned.len(), count, "partitions were left over");
}

/// A cluster with topics of so many partitions; their ids are 1, 2, …
#[must_use]
pub fn image(partitions: &[usize]) -> Image {
    let mut image = Image::default();
    for (id, count) in (1u128..).zip(partitions) {
        let Ok(name) = TopicName::new(&format!("t{id}")) else { continue };
        image.topics.insert(Topic {
            name,
            id: TopicId(Uuid::from_u128(id)),
            partitions: vec![Partition::default(); *count],
        });
    }
    image
}

/// A member subscribed to these topics, to which nothing is assigned.
#[must_use]
pub fn member(id: &str, topics: &[u128]) -> MemberSpec {
    MemberSpec {
        id: MemberId::from(id),
        instance: None,
        rack: None,
        topics: Arc::new(topics.iter().map(|id| TopicId(Uuid::from_u128(*id))).collect()),
        assigned: Arc::new(Assignment::new()),
    }
}

/// Lets members come, go and subscribe to something else.
fn change(members: &mut Vec<MemberSpec>, image: &Image, random: &mut Sequence) {
    let topics: Vec<u128> = (1..=image.topics.len() as u128).collect();
    let same = random.below(2) == 0;
    let subscription = |random: &mut Sequence| -> Vec<u128> {
        topics.iter().copied().filter(|_| same || random.below(2) == 0).collect()
    };
    members.retain(|_| random.below(4) > 0);
    for _ in 0..random.below(4) {
        let new = member(&format!("m{}", random.below(20)), &subscription(random));
        members.retain(|member| member.id != new.id);
        members.push(new);
    }
    for known in members.iter_mut() {
        known.topics = member("", &subscription(random)).topics;
        if random.below(8) == 0 {
            // Partitions that are gone, or somebody else's by mistake, must not survive.
            Arc::make_mut(&mut known.assigned)
                .entry(TopicId(Uuid::from_u128(1)))
                .or_default()
                .insert(PartitionIndex(i32::try_from(random.below(30)).unwrap_or(0)));
        }
    }
    members.sort_by(|one, other| one.id.cmp(&other.id));
}

/// Numbers that look random and are the same every time.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}
