//! The two clusters of a mirror, and how they are reached.
//!
//! Settings of clients are MirrorMaker's: `source.cluster.…` and `target.cluster.…` say where a cluster is and who asks,
//! `consumer.…`, `producer.…` and `admin.…` are for clients of both, and the same behind `source.` or `target.` for those of
//! one. In a node addresses must be allowed, as `kafka://host:port`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vltava_core::clock::BoxFuture;

use super::policy::Policy;
use crate::connectors::Allowed;
use crate::error::{ConnectError, ErrorKind};
use crate::settings::{Config, FieldError, Values};
use crate::topics::cluster::Cluster;
use crate::topics::kafka::{FILES, KafkaTopics, client_settings};
use crate::topics::{NewTopic, TopicsError, TopicsErrorKind};
use crate::worker::common::below;

/// How long a task rests before it tries again to reach a cluster.
const PAUSE: Duration = Duration::from_secs(1);

/// One of the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Target,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Source => "source",
            Side::Target => "target",
        }
    }

    /// How the cluster is reached.
    fn reached(self, values: &Values) -> Config {
        let known = client_settings();
        let mut config = below(values.raw(), &format!("{}.cluster.", self.name()));
        config.extend(self.client(values, "admin"));
        config.retain(|name, _| known.get(name).is_some());
        config
    }

    /// The setting that says so.
    fn given(self, values: &Values, setting: &str) -> String {
        let of_clients = [format!("{}.admin.{setting}", self.name()), format!("admin.{setting}")];
        let given = of_clients.into_iter().find(|name| values.raw().contains_key(name));
        given.unwrap_or_else(|| format!("{}.cluster.{setting}", self.name()))
    }

    /// Settings of clients of a kind, such as `consumer`.
    pub(super) fn client(self, values: &Values, kind: &str) -> Config {
        let mut settings = below(values.raw(), &format!("{kind}."));
        settings.extend(below(values.raw(), &format!("{}.{kind}.", self.name())));
        // A setting of the mirror, two that a mirror decides, and what is meant for clients of the worker.
        let others = ["poll.timeout.ms", "enable.auto.commit", "group.id"];
        settings.retain(|name, _| !others.contains(&name.as_str()) && !name.starts_with("override."));
        settings
    }

    /// Where the topic of offset syncs is, and its name.
    pub(super) fn of_offset_syncs(values: &Values) -> Result<(Self, String), ConnectError> {
        let policy = Policy::new(values)?;
        Ok(match values.string("offset-syncs.topic.location")? {
            "target" => (Side::Target, policy.offset_syncs(values.string("source.cluster.alias")?)),
            _ => (Side::Source, policy.offset_syncs(values.string("target.cluster.alias")?)),
        })
    }
}

type Dial = dyn Fn(Config) -> BoxFuture<'static, Result<Arc<dyn Cluster>, ConnectError>> + Send + Sync;

/// Reaches clusters.
pub(in crate::connectors) struct Clusters {
    allowed: Arc<Allowed>,
    dial: Box<Dial>,
}

impl fmt::Debug for Clusters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Clusters").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl Clusters {
    /// Those behind a network, as far as they are allowed.
    pub(in crate::connectors) fn new(allowed: Arc<Allowed>) -> Arc<Self> {
        Self::reached_by(allowed, |config| {
            Box::pin(async move {
                let cluster: Arc<dyn Cluster> = Arc::new(KafkaTopics::connect(&config).await?);
                Ok(cluster)
            })
        })
    }

    /// Those that `dial` reaches by the settings of a client.
    pub(super) fn reached_by(
        allowed: Arc<Allowed>,
        dial: impl Fn(Config) -> BoxFuture<'static, Result<Arc<dyn Cluster>, ConnectError>>
        + Send
        + Sync
        + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { allowed, dial: Box::new(dial) })
    }

    /// What may not be touched.
    pub(super) fn check(&self, values: &Values) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for side in [Side::Source, Side::Target] {
            let config = side.reached(values);
            for server in config.get("bootstrap.servers").into_iter().flat_map(|list| entries(list)) {
                if let Err(why) = self.allowed.check_url(&format!("kafka://{server}")) {
                    errors.push(FieldError::new(side.given(values, "bootstrap.servers"), why));
                }
            }
            for name in FILES {
                if let Some(path) = config.get(name)
                    && let Err(why) = self.allowed.check(Path::new(path))
                {
                    errors.push(FieldError::new(side.given(values, name), why));
                }
            }
        }
        errors
    }

    /// Reaches a cluster, for what `role` says.
    pub(super) async fn reach(
        &self,
        values: &Values,
        side: Side,
        role: &str,
    ) -> Result<Arc<dyn Cluster>, ConnectError> {
        if let Some(error) = self.check(values).into_iter().next() {
            return Err(ConnectError::config(error.message));
        }
        let mut config = side.reached(values);
        config.insert("client.id".to_owned(), format!("{}|{role}", label(values)?));
        within(values, (self.dial)(config)).await
    }
}

/// What a mirror is called in logs of brokers.
fn label(values: &Values) -> Result<String, ConnectError> {
    let (source, target) = (values.string("source.cluster.alias")?, values.string("target.cluster.alias")?);
    let connector = values.raw().get("name").map_or("mirror", String::as_str);
    Ok(format!("{source}->{target}|{connector}"))
}

/// Waits for what looks at a cluster or changes it, for as long as `admin.timeout.ms` says.
pub(super) async fn within<T, E: Into<ConnectError>>(
    values: &Values,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, ConnectError> {
    let limit = Duration::from_millis(values.number("admin.timeout.ms")?.unsigned_abs());
    match tokio::time::timeout(limit, future).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(ConnectError::retriable(format!("a cluster did not answer within {limit:?}"))),
    }
}

/// A topic that is not there may come yet.
pub(super) fn awaited(error: TopicsError) -> ConnectError {
    match error.kind {
        TopicsErrorKind::UnknownTopic => ConnectError::retriable(error.message),
        _ => error.into(),
    }
}

/// The entries of a list as tasks are told them.
pub(super) fn entries(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned)
}

/// What tasks with these settings do: the entries of their lists of that name.
pub(super) fn assigned(planned: &[Config], name: &str) -> BTreeSet<String> {
    planned.iter().filter_map(|task| task.get(name)).flat_map(|list| entries(list)).collect()
}

/// Rests before a cluster is tried again; an error that does not pass comes back.
pub(super) async fn pause(error: ConnectError) -> Result<(), ConnectError> {
    if error.kind != ErrorKind::Retriable {
        return Err(error);
    }
    tracing::warn!(%error, "a cluster cannot be reached; trying again");
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// Creates a topic of a mirror, which keeps the last record of each key, unless it is there.
pub(super) async fn create_compacted(
    cluster: &dyn Cluster,
    name: String,
    replicas: i64,
) -> Result<(), TopicsError> {
    if cluster.partitions(&name).await?.is_some() {
        return Ok(());
    }
    let settings = Config::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let replication_factor = i16::try_from(replicas).unwrap_or(-1);
    cluster.create(&NewTopic { name, partitions: 1, replication_factor, settings }).await
}
