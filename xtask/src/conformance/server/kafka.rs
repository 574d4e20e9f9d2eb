//! Starting an Apache Kafka, the oracle.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::cache::{self, Cache};
use super::super::clients::must_run;
use super::{Launch, jars};

/// Formats the data folder and returns the command of a combined broker and controller.
pub fn launch(cache: &Cache, folder: &Path, properties: &Path) -> anyhow::Result<Launch> {
    let definition = cache::programs().join("kafka");
    let libraries = jars::jars(cache, &definition, jars::SERVER)?;
    let common = [
        "-Xmx768M".to_owned(),
        "-Xms768M".to_owned(),
        "-XX:+UseG1GC".to_owned(),
        "-Djava.awt.headless=true".to_owned(),
        format!("-Dkafka.logs.dir={}", folder.join("log").display()),
        format!("-Dlog4j2.configurationFile={}", definition.join("log4j2-server.xml").display()),
        "-cp".to_owned(),
        format!("{}/*", libraries.display()),
    ];
    must_run(
        Command::new("java")
            .args(&common)
            .args(["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER, "-c"])
            .arg(properties),
    )?;
    let mut arguments = common.to_vec();
    arguments.extend(["kafka.Kafka".to_owned(), properties.display().to_string()]);
    Ok(Launch { program: PathBuf::from("java"), arguments })
}

/// The id of every cluster formatted here: 16 bytes in base 64.
const CLUSTER: &str = "VltavaConformance0AAAA";
