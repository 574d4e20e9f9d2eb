//! The server under test: its process, its folder, its port.
//!
//! Vltava and Kafka get the same `server.properties`, so that what differs between two runs is the server alone.

pub mod jars;
mod kafka;
pub mod port;
mod vltava;

pub use self::vltava::{built, chosen as binary};

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};

use super::cache::Cache;
use super::program::GLANCE;

/// How long a server may take to answer its first request.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long a glance at a server that has just been started waits for the next one.
const GLANCE_MIN: Duration = Duration::from_micros(300);
/// How many lines of the server's log are shown beside a failure.
const LOG_TAIL_LINES: usize = 15;

/// Which software is tested.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The binary of this project.
    Vltava,
    /// Apache Kafka, resolved from Maven's repository: it must pass everything.
    Kafka,
}

/// A server and what is needed to start it again. Ends its process when dropped.
pub struct Server {
    kind: Kind,
    /// The other software that takes the folder over when it is asked to.
    heir: Option<(Kind, Launch)>,
    address: String,
    /// Where the schema registry of ours is served.
    registry: String,
    folder: PathBuf,
    /// What starts the process; nothing for a server that somebody else runs.
    launch: Option<Launch>,
    process: Option<Child>,
    ready_after: Duration,
}

/// A program and its arguments, kept for restarts.
struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Launch {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }
}

impl Server {
    /// Writes a configuration below `folder`, formats it where needed, starts the server and waits until it answers.
    pub fn start(kind: Kind, binary: Option<&Path>, cache: &Cache, folder: &Path) -> anyhow::Result<Self> {
        Self::launch(None, "", kind, binary, cache, folder)
    }

    /// The same with further settings, one a line, which win over the usual ones.
    pub fn start_with(
        further: &str,
        kind: Kind,
        binary: Option<&Path>,
        cache: &Cache,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        Self::launch(None, further, kind, binary, cache, folder)
    }

    /// The same, for clients that reach it through a proxy that listens on `advertised`.
    pub fn start_behind(
        advertised: u16,
        kind: Kind,
        binary: Option<&Path>,
        cache: &Cache,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        Self::launch(Some(advertised), "", kind, binary, cache, folder)
    }

    fn launch(
        advertised: Option<u16>,
        further: &str,
        kind: Kind,
        binary: Option<&Path>,
        cache: &Cache,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let [port, controller_port, registry_port] = port::free()?;
        let properties = folder.join("server.properties");
        let advertised = advertised.unwrap_or(port);
        let usual = self::properties(folder, [port, advertised, controller_port, registry_port]);
        std::fs::write(&properties, usual + further)?;
        let launch = match kind {
            Kind::Vltava => vltava::launch(binary, &properties)?,
            Kind::Kafka => kafka::launch(cache, folder, &properties)?,
        };
        let address = format!("127.0.0.1:{port}");
        let folder = folder.to_owned();
        let mut server = Self {
            kind,
            heir: None,
            address,
            registry: format!("http://127.0.0.1:{registry_port}"),
            folder,
            launch: Some(launch),
            process: None,
            ready_after: Duration::ZERO,
        };
        server.spawn()?;
        Ok(server)
    }

    /// An Apache Kafka whose folder and configuration `heir` takes over at the word `adopt`.
    pub fn start_for(
        heir: Kind,
        binary: Option<&Path>,
        cache: &Cache,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let mut server = Self::start(Kind::Kafka, None, cache, folder)?;
        if heir != Kind::Kafka {
            server.heir = Some((heir, vltava::launch(binary, &folder.join("server.properties"))?));
        }
        Ok(server)
    }

    /// A server that somebody else started and ends.
    pub fn elsewhere(address: &str) -> Self {
        let folder = PathBuf::new();
        Self {
            kind: Kind::Vltava,
            heir: None,
            address: address.to_owned(),
            registry: "http://127.0.0.1:8081".to_owned(),
            folder,
            launch: None,
            process: None,
            ready_after: Duration::ZERO,
        }
    }

    /// The URL of the schema registry.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Where clients connect.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process, for those who measure it.
    ///
    /// # Errors
    /// When it does not run, or somebody else runs it.
    pub fn process(&self) -> anyhow::Result<u32> {
        Ok(self.process.as_ref().context("the server is not running")?.id())
    }

    /// From the start of the process to its first answer, the last time.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The data folder; empty for a server of somebody else.
    pub fn data(&self) -> PathBuf {
        if self.is_ours() { self.folder.join("data") } else { PathBuf::new() }
    }

