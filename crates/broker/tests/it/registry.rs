//! The schema registry over HTTP.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vltava_broker::{Broker, Builder};
use vltava_core::error::ErrorCode;
use vltava_core::id::Timestamp;
use vltava_core::record::{BatchBuilder, Compression};
use vltava_protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use vltava_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest};

use crate::client::{PRODUCE, produce_bytes};

const V1: &str = "application/vnd.schemaregistry.v1+json";

fn with_registry() -> Builder {
    Broker::builder().set("vltava.registry.listeners", "http://127.0.0.1:0")
}

/// A server and what it is asked.
pub(crate) struct Client(pub(crate) SocketAddr);

impl Client {
    pub(crate) async fn start() -> (Broker, Client) {
        let broker = with_registry().start().await.unwrap();
        let client = Client(broker.registry_address().unwrap());
        (broker, client)
    }

    /// The status, headers and body of an answer.
    pub(crate) async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.0).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}",
            self.0
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let response = String::from_utf8(response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let headers = format!("Content-Type: {V1}\r\n");
        let (status, _, body) = self.exchange(method, path, &headers, &text).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    /// Asks, and compares what of the answer is in `expected`.
    pub(crate) async fn check(&self, method: &str, path: &str, body: Value, status: u16, expected: Value) {
        let answer = self.ask(method, path, &body).await;
        assert_eq!(answer.0, status, "{method} {path} {body}: {}", answer.1);
        assert!(covers(&answer.1, &expected), "{method} {path} {body}: {} is not {expected}", answer.1);
    }

    /// Asks for what is refused with this code and these words.
    pub(crate) async fn refused(&self, method: &str, path: &str, body: Value, code: u32, words: &str) {
        let (status, answer) = self.ask(method, path, &body).await;
        let expected = if code > 999 { code / 100 } else { code };
        assert_eq!(
            (u32::from(status), answer["error_code"].as_u64()),
            (expected, Some(u64::from(code))),
            "{method} {path} {body}: {answer}"
        );
        assert!(
            answer["message"].as_str().unwrap().contains(words),
            "{method} {path}: {answer} lacks {words:?}"
        );
    }
}

/// Whether an answer has what is expected: members of objects, all elements of lists, and everything else as it is.
pub(crate) fn covers(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| answer.get(name).is_some_and(|known| covers(known, value)))
        }
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len()
                && answer.iter().zip(expected).all(|(known, value)| covers(known, value))
        }
        (answer, expected) => answer == expected,
    }
}

pub(crate) fn record(fields: &[&str]) -> Value {
    let fields: Vec<Value> = fields
        .iter()
        .map(|field| match field.strip_suffix('?') {
            Some(name) => json!({"name": name, "type": "int", "default": 0}),
            None => json!({"name": field, "type": "int"}),
        })
        .collect();
    json!({"schema": json!({"type": "record", "name": "R", "fields": fields}).to_string()})
}

