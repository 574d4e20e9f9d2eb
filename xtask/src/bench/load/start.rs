//! The start of a server that has something to open.

use std::time::Instant;

use super::{Figures, connect, wait_for_leaders};
use crate::bench::contestant::Running;
use crate::bench::machine::process_cpu;

/// Restarts a server that holds a topic, after a clean stop.
pub fn again(running: &mut Running, topic: &str, partitions: i32) -> anyhow::Result<Figures> {
    let ready = running.restart()?;
    let answered = Instant::now();
    wait_for_leaders(&mut connect(running.address())?, topic, partitions)?;
    let leading = ready + answered.elapsed();
    Ok(vec![
        ("ready ms", ready.as_secs_f64() * 1e3),
        ("leading ms", leading.as_secs_f64() * 1e3),
        ("server CPU ms", process_cpu(running.process()?)? * 1e3),
        ("partitions", f64::from(partitions)),
    ])
}
