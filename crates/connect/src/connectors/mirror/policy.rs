//! What topics are called at the other cluster, and which of them are the mirror's own.

use crate::error::ConnectError;
use crate::settings::Values;

/// The topic of heartbeats, where they are sent.
pub(super) const HEARTBEATS: &str = "heartbeats";

/// The names of topics, as MirrorMaker's policies make them.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    separator: String,
    /// The separator in names of a mirror's own topics.
    internal: String,
    /// Names stay as they are; the alias is what all topics come from then.
    identity: Option<String>,
}

impl Policy {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        let separator = values.string("replication.policy.separator")?.to_owned();
        let everywhere = values.boolean("replication.policy.internal.topic.separator.enabled")?;
        let internal = if everywhere { separator.clone() } else { ".".to_owned() };
        let identity = values.string("replication.policy.class")?.ends_with("IdentityReplicationPolicy");
        let identity =
            identity.then(|| values.string("source.cluster.alias").map(str::to_owned)).transpose()?;
        Ok(Self { separator, internal, identity })
    }

    /// The name of a copy at the target.
    pub(super) fn remote(&self, alias: &str, topic: &str) -> String {
        if self.keeps(topic) { topic.to_owned() } else { format!("{alias}{}{topic}", self.separator) }
    }

    /// The alias of the cluster that a topic was copied from; `None` is a topic of the cluster itself.
    pub(super) fn source<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        match &self.identity {
            Some(alias) if self.keeps(topic) => Some(alias),
            _ => {
                let mut parts = topic.split(&self.separator);
                let first = parts.next();
                // A topic that ends with separators has nothing behind them.
                first.filter(|_| parts.any(|part| !part.is_empty()))
            }
        }
    }

    /// What a copy is called where it was copied from; `None` is a topic of the cluster itself.
    pub(super) fn upstream<'a>(&self, topic: &'a str) -> Option<&'a str> {
        if self.identity.is_some() && self.keeps(topic) {
            return Some(topic);
        }
        let source = self.source(topic)?;
        topic.get(source.len() + self.separator.len()..)
    }

    /// What a copy is called where it came from first.
    pub(super) fn original<'a>(&self, topic: &'a str) -> &'a str {
        let mut topic = topic;
        while let Some(upstream) = self.upstream(topic).filter(|upstream| *upstream != topic) {
            topic = upstream;
        }
        topic
    }

    /// Whether a topic came from `target`, directly or through others, so that a copy would go in a circle.
    pub(super) fn returns(&self, target: &str, topic: &str) -> bool {
        let mut topic = topic;
        loop {
            match (self.source(topic), self.upstream(topic)) {
                (Some(source), _) if source == target => return true,
                (Some(_), Some(upstream)) if upstream != topic => topic = upstream,
                _ => return false,
            }
        }
    }

    pub(super) fn is_heartbeats(&self, topic: &str) -> bool {
        self.original(topic) == HEARTBEATS
    }

    /// Whether a topic belongs to Kafka or to a mirror.
    pub(super) fn is_internal(&self, topic: &str) -> bool {
        let of_mirror = topic.starts_with("mm2") && topic.ends_with(&format!("{}internal", self.internal));
        of_mirror
            || topic.ends_with(&self.checkpoints(""))
            || topic.starts_with("__")
            || topic.starts_with('.')
    }

    /// The topic of offset syncs in one of the clusters; the alias is the other's.
    pub(super) fn offset_syncs(&self, alias: &str) -> String {
        format!("mm2-offset-syncs{0}{alias}{0}internal", self.internal)
    }

    /// The topic of checkpoints of a source.
    pub(super) fn checkpoints(&self, alias: &str) -> String {
        format!("{alias}{0}checkpoints{0}internal", self.internal)
    }

    /// Whether a topic is called the same at both clusters.
    fn keeps(&self, topic: &str) -> bool {
        self.identity.is_some() && !topic.ends_with(HEARTBEATS)
    }
}