#[tokio::test]
async fn schemas_are_registered_found_and_deleted() {
    let (broker, client) = Client::start().await;
    client.check("GET", "/", Value::Null, 200, json!({})).await;
    client.check("GET", "/subjects", Value::Null, 200, json!([])).await;
    client.refused("GET", "/schemas/ids/1", Value::Null, 40403, "Schema 1 not found").await;
    client
        .check(
            "POST",
            "/subjects/s/versions",
            record(&["a"]),
            200,
            json!({"id": 1, "version": 1, "schemaType": "AVRO"}),
        )
        .await;
    client.check("POST", "/subjects/s/versions", record(&["a"]), 200, json!({"id": 1, "version": 1})).await;
    client
        .check("POST", "/subjects/s/versions", record(&["a", "b?"]), 200, json!({"id": 2, "version": 2}))
        .await;
    client
        .check("POST", "/subjects/t%2Fu/versions", record(&["a"]), 200, json!({"id": 1, "version": 1}))
        .await;
    client.check("GET", "/subjects", Value::Null, 200, json!(["s", "t/u"])).await;
    client.check("GET", "/subjects?offset=1&limit=5", Value::Null, 200, json!(["t/u"])).await;
    client.check("GET", "/subjects?subjectPrefix=s", Value::Null, 200, json!(["s"])).await;
    client.check("GET", "/subjects/s/versions", Value::Null, 200, json!([1, 2])).await;
    client
        .check(
            "GET",
            "/subjects/s/versions/latest",
            Value::Null,
            200,
            json!({"subject": "s", "version": 2, "id": 2, "deleted": false}),
        )
        .await;
    client.check("GET", "/subjects/s/versions/-1", Value::Null, 200, json!({"version": 2})).await;
    client.check("GET", "/schemas/ids/1", Value::Null, 200, json!({"schemaType": "AVRO"})).await;
    client.check("GET", "/schemas/ids/1?fetchMaxId=true", Value::Null, 200, json!({"maxId": 2})).await;
    client.check("GET", "/schemas/ids/1/subjects", Value::Null, 200, json!(["s", "t/u"])).await;
    client
        .check(
            "GET",
            "/schemas/ids/1/versions?subject=s",
            Value::Null,
            200,
            json!([{"subject": "s", "version": 1}, {"subject": "t/u", "version": 1}]),
        )
        .await;
    client
        .check("POST", "/subjects/s", record(&["a"]), 200, json!({"subject": "s", "version": 1, "id": 1}))
        .await;
    client.refused("POST", "/subjects/s", record(&["z"]), 40403, "Schema not found").await;
    client.refused("POST", "/subjects/none", record(&["a"]), 40401, "Subject 'none' not found.").await;
    client.refused("GET", "/subjects/none/versions", Value::Null, 40401, "Subject 'none' not found.").await;
    client.refused("GET", "/subjects/s/versions/9", Value::Null, 40402, "Version 9 not found.").await;
    client
        .refused(
            "GET",
            "/subjects/s/versions/earliest",
            Value::Null,
            42202,
            "The specified version 'earliest' is not a valid version id",
        )
        .await;
    client
        .refused(
            "POST",
            "/subjects/s/versions",
            record(&["c"]),
            40901,
            "Schema being registered is incompatible with an earlier schema for subject \"s\", details: [",
        )
        .await;
    client
        .refused(
            "POST",
            "/subjects/s/versions",
            json!({"schema": "{"}),
            42201,
            "Invalid schema of type AVRO, details: ",
        )
        .await;
    client
        .refused(
            "POST",
            "/subjects/s/versions",
            json!({"schema": "x", "schemaType": "XML"}),
            42201,
            "Invalid schema type XML",
        )
        .await;
    let (_, by_id) = client.ask("GET", "/schemas/ids/2", &Value::Null).await;
    let guid = by_id["guid"].as_str().unwrap();
    client.check("GET", &format!("/schemas/guids/{guid}"), Value::Null, 200, json!({"guid": guid})).await;
    client
        .check(
            "GET",
            &format!("/schemas/guids/{guid}/ids"),
            Value::Null,
            200,
            json!([{"context": ".", "id": 2}]),
        )
        .await;
    let (_, text) = client.ask("GET", "/schemas/ids/2/schema", &Value::Null).await;
    assert_eq!(text["name"], "R");
    client.check("DELETE", "/subjects/s/versions/latest", Value::Null, 200, json!(2)).await;
    client.check("GET", "/subjects/s/versions?deleted=true", Value::Null, 200, json!([1, 2])).await;
    client
        .check("GET", "/subjects/s/versions?deletedAsNegative=true", Value::Null, 200, json!([1, -2]))
        .await;
    client.check("GET", "/subjects/s/versions?deletedOnly=true", Value::Null, 200, json!([2])).await;
    client.refused("DELETE", "/subjects/s/versions/2", Value::Null, 40406, "was soft deleted").await;
    client.check("DELETE", "/subjects/s/versions/2?permanent=true", Value::Null, 200, json!(2)).await;
    client.refused("GET", "/schemas/ids/2", Value::Null, 40403, "Schema 2 not found").await;
    client.check("DELETE", "/subjects/s", Value::Null, 200, json!([1])).await;
    client.refused("DELETE", "/subjects/s", Value::Null, 40404, "Subject 's' was soft deleted").await;
    client.check("GET", "/subjects?deletedOnly=true", Value::Null, 200, json!(["s"])).await;
    client.check("DELETE", "/subjects/s?permanent=true", Value::Null, 200, json!([1])).await;
    client.check("POST", "/subjects/s/versions", record(&["q"]), 200, json!({"id": 3, "version": 1})).await;
    broker.shutdown().await;
}

