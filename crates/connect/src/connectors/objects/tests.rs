use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::container::Codec;
use super::content::{Content, Encoder, Format, Records};
use super::{ObjectSink, ObjectSource, Stores};
use crate::connector::testing::{SinkHarness, SourceHarness, sink_suite, source_suite};
use crate::connector::{
    Connector, SinkConnector, SinkContext, SourceConnector, TopicOffsets, TopicPartition,
};
use crate::connectors::Allowed;
use crate::notation::text::display;
use crate::record::{ConnectSchema, Coordinates, Datum, Field, Origin, Record, TimestampType, Type};
#[cfg(feature = "parquet")]
use crate::record::{DATE, DECIMAL};
use crate::settings::Config;
use crate::value::Value;

pub(super) fn config(entries: &[(&str, &str)]) -> Config {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The objects of a folder, with their names.
fn files(folder: &std::path::Path) -> Vec<(String, Bytes)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("inside").display().to_string();
            found.push((name, Bytes::from(std::fs::read(&path).expect("bytes"))));
        }
    }
    found.sort();
    found
}

/// The texts of an object.
fn texts(name: &str, bytes: &Bytes) -> Vec<String> {
    #[cfg(feature = "parquet")]
    if name.ends_with(".parquet") {
        use parquet::file::reader::{FileReader, SerializedFileReader};
        use parquet::record::RowAccessor;
        let reader = SerializedFileReader::new(bytes.clone()).expect("a file");
        let rows = reader.get_row_iter(None).expect("rows");
        return rows.map(|row| row.expect("a row").get_string(0).expect("a text").clone()).collect();
    }
    let data = read(name, bytes).expect("data");
    data.iter().map(|datum| display(None, &datum.value)).collect()
}

