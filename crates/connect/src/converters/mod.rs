//! Converters that Kafka Connect ships, under the names of its classes: same bytes, same errors.

mod each;
mod header;
mod json;
mod plain;
mod registry;

#[cfg(feature = "http")]
pub use self::registry::registries;
#[cfg(feature = "object-store")]
pub(crate) use self::registry::{AvroSchema, put_long};
pub use self::registry::{Registries, registry_plugins};

use self::each::{Each, Format};
use self::json::JsonFormat;
#[cfg(any(feature = "http", feature = "object-store"))]
pub(crate) use self::json::{json_line, of_json};
use self::plain::{Boolean, ByteArray, Encoding, Number, Text};
use crate::convert::{Converter, HeaderConverter};
use crate::error::ConnectError;
use crate::plugins::{Factory, Implementation, Plugin};
use crate::settings::{Importance, Kind, Setting, Settings, Values};

/// All of them: a row for keys and values, and one for headers.
#[must_use]
pub fn plugins() -> Vec<Plugin> {
    let mut rows = Vec::new();
    let none = Settings::none;
    add(&mut rows, "org.apache.kafka.connect.converters.ByteArrayConverter", none(), |_| {
        Ok(ByteArray::default())
    });
    add(
        &mut rows,
        "org.apache.kafka.connect.converters.BooleanConverter",
        none(),
        |_| Ok(Boolean::default()),
    );
    add(&mut rows, "org.apache.kafka.connect.converters.ShortConverter", none(), |_| Ok(Number::short()));
    add(&mut rows, "org.apache.kafka.connect.converters.IntegerConverter", none(), |_| Ok(Number::integer()));
    add(&mut rows, "org.apache.kafka.connect.converters.LongConverter", none(), |_| Ok(Number::long()));
    add(&mut rows, "org.apache.kafka.connect.converters.FloatConverter", none(), |_| Ok(Number::float()));
    add(&mut rows, "org.apache.kafka.connect.converters.DoubleConverter", none(), |_| Ok(Number::double()));
    add(&mut rows, "org.apache.kafka.connect.storage.StringConverter", text_settings(), |values| {
        let encoding = values.string("converter.encoding")?;
        let refuse = || ConnectError::config(format!("the encoding {encoding} is not supported"));
        Ok(Text::new(Encoding::of_name(encoding).ok_or_else(refuse)?))
    });
    add(&mut rows, "org.apache.kafka.connect.json.JsonConverter", json::settings(), JsonFormat::new);
    let simple = Factory::<dyn HeaderConverter>::new(none(), |_| Ok(Box::new(header::Simple)));
    rows.push(row(
        "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        Implementation::HeaderConverter(simple),
    ));
    rows
}

fn text_settings() -> Settings {
    let doc = "The name of the Java character set to use for encoding strings as byte arrays.";
    Settings::from([
        Setting::new("converter.encoding", Kind::String, "UTF-8", doc).importance(Importance::High)
    ])
}

fn add<F: Format + 'static>(
    rows: &mut Vec<Plugin>,
    class: &'static str,
    settings: Settings,
    make: fn(&Values) -> Result<F, ConnectError>,
) {
    let of_headers = Factory::<dyn HeaderConverter>::new(settings.clone(), move |values| {
        Ok(Box::new(Each(make(values)?)))
    });
    let of_data = Factory::<dyn Converter>::new(settings, move |values| Ok(Box::new(Each(make(values)?))));
    rows.push(row(class, Implementation::Converter(of_data)));
    rows.push(row(class, Implementation::HeaderConverter(of_headers)));
}

fn row(class: &'static str, implementation: Implementation) -> Plugin {
    Plugin { class, version: env!("CARGO_PKG_VERSION"), implementation }
}

#[cfg(test)]
mod tests;