#[tokio::test]
async fn settings_and_contexts_have_their_endpoints() {
    let (broker, client) = Client::start().await;
    client.check("GET", "/config", Value::Null, 200, json!({"compatibilityLevel": "BACKWARD"})).await;
    client
        .refused(
            "GET",
            "/config/s",
            Value::Null,
            40408,
            "Subject 's' does not have subject-level compatibility configured",
        )
        .await;
    client
        .check(
            "GET",
            "/config/s?defaultToGlobal=true",
            Value::Null,
            200,
            json!({"compatibilityLevel": "BACKWARD"}),
        )
        .await;
    client
        .check(
            "PUT",
            "/config/s",
            json!({"compatibility": "full", "unknown": [1]}),
            200,
            json!({"compatibility": "FULL"}),
        )
        .await;
    client.check("GET", "/config/s", Value::Null, 200, json!({"compatibilityLevel": "FULL"})).await;
    client
        .refused(
            "PUT",
            "/config",
            json!({"compatibility": "SIDEWAYS"}),
            42203,
            "Invalid compatibility level. Valid values are none",
        )
        .await;
    client.check("DELETE", "/config/s", Value::Null, 200, json!({"compatibilityLevel": "FULL"})).await;
    client.refused("DELETE", "/config/s", Value::Null, 40401, "Subject 's' not found.").await;
    client.check("GET", "/mode", Value::Null, 200, json!({"mode": "READWRITE"})).await;
    client.refused("GET", "/mode/s", Value::Null, 40409, "does not have subject-level mode configured").await;
    client.refused("PUT", "/mode/s", json!({"mode": "SOMETIMES"}), 42204, "Invalid mode.").await;
    client.check("PUT", "/mode/s", json!({"mode": "READONLY"}), 200, json!({"mode": "READONLY"})).await;
    client.refused("POST", "/subjects/s/versions", record(&["a"]), 42205, "is in read-only mode").await;
    client.check("DELETE", "/mode/s", Value::Null, 200, json!({"mode": "READONLY"})).await;
    client
        .check("POST", "/contexts/c/subjects/s/versions", record(&["a"]), 200, json!({"id": 1, "version": 1}))
        .await;
    client
        .check("POST", "/subjects/:.c:s/versions", record(&["a", "b?"]), 200, json!({"id": 2, "version": 2}))
        .await;
    client.check("GET", "/contexts", Value::Null, 200, json!([".", ".c"])).await;
    client.check("GET", "/contexts/.c/subjects", Value::Null, 200, json!([":.c:s"])).await;
    client.check("GET", "/contexts/c/schemas/ids/2", Value::Null, 200, json!({"subject": ":.c:s"})).await;
    client.check("GET", "/subjects/s/versions/1", Value::Null, 200, json!({"subject": ":.c:s"})).await;
    client
        .check(
            "PUT",
            "/contexts/c/config",
            json!({"compatibility": "NONE"}),
            200,
            json!({"compatibility": "NONE"}),
        )
        .await;
    client
        .check("POST", "/subjects/:.c:s/versions", record(&["z"]), 200, json!({"id": 3, "version": 3}))
        .await;
    client.refused("DELETE", "/contexts/c", Value::Null, 42211, "is not empty").await;
    client.check("DELETE", "/subjects/:.c:s", Value::Null, 200, json!([1, 2, 3])).await;
    client.check("DELETE", "/subjects/:.c:s?permanent=true", Value::Null, 200, json!([1, 2, 3])).await;
    client.check("DELETE", "/contexts/c", Value::Null, 204, json!("")).await;
    client.check("GET", "/contexts", Value::Null, 200, json!(["."])).await;
    client.check("GET", "/schemas/types", Value::Null, 200, json!(["JSON", "PROTOBUF", "AVRO"])).await;
    client.check("GET", "/v1/metadata/id", Value::Null, 200, json!({"scope": {"path": []}})).await;
    broker.shutdown().await;
}

