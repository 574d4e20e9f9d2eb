//! What Linux says of this process, from `/proc/self`. Elsewhere nothing is known, and there are no series.

use std::fs;

/// The state of the process.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) virtual_bytes: Option<u64>,
    pub(crate) threads: Option<u64>,
    pub(crate) open_files: Option<usize>,
    pub(crate) open_files_max: Option<u64>,
    pub(crate) disk_read_bytes: Option<u64>,
    pub(crate) disk_write_bytes: Option<u64>,
}

impl Process {
    /// Reads it. *Blocks*, for as long as the kernel takes to write its answers into memory.
    pub(crate) fn now() -> Process {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let (status, io, limits) = (text("status"), text("io"), text("limits"));
        let kilobytes = |key: &str| Some(field(&status, key)? * 1024);
        Process {
            cpu_seconds: cpu_seconds(&text("stat"), rustix::param::clock_ticks_per_second()),
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            threads: field(&status, "Threads:"),
            open_files: fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
            open_files_max: field(&limits, "Max open files"),
            disk_read_bytes: field(&io, "read_bytes:"),
            disk_write_bytes: field(&io, "write_bytes:"),
        }
    }
}

/// The number after a key at the start of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of `stat`, counted behind the name in parentheses, which may hold anything.
fn cpu_seconds(stat: &str, ticks_per_second: u64) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut times = behind_name.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    (ticks_per_second > 0).then(|| (user + system) as f64 / ticks_per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let status = "Name:\tx\nVmRSS:\t  12 kB\nThreads:\t3\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "VmSwap:")), (Some(12), None));
        assert_eq!(
            field("Max open files            1024                 4096\n", "Max open files"),
            Some(1024)
        );
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_seconds(stat, 100), Some(2.0));
        assert_eq!(cpu_seconds("", 100), None);
    }
}
