//! What the assignors decide, case by case.

use std::sync::Arc;

use vltava_core::image::Image;

use super::testing::{assignor_suite, check_assignment, image, member};
use super::{Assignor, Assignors, GroupAssignment, GroupSpec, MemberSpec, RangeAssignor, UniformAssignor};
use crate::group::name::InstanceId;

#[test]
fn the_assignors_keep_their_contract() {
    assignor_suite(&UniformAssignor);
    assignor_suite(&RangeAssignor);
}

fn assign(assignor: &dyn Assignor, image: &Image, members: &mut [MemberSpec]) -> GroupAssignment {
    let group = GroupSpec { members, image };
    let assignment = assignor.assign(&group).unwrap();
    check_assignment(&group, &assignment);
    for member in members {
        member.assigned = assignment[&member.id].clone();
    }
    assignment
}

/// `a:1-0,1-1 b:1-2`
fn told(assignment: &GroupAssignment) -> String {
    let partitions = |assignment: &super::Assignment| {
        let each = assignment.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |partition| format!("{}-{partition}", topic.0.as_u128()))
        });
        each.collect::<Vec<_>>().join(",")
    };
    let each = assignment.iter().map(|(member, assigned)| format!("{member}:{}", partitions(assigned)));
    each.collect::<Vec<_>>().join(" ")
}

/// Members with the topics they subscribe to.
type Step<'a> = &'a [(&'a str, &'a [u128])];

fn check(assignor: &dyn Assignor, topics: &[usize], steps: &[(Step<'_>, &str)]) {
    let image = image(topics);
    let mut members: Vec<MemberSpec> = Vec::new();
    for (step, expected) in steps {
        let next = step.iter().map(|(id, topics)| {
            let known = members.iter().find(|known| *known.id == **id);
            let assigned = known.map(|known| known.assigned.clone()).unwrap_or_default();
            MemberSpec { assigned, ..member(id, topics) }
        });
        members = next.collect();
        assert_eq!(told(&assign(assignor, &image, &mut members)), *expected, "{step:?}");
    }
}

#[test]
fn uniform_is_balanced_and_moves_as_little_as_it_can() {
    check(
        &UniformAssignor,
        &[5, 2],
        &[
            (&[("a", &[1, 2])], "a:1-0,1-1,1-2,1-3,1-4,2-0,2-1"),
            (&[("a", &[1, 2]), ("b", &[1, 2])], "a:1-0,1-1,1-2,1-3 b:1-4,2-0,2-1"),
            (&[("a", &[1, 2]), ("b", &[1, 2]), ("c", &[1, 2])], "a:1-0,1-1,1-2 b:1-4,2-0 c:1-3,2-1"),
            (&[("b", &[1, 2]), ("c", &[1, 2])], "b:1-0,1-4,2-0 c:1-1,1-2,1-3,2-1"),
            (&[("b", &[2]), ("c", &[2])], "b:2-0 c:2-1"),
            (&[("b", &[]), ("c", &[])], "b: c:"),
        ],
    );
    // More members than partitions: nobody who has one loses it.
    check(
        &UniformAssignor,
        &[2],
        &[
            (&[("b", &[1]), ("c", &[1])], "b:1-0 c:1-1"),
            (&[("a", &[1]), ("b", &[1]), ("c", &[1])], "a: b:1-0 c:1-1"),
        ],
    );
}

#[test]
fn uniform_evens_out_what_differing_subscriptions_allow() {
    check(
        &UniformAssignor,
        &[4, 2],
        &[
            (&[("a", &[1]), ("b", &[1, 2])], "a:1-0,1-1,1-2 b:1-3,2-0,2-1"),
            (&[("a", &[1]), ("b", &[1, 2]), ("c", &[2])], "a:1-0,1-1,1-2 b:1-3,2-0 c:2-1"),
        ],
    );
}

#[test]
fn uniform_survives_many_members_and_partitions() {
    let image = image(&[10_000]);
    let ids: Vec<String> = (0..1000).map(|number| format!("m{number:04}")).collect();
    let mut members: Vec<MemberSpec> = ids.iter().map(|id| member(id, &[1])).collect();
    let before = assign(&UniformAssignor, &image, &mut members);
    assert!(before.values().all(|assigned| assigned.values().all(|partitions| partitions.len() == 10)));
    members.remove(500);
    let after = assign(&UniformAssignor, &image, &mut members);
    let kept = after.iter().filter(|(member, assigned)| {
        before[*member].iter().all(|(topic, partitions)| partitions.is_subset(&assigned[topic]))
    });
    assert_eq!(kept.count(), 999, "who stays keeps all it had");
}

#[test]
fn range_gives_runs_that_go_together() {
    check(
        &RangeAssignor,
        &[3, 3],
        &[
            (&[("a", &[1, 2]), ("b", &[1, 2])], "a:1-0,1-1,2-0,2-1 b:1-2,2-2"),
            (&[("a", &[1]), ("b", &[1, 2]), ("c", &[2])], "a:1-0,1-1 b:1-2,2-0,2-1 c:2-2"),
            (&[("a", &[1]), ("b", &[1]), ("c", &[1]), ("d", &[1])], "a:1-0 b:1-1 c:1-2 d:"),
        ],
    );
}

#[test]
fn range_serves_static_members_in_the_order_of_their_instances() {
    let image = image(&[3]);
    let mut members = [member("a", &[1]), member("b", &[1]), member("c", &[1])];
    members[2].instance = Some(InstanceId::from("i1"));
    members[1].instance = Some(InstanceId::from("i2"));
    assert_eq!(told(&assign(&RangeAssignor, &image, &mut members)), "a:1-2 b:1-1 c:1-0");
}

#[test]
fn assignors_are_found_by_name_and_the_first_is_the_default() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let both = Assignors::named(&names(&["range", "uniform"]), &[]).unwrap();
    assert_eq!(both.default_name(), "range");
    assert_eq!(format!("{both:?}"), r#"["range", "uniform"]"#);
    assert!(both.get("uniform").is_some() && both.get("sticky").is_none());
    assert_eq!(Assignors::named(&names(&["sticky"]), &[]), Err("sticky".to_owned()));
    assert_eq!(Assignors::named(&[], &[]), Err(String::new()));
    let kafka = names(&["org.apache.kafka.coordinator.group.assignor.RangeAssignor"]);
    assert_eq!(Assignors::named(&kafka, &[Arc::new(UniformAssignor)]).unwrap().default_name(), "range");
}
