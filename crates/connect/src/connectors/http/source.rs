//! Polls an address, and makes records of what is new in the answers.
//!
//! A cursor says what is new. It stands in the last record, in the answer's body or in one of its headers, or is the address
//! of the next page (`Link: <…>; rel="next"`); it goes into the next address in the place of `${cursor}`. The position of a
//! record is the cursor of the request that brought it, and how many records of the answer came up to it:
//! `{"url": …}` and `{"cursor": …, "delivered": …}`. So a task that begins again asks the same, and goes on where it was. An
//! answer without a new cursor is asked for again after a while, and what came before is left out.
//!
//! Without a cursor (`http.cursor.from=none`) every answer is new as a whole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use hyper::Method;
use serde_json::Value as Stored;
use tokio::time::Instant;

use super::client::{self, Answer, Client, Tries, encoded};
use crate::connector::{
    Altered, Connector, ExactlyOnce, OffsetReader, Source, SourceConnector, SourceContext,
};
use crate::connectors::Allowed;
use crate::converters::of_json;
use crate::error::ConnectError;
use crate::notation::json::Json;
use crate::record::{Datum, Position, Record, SourceMap};
use crate::settings::{FieldError, Importance, Kind, Setting, Settings, Values};

/// Records that are returned at once.
const BATCH_MAX: usize = 2000;
/// The place of the cursor in addresses and bodies.
const PLACE: &str = "${cursor}";

const URL: &str = "url";
const CURSOR: &str = "cursor";
const DELIVERED: &str = "delivered";

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct HttpSource {
    allowed: Arc<Allowed>,
}

impl HttpSource {
    pub(in crate::connectors) fn new(allowed: Arc<Allowed>) -> Self {
        Self { allowed }
    }
}

#[async_trait]
impl Connector for HttpSource {
    fn settings(&self) -> Settings {
        let url = "The address to ask, http:// or https://. The cursor stands in the place of ${cursor}.";
        let from = "Where the cursor of the next request is: in each record (http.cursor.pointer), in the body of the \
            answer (http.cursor.pointer), in a header (http.cursor.header), in the header Link as the next page's address, \
            or nowhere (none): then every answer is new.";
        let own = [
            Setting::required("topic", Kind::String, "The topic to write to.").not_empty(),
            Setting::optional(
                "http.body",
                Kind::String,
                "A body to send. The cursor stands in the place of ${cursor}.",
            ),
            Setting::new(
                "http.format",
                Kind::String,
                "json",
                "What answers are: json, or a line of JSON for each record.",
            )
            .one_of(["json", "json-lines"]),
            Setting::new(
                "http.records.pointer",
                Kind::String,
                "",
                "A JSON pointer to the records within an answer.",
            )
            .checked(pointer),
            Setting::optional("http.key.pointer", Kind::String, "A JSON pointer to the key within a record.")
                .checked(pointer),
            Setting::new("http.cursor.from", Kind::String, "none", from)
                .importance(Importance::High)
                .one_of(["none", "record", "body", "header", "link"]),
            Setting::new("http.cursor.pointer", Kind::String, "", "A JSON pointer to the cursor.")
                .checked(pointer),
            Setting::optional("http.cursor.header", Kind::String, "The header that the cursor is in."),
            Setting::new("http.cursor.initial", Kind::String, "", "The cursor of the first request."),
            Setting::new(
                "http.poll.interval.ms",
                Kind::Long,
                "10000",
                "How long to wait before asking again when nothing new came.",
            )
            .importance(Importance::High)
            .at_least(1),
        ];
        client::settings(url).into_iter().chain(own).collect()
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        let mut errors = client::validate(values, &self.allowed);
        let given =
            |name: &str| values.optional_string(name).ok().flatten().is_some_and(|text| !text.is_empty());
        let missing = match values.string("http.cursor.from") {
            Ok("record" | "body") if !given("http.cursor.pointer") => Some("http.cursor.pointer"),
            Ok("header") if !given("http.cursor.header") => Some("http.cursor.header"),
            _ => None,
        };
        errors.extend(
            missing.map(|name| {
                FieldError::new(name, format!("{name} must be set: it says where the cursor is"))
            }),
        );
        errors
    }
}