struct Folder(tempfile::TempDir, &'static str);

#[async_trait]
impl SinkHarness for Folder {
    fn connector(&self) -> Arc<dyn SinkConnector> {
        Arc::new(ObjectSink::new(Stores::new(&Arc::new(Allowed::everything()))))
    }

    fn config(&self) -> Config {
        let url = format!("file://{}", self.0.path().display());
        config(&[("store.url", &url), ("flush.size", "5"), ("format", self.1)])
    }

    async fn written(&mut self) -> Vec<String> {
        files(self.0.path()).into_iter().flat_map(|(name, bytes)| texts(&name, &bytes)).collect()
    }

    fn is_exactly_once(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn the_sink_keeps_the_rules_in_every_format() {
    for format in Format::NAMES {
        sink_suite(Folder(tempfile::tempdir().expect("a folder"), format)).await;
    }
}

/// A folder that others put objects into, seven records in each, in two partitions.
struct Growing {
    folder: tempfile::TempDir,
    count: usize,
    format: Format,
}

#[async_trait]
impl SourceHarness for Growing {
    fn connector(&self) -> Arc<dyn SourceConnector> {
        Arc::new(ObjectSource::new(Stores::new(&Arc::new(Allowed::everything()))))
    }

    fn config(&self) -> Config {
        config(&[
            ("store.url", &format!("file://{}", self.folder.path().display())),
            ("poll.interval.ms", "5"),
        ])
    }

    async fn feed(&mut self, records: usize) {
        let mut left = records;
        while left > 0 {
            let (mut content, mut encoder) = (Content::default(), Encoder::new(self.format));
            let taken = left.min(7);
            let mut schema = None;
            for number in self.count..self.count + taken {
                let datum = Datum::text(format!("record {number}"));
                content.add(encoder.item(&datum).expect("an item"));
                schema = datum.schema;
            }
            let partition = self.count % 2;
            let folder = self.folder.path().join(format!("topics/t/partition={partition}"));
            std::fs::create_dir_all(&folder).expect("a folder");
            let name = format!("t+{partition}+{:010}.{}", self.count, self.format.extension());
            let bytes = content.object(self.format, schema.as_ref()).expect("an object");
            std::fs::write(folder.join(name), bytes).expect("a file");
            self.count += taken;
            left -= taken;
        }
    }
}

#[tokio::test]
async fn the_source_keeps_the_rules() {
    for format in [Format::Json, Format::Avro(Codec::Null)] {
        source_suite(Growing { folder: tempfile::tempdir().expect("a folder"), count: 0, format }).await;
    }
}

#[test]
fn data_comes_back_out_of_files_of_avro() {
    let schema = ConnectSchema::new(Type::Struct(vec![
        Field { name: "n".into(), schema: ConnectSchema::of(Type::Int16) },
        Field { name: "t".into(), schema: ConnectSchema::new(Type::String).optional().into() },
    ]));
    let schema = Arc::new(schema.named("shop.Item"));
    let datum = |number: i16| {
        let text = if number % 3 == 0 { Value::Null } else { Value::String("x".repeat(100).into()) };
        let value = Value::record(vec![("n".into(), Value::Int16(number)), ("t".into(), text)]);
        Datum { schema: Some(schema.clone()), value }
    };
    let codecs = Codec::NAMES.map(|name| Codec::named(name).expect("a codec"));
    for (codec, count) in codecs.into_iter().flat_map(|codec| [1, 2, 2000].map(|count| (codec, count))) {
        let data: Vec<Datum> = (0..count).map(datum).collect();
        let (mut content, mut encoder) = (Content::default(), Encoder::new(Format::Avro(codec)));
        data.iter().for_each(|datum| content.add(encoder.item(datum).expect("an item")));
        let bytes = content.object(Format::Avro(codec), Some(&schema)).expect("an object");
        assert_eq!(read("a.avro", &bytes).expect("data"), data);
        for cut in [0, 1, 4, 30, bytes.len() - 1, bytes.len() - 17] {
            assert!(read("a.avro", &bytes.slice(..cut)).is_err(), "cut at {cut}");
        }
        if codec != Codec::Null && count == 2000 {
            assert!(bytes.len() < 20_000, "{codec:?} makes it {} bytes", bytes.len());
        }
        for place in (0..bytes.len()).rev().take(500) {
            let mut damaged = bytes.to_vec();
            damaged[place] ^= 0x10;
            drop(read("a.avro", &damaged.into()));
        }
    }
    let mut encoder = Encoder::new(Format::Avro(Codec::Null));
    assert!(encoder.item(&Datum::schemaless(Value::Null)).is_err());
    assert!(read("a.json", &Bytes::from_static(b"{}\n[\n")).is_err());
    assert_eq!(read("a.txt", &Bytes::from_static(b"{}\n")).expect("nothing"), []);
}

#[cfg(feature = "parquet")]
#[test]
fn nested_data_becomes_columns() {
    use parquet::basic::Compression;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let of = |kind| ConnectSchema::of(kind);
    let optional = |kind| Arc::new(ConnectSchema::new(kind).optional());
    let field = |name: &'static str, schema| Field { name: name.into(), schema };
    let mut decimal = ConnectSchema::new(Type::Bytes).named(DECIMAL);
    decimal.parameters.push(("scale".into(), "2".into()));
    decimal.version = Some(1);
    let mut day = ConnectSchema::new(Type::Int32).named(DATE);
    day.version = Some(1);
    let inner = Type::Struct(vec![field("a", of(Type::Int8)), field("b", optional(Type::Float64))]);
    let schema = of(Type::Struct(vec![
        field("id", of(Type::Int64)),
        field("day", day.into()),
        field("price", decimal.into()),
        field("note", optional(Type::String)),
        field("inner", optional(inner.clone())),
        field("lists", of(Type::Array(optional(Type::Array(of(Type::Int32)))))),
        field("map", optional(Type::Map(of(Type::String), of(inner)))),
    ]));
    let text = |text: &'static str| Value::String(text.into());
    let pair = |a, b| Value::record(vec![("a".into(), Value::Int8(a)), ("b".into(), b)]);
    let numbers = |list: &[i32]| Value::Array(list.iter().map(|number| Value::Int32(*number)).collect());
    let row = |fields: [Value; 7]| {
        let names = ["id", "day", "price", "note", "inner", "lists", "map"];
        Value::Struct(names.into_iter().map(Into::into).zip(fields).collect())
    };
    let price = Value::Bytes(Bytes::from_static(&[1, 44]));
    let rows = [
        row([
            Value::Int64(1),
            Value::Int32(0),
            price.clone(),
            text("a"),
            pair(1, Value::Float64(0.5)),
            Value::Array(vec![numbers(&[1, 2]), Value::Null, numbers(&[]), numbers(&[3])]),
            Value::Map(vec![(text("k"), pair(2, Value::Null)), (text("l"), pair(3, Value::Float64(1.5)))]),
        ]),
        row([
            Value::Int64(2),
            Value::Int32(1),
            price,
            Value::Null,
            Value::Null,
            Value::Array(Vec::new()),
            Value::Null,
        ]),
    ];
    let written = |rows: Vec<&Value>| {
        super::parquet::object(&schema, Compression::SNAPPY, rows.into_iter()).expect("an object")
    };
    let bytes = written(rows.iter().collect());
    assert_eq!(written(rows.iter().collect()), bytes);
    let datum = |value: &Value| Datum { schema: Some(Arc::clone(&schema)), value: value.clone() };
    assert_eq!(read("a.parquet", &bytes).expect("rows"), rows.iter().map(datum).collect::<Vec<_>>());
    let many = rows.iter().cycle().take(2501);
    let data: Vec<Datum> = many.clone().map(datum).collect();
    for codec in super::parquet::CODECS.map(|name| super::parquet::codec(name).expect("a codec")) {
        let bytes = super::parquet::object(&schema, codec, many.clone()).expect("an object");
        assert_eq!(read("a.parquet", &bytes).expect("rows"), data, "{codec}");
        let bytes = super::parquet::object(&schema, codec, rows.iter()).expect("an object");
        for place in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.to_vec();
            damaged[place] ^= 0x10;
            drop(read("a.parquet", &damaged.into()));
        }
    }
    // Whatever is damaged is told, or read as something else, and never more than the file can hold.
    for cut in 0..bytes.len() {
        assert!(read("a.parquet", &bytes.slice(..cut)).is_err(), "cut at {cut}");
        for flipped in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[cut] ^= flipped;
            drop(read("a.parquet", &damaged.into()));
        }
    }
    let reader = SerializedFileReader::new(bytes).expect("a file");
    let read: Vec<String> =
        reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row").to_string()).collect();
    assert_eq!(
        read,
        [
            "{id: 1, day: 1970-01-01, price: 3.00, note: \"a\", inner: {a: 1, b: 0.5}, lists: [[1, 2], null, [], [3]], map: {\"k\" -> {a: 2, b: null}, \"l\" -> {a: 3, b: 1.5}}}",
            "{id: 2, day: 1970-01-02, price: 3.00, note: null, inner: null, lists: [], map: null}",
        ]
    );
    assert!(super::parquet::check(&schema, &Value::Null).is_err());
    assert!(
        super::parquet::check(&ConnectSchema::new(Type::Struct(Vec::new())), &Value::record([])).is_err()
    );
}

#[cfg(feature = "parquet")]
#[test]
fn schemas_of_parquet_nest_so_deep_and_no_deeper() {
    for (depth, is_read) in [(50, true), (300, false)] {
        let nested = |schema, _| ConnectSchema::of(Type::Struct(vec![Field { name: "a".into(), schema }]));
        let value = (0..depth).fold(Value::Int32(1), |value, _| Value::record([("a".into(), value)]));
        let schema = (0..depth).fold(ConnectSchema::of(Type::Int32), nested);
        let bytes =
            super::parquet::object(&schema, parquet::basic::Compression::SNAPPY, std::iter::once(&value))
                .expect("an object");
        let read = read("a.parquet", &bytes).map(|rows| rows.into_iter().map(|row| row.value).collect());
        assert_eq!(read.ok(), is_read.then_some(vec![value]), "{depth}");
    }
}

/// All records of an object.
fn read(name: &str, bytes: &Bytes) -> Result<Vec<Datum>, crate::error::ConnectError> {
    let (mut records, mut all) = (Records::new(name, bytes.clone())?, Vec::new());
    loop {
        match records.next()? {
            next if next.is_empty() => return Ok(all),
            next => all.extend(next),
        }
    }
}

pub(super) fn record(offset: i64, region: &'static str) -> Record {
    let text = |text: &'static str| Value::String(text.into());
    let entries = vec![(text("region"), text(region)), (text("n"), Value::Int64(offset))];
    Record {
        topic: "t".into(),
        partition: Some(3),
        key: Datum::default(),
        value: Datum::schemaless(Value::Map(entries)),
        timestamp: Some(1_795_187_045_006 + offset * 1000),
        headers: Vec::new(),
        origin: Origin::Topic(Coordinates {
            topic: "t".into(),
            partition: 3,
            offset,
            timestamp_type: TimestampType::CreateTime,
        }),
    }
}

#[tokio::test]
async fn records_are_sorted_and_objects_are_the_same_after_a_restart() {
    let by_field = vec![("partition.by", "field"), ("partition.field.name", "region"), ("flush.size", "2")];
    let by_time = vec![("partition.by", "time"), ("path.format", "'day='yyyy-MM-dd/HH"), ("flush.size", "3")];
    let by_age = vec![("rotate.interval.ms", "2000"), ("topics.dir", "")];
    let cases = [
        (
            by_field,
            vec!["topics/t/region=a%2F..%2F/t+3+0000000000.json", "topics/t/region=b/t+3+0000000001.json"],
            Some(3),
        ),
        (by_time, vec!["topics/t/day=2026-11-20/15/t+3+0000000000.json"], Some(3)),
        (by_age, vec!["t/partition=3/t+3+0000000000.json", "t/partition=3/t+3+0000000002.json"], Some(4)),
    ];
    for (settings, names, committed) in cases {
        let connector = ObjectSink::new(Stores::new(&Arc::new(Allowed::everything())));
        let mut given = config(&settings);
        given.insert("store.url".to_owned(), "memory:///".to_owned());
        let values = connector.settings().parse(&given).expect("settings");
        assert!(connector.validate(&values).await.is_empty());
        let mut contents = Vec::new();
        for _ in ["a task", "one that takes its place"] {
            let mut task = connector.task(&values, SinkContext::new("c", 0, false)).expect("a task");
            task.start().await.expect("a start");
            let partition = TopicPartition { topic: "t".into(), partition: 3 };
            task.open(std::slice::from_ref(&partition)).await.expect("a partition");
            let regions = ["a/../", "b", "a/../", "b", "b"];
            for (offset, region) in (0..5).zip(regions) {
                task.put(&[record(offset, region), record(offset, region)]).await.expect("records");
            }
            let taken: TopicOffsets = [(partition.clone(), 5)].into();
            let allowed = task.precommit(taken).await.expect("offsets");
            if settings.iter().any(|(_, value)| *value == "field") {
                assert_eq!(allowed.get(&partition), Some(&5), "b is complete as well");
            } else {
                assert_eq!(allowed.get(&partition).copied(), committed);
            }
            let mut found = Vec::new();
            for name in &names {
                let path = Path::parse(name).expect("a path");
                let bytes =
                    connector.stores.memory.get(&path).await.expect(name).bytes().await.expect("bytes");
                found.push(bytes);
            }
            contents.push(found);
            task.close().await;
        }
        assert_eq!(contents.first(), contents.last());
    }
}

/// An address, more settings, and the settings that are wrong.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[tokio::test]
async fn addresses_are_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let urls = ["s3://bucket/mine", "az://container", "https://store.example.com", "http://127.0.0.1:9000"];
    let allowed = Allowed::new(Some(vec![folder.path().to_owned()]), Some(urls.map(str::to_owned).to_vec()));
    let connector = ObjectSink::new(Stores::new(&Arc::new(allowed)));
    let inside = format!("file://{}", folder.path().display());
    let clouds = cfg!(feature = "cloud");
    let keys = [("store.access.key.id", "A"), ("store.secret.access.key", "S")];
    let key = ("store.account.key", "a2V5");
    let of_account = [("store.account", "me"), key];
    let cases: &[Case] = &[
        (&inside, &[], &[]),
        ("file:///etc", &[], &["store.url"]),
        ("file://relative", &[], &["store.url"]),
        ("ftp://server/folder", &[], &["store.url"]),
        ("memory:///", &[], &[]),
        ("memory:///", &[("partition.by", "field")], &["partition.field.name"]),
        ("file:///etc", &[("partition.by", "field")], &["store.url", "partition.field.name"]),
    ];
    let of_clouds: &[Case] = &[
        ("s3://bucket/mine", &keys, &[]),
        ("s3://bucket/mine/deeper", &keys, &[]),
        ("s3://bucket/other", &keys, &["store.url"]),
        ("s3://bucket/mine/../other", &keys, &["store.url"]),
        ("s3://other/mine", &keys, &["store.url"]),
        ("s3:///mine", &keys, &["store.url"]),
        ("gs://bucket", &[("store.anonymous", "true")], &["store.url"]),
        ("az://container", &of_account, &[]),
        ("az://container", &[key], &["store.url"]),
        ("az://container", &[("store.account", "evil.org/#"), key], &["store.account"]),
        ("s3://bucket/mine", &[("store.access.key.id", "A")], &["store.secret.access.key"]),
        ("s3://bucket/mine", &[keys[0], keys[1], ("store.region", "x.evil.org/")], &["store.region"]),
        ("s3://bucket/mine", &[keys[0], keys[1], ("store.endpoint", "https://store.example.com")], &[]),
        (
            "s3://bucket/mine",
            &[keys[0], keys[1], ("store.endpoint", "https://store.example.com.evil.org")],
            &["store.endpoint"],
        ),
        (
            "s3://bucket/mine",
            &[keys[0], keys[1], ("store.endpoint", "http://127.0.0.1:9000")],
            &["store.endpoint"],
        ),
        (
            "s3://bucket/mine",
            &[keys[0], keys[1], ("store.endpoint", "http://127.0.0.1:9000"), ("store.allow.http", "true")],
            &[],
        ),
        (
            "s3://other",
            &[keys[1], ("store.endpoint", "ftp://x"), ("store.region", "")],
            &["store.url", "store.endpoint", "store.access.key.id"],
        ),
        ("s3://bucket/mine", &[keys[0], keys[1], ("ssl.truststore.type", "JKS")], &["ssl.truststore.type"]),
        (
            "s3://bucket/mine",
            &[keys[0], keys[1], ("ssl.ca.location", "/etc/hosts"), ("ssl.keystore.location", "/etc/hosts")],
            &["ssl.ca.location", "ssl.keystore.location"],
        ),
    ];
    for (url, more, expected) in cases.iter().chain(of_clouds) {
        let mut given = config(more);
        given.insert("store.url".to_owned(), (*url).to_owned());
        let values = connector.settings().parse(&given).expect("settings");
        let errors = connector.validate(&values).await;
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let is_cloud = ["s3:", "gs:", "az:"].iter().any(|scheme| url.starts_with(scheme));
        if is_cloud && !clouds {
            assert_eq!(fields, ["store.url"], "{url}");
            let message = &errors.first().expect("an error").message;
            assert!(message.contains("cargo feature cloud"), "{message}");
        } else {
            assert_eq!(&fields, expected, "{url} {more:?}: {errors:?}");
        }
    }
}

