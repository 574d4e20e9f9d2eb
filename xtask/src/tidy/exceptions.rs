//! Where a banned call is right, and why.

/// Calls that a file, or all files of a folder, may make.
pub(crate) struct Exception {
    /// A file, or a folder with its `/`, from the workspace's root.
    pub(crate) path: &'static str,
    /// The calls, as the bans spell them.
    pub(crate) calls: &'static [&'static str],
    /// Why.
    #[allow(dead_code, reason = "it is for those who read the list")]
    pub(crate) why: &'static str,
}

impl Exception {
    pub(crate) fn covers(&self, path: &str, call: &str) -> bool {
        let there = path == self.path || (self.path.ends_with('/') && path.starts_with(self.path));
        there && self.calls.contains(&call)
    }
}

/// All of them.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception {
        path: "crates/broker/src/clock.rs",
        calls: &["SystemTime::now", "Instant::now"],
        why: "it is the clock",
    },
    Exception {
        path: "crates/broker/src/cli/",
        calls: &["SystemTime::now", "Instant::now", "std::fs"],
        why: "the client commands are programs of their own: they read the user's files and his clock",
    },
    Exception {
        path: "crates/broker/src/config/load.rs",
        calls: &["std::fs"],
        why: "the configuration is read before there is a store",
    },
    Exception {
        path: "crates/broker/src/metrics/process.rs",
        calls: &["std::fs"],
        why: "it asks the kernel about the process, through /proc",
    },
    Exception {
        path: "crates/broker/src/net/client/",
        calls: &["Instant::now"],
        why: "the client commands use it as well, in a process without a broker's clock",
    },
    Exception {
        path: "crates/connect/src/connectors/",
        calls: &["std::fs", "Instant::now"],
        why: "connectors read and write the files of others, and wait on tokio's clock",
    },
    Exception {
        path: "crates/connect/src/worker/",
        calls: &["Instant::now"],
        why: "tasks wait on tokio's clock, which their tests hold",
    },
    Exception {
        path: "crates/connect/src/worker/providers.rs",
        calls: &["std::fs"],
        why: "it reads the files that settings point to",
    },
    Exception {
        path: "crates/core/src/log.rs",
        calls: &["std::fs"],
        why: "a range of a file names the type of an open file, and reads nothing",
    },
    Exception {
        path: "crates/storage/src/segments/open_files.rs",
        calls: &["std::fs"],
        why: "it keeps files that were opened through the seam for sendfile, and opens none",
    },
    Exception {
        path: "crates/storage/src/files/",
        calls: &["std::fs"],
        why: "it is the seam through which all files are reached",
    },
    Exception {
        path: "xtask/",
        calls: &["SystemTime::now", "Instant::now", "std::fs", "std::sync::mpsc"],
        why: "developer tasks run on a machine, not in a simulation",
    },
];
