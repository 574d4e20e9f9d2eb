//! Whether records are written with schemas of the registry, where their topic asks for that.
//!
//! Why before the append and not in the partition: the registry is beside the partitions, not below them, and what takes time
//! must not hold the lock of a partition.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use tokio::task::spawn_blocking;
use vltava_connect::schema::registry::library::Library;
use vltava_connect::schema::registry::state::{Filter, State};
use vltava_connect::schema::subject::SubjectNameStrategy;
use vltava_connect::schema::wire::{Part, SchemaId};
use vltava_core::id::TopicPartition;
use vltava_core::record::{Batch, Record};

use crate::node::Node;

/// The most records of a batch that are told to be wrong.
const TOLD_MAX: usize = 100;

/// How much of a part of a record is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing.
    #[default]
    None,
    /// The schema it names is there.
    Id,
    /// And is one of the subject that belongs to the topic.
    Subject,
    /// And the bytes are what it says.
    Payload,
}

/// What a topic asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validation {
    pub(crate) key: Level,
    pub(crate) value: Level,
    pub(crate) strategy: SubjectNameStrategy,
}

const LEVELS: [(&str, Level); 4] =
    [("none", Level::None), ("id", Level::Id), ("subject", Level::Subject), ("payload", Level::Payload)];
const STRATEGIES: [SubjectNameStrategy; 3] =
    [SubjectNameStrategy::TopicName, SubjectNameStrategy::RecordName, SubjectNameStrategy::TopicRecordName];

impl Validation {
    /// From the texts of the settings, which were checked.
    pub(crate) fn of(key: &str, value: &str, strategy: &str) -> Validation {
        let level = |text: &str| {
            LEVELS.into_iter().find(|(name, _)| *name == text).map_or(Level::None, |(_, level)| level)
        };
        let strategy = SubjectNameStrategy::of_class(strategy).unwrap_or_default();
        Validation { key: level(key), value: level(value), strategy }
    }

    fn packed(self) -> u8 {
        let strategy = STRATEGIES.iter().position(|known| *known == self.strategy).unwrap_or(0);
        self.key as u8 | (self.value as u8) << 2 | u8::try_from(strategy).unwrap_or(0) << 4
    }

    fn unpacked(bits: u8) -> Validation {
        let level = |bits: u8| LEVELS.get(usize::from(bits & 3)).map_or(Level::None, |(_, level)| *level);
        let strategy = STRATEGIES.get(usize::from(bits >> 4)).copied().unwrap_or_default();
        Validation { key: level(bits), value: level(bits >> 2), strategy }
    }

    pub(crate) fn asks(self) -> bool {
        self.key > Level::None || self.value > Level::None
    }
}

/// What the topic of a partition asks for, as it changes.
#[derive(Debug, Default)]
pub(crate) struct Asked(AtomicU8);

impl Asked {
    pub(crate) fn set(&self, validation: Validation) {
        self.0.store(validation.packed(), Ordering::Relaxed);
    }

    /// `None` when nothing is asked for, as nearly always.
    pub(crate) fn get(&self) -> Option<Validation> {
        Some(Validation::unpacked(self.0.load(Ordering::Relaxed))).filter(|validation| validation.asks())
    }
}

/// A batch whose topic asks for schemas.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) partition: TopicPartition,
    pub(crate) validation: Validation,
    pub(crate) batch: Bytes,
}

/// Why batches are refused: which records, with a message each.
pub(crate) type Refusals = HashMap<TopicPartition, Vec<(i32, String)>>;

/// Checks batches. One that cannot be read is left to those who check batches.
pub(crate) async fn check(node: &Node, questions: Vec<Question>) -> Refusals {
    let state = match node.registry.state(node).await {
        Ok(state) => state,
        Err(error) => {
            let partitions = questions.into_iter().map(|question| question.partition);
            return refuse(partitions, &format!("the schema registry cannot be asked: {error}"));
        }
    };
    let library = node.registry.library.clone();
    let partitions: Vec<_> = questions.iter().map(|question| question.partition.clone()).collect();
    let checked = spawn_blocking(move || {
        let checker = Checker { state, library };
        let refusals = questions.iter().filter_map(|question| {
            let wrong = checker.batch(question);
            (!wrong.is_empty()).then(|| (question.partition.clone(), wrong))
        });
        refusals.collect()
    });
    checked
        .await
        .unwrap_or_else(|error| refuse(partitions, &format!("the schemas could not be checked: {error}")))
}

