//! Random work for converters, transforms and predicates, for Kafka Connect's own classes to judge:
//! `exchange_connect SEED CASES FILE`.
//!
//! Each line of the file is a JSON object: the `kind` of work, the `class` and its `config`, what was given, and what came
//! out (`ours`). Values are tagged with their types, since JSON has few. `cargo xtask conformance connect` runs it.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;
use serde_json::{Value as Json, json};
use vltava_connect::convert::HeaderConverter;
use vltava_connect::error::ConnectError;
use vltava_connect::notation::Decimal;
use vltava_connect::notation::text::kind;
use vltava_connect::notation::time::{DAY, Pattern};
use vltava_connect::plugins::{Factory, Plugins};
use vltava_connect::record::{
    ConnectSchema, Coordinates, DATE, DECIMAL, Datum, Field, Header, Origin, Record, TIME, TIMESTAMP,
    TimestampType, Type,
};
use vltava_connect::settings::Config;
use vltava_connect::value::Value;
use vltava_connect::{converters, transforms};
use vltava_core::testing::Random;

/// How deep values nest.
const DEPTH_MAX: usize = 3;
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e.f", "g`h"];
const TEXTS: [&str; 12] = [
    "",
    "x",
    "12",
    "-300",
    "1.5",
    "true",
    "NaN",
    "2026-11-20",
    "line\nend\t\"quoted\"\\",
    "é€",
    "\u{1f600}",
    "99999999999",
];
const PATTERNS: [&str; 6] = [
    "yyyy-MM-dd",
    "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "EEE, d MMM yyyy hh:mm:ss a z",
    "yyyyMMddHHmmssSSS",
    "dd/MM/yyyy H:m:s",
    "yyyy DDD HH Z",
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seed, cases, file] = arguments.as_slice() else {
        return Err("usage: exchange_connect SEED CASES FILE".into());
    };
    let (seed, cases): (u64, u64) = (seed.parse()?, cases.parse()?);
    let mut plugins = Plugins::default();
    converters::plugins().into_iter().chain(transforms::plugins()).for_each(|row| plugins.add(row));
    let mut file = std::io::BufWriter::new(std::fs::File::create(file)?);
    for case in seed..seed + cases {
        let mut maker = Maker { random: Random::new(case), plugins: &plugins };
        let line = match case % 8 {
            0 | 1 => maker.encoding(),
            2 => maker.decoding(),
            3 => maker.header_text(),
            7 if case % 5 == 0 => maker.predicate(),
            _ => maker.transform(),
        };
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

struct Maker<'p> {
    random: Random,
    plugins: &'p Plugins,
}

const CONVERTERS: [&str; 12] = [
    "json.JsonConverter",
    "json.JsonConverter",
    "json.JsonConverter",
    "storage.SimpleHeaderConverter",
    "storage.StringConverter",
    "converters.ByteArrayConverter",
    "converters.BooleanConverter",
    "converters.ShortConverter",
    "converters.IntegerConverter",
    "converters.LongConverter",
    "converters.FloatConverter",
    "converters.DoubleConverter",
];

impl Maker<'_> {
    fn encoding(&mut self) -> Json {
        let (class, config) = self.converter();
        let datum = self.datum();
        let header = Header { name: "h".into(), value: datum.clone() };
        let ours = match self.made(&class, &config).and_then(|converter| converter.encode("t", &header)) {
            Ok(bytes) => json!({ "bytes": bytes.map(|bytes| STANDARD.encode(bytes)) }),
            Err(error) => failed(&error),
        };
        json!({ "kind": "encode", "class": class, "config": config, "datum": shown(&datum), "ours": ours })
    }

    fn decoding(&mut self) -> Json {
        let (class, config) = self.converter();
        let datum = self.datum();
        let header = Header { name: "h".into(), value: datum };
        let encoded = self.made(&class, &config).and_then(|converter| converter.encode("t", &header));
        let mut bytes = encoded.ok().flatten().map(|bytes| bytes.to_vec()).unwrap_or_default();
        if self.random.once_in(3) && !bytes.is_empty() {
            let at = self.random.below(bytes.len());
            match self.random.below(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = *self.random.pick(b"0123456789{}[]\",:.eE-+ntf "),
                _ => bytes.insert(at, *self.random.pick(b"0123456789{}[]\",:.eE-+ntf ")),
            }
        }
        self.decoded(&class, &config, bytes)
    }

    /// Texts whose types are to be guessed.
    fn header_text(&mut self) -> Json {
        let tokens = [
            "1",
            "300",
            "-70000",
            "true",
            "false",
            "null",
            "\"a\"",
            "\"b c\"",
            "[",
            "]",
            "{",
            "}",
            ",",
            ",",
            ":",
            " ",
            "+",
            "1.5",
            "2026-11-20",
            "15:04:05.006Z",
            "2026-11-20T15:04:05.006Z",
            "\\",
            "abc",
            "1e5",
            "1e40",
            "99999999999999999999",
        ];
        let text = if self.random.once_in(2) {
            (0..1 + self.random.below(8)).map(|_| *self.random.pick(&tokens)).collect()
        } else {
            self.literal(0)
        };
        self.decoded(
            "org.apache.kafka.connect.storage.SimpleHeaderConverter",
            &Config::new(),
            text.into_bytes(),
        )
    }

    fn literal(&mut self, depth: usize) -> String {
        let simple = [
            "1",
            "-129",
            "40000",
            "3000000000",
            "1.25",
            "1e40",
            "true",
            "null",
            "\"a\"",
            "\"2026-11-20\"",
            "\"x\\\"y\"",
        ];
        let count = self.random.below(4);
        match self.random.below(if depth < DEPTH_MAX { 4 } else { 2 }) {
            2 => format!("[{}]", (0..count).map(|_| self.literal(depth + 1)).collect::<Vec<_>>().join(", ")),
            3 => {
                let entry =
                    |maker: &mut Self, index: usize| format!("\"k{index}\" : {}", maker.literal(depth + 1));
                format!("{{{}}}", (0..count).map(|index| entry(self, index)).collect::<Vec<_>>().join(","))
            }
            _ => (*self.random.pick(&simple)).to_owned(),
        }
    }

    fn decoded(&mut self, class: &str, config: &Config, bytes: Vec<u8>) -> Json {
        let given = Bytes::from(bytes);
        let ours =
            match self.made(class, config).and_then(|converter| converter.decode("t", "h", Some(&given))) {
                Ok(datum) => json!({ "datum": shown(&datum) }),
                Err(error) => failed(&error),
            };
        json!({ "kind": "decode", "class": class, "config": config, "bytes": STANDARD.encode(&given), "ours": ours })
    }

    fn converter(&mut self) -> (String, Config) {
        let short = *self.random.pick(&CONVERTERS);
        let mut config = Config::new();
        if short == "json.JsonConverter" {
            config.insert("schemas.enable".to_owned(), self.random.once_in(2).to_string());
            config
                .insert("decimal.format".to_owned(), (*self.random.pick(&["BASE64", "NUMERIC"])).to_owned());
            config.insert("replace.null.with.default".to_owned(), self.random.once_in(2).to_string());
        }
        (format!("org.apache.kafka.connect.{short}"), config)
    }

    fn made(&self, class: &str, config: &Config) -> Result<Box<dyn HeaderConverter>, ConnectError> {
        let factory =
            self.plugins.header_converter(class).ok_or_else(|| ConnectError::config("no such class"))?;
        made(factory, config)
    }

    fn transform(&mut self) -> Json {
        let (class, config) = self.transform_config();
        let class = format!("org.apache.kafka.connect.transforms.{class}");
        let record = self.record(&class);
        let factory = self.plugins.transform(&class);
        let factory = factory.ok_or_else(|| ConnectError::config("no such class"));
        let ours = match factory.and_then(|factory| made(factory, &config)?.apply(record.clone())) {
            Ok(Some(record)) => json!({ "record": shown_record(&record) }),
            Ok(None) => json!({ "dropped": true }),
            Err(error) => failed(&error),
        };
        json!({ "kind": "transform", "class": class, "config": config, "record": shown_record(&record), "ours": ours })
    }

    fn predicate(&mut self) -> Json {
        let topics = ["topic", "topic-.*", "t.*(1|2)", "(?i)TOPIC-\\d+"];
        let (class, key, value) = match self.random.below(3) {
            0 => ("HasHeaderKey", "name", *self.random.pick(&["h0", "h1"])),
            1 => ("RecordIsTombstone", "unused", ""),
            _ => ("TopicNameMatches", "pattern", *self.random.pick(&topics)),
        };
        let class = format!("org.apache.kafka.connect.transforms.predicates.{class}");
        let config = Config::from([(key.to_owned(), value.to_owned())]);
        let record = self.record(&class);
        let factory = self.plugins.predicate(&class).ok_or_else(|| ConnectError::config("no such class"));
        let ours = match factory.and_then(|factory| made(factory, &config)?.test(&record)) {
            Ok(holds) => json!({ "holds": holds }),
            Err(error) => failed(&error),
        };
        json!({ "kind": "predicate", "class": class, "config": config, "record": shown_record(&record), "ours": ours })
    }

    fn transform_config(&mut self) -> (String, Config) {
        let name = |maker: &mut Self| (*maker.random.pick(&NAMES)).to_owned();
        let names = |maker: &mut Self| {
            (0..1 + maker.random.below(2)).map(|_| name(maker)).collect::<Vec<_>>().join(",")
        };
        let shapes = ["int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string"];
        let mut given: Vec<(&str, String)> = Vec::new();
        let mut sided = true;
        let class = match self.random.below(15) {
            0 | 1 => {
                let shape = |maker: &mut Self| (*maker.random.pick(&shapes)).to_owned();
                let spec = if self.random.once_in(3) {
                    shape(self)
                } else {
                    (0..1 + self.random.below(3))
                        .map(|_| format!("{}:{}", name(self), shape(self)))
                        .collect::<Vec<_>>()
                        .join(",")
                };
                given.push(("spec", spec));
                "Cast"
            }
            2 => {
                let paths = ["a", "b.c", "a.b", "`e.f`", "a.`e.f`.b", "e.f"];
                given.push(("field", (*self.random.pick(&paths)).to_owned()));
                given.push(("field.syntax.version", (*self.random.pick(&["V1", "V2"])).to_owned()));
                "ExtractField"
            }
            3 => {
                given.push(("delimiter", (*self.random.pick(&[".", "_", ""])).to_owned()));
                "Flatten"
            }
            4 => {
                let fields = names(self);
                let headers: Vec<String> = fields.split(',').map(|field| format!("x-{field}")).collect();
                given.push(("headers", headers.join(",")));
                given.push(("fields", fields));
                given.push(("operation", (*self.random.pick(&["move", "copy"])).to_owned()));
                "HeaderFrom"
            }
            5 => {
                given.push(("field", name(self)));
                "HoistField"
            }
            6 => {
                for key in ["topic.field", "partition.field", "offset.field", "timestamp.field"] {
                    if self.random.once_in(2) {
                        let suffix = *self.random.pick(&["", "!", "?"]);
                        given
                            .push((key, format!("{}{suffix}", self.random.pick(&["a", "n", "m", "o", "p"]))));
                    }
                }
                given.push(("static.field", (*self.random.pick(&["s", "s!", "a"])).to_owned()));
                given.push(("static.value", "fixed".to_owned()));
                "InsertField"
            }
            7 => {
                given.push(("fields", names(self)));
                if self.random.once_in(2) {
                    given.push((
                        "replacement",
                        (*self.random.pick(&["0", "77", "70000", "1.5", "x"])).to_owned(),
                    ));
                }
                "MaskField"
            }
            8 => {
                if self.random.once_in(2) {
                    given.push(("exclude", names(self)));
                }
                if self.random.once_in(3) {
                    given.push(("include", names(self)));
                }
                given.push(("renames", format!("{}:z,{}:y", name(self), name(self))));
                "ReplaceField"
            }
            9 => {
                given.push(("schema.name", "new.name".to_owned()));
                if self.random.once_in(2) {
                    given.push(("schema.version", "7".to_owned()));
                }
                "SetSchemaMetadata"
            }
            10 | 11 => {
                let field = if self.random.once_in(3) { String::new() } else { name(self) };
                let targets = ["string", "unix", "Date", "Time", "Timestamp"];
                given.push(("field", field));
                given.push(("target.type", (*self.random.pick(&targets)).to_owned()));
                given.push(("format", (*self.random.pick(&PATTERNS)).to_owned()));
                let precisions = ["seconds", "milliseconds", "microseconds", "nanoseconds"];
                given.push(("unix.precision", (*self.random.pick(&precisions)).to_owned()));
                "TimestampConverter"
            }
            12 => {
                sided = false;
                given.push(("fields", names(self)));
                "ValueToKey"
            }
            13 => {
                sided = false;
                let regexes =
                    ["(.*)-(\\d+)", "topic-1", "(?<base>t.*)", "[a-c]+", "\\Qtopic\\E.*", "(t)(o)(p).*"];
                let replacements = ["$2-$1", "new", "${base}x", "\\$1", "$12", "$0"];
                given.push(("regex", (*self.random.pick(&regexes)).to_owned()));
                given.push(("replacement", (*self.random.pick(&replacements)).to_owned()));
                "RegexRouter"
            }
            _ => {
                sided = false;
                match self.random.below(4) {
                    0 => {
                        given.push(("header", "x".to_owned()));
                        let literal = self.literal(1);
                        given.push(("value.literal", literal));
                        "InsertHeader"
                    }
                    1 => {
                        given.push(("headers", "h0".to_owned()));
                        "DropHeaders"
                    }
                    2 => "Filter",
                    _ => {
                        let patterns = ["yyyyMMdd", "YYYY-'W'ww-u", "yy.M.d HH", "DDD F W EEEE a K k h"];
                        given.push(("timestamp.format", (*self.random.pick(&patterns)).to_owned()));
                        "TimestampRouter"
                    }
                }
            }
        };
        if sided && !matches!(class, "Flatten" | "HoistField") {
            given.push(("replace.null.with.default", self.random.once_in(2).to_string()));
        }
        let side = if !sided { "" } else { *self.random.pick(&["$Value", "$Value", "$Key"]) };
        let config = given.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        (format!("{class}{side}"), config)
    }

    fn record(&mut self, class: &str) -> Record {
        let headers = (0..self.random.below(3))
            .map(|index| Header { name: format!("h{index}").into(), value: self.fitting() });
        let headers = headers.collect();
        // Most transforms want a struct or map.
        let of_times = class.contains("TimestampConverter");
        let datum = |maker: &mut Self| match maker.random.below(8) {
            0 => maker.datum(),
            1..4 => maker.map_of_names(of_times),
            _ => maker.struct_of_names(of_times),
        };
        let (key, value) = (datum(self), datum(self));
        let coordinates = Coordinates {
            topic: "topic-1".into(),
            partition: 3,
            offset: 42,
            timestamp_type: TimestampType::CreateTime,
        };
        Record {
            topic: "topic-1".into(),
            partition: Some(3),
            key,
            value,
            timestamp: Some(self.moment()),
            headers,
            origin: Origin::Topic(coordinates),
        }
    }

    fn moment(&mut self) -> i64 {
        // From 1970 to 2100, where calendars agree.
        (self.random.bits() % 4_102_444_800_000) as i64
    }

    /// Data that is what its schema says.
    fn fitting(&mut self) -> Datum {
        let schema = self.schema(0);
        let value = self.value(&schema);
        Datum { schema: Some(schema), value }
    }

    fn datum(&mut self) -> Datum {
        if self.random.once_in(3) {
            return Datum::schemaless(self.schemaless(0));
        }
        let schema = self.schema(0);
        let value = if self.random.once_in(20) { self.schemaless(DEPTH_MAX) } else { self.value(&schema) };
        Datum { schema: Some(schema), value }
    }

    fn map_of_names(&mut self, of_times: bool) -> Datum {
        let mut entries = Vec::new();
        for name in NAMES {
            if !self.random.once_in(3) {
                let value =
                    if of_times && self.random.once_in(2) { self.time_text() } else { self.schemaless(1) };
                entries.push((Value::String(name.into()), value));
            }
        }
        Datum::schemaless(Value::Map(entries))
    }

    fn time_text(&mut self) -> Value {
        if self.random.once_in(3) {
            return Value::Int64(self.moment());
        }
        let pattern = *self.random.pick(&PATTERNS);
        let pattern = Pattern::new(pattern);
        let mut text = pattern.map(|pattern| pattern.write(self.moment())).unwrap_or_default();
        if self.random.once_in(4) {
            text.pop();
        }
        Value::String(text.into())
    }

    fn struct_of_names(&mut self, of_times: bool) -> Datum {
        let mut fields = Vec::new();
        for name in NAMES {
            if self.random.once_in(3) {
                continue;
            }
            let schema = match self.random.below(6) {
                0 => self.structure(1),
                1 if of_times => ConnectSchema::of(Type::String),
                2 if of_times => ConnectSchema::of(Type::Int64),
                _ => self.schema(1),
            };
            fields.push(Field { name: name.into(), schema });
        }
        let mut schema = ConnectSchema::new(Type::Struct(fields));
        self.decorate(&mut schema);
        let schema = Arc::new(schema);
        let value = if self.random.once_in(12) { Value::Null } else { self.struct_value(&schema, of_times) };
        Datum { schema: Some(schema), value }
    }

    fn struct_value(&mut self, schema: &ConnectSchema, of_times: bool) -> Value {
        let mut values = Vec::new();
        for field in schema.fields() {
            let plain = field.schema.kind == Type::String && field.schema.name.is_none();
            let value = if of_times && plain {
                match self.time_text() {
                    text @ Value::String(_) => text,
                    _ => self.value(&field.schema),
                }
            } else {
                self.value(&field.schema)
            };
            values.push((field.name.clone(), value));
        }
        Value::record(values)
    }

    fn decorate(&mut self, schema: &mut ConnectSchema) {
        schema.optional = self.random.once_in(2);
        if schema.name.is_none() && self.random.once_in(4) {
            schema.name = Some("some.name".into());
            schema.version = Some(3);
        }
        if self.random.once_in(8) {
            schema.doc = Some("words".into());
            schema.parameters.push(("words".into(), "q".into()));
        }
    }

    fn structure(&mut self, depth: usize) -> Arc<ConnectSchema> {
        let mut fields = Vec::new();
        for name in NAMES {
            if self.random.once_in(2) {
                fields.push(Field { name: name.into(), schema: self.schema(depth + 1) });
            }
        }
        let mut schema = ConnectSchema::new(Type::Struct(fields));
        self.decorate(&mut schema);
        schema.into()
    }

    fn schema(&mut self, depth: usize) -> Arc<ConnectSchema> {
        let shape = self.random.below(if depth < DEPTH_MAX { 17 } else { 13 });
        let mut schema = match shape {
            0 => ConnectSchema::new(Type::Boolean),
            1 => ConnectSchema::new(Type::Int8),
            2 => ConnectSchema::new(Type::Int16),
            3 => ConnectSchema::new(Type::Int32),
            4 => ConnectSchema::new(Type::Int64),
            5 => ConnectSchema::new(Type::Float32),
            6 => ConnectSchema::new(Type::Float64),
            7 => ConnectSchema::new(Type::String),
            8 => ConnectSchema::new(Type::Bytes),
            9 => ConnectSchema::new(Type::Int32).named(DATE),
            10 => ConnectSchema::new(Type::Int32).named(TIME),
            11 => ConnectSchema::new(Type::Int64).named(TIMESTAMP),
            12 => {
                let mut decimal = ConnectSchema::new(Type::Bytes).named(DECIMAL);
                decimal.parameters.push(("scale".into(), self.random.below(4).to_string().into()));
                decimal
            }
            13 | 14 => return self.structure(depth),
            15 => ConnectSchema::new(Type::Array(self.schema(depth + 1))),
            _ => {
                let keys = match self.random.below(3) {
                    0 => ConnectSchema::of(Type::Int32),
                    _ => ConnectSchema::of(Type::String),
                };
                ConnectSchema::new(Type::Map(keys, self.schema(depth + 1)))
            }
        };
        if (9..=12).contains(&shape) {
            schema.version = Some(1);
        }
        self.decorate(&mut schema);
        if shape < 13 && self.random.once_in(4) {
            schema.default = Some(self.filled(&schema)).filter(|value| *value != Value::Null);
        }
        schema.into()
    }

    fn value(&mut self, schema: &ConnectSchema) -> Value {
        if schema.optional && self.random.once_in(4) { Value::Null } else { self.filled(schema) }
    }

    fn filled(&mut self, schema: &ConnectSchema) -> Value {
        let bits = self.random.bits();
        let small = |bits: u64| {
            if bits.is_multiple_of(3) { (bits >> 8) as i64 } else { (bits >> 8) as i64 % 200 - 100 }
        };
        match (schema.name.as_deref(), &schema.kind) {
            (Some(DATE), _) => Value::Int32((bits % 40_000) as i32),
            (Some(TIME), _) => Value::Int32((bits % DAY as u64) as i32),
            (Some(TIMESTAMP), _) => Value::Int64(self.moment()),
            (Some(DECIMAL), _) => {
                let decimal = Decimal::of_bytes(&self.bytes(), 0);
                Value::Bytes(decimal.map(|decimal| decimal.unscaled_bytes()).unwrap_or_default().into())
            }
            (_, Type::Boolean) => Value::Boolean(bits.is_multiple_of(2)),
            (_, Type::Int8) => Value::Int8(bits as i8),
            (_, Type::Int16) => Value::Int16(bits as i16),
            (_, Type::Int32) => Value::Int32(small(bits) as i32),
            (_, Type::Int64) => Value::Int64(small(bits)),
            (_, Type::Float32) => Value::Float32(self.float() as f32),
            (_, Type::Float64) => Value::Float64(self.float()),
            (_, Type::String) => Value::String((*self.random.pick(&TEXTS)).into()),
            (_, Type::Bytes) => Value::Bytes(self.bytes()),
            (_, Type::Array(items)) => {
                Value::Array((0..self.random.below(3)).map(|_| self.value(items)).collect())
            }
            (_, Type::Map(keys, values)) => {
                let mut entries: Vec<(Value, Value)> = Vec::new();
                for _ in 0..self.random.below(3) {
                    let key = self.filled(keys);
                    if entries.iter().all(|(known, _)| *known != key) {
                        entries.push((key, self.value(values)));
                    }
                }
                Value::Map(entries)
            }
            (_, Type::Struct(_)) => self.struct_value(schema, false),
        }
    }

    fn float(&mut self) -> f64 {
        let bits = self.random.bits();
        match bits % 12 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -0.0,
            3 => f64::from_bits(bits >> 4),
            4..7 => (bits >> 40) as f64 / 1024.0,
            _ => ((bits >> 8) % 1000) as f64 / 8.0,
        }
    }

    fn bytes(&mut self) -> Bytes {
        let length = 1 + self.random.below(6);
        self.random.bits().to_be_bytes().iter().copied().take(length).collect()
    }

    fn schemaless(&mut self, depth: usize) -> Value {
        let count = self.random.below(3);
        match self.random.below(if depth < DEPTH_MAX { 12 } else { 9 }) {
            0 => Value::Null,
            1 => Value::Boolean(self.random.once_in(2)),
            2 => self.filled(&ConnectSchema::new(Type::Int8)),
            3 => self.filled(&ConnectSchema::new(Type::Int32)),
            4 => self.filled(&ConnectSchema::new(Type::Int64)),
            5 => Value::Float64(self.float()),
            6 => Value::Float32(self.float() as f32),
            7 => Value::String((*self.random.pick(&TEXTS)).into()),
            8 => Value::Bytes(self.bytes()),
            9 => Value::Array((0..count).map(|_| self.schemaless(depth + 1)).collect()),
            _ => {
                let entry = |index: usize| (Value::String(NAMES[index].into()), self.schemaless(depth + 1));
                Value::Map((0..count).map(entry).collect())
            }
        }
    }
}

fn made<T: ?Sized>(factory: &Arc<Factory<T>>, config: &Config) -> Result<Box<T>, ConnectError> {
    factory.make(&factory.settings().values(config)?)
}

fn failed(error: &ConnectError) -> Json {
    json!({ "error": error.message })
}

fn shown_record(record: &Record) -> Json {
    let headers: Vec<Json> = record
        .headers
        .iter()
        .map(|header| json!({ "name": &*header.name, "datum": shown(&header.value) }))
        .collect();
    json!({
        "topic": &*record.topic,
        "partition": record.partition,
        "key": shown(&record.key),
        "value": shown(&record.value),
        "timestamp": record.timestamp.map(|timestamp| timestamp.to_string()),
        "headers": headers,
    })
}

fn shown(datum: &Datum) -> Json {
    json!({ "schema": datum.schema.as_ref().map(|schema| shown_schema(schema)), "value": tagged(&datum.value) })
}

fn shown_schema(schema: &ConnectSchema) -> Json {
    let text = |text: &Option<ByteString>| text.as_ref().map(ToString::to_string);
    let parameters: serde_json::Map<String, Json> =
        schema.parameters.iter().map(|(name, value)| (name.to_string(), value.to_string().into())).collect();
    let mut shown = json!({
        "type": kind(&schema.kind),
        "optional": schema.optional,
        "name": text(&schema.name),
        "version": schema.version.map(|version| version.to_string()),
        "doc": text(&schema.doc),
        "parameters": parameters,
        "default": schema.default.as_ref().map(tagged),
    });
    match &schema.kind {
        Type::Array(items) => shown["items"] = shown_schema(items),
        Type::Map(keys, values) => {
            shown["keys"] = shown_schema(keys);
            shown["values"] = shown_schema(values);
        }
        Type::Struct(fields) => {
            let field =
                |field: &Field| json!({ "name": &*field.name, "schema": shown_schema(&field.schema) });
            shown["fields"] = fields.iter().map(field).collect();
        }
        _ => {}
    }
    shown
}

fn tagged(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => json!({ "z": value }),
        Value::Int8(number) => json!({ "b": number.to_string() }),
        Value::Int16(number) => json!({ "h": number.to_string() }),
        Value::Int32(number) => json!({ "i": number.to_string() }),
        Value::Int64(number) => json!({ "l": number.to_string() }),
        Value::Float32(number) if number.is_nan() => json!({ "f": "2143289344" }),
        Value::Float32(number) => json!({ "f": (number.to_bits() as i32).to_string() }),
        Value::Float64(number) if number.is_nan() => json!({ "d": "9221120237041090560" }),
        Value::Float64(number) => json!({ "d": (number.to_bits() as i64).to_string() }),
        Value::String(text) => json!({ "s": &**text }),
        Value::Bytes(bytes) => json!({ "y": STANDARD.encode(bytes) }),
        Value::Array(items) => json!({ "a": items.iter().map(tagged).collect::<Vec<_>>() }),
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value)| json!([tagged(key), tagged(value)]);
            json!({ "m": entries.iter().map(entry).collect::<Vec<_>>() })
        }
        Value::Struct(fields) => {
            let field = |(name, value): (&ByteString, &Value)| json!([&**name, tagged(value)]);
            json!({ "r": fields.iter().map(field).collect::<Vec<_>>() })
        }
    }
}
