//! Floors: the barest servers that could stand in the place of a broker.
//!
//! A floor does what cannot be avoided (receive, checksum, append to the page cache, answer; or send from it) and nothing
//! else: no offsets, no index, no errors, no second client. It speaks the same bytes as a broker, so the same load
//! generator drives it, in the same minute and on the same machine. What a broker costs is told as a ratio to it.

mod append;
mod relay;

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::Context;

use super::wire::BATCH_HEAD;

/// Which floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Floor {
    /// One write to the log for each request.
    Each,
    /// One write to the log for all requests that one read has brought.
    Grouped,
    /// A tokio task for each connection; what is produced is handed to the task that waits to fetch it.
    Relay,
}

/// The hidden task that runs one floor as a process of its own, until its standard input ends.
#[derive(clap::Args)]
pub struct Arguments {
    #[arg(value_enum)]
    floor: Floor,
    /// Where the log goes.
    folder: PathBuf,
}

/// Binds a port, prints it, and serves.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    std::thread::spawn(|| {
        // Its parent is gone, or wants it to go.
        let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0)
    });
    match arguments.floor {
        Floor::Each => append::serve(&listener, &arguments.folder, false),
        Floor::Grouped => append::serve(&listener, &arguments.folder, true),
        Floor::Relay => relay::serve(listener, &arguments.folder),
    }
}

/// A request, as far as a floor looks into it.
#[derive(Debug)]
struct Request<'a> {
    correlation: [u8; 4],
    kind: Kind<'a>,
}

#[derive(Debug)]
enum Kind<'a> {
    Produce { topic: &'a [u8], partition: [u8; 4], batch: &'a [u8] },
    Fetch { topic: &'a [u8], offset: i64, bytes_max: usize },
    Commit { topic: &'a [u8], partition: [u8; 4], entry: &'a [u8] },
    Other,
}

impl<'a> Request<'a> {
    /// Reads a whole request, without its length.
    fn read(frame: &'a [u8]) -> anyhow::Result<Request<'a>> {
        let mut reader = Front(frame);
        let api = reader.array::<2>()?;
        reader.take(2)?;
        let correlation = reader.array()?;
        reader.text()?;
        let kind = match i16::from_be_bytes(api) {
            0 => {
                reader.take(2 + 2 + 4 + 4)?;
                let topic = reader.text()?;
                reader.take(4)?;
                let partition = reader.array()?;
                reader.take(4)?;
                Kind::Produce { topic, partition, batch: reader.0 }
            }
            1 => {
                reader.take(4 + 4 + 4 + 4 + 1 + 4 + 4 + 4)?;
                let topic = reader.text()?;
                reader.take(4 + 4 + 4)?;
                let offset = i64::from_be_bytes(reader.array()?);
                reader.take(8)?;
                let bytes_max = usize::try_from(i32::from_be_bytes(reader.array()?))?;
                Kind::Fetch { topic, offset, bytes_max }
            }
            8 => {
                let entry = reader.0;
                reader.text()?;
                reader.take(4)?;
                reader.text()?;
                reader.take(4)?;
                let topic = reader.text()?;
                reader.take(4)?;
                Kind::Commit { topic, partition: reader.array()?, entry }
            }
            _ => Kind::Other,
        };
        Ok(Request { correlation, kind })
    }
}

struct Front<'a>(&'a [u8]);

impl<'a> Front<'a> {
    fn take(&mut self, count: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("a request ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn text(&mut self) -> anyhow::Result<&'a [u8]> {
        let length = i16::from_be_bytes(self.array()?);
        self.take(usize::try_from(length)?)
    }
}

/// How many records a batch has.
fn records(batch: &[u8]) -> anyhow::Result<usize> {
    let count = batch.get(BATCH_HEAD - 4..).and_then(<[u8]>::first_chunk).context("a short batch")?;
    Ok(usize::try_from(i32::from_be_bytes(*count))?.max(1))
}

/// The answer to a Produce request of version 7.
fn produced(answers: &mut Vec<u8>, correlation: [u8; 4], topic: &[u8], partition: [u8; 4]) {
    let length = 4 + 4 + 2 + topic.len() + 4 + 4 + 2 + 8 + 8 + 8 + 4;
    answers.extend_from_slice(&(length as u32).to_be_bytes());
    answers.extend_from_slice(&correlation);
    answers.extend_from_slice(&1_u32.to_be_bytes());
    answers.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    answers.extend_from_slice(topic);
    answers.extend_from_slice(&1_u32.to_be_bytes());
    answers.extend_from_slice(&partition);
    answers.extend_from_slice(&[0; 2 + 8 + 8 + 8 + 4]);
}

/// The answer to a Fetch request of version 11, up to the `bytes` of records that follow.
fn fetched(answers: &mut Vec<u8>, correlation: [u8; 4], topic: &[u8], bytes: usize) {
    let length = 4 + 4 + 2 + 4 + 4 + 2 + topic.len() + 4 + 4 + 2 + 8 + 8 + 8 + 4 + 4 + 4 + bytes;
    answers.extend_from_slice(&(length as u32).to_be_bytes());
    answers.extend_from_slice(&correlation);
    answers.extend_from_slice(&[0; 4 + 2 + 4]);
    answers.extend_from_slice(&1_u32.to_be_bytes());
    answers.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    answers.extend_from_slice(topic);
    answers.extend_from_slice(&1_u32.to_be_bytes());
    answers.extend_from_slice(&[0; 4 + 2 + 8 + 8 + 8 + 4 + 4]);
    answers.extend_from_slice(&(bytes as u32).to_be_bytes());
}

/// The answer to an OffsetCommit request of version 6 and one partition.
fn committed(answers: &mut Vec<u8>, correlation: [u8; 4], topic: &[u8], partition: [u8; 4]) {
    let length = 4 + 4 + 4 + 2 + topic.len() + 4 + 4 + 2;
    answers.extend_from_slice(&(length as u32).to_be_bytes());
    answers.extend_from_slice(&correlation);
    answers.extend_from_slice(&0_u32.to_be_bytes());
    answers.extend_from_slice(&1_u32.to_be_bytes());
    answers.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    answers.extend_from_slice(topic);
    answers.extend_from_slice(&1_u32.to_be_bytes());
    answers.extend_from_slice(&partition);
    answers.extend_from_slice(&0_u16.to_be_bytes());
}

/// The answer to everything else; it tells a client that the server is up.
fn acknowledged(answers: &mut Vec<u8>, correlation: [u8; 4]) {
    answers.extend_from_slice(&10_u32.to_be_bytes());
    answers.extend_from_slice(&correlation);
    answers.extend_from_slice(&[0; 6]);
}