/// Refuses every batch: what cannot be checked is not taken.
fn refuse(partitions: impl IntoIterator<Item = TopicPartition>, why: &str) -> Refusals {
    partitions.into_iter().map(|partition| (partition, vec![(0, why.to_owned())])).collect()
}

struct Checker {
    state: Arc<State>,
    library: Arc<Library>,
}

impl Checker {
    fn batch(&self, question: &Question) -> Vec<(i32, String)> {
        let Ok(batch) = Batch::take(&mut question.batch.clone()) else { return Vec::new() };
        let Ok(records) = batch.records() else { return Vec::new() };
        let mut wrong = Vec::new();
        for (index, record) in (0..).zip(&records) {
            let Ok(record) = record else { break };
            if let Err(why) = self.record(question, &record) {
                wrong.push((index, why));
            }
            if wrong.len() >= TOLD_MAX {
                break;
            }
        }
        wrong
    }

    fn record(&self, question: &Question, record: &Record<'_>) -> Result<(), String> {
        let Validation { key, value, strategy } = question.validation;
        for (part, level, bytes) in [(Part::Key, key, record.key), (Part::Value, value, record.value)] {
            // What is null was written with no schema.
            if let Some(bytes) = bytes.filter(|_| level > Level::None) {
                let topic = &*question.partition.topic;
                self.part(topic, part, level, strategy, record, bytes)
                    .map_err(|why| format!("the {} of the record: {why}", part.word()))?;
            }
        }
        Ok(())
    }

    fn part(
        &self,
        topic: &str,
        part: Part,
        level: Level,
        strategy: SubjectNameStrategy,
        record: &Record<'_>,
        bytes: &[u8],
    ) -> Result<(), String> {
        let mut bytes = Bytes::copy_from_slice(bytes);
        let header = record.headers.iter().find(|header| header.key == part.header().as_bytes());
        let id = match header.and_then(|header| header.value) {
            Some(value) => SchemaId::take(&mut Bytes::copy_from_slice(value)),
            None => SchemaId::take(&mut bytes),
        };
        let id = id.map_err(|error| format!("it names no schema: {error}"))?;
        let found = match id {
            SchemaId::Id(id) => self.state.by_id(id, None),
            SchemaId::Guid(guid) => {
                let ids = self.state.ids_of(guid);
                ids.first().and_then(|(context, id)| self.state.by_id(*id, Some(&format!(":{context}:"))))
            }
        };
        let shown = || match id {
            SchemaId::Id(id) => id.to_string(),
            SchemaId::Guid(guid) => guid.to_string(),
        };
        let (owner, version) =
            found.ok_or_else(|| format!("schema {} is not in the registry; register it first", shown()))?;
        if level < Level::Subject {
            return Ok(());
        }
        let schema = self
            .library
            .read_version(&self.state, owner, version)
            .map_err(|error| format!("schema {} cannot be read: {error}", shown()))?;
        let subject =
            strategy.subject(topic, part, schema.record_name()).map_err(|error| error.to_string())?;
        let versions = self.state.versions(&subject);
        let belongs = versions
            .is_some_and(|versions| versions.filtered(Filter::All).any(|own| own.content == version.content));
        if !belongs {
            return Err(format!(
                "schema {} is none of subject '{subject}'; register it there first",
                shown()
            ));
        }
        if level < Level::Payload {
            return Ok(());
        }
        let decoded = schema.decode(&*schema, bytes).map(drop);
        decoded.map_err(|error| {
            format!("it is not what schema {} of subject '{subject}' says: {error}", shown())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_topic_asks_for_fits_into_a_byte() {
        for (key, _) in LEVELS {
            for (value, _) in LEVELS {
                for class in ["TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy"] {
                    let validation = Validation::of(key, value, class);
                    assert_eq!(
                        Validation::unpacked(validation.packed()),
                        validation,
                        "{key} {value} {class}"
                    );
                }
            }
        }
    }
}
