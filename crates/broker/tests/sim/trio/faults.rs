//! What goes wrong, and when.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use vltava_core::testing::Random;
use vltava_storage::files::DiskFault;

use super::network::Place;
use super::{NODES, World};

/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(6);

/// How often each kind of fault has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub kills: usize,
    /// Kills in the middle of what a coordinator does.
    pub strikes: usize,
    pub power_losses: usize,
    pub cuts: usize,
    /// Disks that have failed, or were full.
    pub disks: usize,
}

/// Lets things go wrong for a while, then heals everything.
pub async fn run(world: &Arc<World>, random: &mut Random) -> Counts {
    let mut counts = Counts::default();
    let until = world.clock.now() + TROUBLE;
    while world.clock.now() < until && !world.is_over() {
        let pause = Duration::from_millis(100 + random.bits() % 700);
        if tokio::time::timeout(pause, world.struck.notified()).await.is_ok() {
            strike(world, random, &mut counts).await;
            continue;
        }
        match random.below(9) {
            0 | 1 => kill(world, random, &mut counts).await,
            2 | 3 => lose_power(world, random, &mut counts).await,
            4 | 5 => cut(world, random, &mut counts),
            6 => worsen(world, random, &mut counts),
            7 => break_disk(world, random, &mut counts).await,
            _ => {
                world.note("network", "is whole");
                world.network.heal();
            }
        }
        for index in 0..NODES {
            if world.life(index).is_none() && random.once_in(2) {
                world.start(index);
            }
        }
    }
    world.network.heal();
    (0..NODES).filter(|index| world.life(*index).is_none()).for_each(|index| world.start(index));
    counts
}

async fn pause(random: &mut Random, from: u64, spread: u64) {
    sleep(Duration::from_millis(from + random.bits() % spread)).await;
}

/// Half of the time a leader.
fn victim(world: &World, random: &mut Random) -> usize {
    let led = [world.orders, world.groups, world.transactions];
    let leader = world.leader(*random.pick(&led));
    let anybody = random.below(NODES);
    leader.filter(|_| random.once_in(2)).unwrap_or(anybody)
}

/// A process ends, and its disk keeps what it has written.
async fn kill(world: &Arc<World>, random: &mut Random, counts: &mut Counts) {
    let index = victim(world, random);
    if world.life(index).is_none() {
        return;
    }
    end(world, index);
    counts.kills += 1;
    pause(random, 20, 2000).await;
    world.start(index);
}

/// The process ends in the middle of what it does.
async fn strike(world: &Arc<World>, random: &mut Random, counts: &mut Counts) {
    let Some(index) = world.take_tempted().filter(|index| world.life(*index).is_some()) else { return };
    end(world, index);
    counts.strikes += 1;
    pause(random, 20, 1500).await;
    world.start(index);
}

/// A disk takes nothing any more, or only bytes that it then forgets. The process ends, as one does whose only log directory
/// has failed: when it sees that, and else after a while.
async fn break_disk(world: &Arc<World>, random: &mut Random, counts: &mut Counts) {
    let index = victim(world, random);
    if world.life(index).is_none() {
        return;
    }
    let fault = *random.pick(&[DiskFault::Full, DiskFault::Write, DiskFault::Sync]);
    world.note(&format!("node {}", index + 1), &format!("has a broken disk: {fault:?}"));
    world.disk(index).fail(fault, Path::new("/"));
    counts.disks += 1;
    pause(random, 100, 1500).await;
    end(world, index);
    world.disk(index).heal();
    pause(random, 20, 500).await;
    world.start(index);
}

fn end(world: &World, index: usize) {
    world.note(&format!("node {}", index + 1), "is killed");
    world.end(index);
    world.disk(index).kill_process();
}

/// A machine loses its power, where others make good what it loses: see the module's "why".
async fn lose_power(world: &Arc<World>, random: &mut Random, counts: &mut Counts) {
    let index = victim(world, random);
    let calm = || {
        let controller = world.controller.lock();
        let active = controller.image().brokers.values().filter(|broker| broker.is_active()).count();
        let others = controller.partitions().iter().all(|(_, partition)| {
            partition.isr.iter().any(|id| id.0 != i32::try_from(index).unwrap_or(0) + 1)
        });
        active == NODES
            && others
            && controller.hears_all(world.clock.now())
            && world.network.is_whole()
            && (0..NODES).all(|index| world.life(index).is_some())
    };
    if !calm() {
        world.network.heal();
        pause(random, 200, 300).await;
        if !calm() {
            return;
        }
    }
    world.note(&format!("node {}", index + 1), "loses its power");
    world.end(index);
    world.disk(index).lose_power();
    counts.power_losses += 1;
    pause(random, 10, 150).await;
    world.start(index);
    while !world.is_over() && world.life(index).is_some_and(|life| life.epoch().0 < 0) {
        sleep(Duration::from_millis(5)).await;
    }
}

/// A node is cut off: from everybody, from the controller, from another node, in both directions or in one.
fn cut(world: &World, random: &mut Random, counts: &mut Counts) {
    let (node, other) = (Place::Node(victim(world, random)), Place::Node(random.below(NODES)));
    let everybody = [Place::Node(0), Place::Node(1), Place::Node(2), Place::Controller, Place::Client];
    let (how, ways): (&str, Vec<Place>) = match random.below(4) {
        0 => ("everybody", everybody.to_vec()),
        1 => ("the controller", vec![Place::Controller]),
        2 => ("the other nodes", everybody[..3].to_vec()),
        _ => ("another node", vec![other]),
    };
    let one_way = random.once_in(3);
    world.note("network", &format!("{node:?} is cut off from {how}, {other:?}; one way: {one_way}"));
    for place in ways {
        world.network.cut(node, place);
        if !one_way {
            world.network.cut(place, node);
        }
    }
    counts.cuts += 1;
}

/// Messages are lost, or those of a node take long.
fn worsen(world: &World, random: &mut Random, counts: &mut Counts) {
    counts.cuts += 1;
    if random.once_in(2) {
        world.note("network", "loses messages");
        world.network.lose_one_in(6 + random.below(20));
    } else {
        let node = Place::Node(random.below(NODES));
        world.note("network", &format!("{node:?} is slow"));
        world.network.slow_down(node);
    }
}
