//! `cargo xtask docs`: writes the reference pages from the declarations in the code.
//!
//! The pages are a function of the code alone; `--check` compares them with what is there and changes nothing.

use std::fs;
use std::path::Path;

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
    let pages = [("docs/configuration.md", vltava_core::config::manual())];
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
