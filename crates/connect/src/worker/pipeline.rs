//! What stands between a connector and the topics: transforms with their predicates, and converters.

use std::fmt;

use super::common::{self, aliases, below, made};
use super::failure::{Problem, Stage, Tolerance};
use super::settings::WorkerSettings;
use crate::convert::{CONVERTER_TYPE, Converter, Decoding, Encoding, HeaderConverter, RawHeader};
use crate::error::ConnectError;
use crate::plugins::Plugins;
use crate::record::{Coordinates, Datum, Header, Origin, Record};
use crate::settings::{Config, FieldError};
use crate::topics::{Message, Received};
use crate::transform::{Predicate, Transform};

/// The transforms and converters of a task.
pub struct Pipeline {
    steps: Vec<Step>,
    key: Named<dyn Converter>,
    value: Named<dyn Converter>,
    header: Named<dyn HeaderConverter>,
    /// What the settings say about errors.
    pub tolerance: Tolerance,
}

struct Named<T: ?Sized> {
    class: String,
    made: Box<T>,
}

struct Step {
    class: String,
    transform: Box<dyn Transform>,
    guard: Option<Guard>,
}

struct Guard {
    predicate: Box<dyn Predicate>,
    negate: bool,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.steps.iter().map(|step| &step.class).collect();
        formatter.debug_struct("Pipeline").field("steps", &steps).finish_non_exhaustive()
    }
}

impl Step {
    fn apply(&mut self, record: Record) -> Result<Option<Record>, ConnectError> {
        if let Some(guard) = &mut self.guard
            && guard.predicate.test(&record)? == guard.negate
        {
            return Ok(Some(record));
        }
        self.transform.apply(record)
    }
}

impl Pipeline {
    /// Makes what a connector's settings name, with the worker's converters where they name none.
    ///
    /// # Errors
    /// When a plugin is not there, or refuses its settings.
    pub fn new(
        plugins: &Plugins,
        worker: &WorkerSettings,
        config: &Config,
        tolerance: Tolerance,
    ) -> Result<Self, ConnectError> {
        if let refused @ [_, ..] = &*common::refused(plugins, config) {
            return Err(FieldError::all(refused.to_vec()));
        }
        let key = chosen(worker, config, "key.converter", "key");
        let value = chosen(worker, config, "value.converter", "value");
        let header = chosen(worker, config, "header.converter", "header");
        let steps = aliases(config, "transforms").into_iter().map(|alias| step(plugins, config, &alias));
        Ok(Self {
            steps: steps.collect::<Result<_, _>>()?,
            key: Named { made: made(plugins.converter(&key.0), &key.0, &key.1)?, class: key.0 },
            value: Named { made: made(plugins.converter(&value.0), &value.0, &value.1)?, class: value.0 },
            header: Named {
                made: made(plugins.header_converter(&header.0), &header.0, &header.1)?,
                class: header.0,
            },
            tolerance,
        })
    }

    /// Sends a record through the transforms; `None` when one drops it.
    ///
    /// # Errors
    /// Where it cannot be changed.
    pub async fn transform(&mut self, record: Record) -> Result<Option<Record>, Problem> {
        let mut record = record;
        for step in &mut self.steps {
            let spare = self.tolerance.retries().then(|| record.clone());
            let mut applied = step.apply(record);
            if let Some(spare) = spare {
                let mut tries = self.tolerance.tries();
                while let Err(error) = &applied
                    && tries.again(error).await
                {
                    applied = step.apply(spare.clone());
                }
            }
            let problem = |error| Problem { stage: Stage::Transformation, class: step.class.clone(), error };
            match applied.map_err(problem)? {
                Some(changed) => record = changed,
                None => return Ok(None),
            }
        }
        Ok(Some(record))
    }

    /// Whether records pass unchanged.
    pub fn is_plain(&self) -> bool {
        self.steps.is_empty()
    }

    /// The messages of records, in order.
    pub async fn encode(&mut self, records: &[Record]) -> Vec<Result<Message, Problem>> {
        let headers = records.iter().map(|record| self.encode_headers(record));
        let mut headers: Vec<_> =
            headers.map(|headers| headers.map_err(|error| (Vec::new(), error))).collect();
        let keys = encode_all(&self.key, records, &mut headers, |record| &record.key, &self.tolerance).await;
        let values =
            encode_all(&self.value, records, &mut headers, |record| &record.value, &self.tolerance).await;
        let mut messages = Vec::with_capacity(records.len());
        for (((record, headers), key), value) in records.iter().zip(headers).zip(keys).zip(values) {
            messages.push(self.message(record, headers, key, value));
        }
        messages
    }

    fn message(
        &self,
        record: &Record,
        headers: Headers,
        key: Result<Option<bytes::Bytes>, ConnectError>,
        value: Result<Option<bytes::Bytes>, ConnectError>,
    ) -> Result<Message, Problem> {
        Ok(Message {
            topic: record.topic.clone(),
            partition: record.partition,
            key: key.map_err(|error| self.problem(Stage::KeyConverter, error))?,
            value: value.map_err(|error| self.problem(Stage::ValueConverter, error))?,
            timestamp: record.timestamp,
            headers: headers.map_err(|(_, error)| self.problem(Stage::HeaderConverter, error))?,
        })
    }

