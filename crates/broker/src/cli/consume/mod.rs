//! `vltava consume`: records as they come, from partitions of one's choice or as a member of a group.

mod consumer_protocol;
mod fetcher;
mod format;
mod membership;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;
use vltava_core::id::{Offset, PartitionIndex, Timestamp};

use super::arguments::ClusterArguments;
use super::error::CliError;
use super::group::Target;
use super::offsets::{self, EARLIEST, LATEST, TopicPartition};
use super::output;
use super::time;
use crate::net::client::{Client, ClientError};
use fetcher::{Fetched, Fetcher};
use format::Format;
use membership::{GroupProtocol, Membership, Step};

pub use format::document as record_document;

/// Arguments of `vltava consume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --group the partitions are read from --from, which is the end unless given. With --group they are shared
with the other members, and read from where the group left off. A member of the classic protocol offers the assignor
range, and joins no group whose other members know only others; in the consumer protocol the broker assigns.

--format takes %t topic, %p partition, %o offset, %T timestamp, %k key, %v value, %h headers, %K and %V for their
lengths, %% for a percent sign, \\n and \\t.

Examples:
  vltava consume orders
  vltava consume orders --from beginning --exit
  vltava consume orders --from -10 --partition 0
  vltava consume orders --from 2h --max-messages 100 --json
  vltava consume orders --group billing
  vltava consume orders --group billing --group-protocol consumer
  vltava consume orders --from beginning --format '%p:%o %k=%v\\n'")]
pub struct ConsumeArguments {
    /// Name of the topic
    topic: String,
    /// Only these partitions
    #[arg(long, short, value_delimiter = ',', conflicts_with = "group")]
    partition: Vec<i32>,
    /// beginning, end, an offset, -N for the last N of each partition, a time (2024-05-01T00:00:00Z, @milliseconds) or how long ago (10m, 2h, 3d)
    #[arg(long, short = 'o', allow_hyphen_values = true, value_name = "WHERE")]
    from: Option<String>,
    /// Stop after this many records
    #[arg(long, short = 'n', value_name = "COUNT")]
    max_messages: Option<u64>,
    /// Stop at the end the partitions have now
    #[arg(long, short)]
    exit: bool,
    /// Read as a member of this group and commit what was printed
    #[arg(long, short)]
    group: Option<String>,
    /// How the members of the group come to share partitions
    #[arg(long, value_enum, default_value = "classic", requires = "group", value_name = "PROTOCOL")]
    group_protocol: GroupProtocol,
    /// Leave out records of transactions that are open or were aborted
    #[arg(long)]
    read_committed: bool,
    /// Print key, a tab and value
    #[arg(long, short = 'k')]
    key: bool,
    /// How a record is printed
    #[arg(long, short = 'f', conflicts_with = "key")]
    format: Option<String>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// How long a fetch may wait for records.
const WAIT: Duration = Duration::from_millis(500);

/// Runs the command.
pub async fn run(arguments: ConsumeArguments) -> Result<(), CliError> {
    let mut printer = Printer::new(&arguments)?;
    let outcome = match &arguments.group {
        Some(group) => as_member(&arguments, group, &mut printer).await,
        None => alone(&arguments, &mut printer).await,
    };
    printer.finish(outcome)
}

/// Prints records and counts them.
struct Printer {
    format: Format,
    out: std::io::BufWriter<std::io::Stdout>,
    printed: u64,
    limit: u64,
    bar: indicatif::ProgressBar,
}

impl Printer {
    fn new(arguments: &ConsumeArguments) -> Result<Self, CliError> {
        let format = match (&arguments.format, arguments.cluster.json, arguments.key) {
            (Some(_), true, _) => {
                return Err(CliError::Usage("choose one of --format and --json".to_owned()));
            }
            (Some(text), false, _) => {
                Format::parse(text).map_err(|problem| CliError::Usage(format!("--format: {problem}")))?
            }
            (None, true, _) => Format::Json,
            (None, false, true) => Format::key_and_value(),
            (None, false, false) => Format::value(),
        };
        // A running count helps only when the records themselves are not on the same screen.
        let to_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let bar = if to_terminal { indicatif::ProgressBar::hidden() } else { output::counter("records") };
        let out = std::io::BufWriter::with_capacity(256 << 10, std::io::stdout());
        Ok(Self { format, out, printed: 0, limit: arguments.max_messages.unwrap_or(u64::MAX), bar })
    }

