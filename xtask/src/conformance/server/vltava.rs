//! Starting the binary of this project.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::Launch;

/// `vltava serve` with a properties file.
pub fn launch(binary: Option<&Path>, properties: &Path) -> anyhow::Result<Launch> {
    let program = match binary {
        Some(file) => file.canonicalize().with_context(|| format!("there is no {}", file.display()))?,
        None => newest_binary()?,
    };
    // Beside the results, which may be JSON.
    eprintln!("      {}", program.display());
    let arguments = vec!["serve".to_owned(), "--config".to_owned(), properties.display().to_string()];
    Ok(Launch { program, arguments })
}

/// The newer one of the debug and the release build, found from where xtask itself was built to.
fn newest_binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).context("xtask does not run from a target folder")?;
    let built = ["release", "debug"].map(|profile| target.join(profile).join("vltava"));
    let newest = built
        .into_iter()
        .filter(|file| file.exists())
        .max_by_key(|file| file.metadata().and_then(|m| m.modified()).ok());
    ensure!(
        newest.is_some(),
        "there is no vltava below {}; run `cargo build --release` first",
        target.display()
    );
    newest.context("checked above")
}
