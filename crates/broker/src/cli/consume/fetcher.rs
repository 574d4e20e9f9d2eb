//! Reads partitions from their leaders, batch by batch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::sleep;
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, Offset, PartitionIndex};
use vltava_core::record::{Batch, EndTransactionMarker, Record, Records, TransactionResult};
use vltava_protocol::fetch_request::{FetchPartition, FetchTopic};
use vltava_protocol::fetch_response::{AbortedTransaction, PartitionData};
use vltava_protocol::messages::{FetchRequest, FetchResponse};

use crate::cli::error::CliError;
use crate::cli::offsets::{self, EARLIEST, TopicPartition, by_leader};
use crate::net::client::{Client, ClientError, Route};

/// Reads partitions from their leaders.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    positions: BTreeMap<TopicPartition, Offset>,
    read_committed: bool,
}

/// Records of one partition, decompressed.
#[derive(Debug)]
pub struct Fetched {
    /// The partition.
    pub partition: TopicPartition,
    batches: Vec<Records>,
    from: Offset,
    next: Offset,
}

/// Bytes of one partition in one answer.
const PARTITION_BYTES: i32 = 4 << 20;

/// Bytes of one answer.
const ANSWER_BYTES: i32 = 32 << 20;

/// The pause when no partition has a leader.
const PAUSE: Duration = Duration::from_millis(200);

/// The versions of Fetch that name topics.
const VERSIONS: std::ops::RangeInclusive<i16> = 4..=12;

impl Fetcher {
    /// A fetcher that begins at these positions.
    pub fn new(client: Client, positions: BTreeMap<TopicPartition, Offset>, read_committed: bool) -> Self {
        Self { client, positions, read_committed }
    }

    /// The next offset of each partition that has not been printed.
    pub fn positions(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.positions
    }

    /// Moves a partition on to the next offset to read.
    pub fn advance(&mut self, partition: &TopicPartition, next: Offset) {
        self.positions.insert(partition.clone(), next);
    }

    /// Asks every leader once, and waits up to `wait` for records. Dropping it loses nothing, for positions move only
    /// with [`Fetcher::advance`].
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<Fetched>, CliError> {
        let mut nobody = None;
        let keys: Vec<TopicPartition> = self.positions.keys().cloned().collect();
        let led = by_leader(&mut self.client, &keys.iter().collect::<BTreeSet<_>>(), &mut nobody).await?;
        if led.is_empty() {
            sleep(if keys.is_empty() { wait } else { PAUSE }).await;
        }
        // Leaders are asked one after the other, so each may wait only its share.
        let share = wait / u32::try_from(led.len().max(1)).unwrap_or(u32::MAX);
        let mut fetched = Vec::new();
        for (leader, keys) in led {
            let answer = self.ask(leader, &keys, share).await?;
            ClientError::check(answer.error_code, None)?;
            for topic in answer.responses {
                for partition in topic.partitions {
                    let key = (topic.topic.to_string(), PartitionIndex(partition.partition_index));
                    fetched.extend(self.settle(key, partition).await?);
                }
            }
        }
        Ok(fetched)
    }

