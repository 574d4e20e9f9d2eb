//! Example programs of the crates, built to be run beside what others wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// How a program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As tests are.
    Debug,
    /// As it is released.
    Release,
}

/// Builds what `arguments` name and returns the folder that the programs are in. That of this program may be another: it may
/// be built in another way.
pub fn build(profile: Profile, arguments: &[&str]) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "-q"]).args(arguments);
    let folder = match profile {
        Profile::Debug => "debug/examples",
        Profile::Release => {
            command.arg("--release");
            "release/examples"
        }
    };
    ensure!(command.status()?.success(), "cargo build {} failed", arguments.join(" "));
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).context("xtask lies in the folder of its profile")?;
    Ok(target.join(folder))
}
