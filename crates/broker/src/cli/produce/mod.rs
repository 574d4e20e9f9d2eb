//! `vltava produce`: lines of standard input, or of a file, become records.
//!
//! Why on our own client and not a full client library: lines in order over one connection need no pipelining, and the
//! library would add a fifth to the time a cold release build takes. Batches are idempotent with `--acks all`, so that a
//! retry after a lost answer does not store them twice.

mod partitioner;
mod producer;

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use vltava_core::record::{Codec, Compression};

use super::arguments::{ClusterArguments, key_value};
use super::error::CliError;
use super::output;
use producer::{Producer, ProducerOptions};

/// Arguments of `vltava produce`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo hello | vltava produce orders
  vltava produce orders --key-separator : < lines.txt          key before the first colon
  vltava produce orders --file events.json --compression zstd
  vltava produce prices -K = --null-value '' <<< 'gone='       a tombstone
  vltava produce orders --header source=shop --partition 3")]
pub struct ProduceArguments {
    /// Name of the topic
    topic: String,
    /// Read lines of this file instead of standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Text between key and value of a line; without it a line is a value
    #[arg(long, short = 'K', value_name = "TEXT")]
    key_separator: Option<String>,
    /// A value of exactly this text is null
    #[arg(long, value_name = "TEXT")]
    null_value: Option<String>,
    /// A header of every record; may be given several times
    #[arg(long = "header", short = 'H', value_name = "KEY=VALUE", value_parser = key_value)]
    headers: Vec<(String, String)>,
    /// The partition of every record; without it the key decides, as in Kafka's clients
    #[arg(long, short, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// How batches are compressed
    #[arg(long, short = 'z', value_enum, default_value_t = CodecName::None)]
    compression: CodecName,
    /// Who must have a batch before it counts: nobody, the leader, or all in-sync replicas
    #[arg(long, value_enum, default_value_t = Acks::All)]
    acks: Acks,
    /// Bytes of records, before compression, that are sent together
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(1..=BATCH_BYTES_MAX))]
    batch_bytes: u32,
    /// Milliseconds a record may wait for others
    #[arg(long, value_name = "MS", default_value_t = 20)]
    linger: u64,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// The largest batch that may be asked for; the broker's `message.max.bytes` still decides.
const BATCH_BYTES_MAX: i64 = 64 << 20;

/// A codec by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CodecName {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<CodecName> for Codec {
    fn from(name: CodecName) -> Self {
        match name {
            CodecName::None => Compression::None,
            CodecName::Gzip => Compression::Gzip,
            CodecName::Snappy => Compression::Snappy,
            CodecName::Lz4 => Compression::Lz4,
            CodecName::Zstd => Compression::Zstd,
        }
        .into()
    }
}

/// Who must have a batch before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Acks {
    /// Nobody
    #[value(name = "0", alias = "none")]
    None,
    /// The leader
    #[value(name = "1", alias = "leader")]
    Leader,
    /// All in-sync replicas
    #[value(name = "all", alias = "-1")]
    All,
}

/// Runs the command.
pub async fn run(arguments: ProduceArguments) -> Result<(), CliError> {
    let options = ProducerOptions {
        codec: arguments.compression.into(),
        acks: arguments.acks,
        batch_bytes: arguments.batch_bytes as usize,
        partition: arguments.partition,
        timeout_ms: arguments.cluster.timeout_ms(),
        headers: arguments.headers.clone(),
    };
    let mut lines = lines(arguments.file.clone())?;
    let mut producer = Producer::start(arguments.cluster.client(), &arguments.topic, options).await?;
    let watched = if arguments.file.is_none() && std::io::stdin().is_terminal() {
        eprintln!("One line is one record; end with Ctrl-D.");
        indicatif::ProgressBar::hidden()
    } else {
        output::counter("records")
    };
    let linger = Duration::from_millis(arguments.linger);
    loop {
        let line = match producer.oldest() {
            None => lines.recv().await,
            Some(oldest) => match timeout(linger.saturating_sub(oldest.elapsed()), lines.recv()).await {
                Ok(line) => line,
                Err(_) => {
                    producer.flush().await?;
                    continue;
                }
            },
        };
        let Some(line) = line else { break };
        let (key, value) = arguments.split(&line?)?;
        producer.add(key.as_deref(), value.as_deref()).await?;
        watched.inc(1);
    }
    producer.flush().await?;
    watched.finish_and_clear();
    report(&arguments, &producer)
}

/// Key and value of a record, either of which may be null.
type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

impl ProduceArguments {
    /// Key and value of a line.
    fn split(&self, line: &[u8]) -> Result<KeyAndValue, CliError> {
        let (key, value) = match &self.key_separator {
            None => (None, line),
            Some(separator) => {
                let at = find(line, separator.as_bytes()).ok_or_else(|| {
                    let shown =
                        String::from_utf8_lossy(line.get(..line.len().min(60)).unwrap_or(line)).into_owned();
                    CliError::Failed(format!("no {separator:?} in the line {shown:?}, so it has no key"))
                })?;
                let (key, rest) = line.split_at(at);
                (Some(key.to_vec()), rest.get(separator.len()..).unwrap_or(&[]))
            }
        };
        let null = self.null_value.as_deref().is_some_and(|null| null.as_bytes() == value);
        Ok((key, (!null).then(|| value.to_vec())))
    }
}

fn find(line: &[u8], text: &[u8]) -> Option<usize> {
    if text.is_empty() { None } else { line.windows(text.len()).position(|window| window == text) }
}

fn report(arguments: &ProduceArguments, producer: &Producer) -> Result<(), CliError> {
    if arguments.cluster.json {
        let partition = |(partition, first, last): (i32, i64, i64)| json!({ "partition": partition, "first_offset": first, "last_offset": last });
        let partitions: serde_json::Value = producer.written().map(partition).collect();
        return output::print_json(
            &json!({ "topic": arguments.topic, "records": producer.records(), "partitions": partitions }),
        );
    }
    let plural = if producer.records() == 1 { "record" } else { "records" };
    eprintln!("{} {plural} to {}", producer.records(), arguments.topic);
    Ok(())
}

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// How many lines are read ahead.
const LINES_AHEAD: usize = 1024;

/// Lines without their ends, read by a thread of their own since standard input cannot be waited for otherwise.
fn lines(file: Option<PathBuf>) -> Result<mpsc::Receiver<std::io::Result<Vec<u8>>>, CliError> {
    let input: Box<dyn Read + Send> = match file {
        Some(path) => Box::new(
            std::fs::File::open(&path)
                .map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))?,
        ),
        None => Box::new(std::io::stdin()),
    };
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    std::thread::spawn(move || {
        let mut input = BufReader::with_capacity(256 << 10, input);
        while let Some(line) = next_line(&mut input).transpose() {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    Ok(receiver)
}

fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() as u64 == LINE_BYTES_MAX {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a line is longer than 64 MiB"));
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let mut input: &[u8] = b"a\r\n\n b \nlast";
        let mut found = Vec::new();
        while let Some(line) = next_line(&mut input).unwrap() {
            found.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(found, ["a", "", " b ", "last"]);
    }

    #[test]
    fn a_separator_is_found_as_a_whole() {
        for (line, text, at) in [
            ("k:v", ":", Some(1)),
            ("k::v", "::", Some(1)),
            ("kv", ":", None),
            ("k", "", None),
            ("", ":", None),
        ] {
            assert_eq!(find(line.as_bytes(), text.as_bytes()), at, "{line:?} {text:?}");
        }
    }
}
