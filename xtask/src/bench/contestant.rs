//! Who is measured: floors, Vltava, and on request an Apache Kafka.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::floor::Floor;
use super::load;
use crate::conformance::cache::Cache;
use crate::conformance::server::{Kind, Server};

/// One of those that take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    Floor(Floor),
    Vltava,
    Kafka,
}

impl fmt::Display for Contestant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Contestant::Floor(Floor::Each) => "floor, each",
            Contestant::Floor(Floor::Grouped) => "floor, grouped",
            Contestant::Floor(Floor::Relay) => "floor, relay",
            Contestant::Vltava => "vltava",
            Contestant::Kafka => "kafka",
        })
    }
}

/// Starts contestants below one folder.
pub struct Stable {
    pub folder: PathBuf,
    pub binary: Option<PathBuf>,
    pub cache: Cache,
    started: u32,
}

impl Stable {
    pub fn new(folder: PathBuf, binary: Option<PathBuf>, cache: Cache) -> Stable {
        Stable { folder, binary, cache, started: 0 }
    }

    /// A fresh process with a folder of its own.
    pub fn start(&mut self, contestant: Contestant) -> anyhow::Result<Running> {
        self.start_with(contestant, "")
    }

    /// The same with further settings of a server, one a line.
    pub fn start_with(&mut self, contestant: Contestant, further: &str) -> anyhow::Result<Running> {
        self.started += 1;
        let folder = self.folder.join(self.started.to_string());
        std::fs::create_dir_all(&folder)?;
        let server = |kind| {
            Server::start_with(further, kind, self.binary.as_deref(), &self.cache, &folder)
                .with_context(|| format!("{contestant} cannot be started"))
        };
        let process = match contestant {
            Contestant::Floor(floor) => Process::Floor(FloorProcess::start(floor, &folder)?),
            Contestant::Vltava => Process::Server(server(Kind::Vltava)?),
            Contestant::Kafka => Process::Server(server(Kind::Kafka)?),
        };
        Ok(Running { process, folder })
    }
}

/// A contestant that runs. Dropping it ends its process and deletes its data.
pub struct Running {
    process: Process,
    folder: PathBuf,
}

enum Process {
    Floor(FloorProcess),
    Server(Server),
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> &str {
        match &self.process {
            Process::Floor(floor) => &floor.address,
            Process::Server(server) => server.address(),
        }
    }

    /// Its process.
    pub fn process(&self) -> anyhow::Result<u32> {
        match &self.process {
            Process::Floor(floor) => Ok(floor.child.id()),
            Process::Server(server) => server.process(),
        }
    }

    /// Where its data lies, or below it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server, unless it is a floor.
    pub fn server(&self) -> Option<&Server> {
        match &self.process {
            Process::Floor(_) => None,
            Process::Server(server) => Some(server),
        }
    }

    /// Stops the server, starts it again, and tells how long it took from there to its first answer.
    pub fn restart(&mut self) -> anyhow::Result<Duration> {
        let Process::Server(server) = &mut self.process else { bail!("no floor starts again") };
        server.control("restart")?;
        Ok(server.ready_after())
    }

    /// Creates a topic; a floor needs none.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        match &self.process {
            Process::Floor(_) => Ok(()),
            Process::Server(server) => load::create_topic(server.address(), topic, partitions),
        }
    }

    /// Deletes a topic, so that no more than one repetition's data is on disk.
    pub fn delete_topic(&self, topic: &str) -> anyhow::Result<()> {
        match &self.process {
            Process::Floor(_) => Ok(()),
            Process::Server(server) => load::delete_topic(server.address(), topic),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        match &mut self.process {
            Process::Floor(floor) => floor.end(),
            // A server that does not stop by itself is killed when it is dropped.
            Process::Server(server) => drop(server.stop()),
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            println!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

struct FloorProcess {
    child: Child,
    address: String,
}

impl FloorProcess {
    fn start(floor: Floor, folder: &Path) -> anyhow::Result<FloorProcess> {
        let name = match floor {
            Floor::Each => "each",
            Floor::Grouped => "grouped",
            Floor::Relay => "relay",
        };
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench-floor", name])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a floor cannot be started")?;
        let mut port = String::new();
        BufReader::new(child.stdout.take().context("no standard output")?).read_line(&mut port)?;
        Ok(FloorProcess { child, address: format!("127.0.0.1:{}", port.trim()) })
    }

    fn end(&mut self) {
        // It may have ended before; then there is nothing to kill, and waiting returns at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
