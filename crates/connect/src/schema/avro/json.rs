//! JSON as Avro's own library takes and writes it: with comments, and with numbers in Java's form.

use crate::schema::tree::{Dialect, Fault, Item};

/// Values may stand within so many others. Each nested record takes three.
const NESTING_MAX: usize = 511;

const DIALECT: Dialect = Dialect { nesting_max: NESTING_MAX, comments: true, number };

pub(super) fn parse(text: &str) -> Result<Item, Fault> {
    Item::parse(text, &DIALECT)
}

impl Item {
    /// The number, when it is one without a fraction that fits.
    pub(super) fn whole(&self) -> Option<i64> {
        self.digits()?.parse().ok()
    }

    /// The number, also one for which JSON has no digits.
    pub(super) fn float(&self) -> Option<f64> {
        self.digits()?.trim_matches('"').parse().ok()
    }
}

fn number(text: &str) -> Option<String> {
    match text {
        "-0" => Some("0".to_owned()),
        _ if text.contains(['.', 'e', 'E']) => text.parse().ok().map(float_text),
        _ => Some(text.to_owned()),
    }
}

/// A number as Java writes it, whose schemas registries are full of: `1.0`, `1.0E10`, `1.5E-5`. One for which JSON has no
/// digits stands in quotes.
pub(super) fn float_text(number: f64) -> String {
    let magnitude = number.abs();
    if !number.is_finite() {
        let sign = if number < 0.0 { "-" } else { "" };
        let word = if number.is_nan() { "NaN" } else { "Infinity" };
        return format!("\"{sign}{word}\"");
    }
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{number:?}");
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}
