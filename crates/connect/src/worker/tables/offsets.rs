//! The table of `offset.storage.topic`: how far sources are.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::TableState;
use crate::record::SourceMap;

/// The offset of a partition of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredOffset {
    /// The key of its record, byte for byte: whoever wrote it first may order the fields in another way than we do.
    pub key: String,
    /// The partition.
    pub partition: SourceMap,
    /// The offset.
    pub offset: SourceMap,
}

/// Offsets by connector and partition.
#[derive(Debug, Default)]
pub struct OffsetState {
    connectors: BTreeMap<String, BTreeMap<String, StoredOffset>>,
}

impl OffsetState {
    /// The offset of a partition.
    pub fn offset(&self, connector: &str, partition: &SourceMap) -> Option<&StoredOffset> {
        self.connectors.get(connector)?.get(&canonical(partition))
    }

    /// All offsets of a connector.
    pub fn offsets(&self, connector: &str) -> impl Iterator<Item = &StoredOffset> {
        self.connectors.get(connector).into_iter().flat_map(BTreeMap::values)
    }

    /// The record of an offset; `None` removes it.
    pub fn record(
        &self,
        connector: &str,
        partition: &SourceMap,
        offset: Option<&SourceMap>,
    ) -> (String, Option<Bytes>) {
        let known = self.offset(connector, partition).map(|stored| stored.key.clone());
        let key = known.unwrap_or_else(|| {
            Value::Array(vec![connector.into(), Value::Object(partition.clone())]).to_string()
        });
        (key, offset.and_then(|offset| serde_json::to_vec(offset).ok()).map(Bytes::from))
    }
}

/// The same text for the same partition, whatever the order of its fields.
fn canonical(partition: &SourceMap) -> String {
    let sorted: BTreeMap<&String, &Value> = partition.iter().collect();
    serde_json::to_string(&sorted).unwrap_or_default()
}

impl TableState for OffsetState {
    fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        let Ok((connector, partition)) = serde_json::from_str::<(String, SourceMap)>(key) else { return };
        let offsets = self.connectors.entry(connector).or_default();
        let offset: Option<SourceMap> = value.and_then(|value| serde_json::from_slice(value).ok());
        let place = canonical(&partition);
        match offset {
            Some(offset) => {
                drop(offsets.insert(place, StoredOffset { key: key.to_owned(), partition, offset }));
            }
            None => drop(offsets.remove(&place)),
        }
    }
}
