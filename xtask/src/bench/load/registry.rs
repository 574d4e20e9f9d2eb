//! The schema registry over HTTP: loading it, looking schemas up by their ids, and registering new versions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{Figures, connect, microseconds, quantile};
use crate::bench::contestant::Running;
use crate::bench::machine::{Usage, resident_bytes};

/// Connections that register at the same time to fill a registry, and that look up.
const CONNECTIONS: usize = 16;
/// How long lookups and registrations go on.
const SECONDS: f64 = 4.0;
/// The first seconds are not counted.
const WARM_UP_SECONDS: f64 = 0.5;
/// How long the registry may take to load.
const LOADED_WITHIN: Duration = Duration::from_secs(120);

/// How much the registry holds, and what is measured.
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    pub subjects: usize,
    /// Of each subject, each compatible with the one before.
    pub versions: usize,
    pub what: What,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The start with all of it.
    Load,
    /// Lookups by id.
    Lookup,
    /// New versions, checked against those before.
    Register,
}

impl Registry {
    /// What its figures depend on.
    pub fn conditions(&self) -> String {
        let Registry { subjects, versions, what } = self;
        let what = match what {
            What::Load => {
                "from starting the process, after a clean stop, until a version can be read".to_owned()
            }
            What::Lookup => format!(
                "GET /schemas/ids/N at random, closed loop, {CONNECTIONS} connections kept alive, server on one core; {SECONDS} s"
            ),
            What::Register => format!(
                "POST of a new version, level BACKWARD, one after the other on one connection; {SECONDS} s"
            ),
        };
        format!(
            "{subjects} subjects of {versions} versions, records of Avro with up to {versions} fields; {what}"
        )
    }
}

/// Fills the registry of a server that was just started, and measures.
pub fn run(load: &Registry, running: &mut Running) -> anyhow::Result<Figures> {
    let address = registry_address(running)?;
    let empty = resident_bytes(running.process()?)?;
    let filled = Instant::now();
    fill(load, &address)?;
    let filled = filled.elapsed();
    match load.what {
        What::Load => start(load, running, empty, filled),
        What::Lookup => lookup(load, &address, running.process()?),
        What::Register => register(load, &address, running.process()?),
    }
}

fn registry_address(running: &Running) -> anyhow::Result<String> {
    let server = running.server().context("no floor has a registry")?;
    let address = server.registry().strip_prefix("http://").context("the registry speaks HTTP")?;
    Ok(address.to_owned())
}

