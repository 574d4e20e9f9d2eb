//! A source and a sink of one's own, in one file: numbers as they are reached, and a board that keeps the last text of each
//! partition.
//!
//! ```sh
//! cargo test -p vltava-connect --features testing --example custom_connector
//! ```
//!
//! A connector implements [`Connector`] and either [`SourceConnector`] or [`SinkConnector`]; its tasks are a [`Source`] or a
//! [`Sink`]. The suites `source_suite` and `sink_suite` hold it to the rules. A row makes it known to a worker, in a program
//! with a broker in it: `Broker::builder().plugin(row)`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value as Json;
use vltava_connect::connector::{
    Connector, OffsetReader, Sink, SinkConnector, SinkContext, Source, SourceConnector, SourceContext,
    TopicOffsets, TopicPartition,
};
use vltava_connect::error::ConnectError;
use vltava_connect::notation::text::display;
use vltava_connect::plugins::{Implementation, Plugin};
use vltava_connect::record::{ConnectSchema, Datum, Origin, Position, Record, SourceMap, SourceOffset, Type};
use vltava_connect::settings::{Config, Kind, Setting, Settings, Values};
use vltava_connect::value::Value;

/// Numbers up to one that grows: what is read.
#[derive(Debug, Default)]
struct Numbers {
    reached: Arc<AtomicU64>,
}

#[async_trait]
impl Connector for Numbers {
    fn settings(&self) -> Settings {
        Settings::from([
            Setting::required("topic", Kind::String, "The topic to write to.").not_empty(),
            Setting::new("batch", Kind::Int, "100", "The most records at once.").between(1, 1000),
        ])
    }
}

#[async_trait]
impl SourceConnector for Numbers {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        Ok(Box::new(NumbersTask {
            reached: self.reached.clone(),
            topic: values.string("topic")?.to_owned(),
            batch: values.number("batch")?.unsigned_abs(),
            partition: Arc::new(SourceMap::from_iter([("of".to_owned(), Json::from("numbers"))])),
            offsets: context.offsets,
            next: 0,
        }))
    }
}

#[derive(Debug)]
struct NumbersTask {
    reached: Arc<AtomicU64>,
    topic: String,
    batch: u64,
    partition: Arc<SourceMap>,
    offsets: Arc<dyn OffsetReader>,
    next: u64,
}

#[async_trait]
impl Source for NumbersTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        // The one place from which a source resumes.
        let stored = self.offsets.offsets(&[(*self.partition).clone()]).await?;
        let stored = stored.into_iter().flatten().next();
        self.next = stored.and_then(|offset| offset.get("next")?.as_u64()).unwrap_or(0);
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        while self.next >= self.reached.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let end = self.reached.load(Ordering::SeqCst).min(self.next + self.batch);
        let record = |number: u64| {
            let value = Value::Int64(i64::try_from(number).unwrap_or(i64::MAX));
            let datum = Datum { schema: Some(ConnectSchema::of(Type::Int64)), value };
            let offset = SourceOffset::Number("next", (number + 1).into());
            Record::new(self.topic.as_str(), datum, Position { partition: self.partition.clone(), offset })
        };
        let records = (self.next..end).map(record).collect();
        self.next = end;
        Ok(records)
    }
}

/// What was put, by partition and offset: a record that comes again is there once.
type Texts = Arc<Mutex<BTreeMap<(TopicPartition, i64), String>>>;

/// Keeps what it is given.
#[derive(Debug, Default)]
struct Board {
    texts: Texts,
}

#[async_trait]
impl Connector for Board {
    fn settings(&self) -> Settings {
        Settings::none()
    }

    async fn task_configs(&self, _values: &Values, tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        Ok(vec![Config::new(); tasks_max])
    }
}

#[async_trait]
impl SinkConnector for Board {
    fn task(&self, _values: &Values, _context: SinkContext) -> Result<Box<dyn Sink>, ConnectError> {
        Ok(Box::new(BoardTask { texts: self.texts.clone() }))
    }
}

#[derive(Debug)]
struct BoardTask {
    texts: Texts,
}

#[async_trait]
impl Sink for BoardTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), ConnectError> {
        let mut texts = self.texts.lock();
        for record in records {
            let Origin::Topic(at) = &record.origin else { continue };
            let partition = TopicPartition { topic: at.topic.clone(), partition: at.partition };
            let text = display(record.value.schema.as_deref(), &record.value.value);
            texts.insert((partition, at.offset), text);
        }
        Ok(())
    }

    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        // Everything that was put is safe.
        Ok(taken)
    }
}

fn main() {
    let row = |class, implementation| Plugin { class, version: "1.0", implementation };
    let rows = [
        row("example.NumbersConnector", Implementation::Source(Arc::new(Numbers::default()))),
        row("example.BoardConnector", Implementation::Sink(Arc::new(Board::default()))),
    ];
    for row in rows {
        println!("{} {} is a {}", row.class, row.version, row.implementation.kind());
        for setting in row.implementation.settings().iter() {
            println!("  {}: {}", setting.name, setting.documentation);
        }
    }
}

#[cfg(test)]
mod tests {
    use vltava_connect::connector::testing::{SinkHarness, SourceHarness, sink_suite, source_suite};

    use super::*;

    struct Ours<C>(Arc<C>);

    #[async_trait]
    impl SourceHarness for Ours<Numbers> {
        fn connector(&self) -> Arc<dyn SourceConnector> {
            self.0.clone()
        }

        fn config(&self) -> Config {
            Config::from([("topic".to_owned(), "numbers".to_owned())])
        }

        async fn feed(&mut self, records: usize) {
            self.0.reached.fetch_add(records as u64, Ordering::SeqCst);
        }
    }

    #[async_trait]
    impl SinkHarness for Ours<Board> {
        fn connector(&self) -> Arc<dyn SinkConnector> {
            self.0.clone()
        }

        fn config(&self) -> Config {
            Config::new()
        }

        async fn written(&mut self) -> Vec<String> {
            self.0.texts.lock().values().cloned().collect()
        }

        fn is_exactly_once(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn the_source_keeps_the_rules() {
        source_suite(Ours(Arc::new(Numbers::default()))).await;
    }

    #[tokio::test]
    async fn the_sink_keeps_the_rules() {
        sink_suite(Ours(Arc::new(Board::default()))).await;
    }
}