    fn is_full(&self) -> bool {
        self.printed >= self.limit
    }

    /// Prints what was fetched, up to the limit, and tells the fetcher how far that is.
    fn print(&mut self, fetched: &[Fetched], fetcher: &mut Fetcher) -> Result<(), CliError> {
        for fetched in fetched {
            if self.is_full() {
                break;
            }
            let before = self.printed;
            let (format, out, room) = (&self.format, &mut self.out, self.limit - self.printed);
            let mut printed = 0;
            let next = fetched.each(|key, record| {
                if printed == room {
                    return Ok(false);
                }
                format.write(out, &key.0, key.1, record)?;
                printed += 1;
                Ok(true)
            })?;
            self.printed = before + printed;
            self.bar.inc(printed);
            fetcher.advance(&fetched.partition, next);
        }
        Ok(self.out.flush()?)
    }

    fn finish(&mut self, outcome: Result<(), CliError>) -> Result<(), CliError> {
        self.bar.finish_and_clear();
        self.out.flush()?;
        outcome
    }
}

/// Completes when the process is told to stop.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn alone(arguments: &ConsumeArguments, printer: &mut Printer) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let partitions = partitions(&mut client, &arguments.topic, &arguments.partition).await?;
    let target = target(arguments, Target::Latest)?;
    let bounds = Bounds::of(&mut client, &partitions, arguments.read_committed).await?;
    let positions = bounds.positions(&mut client, target, &BTreeMap::new()).await?;
    let ends = arguments.exit.then_some(bounds.ends);
    let mut fetcher = Fetcher::new(client, positions, arguments.read_committed);
    let stop = told_to_stop();
    tokio::pin!(stop);
    while !printer.is_full() && !reached(&fetcher, ends.as_ref()) {
        tokio::select! {
            fetched = fetcher.poll(WAIT) => printer.print(&fetched?, &mut fetcher)?,
            () = &mut stop => break,
        }
    }
    Ok(())
}

fn reached(fetcher: &Fetcher, ends: Option<&BTreeMap<TopicPartition, Offset>>) -> bool {
    ends.is_some_and(|ends| {
        fetcher.positions().iter().all(|(key, position)| ends.get(key).is_none_or(|end| position >= end))
    })
}

fn target(arguments: &ConsumeArguments, default: Target) -> Result<Target, CliError> {
    let parse = |text: &String| {
        Target::parse(text, time::now()).map_err(|problem| CliError::Usage(format!("--from: {problem}")))
    };
    arguments.from.as_ref().map(parse).transpose().map(|target| target.unwrap_or(default))
}

/// The partitions of a topic, or those of them that are wanted.
async fn partitions(
    client: &mut Client,
    topic: &str,
    wanted: &[i32],
) -> Result<BTreeSet<TopicPartition>, CliError> {
    let answer = client.metadata(Some(&[topic.to_owned()])).await?;
    let found = answer.topics.first();
    ClientError::check(found.map_or(0, |topic| topic.error_code), None).map_err(|error| {
        CliError::Failed(format!("{topic}: {error}\nList the topics with: vltava topic list"))
    })?;
    let all: BTreeSet<i32> =
        found.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.partition_index).collect();
    if let Some(missing) = wanted.iter().find(|partition| !all.contains(partition)) {
        return Err(CliError::Usage(format!(
            "--partition {missing}: {topic} has partitions 0 to {}",
            all.len().saturating_sub(1)
        )));
    }
    let chosen = all.into_iter().filter(|partition| wanted.is_empty() || wanted.contains(partition));
    Ok(chosen.map(|partition| (topic.to_owned(), PartitionIndex(partition))).collect())
}

