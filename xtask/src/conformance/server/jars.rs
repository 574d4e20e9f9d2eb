//! Jars of Apache Kafka and Avro, resolved through Maven into the user's cache folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use super::super::cache::Cache;
use super::super::clients::must_run;

/// What is resolved, and how it is known to be there.
#[derive(Clone, Copy)]
pub struct Distribution {
    /// Whose it is, in messages.
    project: &'static str,
    /// The start of its folder's name.
    prefix: &'static str,
    version: &'static str,
    /// Options that choose this distribution in `pom.xml`.
    options: &'static [&'static str],
    /// A jar that must be among the resolved ones.
    witness: &'static str,
}

/// The broker.
pub const SERVER: Distribution = Distribution {
    project: "Apache Kafka",
    prefix: "kafka",
    version: "4.4.0",
    options: &["-Dkafka.version=4.4.0", "-Dkafka.tools.version=4.3.1", "-Dkafka.serverOnly"],
    witness: "kafka_2.13-4.4.0.jar",
};

/// The command line tools with the client library, Streams, and Connect with its connectors. Maven's repository has them up to 4.3.1.
pub const TOOLS: Distribution = Distribution {
    project: "Apache Kafka",
    prefix: "kafka",
    version: "4.3.1",
    options: &["-Dkafka.version=4.3.1", "-Dkafka.tools.version=4.3.1"],
    witness: "kafka-streams-4.3.1.jar",
};

/// Avro's own library.
pub const AVRO: Distribution = Distribution {
    project: "Apache Avro",
    prefix: "avro",
    version: "1.12.1",
    options: &[],
    witness: "avro-1.12.1.jar",
};

/// The folder with the jars of `distribution`, resolved on first use by the `pom.xml` in `definition`.
pub fn jars(cache: &Cache, definition: &Path, distribution: Distribution) -> anyhow::Result<PathBuf> {
    let Distribution { project, prefix, version, .. } = distribution;
    let folder = cache.folder(&format!("{prefix}-{version}/libs"))?;
    let done = folder.join(".complete");
    if done.exists() && folder.join(distribution.witness).exists() {
        return Ok(folder);
    }
    println!("      resolving {project} {version}");
    must_run(
        Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(definition.join("pom.xml"))
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .args(distribution.options)
            .arg(format!("-DoutputDirectory={}", folder.display())),
    )?;
    if !folder.join(distribution.witness).exists() {
        bail!("Maven resolved no {}", distribution.witness);
    }
    std::fs::write(done, version)?;
    Ok(folder)
}
