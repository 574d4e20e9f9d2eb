//! Records of internal topics, spelled out.

use std::fmt::Debug;
use std::path::Path;

use bytes::Bytes;
use vltava_coordinator::generated::group::{GroupRecordKey, GroupRecordValue};
use vltava_coordinator::generated::metadata::MetadataRecord;
use vltava_coordinator::generated::share::{ShareStateRecordKey, ShareStateRecordValue};
use vltava_coordinator::generated::transaction::{TransactionRecordKey, TransactionRecordValue};
use vltava_core::record::Record;
use vltava_core::wire::WireError;

/// Which internal topic's records these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// `__consumer_offsets`
    Groups,
    /// `__transaction_state`
    Transactions,
    /// `__share_group_state`
    ShareState,
    /// `__cluster_metadata`
    Metadata,
}

impl Schema {
    /// The schema of a segment, by the name of its folder.
    pub fn of(path: &Path) -> Option<Self> {
        let file = path.canonicalize().ok()?;
        let (topic, _) = file.parent()?.file_name()?.to_str()?.rsplit_once('-')?;
        match topic {
            "__consumer_offsets" => Some(Self::Groups),
            "__transaction_state" => Some(Self::Transactions),
            "__share_group_state" => Some(Self::ShareState),
            "__cluster_metadata" => Some(Self::Metadata),
            _ => None,
        }
    }

    /// Key and value as text; `None` when the bytes are of no known schema, so that they are shown as they are.
    pub fn spell(self, record: &Record<'_>) -> Option<(String, String)> {
        let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        let (key, value) = (bytes(record.key), bytes(record.value));
        match self {
            Self::Metadata => Some((String::new(), spelled(&MetadataRecord::decode(value?).ok()?.0))),
            Self::Groups => {
                let key = GroupRecordKey::decode(key?).ok()?;
                Some((
                    spelled(&key),
                    with(value, |value| GroupRecordValue::decode(key.record_type(), value))?,
                ))
            }
            Self::Transactions => {
                let key = TransactionRecordKey::decode(key?).ok()?;
                Some((
                    spelled(&key),
                    with(value, |value| TransactionRecordValue::decode(key.record_type(), value))?,
                ))
            }
            Self::ShareState => {
                let key = ShareStateRecordKey::decode(key?).ok()?;
                Some((
                    spelled(&key),
                    with(value, |value| ShareStateRecordValue::decode(key.record_type(), value))?,
                ))
            }
        }
    }
}

/// A value as text: `deleted` for a tombstone.
fn with<T: Debug>(
    value: Option<Bytes>,
    decode: impl Fn(Bytes) -> Result<(T, i16), WireError>,
) -> Option<String> {
    match value {
        None => Some("deleted".to_owned()),
        Some(value) => decode(value).ok().map(|(value, _)| spelled(&value)),
    }
}

/// The debug form without the type that stands in it twice: `Topic(TopicRecord { … })` is `Topic { … }`.
fn spelled(record: &impl Debug) -> String {
    let text = format!("{record:?}");
    let short = text.split_once('(').and_then(|(name, rest)| {
        let (_, fields) = rest.strip_suffix(')')?.split_once(' ')?;
        Some(format!("{name} {fields}"))
    });
    short.unwrap_or(text)
}