    async fn ask(
        &mut self,
        leader: BrokerId,
        keys: &[&TopicPartition],
        wait: Duration,
    ) -> Result<FetchResponse, ClientError> {
        let mut topics: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
        for key in keys {
            let Some(position) = self.positions.get(*key) else { continue };
            topics.entry(&key.0).or_default().push(FetchPartition {
                partition: key.1.0,
                fetch_offset: position.0,
                current_leader_epoch: -1,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: PARTITION_BYTES,
                ..FetchPartition::default()
            });
        }
        let topic = |(name, partitions): (&str, Vec<_>)| FetchTopic {
            topic: name.to_owned().into(),
            partitions,
            ..FetchTopic::default()
        };
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: 1,
            max_bytes: ANSWER_BYTES,
            isolation_level: i8::from(self.read_committed),
            session_id: 0,
            session_epoch: -1,
            topics: topics.into_iter().map(topic).collect(),
            ..FetchRequest::default()
        };
        let retriable = |answer: &FetchResponse| answer.error_code;
        self.client.call_within(&Route::Broker(leader), &VERSIONS, |_| request.clone(), retriable).await
    }

    async fn settle(
        &mut self,
        key: TopicPartition,
        data: PartitionData,
    ) -> Result<Option<Fetched>, CliError> {
        let code = ErrorCode::from_code(data.error_code);
        if code == ErrorCode::OFFSET_OUT_OF_RANGE {
            self.restart(&key).await?;
            return Ok(None);
        }
        if code.is_error() && code.is_retriable() {
            self.client.forget(&Route::Leader(key.0.clone(), key.1));
            sleep(PAUSE).await;
            return Ok(None);
        }
        ClientError::check(code.code(), None)?;
        let from = self.positions.get(&key).copied().unwrap_or(Offset::ZERO);
        read(key, from, data, self.read_committed)
    }

    /// Goes on at the first offset, since the one wanted has been deleted.
    async fn restart(&mut self, key: &TopicPartition) -> Result<(), CliError> {
        let starts =
            offsets::list(&mut self.client, &BTreeMap::from([(key.clone(), EARLIEST)]), false).await?;
        let start = starts.get(key).copied().unwrap_or(Offset::ZERO);
        let lost = self.positions.insert(key.clone(), start).unwrap_or(start);
        eprintln!("vltava: {}-{} has no offset {lost} any more; going on at {start}", key.0, key.1);
        Ok(())
    }
}

/// Takes an answer's bytes apart; `None` when there are no whole batches.
fn read(
    partition: TopicPartition,
    from: Offset,
    data: PartitionData,
    read_committed: bool,
) -> Result<Option<Fetched>, CliError> {
    let name = format!("{}-{}", partition.0, partition.1);
    let broken =
        |error: &dyn std::fmt::Display| CliError::Failed(format!("{name} at offset {from}: {error}"));
    let Some(payload) = data.records else { return Ok(None) };
    let bytes = payload.into_bytes().map_err(|error| broken(&error))?;
    let size = bytes.len();
    let mut aborted = read_committed.then(|| Aborted::new(data.aborted_transactions.unwrap_or_default()));
    let mut batches = Vec::new();
    let mut next = from;
    for batch in Batch::split(bytes) {
        let batch = match batch {
            Ok(batch) => batch,
            // The end of an answer may cut a batch off; it comes whole with the next answer.
            Err(_) if next > from => break,
            Err(error) => return Err(broken(&error)),
        };
        batch.check_crc().map_err(|error| broken(&error))?;
        next = next.max(batch.header.next_offset());
        let visible = aborted.as_mut().is_none_or(|aborted| aborted.is_visible(&batch));
        if visible && !batch.header.is_control() {
            batches.push(batch.records().map_err(|error| broken(&error))?);
        }
    }
    if next == from && size > 0 {
        return Err(broken(&format!("{size} bytes hold no whole batch")));
    }
    Ok((next > from).then_some(Fetched { partition, batches, from, next }))
}

impl Fetched {
    /// Hands each record to `visit` until it says no. Returns the offset to go on with.
    pub fn each(
        &self,
        mut visit: impl FnMut(&TopicPartition, &Record<'_>) -> Result<bool, CliError>,
    ) -> Result<Offset, CliError> {
        for records in &self.batches {
            for record in records {
                let record = record.map_err(|error| {
                    CliError::Failed(format!("{}-{}: {error}", self.partition.0, self.partition.1))
                })?;
                // A batch may begin before the offset that was asked for.
                if record.offset >= self.from && !visit(&self.partition, &record)? {
                    return Ok(record.offset);
                }
            }
        }
        Ok(self.next)
    }
}

/// Which producers' transactions are aborted at the batch being read.
struct Aborted {
    ahead: Vec<AbortedTransaction>,
    producers: BTreeSet<i64>,
}

impl Aborted {
    fn new(mut ahead: Vec<AbortedTransaction>) -> Self {
        ahead.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead, producers: BTreeSet::new() }
    }

