//! What processes and the machine have used, from `/proc`.

use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A repetition is not clean when processes that have no part in it used more than this, in cores.
pub const OTHERS_MAX: f64 = 0.12;
/// The machine counts as quiet below this share of its cores.
const QUIET_SHARE: f64 = 0.10;
/// How long quiet is looked for at a time.
const QUIET_WINDOW: Duration = Duration::from_millis(400);
/// `/proc` counts in hundredths of a second, whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// Does something on the first core that there is; processes that it starts stay there.
pub fn on_one_core<T>(work: impl FnOnce() -> T) -> anyhow::Result<T> {
    let all = sched_getaffinity(None).context("cannot tell the cores")?;
    let first = (0..CpuSet::MAX_CPU).find(|core| all.is_set(*core)).context("there is no core")?;
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).context("cannot stay on one core")?;
    let done = work();
    sched_setaffinity(None, &all).context("cannot use all cores again")?;
    Ok(done)
}

/// CPU seconds of a process, its ended threads included.
///
/// The kernel scales both parts so that their sum is exact, up to the hundredth that it is printed with; the sum over the
/// threads that live is finer and is taken when it is the larger one.
pub fn process_cpu(process: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no command in a stat file")?;
    let ticks = |place: usize| fields.split_whitespace().nth(place).and_then(|text| text.parse::<f64>().ok());
    let whole = (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS_PER_SECOND;
    Ok(whole.max(thread_cpu(process).unwrap_or(0.0)))
}

fn thread_cpu(process: u32) -> Option<f64> {
    let mut nanoseconds = 0_u64;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread may end while it is looked at.
        let Ok(text) = std::fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanoseconds as f64 / 1e9)
}

/// Resident bytes of a process.
pub fn resident_bytes(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS line")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
}

/// Busy and idle seconds of all cores.
fn machine() -> anyhow::Result<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("an empty /proc/stat")?;
    let fields: Vec<f64> = line.split_whitespace().skip(1).filter_map(|text| text.parse().ok()).collect();
    let sum = |places: &[usize]| places.iter().filter_map(|place| fields.get(*place)).sum::<f64>();
    Ok((sum(&[0, 1, 2, 5, 6, 7]) / TICKS_PER_SECOND, sum(&[3, 4]) / TICKS_PER_SECOND))
}

/// Waits at most `patience` for a moment in which the machine has nothing to do.
pub fn wait_until_quiet(patience: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        let (busy_before, idle_before) = machine()?;
        std::thread::sleep(QUIET_WINDOW);
        let (busy, idle) = machine()?;
        let (busy, idle) = (busy - busy_before, idle - idle_before);
        if busy < QUIET_SHARE * (busy + idle).max(0.01) {
            break;
        }
    }
    Ok(())
}

/// What a server, this process and all others used between two moments.
pub struct Usage {
    server: u32,
    server_before: f64,
    own_before: f64,
    busy_before: f64,
    begun: Instant,
}

/// The result of a [`Usage`].
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// CPU seconds of the server.
    pub server: f64,
    /// CPU seconds of the load generator.
    pub client: f64,
    /// Cores that anything else kept busy.
    pub others: f64,
    /// Seconds by the clock.
    pub seconds: f64,
}

impl Usage {
    pub fn begin(server: u32) -> anyhow::Result<Usage> {
        Ok(Usage {
            server,
            server_before: process_cpu(server)?,
            own_before: process_cpu(std::process::id())?,
            busy_before: machine()?.0,
            begun: Instant::now(),
        })
    }

    pub fn end(&self) -> anyhow::Result<Used> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let server = process_cpu(self.server)? - self.server_before;
        let client = process_cpu(std::process::id())? - self.own_before;
        let others = (machine()?.0 - self.busy_before - server - client) / seconds;
        Ok(Used { server, client, others, seconds })
    }
}
