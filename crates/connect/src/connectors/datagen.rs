//! Makes up records to try things with: users, page views, orders, clicks.
//!
//! Each record follows from the seed, the number of the task and its place alone, so that a task goes on after a restart
//! exactly where it was, and two runs with a seed are the same.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use serde_json::Value as Json;

use crate::connector::{
    Altered, Connector, ExactlyOnce, OffsetReader, Source, SourceConnector, SourceContext,
};
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Datum, Field, Position, Record, SourceMap, SourceOffset, Type};
use crate::settings::{Config, FieldError, Importance, Kind, Setting, Settings, Values};
use crate::value::Value;

/// Records of a poll when there are no pauses.
const BATCH: u64 = 1000;
/// The longest pause, in milliseconds.
const PAUSE_MS_MAX: i64 = 24 * 60 * 60 * 1000;
/// The time of the first record, in milliseconds since 1970.
const BEGINNING: i64 = 1_500_000_000_000;

const TASK: &str = "task.id";
const PLACE: &str = "current.iteration";
const STARTS: [&str; 4] = ["users", "pageviews", "orders", "clickstream"];

/// The connector.
#[derive(Debug)]
pub(super) struct Datagen;

#[async_trait]
impl Connector for Datagen {
    fn settings(&self) -> Settings {
        let quickstart = "What is made up: users, pageviews, orders or clickstream.";
        let interval = "The longest pause between two records, in milliseconds; each pause is a random part of it. 0 makes \
            records as fast as they are taken.";
        let iterations = "How many records each task makes; -1 is for ever.";
        let seed = "Tasks with a seed always make the same records.";
        let key = "The field that becomes the key; empty is the usual one.";
        Settings::from([
            Setting::required("kafka.topic", Kind::String, "The topic to write to.").not_empty(),
            Setting::new("quickstart", Kind::String, "users", quickstart).one_of(STARTS).recommended(STARTS),
            Setting::new("max.interval", Kind::Long, "500", interval).between(0, PAUSE_MS_MAX),
            Setting::new("iterations", Kind::Long, "-1", iterations).at_least(-1),
            Setting::new("seed", Kind::Long, "0", seed).importance(Importance::Low),
            Setting::new("schema.keyfield", Kind::String, "", key).importance(Importance::Low),
        ])
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        match Recipe::new(values) {
            Ok(_) => Vec::new(),
            Err(error) => vec![FieldError::new("schema.keyfield", error.message)],
        }
    }

    async fn task_configs(&self, values: &Values, tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        Ok(vec![values.raw().clone(); tasks_max])
    }
}

#[async_trait]
impl SourceConnector for Datagen {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        Ok(Box::new(DatagenTask {
            recipe: Recipe::new(values)?,
            topic: values.string("kafka.topic")?.into(),
            pause_ms: values.number("max.interval")?.unsigned_abs(),
            end: u64::try_from(values.number("iterations")?).unwrap_or(u64::MAX),
            seed: (values.number("seed")? as u64).wrapping_add((context.task as u64) << 32),
            partition: Arc::new(SourceMap::from_iter([(TASK.to_owned(), Json::from(context.task))])),
            offsets: context.offsets,
            place: 0,
        }))
    }

    fn exactly_once(&self, _values: &Values) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn alter_offsets(
        &self,
        _values: &Values,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        for (partition, offset) in offsets {
            let is_place = |offset: &SourceMap| offset.get(PLACE).is_some_and(Json::is_u64);
            if !partition.get(TASK).is_some_and(Json::is_u64) || !offset.as_ref().is_none_or(is_place) {
                let message = format!(
                    "a partition is {{\"{TASK}\": NUMBER}}, an offset is {{\"{PLACE}\": NUMBER}} or null"
                );
                return Err(ConnectError::failed(message));
            }
        }
        Ok(Altered::Supported)
    }
}

/// Random numbers that follow from a seed and a place.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, place: u64) -> Self {
        let mut dice =
            Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ place.wrapping_mul(0xd1b5_4a32_d192_ed03));
        dice.bits();
        dice
    }

    /// SplitMix64.
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound.max(1)
    }

    fn pick(&mut self, texts: &[&'static str]) -> Value {
        let index = self.below(texts.len() as u64) as usize;
        Value::String(texts.get(index).copied().unwrap_or_default().into())
    }

    fn name(&mut self, prefix: &str, bound: u64) -> Value {
        Value::String(format!("{prefix}{}", 1 + self.below(bound)).into())
    }
}

/// What is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Users,
    Pageviews,
    Orders,
    Clickstream,
}

