//! Offsets of connectors, as an operator sees, sets and resets them (KIP-875).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::herder::Command;
use super::sink_task::group;
use super::tables::Target;
use super::{Worker, WorkerError, not_found};
use crate::connector::{Altered, TopicPartition};
use crate::plugins::Implementation;
use crate::record::SourceMap;
use crate::settings::Config;
use crate::topics::{TopicsError, TopicsErrorKind};

/// The partition and the offset of an entry of a request.
type Entry = (SourceMap, Option<SourceMap>);

impl Worker {
    /// The offsets of a connector, as the API has them.
    ///
    /// # Errors
    /// When the connector is not there, or the cluster cannot be asked.
    pub async fn offsets(&self, name: &str) -> Result<Value, WorkerError> {
        let config = self.config(name)?;
        let offsets: Vec<Value> = match &self.shared.plugin(&config)?.implementation {
            Implementation::Source(_) => {
                let table = self.shared.offsets.read();
                let entry = |stored: &super::tables::StoredOffset| json!({ "partition": stored.partition, "offset": stored.offset });
                table.offsets(name).map(entry).collect()
            }
            _ => {
                let offsets = self.shared.topics.group_offsets(&group(name, &config)).await?;
                let entry = |(place, offset): (TopicPartition, i64)| {
                    let partition =
                        json!({ "kafka_partition": place.partition, "kafka_topic": &*place.topic });
                    json!({ "partition": partition, "offset": { "kafka_offset": offset } })
                };
                offsets.into_iter().map(entry).collect()
            }
        };
        Ok(json!({ "offsets": offsets }))
    }

    /// Sets offsets; a null offset removes one. Tells how it went.
    ///
    /// # Errors
    /// When the connector is not stopped, or the offsets are refused.
    pub async fn alter_offsets(&self, name: &str, request: &Value) -> Result<String, WorkerError> {
        self.shared.lead().await?;
        let config = self.config(name)?;
        let entries = entries(request)?;
        if entries.is_empty() {
            let message = "Partitions / offsets need to be provided for an alter offsets request";
            return Err(WorkerError::BadRequest(message.to_owned()));
        }
        let altered = self.alter(name, &config, entries).await?;
        Ok(told(altered, "altered"))
    }

    /// Removes all offsets. Tells how it went.
    ///
    /// # Errors
    /// When the connector is not stopped, or refuses.
    pub async fn reset_offsets(&self, name: &str) -> Result<String, WorkerError> {
        self.shared.lead().await?;
        let config = self.config(name)?;
        let altered = match &self.shared.plugin(&config)?.implementation {
            Implementation::Source(_) => {
                let all = self
                    .shared
                    .offsets
                    .read()
                    .offsets(name)
                    .map(|stored| (stored.partition.clone(), None))
                    .collect();
                self.alter(name, &config, all).await?
            }
            Implementation::Sink(sink) => {
                let _changing = self.shared.changes.lock().await;
                self.at_rest(name).await?;
                let group = group(name, &config);
                let offsets = self.shared.topics.group_offsets(&group).await?;
                let none = offsets.into_keys().map(|place| (place, None)).collect();
                let altered = sink.alter_offsets(&sink.settings().values(&config)?, &none).await?;
                self.shared.topics.delete_group(&group).await.map_err(|error| in_use(name, error))?;
                altered
            }
            _ => return Err(not_found(name)),
        };
        Ok(told(altered, "reset"))
    }

    fn config(&self, name: &str) -> Result<Config, WorkerError> {
        self.shared.configs.read().connector(name).cloned().ok_or_else(|| not_found(name))
    }

