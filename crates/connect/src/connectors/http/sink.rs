//! Sends records to an address, in batches of one partition.
//!
//! Each request has a key that is the same when it is sent again: topic, partition and the offsets of its first and last
//! record, which a server may use to do it once (`http.idempotency.header`). Batches are cut where offsets are multiples of
//! `batch.size`, so that a task which takes another's place mostly makes the same; with `batch.size=1` always.
//!
//! When a server refuses a batch for what is in it, the batch is sent in halves, until the record is found that is to blame;
//! it is reported, and may become a dead letter.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::client::{self, Client, Tries, encoded};
use crate::connector::{
    Altered, Connector, Report, Sink, SinkConnector, SinkContext, TopicOffsets, TopicPartition,
};
use crate::connectors::Allowed;
use crate::converters::json_line;
use crate::error::ConnectError;
use crate::notation::text::display;
use crate::record::{Coordinates, Origin, Record};
use crate::settings::{Config, FieldError, Importance, Kind, Setting, Settings, Values};
use crate::value::Value;

/// The bytes that end a batch.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// The place of the topic in addresses.
const TOPIC: &str = "${topic}";
/// Refusals that are of what is in a request, and not of who sends it where.
const OF_DATA: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::CONFLICT,
];

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct HttpSink {
    allowed: Arc<Allowed>,
}

impl HttpSink {
    pub(in crate::connectors) fn new(allowed: Arc<Allowed>) -> Self {
        Self { allowed }
    }
}

#[async_trait]
impl Connector for HttpSink {
    fn settings(&self) -> Settings {
        let url = "The address to send to, http:// or https://. The topic stands in the place of ${topic}.";
        let format =
            "What bodies are: json (one record), json-array, json-lines or text, a line for each record.";
        let own =
            [
                Setting::new("batch.size", Kind::Int, "1", "The most records of a request.")
                    .importance(Importance::High)
                    .between(1, 100_000),
                Setting::new("http.format", Kind::String, "json", format)
                    .importance(Importance::High)
                    .one_of(["json", "json-array", "json-lines", "text"]),
                Setting::new(
                    "http.idempotency.header",
                    Kind::String,
                    "Idempotency-Key",
                    "The header with the key of a request; \
                empty is none.",
                ),
            ];
        client::settings(url).into_iter().chain(own).collect()
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        let mut errors = client::validate(values, &self.allowed);
        if values.string("http.format").is_ok_and(|format| format == "json")
            && values.number("batch.size").is_ok_and(|size| size > 1)
        {
            errors.push(FieldError::new(
                "http.format",
                "http.format=json has one record in a body: use json-array",
            ));
        }
        errors
    }

    async fn task_configs(&self, values: &Values, tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        Ok(vec![values.raw().clone(); tasks_max])
    }
}

#[async_trait]
impl SinkConnector for HttpSink {
    fn task(&self, values: &Values, context: SinkContext) -> Result<Box<dyn Sink>, ConnectError> {
        let key = match values.string("http.idempotency.header")? {
            "" => None,
            name => Some(
                HeaderName::try_from(name)
                    .map_err(|_| ConnectError::config(format!("{name} is no header")))?,
            ),
        };
        let method =
            Some(values.string("http.method")?).filter(|method| !method.is_empty()).unwrap_or("POST");
        Ok(Box::new(HttpSinkTask {
            client: Client::new(values, &self.allowed)?,
            tries: Tries::new(values)?,
            method: method.parse().map_err(|_| ConnectError::config("http.method is none"))?,
            url: values.string("http.url")?.to_owned(),
            key,
            batch: values.number("batch.size")?.max(1),
            format: match values.string("http.format")? {
                "json-array" => Format::Array,
                "json-lines" => Format::Lines,
                "text" => Format::Text,
                _ => Format::One,
            },
            context,
        }))
    }