/// Where partitions begin and end.
struct Bounds {
    starts: BTreeMap<TopicPartition, Offset>,
    ends: BTreeMap<TopicPartition, Offset>,
}

impl Bounds {
    async fn of(
        client: &mut Client,
        partitions: &BTreeSet<TopicPartition>,
        read_committed: bool,
    ) -> Result<Self, CliError> {
        let at =
            |when: Timestamp| partitions.iter().map(|key| (key.clone(), when)).collect::<BTreeMap<_, _>>();
        let starts = offsets::list(client, &at(EARLIEST), false).await?;
        let ends = offsets::list(client, &at(LATEST), read_committed).await?;
        Ok(Self { starts, ends })
    }

    /// Where to begin: where `committed` says, else where `target` says. `-N` counts from the end.
    async fn positions(
        &self,
        client: &mut Client,
        target: Target,
        committed: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, CliError> {
        let times = match target {
            Target::Time(when) => {
                let wanted = self.starts.keys().map(|key| (key.clone(), when)).collect();
                offsets::list(client, &wanted, false).await?
            }
            _ => BTreeMap::new(),
        };
        let position = |(key, start): (&TopicPartition, &Offset)| {
            let end = self.ends.get(key).copied().unwrap_or(*start);
            let resolved = target.resolve(None, *start, end, times.get(key).copied());
            let known = committed.get(key).map(|offset| (*offset).max(*start));
            (key.clone(), known.unwrap_or(resolved))
        };
        Ok(self.starts.iter().map(position).collect())
    }
}

async fn as_member(arguments: &ConsumeArguments, group: &str, printer: &mut Printer) -> Result<(), CliError> {
    let patient = arguments.cluster.deadline() + membership::REBALANCE_TIMEOUT;
    let client = arguments.cluster.client_with_deadline(patient);
    let mut membership = Membership::new(client, group, &arguments.topic, arguments.group_protocol);
    let stop = told_to_stop();
    tokio::pin!(stop);
    let outcome = loop {
        let assigned = tokio::select! {
            assigned = membership.join() => assigned?,
            () = &mut stop => break Ok(()),
        };
        tokio::select! {
            done = read_generation(arguments, &assigned, &mut membership, printer) => match done {
                Ok(true) => break Ok(()),
                Ok(false) => {}
                Err(error) => break Err(error),
            },
            () = &mut stop => break Ok(()),
        }
    };
    membership.leave().await;
    outcome
}

/// Reads what was assigned until the group changes (false) or there is nothing left to do (true).
async fn read_generation(
    arguments: &ConsumeArguments,
    assigned: &BTreeSet<TopicPartition>,
    membership: &mut Membership,
    printer: &mut Printer,
) -> Result<bool, CliError> {
    let mut client = arguments.cluster.client();
    let committed = membership.committed(assigned).await?;
    let bounds = Bounds::of(&mut client, assigned, arguments.read_committed).await?;
    let positions = bounds.positions(&mut client, target(arguments, Target::Latest)?, &committed).await?;
    let ends = arguments.exit.then_some(bounds.ends);
    let mut fetcher = Fetcher::new(client, positions, arguments.read_committed);
    let mut committed_at = Instant::now();
    loop {
        let fetched = fetcher.poll(WAIT).await?;
        let some = !fetched.is_empty();
        printer.print(&fetched, &mut fetcher)?;
        membership.remember(fetcher.positions());
        let done = printer.is_full() || reached(&fetcher, ends.as_ref());
        let due = some && committed_at.elapsed() > membership::COMMIT_INTERVAL;
        if done || due {
            membership.commit(fetcher.positions()).await?;
            committed_at = Instant::now();
        }
        if done {
            return Ok(true);
        }
        if membership.heartbeat().await? == Step::Rejoin {
            // A commit of a generation that is over may be refused; the records then come again, as at-least-once allows.
            if let Err(error) = membership.commit(fetcher.positions()).await {
                eprintln!("vltava: offsets could not be committed before the group changed: {error}");
            }
            return Ok(false);
        }
    }
}
