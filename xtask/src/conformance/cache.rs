//! Where things live: the project's programs, the user's cache folder, temporary folders.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder that survives runs: client libraries, compiled client programs, Kafka's jars. Deleting it costs time only.
#[derive(Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/vltava`, or `~/.cache/vltava`.
    pub fn of_user() -> anyhow::Result<Self> {
        let caches = match std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
            Some(folder) => PathBuf::from(folder),
            None => {
                PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
                    .join(".cache")
            }
        };
        Ok(Self { root: caches.join("vltava") })
    }

    /// A folder of the cache, created when missing.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }
}

/// `xtask/conformance`, the folder of the programs.
pub fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// A new empty folder for one suite.
pub fn temporary_folder(suite: &str) -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("vltava-conformance-{}-{suite}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Removes a suite's folder, or says where it was kept.
pub fn discard(folder: &Path, keep: bool) {
    if keep {
        println!("      kept {}", folder.display());
    } else if let Err(error) = std::fs::remove_dir_all(folder) {
        println!("      cannot remove {}: {error}", folder.display());
    }
}

/// A short name for the contents of `files`: what was built from them is built again when it changes.
pub fn fingerprint(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for file in files {
        let contents = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        for byte in contents {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(format!("{hash:016x}"))
}
