mod encrypted;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::schema::serializer::SubjectVersion;

/// A registry that answers from a table, and remembers what it was asked: lines of requests, with the headers that matter.
struct Table {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Table {
    /// Each answer is for requests that begin like it; several for one are given one after another, the last for ever.
    async fn start(answers: Vec<(&'static str, u16, Value)>) -> Table {
        Table::start_behind(None, answers).await
    }

    /// The same, encrypted.
    async fn start_behind(tls: Option<TlsAcceptor>, answers: Vec<(&'static str, u16, Value)>) -> Table {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answers) = (asked.clone(), Arc::new(Mutex::new(answers)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answers, tls) = (log.clone(), answers.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, log, answers).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, log, answers).await;
                            }
                        }
                    }
                });
            }
        });
        Table { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }
}

type Answers = Arc<Mutex<Vec<(&'static str, u16, Value)>>>;

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    log: Arc<Mutex<Vec<String>>>,
    answers: Answers,
) {
    let mut buffer = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        buffer.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&buffer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() < length {
            continue;
        }
        let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        let told = ["authorization", "x-team"].iter().filter_map(|name| header(name));
        log.lock().push(std::iter::once(line.clone()).chain(told).collect::<Vec<_>>().join(" "));
        let (status, answer) = {
            let mut answers = answers.lock();
            let own = |(path, ..): &(&str, u16, Value)| line.starts_with(path);
            let at = answers.iter().position(own);
            let more = answers.iter().filter(|answer| own(answer)).count() > 1;
            match at {
                Some(at) if more => {
                    let (_, status, answer) = answers.remove(at);
                    (status, answer)
                }
                Some(at) => (answers[at].1, answers[at].2.clone()),
                None => (404, json!({"error_code": 40403, "message": "Schema not found"})),
            }
        };
        let answer = answer.to_string();
        let length = answer.len();
        let response = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{answer}");
        stream.write_all(response.as_bytes()).await.unwrap();
        buffer.clear();
    }
}

fn client(settings: &[(&str, &str)]) -> RemoteRegistry {
    let mut given: HashMap<String, String> =
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    given.entry("retries.wait.ms".to_owned()).or_insert_with(|| "0".to_owned());
    RemoteRegistry::new(HttpSettings::of_client(&given).unwrap()).unwrap()
}

fn source(references: &[(&str, &str, i32)]) -> SchemaSource {
    let references = references.iter().map(|(name, subject, version)| SubjectVersion {
        name: (*name).to_owned(),
        subject: (*subject).to_owned(),
        version: *version,
    });
    SchemaSource { format: "AVRO".to_owned(), text: "\"int\"".to_owned(), references: references.collect() }
}

#[tokio::test]
async fn what_never_changes_is_asked_once() {
    let int =
        json!({"schema": "\"int\"", "guid": "ef524ea1-b91e-7317-3d93-8ade36c1db32", "subject": "s", "id": 7});
    let table = Table::start(vec![
        ("GET /schemas/ids/7", 200, int.clone()),
        (
            "GET /schemas/guids/ef524ea1-b91e-7317-3d93-8ade36c1db32/ids",
            200,
            json!([{"context": ".", "id": 7}]),
        ),
        ("GET /schemas/guids/", 200, int.clone()),
        ("POST /subjects/a%2Fb/versions?normalize=true", 200, json!({"id": 7})),
        ("POST /subjects/s?normalize=false", 200, int.clone()),
        ("GET /subjects/s/versions/latest", 200, int.clone()),
        ("GET /subjects/s/metadata?key=app&value=o%20p", 200, int.clone()),
    ])
    .await;
    let registry = client(&[("schema.registry.url", &table.address)]);
    let guid = Guid::parse("ef524ea1-b91e-7317-3d93-8ade36c1db32");
    let properties = BTreeMap::from([("app".to_owned(), "o p".to_owned())]);
    for _ in 0..2 {
        let registered = registry.by_id(7, Some("s")).await.unwrap();
        assert_eq!((registered.id, registered.guid, registered.text.as_str()), (7, guid, "\"int\""));
        assert_eq!(registry.by_guid(guid.unwrap()).await.unwrap().id, 7);
        assert_eq!(registry.register("a/b", &source(&[]), true).await.unwrap().id, 7);
        assert_eq!(registry.lookup("s", &source(&[]), false).await.unwrap().guid, guid);
        assert_eq!(registry.latest("s").await.unwrap().id, 7);
        assert_eq!(registry.latest_with("s", &properties).await.unwrap().format, "AVRO");
    }
    assert_eq!(table.asked().len(), 5 + 2 * 2);
    assert_eq!(registry.by_id(8, None).await.unwrap_err().code, Some(40403));
    assert_eq!(table.asked(), ["GET /schemas/ids/8"]);
}