    /// `vltava` or `kafka`, for the few checks that must know.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Vltava => "vltava",
            Kind::Kafka => "kafka",
        }
    }

    /// Whether this run started the process.
    pub fn is_ours(&self) -> bool {
        self.launch.is_some()
    }

    /// What a client program may ask for; the answer is one line.
    pub fn control(&mut self, verb: &str) -> anyhow::Result<String> {
        match verb {
            "start" => self.spawn()?,
            "stop" => drop(self.stop()?),
            "kill" => self.kill()?,
            "restart" => {
                self.stop()?;
                self.spawn()?;
            }
            "adopt" => {
                self.stop()?;
                if let (Some((kind, launch)), Some(own)) = (&mut self.heir, &mut self.launch) {
                    std::mem::swap(kind, &mut self.kind);
                    std::mem::swap(launch, own);
                }
                self.spawn()?;
            }
            "rss" => return Ok(self.resident_bytes()?.to_string()),
            "alive" => return Ok(if self.health().is_ok() { "yes" } else { "no" }.to_owned()),
            other => bail!("a server cannot {other:?}"),
        }
        Ok("ok".to_owned())
    }

    /// An error unless the process lives and its log has no panic.
    pub fn health(&mut self) -> anyhow::Result<()> {
        let process = self.process.as_mut().context("the server is not running")?;
        if let Some(status) = process.try_wait()? {
            bail!("the server ended by itself ({status})");
        }
        let log = std::fs::read(self.log()).unwrap_or_default();
        ensure!(!String::from_utf8_lossy(&log).contains("panicked at"), "a thread of the server panicked");
        Ok(())
    }

    /// SIGTERM; how long it took. An error when the process had to be killed or ended with another status than a clean one.
    pub fn stop(&mut self) -> anyhow::Result<Duration> {
        let mut process = self.process.take().context("the server is not running")?;
        let begun = Instant::now();
        end_group(process.id(), Signal::TERM);
        while begun.elapsed() < STOP_LIMIT {
            if let Some(status) = process.try_wait()? {
                // Java ends with 128 + 15 after a shutdown that its handler completed.
                ensure!(status.success() || status.code() == Some(143), "the server ended with {status}");
                return Ok(begun.elapsed());
            }
            std::thread::sleep(GLANCE);
        }
        process.kill()?;
        process.wait()?;
        bail!("the server did not end within {} s of SIGTERM", STOP_LIMIT.as_secs());
    }

    /// The last lines of the server's output.
    pub fn log_tail(&self) -> Vec<String> {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<_> = text.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(LOG_TAIL_LINES))
            .map(|line| format!("server: {line}"))
            .collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// SIGKILL, and the end of the process.
    fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("the server is not running")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    fn resident_bytes(&self) -> anyhow::Result<u64> {
        let process = self.process.as_ref().context("the server is not running")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS line")?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024)
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "the server runs already");
        let launch = self.launch.as_ref().context("a server of somebody else cannot be started")?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let begun = Instant::now();
        let process = launch
            .command()
            .current_dir(&self.folder)
            // The error alone: where it was made is of no use in a report.
            .env("RUST_LIB_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", launch.program.display()))?;
        self.process = Some(process);
        self.wait_until_it_answers(begun)
    }

    fn wait_until_it_answers(&mut self, begun: Instant) -> anyhow::Result<()> {
        while !answers(&self.address) {
            if let Some(status) = self.process.as_mut().and_then(|process| process.try_wait().transpose()) {
                bail!("the server ended while starting ({}):\n{}", status?, self.log_tail().join("\n"));
            }
            if begun.elapsed() > START_LIMIT {
                bail!("no answer within {} s:\n{}", START_LIMIT.as_secs(), self.log_tail().join("\n"));
            }
            // So short at first that the wait does not show in the time of a start.
            std::thread::sleep((begun.elapsed() / 50).clamp(GLANCE_MIN, GLANCE));
        }
        self.ready_after = begun.elapsed();
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            end_group(process.id(), Signal::KILL);
            // Nobody is left to hear of an error; the process is gone either way.
            let _ = process.wait();
        }
    }
}

/// Signals the process group that a child leads. A group that is already gone is no error.
pub fn end_group(leader: u32, signal: Signal) {
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

/// Lets this process and all that it starts open as many files as the system allows: the suites hold 10,000 connections.
pub fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        println!("note: the limit of open files could not be raised");
    }
}

/// The stock combined-mode file, with addresses on loopback, single replicas, and no wait before a group's first round.
/// Retention sleeps: many checks use timestamps of long ago.
fn properties(folder: &Path, [port, advertised, controller_port, registry_port]: [u16; 4]) -> String {
    let data = folder.join("data");
    format!(
        "process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised},CONTROLLER://127.0.0.1:{controller_port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={}
socket.listen.backlog.size=4096
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.min.session.timeout.ms=1000
log.initial.task.delay.ms=3600000
log.retention.check.interval.ms=3600000
vltava.http.listeners=
vltava.registry.listeners=http://127.0.0.1:{registry_port}
vltava.connect.listeners=
",
        data.display()
    )
}

/// Whether a broker answers ApiVersions version 0, the one request that every version of Kafka understands.
fn answers(address: &str) -> bool {
    const API_VERSIONS: &[u8] = b"\0\0\0\x0e\0\x12\0\0\0\0\0\x01\0\x04wait";
    let ask = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(API_VERSIONS)?;
        stream.read_exact(&mut [0; 8])
    };
    ask().is_ok()
}