/// A server that answers every request alike, or hangs up; its address.
#[cfg(feature = "cloud")]
async fn server(answer: Option<&'static str>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            while !matches!(stream.read(&mut request).await, Ok(0) | Err(_)) {
                let Some(answer) = answer else { break };
                let text = format!("HTTP/1.1 {answer}\r\nETag: \"e\"\r\nContent-Length: 4\r\n\r\nwhy?");
                if stream.write_all(text.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    address
}

#[cfg(feature = "cloud")]
#[tokio::test]
async fn what_a_cloud_answers_passes_or_ends_the_task() {
    use crate::error::ErrorKind::{Failed, Retriable};
    let cases = [
        (Some("200 OK"), None),
        (Some("301 Moved Permanently"), Some(Failed)),
        (Some("307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/"), Some(Failed)),
        (Some("400 Bad Request"), Some(Failed)),
        (Some("401 Unauthorized"), Some(Failed)),
        (Some("403 Forbidden"), Some(Failed)),
        (Some("404 Not Found"), Some(Failed)),
        (Some("429 Too Many Requests"), Some(Retriable)),
        (Some("500 Internal Server Error"), Some(Retriable)),
        (Some("503 Service Unavailable"), Some(Retriable)),
        // An answer that contradicts itself.
        (Some("200 OK\r\nContent-Length: 9"), Some(Retriable)),
        (None, Some(Retriable)),
    ];
    for (answer, expected) in cases {
        let endpoint = server(answer).await;
        let connector = ObjectSink::new(Stores::new(&Arc::new(Allowed::everything())));
        let given = config(&[
            ("store.url", "s3://bucket/folder"),
            ("store.endpoint", &endpoint),
            ("store.allow.http", "true"),
            ("store.access.key.id", "id"),
            ("store.secret.access.key", "a secret"),
            ("store.retries.max", "1"),
            ("store.retry.backoff.ms", "1"),
            ("store.request.timeout.ms", "300"),
        ]);
        let values = connector.settings().parse(&given).expect("settings");
        let store = connector.stores.open(&values).expect("a store");
        let put = store.put(&Path::from("object"), "text".into()).await;
        let error = put.err().map(|error| super::failure("no".to_owned(), error));
        assert_eq!(error.as_ref().map(|error| error.kind), expected, "{answer:?}: {error:?}");
        if expected.is_some() {
            use futures_util::TryStreamExt;
            let listed = store.list(None).try_next().await.expect_err("no listing");
            let kind = super::failure("no".to_owned(), listed).kind;
            assert_eq!(Some(kind), expected, "a listing and {answer:?}");
        }
        let trace = error.map(|error| error.trace()).unwrap_or_default();
        assert!(!trace.contains("a secret"), "{trace}");
    }
}