    async fn alter(&self, name: &str, config: &Config, entries: Vec<Entry>) -> Result<Altered, WorkerError> {
        let _changing = self.shared.changes.lock().await;
        self.at_rest(name).await?;
        match &self.shared.plugin(config)?.implementation {
            Implementation::Source(source) => {
                let values = source.settings().values(config)?;
                let altered = source.alter_offsets(&values, &entries).await?;
                let records = {
                    let table = self.shared.offsets.read();
                    let record = |(partition, offset): &Entry| table.record(name, partition, offset.as_ref());
                    entries.iter().map(record).collect()
                };
                self.shared.offsets.write(records).await?;
                Ok(altered)
            }
            Implementation::Sink(sink) => {
                let offsets = entries.iter().map(sink_entry).collect::<Result<BTreeMap<_, _>, _>>()?;
                let altered = sink.alter_offsets(&sink.settings().values(config)?, &offsets).await?;
                let group = group(name, config);
                let altering = self.shared.topics.alter_group_offsets(&group, &offsets);
                altering.await.map_err(|error| in_use(name, error))?;
                Ok(altered)
            }
            _ => Err(not_found(name)),
        }
    }

    /// Whether the connector is stopped, with all its tasks at rest; waits for those that are about to end.
    async fn at_rest(&self, name: &str) -> Result<(), WorkerError> {
        if self.shared.configs.read().target(name) != Target::Stopped {
            return Err(WorkerError::BadRequest(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
                 specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        let (done, rested) = oneshot::channel();
        let asked = self.commands.send(Command::Rest { name: name.to_owned(), done }).await;
        if asked.is_ok() && rested.await.is_ok() {
            return Ok(());
        }
        Err(WorkerError::Conflict(format!("The tasks of connector {name} have not ended yet")))
    }
}

fn told(altered: Altered, verb: &str) -> String {
    match altered {
        Altered::Supported => format!("The offsets for this connector have been {verb} successfully"),
        Altered::Unknown => format!(
            "The Connect framework-managed offsets for this connector have been {verb} successfully. However, if this \
             connector manages offsets externally, they will need to be manually {verb} in the system that the \
             connector uses."
        ),
    }
}

fn in_use(name: &str, error: TopicsError) -> WorkerError {
    if error.kind != TopicsErrorKind::GroupInUse {
        return error.into();
    }
    WorkerError::Conflict(format!(
        "Failed to change consumer group offsets for connector {name}: the group has members, which may be tasks \
         that have not ended yet, or consumers that do not belong to it. {}",
        error.message
    ))
}

fn entries(request: &Value) -> Result<Vec<Entry>, WorkerError> {
    let wrong = |what: &str| WorkerError::BadRequest(format!("{what} must be a JSON object"));
    let list = request.get("offsets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let entry = |entry: &Value| {
        let partition =
            entry.get("partition").and_then(Value::as_object).ok_or_else(|| wrong("A partition"))?;
        let offset = match entry.get("offset") {
            None | Some(Value::Null) => None,
            Some(offset) => Some(offset.as_object().ok_or_else(|| wrong("An offset"))?.clone()),
        };
        Ok((partition.clone(), offset))
    };
    list.iter().map(entry).collect()
}

fn sink_entry((partition, offset): &Entry) -> Result<(TopicPartition, Option<i64>), WorkerError> {
    let bad = |message: String| WorkerError::BadRequest(message);
    let (Some(topic), Some(number)) = (text(partition, "kafka_topic"), text(partition, "kafka_partition"))
    else {
        let message = "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'";
        return Err(bad(message.to_owned()));
    };
    let partition = number.parse::<i32>().ok().filter(|number| *number >= 0).ok_or_else(|| {
        bad(format!(
            "Failed to parse the following Kafka partition value in the provided offsets: '{number}'. Partition \
             values for sink connectors need to be integers."
        ))
    })?;
    let offset = match offset {
        None => None,
        Some(offset) => {
            let Some(number) = text(offset, "kafka_offset") else {
                let message =
                    "The offset for a sink connector should either be null or contain the key 'kafka_offset'";
                return Err(bad(message.to_owned()));
            };
            Some(number.parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(|| {
                bad(format!(
                    "Failed to parse the following Kafka offset value in the provided offsets: '{number}'. Offset \
                     values for sink connectors need to be integers."
                ))
            })?)
        }
    };
    Ok((TopicPartition { topic: topic.into(), partition }, offset))
}

/// A text or a number, as text.
fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}