    async fn alter_offsets(
        &self,
        _values: &Values,
        _offsets: &std::collections::BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<Altered, ConnectError> {
        Ok(Altered::Supported)
    }
}

/// What bodies are.
#[derive(Clone, Copy, Debug)]
enum Format {
    One,
    Array,
    Lines,
    Text,
}

impl Format {
    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::One | Self::Array => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Text => "text/plain; charset=utf-8",
        })
    }

    fn item(self, record: &Record) -> Result<String, ConnectError> {
        match (self, &record.value.value) {
            (Self::Text, Value::String(text)) => Ok(text.to_string()),
            (Self::Text, value) => Ok(display(record.value.schema.as_deref(), value)),
            _ => json_line(&record.value),
        }
    }

    fn body(self, items: &[Item<'_>]) -> Bytes {
        let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
        Bytes::from(match self {
            Self::One => texts.concat(),
            Self::Array => format!("[{}]", texts.join(",")),
            Self::Lines | Self::Text => texts.join("\n") + "\n",
        })
    }
}

/// A record, and what is sent of it.
struct Item<'r> {
    record: &'r Record,
    at: &'r Coordinates,
    text: String,
}

/// The task.
#[derive(Debug)]
struct HttpSinkTask {
    client: Client,
    tries: Tries,
    method: Method,
    url: String,
    key: Option<HeaderName>,
    batch: i64,
    format: Format,
    context: SinkContext,
}

impl HttpSinkTask {
    fn report(&self, record: &Record, error: ConnectError) -> Result<(), ConnectError> {
        match self.context.report(record, error) {
            Report::Taken => Ok(()),
            Report::Refused(error) => Err(error),
        }
    }

    /// Sends a batch; in halves where its records are refused.
    async fn send(&mut self, items: &[Item<'_>]) -> Result<(), ConnectError> {
        let mut open = vec![items];
        while let Some(items) = open.pop() {
            let Some(refusal) = self.request(items).await? else { continue };
            match items {
                [] => {}
                [item] => self.report(item.record, ConnectError::data(refusal))?,
                _ => {
                    let (first, second) = items.split_at(items.len() / 2);
                    open.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// Sends a request until it is answered; why its records are refused, if they are.
    async fn request(&mut self, items: &[Item<'_>]) -> Result<Option<String>, ConnectError> {
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return Ok(None) };
        let url = self.url.replace(TOPIC, &encoded(&first.at.topic));
        let mut headers = vec![(CONTENT_TYPE, self.format.media_type())];
        if let Some(name) = &self.key {
            let mut key = format!("{}-{}-{}", encoded(&first.at.topic), first.at.partition, first.at.offset);
            if self.batch > 1 {
                key.push_str(&format!("-{}", last.at.offset));
            }
            let value =
                HeaderValue::try_from(key).map_err(|error| ConnectError::failed(error.to_string()))?;
            headers.push((name.clone(), value));
        }
        let body = self.format.body(items);
        loop {
            match self.client.send(&self.method, &url, &headers, body.clone()).await {
                Ok(answer) if answer.status.is_success() => {
                    self.tries.done();
                    return Ok(None);
                }
                Ok(answer) if OF_DATA.contains(&answer.status) => return Ok(Some(answer.refusal(&url))),
                Ok(answer) => return Err(ConnectError::failed(answer.refusal(&url))),
                Err(failure) => tokio::time::sleep(self.tries.again(failure)?).await,
            }
        }
    }
}

#[async_trait]
impl Sink for HttpSinkTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), ConnectError> {
        let mut items: Vec<Item<'_>> = Vec::new();
        let mut bytes = 0;
        let place = |at: &Coordinates| -> (ByteString, i32, i64) {
            (at.topic.clone(), at.partition, at.offset / self.batch)
        };
        let mut batches: Vec<Vec<Item<'_>>> = Vec::new();
        for record in records {
            let Origin::Topic(at) = &record.origin else {
                return Err(ConnectError::failed("a record has no offset"));
            };
            let text = match self.format.item(record) {
                Ok(text) => text,
                Err(error) => {
                    self.report(record, error)?;
                    continue;
                }
            };
            let is_other = items.last().is_some_and(|last| place(last.at) != place(at));
            if is_other || bytes + text.len() > BATCH_BYTES_MAX {
                batches.push(std::mem::take(&mut items));
                bytes = 0;
            }
            bytes += text.len();
            items.push(Item { record, at, text });
        }
        batches.push(items);
        for batch in &batches {
            self.send(batch).await?;
        }
        Ok(())
    }

    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        Ok(taken)
    }
}