    /// Whether the records of a batch count; batches must come in order.
    fn is_visible(&mut self, batch: &Batch) -> bool {
        while let Some(transaction) =
            self.ahead.pop_if(|transaction| transaction.first_offset <= batch.header.last_offset().0)
        {
            self.producers.insert(transaction.producer_id);
        }
        let producer = batch.header.producer_id.0;
        if batch.header.is_control() {
            if let Ok(Some(marker)) = EndTransactionMarker::read(batch)
                && marker.result == TransactionResult::Abort
            {
                self.producers.remove(&producer);
            }
            return false;
        }
        !(batch.header.is_transactional() && self.producers.contains(&producer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vltava_core::id::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence, Timestamp};
    use vltava_core::record::{BatchBuilder, Compression};

    fn records(producer: i64, offset: i64, transactional: bool) -> Batch {
        let mut builder = BatchBuilder::new(Compression::None).producer(
            ProducerId(producer),
            ProducerEpoch(0),
            Sequence(0),
        );
        builder.base_offset = Offset(offset);
        if transactional {
            builder = builder.transactional();
        }
        builder.append(Timestamp(1), None, Some(offset.to_string().as_bytes()), &[]);
        builder.build().unwrap()
    }

    fn marker(producer: i64, offset: i64, result: TransactionResult) -> Batch {
        let marker = EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(0) };
        let mut batch = marker.batch(ProducerId(producer), ProducerEpoch(0), Timestamp(1)).unwrap();
        batch.header.base_offset = Offset(offset);
        batch
    }

    fn check(
        from: i64,
        read_committed: bool,
        aborted: &[(i64, i64)],
        batches: &[Batch],
        expected: (&[i64], i64),
    ) {
        let mut bytes = Vec::new();
        batches.iter().for_each(|batch| bytes.extend_from_slice(&batch.to_bytes()));
        let transaction = |(producer_id, first_offset): &(i64, i64)| AbortedTransaction {
            producer_id: *producer_id,
            first_offset: *first_offset,
        };
        let data = PartitionData {
            records: Some(bytes::Bytes::from(bytes).into()),
            aborted_transactions: Some(aborted.iter().map(transaction).collect()),
            ..PartitionData::default()
        };
        let fetched =
            read(("t".to_owned(), PartitionIndex(0)), Offset(from), data, read_committed).unwrap().unwrap();
        let mut seen = Vec::new();
        let next = fetched.each(|_, record| {
            seen.push(record.offset.0);
            Ok(true)
        });
        assert_eq!((seen.as_slice(), next.unwrap().0), expected);
    }

    #[test]
    fn aborted_records_and_markers_are_left_out_when_committed_ones_are_wanted() {
        use TransactionResult::{Abort, Commit};
        let log = [
            records(1, 0, true),
            records(2, 1, true),
            records(3, 2, false),
            marker(1, 3, Abort),
            records(1, 4, true),
            marker(2, 5, Commit),
            marker(1, 6, Commit),
        ];
        check(0, true, &[(1, 0)], &log, (&[1, 2, 4], 7));
        check(0, false, &[], &log, (&[0, 1, 2, 4], 7));
        check(2, false, &[], &log, (&[2, 4], 7));
        check(0, true, &[(1, 4), (1, 0)], &log, (&[1, 2], 7));
    }

    #[test]
    fn a_batch_that_the_answer_cut_off_comes_again() {
        let mut bytes = records(1, 0, false).to_bytes().to_vec();
        bytes.extend_from_slice(&records(1, 1, false).to_bytes()[..40]);
        let data = |bytes: Vec<u8>| PartitionData {
            records: Some(bytes::Bytes::from(bytes).into()),
            ..PartitionData::default()
        };
        let key = || ("t".to_owned(), PartitionIndex(0));
        let fetched = read(key(), Offset(0), data(bytes.clone()), false).unwrap().unwrap();
        assert_eq!(fetched.next, Offset(1));
        assert!(read(key(), Offset(1), data(bytes[bytes.len() - 40..].to_vec()), false).is_err());
        assert!(read(key(), Offset(0), data(Vec::new()), false).unwrap().is_none());
        let last = bytes.len() - 41;
        bytes[last] ^= 1;
        assert!(
            read(key(), Offset(0), data(bytes), false).unwrap_err().to_string().contains("t-0 at offset 0")
        );
    }
}