#[tokio::test]
async fn compatibility_is_told_without_a_registration() {
    let (broker, client) = Client::start().await;
    client.check("POST", "/subjects/s/versions", record(&["a"]), 200, json!({"id": 1})).await;
    for (path, fields, expected) in [
        ("versions/latest", &["a", "b?"][..], json!({"is_compatible": true})),
        ("versions/latest?verbose=true", &["a", "b?"], json!({"is_compatible": true, "messages": []})),
        ("versions/1", &["a", "b"], json!({"is_compatible": false})),
        ("versions", &["a", "b"], json!({"is_compatible": false})),
        ("versions", &["a"], json!({"is_compatible": true})),
    ] {
        client
            .check("POST", &format!("/compatibility/subjects/s/{path}"), record(fields), 200, expected)
            .await;
    }
    let (_, verdict) =
        client.ask("POST", "/compatibility/subjects/s/versions/1?verbose=true", &record(&["a", "b"])).await;
    assert!(verdict["messages"].to_string().contains("READER_FIELD_MISSING_DEFAULT_VALUE"), "{verdict}");
    client
        .refused(
            "POST",
            "/compatibility/subjects/s/versions/7",
            record(&["a"]),
            40402,
            "Version 7 not found.",
        )
        .await;
    client
        .check(
            "POST",
            "/compatibility/subjects/new/versions",
            record(&["a"]),
            200,
            json!({"is_compatible": true}),
        )
        .await;
    client
        .check(
            "POST",
            "/compatibility/subjects/s/versions?verbose=true",
            json!({"schema": "{"}),
            200,
            json!({"is_compatible": false}),
        )
        .await;
    broker.shutdown().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_told_so_in_json() {
    let (broker, client) = Client::start().await;
    for (method, path, headers, body, status) in [
        ("GET", "/nowhere", "", "", 404),
        ("GET", "/schemas/ids/one", "", "", 404),
        ("PUT", "/subjects", "Content-Type: application/json\r\n", "{}", 405),
        ("OPTIONS", "/subjects", "", "", 200),
        ("HEAD", "/subjects", "", "", 200),
        ("GET", "/subjects", "Accept: text/html\r\n", "", 406),
        ("GET", "/subjects", "Accept: application/json\r\n", "", 200),
        ("POST", "/subjects/s/versions", "Content-Type: text/plain\r\n", "{}", 415),
        ("POST", "/subjects/s/versions", "Content-Type: application/json\r\n", "{", 400),
        ("POST", "/subjects/s/versions", "Content-Type: application/json\r\n", "", 422),
        ("POST", "/subjects/s/versions", "", "{\"schema\":\"\\\"int\\\"\"}", 200),
        (
            "POST",
            "/subjects/s/versions",
            "Origin: http://evil.example\r\n",
            "{\"schema\":\"\\\"int\\\"\"}",
            403,
        ),
        ("GET", "/subjects", "Origin: http://localhost:3000\r\n", "", 200),
        ("GET", "/exporters", "", "", 200),
        ("POST", "/exporters", "Content-Type: application/json\r\n", "{}", 501),
        ("PUT", "/exporters", "Content-Type: application/json\r\n", "{}", 405),
        ("GET", "/dek-registry/v1/keks", "", "", 200),
        ("POST", "/dek-registry/v1/keks", "Content-Type: application/json\r\n", "{}", 501),
        ("GET", "/associations/subjects/s", "", "", 200),
        ("GET", "/associations/resources/some-id", "", "", 200),
        ("GET", "/associations/resources/-/orders?resourceType=topic&associationType=value", "", "", 200),
        ("GET", "/associations/subjects/s?limit=x", "", "", 404),
        ("PUT", "/associations", "Content-Type: application/json\r\n", "{}", 405),
    ] {
        let (answered, head, answer) = client.exchange(method, path, headers, body).await;
        assert_eq!(answered, status, "{method} {path} {headers}: {answer}");
        if status >= 400 {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["error_code"], u64::from(status), "{method} {path}");
        }
        let media_type =
            if headers.contains("application/json\r\n") && method == "GET" { "application/json" } else { V1 };
        assert!(
            status == 406 || head.contains(&format!("content-type: {media_type}\r\n")),
            "{method} {path}: {head}"
        );
    }
    let large = format!("{{\"schema\":\"{}\"}}", "x".repeat(2 << 20));
    let (status, ..) =
        client.exchange("POST", "/subjects/s/versions", "Content-Type: application/json\r\n", &large).await;
    assert_eq!(status, 413);
    broker.shutdown().await;
}

