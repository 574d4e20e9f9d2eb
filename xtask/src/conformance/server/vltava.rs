//! Starting the binary of this project.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Launch;

/// `vltava serve` with a properties file.
pub fn launch(binary: Option<&Path>, properties: &Path) -> anyhow::Result<Launch> {
    let program = chosen(binary)?;
    // Beside the results, which may be JSON.
    eprintln!("      {}", program.display());
    let arguments = vec!["serve".to_owned(), "--config".to_owned(), properties.display().to_string()];
    Ok(Launch { program, arguments })
}

/// The binary that is named, or else the newest.
pub fn chosen(binary: Option<&Path>) -> anyhow::Result<PathBuf> {
    match binary {
        Some(file) => file.canonicalize().with_context(|| format!("there is no {}", file.display())),
        None => newest_binary(),
    }
}

/// The newer one of the debug and the release build.
fn newest_binary() -> anyhow::Result<PathBuf> {
    let (release, debug) = (built("release")?, built("debug")?);
    let newest = [&release, &debug]
        .into_iter()
        .filter(|file| file.exists())
        .max_by_key(|file| file.metadata().and_then(|m| m.modified()).ok());
    newest
        .cloned()
        .with_context(|| format!("there is no {}; run `cargo build --release` first", release.display()))
}

/// Where a profile's build lies, found from where xtask itself was built to. It may not have been built.
pub fn built(profile: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).context("xtask does not run from a target folder")?;
    Ok(target.join(profile).join("vltava"))
}
