//! Transforms and predicates that Kafka Connect ships, under the names of its classes, and a filter by a condition.
//!
//! Same records out, same errors: `cargo xtask conformance connect` compares with Kafka's own classes.

mod expression;
mod path;
mod side;

mod cast;
mod extract_field;
mod filter;
mod flatten;
mod header_from;
mod headers;
mod hoist_field;
mod insert_field;
mod mask_field;
mod predicates;
mod replace_field;
mod routers;
mod schema_metadata;
mod timestamp_converter;
mod value_to_key;

use self::side::Side;
use crate::error::ConnectError;
use crate::plugins::{Factory, Implementation, Plugin};
use crate::settings::{DefaultValue, Kind, Setting, Settings, Values};
use crate::transform::{Predicate, Transform};

/// All of them.
#[must_use]
pub fn plugins() -> Vec<Plugin> {
    let mut rows = Vec::new();
    macro_rules! of_sides {
        ($($module:ident::$name:ident),*) => {$(
            let class = concat!("org.apache.kafka.connect.transforms.", stringify!($name), "$Key");
            rows.push(transform(class, $module::settings(), |values| $module::$name::new(Side::Key, values)));
            let class = concat!("org.apache.kafka.connect.transforms.", stringify!($name), "$Value");
            rows.push(transform(class, $module::settings(), |values| $module::$name::new(Side::Value, values)));
        )*};
    }
    of_sides!(
        cast::Cast,
        extract_field::ExtractField,
        flatten::Flatten,
        header_from::HeaderFrom,
        hoist_field::HoistField,
        insert_field::InsertField,
        mask_field::MaskField,
        replace_field::ReplaceField,
        schema_metadata::SetSchemaMetadata,
        timestamp_converter::TimestampConverter
    );
    macro_rules! of_records {
        ($($name:literal: $settings:expr => $make:expr),*) => {$(
            let class = concat!("org.apache.kafka.connect.transforms.", $name);
            rows.push(transform(class, $settings, $make));
        )*};
    }
    of_records!(
        "DropHeaders": headers::drop_settings() => headers::DropHeaders::new,
        "Filter": Settings::none() => |_| Ok(filter::Filter),
        "InsertHeader": headers::insert_settings() => headers::InsertHeader::new,
        "RegexRouter": routers::regex_settings() => routers::RegexRouter::new,
        "TimestampRouter": routers::timestamp_settings() => routers::TimestampRouter::new,
        "ValueToKey": value_to_key::settings() => value_to_key::ValueToKey::new
    );
    let class = "vltava.connect.transforms.FilterByExpression";
    rows.push(transform(class, filter::condition_settings(), filter::FilterByExpression::new));
    let class = "org.apache.kafka.connect.transforms.predicates.HasHeaderKey";
    rows.push(predicate(class, predicates::header_settings(), predicates::HasHeaderKey::new));
    let class = "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone";
    rows.push(predicate(class, Settings::none(), |_| Ok(predicates::RecordIsTombstone)));
    let class = "org.apache.kafka.connect.transforms.predicates.TopicNameMatches";
    rows.push(predicate(class, predicates::topic_settings(), predicates::TopicNameMatches::new));
    rows
}

fn transform<T: Transform + 'static>(
    class: &'static str,
    settings: Settings,
    make: fn(&Values) -> Result<T, ConnectError>,
) -> Plugin {
    let factory = Factory::<dyn Transform>::new(settings, move |values| Ok(Box::new(make(values)?)));
    Plugin { class, version: env!("CARGO_PKG_VERSION"), implementation: Implementation::Transform(factory) }
}

fn predicate<T: Predicate + 'static>(
    class: &'static str,
    settings: Settings,
    make: fn(&Values) -> Result<T, ConnectError>,
) -> Plugin {
    let factory = Factory::<dyn Predicate>::new(settings, move |values| Ok(Box::new(make(values)?)));
    Plugin { class, version: env!("CARGO_PKG_VERSION"), implementation: Implementation::Predicate(factory) }
}

fn replace_null_setting() -> Setting {
    let doc = "Whether to replace fields that have a default value and that are null to the default value. When set to true, \
        the default value is used, otherwise null is used.";
    Setting::new("replace.null.with.default", Kind::Boolean, "true", doc)
}

fn list_setting(name: &str, default: DefaultValue, doc: &str) -> Setting {
    Setting { default, ..Setting::optional(name, Kind::List, doc) }
}

#[cfg(test)]
mod tests;
