//! Converters on a registry in memory.

use std::sync::Arc;

use bytes::Bytes;

use super::{Registries, registry_plugins};
use crate::connectors::Allowed;
use crate::convert::{CONVERTER_TYPE, Converter, Decoding, Encoding};
use crate::error::ConnectError;
use crate::notation::Decimal;
use crate::plugins::Plugins;
use crate::record::{ConnectSchema, DATE, DECIMAL, Datum, Field, TIMESTAMP, Type};
use crate::schema::serializer::RegistryClient;
use crate::schema::serializer::testing::Memory;
use crate::settings::Config;
use crate::value::Value;

/// Settings: names and values.
pub(super) type Given<'a> = &'a [(&'a str, &'a str)];

pub(super) fn converter(class: &str, memory: &Arc<Memory>, settings: &[(&str, &str)]) -> Box<dyn Converter> {
    let memory = Arc::clone(memory);
    let registries: Registries = Arc::new(move |_: &Config| {
        let client: Arc<dyn RegistryClient> = memory.clone();
        Ok(client)
    });
    let mut plugins = Plugins::default();
    registry_plugins(&registries, &Arc::new(Allowed::everything()))
        .into_iter()
        .for_each(|row| plugins.add(row));
    let factory = plugins.converter(class).expect("the converter");
    let mut config = Config::from([(CONVERTER_TYPE.to_owned(), "value".to_owned())]);
    config.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    factory.make(&factory.settings().values(&config).expect("settings")).expect("settings fit")
}

/// Writes data that a seed has made, and reads it again.
pub(super) async fn there_and_back(converter: &dyn Converter, datum: &Datum, seed: u64) -> Datum {
    let written = encode(converter, datum).await;
    let bytes = written.unwrap_or_else(|error| panic!("seed {seed}: {}", error.trace()));
    let read = decode(converter, bytes.as_ref()).await;
    read.unwrap_or_else(|error| panic!("seed {seed}: {}", error.trace()))
}

pub(super) async fn encode(converter: &dyn Converter, datum: &Datum) -> Result<Option<Bytes>, ConnectError> {
    let mut headers = Vec::new();
    converter.encode(&mut [Encoding { topic: "t", headers: &mut headers, datum }]).await.remove(0)
}

pub(super) async fn decode(converter: &dyn Converter, bytes: Option<&Bytes>) -> Result<Datum, ConnectError> {
    converter.decode(&[Decoding { topic: "t", headers: &[], bytes }]).await.remove(0)
}

pub(super) fn of(kind: Type) -> ConnectSchema {
    ConnectSchema::new(kind)
}

pub(super) fn logical(kind: Type, name: &'static str) -> ConnectSchema {
    let mut schema = of(kind).named(name);
    schema.version = Some(1);
    schema
}

pub(super) fn structure(name: &'static str, fields: Vec<(&'static str, ConnectSchema)>) -> ConnectSchema {
    let field =
        |(name, schema): (&'static str, ConnectSchema)| Field { name: name.into(), schema: schema.into() };
    of(Type::Struct(fields.into_iter().map(field).collect())).named(name)
}

/// Schemas and data made up from a seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % most
    }

    /// A struct of the name `shop.Root`. With `lists_nest`, lists and maps are in lists.
    pub(super) fn root(&mut self, lists_nest: bool) -> ConnectSchema {
        let mut number = 0;
        self.structure(3, &mut number, lists_nest).named("shop.Root")
    }

    fn structure(&mut self, depth: u32, number: &mut usize, lists_nest: bool) -> ConnectSchema {
        let count = 1 + self.below(5);
        let fields = (0..count).map(|index| {
            let schema = self.schema(depth, number, lists_nest).into();
            Field { name: format!("f{index}").into(), schema }
        });
        let fields = fields.collect();
        *number += 1;
        of(Type::Struct(fields)).named(format!("shop.S{number}"))
    }

    fn schema(&mut self, depth: u32, number: &mut usize, lists_nest: bool) -> ConnectSchema {
        let choices = if depth == 0 { 12 } else { 15 };
        let schema = match self.below(choices) {
            0 => of(Type::Boolean),
            1 => of(Type::Int8),
            2 => of(Type::Int16),
            3 => of(Type::Int32),
            4 => of(Type::Int64),
            5 => of(Type::Float32),
            6 => of(Type::Float64),
            7 => of(Type::Bytes),
            8 => logical(Type::Int32, DATE),
            9 => logical(Type::Int64, TIMESTAMP),
            10 => {
                let mut schema = logical(Type::Bytes, DECIMAL);
                schema.parameters.push(("scale".into(), self.below(6).to_string().into()));
                schema
            }
            11 => of(Type::String),
            12 => self.structure(depth - 1, number, lists_nest),
            13 => {
                let mut items = self.schema(depth - 1, number, lists_nest);
                while !lists_nest && matches!(items.kind, Type::Array(_) | Type::Map(..)) {
                    items = self.schema(depth - 1, number, lists_nest);
                }
                items.optional = false;
                of(Type::Array(items.into()))
            }
            _ => {
                let keys = if self.below(2) == 0 { Type::String } else { Type::Int32 };
                let mut values = self.schema(depth - 1, number, lists_nest);
                while !lists_nest && matches!(values.kind, Type::Array(_) | Type::Map(..)) {
                    values = self.schema(depth - 1, number, lists_nest);
                }
                values.optional = false;
                *number += 1;
                of(Type::Map(of(keys).into(), values.into())).named(format!("shop.M{number}"))
            }
        };
        if self.below(3) == 0 { schema.optional() } else { schema }
    }

    /// Data of a schema. With `nulls`, what may be missing is so at times.
    pub(super) fn value(&mut self, schema: &ConnectSchema, nulls: bool) -> Value {
        if nulls && schema.optional && self.below(3) == 0 {
            return Value::Null;
        }
        let number = self.below(1 << 31) as i64 - (1 << 30);
        match &schema.kind {
            Type::Boolean => Value::Boolean(number % 2 == 0),
            Type::Int8 => Value::Int8(number as i8),
            Type::Int16 => Value::Int16(number as i16),
            Type::Int32 => Value::Int32((number % 1_000_000) as i32),
            Type::Int64 => Value::Int64(number * 1000 + self.below(1000) as i64),
            Type::Float32 => Value::Float32(number as f32 / 16.0),
            Type::Float64 => Value::Float64(number as f64 / 7.0),
            Type::String => Value::String(format!("text {number} ü\n\"").into()),
            Type::Bytes => {
                let decimal = Decimal::of_integer(number);
                Value::Bytes(decimal.unscaled_bytes().into())
            }
            Type::Array(items) => {
                Value::Array((0..self.below(4)).map(|_| self.value(items, nulls)).collect())
            }
            Type::Map(keys, values) => {
                let key = |index: u64| match keys.kind {
                    Type::String => Value::String(format!("k{index}").into()),
                    _ => Value::Int32(index as i32),
                };
                Value::Map((0..self.below(4)).map(|index| (key(index), self.value(values, nulls))).collect())
            }
            Type::Struct(fields) => Value::record(
                fields.iter().map(|field| (field.name.clone(), self.value(&field.schema, nulls))),
            ),
        }
    }
}
