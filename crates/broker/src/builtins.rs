//! What is built in: a row for each plugin of Connect.

use std::sync::Arc;

use vltava_connect::connectors::{self, Allowed};
use vltava_connect::converters::Registries;
use vltava_connect::plugins::Plugins;
use vltava_connect::{converters, transforms};

/// The plugins of Connect; connectors and their converters touch what is allowed only, and converters find their registry in
/// these.
#[must_use]
pub fn plugins(allowed: Allowed, registries: &Registries) -> Plugins {
    let mut plugins = Plugins::default();
    let allowed = &Arc::new(allowed);
    let rows = connectors::plugins(allowed).into_iter();
    let rows = rows.chain(converters::plugins()).chain(converters::registry_plugins(registries, allowed));
    let rows = rows.chain(transforms::plugins());
    rows.for_each(|row| plugins.add(row));
    plugins
}