/// A record whose fields are as many as its version.
fn version_path_and_body(subject: usize, version: usize) -> (String, String) {
    let fields: Vec<String> = (0..version)
        .map(|field| format!(r#"{{\"name\":\"field{field}\",\"type\":\"long\",\"default\":0}}"#))
        .collect();
    let fields = fields.join(",");
    let schema = format!(r#"{{\"type\":\"record\",\"name\":\"Subject{subject}\",\"fields\":[{fields}]}}"#);
    (format!("/subjects/subject-{subject}/versions"), format!(r#"{{"schema":"{schema}"}}"#))
}

fn fill(load: &Registry, address: &str) -> anyhow::Result<()> {
    let Registry { subjects, versions, .. } = *load;
    std::thread::scope(|threads| {
        let filling: Vec<_> = (0..CONNECTIONS)
            .map(|part| {
                threads.spawn(move || {
                    let mut connection = Connection::open(address)?;
                    for subject in (part..subjects).step_by(CONNECTIONS) {
                        for version in 1..=versions {
                            let (path, body) = version_path_and_body(subject, version);
                            connection.ask("POST", &path, &body)?;
                        }
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for one in filling {
            one.join().map_err(|_| anyhow::anyhow!("a thread of the load generator panicked"))??;
        }
        Ok(())
    })
}

fn start(load: &Registry, running: &mut Running, empty: f64, filled: Duration) -> anyhow::Result<Figures> {
    let ready = running.restart()?;
    let answered = Instant::now();
    let address = registry_address(running)?;
    let path = format!("/subjects/subject-{}/versions/{}", load.subjects - 1, load.versions);
    loop {
        let asked = Connection::open(&address).and_then(|mut connection| connection.ask("GET", &path, ""));
        match asked {
            Ok(_) => break,
            Err(error) => {
                ensure!(answered.elapsed() < LOADED_WITHIN, "the registry is not loaded: {error:#}");
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let loaded = ready + answered.elapsed();
    let resident = resident_bytes(running.process()?)?;
    let count = (load.subjects * load.versions) as f64;
    Ok(vec![
        ("loaded ms", loaded.as_secs_f64() * 1e3),
        ("ready ms", ready.as_secs_f64() * 1e3),
        ("RSS MiB", resident / f64::from(1 << 20)),
        ("grown MiB", (resident - empty) / f64::from(1 << 20)),
        ("registered/s", count / filled.as_secs_f64()),
    ])
}

fn lookup(load: &Registry, address: &str, server: u32) -> anyhow::Result<Figures> {
    let ids = u64::try_from(load.subjects * load.versions)?;
    let mut connections: Vec<Connection> =
        (0..CONNECTIONS).map(|_| Connection::open(address)).collect::<anyhow::Result<_>>()?;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut ask = |connection: &mut Connection| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        connection.send("GET", &format!("/schemas/ids/{}", (random >> 33) % ids + 1), "")?;
        anyhow::Ok(Instant::now())
    };
    let mut sent = connections.iter_mut().map(&mut ask).collect::<anyhow::Result<Vec<_>>>()?;
    let mut samples = Vec::new();
    let begun = Instant::now();
    let mut usage = None;
    while begun.elapsed().as_secs_f64() < WARM_UP_SECONDS + SECONDS {
        if usage.is_none() && begun.elapsed().as_secs_f64() >= WARM_UP_SECONDS {
            usage = Some(Usage::begin(server)?);
            samples.clear();
        }
        for (connection, sent) in connections.iter_mut().zip(&mut sent) {
            connection.receive()?;
            samples.push(microseconds(sent.elapsed()));
            *sent = ask(connection)?;
        }
    }
    figures(&mut samples, &usage.context("nothing was measured")?)
}

fn register(load: &Registry, address: &str, server: u32) -> anyhow::Result<Figures> {
    let mut connection = Connection::open(address)?;
    let usage = Usage::begin(server)?;
    let mut samples = Vec::new();
    let begun = Instant::now();
    for turn in 0.. {
        if begun.elapsed().as_secs_f64() > SECONDS {
            break;
        }
        let (subject, more) = (turn % load.subjects, turn / load.subjects);
        let (path, body) = version_path_and_body(subject, load.versions + 1 + more);
        let sent = Instant::now();
        connection.ask("POST", &path, &body)?;
        samples.push(microseconds(sent.elapsed()));
    }
    figures(&mut samples, &usage)
}

fn figures(samples: &mut [u32], usage: &Usage) -> anyhow::Result<Figures> {
    let used = usage.end()?;
    let count = samples.len() as f64;
    Ok(vec![
        ("p50 µs", quantile(samples, 0.5)),
        ("p99 µs", quantile(samples, 0.99)),
        ("server µs/request", used.server / count * 1e6),
        ("requests/s of a core", count / used.server),
        ("requests/s", count / used.seconds),
        ("others cores", used.others),
    ])
}

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(address: &str) -> anyhow::Result<Connection> {
        Ok(Connection { stream: connect(address)?, buffer: Vec::new() })
    }

    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<String> {
        self.send(method, path, body)?;
        self.receive()
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<()> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        Ok(self.stream.write_all(request.as_bytes())?)
    }

    /// The body of an answer that is no refusal.
    fn receive(&mut self) -> anyhow::Result<String> {
        self.buffer.clear();
        let mut part = [0; 8192];
        loop {
            let text = std::str::from_utf8(&self.buffer).unwrap_or_default();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                if body.len() >= length.context("an answer has no length")? {
                    ensure!(head.starts_with("HTTP/1.1 20"), "{head}\n{body}");
                    return Ok(body.to_owned());
                }
            }
            let read = self.stream.read(&mut part)?;
            ensure!(read > 0, "the server closed the connection");
            self.buffer.extend_from_slice(part.get(..read).unwrap_or_default());
        }
    }
}