#[tokio::test]
async fn bodies_have_the_size_that_is_set() {
    let key = "vltava.registry.size.limit.filter.max.request.body.size";
    let broker = with_registry().set(key, "2048").start().await.unwrap();
    let client = Client(broker.registry_address().unwrap());
    for (padding, status) in [(1_900, 200), (2_048, 413)] {
        let body = format!("{{\"schema\":\"\\\"int\\\"\"{}}}", " ".repeat(padding));
        let answer = client.exchange("POST", "/subjects/s/versions", "", &body).await;
        assert_eq!(answer.0, status, "{padding}: {}", answer.2);
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn hostile_requests_are_refused_and_in_nobodys_way() {
    let (broker, client) = Client::start().await;
    let own = client.0;
    let head = |rest: &str| {
        format!("POST /subjects/s/versions HTTP/1.1\r\nHost: {own}\r\nContent-Type: {V1}\r\n{rest}")
    };
    // Bodies that do not come are waited for, each on its own connection.
    let mut silent = Vec::new();
    for rest in ["Content-Length: 100\r\n\r\n{\"schema\"", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"sch"] {
        let mut stream = TcpStream::connect(own).await.unwrap();
        stream.write_all(head(rest).as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let nested = |depth: usize| format!("{{\"schema\":{}", "[".repeat(depth));
    let deep = nested(200_000);
    let header = format!("X-Long: {}\r\n", "x".repeat(64 << 10));
    let close = "Connection: close\r\n";
    for (request, status) in [
        (head(&format!("{close}Content-Length: {}\r\n\r\n{deep}", deep.len())), 400),
        (head(&format!("{close}Transfer-Encoding: chunked\r\n\r\nzz\r\n")), 413),
        (head(&format!("{close}Content-Length: -1\r\n\r\n")), 400),
        (head(&format!("{close}Content-Length: 99999999999999999999\r\n\r\n")), 400),
        (head(&format!("{close}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{{}}")), 400),
        (head(&format!("{close}{header}\r\n")), 431),
        (format!("GET /subjects HTTP/1.1\r\nHost: evil.example\r\n{close}\r\n"), 421),
        (format!("GET /subjects HTTP/1.1\r\n{close}\r\n"), 400),
        (format!("GET /subjects/%2 HTTP/1.1\r\nHost: {own}\r\n{close}\r\n"), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: {own}\r\n{close}\r\n", "a/".repeat(100)), 404),
    ] {
        let mut stream = TcpStream::connect(own).await.unwrap();
        // It may answer and close before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.200}: {answer}");
    }
    let deep = json!({"schema": "[".repeat(10_000)});
    client.refused("POST", "/subjects/s/versions", deep, 42201, "nested").await;
    client.check("GET", "/subjects", Value::Null, 200, json!([])).await;
    drop(silent);
    broker.shutdown().await;
}

#[tokio::test]
async fn the_registry_is_below_the_nodes_own_server_as_well_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        with_registry().set("vltava.http.listeners", "http://127.0.0.1:0").directory(folder.path()).start()
    };
    let broker = start().await.unwrap();
    let client = Client(broker.http_address().unwrap());
    client.check("POST", "/registry/subjects/s/versions", record(&["a"]), 200, json!({"id": 1})).await;
    client.check("GET", "/registry/subjects", Value::Null, 200, json!(["s"])).await;
    client.check("GET", "/registry", Value::Null, 200, json!({})).await;
    broker.shutdown().await;
    let broker = start().await.unwrap();
    let client = Client(broker.registry_address().unwrap());
    client.check("GET", "/subjects/s/versions/1", Value::Null, 200, json!({"id": 1})).await;
    client
        .check("POST", "/subjects/s/versions", record(&["a", "b?"]), 200, json!({"id": 2, "version": 2}))
        .await;
    broker.shutdown().await;
}

#[tokio::test]
async fn empty_subjects_and_several_versions_of_one_name_are_refused_when_asked() {
    let strict = || {
        with_registry()
            .set("vltava.registry.schema.reject.empty.subject", "true")
            .set("vltava.registry.schema.providers.reference.versions.strict", "true")
    };
    for (builder, refuses) in [(with_registry(), false), (strict(), true)] {
        let broker = builder.start().await.unwrap();
        let client = Client(broker.registry_address().unwrap());
        let referring = |name: &str, references: &[(&str, i32)]| {
            let shown: Vec<Value> = references
                .iter()
                .map(|(subject, version)| json!({"name": subject, "subject": subject, "version": version}))
                .collect();
            let text = json!({"type": "record", "name": name, "fields": []}).to_string();
            json!({"schema": text, "references": shown})
        };
        client.check("POST", "/subjects/inner/versions", record(&["a"]), 200, json!({"version": 1})).await;
        client
            .check("POST", "/subjects/inner/versions", record(&["a", "b?"]), 200, json!({"version": 2}))
            .await;
        let middle = referring("Middle", &[("inner", 2)]);
        client.check("POST", "/subjects/middle/versions", middle, 200, json!({"version": 1})).await;
        let same = referring("Same", &[("inner", 2), ("middle", 1)]);
        client.check("POST", "/subjects/same/versions", same, 200, json!({"version": 1})).await;
        let rows = [
            (
                "root",
                referring("Root", &[("inner", 1), ("middle", 1)]),
                42201,
                "Conflicting reference versions for \"inner\": version 1 and version 2",
            ),
            (":.:", record(&["a"]), 42208, ""),
            (":.context:", record(&["a"]), 42208, ""),
            ("*", record(&["a"]), 42208, "*"),
        ];
        for (subject, body, code, words) in rows {
            let path = format!("/subjects/{subject}/versions");
            if refuses {
                client.refused("POST", &path, body, code, words).await;
            } else {
                client.check("POST", &path, body, 200, json!({})).await;
            }
        }
        broker.shutdown().await;
    }
}

/// Everybody registers under one subject at the same time: every schema gets a version and an id of its own.
#[tokio::test]
async fn many_who_register_at_once_all_get_ids_of_their_own() {
    let (broker, client) = Client::start().await;
    client.check("PUT", "/config", json!({"compatibility": "NONE"}), 200, json!({})).await;
    let address = client.0;
    let asked = (0..12).map(|number| {
        tokio::spawn(async move {
            let (status, answer) =
                Client(address).ask("POST", "/subjects/s/versions", &record(&[&format!("f{number}")])).await;
            assert_eq!(status, 200, "{answer}");
            (answer["id"].as_i64().unwrap(), answer["version"].as_i64().unwrap())
        })
    });
    let mut given = Vec::new();
    for one in asked.collect::<Vec<_>>() {
        given.push(one.await.unwrap());
    }
    given.sort_unstable();
    assert_eq!(given, (1..=12).map(|number| (number, number)).collect::<Vec<_>>());
    broker.shutdown().await;
}

/// A record in a batch of its own, as a producer sends it.
fn batch_of(key: &str, value: &[u8]) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Timestamp(1_700_000_000_000), Some(key.as_bytes()), Some(value), &[]);
    builder.build().unwrap().to_bytes()
}

#[tokio::test]
async fn others_may_write_into_the_topic_at_any_time() {
    let (broker, client) = Client::start().await;
    client.check("POST", "/subjects/s/versions", record(&["a"]), 200, json!({"id": 1})).await;
    let mut kafka = crate::client::Client::connect(broker.address()).await;
    let key = r#"{"keytype":"SCHEMA","subject":"theirs","version":1,"magic":1}"#;
    let value = r#"{"subject":"theirs","version":1,"id":40,"schema":"\"string\"","deleted":false}"#;
    for (key, value) in [(key, value), ("nonsense", "nonsense")] {
        let request = produce_bytes("_schemas", batch_of(key, value.as_bytes()), -1);
        let answer = kafka.ask(&request, PRODUCE).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
    client.check("GET", "/subjects/theirs/versions/1", Value::Null, 200, json!({"id": 40})).await;
    client.check("POST", "/subjects/s/versions", record(&["a", "b?"]), 200, json!({"id": 41})).await;
    broker.shutdown().await;
}

/// Creates the topic `t`, which asks for schemas of its values.
async fn create_asking(kafka: &mut crate::client::Client, level: &str) {
    let config = CreatableTopicConfig {
        name: "vltava.schema.validation.value".into(),
        value: Some(level.to_owned().into()),
    };
    let topic = CreatableTopic {
        name: "t".into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..CreatableTopic::default()
    };
    let create =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..CreateTopicsRequest::default() };
    assert_eq!(kafka.ask(&create, 7).await.topics[0].error_code, 0);
}

#[tokio::test]
async fn a_topic_may_ask_for_schemas_of_its_records() {
    let (broker, client) = Client::start().await;
    client
        .check("POST", "/subjects/t-value/versions", json!({"schema": "\"int\""}), 200, json!({"id": 1}))
        .await;
    client
        .check("POST", "/subjects/other/versions", json!({"schema": "\"long\""}), 200, json!({"id": 2}))
        .await;
    let mut kafka = crate::client::Client::connect(broker.address()).await;
    for (level, value, refused) in [
        ("none", &b"anything"[..], None),
        ("id", b"anything", Some("the value of the record: it names no schema")),
        ("id", b"\0\0\0\0\x09\x02", Some("schema 9 is not in the registry; register it first")),
        ("id", b"\0\0\0\0\x02\x02", None),
        (
            "subject",
            b"\0\0\0\0\x02\x02",
            Some("schema 2 is none of subject 't-value'; register it there first"),
        ),
        ("subject", b"\0\0\0\0\x01\xff", None),
        ("payload", b"\0\0\0\0\x01\xff", Some("it is not what schema 1 of subject 't-value' says")),
        ("payload", b"\0\0\0\0\x01\x02", None),
    ] {
        create_asking(&mut kafka, level).await;
        let answer = kafka.ask(&produce_bytes("t", batch_of("k", value), -1), PRODUCE).await;
        let answer = &answer.responses[0].partition_responses[0];
        let code = ErrorCode::from_code(answer.error_code);
        let message = answer.error_message.as_deref().unwrap_or_default();
        match refused {
            None => assert_eq!(code, ErrorCode::NONE, "{level} {value:?}: {message}"),
            Some(words) => {
                assert_eq!(code, ErrorCode::INVALID_RECORD, "{level} {value:?}");
                assert!(message.contains(words), "{level} {value:?}: {message:?} lacks {words:?}");
                assert_eq!(answer.record_errors[0].batch_index, 0);
            }
        }
        let delete = DeleteTopicsRequest {
            topic_names: vec!["t".into()],
            timeout_ms: 10_000,
            ..DeleteTopicsRequest::default()
        };
        assert_eq!(kafka.ask(&delete, 5).await.responses[0].error_code, 0);
    }
    broker.shutdown().await;
}

/// Records of one partition in two places of a request: what is refused for one is refused for both, and nothing is written.
#[tokio::test]
async fn a_partition_that_is_named_twice_is_refused_as_a_whole() {
    let (broker, client) = Client::start().await;
    client
        .check("POST", "/subjects/t-value/versions", json!({"schema": "\"int\""}), 200, json!({"id": 1}))
        .await;
    let mut kafka = crate::client::Client::connect(broker.address()).await;
    create_asking(&mut kafka, "payload").await;
    let (right, wrong) = (&b"\0\0\0\0\x01\x02"[..], &b"nothing"[..]);
    for (first, second, written) in
        [(right, wrong, 0), (wrong, right, 0), (wrong, wrong, 0), (right, right, 2)]
    {
        let mut request = produce_bytes("t", batch_of("k", first), -1);
        let mut again = produce_bytes("t", batch_of("k", second), -1);
        request.topic_data[0].partition_data.append(&mut again.topic_data[0].partition_data);
        let before = end_of(&mut kafka).await;
        let answer = kafka.ask(&request, PRODUCE).await;
        let codes: Vec<ErrorCode> = answer.responses[0]
            .partition_responses
            .iter()
            .map(|one| ErrorCode::from_code(one.error_code))
            .collect();
        let expected = if written == 0 { ErrorCode::INVALID_RECORD } else { ErrorCode::NONE };
        assert_eq!(codes, [expected; 2], "{first:?} {second:?}");
        assert_eq!(end_of(&mut kafka).await - before, written, "{first:?} {second:?}");
    }
    broker.shutdown().await;
}

/// Where the log of the topic `t` ends.
async fn end_of(kafka: &mut crate::client::Client) -> i64 {
    let answer = kafka.ask(&crate::client::fetch_request("t", 0, 0), crate::client::FETCH).await;
    answer.responses[0].partitions[0].high_watermark
}
