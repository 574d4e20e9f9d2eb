use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::{HttpSink, HttpSource};
use crate::connector::testing::{
    SinkHarness, SourceHarness, StoredOffsets, record, sink_suite, source_suite,
};
use crate::connector::{Connector, SinkConnector, SinkContext, Source, SourceConnector};
use crate::connectors::Allowed;
use crate::error::ErrorKind;
use crate::record::{Datum, Origin, Record};
use crate::settings::Config;
use crate::value::Value;

/// A request, as a server sees it.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    /// A parameter of the query.
    fn number(&self, name: &str) -> Option<usize> {
        let (_, query) = self.path.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    }
}

/// Settings: names and values.
type Given<'a> = &'a [(&'a str, &'a str)];
type Answers = dyn Fn(&Asked) -> Response<Full<Bytes>> + Send + Sync;

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        let name = hyper::header::HeaderName::try_from(*name).expect("a name");
        response.headers_mut().append(name, value.parse().expect("a value"));
    }
    response
}

/// A server that answers as it is told, until the test ends; its address.
async fn serve(answers: Arc<Answers>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = answers.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answers = answers.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    let asked = Asked {
                        method: head.method.to_string(),
                        path: head.uri.to_string(),
                        headers: head.headers,
                        body,
                    };
                    Ok::<_, hyper::Error>(answers(&asked))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

fn config(entries: &[(&str, &str)]) -> Config {
    let quick = [("http.poll.interval.ms", "5"), ("http.retry.backoff.ms", "1"), ("topic", "t")];
    let entries = quick.iter().chain(entries);
    entries.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A list of records that grows, behind an address.
struct Growing {
    count: Arc<AtomicUsize>,
    config: Config,
}

#[async_trait]
impl SourceHarness for Growing {
    fn connector(&self) -> Arc<dyn SourceConnector> {
        Arc::new(HttpSource::new(Arc::new(Allowed::everything())))
    }

    fn config(&self) -> Config {
        self.config.clone()
    }

    async fn feed(&mut self, records: usize) {
        self.count.fetch_add(records, Ordering::SeqCst);
    }
}

/// Records from the one of the query on, at most seven of them.
fn page(asked: &Asked, count: usize) -> (Vec<Json>, usize) {
    let from = asked.number("from").unwrap_or(0);
    let to = count.min(from + 7);
    ((from..to).map(|number| json!({"id": number, "text": format!("record {number}")})).collect(), to)
}

#[tokio::test]
async fn the_source_keeps_the_rules_with_every_cursor() {
    type Page = fn(&Asked, usize) -> Response<Full<Bytes>>;
    let in_record: Page = |asked, count| {
        let from = asked.number("after").map_or(0, |last| last + 1);
        let items: Vec<Json> = (from..count.min(from + 7)).map(|number| json!({"id": number})).collect();
        answer(200, &[], Json::from(items).to_string())
    };
    let in_body: Page = |asked, count| {
        let (items, next) = page(asked, count);
        let next = if items.len() == 7 { json!(next) } else { Json::Null };
        answer(200, &[], json!({"data": {"items": items}, "next": next}).to_string())
    };
    let in_header: Page = |asked, count| {
        let (items, next) = page(asked, count);
        let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
        let next = next.to_string();
        let headers = if items.len() == 7 { vec![("x-next", next.as_str())] } else { Vec::new() };
        answer(200, &headers, lines)
    };
    let in_link: Page = |asked, count| {
        let (items, next) = page(asked, count);
        let link = format!("</items?from=0>; rel=\"first\", </items?from={next}>; rel=\"next\"");
        let headers = if items.len() == 7 { vec![("link", link.as_str())] } else { Vec::new() };
        answer(200, &headers, Json::from(items).to_string())
    };
    let cases: [(Page, &str, Given<'_>); 4] = [
        (
            in_record,
            "/items?after=${cursor}",
            &[("http.cursor.from", "record"), ("http.cursor.pointer", "/id")],
        ),
        (
            in_body,
            "/items?from=${cursor}",
            &[
                ("http.cursor.from", "body"),
                ("http.cursor.pointer", "/next"),
                ("http.records.pointer", "/data/items"),
            ],
        ),
        (
            in_header,
            "/items?from=${cursor}",
            &[
                ("http.cursor.from", "header"),
                ("http.cursor.header", "X-Next"),
                ("http.format", "json-lines"),
            ],
        ),
        (in_link, "/items", &[("http.cursor.from", "link")]),
    ];
    for (page, path, settings) in cases {
        let (count, failures) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let counted = count.clone();
        let answers = move |asked: &Asked| match failures.fetch_add(1, Ordering::SeqCst) % 5 {
            3 => answer(503, &[("retry-after", "0")], "not now"),
            _ => page(asked, counted.load(Ordering::SeqCst)),
        };
        let mut config = config(settings);
        config.insert("http.url".to_owned(), serve(Arc::new(answers)).await + path);
        source_suite(Growing { count, config }).await;
    }
}

async fn source(config: &Config, offsets: &Arc<StoredOffsets>) -> Box<dyn Source> {
    let connector = HttpSource::new(Arc::new(Allowed::everything()));
    let values = connector.settings().parse(config).expect("settings");
    let mut task = connector.task(&values, offsets.context()).expect("a task");
    task.start().await.expect("a start");
    task
}

#[tokio::test]
async fn requests_say_who_asks_and_records_have_keys() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let url = serve(Arc::new(move |request: &Asked| {
        seen.lock().push(request.clone());
        answer(200, &[], r#"{"id":"a","n":12345678901234567890.5}"#)
    }));
    let mut config = config(&[
        ("http.auth.type", "basic"),
        ("http.auth.user", "me"),
        ("http.auth.password", "secret"),
        ("http.header.X-Of", "us"),
        ("http.key.pointer", "/id"),
        ("http.body", "{\"since\":\"${cursor}\"}"),
        ("http.cursor.initial", "now"),
    ]);
    config.insert("http.url".to_owned(), url.await + "/?q=${cursor}");
    let mut task = source(&config, &Arc::default()).await;
    for round in 0..2 {
        let records = task.poll().await.expect("a poll");
        assert_eq!(records.len(), 1, "each answer is new");
        assert_eq!(records[0].key, Datum::schemaless(Value::String("a".into())));
        let asked = asked.lock()[round].clone();
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str(), &asked.body[..]),
            ("POST", "/?q=now", &b"{\"since\":\"now\"}"[..])
        );
        assert_eq!(asked.headers["authorization"], "Basic bWU6c2VjcmV0");
        assert_eq!(asked.headers["x-of"], "us");
    }
}

#[tokio::test]
async fn a_source_fails_where_waiting_does_not_help() {
    // An answer, and what is said of it.
    let cases: [(u16, &str, ErrorKind, &str); 5] = [
        (404, "gone", ErrorKind::Failed, "404 Not Found: gone"),
        (302, "", ErrorKind::Failed, "302 Found"),
        (200, "{", ErrorKind::Failed, "no JSON"),
        (200, "[{}]", ErrorKind::Failed, "nothing at /id"),
        (500, "oh", ErrorKind::Retriable, "500 Internal Server Error: oh"),
    ];
    for (status, body, kind, expected) in cases {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let answers = move |_: &Asked| {
            counted.fetch_add(1, Ordering::SeqCst);
            answer(status, &[("location", "http://127.0.0.1:1/")], body)
        };
        let mut config = config(&[
            ("http.cursor.from", "record"),
            ("http.cursor.pointer", "/id"),
            ("http.retries.max", "2"),
        ]);
        config.insert("http.url".to_owned(), serve(Arc::new(answers)).await);
        let error = source(&config, &Arc::default()).await.poll().await.expect_err("an error");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(requests.load(Ordering::SeqCst), if kind == ErrorKind::Retriable { 3 } else { 1 });
    }
}

#[tokio::test]
async fn a_server_that_wants_rest_gets_it() {
    let wait = |headers: &[(&str, &str)]| {
        let response = answer(200, headers, "");
        super::client::retry_after(response.headers())
    };
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let cases: [(Given<'_>, Option<u64>); 6] = [
        (&[], None),
        (&[("retry-after", "7")], Some(7)),
        (&[("retry-after", "999999999")], Some(3600)),
        (&[("retry-after", "soon")], None),
        (&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60)),
        (&[date, ("retry-after", "Sun, 06 Nov 1994 08:40:37 GMT")], Some(0)),
    ];
    for (headers, expected) in cases {
        assert_eq!(wait(headers), expected.map(Duration::from_secs), "{headers:?}");
    }
}

#[tokio::test]
async fn addresses_are_checked_before_and_while_tasks_run() {
    let url =
        serve(Arc::new(|_: &Asked| answer(200, &[("link", "<http://127.0.0.1:1/secret>; rel=next")], "[]")));
    let url = url.await;
    let allowed = Arc::new(Allowed::new(None, Some(vec![format!("{url}/items")])));
    let cases = [
        (format!("{url}/items?from=${{cursor}}"), 0),
        (format!("{url}/other"), 1),
        ("file:///etc/passwd".to_owned(), 1),
    ];
    for (url, errors) in cases {
        let settings = config(&[("http.url", &url)]);
        let source = HttpSource::new(allowed.clone());
        let sink = HttpSink::new(allowed.clone());
        let values = source.settings().parse(&settings).expect("settings");
        assert_eq!(source.validate(&values).await.len(), errors, "{url}");
        let values = sink.settings().parse(&settings).expect("settings");
        let found = sink.validate(&values).await;
        assert_eq!(found.len(), errors, "{url}");
        assert!(found.iter().all(|error| error.field == "http.url"));
    }
    let inside = tempfile::tempdir().expect("a folder");
    let confined = Arc::new(Allowed::new(Some(vec![inside.path().to_owned()]), None));
    let missing = inside.path().join("ca.pem");
    for (file, why) in [("/etc/hosts", "allowed.folders"), (missing.to_str().expect("a path"), "ca.pem")] {
        let settings = config(&[("http.url", &url), ("ssl.ca.location", file)]);
        let source = HttpSource::new(Arc::clone(&confined));
        let values = source.settings().parse(&settings).expect("settings");
        let found = source.validate(&values).await;
        let told: Vec<_> = found.iter().map(|error| (&*error.field, error.message.contains(why))).collect();
        assert_eq!(told, [("ssl.ca.location", true)], "{found:?}");
        let refused = source.task(&values, Arc::new(StoredOffsets::default()).context());
        assert!(refused.is_err_and(|error| error.message.contains(why)), "{file}");
    }
    let connector = HttpSource::new(allowed);
    let settings = config(&[("http.url", &format!("{url}/items")), ("http.cursor.from", "link")]);
    let values = connector.settings().parse(&settings).expect("settings");
    let mut task = connector.task(&values, Arc::new(StoredOffsets::default()).context()).expect("a task");
    let error = task.poll().await.expect_err("a page elsewhere");
    assert!(error.message.contains("allowed.urls"), "{error}");
}

/// A server that does a request with a known key once.
struct Receiver {
    config: Config,
    done: Arc<Mutex<HashMap<String, Bytes>>>,
}

#[async_trait]
impl SinkHarness for Receiver {
    fn connector(&self) -> Arc<dyn SinkConnector> {
        Arc::new(HttpSink::new(Arc::new(Allowed::everything())))
    }

    fn config(&self) -> Config {
        self.config.clone()
    }

    async fn written(&mut self) -> Vec<String> {
        let done = self.done.lock();
        let mut keys: Vec<&String> = done.keys().collect();
        keys.sort();
        let texts = keys.into_iter().filter_map(|key| done.get(key));
        texts
            .flat_map(|body| String::from_utf8_lossy(body).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn is_exactly_once(&self) -> bool {
        self.config.get("batch.size").is_none_or(|size| size == "1")
    }
}

#[tokio::test]
async fn the_sink_keeps_the_rules() {
    for size in ["1", "4"] {
        let (done, count) = (Arc::new(Mutex::new(HashMap::new())), AtomicUsize::new(0));
        let kept = done.clone();
        let answers = move |asked: &Asked| {
            let key = asked.headers["idempotency-key"].to_str().expect("a key").to_owned();
            kept.lock().insert(key, asked.body.clone());
            // The answer may be lost after the work is done.
            let status = if count.fetch_add(1, Ordering::SeqCst) % 7 == 3 { 500 } else { 200 };
            answer(status, &[], "")
        };
        let mut config = config(&[("batch.size", size), ("http.format", "text")]);
        config.insert("http.url".to_owned(), serve(Arc::new(answers)).await + "/${topic}");
        sink_suite(Receiver { config, done }).await;
    }
}

#[tokio::test]
async fn a_record_that_is_refused_is_reported_and_others_arrive() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = taken.clone();
    let answers = move |asked: &Asked| {
        let items: Vec<Json> = serde_json::from_slice(&asked.body).expect("a list");
        if items.iter().any(|item| item.as_str().is_some_and(|text| text.contains("record 5"))) {
            return answer(422, &[], "no fives");
        }
        kept.lock().extend(items);
        answer(204, &[], "")
    };
    let url = serve(Arc::new(answers)).await;
    let connector = HttpSink::new(Arc::new(Allowed::everything()));
    let config = config(&[("http.url", &url), ("batch.size", "100"), ("http.format", "json-array")]);
    let values = connector.settings().parse(&config).expect("settings");
    let records: Vec<Record> = (0..10).map(|offset| record(0, offset)).collect();
    for reporting in [true, false] {
        taken.lock().clear();
        let context = SinkContext::new("c", 0, reporting);
        let mut task = connector.task(&values, context.clone()).expect("a task");
        let put = task.put(&records).await;
        if !reporting {
            assert!(put.is_err_and(|error| error.message.contains("no fives")));
            continue;
        }
        put.expect("records");
        assert_eq!(taken.lock().len(), 9);
        let errant = context.take_errant();
        let offsets: Vec<i64> = errant
            .iter()
            .filter_map(|errant| match &errant.record.origin {
                Origin::Topic(at) => Some(at.offset),
                Origin::Source(_) => None,
            })
            .collect();
        assert_eq!(offsets, [5]);
    }
}
