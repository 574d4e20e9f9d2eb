//! The connectors that come with Vltava.

mod allowed;

mod datagen;
mod file;
#[cfg(feature = "http")]
mod http;
mod mirror;
#[cfg(feature = "object-store")]
mod objects;

use std::sync::Arc;

pub use self::allowed::Allowed;
use crate::connector::figures::Declared;
use crate::connector::{SinkConnector, SourceConnector};
use crate::plugins::{Implementation, Plugin};

/// The figures that they have beside those of every task.
#[must_use]
pub fn figures() -> Vec<Declared> {
    mirror::figures().collect()
}

/// All of them; those that touch files or ask addresses touch the allowed ones only.
#[must_use]
pub fn plugins(allowed: &Arc<Allowed>) -> Vec<Plugin> {
    let row = |class, implementation| Plugin { class, version: env!("CARGO_PKG_VERSION"), implementation };
    let source = |source: Arc<dyn SourceConnector>| Implementation::Source(source);
    let sink = |sink: Arc<dyn SinkConnector>| Implementation::Sink(sink);
    #[cfg(feature = "object-store")]
    let stores = objects::Stores::new(allowed);
    let clusters = mirror::Clusters::new(Arc::clone(allowed));
    vec![
        row(
            "org.apache.kafka.connect.file.FileStreamSourceConnector",
            source(Arc::new(file::FileSource::new(Arc::clone(allowed)))),
        ),
        row(
            "org.apache.kafka.connect.file.FileStreamSinkConnector",
            sink(Arc::new(file::FileSink::new(Arc::clone(allowed)))),
        ),
        #[cfg(feature = "http")]
        row(
            "vltava.connect.http.HttpSourceConnector",
            source(Arc::new(http::HttpSource::new(Arc::clone(allowed)))),
        ),
        #[cfg(feature = "http")]
        row(
            "vltava.connect.http.HttpSinkConnector",
            sink(Arc::new(http::HttpSink::new(Arc::clone(allowed)))),
        ),
        #[cfg(feature = "object-store")]
        row(
            "vltava.connect.objects.ObjectSourceConnector",
            source(Arc::new(objects::ObjectSource::new(Arc::clone(&stores)))),
        ),
        #[cfg(feature = "object-store")]
        row("vltava.connect.objects.ObjectSinkConnector", sink(Arc::new(objects::ObjectSink::new(stores)))),
        row(
            "org.apache.kafka.connect.mirror.MirrorSourceConnector",
            source(Arc::new(mirror::MirrorSource::new(Arc::clone(&clusters)))),
        ),
        row(
            "org.apache.kafka.connect.mirror.MirrorCheckpointConnector",
            source(Arc::new(mirror::MirrorCheckpoint::new(Arc::clone(&clusters)))),
        ),
        row(
            "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
            source(Arc::new(mirror::MirrorHeartbeat::new(clusters))),
        ),
        row("io.confluent.kafka.connect.datagen.DatagenConnector", source(Arc::new(datagen::Datagen))),
    ]
}