    /// The records of messages, in order.
    pub async fn decode(&mut self, received: &[Received]) -> Vec<Result<Record, Problem>> {
        let keys = decode_all(&self.key, received, |message| message.key.as_ref(), &self.tolerance).await;
        let values =
            decode_all(&self.value, received, |message| message.value.as_ref(), &self.tolerance).await;
        let record = |((received, key), value): ((&Received, Result<Datum, _>), Result<Datum, _>)| {
            let (topic, partition) = (received.topic.clone(), received.partition);
            let (offset, timestamp_type) = (received.offset, received.timestamp_type);
            let origin = Coordinates { topic: topic.clone(), partition, offset, timestamp_type };
            Ok(Record {
                topic,
                partition: Some(partition),
                key: key.map_err(|error| self.problem(Stage::KeyConverter, error))?,
                value: value.map_err(|error| self.problem(Stage::ValueConverter, error))?,
                timestamp: Some(received.timestamp),
                headers: self
                    .decode_headers(received)
                    .map_err(|error| self.problem(Stage::HeaderConverter, error))?,
                origin: Origin::Topic(origin),
            })
        };
        received.iter().zip(keys).zip(values).map(record).collect()
    }

    fn problem(&self, stage: Stage, error: ConnectError) -> Problem {
        let class = match stage {
            Stage::KeyConverter => &self.key.class,
            Stage::ValueConverter => &self.value.class,
            _ => &self.header.class,
        };
        Problem { stage, class: class.clone(), error }
    }

    fn encode_headers(&self, record: &Record) -> Result<Vec<RawHeader>, ConnectError> {
        let encode =
            |header: &Header| Ok((header.name.clone(), self.header.made.encode(&record.topic, header)?));
        record.headers.iter().map(encode).collect()
    }

    fn decode_headers(&self, received: &Received) -> Result<Vec<Header>, ConnectError> {
        let decode = |(name, bytes): &RawHeader| {
            let value = self.header.made.decode(&received.topic, name, bytes.as_ref())?;
            Ok(Header { name: name.clone(), value })
        };
        received.headers.iter().map(decode).collect()
    }
}

fn step(plugins: &Plugins, config: &Config, alias: &str) -> Result<Step, ConnectError> {
    let own = below(config, &format!("transforms.{alias}."));
    let class = own.get("type").cloned().unwrap_or_default();
    let transform = made(plugins.transform(&class), &class, &own)?;
    let guard = own.get("predicate").map(|predicate| {
        let settings = below(config, &format!("predicates.{predicate}."));
        let class = settings.get("type").cloned().unwrap_or_default();
        let negate = own.get("negate").is_some_and(|negate| negate.trim().eq_ignore_ascii_case("true"));
        Ok::<_, ConnectError>(Guard {
            predicate: made(plugins.predicate(&class), &class, &settings)?,
            negate,
        })
    });
    Ok(Step { class, transform, guard: guard.transpose()? })
}

/// The class of a converter and its settings: the connector's, or else the worker's.
fn chosen(worker: &WorkerSettings, config: &Config, name: &str, part: &str) -> (String, Config) {
    let (class, of) = match config.get(name) {
        Some(class) => (class.as_str(), config),
        None => (worker.converter(name), &worker.config),
    };
    let mut own = below(of, &format!("{name}."));
    own.insert(CONVERTER_TYPE.to_owned(), part.to_owned());
    (class.to_owned(), own)
}

type Headers = Result<Vec<RawHeader>, (Vec<RawHeader>, ConnectError)>;
type Outcomes<T> = Vec<Result<T, ConnectError>>;

async fn encode_all(
    converter: &Named<dyn Converter>,
    records: &[Record],
    headers: &mut [Headers],
    part: fn(&Record) -> &Datum,
    tolerance: &Tolerance,
) -> Outcomes<Option<bytes::Bytes>> {
    let mut items: Vec<Encoding<'_>> = records
        .iter()
        .zip(headers)
        .map(|(record, headers)| Encoding {
            topic: &record.topic,
            headers: match headers {
                Ok(headers) | Err((headers, _)) => headers,
            },
            datum: part(record),
        })
        .collect();
    let mut outcomes = converter.made.encode(&mut items).await;
    for (item, outcome) in items.iter_mut().zip(&mut outcomes) {
        let mut tries = tolerance.tries();
        while let Err(error) = outcome
            && tries.again(error).await
        {
            *outcome = one(converter.made.encode(std::slice::from_mut(item)).await);
        }
    }
    outcomes
}

async fn decode_all(
    converter: &Named<dyn Converter>,
    received: &[Received],
    part: fn(&Received) -> Option<&bytes::Bytes>,
    tolerance: &Tolerance,
) -> Outcomes<Datum> {
    let items: Vec<Decoding<'_>> = received
        .iter()
        .map(|message| Decoding { topic: &message.topic, headers: &message.headers, bytes: part(message) })
        .collect();
    let mut outcomes = converter.made.decode(&items).await;
    for (item, outcome) in items.iter().zip(&mut outcomes) {
        let mut tries = tolerance.tries();
        while let Err(error) = outcome
            && tries.again(error).await
        {
            *outcome = one(converter.made.decode(std::slice::from_ref(item)).await);
        }
    }
    outcomes
}

fn one<T>(outcomes: Outcomes<T>) -> Result<T, ConnectError> {
    outcomes.into_iter().next().unwrap_or_else(|| Err(ConnectError::failed("The converter gave no result")))
}
