//! The suite that every format passes, a user's own included.
//!
//! It checks the contract of the seam ([`SchemaFormat`], [`Schema`]) with what the format's author hands in: some schemas
//! with values, texts that are none, and pairs with the reasons why one cannot read the other. What it adds itself is
//! damage: cut and changed texts and bytes, deep nesting, huge inputs. In a test program whose global allocator is
//! [`PeakAllocator`] the bytes are counted that each call holds.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use vltava_core::testing::{PeakAllocator, seeds};

use super::{
    CompatibilityPolicy, DataError, Direction, Entity, EntityTags, EntityType, Incompatibility, ParseError,
    Referenced, RenderError, Schema, SchemaFormat, SchemaText, TagChange, TagError, Validation,
};
use crate::value::Value;

pub mod avro;
mod damage;

use damage::Damage;

/// How many damaged copies are made of each text and of each encoded value.
const COPIES: usize = 200;
/// How many texts are made of parts of others.
const TANGLES: u64 = 400;
/// The most bytes of data at random.
const NOISE_BYTES: usize = 64;
/// How deep texts are nested that no format may follow to the end.
const NESTING: usize = 200_000;
/// The length of texts that are too long for any schema, in bytes.
const HUGE_BYTES: usize = 64 << 20;
/// The longest that any one call may take, on a machine that does much else.
const CALL_MAX: Duration = Duration::from_secs(20);
/// The bytes that any one call may hold, whatever its input.
const CALL_BYTES: usize = 4 << 20;
/// The bytes that it may hold besides for each byte of its input.
const BYTES_PER_BYTE: usize = 16;

/// Under each of these a schema reads itself.
const POLICIES: [CompatibilityPolicy; 3] =
    [CompatibilityPolicy::Strict, CompatibilityPolicy::Logical, CompatibilityPolicy::Lenient];

/// What a format is tried with.
#[derive(Clone, Debug, Default)]
pub struct FormatCases {
    /// Schemas with values; at least one.
    pub schemas: Vec<SchemaCase>,
    /// Texts that are no schema.
    pub invalid: Vec<String>,
    /// Texts that differ only in layout, in groups.
    pub same_canonical: Vec<Vec<String>>,
    /// Texts that differ only in what means nothing, in groups.
    pub same_normalized: Vec<Vec<String>>,
    /// Pairs of schemas, some of which do not fit.
    pub pairs: Vec<PairCase>,
    /// What opens something that may be nested, in the format's language: `{"type":"array","items":`.
    pub openers: Vec<String>,
}

/// A schema and what it is for.
#[derive(Clone, Debug, Default)]
pub struct SchemaCase {
    /// Its text.
    pub text: String,
    /// What it refers to.
    pub references: Vec<Referenced>,
    /// Values that fit it, each with the name of its type, where the schema has several.
    pub values: Vec<(Option<String>, Value)>,
    /// Values that do not.
    pub misfits: Vec<Value>,
}

/// A schema that reads, one that wrote, and what is between them.
#[derive(Clone, Debug, Default)]
pub struct PairCase {
    /// The text of the reader.
    pub reader: String,
    /// The text of the writer.
    pub writer: String,
    /// The kinds and paths of all reasons, in any order; none when it fits.
    pub reasons: Vec<(String, String)>,
}

/// Tries a format with `cases`.
///
/// # Panics
/// When the format breaks the contract; the message says where.
pub fn format_suite(format: &dyn SchemaFormat, cases: &FormatCases) {
    let suite = Suite { format };
    assert!(!cases.schemas.is_empty(), "the suite needs a schema to try");
    assert!(
        !format.name().is_empty() && format.name() == format.name().to_uppercase(),
        "the name is in capitals"
    );
    cases.schemas.iter().for_each(|case| suite.schema(case));
    cases.invalid.iter().for_each(|text| suite.invalid(text));
    cases.same_canonical.iter().for_each(|group| suite.same(group, |schema| schema.canonical().to_owned()));
    cases.same_normalized.iter().for_each(|group| suite.same(group, Schema::normalized));
    cases.pairs.iter().for_each(|pair| suite.pair(pair));
    suite.damaged(cases);
    suite.tangled(cases);
    suite.nested(&cases.openers);
}

