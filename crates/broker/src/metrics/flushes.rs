//! What is counted of flushes.

use std::time::Duration;

use vltava_storage::segments::FlushWitness;

use super::histogram::Histogram;
use super::requests::microseconds;

/// How long it took to make batches durable, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct FlushMeters(pub(crate) Histogram);

impl FlushWitness for FlushMeters {
    fn flushed(&self, took: Duration) {
        self.0.record(microseconds(took));
    }
}