fn pointer(value: &crate::settings::Parsed) -> Result<(), String> {
    match value.text() {
        Some(text) if !text.is_empty() && !text.starts_with('/') => {
            Err("A JSON pointer begins with /".to_owned())
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl SourceConnector for HttpSource {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let text =
            |name: &str| Ok::<_, ConnectError>(values.optional_string(name)?.unwrap_or_default().to_owned());
        let method = Some(text("http.method")?).filter(|method| !method.is_empty());
        let body = text("http.body")?;
        let method = method.unwrap_or_else(|| if body.is_empty() { "GET" } else { "POST" }.to_owned());
        let url = text("http.url")?;
        Ok(Box::new(HttpSourceTask {
            client: Client::new(values, &self.allowed)?,
            tries: Tries::new(values)?,
            method: method.parse().map_err(|_| ConnectError::config("http.method is none"))?,
            partition: Arc::new(SourceMap::from_iter([(URL.to_owned(), Stored::from(url.clone()))])),
            url,
            body,
            topic: values.string("topic")?.into(),
            by_lines: values.string("http.format")? == "json-lines",
            records: text("http.records.pointer")?,
            key: values.optional_string("http.key.pointer")?.map(str::to_owned),
            from: match values.string("http.cursor.from")? {
                "record" => From::Record(text("http.cursor.pointer")?),
                "body" => From::Body(text("http.cursor.pointer")?),
                "header" => From::Header(text("http.cursor.header")?),
                "link" => From::Link,
                _ => From::Nowhere,
            },
            interval: Duration::from_millis(values.number("http.poll.interval.ms")?.unsigned_abs()),
            offsets: context.offsets,
            cursor: Some(text("http.cursor.initial")?).filter(|cursor| !cursor.is_empty()),
            delivered: 0,
            ready: VecDeque::new(),
            wait_until: None,
        }))
    }

    fn exactly_once(&self, values: &Values) -> ExactlyOnce {
        match values.string("http.cursor.from") {
            Ok("none") => ExactlyOnce::Unsupported,
            _ => ExactlyOnce::Supported,
        }
    }

    async fn alter_offsets(
        &self,
        values: &Values,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        for (partition, offset) in offsets {
            if partition.get(URL).and_then(Stored::as_str) != Some(values.string("http.url")?) {
                return Err(ConnectError::failed(format!(
                    "Partition objects should have the key '{URL}' with http.url"
                )));
            }
            let Some(offset) = offset else { continue };
            let is_cursor = offset.get(CURSOR).is_none_or(|cursor| cursor.is_null() || cursor.is_string());
            let is_number = offset.get(DELIVERED).is_none_or(Stored::is_u64);
            if !is_cursor || !is_number {
                return Err(ConnectError::failed(format!(
                    "Offset objects should have the key '{CURSOR}' with a text, and '{DELIVERED}' with a number"
                )));
            }
        }
        Ok(Altered::Supported)
    }
}

/// Where cursors come from.
#[derive(Debug)]
enum From {
    Nowhere,
    Record(String),
    Body(String),
    Header(String),
    Link,
}

/// The task.
#[derive(Debug)]
struct HttpSourceTask {
    client: Client,
    tries: Tries,
    method: Method,
    url: String,
    body: String,
    partition: Arc<SourceMap>,
    topic: ByteString,
    by_lines: bool,
    records: String,
    key: Option<String>,
    from: From,
    interval: Duration,
    offsets: Arc<dyn OffsetReader>,
    /// What the next request asks for.
    cursor: Option<String>,
    /// How many records of its answer are no longer new.
    delivered: usize,
    /// Records that were not returned yet.
    ready: VecDeque<Record>,
    /// When the next request may be sent.
    wait_until: Option<Instant>,
}

impl HttpSourceTask {
    /// The address of the next request.
    fn address(&self) -> String {
        let cursor = self.cursor.as_deref().unwrap_or_default();
        match self.from {
            From::Link if !cursor.is_empty() => cursor.to_owned(),
            _ => self.url.replace(PLACE, &encoded(cursor)),
        }
    }

    /// What is new in an answer; whether there may be more at once.
    fn take(&mut self, answer: &Answer) -> Result<bool, ConnectError> {
        let unreadable = |error| ConnectError::failed("the answer is no JSON").because(error);
        let parsed =
            |bytes: &Bytes| Json::parse(bytes).map_err(unreadable).map(|json| json.unwrap_or(Json::Null));
        let (whole, items) = if self.by_lines {
            let lines = answer.body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            let lines = lines.map(|line| parsed(&answer.body.slice_ref(line)));
            (Json::Null, lines.collect::<Result<Vec<_>, _>>()?)
        } else {
            let whole = parsed(&answer.body)?;
            let items = match whole.pointer(&self.records) {
                Some(Json::Array(items)) => items.clone(),
                None | Some(Json::Null) => Vec::new(),
                Some(one) => vec![one.clone()],
            };
            (whole, items)
        };
        let next = match &self.from {
            From::Nowhere | From::Record(_) => None,
            From::Body(pointer) => {
                whole.pointer(pointer).filter(|json| **json != Json::Null).map(text).transpose()?
            }
            From::Header(name) => {
                answer.headers.get(name.as_str()).and_then(|value| value.to_str().ok()).map(str::to_owned)
            }
            From::Link => next_page(answer, &self.address()),
        };
        let next = next.filter(|next| !next.is_empty() && Some(next) != self.cursor.as_ref());
        let (before, count) = (self.cursor.clone(), items.len());
        for (index, item) in items.iter().enumerate().skip(self.delivered) {
            let (cursor, delivered) = match (&self.from, &next) {
                (From::Record(pointer), _) => {
                    let found = item.pointer(pointer).filter(|json| **json != Json::Null);
                    let missing = || {
                        ConnectError::failed(format!(
                            "a record has nothing at {pointer}, where its cursor is"
                        ))
                    };
                    (Some(text(found.ok_or_else(missing)?)?), 0)
                }
                (_, Some(next)) if index + 1 == count => (Some(next.clone()), 0),
                _ => (before.clone(), index + 1),
            };
            let offset = [(CURSOR, Stored::from(cursor.clone())), (DELIVERED, Stored::from(delivered))];
            let offset = offset.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            let position = Position { partition: Arc::clone(&self.partition), offset };
            let mut record = Record::new(self.topic.clone(), Datum::schemaless(of_json(item)), position);
            if let Some(found) = self.key.as_ref().and_then(|pointer| item.pointer(pointer)) {
                record.key = Datum::schemaless(of_json(found));
            }
            self.ready.push_back(record);
            if let From::Record(_) = self.from {
                self.cursor = cursor;
            }
        }
        match (&self.from, next) {
            (From::Nowhere, _) => Ok(false),
            (From::Record(_), _) => Ok(self.cursor != before),
            (_, Some(next)) => {
                (self.cursor, self.delivered) = (Some(next), 0);
                Ok(true)
            }
            (_, None) => {
                self.delivered = self.delivered.max(count);
                Ok(false)
            }
        }
    }
}

/// A cursor as text.
fn text(json: &Json) -> Result<String, ConnectError> {
    match json {
        Json::String(text) => Ok(text.to_string()),
        Json::Number(number) => Ok(number.digits().to_string()),
        other => Err(ConnectError::failed(format!("a cursor is a text or a number, not {}", other.kind()))),
    }
}

/// The address of the next page, as RFC 8288 has it.
fn next_page(answer: &Answer, asked: &str) -> Option<String> {
    let values = answer.headers.get_all(hyper::header::LINK).iter().filter_map(|value| value.to_str().ok());
    let links = values.flat_map(|value| value.split(",").collect::<Vec<_>>());
    let mut next = links.filter(|link| {
        let mut parameters =
            link.split(';').skip(1).map(|part| part.trim().to_ascii_lowercase().replace('"', ""));
        parameters.any(|parameter| parameter == "rel=next")
    });
    let target = next.next()?.trim().strip_prefix('<')?.split('>').next()?;
    if target.contains("://") {
        return Some(target.to_owned());
    }
    let (scheme, rest) = asked.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    target.starts_with('/').then(|| format!("{scheme}://{host}{target}"))
}

#[async_trait]
impl Source for HttpSourceTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        let stored = self.offsets.offsets(&[(*self.partition).clone()]).await?;
        if let Some(Some(offset)) = stored.into_iter().next() {
            self.cursor = offset.get(CURSOR).and_then(Stored::as_str).map(str::to_owned);
            let delivered = offset.get(DELIVERED).and_then(Stored::as_u64).unwrap_or(0);
            self.delivered = usize::try_from(delivered).unwrap_or(0);
        }
        if let From::Nowhere = self.from {
            self.delivered = 0;
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        while self.ready.is_empty() {
            if let Some(until) = self.wait_until {
                tokio::time::sleep_until(until).await;
            }
            let body = self.body.replace(PLACE, self.cursor.as_deref().unwrap_or_default());
            let answered = self.client.send(&self.method, &self.address(), &[], Bytes::from(body)).await;
            let now = Instant::now();
            match answered {
                Ok(answer) if answer.status.is_success() => {
                    self.tries.done();
                    let may_have_more = self.take(&answer)?;
                    self.wait_until = (!may_have_more).then(|| now + self.interval);
                }
                Ok(answer) => {
                    self.wait_until = Some(now + self.interval);
                    return Err(ConnectError::failed(answer.refusal(&self.url)));
                }
                Err(failure) => {
                    self.wait_until = Some(now + self.interval);
                    self.wait_until = Some(now + self.tries.again(failure)?);
                }
            }
        }
        let count = self.ready.len().min(BATCH_MAX);
        Ok(self.ready.drain(..count).collect())
    }
}
