//! The star of crates: siblings know `vltava-core` alone, the broker knows them all, and nothing knows xtask.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::Finding;

const CENTRE: &str = "vltava-core";
const BROKER: &str = "vltava-broker";
const XTASK: &str = "xtask";

/// What `cargo metadata --no-deps` says: the packages of the workspace with all their dependencies, of every kind.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; nothing for an ordinary one.
    kind: Option<String>,
}

/// Asks cargo.
pub(crate) fn metadata(root: &Path) -> anyhow::Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("cargo metadata cannot be started")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cargo metadata printed something else")
}

/// Every edge outside the star.
pub(crate) fn check(metadata: &Metadata) -> Vec<Finding> {
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let inside = package.dependencies.iter().filter(|edge| members.contains(edge.name.as_str()));
        for edge in inside.filter(|edge| !allowed(&package.name, &edge.name)) {
            let kind = edge.kind.as_deref().map(|kind| format!("{kind}-")).unwrap_or_default();
            findings.push(Finding::new(
                package.name.clone(),
                format!(
                    "the {kind}dependency on {} leaves the star: {}",
                    edge.name,
                    instead(&package.name, &edge.name)
                ),
            ));
        }
    }
    findings
}

fn allowed(from: &str, to: &str) -> bool {
    match (from, to) {
        (_, XTASK) | (CENTRE, _) => false,
        (BROKER, _) => true,
        (_, to) => to == CENTRE,
    }
}

fn instead(from: &str, to: &str) -> &'static str {
    match (from, to) {
        (_, XTASK) => "nothing depends on xtask",
        (XTASK, _) => "xtask generates code of other crates; run one of their examples instead",
        (CENTRE, _) => "vltava-core depends on no crate of the workspace; move the seam into it",
        _ => "put the seam into vltava-core, and the wiring into vltava-broker",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_edge(from: &str, to: &str, kind: Option<&str>) -> Vec<String> {
        let names = ["vltava-core", "vltava-storage", "vltava-protocol", "vltava-broker", "xtask"];
        let packages = names.map(|name| Package {
            name: name.to_owned(),
            dependencies: (name == from)
                .then(|| Dependency { name: to.to_owned(), kind: kind.map(str::to_owned) })
                .into_iter()
                .collect(),
        });
        check(&Metadata { packages: packages.into() }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_edges_of_the_star_are_allowed() {
        for (from, to, fine) in [
            ("vltava-storage", "vltava-core", true),
            ("vltava-broker", "vltava-storage", true),
            ("vltava-broker", "vltava-core", true),
            ("vltava-storage", "serde", true),
            ("vltava-storage", "vltava-protocol", false),
            ("vltava-core", "vltava-protocol", false),
            ("vltava-storage", "vltava-broker", false),
            ("vltava-broker", "xtask", false),
            ("xtask", "vltava-core", true),
            ("xtask", "vltava-protocol", false),
        ] {
            for kind in [None, Some("dev"), Some("build")] {
                let found = check_edge(from, to, kind);
                assert_eq!(found.is_empty(), fine, "{from} → {to} ({kind:?}): {found:?}");
            }
        }
    }
}
