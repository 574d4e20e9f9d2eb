//! Numbers, decimals and times as text, written and read as the tools of the JVM write and read them.
//!
//! Converters and transforms promise Kafka's text; what it is lies here, apart from records and schemas.

mod decimal;
mod float;
pub mod json;
pub mod literal;
pub(crate) mod pattern;
pub mod text;
pub mod time;

pub use decimal::Decimal;
pub use float::{double, single};
