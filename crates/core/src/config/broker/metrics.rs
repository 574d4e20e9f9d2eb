//! Metrics and client telemetry.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{at_least, names_or_empty, one_of_ignoring_case};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Samples per rate or percentile window.
    "metrics.num.samples": Int = "2", at_least(1), Low, ReadOnly, inert "rates are computed by whoever scrapes the metrics";
    /// Length of a sample. In milliseconds.
    "metrics.sample.window.ms": Long = "30000", at_least(1), Low, ReadOnly, inert "rates are computed by whoever scrapes the metrics";
    /// Which metrics are recorded.
    "metrics.recording.level": String = "INFO", one_of_ignoring_case(&["INFO", "DEBUG", "TRACE"]), Low, ReadOnly, inert "every metric is always recorded";
    /// Reporter plugins; accepted and ignored (Prometheus is built in).
    "metric.reporters": List = "org.apache.kafka.common.metrics.JmxReporter", names_or_empty(), Low, ClusterWide, inert "metrics are served for Prometheus over HTTP and reporter plugins are not loaded";
    /// Older reporter plugins; accepted and ignored.
    "kafka.metrics.reporters": List = "", names_or_empty(), Low, ReadOnly, inert "metrics are served for Prometheus over HTTP and reporter plugins are not loaded";
    /// Poll interval of those.
    "kafka.metrics.polling.interval.secs": Int = "10", at_least(1), Low, ReadOnly, inert "metrics are served for Prometheus over HTTP and reporter plugins are not loaded";
    /// Largest PushTelemetry payload (KIP-714). In bytes.
    "telemetry.max.bytes": Int = "1048576", at_least(1), Low, ReadOnly;
};