impl Start {
    fn fields(self) -> Vec<(&'static str, ConnectSchema)> {
        let of = ConnectSchema::new;
        match self {
            Self::Users => vec![
                ("registertime", of(Type::Int64)),
                ("userid", of(Type::String)),
                ("regionid", of(Type::String)),
                ("gender", of(Type::String)),
            ],
            Self::Pageviews => {
                vec![
                    ("viewtime", of(Type::Int64)),
                    ("userid", of(Type::String)),
                    ("pageid", of(Type::String)),
                ]
            }
            Self::Orders => vec![
                ("ordertime", of(Type::Int64)),
                ("orderid", of(Type::Int32)),
                ("itemid", of(Type::String)),
                ("orderunits", of(Type::Float64)),
                ("address", address()),
            ],
            Self::Clickstream => vec![
                ("ip", of(Type::String)),
                ("userid", of(Type::Int32)),
                ("time", of(Type::Int64)),
                ("request", of(Type::String)),
                ("status", of(Type::Int32)),
                ("bytes", of(Type::Int64)),
                ("agent", of(Type::String).optional()),
            ],
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Users | Self::Pageviews | Self::Clickstream => "userid",
            Self::Orders => "orderid",
        }
    }

    fn values(self, place: u64, dice: &mut Dice) -> Vec<Value> {
        let time = Value::Int64(BEGINNING.wrapping_add((place as i64).wrapping_mul(10)));
        match self {
            Self::Users => {
                let genders = ["MALE", "FEMALE", "OTHER"];
                vec![time, dice.name("User_", 9), dice.name("Region_", 9), dice.pick(&genders)]
            }
            Self::Pageviews => vec![time, dice.name("User_", 9), dice.name("Page_", 99)],
            Self::Orders => {
                let units = dice.below(100_000) as f64 / 10_000.0;
                let item = dice.name("Item_", 999);
                let address = [
                    dice.name("City_", 99),
                    dice.name("State_", 99),
                    Value::Int32(10_000 + dice.below(90_000) as i32),
                ];
                vec![time, Value::Int32(place as i32), item, Value::Float64(units), named(&ADDRESS, address)]
            }
            Self::Clickstream => {
                let ip = (0..4).map(|_| dice.below(256).to_string()).collect::<Vec<_>>().join(".");
                let requests = [
                    "GET /index.html HTTP/1.1",
                    "GET /images/logo.png HTTP/1.1",
                    "POST /login HTTP/1.1",
                    "GET /cart HTTP/1.1",
                ];
                let status =
                    [200, 200, 200, 302, 404, 407, 500].get(dice.below(7) as usize).copied().unwrap_or(200);
                let user = Value::Int32(1 + dice.below(40) as i32);
                let request = dice.pick(&requests);
                let bytes = Value::Int64(dice.below(20_000) as i64);
                let agent =
                    if dice.below(10) == 0 { Value::Null } else { dice.pick(&["Mozilla/5.0", "curl/8.5.0"]) };
                vec![Value::String(ip.into()), user, time, request, Value::Int32(status), bytes, agent]
            }
        }
    }
}

const ADDRESS: [&str; 3] = ["city", "state", "zipcode"];