#[tokio::test]
async fn references_are_read_in_their_order_and_context_and_circles_end() {
    let table = Table::start(vec![
        (
            "GET /schemas/ids/1",
            200,
            json!({"schema": "root", "subject": ":.c:s", "references": [
                {"name": "a", "subject": "a", "version": 1}, {"name": "b", "subject": ":.d:b", "version": 2},
            ]}),
        ),
        (
            "GET /subjects/:.c:a/versions/1",
            200,
            json!({"schema": "A", "references": [{"name": "b", "subject": ":.d:b", "version": 2}]}),
        ),
        (
            "GET /subjects/:.d:b/versions/2",
            200,
            json!({"schema": "B", "references": [{"name": "a", "subject": ":.c:a", "version": 1}]}),
        ),
    ])
    .await;
    let registry = client(&[("schema.registry.url", &table.address)]);
    let registered = registry.by_id(1, Some(":.c:s")).await.unwrap();
    let found: Vec<(&str, &str)> =
        registered.referenced.iter().map(|one| (one.name.as_str(), one.text.as_str())).collect();
    assert_eq!(found, [("b", "B"), ("a", "A")]);
    assert_eq!(table.asked().len(), 3);
}

#[tokio::test]
async fn another_address_is_asked_and_then_all_again() {
    let ready = Table::start(vec![("GET /subjects/s", 200, json!({"id": 1, "schema": "x"}))]).await;
    let slow = Table::start(vec![
        ("GET /subjects/s", 503, json!({"error_code": 50300, "message": "starting"})),
        ("GET /subjects/s", 503, json!({})),
        ("GET /subjects/s", 200, json!({"id": 2, "schema": "x"})),
    ])
    .await;
    // Nobody listens there any more.
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let all = format!("{gone}, {}/, {}", slow.address, ready.address);
    let registry = client(&[("schema.registry.url", &all)]);
    for _ in 0..2 {
        assert_eq!(registry.latest("s").await.unwrap().id, 1);
    }
    assert_eq!((slow.asked().len(), ready.asked().len()), (1, 2), "the one that answered is asked first");
    let registry = client(&[("schema.registry.url", &slow.address)]);
    assert_eq!(registry.latest("s").await.unwrap().id, 2, "it was ready the next time");
    let registry = client(&[("schema.registry.url", &gone), ("max.retries", "1")]);
    let error = registry.latest("s").await.unwrap_err();
    assert!(error.code.is_none() && error.message.starts_with(&gone), "{error}");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let registry =
        client(&[("schema.registry.url", &url), ("max.retries", "0"), ("http.read.timeout.ms", "20")]);
    assert!(registry.latest("s").await.unwrap_err().message.ends_with("no answer in 20 ms"));
}

#[tokio::test]
async fn who_asks_is_told_in_headers() {
    let table = Table::start(vec![("GET ", 200, json!({"id": 1, "schema": "x"}))]).await;
    let with_user = table.address.replace("http://", "http://ann:secret@");
    for (settings, told) in [
        (vec![("schema.registry.url", &*with_user)], "Basic YW5uOnNlY3JldA=="),
        (
            vec![
                ("schema.registry.url", &*table.address),
                ("basic.auth.credentials.source", "USER_INFO"),
                ("schema.registry.basic.auth.user.info", "ann:secret"),
                ("request.header.X-Team", "t"),
            ],
            "Basic YW5uOnNlY3JldA== t",
        ),
        (
            vec![
                ("schema.registry.url", &*table.address),
                ("bearer.auth.credentials.source", "STATIC_TOKEN"),
                ("bearer.auth.token", "abc"),
            ],
            "Bearer abc",
        ),
    ] {
        client(&settings).latest("s").await.unwrap();
        assert_eq!(table.asked(), [format!("GET /subjects/s/versions/latest {told}")]);
    }
}

#[test]
fn settings_that_cannot_be_are_refused_by_name_and_without_their_values() {
    for (key, value) in [
        ("schema.registry.url", ""),
        ("schema.registry.url", "ftp://host"),
        ("schema.registry.url", "http:///path"),
        ("basic.auth.credentials.source", "SASL_INHERIT"),
        ("bearer.auth.credentials.source", "OAUTHBEARER"),
        ("http.read.timeout.ms", "soon"),
        ("max.retries", "-1"),
    ] {
        let mut given =
            HashMap::from([("schema.registry.url".to_owned(), "http://localhost:8081".to_owned())]);
        given.insert(key.to_owned(), value.to_owned());
        let error = HttpSettings::of_client(&given).unwrap_err();
        assert!(error.to_string().starts_with(key), "{error}");
        assert!(value.is_empty() || !error.to_string().contains(value), "{error}");
    }
    let given = HashMap::from([
        ("schema.registry.url".to_owned(), "http://u:p@host:1/base/,https://other".to_owned()),
        ("linger.ms".to_owned(), "5".to_owned()),
    ]);
    let read = HttpSettings::of_client(&given).unwrap();
    assert_eq!(read.addresses, ["http://host:1/base", "https://other"]);
    assert!(!format!("{read:?}").contains("p@"));
}

#[test]
fn names_are_encoded_for_a_path() {
    for (name, expected) in
        [("orders-value", "orders-value"), (":.c:a/b", ":.c:a%2Fb"), ("á %", "%C3%A1%20%25")]
    {
        assert_eq!(part(name), expected);
    }
}
