//! `cargo xtask docs`: writes the reference pages from the declarations in the code.
//!
//! The pages are a function of the code alone; `--check` compares them with what is there and changes nothing. Those of
//! the broker come from its example `reference`, because nothing but the broker may see its declarations.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Options of `cargo xtask docs`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Fail if a page is stale, and change nothing
    #[arg(long)]
    check: bool,
}

/// Writes every page, or checks that every page is fresh.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let pages = [
        ("docs/reference/configuration.md", vltava_core::config::manual()),
        ("docs/reference/apis.md", broker_page(root, "apis")?),
        ("docs/reference/connect.md", broker_page(root, "connect")?),
        ("docs/reference/metrics.md", broker_page(root, "metrics")?),
    ];
    for (name, text) in pages {
        let path = root.join(name);
        if arguments.check {
            let found = fs::read_to_string(&path)
                .with_context(|| format!("{name} is missing; run cargo xtask docs"))?;
            ensure!(found == text, "{name} is stale; run cargo xtask docs");
            continue;
        }
        fs::create_dir_all(path.parent().context("a page lies in a folder")?)?;
        fs::write(&path, text).with_context(|| format!("cannot write {name}"))?;
        println!("wrote {name}");
    }
    Ok(())
}

/// Fails if a page is stale, and changes nothing.
pub fn check() -> anyhow::Result<()> {
    run(&Arguments { check: true })
}

/// A page that the broker writes, with all that it can be built with.
fn broker_page(root: &Path, page: &str) -> anyhow::Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--package",
            "vltava-broker",
            "--features",
            "cloud,parquet",
            "--example",
            "reference",
            "--",
            page,
        ])
        .current_dir(root)
        .output()
        .context("cargo cannot be started")?;
    ensure!(output.status.success(), "the page {page} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("a page is text")
}
