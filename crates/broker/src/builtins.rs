//! What is built in: a row for each plugin of Connect.

use std::sync::Arc;

use vltava_connect::connectors::{self, Allowed};
use vltava_connect::plugins::Plugins;
use vltava_connect::{converters, transforms};

/// The plugins of Connect; connectors of files touch the allowed ones only.
#[must_use]
pub fn plugins(allowed: Allowed) -> Plugins {
    let mut plugins = Plugins::default();
    let rows = connectors::plugins(&Arc::new(allowed)).into_iter();
    let rows = rows.chain(converters::plugins()).chain(transforms::plugins());
    rows.for_each(|row| plugins.add(row));
    plugins
}