struct Suite<'f> {
    format: &'f dyn SchemaFormat,
}

impl Suite<'_> {
    fn try_parse(&self, text: &str, references: &[Referenced]) -> Result<Arc<dyn Schema>, ParseError> {
        let parse = || self.format.parse(SchemaText { text, references, validation: Validation::New });
        bounded("parse", text, parse)
    }

    fn parse(&self, text: &str, references: &[Referenced]) -> Arc<dyn Schema> {
        self.try_parse(text, references)
            .unwrap_or_else(|error| panic!("{} is a schema: {error}", short(text)))
    }

    fn schema(&self, case: &SchemaCase) {
        let schema = self.parse(&case.text, &case.references);
        self.texts(&*schema, case);
        self.reads_itself(&*schema, case);
        stranger(&*schema, case);
        for (type_name, value) in &case.values {
            self.value(&*schema, type_name.as_deref(), value);
        }
        for value in &case.misfits {
            assert!(schema.encoded(None, value).is_err(), "{} takes {value:?}", short(&case.text));
        }
    }

    /// Canonical and normalized texts are stable, and stand for the same schema.
    fn texts(&self, schema: &dyn Schema, case: &SchemaCase) {
        let canonical = self.parse(schema.canonical(), &case.references);
        assert_eq!(canonical.canonical(), schema.canonical(), "the canonical text is stable");
        assert_eq!(canonical.normalized(), schema.normalized(), "the canonical text normalizes to the same");
        let normalized = self.parse(&schema.normalized(), &case.references);
        assert_eq!(normalized.normalized(), schema.normalized(), "the normalized text is stable");
        assert_eq!(
            schema.render("").as_deref(),
            Ok(schema.canonical()),
            "the empty form is the canonical text"
        );
        let unknown = schema.render("no such form").map(|text| panic!("an unknown form gives {text}"));
        for form in unknown.map_or_else(|RenderError { known, .. }| known, |()| &[]) {
            assert!(schema.render(form).is_ok(), "the form {form} is known");
        }
        let stored =
            SchemaText { text: &case.text, references: &case.references, validation: Validation::Stored };
        let stored =
            self.format.parse(stored).unwrap_or_else(|error| panic!("what is new may be stored: {error}"));
        assert_eq!(stored.canonical(), schema.canonical(), "a stored schema is the same");
    }

    fn reads_itself(&self, schema: &dyn Schema, case: &SchemaCase) {
        let again = self.parse(&case.text, &case.references);
        for policy in POLICIES {
            let reasons = schema.incompatibilities(&*again, Direction::NewReadsOld, policy);
            assert_eq!(reasons, [], "{} reads itself", short(&case.text));
        }
    }

    /// A value is read as it was written; damaged bytes are refused, or read as something.
    fn value(&self, schema: &dyn Schema, type_name: Option<&str>, value: &Value) {
        let bytes =
            schema.encoded(type_name, value).unwrap_or_else(|error| panic!("{value:?} fits: {error}"));
        let read = schema.decode(schema, bytes.clone());
        assert_eq!(read.as_ref(), Ok(value), "a value is read as it was written");
        let mut damage = Damage::new(bytes.len());
        for _ in 0..COPIES {
            let damaged = damage.bytes(&bytes);
            let _any = bounded("decode", &damaged, || schema.decode(schema, Bytes::from(damaged.clone())));
        }
    }

    fn invalid(&self, text: &str) {
        if let Ok(schema) = self.try_parse(text, &[]) {
            panic!("{} is no schema, but parses as {}", short(text), schema.canonical());
        }
    }

    fn same(&self, group: &[String], text: impl Fn(&dyn Schema) -> String) {
        let texts: Vec<String> = group.iter().map(|schema| text(&*self.parse(schema, &[]))).collect();
        for pair in texts.windows(2) {
            assert_eq!(pair.first(), pair.last(), "of these one text is made: {group:?}");
        }
    }

    fn pair(&self, pair: &PairCase) {
        let (reader, writer) = (self.parse(&pair.reader, &[]), self.parse(&pair.writer, &[]));
        for direction in [Direction::NewReadsOld, Direction::OldReadsNew] {
            let compare = || reader.incompatibilities(&*writer, direction, CompatibilityPolicy::Strict);
            let found = bounded("compare", &pair.reader, compare);
            let mut kinds: Vec<(String, String)> =
                found.iter().map(|reason| (reason.kind.to_owned(), reason.path.clone())).collect();
            let mut expected = pair.reasons.clone();
            kinds.sort();
            expected.sort();
            assert_eq!(kinds, expected, "{} reads {}", short(&pair.reader), short(&pair.writer));
            found.iter().for_each(tells);
        }
    }

    /// Damaged texts are refused, or are schemas as good as any.
    fn damaged(&self, cases: &FormatCases) {
        for case in &cases.schemas {
            let mut damage = Damage::new(case.text.len());
            for _ in 0..COPIES {
                let text = damage.text(&case.text);
                let Ok(schema) = self.try_parse(&text, &case.references) else { continue };
                let again = self.try_parse(schema.canonical(), &case.references);
                let again = again.unwrap_or_else(|error| panic!("{} of {text}: {error}", schema.canonical()));
                assert_eq!(again.canonical(), schema.canonical(), "{text}");
                let normalized = schema.normalized();
                assert_eq!(again.normalized(), normalized, "{text}");
                let normal = self.try_parse(&normalized, &case.references);
                let normal = normal.unwrap_or_else(|error| panic!("{normalized} of {text}: {error}"));
                assert_eq!(normal.normalized(), normalized, "{text}");
                for (other, policy) in [(&again, POLICIES[0]), (&again, POLICIES[1]), (&normal, POLICIES[2])]
                {
                    let compare = || other.incompatibilities(&*schema, Direction::NewReadsOld, policy);
                    assert_eq!(bounded("compare", &text, compare), [], "{text}");
                }
            }
        }
    }

    /// Texts made of parts of others are refused, or are schemas that compare, tag, write and read in bounded time: nothing panics,
    /// whatever meets whatever.
    fn tangled(&self, cases: &FormatCases) {
        let texts = cases.all_texts();
        let schemas: Vec<Arc<dyn Schema>> =
            cases.schemas.iter().map(|case| self.parse(&case.text, &case.references)).collect();
        let values: Vec<&Value> =
            cases.schemas.iter().flat_map(|case| case.values.iter().map(|(_, value)| value)).collect();
        for seed in seeds("VLTAVA_FORMAT_SEEDS", 0..TANGLES) {
            let mut damage = Damage::new(usize::try_from(seed).unwrap_or_default());
            let (Some(one), Some(other)) = (damage.one_of(&texts), damage.one_of(&texts)) else { return };
            let mut text = damage.mixed(one, other);
            if seed % 3 == 0 {
                text = damage.text(&text);
            }
            let stored = SchemaText { text: &text, references: &[], validation: Validation::Stored };
            let Ok(schema) = bounded("parse", &text, || self.format.parse(stored)) else { continue };
            let Some(known) = damage.one_of(&schemas) else { return };
            for (reader, writer) in [(&schema, known), (known, &schema)] {
                let compare = || {
                    reader.incompatibilities(&**writer, Direction::NewReadsOld, CompatibilityPolicy::Lenient)
                };
                let _reasons = bounded("compare", &text, compare);
                let noise = Bytes::from(damage.noise(NOISE_BYTES));
                let _any = bounded("decode", &text, || reader.decode(&**writer, noise.clone()));
            }
            if let Some(value) = damage.one_of(&values)
                && let Ok(bytes) = bounded("encode", &text, || schema.encoded(None, value))
            {
                let _any = bounded("decode", &text, || known.decode(&*schema, bytes.clone()));
            }
            bounded("tag", &text, || retag(&*schema));
        }
    }

    /// Nesting and length beyond reason neither overflow the stack nor take long.
    fn nested(&self, openers: &[String]) {
        for opener in openers.iter().map(String::as_str).chain(["[", "{", "(", "{\"a\":", "<a>"]) {
            let _refused = self.try_parse(&opener.repeat(NESTING), &[]);
        }
        for filler in ["a", " ", "0", "\"", "\\", "\n", "\u{0}", "é"] {
            let _refused = self.try_parse(&filler.repeat(HUGE_BYTES / 8), &[]);
        }
    }
}

