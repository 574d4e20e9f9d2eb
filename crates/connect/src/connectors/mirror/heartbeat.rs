//! Sends heartbeats to the target, which show that a flow lives, and are copied along further flows.

use std::sync::Arc;

use async_trait::async_trait;

use super::clusters::{Clusters, Side, create_compacted, within};
use super::every::Every;
use super::formats::Heartbeat;
use super::policy::HEARTBEATS;
use super::{copied_bytes, place, settings, task_config};
use crate::connector::{Altered, Connector, Source, SourceConnector, SourceContext};
use crate::error::ConnectError;
use crate::record::{Record, SourceMap};
use crate::settings::{Config, FieldError, Settings, Values};

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct MirrorHeartbeat {
    clusters: Arc<Clusters>,
}

impl MirrorHeartbeat {
    pub(in crate::connectors) fn new(clusters: Arc<Clusters>) -> Self {
        Self { clusters }
    }
}

#[async_trait]
impl Connector for MirrorHeartbeat {
    fn settings(&self) -> Settings {
        settings::of_heartbeats()
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        self.clusters.check(values)
    }

    async fn task_configs(&self, values: &Values, _: usize) -> Result<Vec<Config>, ConnectError> {
        if !values.boolean("enabled")? || !values.boolean("emit.heartbeats.enabled")? {
            return Ok(Vec::new());
        }
        let target = self.clusters.reach(values, Side::Target, "heartbeats-target-admin").await?;
        let replicas = values.number("heartbeats.topic.replication.factor")?;
        within(values, create_compacted(&*target, HEARTBEATS.to_owned(), replicas)).await?;
        Ok(vec![task_config(values, [])])
    }
}

#[async_trait]
impl SourceConnector for MirrorHeartbeat {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let alias = |side: &str| values.string(&format!("{side}.cluster.alias")).map(str::to_owned);
        let (source, target) = (alias("source")?, alias("target")?);
        Ok(Box::new(MirrorHeartbeatTask {
            partition: Arc::new(place::of_heartbeat(&source, &target)),
            source,
            target,
            every: Every::later(settings::interval(values, "emit.heartbeats")?),
            context,
        }))
    }

    async fn alter_offsets(
        &self,
        _: &Values,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        place::check(offsets, &[place::SOURCE_ALIAS, place::TARGET_ALIAS], false, true)?;
        Ok(Altered::Supported)
    }
}

/// The task.
#[derive(Debug)]
struct MirrorHeartbeatTask {
    source: String,
    target: String,
    partition: Arc<SourceMap>,
    every: Every,
    context: SourceContext,
}

#[async_trait]
impl Source for MirrorHeartbeatTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        self.every.tick().await;
        let timestamp = self.context.clock.wall().0;
        let (source, target) = (self.source.clone(), self.target.clone());
        let (key, value) = Heartbeat { source, target, timestamp }.encode().map_err(super::too_long)?;
        let position = place::position(&self.partition, 0);
        Ok(vec![Record {
            partition: Some(0),
            key: copied_bytes(Some(key)),
            timestamp: Some(timestamp),
            ..Record::new(HEARTBEATS, copied_bytes(Some(value)), position)
        }])
    }
}
