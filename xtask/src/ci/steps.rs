//! The steps, in their order.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use super::{Share, Tally, tests};
use crate::conformance::catalogue::SUITES;
use crate::conformance::{self, server};
use crate::tidy;

/// What the release build makes: the binary that clients are driven against.
const BINARY: &str = "release build";
/// How long new seeds are tried.
const CAMPAIGN_SECONDS: &str = "60";

/// One thing to pass.
pub struct Step {
    /// What it is called in the report and for `--only`.
    pub name: String,
    /// What its time is taken from.
    pub share: Share,
    /// What later steps need of it.
    pub product: Option<&'static str>,
    /// A product without which it cannot be carried out.
    pub needs: Option<&'static str>,
    /// Carries it out. An error when it fails otherwise than by failed tests.
    pub run: Box<dyn Fn() -> anyhow::Result<Tally>>,
}

impl Step {
    fn new(name: &str, share: Share, run: impl Fn() -> anyhow::Result<Tally> + 'static) -> Step {
        Step { name: name.to_owned(), share, product: None, needs: None, run: Box::new(run) }
    }

    /// A build, lint or test that is one call of cargo.
    fn cargo(name: &str, arguments: &'static [&'static str]) -> Step {
        Step::new(name, Share::Build, move || {
            let mut command = cargo()?;
            let status = command.args(arguments).status().context("cargo cannot be started")?;
            ensure!(status.success(), "cargo {} failed", arguments.join(" "));
            Ok(Tally::default())
        })
    }

    fn after(self, needed: &'static str) -> Step {
        Step { needs: Some(needed), ..self }
    }

    /// Whether other steps need it.
    pub fn is_product(&self) -> bool {
        self.product.is_some()
    }
}

/// Every step. Cheap ones come first.
pub fn all() -> anyhow::Result<Vec<Step>> {
    let mut steps = vec![
        Step::cargo("format", &["fmt", "--all", "--check"]),
        Step::cargo(
            "lints",
            &[
                "clippy",
                "--quiet",
                "--workspace",
                "--features",
                tests::FEATURES,
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        Step::new("tidy", Share::Build, || {
            ensure!(tidy::run()? == ExitCode::SUCCESS, "tidy has findings");
            Ok(Tally::default())
        }),
        Step::new("tests", Share::Build, || tests::run(cargo()?)),
        Step { product: Some(BINARY), ..Step::cargo(BINARY, &["build", "--release"]) },
        Step::cargo(
            "measurements against the floor",
            &["run", "--quiet", "--release", "--package", "xtask", "--", "bench", "--gate"],
        )
        .after(BINARY),
        Step::cargo("campaign", &["xtask", "campaign", "--seconds", CAMPAIGN_SECONDS]),
    ];
    for suite in SUITES {
        let name = format!("conformance: {}", suite.name);
        // What is released has no optional features; what is tested has all.
        let binary = server::built(if suite.needs_features() { "debug" } else { "release" })?;
        let step = Step::new(&name, suite.share, move || {
            if suite.needs_features() {
                tests::build(cargo()?)?;
            }
            conformance::one(suite, &conformance::Options::of_binary(binary.clone()))
        });
        let needs_release = suite.needs_server() && !suite.needs_features();
        steps.push(if needs_release { step.after(BINARY) } else { step });
    }
    Ok(steps)
}

/// Cargo, in the workspace's root.
fn cargo() -> anyhow::Result<Command> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    Ok(command)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn every_need_is_made_before() {
        let steps = all().unwrap();
        for (place, step) in steps.iter().enumerate() {
            let made = |needed| steps.iter().take(place).any(|earlier| earlier.product == Some(needed));
            assert!(step.needs.is_none_or(made), "{} comes before what it needs", step.name);
        }
    }
}
