//! `vltava log dump`: what stands in the files of a log, Kafka's or ours, without a running broker.

mod decode;
mod segment;
mod sidecar;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::error::CliError;
use decode::Schema;

/// Commands of `vltava log`.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print batches, records, index entries, checkpoints and producer snapshots
    Dump(DumpArguments),
}

/// Arguments of `vltava log dump`.
#[derive(Debug, Args)]
#[command(after_help = "\
Takes segments (.log, and .checkpoint of the metadata log), indexes (.index, .timeindex, .txnindex), producer
snapshots (.snapshot), checkpoints, partition.metadata and meta.properties; of a folder, all of them. Records of
__consumer_offsets, __transaction_state, __share_group_state and __cluster_metadata are spelled out, told by the
folder's name. The exit code is 1 when something is broken.

Examples:
  vltava log dump data/orders-0
  vltava log dump data/orders-0/00000000000000000000.log --deep
  vltava log dump data/__cluster_metadata-0 --deep --json | jq .")]
pub struct DumpArguments {
    /// A file, or the folder of a partition
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Print every record, not only batches
    #[arg(long, short)]
    deep: bool,
    /// Print one JSON document a line
    #[arg(long)]
    json: bool,
}

/// Runs a command.
pub fn run(command: &LogCommand) -> Result<(), CliError> {
    match command {
        LogCommand::Dump(arguments) => dump(arguments),
    }
}

/// Where the dump goes, and whether something was broken.
struct Dump {
    out: BufWriter<io::Stdout>,
    json: bool,
    deep: bool,
    broken: u64,
}

impl Dump {
    /// Prints one thing: its document, or its line.
    fn put(
        &mut self,
        line: impl FnOnce() -> String,
        document: impl FnOnce() -> Value,
    ) -> Result<(), CliError> {
        if self.json {
            serde_json::to_writer(&mut self.out, &document()).map_err(io::Error::from)?;
        } else {
            self.out.write_all(line().as_bytes())?;
        }
        Ok(self.out.write_all(b"\n")?)
    }

    /// Prints text that is not part of the data; JSON leaves it out.
    fn title(&mut self, text: &str) -> Result<(), CliError> {
        if self.json { Ok(()) } else { Ok(writeln!(self.out, "{text}")?) }
    }

    /// Reports something broken, on standard error so that the data stay readable.
    fn broken(&mut self, path: &Path, problem: &dyn std::fmt::Display) {
        self.broken += 1;
        eprintln!("vltava: {}: {problem}", path.display());
    }
}

fn dump(arguments: &DumpArguments) -> Result<(), CliError> {
    let out = BufWriter::with_capacity(256 << 10, io::stdout());
    let mut dump = Dump { out, json: arguments.json, deep: arguments.deep, broken: 0 };
    for path in &arguments.paths {
        for file in files(path)? {
            dump_file(&mut dump, &file)?;
        }
    }
    dump.out.flush()?;
    match dump.broken {
        0 => Ok(()),
        1 => Err(CliError::Failed("1 thing is broken, see above".to_owned())),
        count => Err(CliError::Failed(format!("{count} things are broken, see above"))),
    }
}

/// The file itself, or the known files of a folder by name.
fn files(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error: io::Error| CliError::Failed(format!("{}: {error}", path.display()));
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if Kind::of(&file).is_some() && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let path = path.display();
        return Err(CliError::Failed(format!(
            "{path} holds no file of a log; give the folder of a partition, such as data/orders-0"
        )));
    }
    Ok(files)
}

/// What a file holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Segment,
    OffsetIndex,
    TimeIndex,
    TransactionIndex,
    ProducerSnapshot,
    Text,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let name =
            [".deleted", ".cleaned", ".swap"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "log" | "checkpoint" => Some(Self::Segment),
            "index" => Some(Self::OffsetIndex),
            "timeindex" => Some(Self::TimeIndex),
            "txnindex" => Some(Self::TransactionIndex),
            "snapshot" => Some(Self::ProducerSnapshot),
            _ if name.ends_with("-checkpoint") => Some(Self::Text),
            _ if matches!(name, "partition.metadata" | "meta.properties" | "quorum-state") => {
                Some(Self::Text)
            }
            _ => None,
        }
    }
}

fn dump_file(dump: &mut Dump, path: &Path) -> Result<(), CliError> {
    let Some(kind) = Kind::of(path) else {
        return Err(CliError::Failed(format!(
            "{} is no file of a log by its name; known are .log, .index, .timeindex, .txnindex, .snapshot and checkpoints",
            path.display()
        )));
    };
    dump.title(&format!("{}:", path.display()))?;
    match kind {
        Kind::Segment => segment::dump(dump, path, Schema::of(path)),
        Kind::OffsetIndex => sidecar::offset_index(dump, path),
        Kind::TimeIndex => sidecar::time_index(dump, path),
        Kind::TransactionIndex => sidecar::transaction_index(dump, path),
        Kind::ProducerSnapshot => sidecar::producer_snapshot(dump, path),
        Kind::Text => sidecar::text(dump, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_names() {
        for (name, kind) in [
            ("00000000000000000000.log", Some(Kind::Segment)),
            ("00000000000000000000.log.deleted", Some(Kind::Segment)),
            ("00000000000000000010-0000000001.checkpoint", Some(Kind::Segment)),
            ("00000000000000000000.timeindex", Some(Kind::TimeIndex)),
            ("leader-epoch-checkpoint", Some(Kind::Text)),
            ("partition.metadata", Some(Kind::Text)),
            (".lock", None),
            ("notes.txt", None),
        ] {
            assert_eq!(Kind::of(Path::new(name)), kind, "{name}");
        }
    }
}