impl FormatCases {
    /// Every text, whatever it is for.
    fn all_texts(&self) -> Vec<&str> {
        let groups = self.same_canonical.iter().chain(&self.same_normalized).flatten();
        let pairs = self.pairs.iter().flat_map(|pair| [&pair.reader, &pair.writer]);
        let schemas = self.schemas.iter().map(|case| &case.text);
        schemas.chain(&self.invalid).chain(groups).chain(pairs).map(String::as_str).collect()
    }
}

/// What is tagged can be tagged otherwise; what is not there cannot.
fn retag(schema: &dyn Schema) {
    let change = |entity: Entity| TagChange { entity, add: vec!["TAG".to_owned()], remove: Vec::new() };
    for tags in schema.tags() {
        let changed = schema.with_tags(&[change(tags.schema_entity)]);
        assert!(changed.is_ok(), "what is tagged can be tagged otherwise: {changed:?}");
    }
    let nowhere = Entity { entity_path: "no such place".to_owned(), entity_type: EntityType::Field };
    assert!(schema.with_tags(&[change(nowhere)]).is_err(), "what is not there cannot be tagged");
}

/// A reason names both schemas and the place.
fn tells(reason: &Incompatibility) {
    let message = &reason.message;
    assert!(
        message.contains("new") && message.contains("old"),
        "a message names the new and the old schema: {message}"
    );
    assert!(
        reason.path.starts_with('/') || reason.path.starts_with('#'),
        "a path starts at the root: {}",
        reason.path
    );
    assert!(!reason.kind.is_empty(), "a reason is of a kind");
}