fn address() -> ConnectSchema {
    let shapes = [Type::String, Type::String, Type::Int32];
    let field =
        |(name, kind): (&'static str, Type)| Field { name: name.into(), schema: ConnectSchema::of(kind) };
    ConnectSchema::new(Type::Struct(ADDRESS.into_iter().zip(shapes).map(field).collect()))
        .named("ksql.address")
}

fn named<const N: usize>(names: &[&'static str; N], values: [Value; N]) -> Value {
    Value::record(names.iter().map(|name| ByteString::from_static(name)).zip(values))
}

/// How a record is made.
#[derive(Debug)]
struct Recipe {
    start: Start,
    schema: Arc<ConnectSchema>,
    /// The field that is the key.
    key: usize,
}

impl Recipe {
    fn new(values: &Values) -> Result<Self, ConnectError> {
        let start = match values.string("quickstart")? {
            "pageviews" => Start::Pageviews,
            "orders" => Start::Orders,
            "clickstream" => Start::Clickstream,
            _ => Start::Users,
        };
        let field = |(name, schema): (&'static str, ConnectSchema)| Field {
            name: name.into(),
            schema: schema.into(),
        };
        let fields: Vec<Field> = start.fields().into_iter().map(field).collect();
        let key = match values.string("schema.keyfield")? {
            "" => start.key(),
            given => given,
        };
        let Some(key) = fields.iter().position(|field| field.name == *key) else {
            let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
            return Err(ConnectError::config(format!("{key} is none of the fields {}", names.join(", "))));
        };
        let name = format!("ksql.{}", values.string("quickstart")?);
        let schema = Arc::new(ConnectSchema::new(Type::Struct(fields)).named(name));
        Ok(Self { start, schema, key })
    }

    /// The key and the value of the record at a place.
    fn record(&self, seed: u64, place: u64) -> (Datum, Datum) {
        let values = self.start.values(place, &mut Dice::new(seed, place));
        let key = Datum {
            schema: self.schema.fields().get(self.key).map(|field| Arc::clone(&field.schema)),
            value: values.get(self.key).cloned().unwrap_or_default(),
        };
        let names = self.schema.fields().iter().map(|field| field.name.clone());
        (key, Datum { schema: Some(Arc::clone(&self.schema)), value: Value::record(names.zip(values)) })
    }
}

/// The task.
#[derive(Debug)]
struct DatagenTask {
    recipe: Recipe,
    topic: ByteString,
    /// The longest pause.
    pause_ms: u64,
    /// The place behind the last record.
    end: u64,
    seed: u64,
    partition: Arc<SourceMap>,
    offsets: Arc<dyn OffsetReader>,
    /// The place of the next record.
    place: u64,
}

#[async_trait]
impl Source for DatagenTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        let stored = self.offsets.offsets(&[(*self.partition).clone()]).await?;
        if let Some(Some(offset)) = stored.first() {
            let place = offset.get(PLACE).and_then(Json::as_u64);
            self.place =
                place.ok_or_else(|| ConnectError::failed(format!("the stored offset has no {PLACE}")))?;
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        if self.place >= self.end {
            return std::future::pending().await;
        }
        if self.pause_ms > 0 {
            // The pause follows from the place as well, and from nothing that the record follows from.
            let pause = Dice::new(!self.seed, self.place).below(self.pause_ms + 1);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let count = if self.pause_ms > 0 { 1 } else { BATCH.min(self.end - self.place) };
        let mut records = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let (key, value) = self.recipe.record(self.seed, self.place);
            self.place += 1;
            let offset = SourceOffset::Number(PLACE, self.place.into());
            let position = Position { partition: Arc::clone(&self.partition), offset };
            records.push(Record { key, ..Record::new(self.topic.clone(), value, position) });
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{Datagen, Recipe, STARTS};
    use crate::connector::testing::{SourceHarness, source_suite};
    use crate::connector::{Connector, SourceConnector};
    use crate::notation::text::display;
    use crate::schema_check::require_valid;
    use crate::settings::Config;

    struct Harness(&'static str);

    fn config(start: &str, interval: &str) -> Config {
        let entries =
            [("kafka.topic", "t"), ("quickstart", start), ("max.interval", interval), ("seed", "7")];
        entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[async_trait]
    impl SourceHarness for Harness {
        fn connector(&self) -> Arc<dyn SourceConnector> {
            Arc::new(Datagen)
        }

        fn config(&self) -> Config {
            config("orders", self.0)
        }

        async fn feed(&mut self, _records: usize) {}
    }

    #[tokio::test(start_paused = true)]
    async fn the_source_keeps_the_rules() {
        source_suite(Harness("0")).await;
        source_suite(Harness("500")).await;
    }

    #[test]
    fn records_follow_from_seed_and_place() {
        for start in STARTS {
            let values = Datagen.settings().parse(&config(start, "0")).expect("settings");
            let recipe = Recipe::new(&values).expect("a recipe");
            let mut texts = std::collections::HashSet::new();
            for place in 0..1000 {
                let (key, value) = recipe.record(7, place);
                for datum in [&key, &value] {
                    let schema = datum.schema.as_ref().expect("a schema");
                    require_valid(schema, &datum.value, "value").expect("data of the schema");
                }
                assert_eq!((key, value.clone()), recipe.record(7, place));
                texts.insert(display(value.schema.as_deref(), &value.value));
            }
            assert_eq!(texts.len(), 1000, "{start}");
        }
    }

    #[tokio::test]
    async fn the_key_must_be_a_field() {
        let mut given = config("users", "0");
        given.insert("schema.keyfield".to_owned(), "nothing".to_owned());
        let values = Datagen.settings().parse(&given).expect("settings");
        let errors = Datagen.validate(&values).await;
        let message = "nothing is none of the fields registertime, userid, regionid, gender";
        assert_eq!(errors.first().map(|error| error.message.as_str()), Some(message));
    }
}
