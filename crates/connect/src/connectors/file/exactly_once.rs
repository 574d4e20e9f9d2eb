//! A folder of files that each hold a range of offsets of a partition, and come into being whole.
//!
//! Records are collected in a temporary file per partition. A commit makes it last and renames it to
//! `TOPIC+PARTITION+FIRST-LAST.txt`; what is not committed is thrown away. A task that is given a partition reads on behind the
//! last offset that a name tells, whatever Kafka knows: so each record is in one file, also after a crash between the rename
//! and the commit in Kafka.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::sink::{add_line, sync, unwritable, write_whole};
use crate::connector::{Sink, SinkContext, TopicOffsets, TopicPartition};
use crate::error::ConnectError;
use crate::record::{Origin, Record};

/// How many files of a folder are looked at.
const FILES_MAX: usize = 1_000_000;

/// The task.
#[derive(Debug)]
pub(super) struct ChunkSink {
    folder: PathBuf,
    context: SinkContext,
    chunks: BTreeMap<TopicPartition, Chunk>,
    /// The offsets behind what the files hold.
    ends: TopicOffsets,
}

/// Records that no name tells yet.
#[derive(Debug)]
struct Chunk {
    file: File,
    temporary: PathBuf,
    first: i64,
    last: i64,
    /// Bytes of the file.
    length: u64,
    /// Lines that are to follow them.
    lines: Vec<u8>,
}

impl Chunk {
    fn write(&mut self) -> Result<(), ConnectError> {
        write_whole(&mut self.file, &self.temporary, self.length, &self.lines)?;
        self.length += self.lines.len() as u64;
        self.lines.clear();
        Ok(())
    }
}

impl ChunkSink {
    pub(super) fn new(folder: PathBuf, context: SinkContext) -> Self {
        Self { folder, context, chunks: BTreeMap::new(), ends: TopicOffsets::new() }
    }

    fn add(&mut self, record: &Record) -> Result<(), ConnectError> {
        let Origin::Topic(coordinates) = &record.origin else {
            return Err(ConnectError::failed("a record has no offset"));
        };
        let partition = TopicPartition { topic: coordinates.topic.clone(), partition: coordinates.partition };
        let offset = coordinates.offset;
        if self.ends.get(&partition).is_some_and(|end| offset < *end) {
            return Ok(());
        }
        if !self.chunks.contains_key(&partition) {
            let temporary = self.folder.join(format!(".{}+{}.new", partition.topic, partition.partition));
            let file = anew(&temporary).map_err(|error| unwritable(&temporary, error))?;
            let (first, last, length, lines) = (offset, offset - 1, 0, Vec::new());
            self.chunks.insert(partition.clone(), Chunk { file, temporary, first, last, length, lines });
        }
        let Some(chunk) = self.chunks.get_mut(&partition) else { return Ok(()) };
        if offset <= chunk.last {
            return Ok(());
        }
        add_line(&mut chunk.lines, record);
        chunk.last = offset;
        Ok(())
    }

    /// The offset behind the last file of each partition.
    fn found(&self, partitions: &[TopicPartition]) -> Result<TopicOffsets, ConnectError> {
        let unreadable = |error| {
            ConnectError::failed(format!("the folder {} cannot be read", self.folder.display()))
                .because(error)
        };
        let mut ends = TopicOffsets::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)?.take(FILES_MAX) {
            let name = entry.map_err(unreadable)?.file_name();
            let Some((partition, last)) = name.to_str().and_then(told) else { continue };
            if partitions.contains(&partition) {
                let end = ends.entry(partition).or_insert(0);
                *end = (*end).max(last + 1);
            }
        }
        Ok(ends)
    }
}

/// A new file in place of what was left: a task that was given up may still have that open, and write to it.
fn anew(path: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// The partition and the last offset that a name tells.
fn told(name: &str) -> Option<(TopicPartition, i64)> {
    let (rest, offsets) = name.strip_suffix(".txt")?.rsplit_once('+')?;
    let (topic, partition) = rest.rsplit_once('+')?;
    let (_, last) = offsets.split_once('-')?;
    let partition = TopicPartition { topic: topic.into(), partition: partition.parse().ok()? };
    Some((partition, last.parse().ok().filter(|last| *last < i64::MAX)?))
}

#[async_trait]
impl Sink for ChunkSink {
    async fn start(&mut self) -> Result<(), ConnectError> {
        if self.folder.is_dir() {
            return Ok(());
        }
        Err(ConnectError::failed(format!("the folder {} does not exist", self.folder.display())))
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        let ends = self.found(partitions)?;
        if !ends.is_empty() {
            self.context.seek(ends.clone());
        }
        self.ends.extend(ends);
        Ok(())
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), ConnectError> {
        records.iter().try_for_each(|record| self.add(record))?;
        // Lines that are not written now are when the same records come again, which are passed over then.
        self.chunks.values_mut().try_for_each(Chunk::write)
    }

    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        while let Some(mut entry) = self.chunks.first_entry() {
            entry.get_mut().write()?;
            let synchronised = sync(&entry.get().file, &entry.get().temporary).await;
            if synchronised.is_err() {
                // What a system has failed to write once it may forget: the chunk is made anew of what is not committed.
                entry.remove();
                return synchronised.map(|()| taken);
            }
            let (partition, Chunk { temporary, first, last, .. }) = (entry.key(), entry.get());
            let name = format!("{}+{}+{first:020}-{last:020}.txt", partition.topic, partition.partition);
            let path = self.folder.join(name);
            std::fs::rename(temporary, &path).map_err(|error| unwritable(&path, error))?;
            self.ends.insert(partition.clone(), last + 1);
            entry.remove();
        }
        let folder = File::open(&self.folder).map_err(|error| unwritable(&self.folder, error))?;
        sync(&folder, &self.folder).await?;
        Ok(taken)
    }

    async fn revoke(&mut self, partitions: &[TopicPartition], _lost: bool) {
        for partition in partitions {
            self.chunks.remove(partition);
            self.ends.remove(partition);
        }
    }

    async fn close(&mut self) {
        self.chunks.clear();
    }
}