/// With a schema of another format, nothing fits and nothing is read.
fn stranger(schema: &dyn Schema, case: &SchemaCase) {
    let reasons = schema.incompatibilities(&Stranger, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    assert_eq!(reasons.len(), 1, "{} does not fit another format", short(&case.text));
    assert!(schema.decode(&Stranger, Bytes::new()).is_err(), "data of another format is not read");
}

/// A schema of no format that there is.
#[derive(Debug)]
struct Stranger;

impl Schema for Stranger {
    fn canonical(&self) -> &str {
        ""
    }

    fn normalized(&self) -> String {
        String::new()
    }

    fn render(&self, _: &str) -> Result<String, RenderError> {
        Ok(String::new())
    }

    fn record_name(&self) -> Option<&str> {
        None
    }

    fn has_field(&self, _: &str) -> bool {
        false
    }

    fn tags(&self) -> Vec<EntityTags> {
        Vec::new()
    }

    fn with_tags(&self, _: &[TagChange]) -> Result<String, TagError> {
        Err(TagError::NoTags("NONE"))
    }

    fn incompatibilities(
        &self,
        _: &dyn Schema,
        _: Direction,
        _: CompatibilityPolicy,
    ) -> Vec<Incompatibility> {
        Vec::new()
    }

    fn encode(&self, _: Option<&str>, _: &Value, _: &mut Vec<u8>) -> Result<usize, DataError> {
        Ok(0)
    }

    fn decode(&self, _: &dyn Schema, _: Bytes) -> Result<Value, DataError> {
        Ok(Value::Null)
    }
}

/// Runs a call, and fails when it takes too long or holds too many bytes.
fn bounded<T>(what: &str, input: &(impl AsRef<[u8]> + Debug + ?Sized), call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let (outcome, bytes) = PeakAllocator::peak_of(call);
    let took = start.elapsed();
    let shown = || short(&format!("{input:?}"));
    assert!(took <= CALL_MAX, "{what} took {took:?} for {}", shown());
    let bytes_max = CALL_BYTES + BYTES_PER_BYTE * input.as_ref().len();
    assert!(bytes <= bytes_max, "{what} held {bytes} bytes, more than {bytes_max}, for {}", shown());
    outcome
}

/// Enough of a text to know it.
fn short(text: &str) -> String {
    text.chars().take(300).collect()
}
