//! A machine whose log others write to as well, and a log in which they always come first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, watch};
use vltava_core::id::{Offset, PartitionIndex, Timestamp};
use vltava_core::image::Image;
use vltava_core::machine::{
    Context, Decision, DecodeError, Encoded, Entry, Place, Reply, StateMachine, TransactionWrite,
};
use vltava_core::record::{Batch, BatchBuilder, Compression};
use vltava_core::replicated::{
    Admission, Origin, PlaceError, PlaceTerms, Placed, ReadError, ReadRecords, ReadTerms, ReplicatedLog,
    Watermarks,
};
use vltava_core::testing::{FakeCluster, FakeLog, ManualClock};

use super::{Limits, Phase, Shard, ShardHandle, surroundings};
use crate::runtime::AskError;

/// Gives out the next number under a name.
#[derive(Debug, Default, PartialEq)]
struct Numbers(BTreeMap<String, u32>);

#[derive(Clone, Debug, PartialEq)]
struct Given(String, u32);

impl StateMachine for Numbers {
    type Command = String;
    type Answer = u32;
    type Event = Given;
    type Key = ();
    type Effect = ();
    const SHARED_LOG: bool = true;

    fn decide(&self, _context: &Context<'_>, name: String) -> Decision<Numbers> {
        let number = self.0.values().max().map_or(1, |highest| highest + 1);
        Decision::with(vec![Given(name, number)], Reply::Committed(number))
    }

    fn apply(&mut self, event: &Given, _place: Place) {
        self.0.insert(event.0.clone(), event.1);
    }

    fn encode(&self, event: &Given, _image: &Image) -> Encoded {
        let (key, value) = (event.0.clone().into_bytes().into(), event.1.to_string().into_bytes().into());
        Encoded::Record { key: Some(key), value: Some(value) }
    }

    fn decode(&self, entry: Entry<'_>) -> Result<Option<Given>, DecodeError> {
        let Entry::Record { key: Some(key), value: Some(value) } = entry else { return Ok(None) };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok(Some(Given(text(key), text(value).parse().unwrap())))
    }

    fn loaded(&self, _context: &Context<'_>) -> Decision<Numbers> {
        Decision::nothing()
    }

    fn snapshot(&self) -> Vec<Given> {
        self.0.iter().map(|(name, number)| Given(name.clone(), *number)).collect()
    }
}

/// Another writer gives out the number that is due, before each of the first `rivals` writes.
#[derive(Debug)]
struct Busy {
    log: Arc<FakeLog>,
    rivals: AtomicUsize,
}

impl ReplicatedLog for Busy {
    fn admit(&self) -> Result<Admission, PlaceError> {
        self.log.admit()
    }

    fn admit_transaction(&self, write: &TransactionWrite) -> Result<(), PlaceError> {
        self.log.admit_transaction(write)
    }

    fn place(&self, batch: Batch, terms: PlaceTerms) -> Result<Placed, PlaceError> {
        let left = self.rivals.load(Ordering::Relaxed);
        if left > 0 {
            self.rivals.store(left - 1, Ordering::Relaxed);
            let mut theirs = BatchBuilder::new(Compression::None);
            let next = terms.expected_end.unwrap_or(Offset::ZERO).0 + 1;
            let (key, value) = (format!("theirs {next}"), next.to_string());
            theirs.append(Timestamp(1), Some(key.as_bytes()), Some(value.as_bytes()), &[]);
            self.log.place(theirs.build().unwrap(), PlaceTerms::by(Origin::Client))?;
        }
        self.log.place(batch, terms)
    }

    fn read(&self, from: Offset, terms: ReadTerms) -> Result<ReadRecords, ReadError> {
        self.log.read(from, terms)
    }

    fn watch(&self) -> watch::Receiver<Watermarks> {
        self.log.watch()
    }

    fn watch_leadership(&self) -> watch::Receiver<Watermarks> {
        self.log.watch_leadership()
    }
}

async fn numbers_beside(rivals: usize, decisions_max: usize) -> ShardHandle<Numbers> {
    let cluster = FakeCluster::prompt();
    let (effects, _) = mpsc::channel(1);
    let shard = Shard {
        partition: PartitionIndex(0),
        log: Arc::new(Busy { log: cluster.replica(0), rivals: AtomicUsize::new(rivals) }),
        snapshots: None,
        new: Arc::new(Numbers::default),
        surroundings: surroundings(&ManualClock::default()),
        limits: Limits { decisions_max, ..Limits::default() },
        effects,
        witness: Arc::new(()),
    };
    let (handle, task) = shard.start();
    tokio::spawn(task);
    handle.phase().wait_for(|phase| matches!(phase, Phase::Leading(_))).await.unwrap();
    handle
}

#[tokio::test]
async fn who_shares_a_log_decides_again_on_what_others_wrote_first() {
    let numbers = numbers_beside(3, 10).await;
    assert_eq!(numbers.ask("mine".to_owned()).await.unwrap(), 4);
    assert_eq!(numbers.ask("mine too".to_owned()).await.unwrap(), 5);
}

#[tokio::test]
async fn who_never_comes_first_in_a_shared_log_is_told_so_and_goes_on_later() {
    let numbers = numbers_beside(3, 2).await;
    assert!(matches!(numbers.ask("mine".to_owned()).await, Err(AskError::Overloaded)));
    assert_eq!(numbers.ask("mine".to_owned()).await.unwrap(), 4);
}
